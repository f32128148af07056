//! How a projection stands.

use yado_model::Position;

/// How a projection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// Its name.
    pub(crate) name: String,
    /// Everything up to here is shown.
    pub(crate) position: Position,
    /// Why it does not get on, if it does not.
    pub(crate) trouble: Option<Trouble>,
}

/// Why a projection does not get on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The code fails at an event. It is tried again, and goes on by itself with code that does not fail.
    Poisoned {
        /// At which one, or at one soon after it.
        at: Position,
        /// What the operator should know.
        reason: String,
    },
    /// The database fails. It is tried again until it does not.
    Database(String),
    /// The host itself fails, or can't go on with this code. It is tried again as well.
    Host(String),
}

impl Status {
    pub(crate) const fn begin(name: String) -> Self {
        Self { name, position: Position::ZERO, trouble: None }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Poisoned { at, reason } => write!(f, "it stands at position {at}: {reason}"),
            Self::Database(reason) => write!(f, "the database fails: {reason}"),
            Self::Host(reason) => write!(f, "the host can't go on: {reason}"),
        }
    }
}
