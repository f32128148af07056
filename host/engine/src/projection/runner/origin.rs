//! Whether what a projection has kept is of the log that there is.
//!
//! Rows are durable somewhere else than events, so that one of the two may be taken back without the other: a log is restored
//! from a backup, or goes on from a standby that had lagged, and the rows show events that are no more. Whoever went on from
//! there would pass over as many new ones. Events never change and have no gaps between them, so that a log which has
//! the very event that a projection has come to has all that are in its rows.

use yado_model::Position;
use yado_store::{Checkpoint, Committed, Error, EventStore};

use super::{FIRST_PAUSE_MS, Runner};
use crate::projection::quarantine::Quarantine;
use crate::projection::{Definition, Failure, Stage, Surroundings};

impl Runner {
    /// Finds out where to begin, and what is put aside.
    pub(super) async fn resume(&mut self) -> Option<(Checkpoint, Quarantine)> {
        let mut pause_ms = FIRST_PAUSE_MS;
        while self.definition.has_changed().is_ok() {
            let definition = self.definition.borrow().clone();
            match self.find(&definition).await {
                Ok((checkpoint, quarantine)) => {
                    self.stands_at(checkpoint.position, quarantine.count());
                    return Some((checkpoint, quarantine));
                }
                Err(failure) => {
                    self.trouble(&definition, Position::ZERO, failure);
                    self.wait_for_news(pause_ms).await;
                    pause_ms = (pause_ms * 2).min(self.surroundings.settings.projection_retry_ms);
                }
            }
        }
        None
    }

    async fn find(&self, definition: &Definition) -> Result<(Checkpoint, Quarantine), Failure> {
        let Surroundings { reads, .. } = &self.surroundings;
        let found = reads.checkpoint(&definition.projection.key).await?;
        let checkpoint = self.hold(definition, found).await?;
        // What is put aside after this moment moves the checkpoint, so that the first step finds it elsewhere.
        Ok((checkpoint, Quarantine::load(&**reads, &definition.projection.key).await?))
    }

    /// Holds a checkpoint against the log. What is of a history that is no more is discarded, and the projection begins
    /// anew; unless somebody else has seen to that, and has perhaps gone on since.
    async fn hold(&self, definition: &Definition, mut found: Checkpoint) -> Result<Checkpoint, Failure> {
        while !is_of_this_log(&*self.surroundings.events, found).await? {
            found = match self.begin_anew(definition, found).await? {
                Committed::Yes => Checkpoint::START,
                Committed::Elsewhere(found) => found,
            };
        }
        Ok(found)
    }

    async fn begin_anew(&self, definition: &Definition, gone: Checkpoint) -> Result<Committed, Failure> {
        let Surroundings { feed, reads, .. } = &self.surroundings;
        let until = feed.look().await?;
        let projection = &definition.projection;
        tracing::warn!(
            projection = %projection.key, checkpoint = %gone.position, head = %until,
            "what a projection shows is of a history that is no more: the log does not have the event that it has come \
             to, because a backup was restored, or a standby took over that had lagged. It is discarded and filled anew \
             from the log, and shown again when that is done"
        );
        // Nobody is shown anything from here on, whatever becomes of the next step.
        self.report.send_modify(|status| status.stage = Stage::Anew { until });
        let tables: Vec<_> = projection.models.iter().map(|model| model.table.name.as_str()).collect();
        Ok(reads.begin_anew(&projection.key, gone, &tables).await?)
    }

    /// Where to go on, now that another process has moved the checkpoint. It may have done this step; or it knows that the
    /// log has gone back, while this one has known the log as it was: then whatever else this process knows is of no use
    /// either.
    pub(super) async fn catch_up_with(&self, committed: Checkpoint, found: Checkpoint) -> Result<Checkpoint, Failure> {
        let events = &*self.surroundings.events;
        let is_ahead = found.position >= committed.position && is_of_this_log(events, found).await?;
        if !is_ahead && !is_of_this_log(events, committed).await? {
            return Err(Failure::Database(Error::Rewound { seen: committed.position }));
        }
        let definition = self.definition.borrow().clone();
        let (projection, position) = (&definition.projection.key, found.position);
        tracing::debug!(%projection, %position, "another process has done this step");
        if is_ahead { Ok(found) } else { self.hold(&definition, found).await }
    }
}

/// Whether the log has the event that a projection has come to. Where it is not known which one that was, there must be one.
async fn is_of_this_log(events: &dyn EventStore, checkpoint: Checkpoint) -> yado_store::Result<bool> {
    let Some(before) = checkpoint.position.get().checked_sub(1) else { return Ok(true) };
    let page = events.read_log(Position::new(before), 1).await?;
    Ok(match page.first() {
        Some(event) => checkpoint.is_at(event),
        None => false,
    })
}
