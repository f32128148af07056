//! Whether what a projection has kept is of the log that there is.
//!
//! Rows are durable somewhere else than events, so that one of the two may be taken back without the other: a log is restored
//! from a backup, or goes on from a standby that had lagged, and the rows show events that are no more. Whoever went on from
//! there would pass over as many new ones. Events never change and have no gaps between them, so that a log which has
//! the very event that a projection has come to has all that are in its rows.
//!
//! And whether it is there still: tables that nobody says to use are dropped, and whoever could not say it comes back to none.

use yado_model::Position;
use yado_store::{Checkpoint, Committed, Error, EventStore};

use super::{FIRST_PAUSE_MS, Runner, Work};
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
                    self.stands_at(checkpoint.position, checkpoint.position, &quarantine);
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

    /// Looks whether what was kept is there still. A process that could not say for long that it uses tables, because it was
    /// frozen or cut off from the database, may find that another one has dropped them. Whoever drops tables takes the
    /// checkpoint back with them, so that this is what tells; and others may have made them again since.
    pub(super) async fn look(&self, definition: &Definition, work: &mut Work) {
        if work.commit.is_some() {
            // It finds by itself what there is to be found.
            return;
        }
        match self.find_lost(definition, work).await {
            Err(rewound @ Failure::Database(Error::Rewound { .. })) => {
                self.trouble(definition, work.settled.position, rewound);
            }
            Err(Failure::Database(error)) => {
                // It is looked again before long.
                tracing::debug!(projection = %definition.projection.key, %error, "what was kept could not be looked at");
            }
            Ok(()) | Err(_) => {}
        }
    }

    async fn find_lost(&self, definition: &Definition, work: &mut Work) -> Result<(), Failure> {
        let (reads, projection) = (&self.surroundings.reads, &definition.projection);
        let found = reads.checkpoint(&projection.key).await?;
        if found == Checkpoint::START {
            let there = reads.tables().await?;
            if !projection.models.iter().all(|model| there.contains(&model.table.name)) {
                tracing::warn!(projection = %projection.key, "tables that are used here were dropped: they are made again");
                self.surroundings.make_tables(projection).await?;
                for model in &projection.models {
                    reads.index_search(&model.table).await?;
                }
            }
        }
        if found.position < work.committed.position {
            self.catch_up_with(work, found).await?;
            self.reached(work);
        }
        Ok(())
    }

    /// Goes on from where another process has moved the checkpoint.
    pub(super) async fn catch_up_with(&self, work: &mut Work, found: Checkpoint) -> Result<(), Failure> {
        let Surroundings { feed, reads, .. } = &self.surroundings;
        let definition = self.definition.borrow().clone();
        let checkpoint = self.where_to_go_on(&definition, work.committed, found).await?;
        let quarantine = Quarantine::load(&**reads, &definition.projection.key).await?;
        if checkpoint.position < work.committed.position {
            // The rows of before are gone. Nobody is to take those that are there meanwhile for all that there are.
            let until = feed.look().await?;
            tracing::warn!(
                projection = %definition.projection.key, checkpoint = %checkpoint.position, head = %until,
                "rows that were shown here are gone: they are filled anew from the log, and shown again when that is done"
            );
            self.report.send_modify(|status| status.stage = Stage::Anew { until });
            // What is told begins as it does for tables that are filled for the first time, however early it had begun here.
            work.telling = None;
            self.told.keeps(None);
        }
        work.knows(quarantine);
        self.tell_of_another(work.committed, checkpoint);
        work.begin_at(checkpoint);
        work.committed = checkpoint;
        Ok(())
    }

    /// Where to go on, now that another process has moved the checkpoint. It may have done this step; or it has dropped the
    /// tables, and they are filled again; or it knows that the log has gone back, while this one has known the log as it was:
    /// then whatever else this process knows is of no use either.
    async fn where_to_go_on(
        &self,
        definition: &Definition,
        committed: Checkpoint,
        found: Checkpoint,
    ) -> Result<Checkpoint, Failure> {
        let events = &*self.surroundings.events;
        let is_ahead = found.position >= committed.position && is_of_this_log(events, found).await?;
        if !is_ahead && !is_of_this_log(events, committed).await? {
            return Err(Failure::Database(Error::Rewound { seen: committed.position }));
        }
        let (projection, position) = (&definition.projection.key, found.position);
        tracing::debug!(%projection, %position, "another process has moved the checkpoint");
        if is_ahead { Ok(found) } else { self.hold(definition, found).await }
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
