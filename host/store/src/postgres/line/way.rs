//! How much of the time until an answer comes is the way there and back.
//!
//! To whoever asks a server far away every question seems slow, and what matters is how long it keeps the server busy. The
//! way is part of the time only as far as the server had nothing to do meanwhile: a question that was written while others
//! were under way has travelled by the time its turn comes. How long the way is was tried out once, and a single trial may
//! come upon a busy server; but no answer can come sooner than the way takes, so that each corrects a figure that is too large.

use std::time::{Duration, Instant};

/// How long a question takes there and back that costs the server nothing, as far as is known.
#[derive(Debug)]
pub(super) struct Way(Duration);

impl Way {
    /// As it was tried out.
    pub(super) const fn tried(took: Duration) -> Self {
        Self(took)
    }

    /// How long the server was busy with what has been answered now. The first question of it was written at one time, and
    /// the server had been busy with others until another.
    pub(super) fn busy(&mut self, written: Instant, others: Option<Instant>, now: Instant) -> Duration {
        self.0 = self.0.min(now.saturating_duration_since(written));
        let reached = written + self.0;
        now.saturating_duration_since(others.map_or(reached, |others| others.max(reached)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_way_is_no_part_of_what_the_server_was_busy_for() {
        let (mut way, begun) = (Way::tried(ms(5)), Instant::now());
        assert_eq!(way.busy(begun, None, begun + ms(8)), ms(3));
        // Two that were written at once: the second had travelled long before its turn came.
        assert_eq!(way.busy(begun, Some(begun + ms(8)), begun + ms(20)), ms(12));
        // One that was written shortly before the first was answered is still on its way then.
        assert_eq!(way.busy(begun + ms(19), Some(begun + ms(20)), begun + ms(25)), ms(1));
    }

    #[test]
    fn a_way_that_was_tried_out_on_a_busy_server_is_corrected_by_the_answers() {
        let (mut way, begun) = (Way::tried(ms(50)), Instant::now());
        assert_eq!(way.busy(begun, None, begun + ms(1)), ms(0));
        assert_eq!(way.busy(begun, None, begun + ms(20)), ms(19));
    }
}
