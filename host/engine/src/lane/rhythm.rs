//! When it is worth sending a second transaction behind one that is under way.
//!
//! One that waits at the database begins at the moment in which the one before it is durable, without the way there and
//! back. But to send it early is to close it early, and each transaction costs the disk as much however little is in it.
//! Callers who come back as soon as they are answered fall into two halves by themselves: while one is on its way to the
//! disk, the other is decided. So the second transaction goes when it has half of those that there are. Sooner, and
//! transactions would become ever smaller; later, and the disk would wait.

/// A transaction after which it is seen that fewer callers are left, lets go of one part in so many.
const FORGETTING: usize = 8;

/// How many groups are on their way, and how many come at a time.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    /// Those in transactions that are under way.
    under_way: usize,
    /// The most that there have been lately, under way or waiting.
    callers: usize,
}

impl Rhythm {
    /// How many groups a second transaction should have at least.
    pub(super) const fn worth(&self) -> usize {
        self.callers.div_ceil(2)
    }

    /// A transaction with so many groups is under way.
    pub(super) const fn begun(&mut self, groups: usize) {
        self.under_way += groups;
    }

    /// It has ended, and so many groups wait.
    pub(super) fn ended(&mut self, groups: usize, waiting: usize) {
        let lately = self.callers - self.callers.div_ceil(FORGETTING);
        self.callers = lately.max(self.under_way + waiting);
        self.under_way -= groups;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends whenever it is worth it. Whoever is answered comes back one transaction later. Returns the sizes.
    fn closed_loop(callers: usize, first: usize) -> Vec<usize> {
        let mut rhythm = Rhythm::default();
        let (mut under_way, mut waiting, mut deciding) = (vec![first], callers - first, 0);
        rhythm.begun(first);
        let mut sizes = Vec::new();
        for _ in 0..50 {
            if under_way.is_empty() || under_way.len() < 2 && waiting >= rhythm.worth().max(1) {
                under_way.push(waiting);
                rhythm.begun(waiting);
                waiting = 0;
                continue;
            }
            let done = under_way.remove(0);
            rhythm.ended(done, waiting);
            waiting += std::mem::replace(&mut deciding, done);
            sizes.push(done);
        }
        sizes
    }

    #[test]
    fn whoever_is_alone_waits_for_nobody() {
        let mut rhythm = Rhythm::default();
        for _ in 0..10 {
            rhythm.begun(1);
            rhythm.ended(1, 0);
            assert_eq!(rhythm.worth(), 1);
        }
    }

    #[test]
    fn transactions_do_not_become_ever_smaller_however_they_began() {
        for first in [1, 5, 11, 16, 21, 31, 32] {
            let sizes = closed_loop(32, first);
            let each: usize = sizes[sizes.len() - 10..].iter().sum();
            assert!(each >= 10 * 12, "{first} first: {sizes:?}");
        }
    }

    #[test]
    fn those_who_have_gone_are_forgotten() {
        let mut rhythm = Rhythm::default();
        rhythm.begun(200);
        rhythm.ended(200, 56);
        assert_eq!(rhythm.worth(), 128);
        for _ in 0..40 {
            rhythm.begun(4);
            rhythm.ended(4, 4);
        }
        assert_eq!(rhythm.worth(), 4, "{rhythm:?}");
        for _ in 0..40 {
            rhythm.begun(1);
            rhythm.ended(1, 0);
        }
        assert_eq!(rhythm.worth(), 1, "{rhythm:?}");
    }
}
