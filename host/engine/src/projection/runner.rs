//! The loop of one projection.
//!
//! Three things go on at once: the next page of the log is read, the guest is shown this one, and what it wrote before is
//! committed. One commit is under way at a time, and what is written meanwhile gathers for the next one. So commits are
//! small when there is little to do, and rows that change again and again go down once when there is much.
//!
//! While events keep coming, a round trip for each handful of them would cost more than all the rest. So there is a pace:
//! the loop turns to new events not sooner than some milliseconds after it began its last commit, unless somebody waits
//! for what they change.
//!
//! Whatever fails, everything that was built on what is not committed is forgotten, and made again from the log.

mod origin;

use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use yado_model::{Digest, Position};
use yado_store::{Checkpoint, Committed};

use super::commit::Commit;
use super::memory::Memory;
use super::reader::{Chunk, Reader};
use super::show::show;
use super::status::{Stage, Status, Trouble};
use super::wanted::Wanted;
use super::{Definition, Failure, Surroundings};

/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE_MS: u64 = 50;

/// How far the progress in memory may be ahead of that on disk when none of the events concern the projection. They
/// need not be shown to it again, but reading past them again after a restart costs time.
const UNCOMMITTED: u64 = 50_000;

/// How long rows gather at most while a projection catches up.
const LONGEST_GATHERING: Duration = Duration::from_secs(1);

pub(super) struct Runner {
    definition: watch::Receiver<Definition>,
    surroundings: Surroundings,
    report: watch::Sender<Status>,
    wanted: Wanted,
}

/// What a step has come to.
enum Step {
    /// There may be more to do at once.
    On,
    /// Events may gather for a moment.
    Pause,
    /// There is nothing to do.
    Idle,
}

/// How the loop goes about its work.
struct Course {
    /// The code that it goes for.
    code: Digest,
    /// How many events a call has. It is halved after a failure, which finds the event that is to blame as well as the
    /// number that fits the guest's deadline, and goes up again when the projection has caught up.
    size: u32,
    /// How many it has at most.
    most: u32,
    /// Whether each call is committed before the next one begins.
    step_by_step: bool,
    pause_ms: u64,
}

/// What is under way.
struct Work {
    /// The checkpoint as it is on disk.
    committed: Checkpoint,
    /// Nothing of what was shown up to here is still to be committed. It is ahead of the checkpoint where events did not
    /// concern the projection.
    settled: Checkpoint,
    /// Everything up to here has been shown.
    shown: Checkpoint,
    commit: Option<Commit>,
    /// When rows began their way down for the last time, or were passed over without any.
    paced: Option<Instant>,
    /// Events shown since the last commit was begun.
    events: u64,
    /// When the first of them was shown.
    since: Instant,
    memory: Memory,
    reader: Reader,
}

impl Runner {
    pub(super) const fn new(
        definition: watch::Receiver<Definition>,
        surroundings: Surroundings,
        report: watch::Sender<Status>,
        wanted: Wanted,
    ) -> Self {
        Self { definition, surroundings, report, wanted }
    }

    pub(super) async fn run(mut self) {
        let Some(checkpoint) = self.resume().await else { return };
        let _kept = self.surroundings.room.enter();
        let first = self.definition.borrow().clone();
        let mut course = Course::new(first.projection.deployed.digest(), self.surroundings.settings.batch);
        let mut work = Work {
            committed: checkpoint,
            settled: checkpoint,
            shown: checkpoint,
            commit: None,
            paced: None,
            events: 0,
            since: Instant::now(),
            memory: Memory::new(first.projection.models.len(), 0),
            reader: Reader::new(self.surroundings.feed.clone(), checkpoint),
        };
        drop(first);
        // Whoever starts a projection holds the definition's sender, and drops it to end the loop.
        while self.definition.has_changed().is_ok() {
            let definition = self.definition.borrow_and_update().clone();
            let digest = definition.projection.deployed.digest();
            if course.code != digest {
                // What other code has asked for, or has not stood, says nothing of this one.
                course = Course::new(digest, self.surroundings.settings.batch);
            }
            match self.step(&definition, &course, &mut work).await {
                Ok(Step::On) => course.pause_ms = FIRST_PAUSE_MS,
                Ok(Step::Pause) => self.gather(&mut work).await,
                Ok(Step::Idle) => {
                    course.caught_up();
                    self.wait_for_events(&mut work).await;
                }
                Err(failure) => {
                    self.take_back(&mut work).await;
                    match failure {
                        Failure::Guest { .. } if course.size > 1 => course.halve(),
                        Failure::OneByOne => course.go_one_by_one(),
                        failure => {
                            self.trouble(&definition, work.settled.position, failure);
                            self.wait_for_news(course.pause_ms).await;
                            course.pause_ms = (course.pause_ms * 2).min(self.surroundings.settings.projection_retry_ms);
                        }
                    }
                }
            }
        }
        self.finish(work).await;
    }

    /// Takes one step.
    async fn step(&self, definition: &Definition, course: &Course, work: &mut Work) -> Result<Step, Failure> {
        // One that was begun before the steps became single ones is settled first: there is one commit at a time.
        if course.step_by_step || work.commit.as_ref().is_some_and(Commit::has_ended) {
            self.settle(work).await?;
            self.note_passed(work);
        }
        if !course.step_by_step && self.has_time(work) {
            return Ok(Step::Pause);
        }
        let Some(chunk) = work.reader.next(course.size as usize).await? else {
            if work.commit.is_none() && work.memory.has_gathered() {
                self.begin_commit(definition, work);
            }
            return Ok(Step::Idle);
        };
        let first = chunk.iter().find(|event| definition.projection.listens_to(event)).map(|event| event.position);
        self.show(definition, chunk, work).await.map_err(|failure| failure.at(first))?;
        if course.step_by_step {
            if work.memory.has_gathered() {
                self.begin_commit(definition, work);
                self.settle(work).await.map_err(|failure| failure.at(first))?;
            }
        } else if self.is_due(work) {
            self.settle(work).await?;
            if work.shown.position > work.committed.position {
                self.begin_commit(definition, work);
            }
        }
        self.note_passed(work);
        Ok(Step::On)
    }

    /// Shows events to the guest.
    async fn show(&self, definition: &Definition, chunk: Chunk, work: &mut Work) -> Result<(), Failure> {
        let Some(end) = chunk.end() else { return Ok(()) };
        if work.events == 0 {
            work.since = Instant::now();
        }
        let count = chunk.len() as u64;
        if chunk.iter().any(|event| definition.projection.listens_to(event)) {
            let nothing = Memory::new(definition.projection.models.len(), 0);
            let mut memory = std::mem::replace(&mut work.memory, nothing);
            memory.set_room(self.surroundings.room.share(self.surroundings.settings.rows_kept_bytes));
            let (definition, reads) = (definition.clone(), self.surroundings.reads.clone());
            let runtime = Handle::current();
            let shown = tokio::task::spawn_blocking(move || {
                let outcome = show(&definition, &chunk, &mut memory, &reads, &runtime);
                (memory, outcome)
            });
            // Rows that are lost on the way are no loss: after a failure everything is made again from the log.
            let (memory, outcome) = shown.await.map_err(|error| Failure::Host(error.to_string()))?;
            work.memory = memory;
            outcome?;
        }
        work.shown = end;
        work.events += count;
        Ok(())
    }

    /// Whether what has gathered should go down now. Without haste, because the projection has a long way to go, it is
    /// better to wait until rows have changed more than once; otherwise a commit begins when the one before it has ended.
    fn is_due(&self, work: &Work) -> bool {
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

    /// Sends down what has gathered. Nothing else may be on its way.
    fn begin_commit(&self, definition: &Definition, work: &mut Work) {
        debug_assert!(work.commit.is_none(), "a commit is under way");
        let rows = work.memory.fly();
        let step = (work.committed, work.shown);
        work.commit = Some(Commit::begin(&self.surroundings.reads, &definition.projection, step, rows));
        work.events = 0;
        work.paced = Some(Instant::now());
    }

    /// Waits for the commit that is on its way.
    async fn settle(&self, work: &mut Work) -> Result<(), Failure> {
        let Some(commit) = work.commit.take() else { return Ok(()) };
        let (to, outcome) = commit.ended().await;
        match outcome? {
            Committed::Yes => {
                work.memory.landed();
                (work.committed, work.settled) = (to, to);
                self.reached(to.position);
                Ok(())
            }
            Committed::Elsewhere(found) => {
                let checkpoint = self.catch_up_with(work.committed, found).await?;
                work.begin_at(checkpoint);
                work.committed = checkpoint;
                self.reached(checkpoint.position);
                Ok(())
            }
        }
    }

    /// Takes note of events that did not concern the projection.
    fn note_passed(&self, work: &mut Work) {
        if work.commit.is_none() && !work.memory.has_gathered() && work.settled.position < work.shown.position {
            work.settled = work.shown;
            work.paced = Some(Instant::now());
            self.reached(work.settled.position);
        }
    }

    /// Forgets everything that is not committed, after a failure. First of all what was shown counts as not shown: what
    /// has become of its rows nobody knows, so an empty memory does not mean that it left nothing to commit.
    async fn take_back(&self, work: &mut Work) {
        work.begin_at(work.settled);
        if let Err(Failure::Database(error)) = self.settle(work).await {
            tracing::debug!(%error, "a commit failed as well");
        }
        work.begin_at(work.settled);
    }

    /// Keeps what has been done, so that the next start need not do it again.
    async fn finish(&self, mut work: Work) {
        let definition = self.definition.borrow().clone();
        let settled = self.settle(&mut work).await;
        if settled.is_ok() && work.shown.position > work.committed.position {
            self.begin_commit(&definition, &mut work);
            if let Err(Failure::Database(error)) = self.settle(&mut work).await {
                let projection = &definition.projection.key;
                tracing::debug!(%projection, %error, "the progress was not kept; it will be made again");
            }
        }
    }

    fn reached(&self, position: Position) {
        self.report.send_if_modified(|status| {
            let before = (status.position, status.stage, status.trouble.is_some());
            if status.trouble.take().is_some() {
                tracing::info!(projection = status.name, %position, "a projection gets on again");
            }
            status.reach(position);
            if matches!(before.1, Stage::Anew { .. }) && status.stage == Stage::Following {
                tracing::info!(projection = status.name, %position, "a projection has been filled anew");
            }
            before != (status.position, status.stage, false)
        });
    }

    fn trouble(&self, definition: &Definition, seen: Position, failure: Failure) {
        if let Failure::Database(yado_store::Error::Rewound { seen }) = failure {
            self.surroundings.vigil.rewound(seen);
        }
        let trouble = match failure {
            Failure::Guest { at, reason } => Trouble::Poisoned { at: at.unwrap_or_else(|| seen.plus(1)), reason },
            // The loop answers this by itself.
            Failure::OneByOne => return,
            Failure::Database(error) => Trouble::Database(error.to_string()),
            Failure::Host(reason) => Trouble::Host(reason),
        };
        self.report.send_if_modified(|status| {
            if status.trouble.as_ref() == Some(&trouble) {
                return false;
            }
            let plugin = &definition.projection.deployed.manifest().name;
            tracing::error!(projection = status.name, plugin, %trouble, "a projection does not get on");
            status.trouble = Some(trouble);
            true
        });
    }

    /// Whether events may gather for a moment: the last ones have only just gone down, or are on their way, and nobody
    /// waits. What has been read is shown first, and whoever is far behind has no time.
    fn has_time(&self, work: &Work) -> bool {
        let gather = Duration::from_millis(self.surroundings.settings.gather_ms);
        (work.commit.is_some() || work.paced.is_some_and(|paced| paced.elapsed() < gather))
            && !work.reader.has_rest()
            && !work.reader.is_far_behind()
            && !self.wanted.within(work.settled.position, *self.surroundings.feed.head().borrow())
    }

    /// Lets events gather, until it is time to show them or there is other news.
    async fn gather(&mut self, work: &mut Work) {
        let gather = Duration::from_millis(self.surroundings.settings.gather_ms);
        let rest = work.paced.map_or(Duration::ZERO, |paced| gather.saturating_sub(paced.elapsed()));
        let (idle, mut head) = (work.commit.is_none(), self.surroundings.feed.head());
        let (settled, reader, wanted) = (work.settled.position, &work.reader, &self.wanted);
        tokio::select! {
            () = has_ended(&mut work.commit) => {}
            () = tokio::time::sleep(rest), if idle => {}
            Ok(_) = head.wait_for(|head| reader.would_be_far_behind(*head) || wanted.within(settled, *head)) => {}
            () = wanted.more() => {}
            _ = self.definition.changed() => {}
        }
    }

    /// Waits until the log has grown, as far as this process knows, or until a commit has ended.
    async fn wait_for_events(&mut self, work: &mut Work) {
        let mut head = self.surroundings.feed.head();
        let shown = work.shown.position;
        tokio::select! {
            () = has_ended(&mut work.commit) => {}
            Ok(_) = head.wait_for(|head| *head > shown) => {}
            _ = self.definition.changed() => {}
        }
    }

    /// Waits for other code, or for some time.
    async fn wait_for_news(&mut self, ms: u64) {
        tokio::select! {
            _ = self.definition.changed() => {}
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

impl Course {
    const fn new(code: Digest, batch: u32) -> Self {
        let batch = if batch == 0 { 1 } else { batch };
        Self { code, size: batch, most: batch, step_by_step: false, pause_ms: FIRST_PAUSE_MS }
    }

    /// A failure is closed in upon, and what comes before it is kept.
    const fn halve(&mut self) {
        self.size /= 2;
        self.step_by_step = true;
    }

    const fn go_one_by_one(&mut self) {
        (self.size, self.most, self.step_by_step) = (1, 1, true);
    }

    const fn caught_up(&mut self) {
        (self.size, self.pause_ms, self.step_by_step) = (self.most, FIRST_PAUSE_MS, self.most == 1);
    }
}

impl Work {
    /// Goes on after a checkpoint, with nothing in memory.
    fn begin_at(&mut self, checkpoint: Checkpoint) {
        (self.settled, self.shown) = (checkpoint, checkpoint);
        (self.events, self.paced) = (0, None);
        self.memory.clear();
        self.reader.go_to(checkpoint);
    }
}
