//! How fast a projection gets on, and whether it does at all.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use yado_model::Position;

/// Over how long the rate is taken.
const WINDOW: Duration = Duration::from_secs(10);

/// How many looks there are in it, about.
const LOOKS: usize = 100;

/// What has been seen of a projection.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// Where it was, from the oldest look on.
    looks: VecDeque<(Instant, Position)>,
    /// When it was last seen to get on, or to have nothing to do.
    well: Instant,
    stalled: bool,
}

/// What a look has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    None,
    /// It has not got on for too long.
    Stalls,
    /// It gets on again.
    GetsOn,
}

impl Progress {
    /// The first look.
    pub(super) fn begin(now: Instant, position: Position) -> Self {
        Self { looks: VecDeque::from([(now, position)]), well: now, stalled: false }
    }

    /// One more look: where the projection is, and whether there is anything that it should do. What it may take without
    /// getting on is the limit.
    pub(super) fn look(&mut self, now: Instant, position: Position, has_to_do: bool, limit: Duration) -> News {
        let moved = self.looks.back().is_none_or(|(_, before)| *before != position);
        if moved || !has_to_do {
            self.well = now;
        }
        self.looks.push_back((now, position));
        let is_old = |(then, _): &(Instant, Position)| now.duration_since(*then) > WINDOW;
        while self.looks.len() > 2 && (self.looks.len() > LOOKS || self.looks.front().is_some_and(is_old)) {
            self.looks.pop_front();
        }
        let stalled = now.duration_since(self.well) >= limit;
        let before = std::mem::replace(&mut self.stalled, stalled);
        match (before, stalled) {
            (false, true) => News::Stalls,
            (true, false) => News::GetsOn,
            _ => News::None,
        }
    }

    /// Whether it has not got on for too long.
    pub(super) const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Events a second, of late. A projection that begins anew does not go backwards.
    pub(super) fn rate(&self) -> f64 {
        let (Some((first, from)), Some((last, to))) = (self.looks.front(), self.looks.back()) else { return 0.0 };
        let seconds = last.duration_since(*first).as_secs_f64();
        let events = u32::try_from(to.get().saturating_sub(from.get())).unwrap_or(u32::MAX);
        if seconds > 0.0 { f64::from(events) / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);

    #[test]
    fn whoever_has_something_to_do_and_does_not_get_on_stalls() {
        let begun = Instant::now();
        let mut progress = Progress::begin(begun, Position::new(5));
        let mut look = |second: u64, position: u64, has_to_do: bool| {
            progress.look(begun + Duration::from_secs(second), Position::new(position), has_to_do, LIMIT)
        };
        assert_eq!(look(2, 5, true), News::None);
        assert_eq!(look(3, 5, true), News::Stalls);
        assert_eq!(look(4, 5, true), News::None);
        assert_eq!(look(5, 6, true), News::GetsOn);
        assert_eq!(look(7, 6, true), News::None);
        // With nothing to do it may stand for as long as it likes.
        assert_eq!(look(60, 6, false), News::None);
        assert_eq!(look(62, 6, true), News::None);
        assert_eq!(look(63, 6, true), News::Stalls);
        assert_eq!(look(64, 6, false), News::GetsOn);
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let begun = Instant::now();
        let mut progress = Progress::begin(begun, Position::ZERO);
        assert!(progress.rate().abs() < f64::EPSILON);
        for second in 1..=10 {
            progress.look(begun + Duration::from_secs(second), Position::new(second * 100), true, LIMIT);
        }
        assert!((progress.rate() - 100.0).abs() < 0.01);
        for second in 11..=30 {
            progress.look(begun + Duration::from_secs(second), Position::new(1_000), false, LIMIT);
        }
        assert!(progress.rate().abs() < f64::EPSILON);
        for tick in 0..10_000 {
            progress.look(begun + Duration::from_millis(30_000 + tick), Position::new(1_000), false, LIMIT);
        }
        assert!(progress.looks.len() <= LOOKS);
    }
}
