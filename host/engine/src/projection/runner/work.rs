//! What a projection's loop has under way.

use std::time::Instant;

use yado_model::Position;
use yado_store::Checkpoint;

use super::Runner;
use super::again::Again;
use super::pace::Measure;
use crate::projection::commit::Commit;
use crate::projection::memory::Memory;
use crate::projection::quarantine::Quarantine;
use crate::projection::reader::Reader;

/// What is under way.
pub(super) struct Work {
    /// The checkpoint as it is on disk.
    pub(super) committed: Checkpoint,
    /// Nothing of what was shown up to here is still to be committed. It is ahead of the checkpoint where events did not
    /// concern the projection.
    pub(super) settled: Checkpoint,
    /// Everything up to here has been shown, or waits with its stream.
    pub(super) shown: Checkpoint,
    pub(super) commit: Option<Commit>,
    /// When rows began their way down for the last time, or were passed over without any.
    pub(super) paced: Option<Instant>,
    /// How many events the last call has had.
    pub(super) tried: u64,
    /// Events shown since the last commit was begun.
    pub(super) events: u64,
    /// When the first of them was shown.
    pub(super) since: Instant,
    /// How many of them, and of what they change, may gather.
    pub(super) measure: Measure,
    pub(super) memory: Memory,
    pub(super) reader: Reader,
    /// Changes of rows are told from here on, if they are.
    pub(super) telling: Option<Position>,
    /// The streams of which events wait.
    pub(super) quarantine: Quarantine,
    /// Which of them are taken up again.
    pub(super) again: Again,
}

impl Work {
    /// Nothing is under way, and the projection has come to a checkpoint.
    pub(super) fn new(runner: &Runner, checkpoint: Checkpoint, quarantine: Quarantine) -> Self {
        let models = runner.definition.borrow().projection.models.len();
        Self {
            committed: checkpoint,
            settled: checkpoint,
            shown: checkpoint,
            commit: None,
            paced: None,
            tried: 0,
            events: 0,
            since: Instant::now(),
            measure: Measure::default(),
            memory: Memory::new(models, 0),
            reader: Reader::new(runner.surroundings.feed.clone(), checkpoint),
            telling: None,
            quarantine,
            again: Again::default(),
        }
    }

    /// Goes on after a checkpoint, with nothing in memory.
    pub(super) fn begin_at(&mut self, checkpoint: Checkpoint) {
        (self.settled, self.shown) = (checkpoint, checkpoint);
        (self.events, self.paced) = (0, None);
        self.memory.clear();
        // What was not told of these events will not be.
        self.telling = self.telling.filter(|from| *from <= checkpoint.position);
        self.reader.go_to(checkpoint);
    }

    /// Takes note of what is put aside by now, by this process or another one.
    pub(super) fn knows(&mut self, quarantine: Quarantine) {
        self.quarantine = quarantine;
        self.again.look_anew();
    }
}
