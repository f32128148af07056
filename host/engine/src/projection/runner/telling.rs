//! What the loop tells of the rows that it changes.
//!
//! Nothing is told while a projection has a long way to go: nobody can have seen the rows before, and to find each change
//! would cost time that whoever waits for the projection does not have. From when a fifth of as many events are ahead as
//! changes are kept for, everything is told, for as long as the loop goes on: whoever comes with a cursor that is not too old
//! is served by tables that were filled after it as well. After a restart the telling goes on where it was, unless it was
//! left behind for too long.

use std::sync::Arc;

use yado_model::TenantId;
use yado_store::{ChangeQuery, Checkpoint};

use super::{Runner, Work};
use crate::projection::commit::News;

/// While tables are filled, changes are told of the last events: of one part in so many of those that changes are kept for.
/// Telling makes these events cost twice and more, and whoever waits for the tables waits for that.
const PART: u64 = 5;

impl Runner {
    /// Goes on telling after a start, if everything up to here has been told and what comes next is not too much.
    pub(super) async fn resume_telling(&self, work: &mut Work) {
        let position = work.committed.position;
        self.told.at(position);
        if !self.goes_on_telling(work).await && work.committed.replays > 0 {
            // Streams may have been taken up again after the last that was told, at this very position: whoever comes back and
            // has seen all of it may have done so before.
            self.told.breaks(None);
        }
    }

    async fn goes_on_telling(&self, work: &mut Work) -> bool {
        let position = work.committed.position;
        let behind = self.surroundings.feed.head().borrow().get().saturating_sub(position.get());
        if behind > self.surroundings.settings.changes_kept || self.surroundings.settings.changes_kept == 0 {
            return false;
        }
        let key = self.definition.borrow().projection.key.clone();
        match self.surroundings.reads.changes(&key, &ChangeQuery::of_all((position, u32::MAX), 1)).await {
            Ok(page) if page.floor.is_some() && page.settled == position => {
                work.telling = Some(position);
                self.told.keeps(Some(position));
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(projection = %key, %error, "what was told before is not gone on with");
                false
            }
        }
    }

    /// Begins to tell once what is still to be shown is a part of what would be kept.
    pub(super) fn begin_telling(&self, work: &mut Work) {
        if work.telling.is_some() {
            return;
        }
        // It may have begun before, with what had to be taken back since.
        self.told.keeps(None);
        let kept = self.surroundings.settings.changes_kept;
        // Where little is kept, a projection that is up to date might never be that close to a log that grows fast.
        if kept > 0 && (work.reader.waiting() <= kept / PART || !work.reader.is_far_behind()) {
            let from = work.shown.position;
            work.telling = Some(from);
            self.told.keeps(Some(from));
        }
    }

    /// The checkpoint has moved, with what was told of it. If nothing was, nobody knows what has become of the rows. Events
    /// that had waited leave its position where it is: then only rows of their tenant have changed, if any have.
    pub(super) fn tell(&self, from: Checkpoint, to: Checkpoint, news: Option<News>, again: Option<&TenantId>) {
        match news {
            Some(News { none_before, changes, .. }) => self.told.tell(none_before, to.position, &changes),
            None if from.replays == to.replays => self.told.at(to.position),
            None => {}
        }
        if again.is_some() {
            self.told.breaks(again);
        }
    }

    /// Another process has moved the checkpoint. Whose rows it was that it has shown events again of is not known here.
    pub(super) fn tell_of_another(&self, from: Checkpoint, to: Checkpoint) {
        self.told.at(to.position);
        if from.replays != to.replays {
            self.told.breaks(None);
        }
    }

    /// Events have been passed over that have changed nothing.
    pub(super) fn tell_nothing(&self, work: &Work) {
        match work.telling {
            Some(from) => self.told.tell(work.settled.position.max(from), work.shown.position, &[]),
            None => self.told.at(work.shown.position),
        }
    }
}

/// What is told of the rows that have gathered. Of streams that are taken up again nothing is: their events are long past.
pub(super) fn news(work: &mut Work, to: Checkpoint) -> Option<News> {
    let changes = Arc::new(work.memory.told());
    let from = work.telling.filter(|_| to.replays == work.committed.replays)?;
    Some(News { from: from.max(work.committed.position), none_before: from.max(work.settled.position), changes })
}
