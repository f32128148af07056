//! What went wrong in a call.

use std::error::Error as StdError;
use std::fmt;

use yado_model::Digest;

/// A call came to nothing: the plugin broke or overran a limit, or the host could not do what the plugin asked for.
///
/// The text is for the operator. It may hold what the guest said last, so it is never shown to a caller.
#[derive(Debug, thiserror::Error)]
#[error("{function} of plugin {plugin} ({}) failed: {kind}{}{detail}", digest.short(), if detail.is_empty() { "" } else { ": " })]
pub struct Fault {
    /// The plugin's name; its digest, shortened, as long as it has not told its name.
    pub plugin: String,
    /// The plugin's code.
    pub digest: Digest,
    /// The function that was called: `aggregates.decide`.
    pub function: &'static str,
    /// What went wrong.
    pub kind: FaultKind,
    /// The particulars: a guest's own words where it had any. Control characters are escaped, and the length is bounded.
    pub detail: String,
    /// The host's own error, where [`FaultKind::Host`] says that there is one.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Fault {
    /// Whether the host is to blame, not the plugin: the same call may succeed later.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.kind == FaultKind::Host
    }
}

/// What went wrong in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It took longer than allowed.
    Deadline,
    /// It executed more instructions than allowed.
    Fuel,
    /// It wanted more memory, or larger tables, than allowed.
    Memory,
    /// It called itself too deeply.
    Stack,
    /// It handed over more than allowed.
    Output,
    /// It gave up and said why.
    Panic,
    /// It broke a rule of WebAssembly: reached `unreachable`, divided by zero, or read outside its memory.
    Trap,
    /// What it handed over is not what the contract says: text that is not UTF-8, a pointer that leads nowhere, a
    /// payload that is not JSON.
    InvalidOutput,
    /// It used its read model in a way that the host does not allow.
    Misuse,
    /// It does not have the function.
    NotExported,
    /// The host could not do its part; [`Fault::source`](Fault#structfield.source) says why.
    Host,
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadline => "it ran past its deadline",
            Self::Fuel => "it ran out of fuel",
            Self::Memory => "it wanted more memory than allowed",
            Self::Stack => "its stack overflowed",
            Self::Output => "it handed over more than allowed",
            Self::Panic => "it panicked",
            Self::Trap => "it trapped",
            Self::InvalidOutput => "it answered with something that breaks the contract",
            Self::Misuse => "it misused its read model",
            Self::NotExported => "it does not export the function",
            Self::Host => "the host could not do its part",
        })
    }
}
