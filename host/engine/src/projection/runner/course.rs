//! How a projection's loop goes about its work: how many events a call has, and what follows from failures.

use yado_model::{Digest, Position};

/// The first pause after a failure; it doubles with each further one.
pub(super) const FIRST_PAUSE_MS: u64 = 50;

/// How the loop goes about its work.
pub(super) struct Course {
    /// The code that it goes for.
    pub(super) code: Digest,
    /// How many events a call has. It goes down after a failure, which finds the event that is to blame as well as the
    /// number that fits the guest's deadline, and goes up again when the projection has caught up.
    pub(super) size: u32,
    /// How many it has at most.
    most: u32,
    /// Whether each call is committed before the next one begins.
    pub(super) step_by_step: bool,
    /// Whether the code does not say because of which event it writes.
    pub(super) apart: bool,
    pub(super) pause_ms: u64,
    /// The event that was the last one to fail alone, and how often it has.
    tried: Option<(Position, u32)>,
}

impl Course {
    pub(super) const fn new(code: Digest, batch: u32) -> Self {
        let batch = if batch == 0 { 1 } else { batch };
        Self {
            code,
            size: batch,
            most: batch,
            step_by_step: false,
            apart: false,
            pause_ms: FIRST_PAUSE_MS,
            tried: None,
        }
    }

    /// Whether a failure is that of the one event that was shown.
    pub(super) const fn is_down_to_one(&self) -> bool {
        self.size == 1 && self.step_by_step
    }

    /// A failure is closed in upon, and what comes before it is kept. So many events were tried; the first of them, so many,
    /// are sound, as far as is known; and the next one is to blame, or one behind it where that is not known exactly.
    pub(super) fn close_in(&mut self, tried: u64, sound: u64, exact: bool) {
        let less = match sound {
            0 if exact => 1,
            0 => tried / 2,
            sound => sound.min(tried.saturating_sub(1)),
        };
        self.size = u32::try_from(less).unwrap_or(u32::MAX).clamp(1, self.size);
        self.step_by_step = true;
    }

    /// An event has failed alone. Returns how often it has.
    pub(super) fn failed_at(&mut self, event: Position) -> u32 {
        let before = self.tried.filter(|(tried, _)| *tried == event).map_or(0, |(_, attempts)| attempts);
        let attempts = before.saturating_add(1);
        self.tried = Some((event, attempts));
        attempts
    }

    pub(super) const fn go_one_by_one(&mut self) {
        (self.size, self.most, self.step_by_step) = (1, 1, true);
    }

    /// The code does not say because of which event it writes, so that one is shown at a time.
    pub(super) const fn tell_apart(&mut self) {
        self.apart = true;
    }

    /// The pause before the next attempt. The one after it is longer, up to a limit.
    pub(super) fn pause(&mut self, longest_ms: u64) -> u64 {
        let pause_ms = self.pause_ms.min(longest_ms);
        self.pause_ms = pause_ms.saturating_mul(2);
        pause_ms
    }

    pub(super) const fn gets_on(&mut self) {
        self.pause_ms = FIRST_PAUSE_MS;
    }

    pub(super) const fn caught_up(&mut self) {
        (self.size, self.pause_ms, self.step_by_step) = (self.most, FIRST_PAUSE_MS, self.most == 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_for_the_event_that_fails() {
        let mut course = Course::new(Digest::of(b"code"), 8);
        assert!(!course.is_down_to_one());
        for size in [4, 2, 1] {
            course.close_in(u64::from(course.size), 0, false);
            assert_eq!(course.size, size);
        }
        assert!(course.is_down_to_one());
        let at = Position::new;
        assert_eq!([1, 2, 3].map(|_| course.failed_at(at(7))), [1, 2, 3]);
        assert_eq!(course.failed_at(at(8)), 1);
        course.caught_up();
        assert!(!course.is_down_to_one());
    }

    #[test]
    fn a_failure_is_closed_in_upon_by_what_is_known_of_it() {
        let close_in = |tried, sound, exact| {
            let mut course = Course::new(Digest::of(b"code"), 1_000);
            course.close_in(tried, sound, exact);
            assert!(course.step_by_step);
            course.size
        };
        // What comes before it goes down first, and then it is shown alone.
        assert_eq!(close_in(1_000, 700, true), 700);
        assert_eq!(close_in(700, 0, true), 1);
        // There is no use in trying as many again as there are.
        assert_eq!(close_in(10, 0, false), 5);
        assert_eq!(close_in(1, 0, false), 1);
        assert_eq!(close_in(10, 4_000, false), 9);
    }

    #[test]
    fn a_pause_doubles_up_to_its_limit_and_begins_anew_when_the_loop_gets_on() {
        let mut course = Course::new(Digest::of(b"code"), 0);
        assert_eq!([0; 4].map(|_| course.pause(120)), [50, 100, 120, 120]);
        course.gets_on();
        assert_eq!([course.pause(120), course.pause(20)], [50, 20]);
    }
}
