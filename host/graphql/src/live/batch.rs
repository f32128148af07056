//! How much is brought into form at once, by what has come of that so far.
//!
//! What a message is formed of says little about how long it gets: a short row may be shown beside a long one, and a text many
//! times. So it is by the length of the last messages that it is said how many the next ones are to be.

use super::source::Bound;

/// How long messages are, as far as that is known.
#[derive(Debug)]
pub(super) struct Batch {
    /// So many are formed where nothing is known.
    first: usize,
    /// The mean length of the last ones, in bytes.
    each: Option<usize>,
}

impl Batch {
    pub(super) const fn new(first: usize) -> Self {
        Self { first, each: None }
    }

    /// As much of a bound as has room when it is formed, and one message in any case.
    pub(super) fn within(&self, bound: Bound, room: usize) -> Bound {
        let fitting = self.each.map_or(self.first, |each| room / each.max(1));
        Bound { most: fitting.clamp(1, bound.most.max(1)), ..bound }
    }

    /// Whether there may be room for one more.
    pub(super) fn has_room(&self, room: usize) -> bool {
        self.each.is_none_or(|each| each <= room)
    }

    /// Messages have been formed that are so long together.
    pub(super) const fn formed(&mut self, count: usize, bytes: usize) {
        if let Some(each) = bytes.checked_div(count) {
            self.each = Some(each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_formed_as_the_last_ones_say_that_there_is_room_for() {
        let (bound, mut batch) = (Bound { most: 100, bytes: 1_000 }, Batch::new(8));
        let most = |batch: &Batch, room| batch.within(bound, room).most;
        assert_eq!(most(&batch, 10), 8);
        batch.formed(8, 800);
        assert_eq!((most(&batch, 1_000), most(&batch, 50_000), most(&batch, 99)), (10, 100, 1));
        assert!(batch.has_room(100) && !batch.has_room(99));
        batch.formed(0, 0);
        assert_eq!(most(&batch, 1_000), 10, "nothing has been learnt");
        batch.formed(2, 0);
        assert_eq!(most(&batch, 1_000), 100);
    }
}
