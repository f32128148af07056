//! Room in memory for commands under way: for their arguments while they wait, and for what they have come to while it
//! is on its way to the log.
//!
//! Nobody waits for room. Whoever finds none says so at once, or comes back when something of its own has gone down.
//! So what is short can't make two wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes, shared by all shards.
#[derive(Debug)]
pub(crate) struct Room {
    most: usize,
    taken: AtomicUsize,
}

/// A part of it that somebody has, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Place {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: AtomicUsize::new(0) })
    }

    /// Takes so much of it, if that is there. What is larger than all of it takes all of it: alone, it may pass.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Place> {
        let bytes = bytes.min(self.most);
        let fits = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= self.most);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Place { room: self.clone(), bytes })
    }
}

#[cfg(test)]
impl Room {
    /// How much of it somebody has.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Place {
    /// Gives so much of it back.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.room.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is() {
        let room = Room::new(100);
        let mut first = room.take(60).unwrap();
        assert!(room.take(41).is_none());
        let second = room.take(40).unwrap();
        assert!(room.take(1).is_none());
        first.shrink(10);
        drop(room.take(10).unwrap());
        drop((first, second));
        assert_eq!(room.taken(), 0);
    }

    #[test]
    fn what_is_larger_than_the_room_passes_alone() {
        let room = Room::new(100);
        let small = room.take(1).unwrap();
        assert!(room.take(1_000).is_none());
        drop(small);
        let large = room.take(1_000).unwrap();
        assert!(room.take(1).is_none());
        drop(large);
        assert!(room.take(100).is_some());
    }
}
