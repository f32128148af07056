//! How much memory is taken by what has been made to be told, in all subscriptions together. Those that catch up have one of
//! their own, so that nobody who is live has less room because of them.
//!
//! Each of them has a bound of its own, which is large enough for a burst. All of them together are not to have that at once,
//! and so there is one more for all: beyond it nobody is refused anything, but each has room for little.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::Gauge;

/// So much may be taken, in bytes of the texts of messages.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Where that is taken, each may still have so much.
const LITTLE_BYTES: usize = 64 * 1024;

/// How much is taken. Copies of it count together.
#[derive(Clone)]
pub(super) struct Memory {
    taken: Arc<AtomicUsize>,
    figure: Gauge,
}

/// A part of it, until this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    of: Memory,
    bytes: usize,
}

impl Memory {
    pub(super) fn new(figure: Gauge) -> Self {
        Self { taken: Arc::default(), figure }
    }

    /// Takes so much. Whoever does so has asked before how much room there is.
    pub(super) fn share(&self, bytes: usize) -> Share {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.figure.increment(figure(bytes));
        Share { of: self.clone(), bytes }
    }

    /// How much one may have whose own bound is this.
    pub(super) fn room(&self, own: usize) -> usize {
        if self.taken.load(Ordering::Relaxed) < MOST_BYTES { own } else { own.min(LITTLE_BYTES) }
    }

    /// How much is taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Takes all that there is.
    #[cfg(test)]
    pub(super) fn fill(&self) -> Share {
        self.share(MOST_BYTES)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(self.bytes, Ordering::Relaxed);
        self.of.figure.decrement(figure(self.bytes));
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Memory").field(&self.taken).finish()
    }
}

impl Default for Memory {
    /// One that no figure tells of.
    fn default() -> Self {
        Self::new(Gauge::noop())
    }
}

/// Bytes as a figure has them.
#[expect(clippy::cast_precision_loss, reason = "there are never as many as would matter")]
const fn figure(bytes: usize) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_little_room_for_each_until_all_have_given_back_enough() {
        let memory = Memory::default();
        let (one, other) = (memory.share(MOST_BYTES - 1), memory.clone().share(1));
        assert_eq!((memory.room(1_000_000), memory.room(10)), (LITTLE_BYTES, 10));
        drop(other);
        assert_eq!(memory.room(1_000_000), 1_000_000);
        drop(one);
        assert_eq!(memory.taken(), 0);
    }
}
