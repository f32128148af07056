//! When events are shown, and when rows go down.
//!
//! While events keep coming, a round trip for each handful of them would cost more than all the rest. So there is a pace:
//! the loop turns to new events not sooner than some milliseconds after it began its last commit, unless somebody waits
//! for what they change.

use std::time::Duration;

use super::{Runner, Work};
use crate::projection::commit::Commit;
use crate::projection::control::QUEUE;

/// How far the progress in memory may be ahead of that on disk when none of the events concern the projection. They
/// need not be shown to it again, but reading past them again after a restart costs time.
const UNCOMMITTED: u64 = 50_000;

/// How long rows gather at most while a projection catches up.
const LONGEST_GATHERING: Duration = Duration::from_secs(1);

/// How many rows gather at most for one commit, however small they are: each is several times as large on its way down.
const MOST_ROWS: u64 = 50_000;

/// After so many commits that went through, what gathers may double.
const CALM: u32 = 4;

/// How much may gather for one commit: less after a failure, because whatever was not committed is shown once more.
#[derive(Debug, Default)]
pub(super) struct Measure {
    halved: u32,
    good: u32,
}

impl Measure {
    /// What there may be of something, of which there may be so much as a rule.
    fn of(&self, most: u64) -> u64 {
        most.checked_shr(self.halved).unwrap_or(0).max(1)
    }

    pub(super) const fn went_through(&mut self) {
        self.good += 1;
        if self.good >= CALM {
            (self.halved, self.good) = (self.halved.saturating_sub(1), 0);
        }
    }

    /// Something has failed. A commit that the database had no time for would fail again if it were as large; where the
    /// guest has failed, another event is likely to be next.
    pub(super) const fn failed(&mut self, at_database: bool) {
        // A single call has as much.
        const SMALLEST: u32 = 8;
        const FOR_GUESTS: u32 = 2;
        self.good = 0;
        if at_database && self.halved < SMALLEST {
            self.halved += 1;
        } else if self.halved < FOR_GUESTS {
            self.halved = FOR_GUESTS;
        }
    }
}

impl Runner {
    /// Whether what has gathered should go down now. Without haste, because the projection has a long way to go, it is
    /// better to wait until rows have changed more than once; otherwise a commit begins when the one before it has ended.
    pub(super) fn is_due(&self, work: &Work) -> bool {
        let settings = &self.surroundings.settings;
        if !work.memory.has_gathered() {
            return work.commit.is_none() && work.shown.position.get() - work.committed.position.get() >= UNCOMMITTED;
        }
        let measure = &work.measure;
        let much = work.events >= measure.of(settings.gathered_events)
            || work.memory.gathered_bytes() as u64 >= measure.of(settings.gathered_bytes as u64)
            || work.memory.gathered_rows() as u64 >= measure.of(MOST_ROWS)
            || work.since.elapsed() >= LONGEST_GATHERING;
        much || (work.commit.is_none() && !work.reader.is_far_behind() && !work.reader.has_rest())
            || (work.commit.is_none() && self.wanted.within(work.settled.position, work.shown.position))
    }

    /// Whether events may gather for a moment: the last ones have only just gone down, or are on their way, and nobody
    /// waits. What has been read is shown first, and whoever is far behind has no time.
    pub(super) fn has_time(&self, work: &Work) -> bool {
        let gather = Duration::from_millis(self.surroundings.settings.gather_ms);
        (work.commit.is_some() || work.paced.is_some_and(|paced| paced.elapsed() < gather))
            && !work.reader.has_rest()
            && !work.reader.is_far_behind()
            && !self.wanted.within(work.settled.position, *self.surroundings.feed.head().borrow())
    }

    /// Lets events gather, until it is time to show them or there is other news.
    pub(super) async fn gather(&mut self, work: &mut Work) {
        let gather = Duration::from_millis(self.surroundings.settings.gather_ms);
        let rest = work.paced.map_or(Duration::ZERO, |paced| gather.saturating_sub(paced.elapsed()));
        let (idle, mut head) = (work.commit.is_none(), self.surroundings.feed.head());
        let (settled, reader, wanted) = (work.settled.position, &work.reader, &self.wanted);
        tokio::select! {
            () = has_ended(&mut work.commit) => {}
            () = tokio::time::sleep(rest), if idle => {}
            Ok(_) = head.wait_for(|head| reader.would_be_far_behind(*head) || wanted.within(settled, *head)) => {}
            () = wanted.more() => {}
            Some(order) = self.orders.recv(), if self.asked.len() < QUEUE => self.take(order),
            _ = self.definition.changed() => {}
        }
    }

    /// Waits until the log has grown, as far as this process knows, or until a commit has ended.
    pub(super) async fn wait_for_events(&mut self, work: &mut Work) {
        let mut head = self.surroundings.feed.head();
        let shown = work.shown.position;
        tokio::select! {
            () = has_ended(&mut work.commit) => {}
            Ok(_) = head.wait_for(|head| *head > shown) => {}
            Some(order) = self.orders.recv(), if self.asked.len() < QUEUE => self.take(order),
            _ = self.definition.changed() => {}
        }
    }

    /// Waits for other code, for an order, or for some time.
    pub(super) async fn wait_for_news(&mut self, ms: u64) {
        tokio::select! {
            _ = self.definition.changed() => {}
            Some(order) = self.orders.recv(), if self.asked.len() < QUEUE => self.take(order),
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
        }
    }
}

/// Waits until the commit has ended that is on its way; for ever, if there is none.
async fn has_ended(commit: &mut Option<Commit>) {
    match commit {
        Some(commit) => commit.wait().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_gathers_after_failures_and_more_again_when_it_has_gone_well_for_a_while() {
        let mut measure = Measure::default();
        assert_eq!(measure.of(1_000), 1_000);
        measure.failed(true);
        assert_eq!(measure.of(1_000), 500);
        measure.failed(false);
        measure.failed(false);
        assert_eq!(measure.of(1_000), 250);
        for _ in 1..CALM {
            measure.went_through();
        }
        assert_eq!(measure.of(1_000), 250);
        measure.went_through();
        assert_eq!(measure.of(1_000), 500);
        (0..100).for_each(|_| measure.failed(true));
        assert_eq!((measure.of(1), measure.of(256_000)), (1, 1_000));
        (0..8 * CALM).for_each(|_| measure.went_through());
        assert_eq!(measure.of(u64::MAX), u64::MAX);
    }
}
