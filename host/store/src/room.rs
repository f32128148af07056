//! How many bytes answers may take up, held against what is in them while they are read.
//!
//! How many rows are read is limited by whoever asks; but a text has any length, and a page of long ones would take any amount
//! of memory. What is counted is what rows take up here, so that the same rows are refused whichever engine they come from.
//!
//! A statement has all of the room for itself, unless it is one of a request: those share it, because what they have found is
//! there at the same time. So many of them may ask at once that it would not do to look at each when it is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Error, Result};

/// Room for answers.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    limit: usize,
    /// What is left of it for all, where it is for all together.
    shared: Option<Arc<AtomicUsize>>,
}

/// Room for one answer.
#[derive(Debug)]
pub(crate) struct Room {
    limit: usize,
    left: Arc<AtomicUsize>,
    taken: usize,
}

impl Rooms {
    /// So many bytes for each answer.
    pub(crate) const fn each(limit: usize) -> Self {
        Self { limit, shared: None }
    }

    /// As many for several answers together as for each otherwise.
    pub(crate) fn together(&self) -> Self {
        Self { limit: self.limit, shared: Some(Arc::new(AtomicUsize::new(self.limit))) }
    }

    /// Room for the next answer.
    pub(crate) fn room(&self) -> Room {
        let left = self.shared.clone().unwrap_or_else(|| Arc::new(AtomicUsize::new(self.limit)));
        Room { limit: self.limit, left, taken: 0 }
    }
}

impl Room {
    /// All of it, for one answer.
    #[cfg(any(test, feature = "test-support"))]
    pub(crate) fn of(limit: usize) -> Self {
        Rooms::each(limit).room()
    }

    /// Takes so many bytes of it. An answer for which there is no room is given up, and leaves what it has taken to others.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<()> {
        let took = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if took.is_ok() {
            self.taken += bytes;
            return Ok(());
        }
        self.left.fetch_add(std::mem::take(&mut self.taken), Ordering::Relaxed);
        Err(Error::TooLarge { limit: self.limit })
    }

    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_room_each_or_together() {
        let (each, refused) = (Rooms::each(100), Err(Error::TooLarge { limit: 100 }));
        let takes = |rooms: &Rooms, bytes| rooms.room().take(bytes);
        for _ in 0..2 {
            assert_eq!((takes(&each, 100), takes(&each, 101)), (Ok(()), refused.clone()));
        }
        let one = each.together();
        assert_eq!((takes(&one, 60), takes(&one, 41), takes(&one, 40)), (Ok(()), refused, Ok(())));
        assert_eq!(takes(&each.together(), 100), Ok(()));
    }

    #[test]
    fn an_answer_for_which_there_is_no_room_leaves_it_to_others() {
        let rooms = Rooms::each(100).together();
        let (mut large, mut small) = (rooms.room(), rooms.room());
        assert!(small.take(30).is_ok() && large.take(60).is_ok() && large.take(60).is_err());
        assert_eq!(small.left(), 70);
        assert!(small.take(70).is_ok());
    }
}
