//! A stream at work: what is on its way to the log, what is decided ahead of it, and what still waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use yado_model::{Rejection, Revision};
use yado_store::{Append, Appended};

use super::Job;
use super::contention::Contention;
use super::decide::{Decided, decide};
use super::load::Tip;
use crate::catalogue::AggregateType;
use crate::error::{misbehaved, rewound};
use crate::lane::Size;
use crate::{Error, Receipt, Result, Settings};

/// How long a stream may decide before the other streams of its shard get their turn.
const TURN: Duration = Duration::from_millis(1);

/// A stream at work.
pub(super) struct Active {
    /// The code whose states these are.
    pub(super) aggregate: Arc<AggregateType>,
    /// What is durable; none while it is being loaded.
    base: Option<Base>,
    /// What will be durable when all that is decided has gone down.
    tip: Tip,
    /// What is on its way to the log.
    flying: Vec<Flight>,
    /// What is decided and goes next.
    held: Vec<Decision>,
    /// How much of a transaction that will take.
    held_size: Size,
    /// What is not decided yet.
    waiting: VecDeque<Box<Job>>,
    /// Who wants to know whether there is such a thing, and since when.
    probes: Vec<(Instant, oneshot::Sender<Result<bool>>)>,
    /// How it gets on with other processes that write to the same stream.
    contention: Contention,
}

/// What is durable of a stream, as far as is known.
struct Base {
    tip: Tip,
    /// When the log was asked that has said so; none for a state that has lain in memory. Another process may have gone
    /// on since. An append that is built on this finds that out by itself. An answer that records nothing is given only
    /// to those who had asked before the log was asked: it knows of everything that anybody had been told by then.
    as_of: Option<Instant>,
}

/// A decided command.
struct Decision {
    job: Box<Job>,
    came_to: CameTo,
}

enum CameTo {
    Append(Box<Append>, Tip),
    Answer(Result<()>),
}

/// A decided command on its way to the log, or waiting for one that is.
struct Flight {
    job: Box<Job>,
    expects: Expects,
}

enum Expects {
    /// To be recorded on top of this revision, and what the stream comes to by that.
    Record(Revision, Tip),
    /// That what it was built on is recorded.
    Answer(Result<()>),
}

/// What a stream needs next.
pub(super) enum Next {
    /// Its state, from this tip on.
    Load(Tip),
    /// These appends, as one group.
    Fly(Vec<Append>),
    /// To be waited for.
    Wait,
    /// To leave the log to other processes for so long.
    Pause(Duration),
    /// Another turn, after others have had theirs.
    Turn,
    /// Nothing: it is at rest.
    Rest,
}

/// What came of a group.
pub(super) enum Flown {
    /// All of it is recorded.
    Well,
    /// Something lost: the state is to be read again from here, after a pause.
    Reload(Tip, Duration),
}

impl Active {
    pub(super) fn new(aggregate: Arc<AggregateType>) -> Self {
        Self {
            aggregate,
            base: None,
            tip: Tip::default(),
            flying: Vec::new(),
            held: Vec::new(),
            held_size: Size::default(),
            waiting: VecDeque::new(),
            probes: Vec::new(),
            contention: Contention::new(Instant::now()),
        }
    }

    /// The durable state, for when the stream goes to rest.
    pub(super) fn into_base(self) -> Option<Tip> {
        self.base.map(|base| base.tip)
    }

    /// The durable state, while the stream is at work.
    pub(super) fn durable(&self) -> Option<&Tip> {
        self.base.as_ref().map(|base| &base.tip)
    }

    /// Whether as many as that wait, be it for a decision, for the log, or for news of what is durable.
    pub(super) fn is_crowded(&self, most: usize) -> bool {
        let unanswered = self.waiting.len() + self.held.len() + self.flying.len();
        unanswered.max(self.probes.len()) >= most
    }

    pub(super) fn push(&mut self, job: Box<Job>) {
        self.waiting.push_back(job);
    }

    /// Drops what waits for nobody: whoever asked has given up. Nothing is decided of it yet, so nothing need be. Returns
    /// how many commands were among it.
    pub(super) fn forget_abandoned(&mut self) -> usize {
        let before = self.waiting.len();
        self.waiting.retain(|job| !job.reply.is_closed());
        self.probes.retain(|(_, reply)| !reply.is_closed());
        before - self.waiting.len()
    }

    /// Answers a probe as soon as it is certain what is durable.
    pub(super) fn probe(&mut self, reply: oneshot::Sender<Result<bool>>) {
        self.probes.push((Instant::now(), reply));
    }

    /// The state has come from memory.
    pub(super) fn woken(&mut self, tip: Tip) {
        self.tip = tip.clone();
        self.base = Some(Base { tip, as_of: None });
    }

    /// The state has come from the log, which was asked at that time.
    pub(super) fn loaded(&mut self, tip: Tip, as_of: Instant) {
        self.tip = tip.clone();
        self.settle(tip, as_of);
    }

    /// The log, asked at that time, has said what is durable.
    fn settle(&mut self, tip: Tip, as_of: Instant) {
        for (_, reply) in self.probes.extract_if(.., |(asked, _)| *asked <= as_of) {
            let _ = reply.send(Ok(tip.state.is_some()));
        }
        self.base = Some(Base { tip, as_of: Some(as_of) });
    }

    /// The state can't be had: whoever waits for it is told. Returns how many commands that answered.
    pub(super) fn failed(mut self, error: &Error) -> usize {
        for (_, reply) in self.probes.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
        let count = self.waiting.len();
        for job in self.waiting.drain(..) {
            let _ = job.reply.send(Err(error.clone()));
        }
        count
    }

    /// Decides what can be decided, and says what is needed then. `answered` counts the commands that are done with.
    pub(super) fn advance(&mut self, settings: &Settings, answered: &mut usize) -> Next {
        if self.base.is_none() {
            return Next::Wait;
        }
        if let Some(from) = self.decide_ahead(settings, answered) {
            return Next::Load(from);
        }
        if !self.flying.is_empty() || self.contention.pausing() {
            return Next::Wait;
        }
        // What stands first and records nothing was built on what is durable, if the log was asked after the question.
        if let Some(Base { tip, as_of: Some(as_of) }) = &self.base {
            let known = |decision: &&Decision| decision.came_to.is_answer() && decision.job.asked <= *as_of;
            let answers = self.held.iter().take_while(known).count();
            for Decision { job, came_to } in self.held.drain(..answers) {
                if let CameTo::Answer(result) = came_to {
                    answer(*job, result, tip);
                    *answered += 1;
                }
            }
        }
        if self.held.first().is_some_and(|decision| decision.came_to.is_answer()) {
            self.decide_again(None, std::iter::empty());
            return Next::Load(self.reload());
        }
        if !self.held.is_empty() {
            return match self.contention.pause(Instant::now()) {
                Some(pause) => Next::Pause(pause),
                None => Next::Fly(self.take_off(Size::most(settings))),
            };
        }
        if !self.waiting.is_empty() {
            return Next::Turn;
        }
        if self.probes.is_empty() { Next::Rest } else { Next::Load(self.reload()) }
    }

    /// Sends what is decided on its way, as much of it as one transaction holds. The rest has been decided on top of it, and
    /// goes next.
    fn take_off(&mut self, most: Size) -> Vec<Append> {
        let fitting = if self.held_size.is_over(most) { self.fitting(most) } else { self.held.len() };
        let rest = self.held.split_off(fitting);
        self.held_size = rest.iter().map(Decision::size).sum();
        let held = std::mem::replace(&mut self.held, rest);
        let mut appends = Vec::with_capacity(held.len());
        for Decision { job, came_to } in held {
            let expects = match came_to {
                CameTo::Append(append, after) => {
                    let expected = append.expected;
                    appends.push(*append);
                    Expects::Record(expected, after)
                }
                CameTo::Answer(result) => Expects::Answer(result),
            };
            self.flying.push(Flight { job, expects });
        }
        appends
    }

    /// How many of the first decisions one transaction holds: at least one append.
    fn fitting(&self, most: Size) -> usize {
        let mut size = Size::default();
        let over = self.held.iter().position(|decision| {
            let larger = size + decision.size();
            let over = size != Size::default() && larger.is_over(most);
            size = larger;
            over
        });
        over.unwrap_or(self.held.len())
    }

    /// Decides on the state that everything decided so far will leave, for one turn. Returns where to load from if the
    /// next command is for another version of the code, which has a state of its own.
    fn decide_ahead(&mut self, settings: &Settings, answered: &mut usize) -> Option<Tip> {
        let begun = Instant::now();
        let most = Size::most(settings);
        while let Some(job) = self.waiting.front() {
            if job.reply.is_closed() {
                // Whoever asked has given up. Nothing is decided yet, so nothing need be.
                self.waiting.pop_front();
                *answered += 1;
                continue;
            }
            if !Arc::ptr_eq(&job.aggregate, &self.aggregate) {
                if job.aggregate.state_encoding() == self.aggregate.state_encoding() {
                    // The other version reads the states of this one.
                    self.aggregate = job.aggregate.clone();
                } else if self.flying.is_empty() && self.held.is_empty() {
                    self.aggregate = job.aggregate.clone();
                    self.base = None;
                    return Some(Tip::default());
                } else {
                    // The other version decides when this one has finished.
                    return None;
                }
            }
            let full = self.flying.len() + self.held.len() >= settings.ahead.max(1) || self.held_size.fills(most);
            if full || begun.elapsed() >= TURN {
                return None;
            }
            let job = self.waiting.pop_front()?;
            let came_to = match decide(&job, &self.tip, settings) {
                Decided::Append(append, after) => {
                    self.held_size = self.held_size + Size::of(&append);
                    self.tip = after.clone();
                    CameTo::Append(append, after)
                }
                Decided::Answer(result) => CameTo::Answer(result),
            };
            self.held.push(Decision { job, came_to });
        }
        None
    }

    /// The group that was sent at that time has gone down, or has lost, in part or as a whole.
    pub(super) fn flown(
        &mut self,
        sent: Instant,
        outcome: yado_store::Result<Vec<Appended>>,
        settings: &Settings,
        answered: &mut usize,
    ) -> Flown {
        let flown = std::mem::take(&mut self.flying);
        let outcomes = match outcome {
            Ok(outcomes) => outcomes,
            Err(error) => return self.crashed(flown, &error, answered),
        };
        let mut outcomes = outcomes.into_iter();
        let mut flown = flown.into_iter();
        while let Some(Flight { mut job, expects }) = flown.next() {
            let (expected, after) = match expects {
                Expects::Answer(result) => {
                    answer(*job, result, self.base.as_ref().map_or(&self.tip, |base| &base.tip));
                    *answered += 1;
                    continue;
                }
                Expects::Record(expected, after) => (expected, after),
            };
            let stream = job.key.stream.clone();
            let lost = match outcomes.next() {
                Some(Appended::Recorded { revision, position }) => {
                    self.settle(Tip { position, revision, ..after }, sent);
                    let _ = job.reply.send(Ok(Receipt { stream, revision, position, changed: true, repeated: false }));
                    *answered += 1;
                    continue;
                }
                Some(Appended::Conflict { actual }) if job.conflicts >= settings.conflict_retries => {
                    let _ = job.reply.send(Err(Error::Conflict { stream, expected, actual }));
                    *answered += 1;
                    self.decide_again(None, flown.map(|flight| flight.job));
                    let from = self.reload_after(Some(&Appended::Conflict { actual }));
                    return Flown::Reload(from, Duration::ZERO);
                }
                // The store owes an outcome for each append. One that is missing is treated as a conflict, which the
                // next attempt clears up.
                lost @ (Some(Appended::Conflict { .. }) | None) => {
                    job.conflicts += 1;
                    let pause = self.contention.lost(job.conflicts, Instant::now());
                    self.decide_again(Some(job), flown.map(|flight| flight.job));
                    return Flown::Reload(self.reload_after(lost.as_ref()), pause);
                }
                Some(Appended::Repeated(earlier)) => repeated(&job, earlier),
                Some(Appended::Taken { constraint, value }) => Err(taken(&job, &constraint, &value)),
            };
            let _ = job.reply.send(lost);
            *answered += 1;
            self.decide_again(None, flown.map(|flight| flight.job));
            return Flown::Reload(self.reload(), Duration::ZERO);
        }
        self.contention.won(Instant::now());
        Flown::Well
    }

    /// The pause is over.
    pub(super) fn paused(&mut self) {
        self.contention.paused(Instant::now());
    }

    /// Puts back what has lost and is tried again, and all that was built on it, before everything that still waits.
    fn decide_again(&mut self, lost: Option<Box<Job>>, built_on_it: impl Iterator<Item = Box<Job>>) {
        let held = std::mem::take(&mut self.held);
        self.held_size = Size::default();
        let again = lost.into_iter().chain(built_on_it).chain(held.into_iter().map(|decision| decision.job));
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = again.chain(waiting).collect();
    }

    /// The state is to be read again, from what is known to be durable.
    fn reload(&mut self) -> Tip {
        self.base.take().map(|base| base.tip).unwrap_or_default()
    }

    /// The same, after an append was defeated. A stream that has fewer events than are known of it is read from its first
    /// one: the tip that is known is that of a history that is no more.
    fn reload_after(&mut self, lost: Option<&Appended>) -> Tip {
        let known = self.reload();
        match lost {
            Some(Appended::Conflict { actual }) if *actual < known.revision => Tip::default(),
            _ => known,
        }
    }

    /// The database failed. What was on its way is answered; what was built on it is decided again.
    fn crashed(&mut self, flown: Vec<Flight>, error: &yado_store::Error, answered: &mut usize) -> Flown {
        let (sent, ahead): (Vec<_>, Vec<_>) =
            flown.into_iter().partition(|flight| matches!(flight.expects, Expects::Record(..)));
        for Flight { job, .. } in sent {
            let told = failed(&job, error);
            let _ = job.reply.send(Err(told));
            *answered += 1;
        }
        self.decide_again(None, ahead.into_iter().map(|flight| flight.job));
        Flown::Reload(self.reload(), Duration::ZERO)
    }
}

impl Decision {
    /// What it takes of a transaction.
    fn size(&self) -> Size {
        match &self.came_to {
            CameTo::Append(append, _) => Size::of(append),
            CameTo::Answer(_) => Size::default(),
        }
    }
}

impl CameTo {
    const fn is_answer(&self) -> bool {
        matches!(self, Self::Answer(_))
    }
}

fn answer(job: Job, result: Result<()>, at: &Tip) {
    let Tip { revision, position, .. } = *at;
    let receipt =
        result.map(|()| Receipt { stream: job.key.stream, revision, position, changed: false, repeated: false });
    let _ = job.reply.send(receipt);
}

fn repeated(job: &Job, earlier: yado_store::Answer) -> Result<Receipt> {
    match &job.idempotency {
        Some(asked) if asked.request != earlier.request => {
            Err(Error::IdempotencyKeyReused { key: asked.key.to_string() })
        }
        _ => Ok(Receipt {
            stream: earlier.stream,
            revision: earlier.revision,
            position: earlier.position,
            changed: true,
            repeated: true,
        }),
    }
}

fn taken(job: &Job, constraint: &str, value: &str) -> Error {
    let declared = job.aggregate.manifest.constraints.iter().find(|known| known.name.as_str() == constraint);
    let message = match declared.map(|constraint| constraint.description.trim()) {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => format!("{value:?} is taken"),
    };
    let details = Some(serde_json::json!({ "constraint": constraint, "value": value }));
    Error::Rejected(Box::new(Rejection { code: constraint.to_owned(), message, field: None, details }))
}

/// What the caller is told of a transaction that failed.
fn failed(job: &Job, error: &yado_store::Error) -> Error {
    match error {
        // What the store can't keep is what the guest has made.
        yado_store::Error::Invalid(reason) => misbehaved(&job.aggregate.deployed, "decide", reason),
        yado_store::Error::Rewound { seen } => rewound(*seen),
        yado_store::Error::Full(_) => Error::Unavailable {
            reason: "the server's disk is full, and nothing was recorded".into(),
            retry_after_ms: 5_000,
        },
        _ => Error::Unavailable {
            reason: "the database failed while the command was being recorded; whether it was is not known, and a \
                     repetition with the same idempotency key finds out"
                .into(),
            retry_after_ms: 1_000,
        },
    }
}
