//! Those that ask for the same: what they are told is made once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_graphql::ServerError;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use yado_engine::{Cursor, Error as EngineError};
use yado_model::Code;

use super::Live;
use super::batch::Batch;
use super::buffer::{Buffer, Next, Taken};
use super::happening::Happened;
use super::hub::Hub;
use super::inbox::{Arrived, Inbox, Missed};
use super::plan::{Key, Plan};
use super::source::{Bound, Failure, Followed, gather};
use super::subscriber::Message;
use crate::Limits;
use crate::error::Error;

/// The pauses between attempts to read what can't be read at present grow from the first of these to the second.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long it is waited before it is looked who is to take what has been said, where that is as much as may be.
const PATIENCE: Duration = Duration::from_secs(1);

/// Once so much is gathered to be brought into form, in bytes of what it is read from, no more is; and it is to be no more than
/// that when it has been, as far as that is known before.
pub(super) const AT_ONCE_BYTES: usize = 1024 * 1024;

/// Once so much waits to be brought into form, in bytes of what it is read from, no more is kept.
const WAITING_BYTES: usize = 1024 * 1024;

/// When those are to come again who followed something whose loop has failed.
pub(super) const AGAIN_MS: u64 = 1_000;

/// How long the next deployment is waited for when what is followed is not live any more: the one comes right after the
/// other.
const NEXT_DEPLOYMENT: Duration = Duration::from_secs(5);

/// Why a cohort is over.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    /// A list of errors, as JSON.
    pub(super) errors: Arc<[u8]>,
}

/// Those that ask for the same.
pub(super) struct Cohort {
    pub(super) key: Arc<Key>,
    /// What it is called where it is brought what happens.
    id: u64,
    pub(super) hub: Arc<Hub>,
    inbox: Arc<Inbox>,
    plan: Mutex<Arc<Plan>>,
    buffer: Mutex<Buffer>,
    told: Notify,
    /// Told when something has been taken.
    taken: Notify,
    /// How many there are, those who have not entered yet or have missed something included.
    subscribers: AtomicUsize,
    ending: OnceLock<Ending>,
    task: OnceLock<AbortHandle>,
}

impl Cohort {
    /// Begins to follow what is asked for. From when this returns nothing is missed.
    pub(super) fn start(live: &Arc<Live>, hub: Arc<Hub>, id: u64, plan: Arc<Plan>) -> Arc<Self> {
        let most = Bound { most: live.limits.live_buffer.max(1), bytes: WAITING_BYTES };
        let inbox = Arc::new(Inbox::new(most));
        let reached = hub.enter(id, &plan.topic, &inbox);
        let (most, most_bytes) = (live.limits.live_buffer, live.limits.live_buffer_bytes);
        let buffer = Buffer::new(reached, most, most_bytes, live.memory.clone());
        let cohort = Arc::new(Self {
            key: plan.key.clone(),
            id,
            hub,
            inbox,
            plan: Mutex::new(plan),
            buffer: Mutex::new(buffer),
            told: Notify::new(),
            taken: Notify::new(),
            subscribers: AtomicUsize::new(0),
            ending: OnceLock::new(),
            task: OnceLock::new(),
        });
        let follow = follow(Course { live: live.clone(), cohort: cohort.clone() });
        let task = tokio::spawn(Box::pin(follow));
        // It was empty.
        let _ = cohort.task.set(task.abort_handle());
        cohort
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts one in, for as long as it does not leave. Nothing is kept for it before it enters.
    pub(super) fn join(&self) {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets one in. It is told everything after the place that is returned; late, if it has to be told first what was before.
    pub(super) fn enter(&self, is_late: bool) -> (Next, Option<Cursor>) {
        self.settle();
        self.buffer().enter(is_late)
    }

    /// Lets one in that has been told everything up to a place, unless the cohort is further than that.
    pub(super) fn meet(&self, told: Cursor) -> Option<Next> {
        self.settle();
        let began = self.hub.began();
        let mut buffer = self.buffer();
        let is_there = buffer.reached().or(began).is_some_and(|reached| reached <= told);
        is_there.then(|| buffer.enter(false).0)
    }

    /// Lets one go, with the place that it has, if it has entered.
    pub(super) fn leave(&self, next: Option<Next>) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
        if let Some(next) = next {
            self.buffer().leave(next);
            self.taken.notify_one();
        }
    }

    pub(super) fn take(&self, next: &mut Next) -> Taken {
        let taken = self.buffer().take(next);
        self.taken.notify_one();
        taken
    }

    /// A place behind which it tells everything to whoever has found it without one: how far it has come; or, where it has
    /// told nothing yet, where what it follows began, since it has been brought all of that. Nothing, if that has not begun yet.
    pub(super) fn reached(&self) -> Option<Cursor> {
        self.settle();
        let reached = self.buffer().reached();
        reached.or_else(|| self.hub.began())
    }

    /// All that has happened up to where what is followed has come has been told, if none of it waits.
    fn settle(&self) {
        // In this order: what is brought after the first look is behind the place.
        let brought = self.hub.brought();
        if self.inbox.is_idle() {
            self.buffer().settle(brought);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subscribers.load(Ordering::Relaxed) == 0
    }

    /// How many messages are kept for those who have not taken them yet.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.buffer().kept()
    }

    /// Wakes when there may be something new.
    pub(super) fn told(&self) -> Notified<'_> {
        self.told.notified()
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        self.ending.get().cloned()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ending.get().is_some()
    }

    /// Follows nothing any more.
    pub(super) fn stop(&self) {
        self.hub.leave(self.id);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Brings what has happened into form, and says it to all.
    async fn tell(&self, plan: &Plan, happened: &[Arc<Happened>], live: &Live, batch: &mut Batch) {
        if happened.is_empty() {
            return;
        }
        // What that takes is large, and most of the time there is nothing to tell.
        let told = Box::pin(plan.tell(happened, live, &live.memory)).await;
        batch.formed(told.len(), told.iter().map(|message| message.payload.len()).sum());
        live.figures.messages.increment(told.len() as u64);
        for message in told {
            self.say(message, &live.limits).await;
            // Those who are told are to come to their turn.
            tokio::task::consume_budget().await;
        }
    }

    /// Says something to all. Where as much has been said as is kept, it is waited until half of that has been taken, and
    /// looked from time to time who is waited for: a few are given up soon, and all of them only when they have had as long as
    /// a socket has, or take nothing.
    async fn say(&self, message: Message, limits: &Limits) {
        let bytes = message.payload.len();
        if !self.buffer().has_room(bytes) {
            let longest = Instant::now() + Duration::from_millis(limits.slow_ms);
            let (mut look, mut taken) = (longest.min(Instant::now() + PATIENCE), self.buffer().taken());
            while !self.is_eased(bytes) {
                // What is taken before this is waited for wakes it at once: there is only one that waits.
                if timeout_at(look, self.taken.notified()).await.is_err() {
                    let mut buffer = self.buffer();
                    if look == longest {
                        buffer.make_room(bytes);
                    } else {
                        buffer.look(bytes, taken);
                    }
                    (look, taken) = (longest.min(Instant::now() + PATIENCE), buffer.taken());
                }
            }
        }
        self.buffer().push(Arc::new(message));
        self.told.notify_waiters();
    }

    fn end(&self, list: &[ServerError]) {
        // Only the first reason counts.
        let _ = self.ending.set(Ending { errors: errors(list) });
        self.told.notify_waiters();
    }

    /// Whether half of what may be kept has been taken, by all but those who are still told what was before.
    fn is_eased(&self, bytes: usize) -> bool {
        let mut buffer = self.buffer();
        buffer.pass_late(bytes);
        buffer.is_eased(bytes)
    }

    fn buffer(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list of errors as JSON.
pub(super) fn errors(list: &[ServerError]) -> Arc<[u8]> {
    serde_json::to_vec(list).map_or_else(|_| Arc::from(*b"[]"), Arc::from)
}

/// A cohort whose loop goes on. However that ends, those who are in it are told so, and whoever asks for the same from then
/// on begins anew.
struct Course {
    live: Arc<Live>,
    cohort: Arc<Cohort>,
}

impl Drop for Course {
    fn drop(&mut self) {
        if !self.cohort.has_ended() {
            if std::thread::panicking() {
                let (subject, tenant) = (&self.cohort.hub.place.subject, &self.cohort.hub.place.tenant);
                tracing::error!(%subject, %tenant, "the loop of a subscription has failed; all who follow it are told to subscribe again");
            }
            let reason = "what tells this subscription has stopped".into();
            self.cohort.end(&[Error::Engine(EngineError::Unavailable { reason, retry_after_ms: AGAIN_MS }).whole()]);
        }
        self.live.over(&self.cohort);
    }
}

/// The loop of a cohort. It ends with the cohort, or with the last that is in it.
async fn follow(course: Course) {
    let reason = goes_on(&course.live, &course.cohort).await;
    course.cohort.end(&reason);
}

/// Tells what happens for as long as that is possible, and then why it is not.
async fn goes_on(live: &Arc<Live>, cohort: &Arc<Cohort>) -> Vec<ServerError> {
    let mut changes = live.current.changes();
    let mut plan = cohort.plan();
    let (mut alone, mut batch) = (Alone::default(), Batch::new(usize::MAX));
    // Between the request and here there may have been a deployment.
    changes.mark_changed();
    loop {
        let at_once = batch.within(plan.at_once(), AT_ONCE_BYTES);
        let arrived = tokio::select! {
            biased;
            _ = changes.changed() => {
                let served = live.current.get();
                if !plan.is_by(&served) {
                    plan = match plan.by(served, live).await {
                        Ok(next) => Arc::new(next),
                        Err(problems) => return vec![Error::SchemaChanged { problems: told(&problems) }.whole()],
                    };
                    // Who may see it is the new deployment's to say.
                    if let Err(error) = plan.admit(&live.limits, live.backend.as_ref()) {
                        return vec![error.whole()];
                    }
                    *cohort.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan.clone();
                    cohort.hub.enter(cohort.id, &plan.topic, &cohort.inbox);
                }
                continue;
            }
            arrived = cohort.inbox.next(at_once) => arrived,
        };
        let failure = match arrived {
            Arrived::Happened(happened) => {
                cohort.tell(&plan, &happened, live, &mut batch).await;
                continue;
            }
            Arrived::Missed(missed) => match alone.read(live, &plan, missed, at_once).await {
                Ok((happened, reached, failure)) => {
                    cohort.tell(&plan, &happened, live, &mut batch).await;
                    cohort.inbox.has_read(reached);
                    let Some(failure) = failure else { continue };
                    failure
                }
                Err(failure) => failure,
            },
            Arrived::Failed(error) => Failure { error, passes: false },
        };
        if !failure.passes {
            return over(&mut changes, failure.error).await;
        }
        let (subject, tenant, error) = (&cohort.hub.place.subject, &cohort.hub.place.tenant, &failure.error);
        tracing::warn!(%subject, %tenant, %error, "what is subscribed to can't be read; it is tried again");
        tokio::time::sleep(alone.pause()).await;
    }
}

/// What a cohort reads for itself, because it has come in while others were being told.
#[derive(Default)]
struct Alone {
    followed: Option<Box<dyn Followed>>,
    failures: u32,
}

impl Alone {
    /// The next of what has been left out, how far that goes, and why there may be no more.
    async fn read(
        &mut self,
        live: &Live,
        plan: &Plan,
        missed: Missed,
        at_once: Bound,
    ) -> Result<(Vec<Arc<Happened>>, Cursor, Option<Failure>), Failure> {
        let known = self.followed.take().filter(|followed| followed.reached() == Some(missed.after));
        let mut followed = match known {
            Some(followed) => followed,
            None => live.source.follow(&plan.topic.subject(), plan.tenant(), Some(missed.after))?,
        };
        followed.more(Some(missed.until)).await?;
        let (happened, failure) = gather(followed.as_mut(), &plan.topic, missed.until, at_once);
        self.failures = 0;
        // What lies behind the end is brought, or left out as well.
        let reached = followed.reached().map_or(missed.after, |reached| reached.min(missed.until));
        if reached < missed.until {
            self.followed = Some(followed);
        }
        Ok((happened, reached, failure))
    }

    /// How long it is waited before it is tried again.
    fn pause(&mut self) -> Duration {
        self.followed = None;
        self.failures = self.failures.saturating_add(1);
        (PAUSES.0 * 2_u32.saturating_pow(self.failures - 1)).min(PAUSES.1)
    }
}

/// Why a subscription is over that its source has ended.
async fn over(changes: &mut watch::Receiver<()>, error: EngineError) -> Vec<ServerError> {
    if error.code() == Code::SchemaChanged {
        // Whoever fetches the schema when he is told is to find the next one.
        let _ = tokio::time::timeout(NEXT_DEPLOYMENT, changes.changed()).await;
    }
    vec![Error::Engine(error).whole()]
}

fn told(problems: &[ServerError]) -> String {
    problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ")
}
