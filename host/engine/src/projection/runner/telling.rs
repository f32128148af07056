//! What the loop tells of the rows that it changes.
//!
//! Nothing is told while a projection has a long way to go: nobody can have seen the rows before, and to find each change
//! would cost time that whoever waits for the projection does not have. From when it is nearly there, everything is told,
//! for as long as the loop goes on. After a restart the telling goes on where it was, unless it was left behind for too long.

use std::sync::Arc;

use yado_store::Checkpoint;

use super::{Runner, Work};
use crate::projection::commit::News;

impl Runner {
    /// Goes on telling after a start, if everything up to here has been told and what comes next is not too much.
    pub(super) async fn resume_telling(&self, work: &mut Work) {
        let position = work.committed.position;
        self.told.at(position);
        if !self.goes_on_telling(work).await && work.committed.replays > 0 {
            // Streams may have been taken up again after the last that was told, at this very position: whoever comes back and
            // has seen all of it may have done so before.
            self.told.breaks();
        }
    }

    async fn goes_on_telling(&self, work: &mut Work) -> bool {
        let position = work.committed.position;
        let behind = self.surroundings.feed.head().borrow().get().saturating_sub(position.get());
        if behind > self.surroundings.settings.changes_kept || self.surroundings.settings.changes_kept == 0 {
            return false;
        }
        let key = self.definition.borrow().projection.key.clone();
        match self.surroundings.reads.changes(&key, (position, u32::MAX), 1).await {
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

    /// Begins to tell once the projection is nearly up to date.
    pub(super) fn begin_telling(&self, work: &mut Work) {
        if work.telling.is_none() {
            // It may have begun before, with what had to be taken back since.
            self.told.keeps(None);
        }
        if self.surroundings.settings.changes_kept > 0 && work.telling.is_none() && !work.reader.is_far_behind() {
            let from = work.shown.position;
            work.telling = Some(from);
            self.told.keeps(Some(from));
        }
    }

    /// A checkpoint has moved, with what was told of it. If nothing was, nobody knows what has become of the rows.
    pub(super) fn tell(&self, from: Checkpoint, to: Checkpoint, news: Option<News>) {
        match news {
            Some(News { none_before, changes, .. }) => self.told.tell(none_before, to.position, &changes),
            None => self.told.at(to.position),
        }
        if from.replays != to.replays {
            self.told.breaks();
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
