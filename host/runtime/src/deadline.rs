//! Decides when a call has had its time.
//!
//! What counts is the time that the call's thread has had the processor. On a machine that is busy a thread may wait
//! for a processor longer than a decision takes, and a sound guest must not be called faulty for that. Asking for the
//! processor's time costs a tenth of a call, so nobody asks at the beginning: the first question comes when half of the
//! time has passed on the wall clock, which next to no call lives to see. From then on the other half is counted exactly.
//!
//! Waiting ends as well: after [`PATIENCE`] times the deadline on the wall clock a call is over in any case.

use std::time::Duration;

use crate::clock::TICK_MS;

/// How many times its deadline a call may take on the wall clock, if it spends most of it waiting.
const PATIENCE: u64 = 10;

/// How a call stands with its deadline. Epochs are the clock's ticks.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    ms: u64,
    granted: u64,
    /// The processor's time at the first question.
    counted_from: Option<Duration>,
}

impl Deadline {
    /// Begins a call. Answers with the epochs until the first question.
    pub(crate) fn begin(&mut self, ms: u64) -> u64 {
        *self = Self { ms, ..Self::default() };
        self.grant(ms / 2)
    }

    /// Asks whether the call may go on, and for how many epochs until the next question.
    pub(crate) fn may_go_on(&mut self) -> Option<u64> {
        self.may_go_on_at(processor_time())
    }

    fn may_go_on_at(&mut self, now: Option<Duration>) -> Option<u64> {
        let counted = self.ms - self.ms / 2;
        let Some(from) = self.counted_from else {
            self.counted_from = Some(now.unwrap_or_default());
            return Some(self.grant(counted));
        };
        // Where the processor's time can't be told, the wall clock's has to do, and it is over.
        let used = u64::try_from(now?.saturating_sub(from).as_millis()).unwrap_or(u64::MAX);
        let over = used >= counted || self.granted.saturating_mul(TICK_MS) >= self.ms.saturating_mul(PATIENCE);
        if over { None } else { Some(self.grant(counted - used)) }
    }

    /// One epoch more than the time needs, because the first has already begun.
    fn grant(&mut self, ms: u64) -> u64 {
        let epochs = ms.div_ceil(TICK_MS).saturating_add(1);
        self.granted = self.granted.saturating_add(epochs);
        epochs
    }
}

/// How long this thread has had a processor, where the system can tell.
#[cfg(unix)]
fn processor_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(unix))]
fn processor_time() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn a_call_that_has_the_processor_ends_at_its_deadline() {
        let mut deadline = Deadline::default();
        assert_eq!(deadline.begin(50), 14);
        assert_eq!(deadline.may_go_on_at(at(1_025)), Some(14));
        assert_eq!(deadline.may_go_on_at(at(1_050)), None);
    }

    #[test]
    fn a_call_that_waits_for_the_processor_goes_on() {
        let mut deadline = Deadline::default();
        deadline.begin(50);
        deadline.may_go_on_at(at(0)).unwrap();
        assert_eq!(deadline.may_go_on_at(at(5)), Some(11));
        assert_eq!(deadline.may_go_on_at(at(24)), Some(2));
        assert_eq!(deadline.may_go_on_at(at(25)), None);
    }

    #[test]
    fn waiting_ends_as_well() {
        let mut deadline = Deadline::default();
        let mut epochs = deadline.begin(50);
        while let Some(more) = deadline.may_go_on_at(at(0)) {
            epochs += more;
        }
        assert!((500..600).contains(&(epochs * TICK_MS)), "{epochs}");
    }

    #[test]
    fn without_a_clock_for_the_processor_the_wall_clock_does() {
        let mut deadline = Deadline::default();
        deadline.begin(50);
        assert_eq!(deadline.may_go_on_at(None), Some(14));
        assert_eq!(deadline.may_go_on_at(None), None);
    }

    #[test]
    fn another_call_begins_anew() {
        let mut deadline = Deadline::default();
        for _ in 0..2 {
            deadline.begin(50);
            deadline.may_go_on_at(at(0)).unwrap();
            assert_eq!(deadline.may_go_on_at(at(25)), None);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_processors_time_goes_on_while_there_is_work() {
        let before = processor_time().unwrap();
        while processor_time().unwrap() == before {}
    }
}
