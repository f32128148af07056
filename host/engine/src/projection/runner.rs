//! The loop of one projection.
//!
//! Three things go on at once: the next page of the log is read, the guest is shown this one, and what it wrote before is
//! committed. One commit is under way at a time, and what is written meanwhile gathers for the next one. So commits are
//! small when there is little to do, and rows that change again and again go down once when there is much.
//!
//! Whatever fails, everything that was built on what is not committed is forgotten, and made again from the log.

mod again;
mod course;
mod origin;
mod pace;
mod poison;
mod replay;
mod report;
mod telling;
mod work;

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use yado_store::{Checkpoint, Committed};

use super::commit::{Commit, Errand};
use super::control::{Order, QUEUE};
use super::journal::Telling;
use super::memory::Memory;
use super::quarantine::{Letters, Quarantine};
use super::reader::Chunk;
use super::show::show;
use super::status::Status;
use super::wanted::Wanted;
use super::{Definition, Failure, Surroundings};
use crate::changes::Told;
use course::{Course, FIRST_PAUSE_MS};
use poison::Poison;
use replay::Asked;
use telling::news;
use work::Work;

pub(super) struct Runner {
    definition: watch::Receiver<Definition>,
    surroundings: Surroundings,
    told: Arc<Told>,
    report: watch::Sender<Status>,
    wanted: Wanted,
    orders: mpsc::Receiver<Order>,
    /// Streams that an operator wants to be taken up again.
    asked: Vec<Asked>,
    /// Whether the loop stands still until it is told to go on.
    paused: bool,
    /// Whether it is to look if what it has kept is there still.
    looks: bool,
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

impl Runner {
    pub(super) const fn new(
        definition: watch::Receiver<Definition>,
        surroundings: Surroundings,
        told: Arc<Told>,
        report: watch::Sender<Status>,
        wanted: Wanted,
        orders: mpsc::Receiver<Order>,
    ) -> Self {
        Self { definition, surroundings, told, report, wanted, orders, asked: Vec::new(), paused: false, looks: false }
    }

    /// The same, which stands still from the beginning, or does not.
    pub(super) fn paused(mut self, paused: bool) -> Self {
        self.paused = paused;
        self
    }

    pub(super) async fn run(mut self) {
        let Some((checkpoint, quarantine)) = self.resume().await else { return };
        let _kept = self.surroundings.room.enter();
        let mut course = Course::new(self.definition.borrow().digest(), self.surroundings.settings.batch);
        let mut work = Work::new(&self, checkpoint, quarantine);
        self.resume_telling(&mut work).await;
        // Whoever starts a projection holds the definition's sender, and drops it to end the loop.
        while self.definition.has_changed().is_ok() {
            let definition = self.definition.borrow_and_update().clone();
            if course.code != definition.digest() {
                // What other code has asked for, or has not stood, says nothing of this one.
                course = Course::new(definition.digest(), self.surroundings.settings.batch);
            }
            work.again.follow(&definition);
            while self.asked.len() < QUEUE
                && let Ok(order) = self.orders.try_recv()
            {
                self.take(order);
            }
            if std::mem::take(&mut self.looks) {
                self.look(&definition, &mut work).await;
            }
            if self.paused {
                self.stand_still(&definition, &mut work).await;
                continue;
            }
            // One stream is taken up again between two steps: those that go on need not wait for all that were put aside.
            let step = match self.take_up(&definition, &mut work).await {
                Ok(taken_up) => match self.step(&definition, &course, &mut work).await {
                    Ok(Step::Pause | Step::Idle) if taken_up => Ok(Step::On),
                    step => step,
                },
                Err(failure) => Err(failure),
            };
            match step {
                Ok(Step::On) => course.gets_on(),
                Ok(Step::Pause) => self.gather(&mut work).await,
                Ok(Step::Idle) => {
                    course.caught_up();
                    self.wait_for_events(&mut work).await;
                }
                Err(failure) => {
                    self.take_back(&mut work).await;
                    self.answer(&definition, &mut course, &mut work, failure).await;
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
        self.begin_telling(work);
        let Some(chunk) = work.reader.next(course.size as usize).await? else {
            if work.commit.is_none() && work.memory.has_gathered() {
                self.begin_commit(definition, work);
            }
            return Ok(Step::Idle);
        };
        let concerns = |event: &_| definition.projection.listens_to(event) && !work.quarantine.holds(event);
        let first = chunk.iter().find(|event| concerns(event)).map(|event| event.position);
        self.show(definition, course, chunk, work).await.map_err(|failure| failure.at(first))?;
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
    async fn show(
        &self,
        definition: &Definition,
        course: &Course,
        chunk: Chunk,
        work: &mut Work,
    ) -> Result<(), Failure> {
        let Some(end) = chunk.end() else { return Ok(()) };
        if work.events == 0 {
            work.since = Instant::now();
        }
        let count = chunk.len() as u64;
        work.tried = count;
        let held = work.quarantine.clone();
        let telling = Telling { told: work.telling.is_some(), apart: course.apart };
        self.ask(definition, chunk, work, held, telling).await?;
        work.shown = end;
        work.events += count;
        Ok(())
    }

    /// Asks the guest what becomes of rows with events, but for those that are held back.
    async fn ask(
        &self,
        definition: &Definition,
        chunk: Chunk,
        work: &mut Work,
        held: Quarantine,
        telling: Telling,
    ) -> Result<(), Failure> {
        if !chunk.iter().any(|event| definition.projection.listens_to(event) && !held.holds(event)) {
            return Ok(());
        }
        let nothing = Memory::new(definition.projection.models.len(), 0);
        let mut memory = std::mem::replace(&mut work.memory, nothing);
        memory.set_room(self.surroundings.room.share(self.surroundings.settings.rows_kept_bytes));
        let (definition, reads) = (definition.clone(), self.surroundings.reads.clone());
        let runtime = Handle::current();
        let shown = tokio::task::spawn_blocking(move || {
            let outcome = show(&definition, &chunk, &held, telling, &mut memory, &reads, &runtime);
            (memory, outcome)
        });
        // Rows that are lost on the way are no loss: after a failure everything is made again from the log.
        let (memory, outcome) = shown.await.map_err(|error| Failure::Host(error.to_string()))?;
        work.memory = memory;
        outcome
    }

    /// Sends down what has gathered.
    fn begin_commit(&self, definition: &Definition, work: &mut Work) {
        let to = Checkpoint { replays: work.committed.replays, ..work.shown };
        self.send(definition, work, to, Letters::default());
    }

    /// Sends down what has gathered, and what becomes of streams. Nothing else may be on its way.
    fn send(&self, definition: &Definition, work: &mut Work, to: Checkpoint, letters: Letters) {
        debug_assert!(work.commit.is_none(), "a commit is under way");
        let news = news(work, to);
        let strokes = work.memory.strokes();
        let errand = Errand { from: work.committed, to, rows: work.memory.fly(), strokes, letters, news };
        work.commit = Some(Commit::begin(&self.surroundings.reads, &definition.projection, errand));
        work.events = 0;
        work.paced = Some(Instant::now());
    }

    /// Waits for the commit that is on its way.
    async fn settle(&self, work: &mut Work) -> Result<(), Failure> {
        let Some(commit) = work.commit.take() else { return Ok(()) };
        let (to, letters, news, outcome) = commit.ended().await;
        match outcome? {
            Committed::Yes => {
                work.measure.went_through();
                work.memory.landed();
                self.tell(work.committed, to, news, letters.again.as_ref());
                work.quarantine.take(letters);
                (work.committed, work.settled) = (to, to);
            }
            Committed::Elsewhere(found) => self.catch_up_with(work, found).await?,
        }
        self.reached(work);
        Ok(())
    }

    /// Sends down everything that was shown, and waits for it.
    async fn settle_all(&self, definition: &Definition, work: &mut Work) -> Result<(), Failure> {
        self.settle(work).await?;
        if work.memory.has_gathered() || work.shown.position > work.committed.position {
            self.begin_commit(definition, work);
            self.settle(work).await?;
        }
        Ok(())
    }

    /// Takes note of events that did not concern the projection.
    fn note_passed(&self, work: &mut Work) {
        if work.commit.is_none() && !work.memory.has_gathered() && work.settled.position < work.shown.position {
            self.tell_nothing(work);
            work.settled = work.shown;
            work.paced = Some(Instant::now());
            self.reached(work);
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

    /// Does something about a failure: closes in upon the event that is to blame, puts it aside, or waits.
    async fn answer(&mut self, definition: &Definition, course: &mut Course, work: &mut Work, failure: Failure) {
        work.measure.failed(matches!(failure, Failure::Database(_)));
        let failure = match failure {
            Failure::Guest { at, exact, .. } if !course.is_down_to_one() => {
                let sound = at.map_or(0, |at| at.get().saturating_sub(work.settled.position.get() + 1));
                return course.close_in(work.tried, sound, exact);
            }
            Failure::OneByOne => return course.go_one_by_one(),
            Failure::Unattributed => return course.tell_apart(),
            Failure::Guest { at: Some(at), exact, reason, by } if self.may_park(definition, work) => {
                let poison = Poison { at, reason, by, attempts: course.failed_at(at) };
                match self.park(definition, work, &poison).await {
                    // What was small to find the event may be large again behind it.
                    Ok(true) => return course.caught_up(),
                    Ok(false) => Failure::Guest { at: Some(at), exact, reason: poison.reason, by: poison.by },
                    Err(failure) => {
                        self.take_back(work).await;
                        failure
                    }
                }
            }
            failure => failure,
        };
        self.trouble(definition, work.settled.position, failure);
        let pause_ms = course.pause(self.surroundings.settings.projection_retry_ms);
        self.wait_for_news(pause_ms).await;
    }

    /// Stands still until there is an order or other code. What has been shown goes down first.
    async fn stand_still(&mut self, definition: &Definition, work: &mut Work) {
        if self.settle_all(definition, work).await.is_err() {
            // It is made again from the log when the loop goes on.
            self.take_back(work).await;
        }
        self.report.send_if_modified(|status| !std::mem::replace(&mut status.paused, true));
        tokio::select! {
            // All of them, or the one to go on might wait for ever behind those that this one does not come to. Nobody asks
            // a loop that stands to take up a stream.
            Some(order) = self.orders.recv() => self.take(order),
            _ = self.definition.changed() => {}
        }
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

    /// Takes note of an order.
    fn take(&mut self, order: Order) {
        match order {
            Order::Replay { held, reply } => self.asked.push(Asked { held, reply }),
            Order::Pause(paused) => {
                self.paused = paused;
                if !paused {
                    self.report.send_if_modified(|status| std::mem::replace(&mut status.paused, false));
                }
            }
            Order::Look => self.looks = true,
        }
    }
}
