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
use super::buffer::{Buffer, Next, Taken};
use super::plan::{Key, Plan};
use super::source::{Failure, Followed, Happened};
use super::subscriber::Message;
use crate::Limits;
use crate::error::Error;

/// The pauses between attempts to read what can't be read at present grow from the first of these to the second.
pub(super) const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long it is waited where nobody takes anything of what has been said, before more is said.
const PATIENCE: Duration = Duration::from_secs(1);

/// Once so much is gathered to be brought into form, in bytes of what it is read from, no more is.
const AT_ONCE_BYTES: usize = 1024 * 1024;

/// When those are to come again who followed something whose loop has failed.
const AGAIN_MS: u64 = 1_000;

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
    plan: Mutex<Arc<Plan>>,
    buffer: Mutex<Buffer>,
    told: Notify,
    /// Told when something has been taken.
    taken: Notify,
    /// How many there are, those who have missed something included.
    subscribers: AtomicUsize,
    ending: OnceLock<Ending>,
    task: OnceLock<AbortHandle>,
}

impl Cohort {
    /// Begins to follow what is asked for. From when this returns nothing is missed.
    pub(super) fn start(live: &Arc<Live>, plan: Arc<Plan>) -> Result<Arc<Self>, Error> {
        let followed = live.source.follow(&plan.topic, plan.tenant(), None)?;
        let buffer = Buffer::new(followed.reached(), live.limits.live_buffer, live.limits.live_buffer_bytes);
        let cohort = Arc::new(Self {
            key: plan.key.clone(),
            plan: Mutex::new(plan),
            buffer: Mutex::new(buffer),
            told: Notify::new(),
            taken: Notify::new(),
            subscribers: AtomicUsize::new(0),
            ending: OnceLock::new(),
            task: OnceLock::new(),
        });
        let follow = follow(Course { live: live.clone(), cohort: cohort.clone() }, followed);
        let task = tokio::spawn(Box::pin(follow));
        // It was empty.
        let _ = cohort.task.set(task.abort_handle());
        Ok(cohort)
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets one in. It is told everything after the place that is returned.
    pub(super) fn enter(&self) -> (Next, Option<Cursor>) {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
        self.buffer().enter()
    }

    pub(super) fn leave(&self, next: Next) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
        self.buffer().leave(next);
        self.taken.notify_one();
    }

    pub(super) fn take(&self, next: &mut Next) -> Taken {
        let taken = self.buffer().take(next);
        self.taken.notify_one();
        taken
    }

    pub(super) fn reached(&self) -> Option<Cursor> {
        self.buffer().reached()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subscribers.load(Ordering::Relaxed) == 0
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
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Says something to all. Where much has been said that is not taken yet, it is waited for as long as that is being taken,
    /// and then gone on without those who don't.
    async fn say(&self, message: Message, limits: &Limits) {
        let longest = Instant::now() + Duration::from_millis(limits.slow_ms);
        while !self.buffer().has_room() {
            let patience = longest.min(Instant::now() + PATIENCE);
            // What is taken before this is waited for wakes it at once: there is only one that waits.
            if timeout_at(patience, self.taken.notified()).await.is_err() {
                self.buffer().make_room();
            }
        }
        self.buffer().push(Arc::new(message));
        self.told.notify_waiters();
    }

    /// All that has happened up to here has been told, if it was to be.
    fn settle(&self, reached: Option<Cursor>) {
        if self.buffer().settle(reached) {
            // Those wait for this who are to be told first what lies behind it.
            self.told.notify_waiters();
        }
    }

    fn end(&self, list: &[ServerError]) {
        // Only the first reason counts.
        let _ = self.ending.set(Ending { errors: errors(list) });
        self.told.notify_waiters();
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
                tracing::error!("the loop of a subscription has failed; all who follow it are told to subscribe again");
            }
            let reason = "what tells this subscription has stopped".into();
            self.cohort.end(&[Error::Engine(EngineError::Unavailable { reason, retry_after_ms: AGAIN_MS }).whole()]);
        }
        self.live.over(&self.cohort);
    }
}

/// The loop of a cohort. It ends with the cohort, or with the last that is in it.
async fn follow(course: Course, followed: Box<dyn Followed>) {
    let reason = goes_on(&course.live, &course.cohort, followed).await;
    course.cohort.end(&reason);
}

/// Tells what happens for as long as that is possible, and then why it is not.
async fn goes_on(live: &Arc<Live>, cohort: &Arc<Cohort>, mut followed: Box<dyn Followed>) -> Vec<ServerError> {
    let mut changes = live.current.changes();
    let mut plan = cohort.plan();
    let mut pause = PAUSES.0;
    // Between the request and here there may have been a deployment.
    changes.mark_changed();
    loop {
        let happened = tokio::select! {
            biased;
            _ = changes.changed() => {
                let served = live.current.get();
                if !plan.is_by(&served) {
                    plan = match plan.by(served, &live.limits).await {
                        Ok(next) => Arc::new(next),
                        Err(problems) => return vec![Error::SchemaChanged { problems: told(&problems) }.whole()],
                    };
                    *cohort.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan.clone();
                }
                continue;
            }
            happened = followed.next(&plan.topic, None) => happened,
        };
        let failure = match happened {
            Ok(Some(first)) => {
                pause = PAUSES.0;
                let (happened, failure) = gather(first, &plan, followed.as_mut(), None);
                // What that takes is large, and most of the time there is nothing to tell.
                let told = Box::pin(plan.tell(happened, &live.limits, live.backend.as_ref())).await;
                live.figures.messages.increment(told.len() as u64);
                for message in told {
                    cohort.say(message, &live.limits).await;
                    // Those who are told are to come to their turn.
                    tokio::task::consume_budget().await;
                }
                failure
            }
            Ok(None) => None,
            Err(failure) => Some(failure),
        };
        match failure {
            None => {}
            Some(Failure { error, passes: true }) => {
                tracing::warn!(%error, "what is subscribed to can't be read; it is tried again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
            Some(Failure { error, passes: false }) => return over(&mut changes, error).await,
        }
        cohort.settle(followed.reached());
    }
}

/// What is at hand behind the first, as much as is brought into form at once; and why there may be no more.
pub(super) fn gather(
    first: Happened,
    plan: &Plan,
    followed: &mut dyn Followed,
    until: Option<Cursor>,
) -> (Vec<Happened>, Option<Failure>) {
    let mut bytes = first.bytes;
    let mut all = vec![first];
    while all.len() < plan.at_once
        && bytes < AT_ONCE_BYTES
        && until.is_none_or(|until| followed.reached() < Some(until))
    {
        match followed.at_hand(&plan.topic) {
            Ok(Some(next)) => {
                bytes += next.bytes;
                all.push(next);
            }
            Ok(None) => break,
            Err(failure) => return (all, Some(failure)),
        }
    }
    (all, None)
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
