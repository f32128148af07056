//! Why a command of the binary failed.
//!
//! It is always one sentence for the person at the keyboard: what happened, to what, and what to do. Nothing reads it
//! but people, so it has no variants; errors that programs tell apart belong to the crates below.

use std::fmt::Display;

/// Short for results of this binary.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// One sentence that says what happened, to what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure with its sentence.
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

/// Says what was being done when something broke.
pub(crate) trait Doing<T>: Sized {
    /// Puts what could not be done before the cause.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;

    /// The same, with what to do about it at the end.
    fn doing_or(self, what: impl FnOnce() -> String, remedy: &str) -> Result<T> {
        self.doing(what).map_err(|failure| Failure::new(format!("{failure}; {remedy}")))
    }
}

impl<T, E: Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|cause| Failure::new(format!("{}: {cause}", what())))
    }
}
