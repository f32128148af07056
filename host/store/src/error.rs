//! Why a store could not do what it was asked.

mod engine;

use serde_json::Value;
use yado_model::{Name, Position};

/// Short for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// So many letters of a value are shown to people: it may be long.
const SHOWN: usize = 80;

/// Why a store could not do what it was asked. None of these is a caller's fault, and none leaves a change half done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The database is shutting down, or has no connection free, or no time. Nothing was done; trying again may help.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// No answer came: the connection broke, or it took too long. What was asked for may be done or not; or it is still
    /// on its way, and done later.
    #[error("the database did not answer: {0}")]
    Unheard(String),
    /// The disk is full. Nothing was recorded; it goes on by itself once there is room.
    #[error("the disk of the database is full: {0}")]
    Full(String),
    /// The disk has not kept what it was given, and nobody knows what is on it. Nothing was done, and nothing is recorded
    /// by this process any more; what is there may still be read.
    #[error("this process can't record anything more in the database: {0}")]
    OutOfUse(String),
    /// What is stored is not what this code writes.
    #[error("the database holds something unexpected in {place}: {reason}")]
    Corrupt {
        /// Where.
        place: String,
        /// What.
        reason: String,
    },
    /// The log ends before what this process has seen of it, or has other events there: a backup was restored, or a
    /// standby took over that had not received all of it. Nothing was recorded. Whatever this process has derived from
    /// the log may rest on events that are gone, so that only a process that begins anew can go on.
    #[error(
        "the log went back: it no longer has the event at position {seen} that this process has seen. \
         A backup was restored, or a standby took over that had lagged. Start this server again: it fills read models \
         anew that show what is gone"
    )]
    Rewound {
        /// The last event that this process has seen, which the log does not have any more.
        seen: Position,
    },
    /// Two rows of a tenant would share what no two of them may. Nothing was written.
    #[error("two rows of {table} would have the same {}, {value}, which must be unique", columns.join(", "))]
    Duplicate {
        /// The table.
        table: String,
        /// The columns that are unique together.
        columns: Vec<String>,
        /// What they would share.
        value: String,
    },
    /// The answer to a question would take up more memory than one may, or than is left of it to the request. Nothing is wrong
    /// with what is stored.
    #[error(
        "an answer, or all answers of a request together, may take up {limit} bytes, and this would be more: ask for fewer \
         rows, or for fewer of their fields, at a time"
    )]
    TooLarge {
        /// How many bytes there may be.
        limit: usize,
    },
    /// A URL, an option, a table, a value or a size that can't be.
    #[error("{0}")]
    Invalid(String),
    /// The migrations could not be applied.
    #[error("the database's schema can't be brought up to date: {0}")]
    Migration(String),
    /// Anything else that the engine says.
    #[error("the database refused: {0}")]
    Engine(String),
}

impl Error {
    /// Whether the same request may succeed if it is repeated.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unheard(_) | Self::Full(_))
    }

    /// Whether it has nothing to do with what was asked for, so that any part of that would fail as well.
    #[must_use]
    pub const fn is_general(&self) -> bool {
        self.is_transient() || matches!(self, Self::OutOfUse(_) | Self::Rewound { .. })
    }

    /// Two rows with the same values in what must be unique.
    pub(crate) fn duplicate(table: &str, columns: &[Name], values: &[Value]) -> Self {
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = values.iter().map(shown).collect::<Vec<_>>().join(", ").chars().take(SHOWN).collect();
        Self::Duplicate { table: table.to_owned(), columns: columns.iter().map(ToString::to_string).collect(), value }
    }

    /// Something stored is not what this code writes.
    pub(crate) fn corrupt(place: impl Into<String>, reason: impl ToString) -> Self {
        Self::Corrupt { place: place.into(), reason: reason.to_string() }
    }
}
