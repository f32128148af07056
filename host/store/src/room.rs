//! How many bytes an answer may take up, held against what is in it while it is read.
//!
//! How many rows are read is limited by whoever asks; but a text has any length, and a page of long ones would take any amount
//! of memory. What is counted is what rows take up here, so that the same rows are refused whichever engine they come from.

use crate::{Error, Result};

/// What is left of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    limit: usize,
    left: usize,
}

impl Room {
    /// All of it.
    pub(crate) const fn of(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    /// Takes so many bytes of it.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or(Error::TooLarge { limit: self.limit })?;
        Ok(())
    }

    pub(crate) const fn left(&self) -> usize {
        self.left
    }
}
