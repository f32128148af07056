//! A stream at work: what is on its way to the log, what is decided ahead of it, and what still waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use yado_model::{Position, Revision};
use yado_store::{Append, Appended};

use super::Job;
use super::contention::Contention;
use super::decide::{Decided, decide, weight};
use super::held::{Expects, Flight, Held};
use super::load::Tip;
use super::room::Room;
use super::told::{Refused, answer, failed, recorded, refuse, repeated, taken};
use crate::catalogue::AggregateType;
use crate::{Error, Result, Settings};

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
    flying: Vec<Flight<Box<Job>>>,
    /// What is decided and goes next.
    held: Held<Box<Job>>,
    /// Whether there was no room for one more decision. There is none before something of this stream has gone down.
    short_of_room: bool,
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
    /// to those who had asked before the log was asked: it knows of everything that anybody had been told by then. An
    /// append that is sent after the question and wins has asked the log as well.
    as_of: Option<Instant>,
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
    pub(super) fn new(aggregate: Arc<AggregateType>, settings: &Settings) -> Self {
        Self {
            aggregate,
            base: None,
            tip: Tip::default(),
            flying: Vec::new(),
            held: Held::new(settings),
            short_of_room: false,
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

    /// Drops what waits for nobody: whoever asked has given up. Nothing will be recorded of it, so nothing need be done.
    /// Returns how many commands were among it.
    pub(super) fn forget_abandoned(&mut self) -> usize {
        let before = self.waiting.len() + self.held.len();
        self.waiting.retain(|job| !job.reply.is_closed());
        // What is held while the state is being loaded are answers, and nothing is built on those.
        if self.base.is_none() {
            self.held.retain_answers(|job| !job.reply.is_closed());
        }
        self.probes.retain(|(_, reply)| !reply.is_closed());
        before - self.waiting.len() - self.held.len()
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
        // Answers for which the log was asked stand if it has nothing new.
        let as_known = (tip.revision, tip.command) == (self.tip.revision, self.tip.command);
        if !self.held.is_empty() && !as_known {
            self.decide_again(std::iter::empty());
        }
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
        let mut count = 0;
        for job in self.held.undecided().chain(self.waiting.drain(..)) {
            refuse(*job, Refused::Failed(error.clone()));
            count += 1;
        }
        count
    }

    /// Decides what can be decided, and says what is needed then. `answered` counts the commands that are done with.
    pub(super) fn advance(&mut self, settings: &Settings, room: &Arc<Room>, answered: &mut usize) -> Next {
        if self.base.is_none() {
            return Next::Wait;
        }
        if let Some(from) = self.decide_ahead(settings, room, answered) {
            return Next::Load(from);
        }
        if !self.flying.is_empty() || self.contention.pausing() {
            return Next::Wait;
        }
        self.answer_what_is_known(answered);
        if self.held.records() {
            // Answers that come first go along. The append behind them shows whether they were built on what is durable.
            return match self.contention.pause(Instant::now()) {
                Some(pause) => Next::Pause(pause),
                None => {
                    let appends;
                    (appends, self.flying) = self.held.take_off();
                    Next::Fly(appends)
                }
            };
        }
        if !self.held.is_empty() {
            // Nothing will show that, so the log is asked.
            return Next::Load(self.reload());
        }
        if !self.waiting.is_empty() {
            return Next::Turn;
        }
        if self.probes.is_empty() { Next::Rest } else { Next::Load(self.reload()) }
    }

    /// Gives the answers that come first, to those who had asked before the log was asked.
    fn answer_what_is_known(&mut self, answered: &mut usize) {
        let Some(Base { tip, as_of: Some(as_of) }) = &self.base else { return };
        for (job, result) in self.held.first_answers(|job| job.asked <= *as_of) {
            answer(*job, result, tip.revision, tip.position);
            *answered += 1;
        }
    }

    /// Decides on the state that everything decided so far will leave, for one turn. Returns where to load from if the
    /// next command is for another version of the code, which has a state of its own.
    fn decide_ahead(&mut self, settings: &Settings, room: &Arc<Room>, answered: &mut usize) -> Option<Tip> {
        let begun = Instant::now();
        while let Some(job) = self.waiting.front() {
            let at_rest = self.flying.is_empty() && self.held.is_empty();
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
                } else if at_rest {
                    self.aggregate = job.aggregate.clone();
                    self.base = None;
                    return Some(Tip::default());
                } else {
                    // The other version decides when this one has finished.
                    return None;
                }
            }
            let most = settings.ahead.max(1);
            let full = self.flying.len() + self.held.len() >= most || self.held.fills_a_transaction();
            let short = self.short_of_room && !at_rest;
            if full || short || begun.elapsed() >= TURN {
                return None;
            }
            let job = self.waiting.pop_front()?;
            match decide(&job, &self.tip, settings) {
                Decided::Answer(result) => self.held.answer(job, result),
                Decided::Append(append, after) => {
                    // What a group is built on stays in memory for as long as the group is under way.
                    let before = if self.held.records() { 0 } else { self.tip.size() };
                    match room.take(weight(&append) + before + after.size()) {
                        Some(place) => {
                            self.short_of_room = false;
                            self.tip = after.clone();
                            self.held.append(job, append, after, place);
                        }
                        None if at_rest => {
                            refuse(*job, Refused::NoRoom);
                            *answered += 1;
                        }
                        None => {
                            self.waiting.push_front(job);
                            self.short_of_room = true;
                            return None;
                        }
                    }
                }
            }
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
        self.short_of_room = false;
        let outcomes = match outcome {
            Ok(outcomes) => outcomes,
            Err(error) => return self.crashed(flown, &error, answered),
        };
        let mut outcomes = outcomes.into_iter();
        let mut flown = flown.into_iter();
        // Where the stream stands after what has won so far; none as long as nothing has.
        let mut at: Option<(Revision, Position)> = None;
        // Answers that come before that. All of them had been asked for before the group was sent, so if its first append
        // wins, what they were built on was all there was at a time after that.
        let mut kept_back: Vec<(Box<Job>, Result<()>)> = Vec::new();
        while let Some(Flight { mut job, expects }) = flown.next() {
            let (expected, after) = match (expects, at) {
                (Expects::Answer(result), None) => {
                    kept_back.push((job, result));
                    continue;
                }
                (Expects::Answer(result), Some((revision, position))) => {
                    answer(*job, result, revision, position);
                    *answered += 1;
                    continue;
                }
                (Expects::Record { expected, after, .. }, _) => (expected, after),
            };
            let outcome = outcomes.next();
            if let Some(Appended::Recorded { revision, position }) = outcome {
                let before = self.base.as_ref().map_or(&self.tip, |base| &base.tip);
                for (job, result) in kept_back.drain(..) {
                    answer(*job, result, before.revision, before.position);
                    *answered += 1;
                }
                if let Some(after) = after {
                    self.settle(Tip { position, revision, ..after }, sent);
                }
                at = Some((revision, position));
                recorded(*job, revision, position);
                *answered += 1;
                continue;
            }
            let mut pause = Duration::ZERO;
            let mut lost = None;
            match &outcome {
                Some(Appended::Conflict { actual }) if job.conflicts >= settings.conflict_retries => {
                    let (stream, actual) = (job.key.stream.clone(), *actual);
                    refuse(*job, Refused::Failed(Error::Conflict { stream, expected, actual }));
                }
                Some(Appended::Repeated(earlier)) => repeated(*job, earlier.clone()),
                Some(Appended::Taken { constraint, value }) => {
                    let error = taken(&job, constraint, value);
                    refuse(*job, Refused::Failed(error));
                }
                // The store owes an outcome for each append. One that is missing is treated as a conflict, which the
                // next attempt clears up.
                Some(Appended::Conflict { .. } | Appended::Recorded { .. }) | None => {
                    job.conflicts += 1;
                    pause = self.contention.lost(job.conflicts, sent, Instant::now());
                    lost = Some(job);
                }
            }
            *answered += usize::from(lost.is_none());
            let kept_back = kept_back.into_iter().map(|(job, _)| job);
            self.decide_again(kept_back.chain(lost).chain(flown.map(|flight| flight.job)));
            return Flown::Reload(self.reload_after(outcome.as_ref()), pause);
        }
        self.contention.won(sent, Instant::now());
        Flown::Well
    }

    /// The pause is over.
    pub(super) fn paused(&mut self) {
        self.contention.paused(Instant::now());
    }

    /// Puts back what is tried again, and all that is held, before everything that still waits.
    fn decide_again(&mut self, again: impl Iterator<Item = Box<Job>>) {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting = again.chain(self.held.undecided()).chain(waiting).collect();
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

    /// The database failed. What was on its way is answered; what was built on it, or waited for it, is decided again.
    fn crashed(&mut self, flown: Vec<Flight<Box<Job>>>, error: &yado_store::Error, answered: &mut usize) -> Flown {
        let (sent, others): (Vec<_>, Vec<_>) =
            flown.into_iter().partition(|flight| matches!(flight.expects, Expects::Record { .. }));
        for Flight { job, .. } in sent {
            let told = failed(&job, error);
            refuse(*job, Refused::Failed(told));
            *answered += 1;
        }
        self.decide_again(others.into_iter().map(|flight| flight.job));
        Flown::Reload(self.reload(), Duration::ZERO)
    }
}
