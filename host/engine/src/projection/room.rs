//! The room that rows in memory may take, divided among the projections that run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many projections share the room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Arc<AtomicUsize>);

/// One of them, for as long as it lives.
pub(super) struct Sharing(Arc<AtomicUsize>);

impl Room {
    /// One more takes its share.
    pub(super) fn enter(&self) -> Sharing {
        self.0.fetch_add(1, Relaxed);
        Sharing(self.0.clone())
    }

    /// What each has, of so many bytes.
    pub(super) fn share(&self, bytes: usize) -> usize {
        bytes / self.0.load(Relaxed).max(1)
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_divided_among_those_who_are_there() {
        let room = Room::default();
        assert_eq!(room.share(60), 60);
        let (first, _second) = (room.enter(), room.enter());
        assert_eq!(room.share(60), 30);
        drop(first);
        assert_eq!(room.share(60), 60);
    }
}
