//! How a stream shares the log with other processes that write to the same stream.
//!
//! Each process decides ahead of the log, so the one that has just won has its next group ready when the others have only
//! begun to read what it wrote. Left alone it would win again, and so on, and the others would try until they may try no
//! more. So the winner makes room. Whoever knows of others, because one was faster at some time, lets a moment pass after
//! each group that went down. And whoever has not rested for long lets a moment pass too, because a process that never
//! loses does not hear of the others.

use std::time::{Duration, Instant};

use crate::entropy;

/// How long a stream may write without a rest, at least.
const STREAK: Duration = Duration::from_millis(100);
/// So many rests long it may write without one where its log is slow: resting costs a stream without competition no more
/// than that part of its time.
const RESTS: u32 = 25;
/// For how long others are reckoned with after one was faster, at least.
const REMEMBERED: Duration = Duration::from_secs(1);
/// What a pause is at most where the log answers at once, and where it takes its time.
const PAUSES: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(250));
/// A pause is at most so many times what a group takes to the log and back. Whoever has lost reads, decides and writes,
/// which is two ways to the log: a shorter pause would be over before that.
const WAYS: u32 = 3;

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
    /// What a group has taken of late to the log and back.
    way: Duration,
}

impl Contention {
    pub(super) const fn new(now: Instant) -> Self {
        Self { since: now, contended_until: None, owes: false, pausing: false, way: Duration::ZERO }
    }

    /// Another process was faster than a group that was sent at that time; it is the same command's loss for so many times
    /// in a row. Returns how long to wait before the next attempt. The first comes at once: mostly there is no other
    /// after it.
    pub(super) fn lost(&mut self, times: u32, sent: Instant, now: Instant) -> Duration {
        self.has_taken(now.saturating_duration_since(sent));
        self.contended_until = Some(now + REMEMBERED.max(self.longest() * RESTS));
        self.since = now;
        self.owes = false;
        if times <= 1 { Duration::ZERO } else { random(self.longest()) }
    }

    /// A group that was sent at that time has gone down.
    pub(super) fn won(&mut self, sent: Instant, now: Instant) {
        self.has_taken(now.saturating_duration_since(sent));
        self.owes = self.contended_until.is_some_and(|until| now < until);
    }

    /// Whether to let others have the log before the next group goes down, and how long.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Duration> {
        let pause = if self.owes {
            random(self.longest())
        } else if now.saturating_duration_since(self.since) >= STREAK.max(self.longest() * RESTS) {
            self.longest()
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

    /// The longest pause between two attempts, after a group that went down while others are reckoned with, and the rest
    /// after a streak.
    fn longest(&self) -> Duration {
        (self.way * WAYS).clamp(PAUSES.0, PAUSES.1)
    }

    /// Takes note of what a group has taken. What it takes goes up at once and comes down slowly: a machine that is busy
    /// answers now late and now in time, and a pause that is too short is worse than one that is too long.
    fn has_taken(&mut self, way: Duration) {
        self.way = way.min(PAUSES.1).max(self.way.mul_f64(0.9));
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
        contention.won(begun, begun);
        assert_eq!(contention.pause(begun + STREAK / 2), None);
        assert_eq!(contention.pause(begun + STREAK), Some(PAUSES.0));
        assert!(contention.pausing());
        contention.paused(begun + STREAK + PAUSES.0);
        assert!(!contention.pausing());
        assert_eq!(contention.pause(begun + STREAK + PAUSES.0), None);
    }

    #[test]
    fn whoever_has_lost_tries_again_without_a_rest_and_makes_room_once_it_has_won() {
        let begun = Instant::now();
        let mut contention = Contention::new(begun);
        assert_eq!(contention.lost(1, begun, begun), Duration::ZERO);
        assert!(contention.lost(2, begun, begun) <= PAUSES.0);
        assert_eq!(contention.pause(begun), None);
        contention.won(begun, begun);
        assert!(contention.pause(begun).is_some_and(|pause| pause <= PAUSES.0));
        contention.paused(begun);
        contention.won(begun + REMEMBERED, begun + REMEMBERED);
        assert_eq!(contention.pause(begun), None);
    }

    #[test]
    fn the_slower_the_log_the_longer_are_rests_and_the_rarer() {
        let begun = Instant::now();
        let way = Duration::from_millis(20);
        let mut contention = Contention::new(begun);
        contention.won(begun, begun + way);
        // Three times the way there and back, after twenty-five times that.
        assert_eq!(contention.pause(begun + Duration::from_millis(1_499)), None);
        assert_eq!(contention.pause(begun + Duration::from_millis(1_500)), Some(Duration::from_millis(60)));
        // A log that answers at once again makes them short again, by and by; one that hangs makes none without end.
        for _ in 0..50 {
            contention.won(begun, begun);
        }
        assert_eq!(contention.pause(begun + STREAK), Some(PAUSES.0));
        contention.won(begun, begun + Duration::from_secs(60));
        assert_eq!(contention.pause(begun + Duration::from_secs(60)), Some(PAUSES.1));
    }
}
