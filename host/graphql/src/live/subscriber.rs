//! One that follows something, alone or with others.

use std::pin::pin;
use std::sync::Arc;

use futures::Stream;
use futures::stream;
use yado_engine::Cursor;
use yado_model::Code;

use super::Live;
use super::buffer::{Next, Taken};
use super::cohort::{Cohort, Ending};
use super::source::Followed;
use crate::error::Error;

/// What has happened, as it is told.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) cursor: Cursor,
    /// The answer, as a JSON document.
    pub(crate) payload: Box<[u8]>,
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

/// What lies behind the place where a cohort was entered.
struct Behind {
    /// Nothing, until it is known where that was.
    until: Option<Cursor>,
    followed: Option<Box<dyn Followed>>,
}

impl Subscriber {
    pub(super) fn new(live: Arc<Live>, cohort: Arc<Cohort>, after: Option<Cursor>) -> Self {
        let (next, reached) = cohort.enter();
        let behind = after.filter(|after| reached.is_none_or(|reached| *after < reached));
        let behind = behind.map(|_| Behind { until: reached, followed: None });
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
                    self.told = Some(message.cursor);
                    return Some(Told::Next(message));
                }
                Some(last) => {
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
            // The cohort says when it has begun, wherever that is.
            let told = self.cohort.told();
            let mut told = pin!(told);
            told.as_mut().enable();
            match self.cohort.reached() {
                Some(reached) => behind.until = Some(reached),
                None => match self.cohort.ending() {
                    Some(Ending { errors }) => return Some(Told::Failed(errors)),
                    None => told.await,
                },
            }
            return None;
        };
        if let Some(Ending { errors }) = self.cohort.ending() {
            return Some(Told::Failed(errors));
        }
        let plan = self.cohort.plan();
        let followed = match &mut behind.followed {
            Some(followed) => followed,
            none => match self.live.source.follow(&plan.topic, plan.tenant(), self.told) {
                Ok(followed) => none.insert(followed),
                Err(error) => return Some(failed(error)),
            },
        };
        match followed.next(&plan.topic, Some(until)).await {
            Ok(Some(happened)) if happened.cursor <= until => {
                let message = plan.tell(happened, &self.live.limits, self.live.backend.as_ref()).await;
                Some(Told::Next(Arc::new(message)))
            }
            Ok(_) => {
                self.behind = None;
                None
            }
            Err(error) if error.code() == Code::Unavailable => {
                tracing::debug!(%error, "what lies behind a subscription can't be read; it is tried again");
                tokio::time::sleep(super::cohort::PAUSES.1).await;
                None
            }
            Err(error) => Some(failed(error)),
        }
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
                    self.cohort.leave(self.next);
                    let (next, until) = self.cohort.enter();
                    self.next = next;
                    self.behind = Some(Behind { until, followed: None });
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
