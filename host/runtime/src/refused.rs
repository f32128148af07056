//! Why a file does not become a plugin.

use yado_model::manifest::Broken;

use crate::Fault;

/// A file that does not become a plugin, and why.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The file is too large.
    #[error("the file has {bytes} bytes, and at most {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The file is no WebAssembly.
    #[error("the file is neither a WebAssembly module nor a component: it begins with {begins:?}")]
    NotWasm {
        /// Its first bytes, as far as they are text.
        begins: String,
    },
    /// The module does not say what it imports and exports.
    #[error(
        "the file is a core module without a component type. Build it with the Yado SDK or another wit-bindgen guest, \
         or add the type with `wasm-tools component embed`"
    )]
    NoComponentType,
    /// The module does not fit its own component type.
    #[error("the core module can't be made a component: {reason}")]
    NotAComponent {
        /// What does not fit.
        reason: String,
    },
    /// The code is not valid WebAssembly, or uses what this host does not run.
    #[error("the code can't be compiled: {reason}")]
    InvalidCode {
        /// What is wrong with it.
        reason: String,
    },
    /// The plugin was built for another contract.
    #[error("the plugin uses {interface}, and this host speaks contract {expected}: build it against that contract")]
    Contract {
        /// The interface that it names.
        interface: String,
        /// The version that this host speaks.
        expected: &'static str,
    },
    /// The plugin imports what it may not.
    #[error("the plugin imports {import}: {}", forbidden.reason())]
    Import {
        /// The import.
        import: String,
        /// Why it may not be imported.
        forbidden: Forbidden,
    },
    /// There is nothing that this host could call, and nothing declared that it could do by itself.
    #[error(
        "the plugin exports nothing that this host knows (none of aggregates, projections, queries, sagas and effects), and \
         declares no queries"
    )]
    NothingKnown,
    /// The plugin has no manifest.
    #[error("the plugin does not export the interface manifest, which every plugin needs")]
    NoManifest,
    /// Effects and pure interfaces stand in one component.
    #[error(
        "the plugin exports effects and {other}: effects live in a component of their own, the only one with a way out"
    )]
    NotOnlyEffects {
        /// The pure interface.
        other: &'static str,
    },
    /// An import or export has another shape than the contract says.
    #[error("the plugin does not follow the contract: {reason}")]
    WrongShape {
        /// What differs.
        reason: String,
    },
    /// The plugin broke when it was started or asked for its manifest.
    #[error("the plugin broke while it was loaded: {0}")]
    Broke(Box<Fault>),
    /// The manifest breaks its rules.
    #[error(transparent)]
    Manifest(#[from] Broken),
    /// The manifest promises what the plugin does not have.
    #[error("the manifest names {part}, such as {example}, but the plugin does not export the interface {part}")]
    NotExported {
        /// The part of the manifest, which is also the interface's name.
        part: &'static str,
        /// One that the manifest names.
        example: String,
    },
    /// The plugin has what its manifest does not mention.
    #[error("the plugin exports the interface {part}, but its manifest names no {part}")]
    NotPromised {
        /// The part of the manifest, which is also the interface's name.
        part: &'static str,
    },
}

/// Why something may not be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// It reaches into the world outside.
    Wasi,
    /// It is the way out, and this plugin performs no effects.
    Http,
    /// It is the read model, and this plugin neither projects nor answers.
    ReadModel,
    /// The contract does not have it.
    Unknown,
}

impl Forbidden {
    const fn reason(self) -> &'static str {
        match self {
            Self::Wasi => {
                "a plugin has no clock, no randomness and no I/O; time and entropy arrive with each call, in the context"
            }
            Self::Http => "only a plugin that exports effects may call out",
            Self::ReadModel => "only a plugin that exports projections or queries has read models",
            Self::Unknown => "a plugin may import log, read-model where it projects or answers, and nothing else",
        }
    }
}
