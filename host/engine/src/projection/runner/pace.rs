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

impl Runner {
    /// Whether what has gathered should go down now. Without haste, because the projection has a long way to go, it is
    /// better to wait until rows have changed more than once; otherwise a commit begins when the one before it has ended.
    pub(super) fn is_due(&self, work: &Work) -> bool {
        let settings = &self.surroundings.settings;
        if !work.memory.has_gathered() {
            return work.commit.is_none() && work.shown.position.get() - work.committed.position.get() >= UNCOMMITTED;
        }
        let much = work.events >= settings.gathered_events
            || work.memory.gathered_bytes() >= settings.gathered_bytes
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
