//! Subscriptions: what happens, told to everybody who follows it.
//!
//! What happens to a read model, or in the log, is followed once, by a hub, which brings it to those whom it concerns.
//! Subscriptions that ask for the same are one: a cohort. It brings each message into its form once, and keeps it until the
//! last of its subscribers has taken it; what is sent to ten thousand of them has been made once. A subscriber is a place in
//! that, and no more. Whoever wants to go on from an earlier point is given what is behind that by himself, until he has come
//! to where the cohort is.
//!
//! Invariants: a subscriber is told everything after the point at which it began, in order and once, for as long as it is
//! told anything; or it is told why not. One that takes too little holds up the others for a moment: then it is told so and
//! ends. What is kept for it up to then is shared by all.
//!
//! | what | where |
//! | --- | --- |
//! | what is asked for, once and for all that ask for the same | `plan` |
//! | what that holds of, and where it is looked for | `topic` |
//! | where it comes from, and how it is told | `source`, `happening` |
//! | what is followed, for all | `hub`, `inbox` |
//! | those that ask for the same | `cohort`, `buffer` |
//! | how much is made at once, and how long it is tried again | `batch`, `patience` |
//! | what they may take together, and what those who catch up may | `memory` |
//! | one that asks | `subscriber` |

mod batch;
mod buffer;
mod cohort;
mod figures;
mod happening;
mod hub;
mod inbox;
mod memory;
mod patience;
mod plan;
mod source;
mod subscriber;
mod topic;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_graphql::ServerError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use yado_engine::Cursor;

use crate::Limits;
use crate::backend::Backend;
use crate::current::Current;
use crate::error::Error;
use crate::execute::Lagged;
use crate::opened::Opened;

#[cfg(test)]
pub(crate) use happening::Occurred;
pub(crate) use source::Source;
#[cfg(test)]
pub(crate) use source::{Failure, Followed};
pub(crate) use subscriber::{Subscriber, Told};
#[cfg(test)]
pub(crate) use topic::Subject;

use cohort::Cohort;
use figures::Figures;
use happening::OnTheWay;
use hub::Hub;
use memory::Memory;
use plan::{Key, Plan};

/// For so many subscribers at a time what lies behind them is made ready. The others wait for their turn.
const TURNS: usize = 32;

/// So many more at a time have one for whom nothing was found in their last.
const FAR_TURNS: usize = 8;

/// All that is followed.
pub(crate) struct Live {
    limits: Limits,
    backend: Arc<dyn Backend>,
    source: Arc<dyn Source>,
    current: Arc<Current>,
    cohorts: Mutex<Cohorts>,
    on_the_way: OnTheWay,
    /// What the messages of all cohorts take.
    memory: Memory,
    /// What is made ready takes that lies behind subscribers. Those who catch up leave to those who are live what is theirs.
    behind: Memory,
    /// Turns at making ready what lies behind subscribers: that takes much more while it is made than when it is. Nobody has
    /// one while he waits for the log, for what is related, or for a database to come back.
    turns: Semaphore,
    /// Turns of those for whom nothing was found in their last one. They may have all of the log before them, and so they wait
    /// for one another, and not among those who have something to be told.
    far_turns: Semaphore,
    /// What was waited for in vain: whoever has done so first has done so for all.
    lagged: Lagged,
    /// The places for those that stay: sockets, and streams of events.
    sockets: Arc<Semaphore>,
    closing: watch::Sender<bool>,
    figures: Figures,
}

#[derive(Default)]
struct Cohorts {
    known: HashMap<Arc<Key>, Arc<Cohort>>,
    hubs: HashMap<hub::Place, Arc<Hub>>,
    subscriptions: usize,
    /// How many there have been.
    begun: u64,
}

/// The place of a socket, or of a stream of events. It is given back when this is dropped.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    figures: Figures,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.figures.sockets.decrement(1.0);
    }
}

impl Live {
    pub(crate) fn new(
        limits: &Limits,
        backend: Arc<dyn Backend>,
        source: Arc<dyn Source>,
        current: Arc<Current>,
    ) -> Self {
        let figures = Figures::register();
        Self {
            limits: limits.clone(),
            backend,
            source,
            current,
            cohorts: Mutex::default(),
            on_the_way: OnTheWay::default(),
            memory: Memory::new(figures.live_bytes.clone()),
            behind: Memory::new(figures.behind_bytes.clone()),
            turns: Semaphore::new(TURNS),
            far_turns: Semaphore::new(FAR_TURNS),
            lagged: Lagged::default(),
            sockets: Arc::new(Semaphore::new(places(limits))),
            closing: watch::Sender::new(false),
            figures,
        }
    }

    /// Begins to follow what a request asks for. From when this returns nothing is missed.
    ///
    /// # Errors
    /// Everything that is wrong with the request; or that there is no room for it.
    pub(crate) async fn join(self: &Arc<Self>, opened: Opened) -> Result<Subscriber, Vec<ServerError>> {
        let (plan, after) = Plan::new(opened, &self.limits, self.backend.as_ref()).await?;
        plan.admit(&self.limits, self.backend.as_ref()).map_err(|error| vec![error.whole()])?;
        self.check(after).await.map_err(|error| vec![error.whole()])?;
        self.enter(plan, after).map_err(|error| vec![error.whole()])
    }

    /// Refuses a place that nothing has come to: what happens up to there would be told to nobody. Read models may still be
    /// on their way to it.
    async fn check(&self, after: Option<Cursor>) -> Result<(), Error> {
        match after {
            Some(cursor) if !self.source.has_come_to(cursor.position).await? => Err(Error::NotReached { cursor }),
            _ => Ok(()),
        }
    }

    fn enter(self: &Arc<Self>, plan: Plan, after: Option<Cursor>) -> Result<Subscriber, Error> {
        if self.is_closing() {
            return Err(Error::Closing);
        }
        let mut cohorts = self.cohorts();
        let full = |what: &'static str, limit: usize| Error::Full { what, limit: limit as u64 };
        if cohorts.subscriptions >= self.limits.subscriptions_max {
            return Err(full("subscriptions", self.limits.subscriptions_max));
        }
        let known = cohorts.known.get(&plan.key).filter(|cohort| !cohort.has_ended()).cloned();
        let cohort = match known {
            Some(cohort) => cohort,
            None => {
                if cohorts.known.len() >= self.limits.cohorts_max {
                    return Err(full("different subscriptions", self.limits.cohorts_max));
                }
                let hub = self.hub(&mut cohorts, &plan)?;
                cohorts.begun += 1;
                let cohort = Cohort::start(self, hub, cohorts.begun, Arc::new(plan));
                cohorts.known.insert(cohort.key.clone(), cohort.clone());
                cohort
            }
        };
        cohorts.subscriptions += 1;
        self.figures.subscriptions.set(count(cohorts.subscriptions));
        self.figures.cohorts.set(count(cohorts.known.len()));
        Ok(Subscriber::new(self.clone(), cohort, after))
    }

    /// What a plan is brought by.
    fn hub(self: &Arc<Self>, cohorts: &mut Cohorts, plan: &Plan) -> Result<Arc<Hub>, Error> {
        let place = hub::Place { subject: plan.topic.subject(), tenant: plan.tenant().clone() };
        if let Some(known) = cohorts.hubs.get(&place).filter(|hub| !hub.has_ended()) {
            return Ok(known.clone());
        }
        let hub = Hub::start(self, place.clone())?;
        cohorts.hubs.insert(place, hub.clone());
        Ok(hub)
    }

    /// A subscriber has gone. The last one takes its cohort along.
    fn leave(&self, cohort: &Arc<Cohort>) {
        let mut cohorts = self.cohorts();
        cohorts.subscriptions = cohorts.subscriptions.saturating_sub(1);
        self.figures.subscriptions.set(count(cohorts.subscriptions));
        if cohort.is_empty() {
            self.remove(&mut cohorts, cohort);
        }
    }

    /// A cohort is over. Its subscribers find out by themselves.
    fn over(&self, cohort: &Arc<Cohort>) {
        self.remove(&mut self.cohorts(), cohort);
    }

    fn remove(&self, cohorts: &mut Cohorts, cohort: &Arc<Cohort>) {
        if cohorts.known.get(&cohort.key).is_some_and(|known| Arc::ptr_eq(known, cohort)) {
            cohorts.known.remove(&cohort.key);
        }
        self.figures.cohorts.set(count(cohorts.known.len()));
        cohort.stop();
        if cohort.hub.is_empty() {
            forget(cohorts, &cohort.hub);
        }
    }

    /// A hub is over. Those who are in it find out by themselves.
    fn hub_is_over(&self, hub: &Arc<Hub>) {
        forget(&mut self.cohorts(), hub);
    }

    /// A place for a socket, or for a stream of events.
    ///
    /// # Errors
    /// If all are taken, or the server is about to stop.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        if self.is_closing() {
            return Err(Error::Closing);
        }
        let permit = self.sockets.clone().try_acquire_owned();
        let full = |_| Error::Full { what: "sockets", limit: self.limits.sockets_max.into() };
        let permit = permit.map_err(full)?;
        self.figures.sockets.increment(1.0);
        Ok(Place { _permit: permit, figures: self.figures.clone() })
    }

    /// Tells when the server is about to stop.
    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Ends everything, and waits until it has.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        // Nobody closes the semaphore. Whoever has a place gives it back when it is told.
        let _ = self.sockets.acquire_many(self.limits.sockets_max).await;
    }

    fn cohorts(&self) -> MutexGuard<'_, Cohorts> {
        self.cohorts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of the memory that may be taken by what lies behind subscribers.
    #[cfg(test)]
    pub(crate) fn fill_behind(&self) -> memory::Share {
        self.behind.fill()
    }

    /// How much is taken by what lies behind subscribers.
    #[cfg(test)]
    pub(crate) fn behind_taken(&self) -> usize {
        self.behind.taken()
    }

    /// Takes all turns.
    #[cfg(test)]
    pub(crate) fn take_turns(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.turns.try_acquire_many(TURNS as u32).unwrap()
    }

    /// Takes all turns of those for whom nothing was found in their last one.
    #[cfg(test)]
    pub(crate) fn take_far_turns(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.far_turns.try_acquire_many(FAR_TURNS as u32).unwrap()
    }

    /// How many messages are kept for those who have not taken them yet.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.cohorts().known.values().map(|cohort| cohort.kept()).sum()
    }

    /// How many subscriptions there are, and how many different ones.
    #[cfg(test)]
    pub(crate) fn count(&self) -> (usize, usize) {
        let cohorts = self.cohorts();
        (cohorts.subscriptions, cohorts.known.len())
    }
}

fn forget(cohorts: &mut Cohorts, hub: &Arc<Hub>) {
    if cohorts.hubs.get(&hub.place).is_some_and(|known| Arc::ptr_eq(known, hub)) {
        cohorts.hubs.remove(&hub.place);
    }
    hub.stop();
}

/// A number of things as a figure has it.
#[expect(clippy::cast_precision_loss, reason = "there are never as many as would matter")]
const fn count(things: usize) -> f64 {
    things as f64
}

fn places(limits: &Limits) -> usize {
    usize::try_from(limits.sockets_max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}
