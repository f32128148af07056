//! How a stream shares the log with other processes that write to the same stream.
//!
//! Each process decides ahead of the log, so the one that has just won has its next group ready when the others have only
//! begun to read what it wrote. Left alone it would win again, and so on, and the others would try until they may try no
//! more. So the winner makes room. Whoever knows of others, because one was faster at some time, lets a moment pass after
//! each group that went down. And whoever has not rested for long lets a moment pass too, because a process that never
//! loses does not hear of the others.

use std::time::{Duration, Instant};

use crate::entropy;

/// How long a stream may write without a rest.
const STREAK: Duration = Duration::from_millis(100);
/// The rest after it. Another process reads, decides and writes in a fraction of that.
const REST: Duration = Duration::from_millis(4);
/// For how long others are reckoned with after one was faster.
const REMEMBERED: Duration = Duration::from_secs(1);
/// The longest pause between two attempts, and after a group that went down while others are reckoned with.
const LONGEST: Duration = Duration::from_millis(4);

/// How a stream shares the log with other processes.
#[derive(Debug)]
pub(super) struct Contention {
    /// Since when it has written without a rest.
    since: Instant,
    /// Until when others are reckoned with.
    contended_until: Option<Instant>,
    /// Whether it owes the others a pause.
    owes: bool,
    pausing: bool,
}

impl Contention {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, contended_until: None, owes: false, pausing: false }
    }

    /// Another process was faster, so many times in a row. Returns how long to wait before the next attempt. The first
    /// comes at once: mostly there is no other after it.
    pub(super) fn lost(&mut self, times: u32, now: Instant) -> Duration {
        self.contended_until = Some(now + REMEMBERED);
        self.since = now;
        self.owes = false;
        if times <= 1 { Duration::ZERO } else { random(LONGEST) }
    }

    /// A group has gone down.
    pub(super) fn won(&mut self, now: Instant) {
        self.owes = self.contended_until.is_some_and(|until| now < until);
    }

    /// Whether to let others have the log before the next group goes down, and how long.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Duration> {
        let pause = if self.owes {
            random(LONGEST)
        } else if now.saturating_duration_since(self.since) >= STREAK {
            REST
        } else {
            return None;
        };
        self.pausing = true;
        Some(pause)
    }

    pub(super) const fn pausing(&self) -> bool {
        self.pausing
    }

    pub(super) const fn paused(&mut self, now: Instant) {
        (self.pausing, self.owes, self.since) = (false, false, now);
    }
}

/// Some time up to a longest one: two processes that wait equally long would meet again.
fn random(longest: Duration) -> Duration {
    longest.mul_f64(entropy::fraction())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_without_competition_rests_only_after_a_long_streak() {
        let begun = Instant::now();
        let mut contention = Contention::new(begun);
        contention.won(begun);
        assert_eq!(contention.pause(begun + STREAK / 2), None);
        assert_eq!(contention.pause(begun + STREAK), Some(REST));
        assert!(contention.pausing());
        contention.paused(begun + STREAK + REST);
        assert!(!contention.pausing());
        assert_eq!(contention.pause(begun + STREAK + REST), None);
    }

    #[test]
    fn whoever_has_lost_tries_again_without_a_rest_and_makes_room_once_it_has_won() {
        let begun = Instant::now();
        let mut contention = Contention::new(begun);
        assert_eq!(contention.lost(1, begun), Duration::ZERO);
        assert!(contention.lost(2, begun) <= LONGEST);
        assert_eq!(contention.pause(begun), None);
        contention.won(begun);
        assert!(contention.pause(begun).is_some_and(|pause| pause <= LONGEST));
        contention.paused(begun);
        contention.won(begun + REMEMBERED);
        assert_eq!(contention.pause(begun), None);
    }
}
