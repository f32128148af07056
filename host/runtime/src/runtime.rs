//! What all plugins run on, and how a file becomes one of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::debug;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};
use yado_model::{Digest, Manifest};

use crate::cache::Cache;
use crate::clock::Clock;
use crate::host::{self, Host, Identity};
use crate::instance::{Blueprint, Interfaces, Undescribed};
use crate::plugin::{Loaded, Origin, Plugin};
use crate::pool::Pool;
use crate::settings::{Isolation, Limits, Settings};
use crate::{Refused, component, contract};

/// What plugins run on. Clones are the same runtime.
#[derive(Clone)]
pub struct Runtime(Arc<Machine>);

pub(crate) struct Machine {
    engine: Engine,
    domain: Linker<Host>,
    effect: Linker<Host>,
    cache: Option<Cache>,
    limits: Arc<Limits>,
    loaded: AtomicU64,
    pub(crate) isolation: Isolation,
    pub(crate) pool: Pool,
    pub(crate) clock: Clock,
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings contradict each other or this machine.
    #[error("guests can't be run with these settings: {0}")]
    Settings(String),
    /// The thread that measures the time could not be started.
    #[error("the thread that keeps deadlines can't be started")]
    Clock(#[source] std::io::Error),
}

impl Runtime {
    /// Sets up everything that plugins share.
    ///
    /// # Errors
    /// The settings can't be met on this machine.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let Settings { cache, limits, isolation } = settings;
        let unfit = |error: wasmtime::Error| Error::Settings(format!("{error:#}"));
        let engine = Engine::new(&config(&limits)).map_err(unfit)?;
        Ok(Self(Arc::new(Machine {
            domain: host::domain_linker(&engine).map_err(unfit)?,
            effect: host::effect_linker(&engine).map_err(unfit)?,
            cache: cache.map(|folder| Cache::open(folder, &engine)),
            pool: Pool::new(&limits),
            clock: Clock::start(&engine).map_err(Error::Clock)?,
            limits: Arc::new(limits),
            loaded: AtomicU64::new(0),
            isolation,
            engine,
        })))
    }

    /// What guests may use up.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Makes a plugin of a file: a component, or a core module that carries its component type. It blocks for as long
    /// as compiling takes, which is a second for a large plugin that is not in the cache.
    ///
    /// # Errors
    /// Says why the file is none, or is one that this host won't run.
    pub fn load(&self, bytes: &[u8]) -> Result<Plugin, Refused> {
        let machine = &self.0;
        let limit = machine.limits.component_bytes;
        if bytes.len() > limit {
            return Err(Refused::TooLarge { bytes: bytes.len(), limit });
        }
        let digest = Digest::of(bytes);
        let (component, origin) = machine.component(bytes, &digest)?;
        let exports = contract::vet(&component)?;
        let linker = if exports.effects { &machine.effect } else { &machine.domain };
        let wrong_shape = |error: wasmtime::Error| Refused::WrongShape { reason: format!("{error:#}") };
        let pre = linker.instantiate_pre(&component).map_err(wrong_shape)?;
        let interfaces = Interfaces::find(&pre, exports).map_err(wrong_shape)?;
        let blueprint = Blueprint { pre, interfaces, limits: Arc::clone(&machine.limits) };
        let manifest = machine.describe(&blueprint, digest)?;
        contract::keep(&manifest, exports)?;
        // Only what was taken is kept: a file that is refused would be compiled for nothing ever again.
        if origin == Origin::Compiled
            && let Some(cache) = &machine.cache
        {
            cache.put(&digest, &component);
        }
        debug!(plugin = manifest.name, digest = digest.short(), ?origin, "plugin loaded");
        Ok(Plugin::new(Loaded {
            number: machine.loaded.fetch_add(1, Ordering::Relaxed),
            identity: Arc::new(Identity { plugin: manifest.name.clone(), digest }),
            machine: Arc::clone(machine),
            manifest: Arc::new(manifest),
            blueprint,
            exports,
            origin,
        }))
    }
}

impl Machine {
    fn component(&self, bytes: &[u8], digest: &Digest) -> Result<(Component, Origin), Refused> {
        if let Some(component) = self.cache.as_ref().and_then(|cache| cache.get(&self.engine, digest)) {
            return Ok((component, Origin::Cached));
        }
        let component = Component::from_binary(&self.engine, &component::from_file(bytes)?)
            .map_err(|error| Refused::InvalidCode { reason: format!("{error:#}") })?;
        Ok((component, Origin::Compiled))
    }

    fn describe(&self, blueprint: &Blueprint, digest: Digest) -> Result<Manifest, Refused> {
        let _keeping = self.clock.keep();
        let identity = Arc::new(Identity { plugin: digest.short(), digest });
        let document = blueprint.describe(&identity).map_err(|why| match why {
            Undescribed::WrongShape(error) => Refused::WrongShape { reason: format!("{error:#}") },
            Undescribed::Broke(mut store, error) => {
                Refused::Broke(Box::new(store.data_mut().fault("manifest.describe", error)))
            }
        })?;
        Ok(Manifest::parse(&document)?)
    }
}

fn config(limits: &Limits) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .consume_fuel(limits.fuel.is_some())
        .max_wasm_stack(limits.stack_bytes)
        // A decision made again must come out the same, also on another processor: the bits of a NaN and the liberties
        // of relaxed SIMD are the two things in WebAssembly that may differ.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Calls are synchronous, and traps are told apart without a map from machine code to WebAssembly.
        .concurrency_support(false)
        .generate_address_map(false);
    config
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("limits", &self.0.limits)
            .field("isolation", &self.0.isolation)
            .finish_non_exhaustive()
    }
}
