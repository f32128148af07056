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
use super::plan::Plan;
use super::source::{Failure, gather};
use crate::error::Error;

/// Once so much is ready of what lies behind a subscriber, in bytes, no more is made ready.
const READY_BYTES: usize = 1024 * 1024;

/// What has happened, as it is told.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) cursor: Cursor,
    /// The answer, as a JSON document.
    pub(crate) payload: Box<str>,
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
    /// What it is to take next of what the cohort says.
    next: Next,
    /// Everything up to here has been told, or was not asked for.
    told: Option<Cursor>,
    /// What it is told before it takes part in the cohort.
    behind: Option<Behind>,
    /// Whether it has taken part.
    joined: bool,
    is_over: bool,
}

/// What lies behind the place where a cohort was entered. Between two goes it is a place and what is ready to be told, and
/// no more: what is read to make that ready is large, and the client may take its time.
struct Behind {
    /// Nothing, until it is known where that was.
    until: Option<Cursor>,
    /// Everything up to here is ready, or has been told, or was not asked for.
    from: Option<Cursor>,
    /// What is told next of it.
    ready: VecDeque<Arc<Message>>,
    /// Why nothing is told behind that.
    failed: Option<yado_engine::Error>,
}

impl Behind {
    const fn new(from: Option<Cursor>, until: Option<Cursor>) -> Self {
        Self { until, from, ready: VecDeque::new(), failed: None }
    }

    /// Makes the next messages ready, as far as they are at hand; or says that there are none any more.
    async fn make_ready(&mut self, live: &Live, plan: &Plan, until: Cursor) -> Result<bool, Failure> {
        let mut followed = live.source.follow(&plan.topic.subject(), plan.tenant(), self.from)?;
        let mut bytes = 0;
        loop {
            let (happened, failure) = gather(followed.as_mut(), &plan.topic, until, plan.at_once());
            let reached = followed.reached();
            for message in Box::pin(plan.tell(&happened, &live.limits, live.backend.as_ref())).await {
                if bytes >= READY_BYTES {
                    return Ok(false);
                }
                bytes += message.payload.len();
                self.from = Some(message.cursor);
                self.ready.push_back(Arc::new(message));
            }
            // A long way on which there is nothing to tell need not be gone twice.
            self.from = reached;
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
            } else if bytes >= READY_BYTES {
                return Ok(false);
            }
        }
    }
}

impl Subscriber {
    pub(super) fn new(live: Arc<Live>, cohort: Arc<Cohort>, after: Option<Cursor>) -> Self {
        let (next, reached) = cohort.enter();
        let behind = after.filter(|after| reached.is_none_or(|reached| *after < reached));
        let behind = behind.map(|_| Behind::new(after, reached));
        Self { live, cohort, next, told: after, behind, joined: false, is_over: false }
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
                    self.told = Some(message.cursor);
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
        if let Some(message) = behind.ready.pop_front() {
            return Some(Told::Next(message));
        }
        if let Some(error) = behind.failed.take() {
            return Some(failed(error));
        }
        if let Some(Ending { errors }) = self.cohort.ending() {
            return Some(Told::Failed(errors));
        }
        let plan = self.cohort.plan();
        match Box::pin(behind.make_ready(&self.live, &plan, until)).await {
            Ok(false) => {}
            Ok(true) => self.behind = None,
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

    /// The next of what the cohort says; nothing, if it is to be looked again.
    async fn take_part(&mut self) -> Option<Told> {
        loop {
            let told = self.cohort.told();
            let mut told = pin!(told);
            // From here on it is woken, whatever happens while it looks.
            told.as_mut().enable();
            match self.cohort.take(&mut self.next) {
                Taken::Message(message) => {
                    self.joined = true;
                    // It may have been told on the way here.
                    if self.told.is_none_or(|told| told < message.cursor) {
                        return Some(Told::Next(message));
                    }
                }
                // Whoever has only just caught up had no chance to take it, and has it told from where he is.
                Taken::Missed if !self.joined && self.told.is_some() => {
                    // Whoever leaves at the same time must not find that nobody is in, and take the cohort along.
                    let (next, until) = self.cohort.enter();
                    self.cohort.leave(std::mem::replace(&mut self.next, next));
                    self.behind = Some(Behind::new(self.told, until));
                    return None;
                }
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
        self.cohort.leave(self.next);
        self.live.leave(&self.cohort);
    }
}
