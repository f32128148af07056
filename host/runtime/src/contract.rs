//! Holds a plugin against the contract: what it may import, what it must export, and what its manifest promises.

use wasmtime::component::Component;
use wasmtime::component::types::{ComponentExtern, ComponentItem};
use yado_model::Manifest;
use yado_model::manifest::CONTRACT;

use crate::refused::{Forbidden, Refused};

/// Which interfaces a plugin exports, beside its manifest.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Exports {
    /// It decides.
    pub aggregates: bool,
    /// It keeps read models.
    pub projections: bool,
    /// It answers named queries itself.
    pub queries: bool,
    /// It runs sagas.
    pub sagas: bool,
    /// It calls out.
    pub effects: bool,
}

impl Exports {
    /// The pure interfaces, by their names.
    fn pure(self) -> [(&'static str, bool); 4] {
        [
            ("aggregates", self.aggregates),
            ("projections", self.projections),
            ("queries", self.queries),
            ("sagas", self.sagas),
        ]
    }
}

/// Finds out what a component exports, and refuses what this host can't or won't run.
pub(crate) fn vet(component: &Component) -> Result<Exports, Refused> {
    let engine = component.engine();
    let world = component.component_type();
    let mut exports = Exports::default();
    let mut manifest = false;
    for (name, _) in world.exports(engine) {
        match interface(name)? {
            Some("manifest") => manifest = true,
            Some("aggregates") => exports.aggregates = true,
            Some("projections") => exports.projections = true,
            Some("queries") => exports.queries = true,
            Some("sagas") => exports.sagas = true,
            Some("effects") => exports.effects = true,
            // Whatever else a component exports is never called, and does no harm.
            _ => {}
        }
    }
    for (name, import) in world.imports(engine) {
        if let Some(forbidden) = forbidden(interface(name)?, name, &import, exports, engine) {
            return Err(Refused::Import { import: name.to_owned(), forbidden });
        }
    }
    if !manifest {
        return Err(if exports == Exports::default() { Refused::NothingKnown } else { Refused::NoManifest });
    }
    if exports.effects
        && let Some((other, _)) = exports.pure().into_iter().find(|(_, has)| *has)
    {
        return Err(Refused::NotOnlyEffects { other });
    }
    Ok(exports)
}

/// Holds what a manifest promises against what the plugin exports, in both directions.
pub(crate) fn keep(manifest: &Manifest, exports: Exports) -> Result<(), Refused> {
    let named = |part, example: Option<&yado_model::Name>, exported| match (example, exported) {
        (Some(example), false) => Err(Refused::NotExported { part, example: example.to_string() }),
        (None, true) => Err(Refused::NotPromised { part }),
        _ => Ok(()),
    };
    named("aggregates", manifest.aggregates.first().map(|a| &a.name), exports.aggregates)?;
    named("projections", manifest.projections.first().map(|p| &p.name), exports.projections)?;
    let asked = manifest.queries.iter().find(|query| query.rows.is_none());
    named("queries", asked.map(|q| &q.name), exports.queries)?;
    named("sagas", manifest.sagas.first().map(|s| &s.name), exports.sagas)?;
    named("effects", manifest.effects.first().map(|e| &e.name), exports.effects)?;
    // Declared queries are the host's to answer. A plugin of nothing else has nothing to be called for.
    if exports == Exports::default() && manifest.queries.is_empty() { Err(Refused::NothingKnown) } else { Ok(()) }
}

/// The interface of the contract that a name stands for, if it is one: `log` for `yado:domain/log@0.1.0`.
fn interface(name: &str) -> Result<Option<&str>, Refused> {
    let Some(rest) = name.strip_prefix("yado:domain/") else { return Ok(None) };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    // Before 1.0 the minor version is the one that breaks; a patch only adds to the documentation.
    let spoken = version.strip_prefix(CONTRACT).is_some_and(|patch| patch.is_empty() || patch.starts_with('.'));
    if spoken { Ok(Some(interface)) } else { Err(Refused::Contract { interface: name.to_owned(), expected: CONTRACT }) }
}

fn forbidden(
    interface: Option<&str>,
    name: &str,
    import: &ComponentExtern<'_>,
    exports: Exports,
    engine: &wasmtime::Engine,
) -> Option<Forbidden> {
    let Some(interface) = interface else {
        return Some(if name.starts_with("wasi:") { Forbidden::Wasi } else { Forbidden::Unknown });
    };
    match interface {
        "log" => None,
        "read-model" => (!exports.projections && !exports.queries).then_some(Forbidden::ReadModel),
        "http" => (!exports.effects).then_some(Forbidden::Http),
        // An interface that is imported for its types alone brings nothing in.
        _ => (!types_only(import, engine)).then_some(Forbidden::Unknown),
    }
}

fn types_only(import: &ComponentExtern<'_>, engine: &wasmtime::Engine) -> bool {
    match &import.ty {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).all(|(_, item)| matches!(item.ty, ComponentItem::Type(_)))
        }
        _ => false,
    }
}
