//! One that follows something, alone or with others.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use futures::Stream;
use futures::stream;
use yado_engine::Cursor;

use super::Live;
use super::buffer::{Next, Taken};
use super::cohort::{Cohort, Ending, PAUSES};
use super::memory::{Memory, Share};
use super::plan::Plan;
use super::source::{Bound, Failure, gather};
use crate::error::Error;

/// Once so much is ready of what lies behind a subscriber, in bytes, no more is made ready; less, where all together have
/// taken much.
const READY_BYTES: usize = 1024 * 1024;

/// Whoever is no more than so many events behind a cohort enters it, and has kept for him there what he has not been told yet.
/// Whoever is further behind would hold up the others while he is told that.
const NEAR: u64 = 1_000;

/// What has happened, as it is told.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) cursor: Cursor,
    /// The answer, as a JSON document.
    pub(crate) payload: Box<str>,
    /// What that takes.
    _share: Share,
}

impl Message {
    pub(super) fn new(cursor: Cursor, payload: String, memory: &Memory) -> Self {
        let payload = payload.into_boxed_str();
        Self { cursor, _share: memory.share(payload.len()), payload }
    }
}

/// What a subscriber is told.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// Something has happened.
    Next(Arc<Message>),
    /// It is over, and why: a list of errors, as JSON.
    Failed(Arc<[u8]>),
    /// It has not taken in time what it was told, and is told nothing any more.
    Slow,
}

/// One that follows something. What it has missed before it came is told first, then what happens.
pub(crate) struct Subscriber {
    live: Arc<Live>,
    cohort: Arc<Cohort>,
    /// What it is to take next of what the cohort says; nothing, while it has a long way to go to there.
    next: Option<Next>,
    /// Everything up to here has been told, or was not asked for.
    told: Option<Cursor>,
    /// What it is told before it takes part in the cohort.
    behind: Option<Behind>,
    /// Whether it has taken part, and is to keep up.
    joined: bool,
    is_over: bool,
}

/// What lies behind the place that a cohort has come to. Between two goes it is a place and what is ready to be told, and
/// no more: what is read to make that ready is large, and the client may take its time.
struct Behind {
    /// Where the cohort was when that was last looked at. Nothing, until that is known.
    until: Option<Cursor>,
    /// How much has been made ready since.
    made: usize,
    /// Everything up to here is ready, or has been told, or was not asked for.
    from: Option<Cursor>,
    /// What is told next of it.
    ready: VecDeque<Arc<Message>>,
    /// Why nothing is told behind that.
    failed: Option<yado_engine::Error>,
}

impl Behind {
    const fn new(from: Option<Cursor>, until: Option<Cursor>) -> Self {
        Self { until, made: 0, from, ready: VecDeque::new(), failed: None }
    }

    /// Makes the next messages ready, as far as they are at hand; or says that there are none any more.
    async fn make_ready(&mut self, live: &Live, plan: &Plan, until: Cursor) -> Result<bool, Failure> {
        let mut followed = live.source.follow(&plan.topic.subject(), plan.tenant(), self.from)?;
        let mut bytes = 0;
        loop {
            // Where there is little room nothing is made for which there is none.
            let (most, room) = (plan.at_once(), live.behind.room(READY_BYTES));
            let at_once = Bound { bytes: most.bytes.min(room), ..most };
            let (happened, failure) = gather(followed.as_mut(), &plan.topic, until, at_once);
            let reached = followed.reached();
            // What has been formed is kept, even if it is more: it would have to be formed again.
            for message in Box::pin(plan.tell(&happened, live, &live.behind)).await {
                bytes += message.payload.len();
                self.made += 1;
                self.from = Some(message.cursor);
                self.ready.push_back(Arc::new(message));
            }
            // A long way on which there is nothing to tell need not be gone twice. Where the cohort was may be before the
            // place that was asked for.
            self.from = self.from.max(reached.map(|reached| reached.min(until)));
            if let Some(failure) = failure {
                return Err(failure);
            }
            if reached >= Some(until) {
                return Ok(self.ready.is_empty());
            }
            if happened.is_empty() {
                if bytes > 0 {
                    return Ok(false);
                }
                followed.more(Some(until)).await?;
            } else if bytes >= room {
                return Ok(false);
            }
        }
    }
}

impl Subscriber {
    pub(super) fn new(live: Arc<Live>, cohort: Arc<Cohort>, after: Option<Cursor>) -> Self {
        // The cohort may be busy with what happened before somebody asked who is to be told what happens from now on.
        let told = after.or_else(|| cohort.hub.taken());
        cohort.join();
        let next = match after {
            Some(after) => cohort.meet(after),
            None => Some(cohort.enter().0),
        };
        let behind = if next.is_none() { Some(Behind::new(after, cohort.reached())) } else { None };
        let joined = behind.is_none();
        Self { live, cohort, next, told, behind, joined, is_over: false }
    }

    /// What it is told, one after another.
    pub(crate) fn told(self) -> impl Stream<Item = Told> + Send {
        stream::unfold(self, |mut subscriber| async move {
            let told = subscriber.next().await?;
            Some((told, subscriber))
        })
    }

    async fn next(&mut self) -> Option<Told> {
        if self.is_over {
            return None;
        }
        loop {
            let told = match &self.behind {
                Some(_) => self.catch_up().await,
                None => self.take_part().await,
            };
            match told {
                Some(Told::Next(message)) => {
                    self.live.figures.told.increment(1);
                    self.told = self.told.max(Some(message.cursor));
                    return Some(Told::Next(message));
                }
                Some(last) => {
                    if matches!(last, Told::Slow) {
                        self.live.figures.slow.increment(1);
                    }
                    self.is_over = true;
                    return Some(last);
                }
                None => {}
            }
        }
    }

    /// The next of what lies behind; nothing, if it is to be looked again what comes next.
    async fn catch_up(&mut self) -> Option<Told> {
        let Some(behind) = &mut self.behind else { return None };
        let Some(until) = behind.until else {
            // What is followed says when it has begun, wherever that is.
            let told = self.cohort.told();
            let mut told = pin!(told);
            told.as_mut().enable();
            match self.cohort.reached() {
                Some(reached) => behind.until = Some(reached),
                None => match self.cohort.ending() {
                    Some(Ending { errors }) => return Some(Told::Failed(errors)),
                    None => tokio::select! {
                        () = told => {}
                        () = self.cohort.hub.begun() => {}
                    },
                },
            }
            return None;
        };
        while let Some(message) = behind.ready.pop_front() {
            if self.told.is_none_or(|told| told < message.cursor) {
                return Some(Told::Next(message));
            }
        }
        if let Some(error) = behind.failed.take() {
            return Some(failed(error));
        }
        if let Some(Ending { errors }) = self.cohort.ending() {
            return Some(Told::Failed(errors));
        }
        let plan = self.cohort.plan();
        let made = {
            // Nobody closes the semaphore.
            let _turn = self.live.turns.acquire().await;
            Box::pin(behind.make_ready(&self.live, &plan, until)).await
        };
        match made {
            Ok(false) => {}
            Ok(true) => self.come_to(until),
            Err(Failure { error, passes: true }) => {
                tracing::debug!(%error, "what lies behind a subscription can't be read; it is tried again");
                // What is ready is told meanwhile.
                if behind.ready.is_empty() {
                    tokio::time::sleep(PAUSES.1).await;
                }
            }
            // What was at hand before that is told first.
            Err(Failure { error, passes: false }) => behind.failed = Some(error),
        }
        None
    }

    /// Everything has been told up to where the cohort was. It is further by now, if something has happened meanwhile: then
    /// that is gone after, and only for the last stretch of the way it keeps what it says.
    fn come_to(&mut self, until: Cursor) {
        let Some(behind) = &mut self.behind else { return };
        if self.next.is_some() {
            self.behind = None;
        } else if let Some(next) = self.cohort.meet(until) {
            (self.next, self.behind, self.joined) = (Some(next), None, true);
        } else {
            let mut reached = self.cohort.reached();
            let events = reached.map_or(0, |reached| reached.position.get().saturating_sub(until.position.get()));
            // Where there was nothing to tell there is nothing to wait for.
            if events <= NEAR || behind.made == 0 {
                let (next, entered) = self.cohort.enter();
                (self.next, reached) = (Some(next), entered);
            }
            (behind.until, behind.made) = (reached, 0);
        }
    }

    /// The next of what the cohort says; nothing, if it is to be looked again.
    async fn take_part(&mut self) -> Option<Told> {
        loop {
            let told = self.cohort.told();
            let mut told = pin!(told);
            // From here on it is woken, whatever happens while it looks.
            told.as_mut().enable();
            let Some(next) = &mut self.next else {
                self.behind = Some(Behind::new(self.told, self.cohort.reached()));
                return None;
            };
            match self.cohort.take(next) {
                Taken::Message(message) => {
                    self.joined = true;
                    // It may have been told on the way here.
                    if self.told.is_none_or(|told| told < message.cursor) {
                        return Some(Told::Next(message));
                    }
                }
                // Whoever has only just caught up had no chance to take it, and has it told from where he is.
                // Nothing is kept at his place any more.
                Taken::Missed if !self.joined => self.next = None,
                Taken::Missed => return Some(Told::Slow),
                Taken::Nothing => match self.cohort.ending() {
                    Some(Ending { errors }) => return Some(Told::Failed(errors)),
                    None => told.await,
                },
            }
        }
    }
}

fn failed(error: yado_engine::Error) -> Told {
    Told::Failed(super::cohort::errors(&[Error::Engine(error).whole()]))
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.cohort.leave(self.next.take());
        self.live.leave(&self.cohort);
    }
}
