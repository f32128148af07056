//! A stream at work: what is on its way to the log, what is decided ahead of it, and what still waits.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;
use yado_model::{Digest, Rejection};
use yado_store::{Append, Appended};

use super::Job;
use super::decide::{Decided, decide};
use super::load::Tip;
use crate::catalogue::AggregateType;
use crate::error::misbehaved;
use crate::{Error, Receipt, Result, Settings};

/// A stream at work.
pub(super) struct Active {
    /// The code whose states these are.
    pub(super) aggregate: Arc<AggregateType>,
    /// What is durable; none while it is being loaded.
    base: Option<Tip>,
    /// What will be durable when all that is decided has gone down.
    tip: Tip,
    /// What is on its way to the log.
    flying: Vec<Decision>,
    /// What is decided and goes next.
    held: Vec<Decision>,
    /// What is not decided yet.
    waiting: VecDeque<Box<Job>>,
    /// Who wants to know whether there is such a thing.
    probes: Vec<oneshot::Sender<Result<bool>>>,
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

/// What a stream needs next.
pub(super) enum Next {
    /// Its state, from this tip on.
    Load(Tip),
    /// These appends, as one group.
    Fly(Vec<Append>),
    /// To be waited for.
    Wait,
    /// Nothing: it is at rest.
    Rest,
}

impl Active {
    pub(super) fn new(aggregate: Arc<AggregateType>) -> Self {
        Self {
            aggregate,
            base: None,
            tip: Tip::default(),
            flying: Vec::new(),
            held: Vec::new(),
            waiting: VecDeque::new(),
            probes: Vec::new(),
        }
    }

    pub(super) fn digest(&self) -> Digest {
        self.aggregate.deployed.digest()
    }

    /// The durable state, for when the stream goes to rest.
    pub(super) fn into_base(self) -> Option<Tip> {
        self.base
    }

    pub(super) fn push(&mut self, job: Box<Job>) {
        self.waiting.push_back(job);
    }

    /// Answers a probe, at once if the state is there.
    pub(super) fn probe(&mut self, reply: oneshot::Sender<Result<bool>>) {
        match &self.base {
            Some(base) => drop(reply.send(Ok(base.state.is_some()))),
            None => self.probes.push(reply),
        }
    }

    /// The state has come.
    pub(super) fn loaded(&mut self, tip: Tip) {
        for reply in self.probes.drain(..) {
            let _ = reply.send(Ok(tip.state.is_some()));
        }
        self.tip = tip.clone();
        self.base = Some(tip);
    }

    /// The state can't be had: whoever waits for it is told. Returns how many commands that answered.
    pub(super) fn failed(mut self, error: &Error) -> usize {
        for reply in self.probes.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
        let count = self.waiting.len();
        for job in self.waiting.drain(..) {
            let _ = job.reply.send(Err(error.clone()));
        }
        count
    }

    /// Decides what can be decided, and says what is needed then. `answered` counts the commands that got their answer.
    pub(super) fn advance(&mut self, settings: &Settings, answered: &mut usize) -> Next {
        loop {
            if self.base.is_none() {
                return Next::Wait;
            }
            if let Some(from) = self.decide_ahead(settings) {
                return Next::Load(from);
            }
            if !self.flying.is_empty() {
                return Next::Wait;
            }
            // What stands first and records nothing was built on what is durable by now.
            let answers = self.held.iter().take_while(|decision| decision.came_to.append().is_none()).count();
            for Decision { job, came_to } in self.held.drain(..answers) {
                if let CameTo::Answer(result) = came_to {
                    answer(*job, result, self.base.as_ref().unwrap_or(&self.tip));
                    *answered += 1;
                }
            }
            if !self.held.is_empty() {
                self.flying = std::mem::take(&mut self.held);
                return Next::Fly(
                    self.flying.iter().filter_map(|decision| decision.came_to.append().cloned()).collect(),
                );
            }
            if self.waiting.is_empty() {
                return Next::Rest;
            }
        }
    }

    /// Decides on the state that everything decided so far will leave. Returns where to load from if the next command
    /// is for another version of the code, which has a state of its own.
    fn decide_ahead(&mut self, settings: &Settings) -> Option<Tip> {
        while let Some(job) = self.waiting.front() {
            let at_rest = self.flying.is_empty() && self.held.is_empty();
            if job.aggregate.deployed.digest() != self.digest() {
                // The other version decides when this one has finished.
                if !at_rest {
                    return None;
                }
                self.aggregate = job.aggregate.clone();
                self.base = None;
                return Some(Tip::default());
            }
            if self.flying.len() + self.held.len() >= settings.ahead.max(1) {
                return None;
            }
            let job = self.waiting.pop_front()?;
            let came_to = match decide(&job, &self.tip, settings) {
                Decided::Append(append, after) => {
                    self.tip = after.clone();
                    CameTo::Append(append, after)
                }
                Decided::Answer(result) => CameTo::Answer(result),
            };
            self.held.push(Decision { job, came_to });
        }
        None
    }

    /// The group has gone down, or has lost, in part or as a whole.
    pub(super) fn flown(
        &mut self,
        outcome: yado_store::Result<Vec<Appended>>,
        settings: &Settings,
        answered: &mut usize,
    ) -> Option<Tip> {
        let flown = std::mem::take(&mut self.flying);
        let outcomes = match outcome {
            Ok(outcomes) => outcomes,
            Err(error) => return Some(self.crashed(flown, &error, answered)),
        };
        let mut outcomes = outcomes.into_iter();
        let mut flown = flown.into_iter();
        for decision in flown.by_ref() {
            let Decision { mut job, came_to } = decision;
            let (append, after) = match came_to {
                CameTo::Answer(result) => {
                    answer(*job, result, self.base.as_ref().unwrap_or(&self.tip));
                    *answered += 1;
                    continue;
                }
                CameTo::Append(append, after) => (append, after),
            };
            let stream = job.key.stream.clone();
            let lost = match outcomes.next() {
                Some(Appended::Recorded { revision, position }) => {
                    self.base = Some(Tip { position, revision, ..after });
                    let _ = job.reply.send(Ok(Receipt { stream, revision, position, repeated: false }));
                    *answered += 1;
                    continue;
                }
                Some(Appended::Conflict { actual }) if job.conflicts >= settings.conflict_retries => {
                    Err(Error::Conflict { stream, expected: append.expected, actual })
                }
                // The store owes an outcome for each append. One that is missing is treated as a conflict, which the
                // next attempt clears up.
                Some(Appended::Conflict { .. }) | None => {
                    job.conflicts += 1;
                    self.decide_again(Some(job), flown);
                    return Some(self.reload());
                }
                Some(Appended::Repeated(earlier)) => repeated(&job, earlier),
                Some(Appended::Taken { constraint, value }) => Err(taken(&job, &constraint, &value)),
            };
            let _ = job.reply.send(lost);
            *answered += 1;
            self.decide_again(None, flown);
            return Some(self.reload());
        }
        None
    }

    /// Puts back what has lost and is tried again, and all that was built on it, before everything that still waits.
    fn decide_again(&mut self, lost: Option<Box<Job>>, built_on_it: impl Iterator<Item = Decision>) {
        let held = std::mem::take(&mut self.held);
        let again = lost.into_iter().chain(built_on_it.chain(held).map(|decision| decision.job));
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = again.chain(waiting).collect();
    }

    /// The state is to be read again, from what is known to be durable.
    fn reload(&mut self) -> Tip {
        self.base.take().unwrap_or_default()
    }

    /// The database failed. What was on its way is answered; what was built on it is decided again.
    fn crashed(&mut self, flown: Vec<Decision>, error: &yado_store::Error, answered: &mut usize) -> Tip {
        let (sent, ahead): (Vec<_>, Vec<_>) =
            flown.into_iter().partition(|decision| decision.came_to.append().is_some());
        for decision in sent {
            let told = failed(&decision.job, error);
            let _ = decision.job.reply.send(Err(told));
            *answered += 1;
        }
        self.decide_again(None, ahead.into_iter());
        self.reload()
    }
}

impl CameTo {
    fn append(&self) -> Option<&Append> {
        match self {
            Self::Append(append, _) => Some(append),
            Self::Answer(_) => None,
        }
    }
}

fn answer(job: Job, result: Result<()>, at: &Tip) {
    let Tip { revision, position, .. } = *at;
    let receipt = result.map(|()| Receipt { stream: job.key.stream, revision, position, repeated: false });
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
