//! Snapshots: the state of a long stream, so that nobody need fold it from its first event.
//!
//! They are kept off the hot path, by a loop of their own. Of a stream that moves on meanwhile only the latest is kept,
//! and between two rounds the loop leaves the database to others: a stream that is written to all the time costs a few
//! snapshots a second and not one for every so many events. A snapshot is only read by code that says it can: the same
//! build, or one whose manifest names the same encoding.
//!
//! Once the log has gone back, none is kept any more: what is here is of a history that is no more. One that was on its way
//! just then tells by its event that it is not of this log.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use yado_model::Revision;
use yado_store::{EventStore, Snapshot};

use super::StreamKey;
use super::load::Tip;
use crate::catalogue::AggregateType;
use crate::vigil::Vigil;

/// Snapshots that may wait to be kept. One more is left out; the next of its stream comes soon enough.
const QUEUE: usize = 1_024;
/// Bytes of state that may wait.
const QUEUED_BYTES: usize = 32 * 1024 * 1024;
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_millis(100);

/// A handle to the loop that keeps snapshots.
#[derive(Clone)]
pub(super) struct Snapshots {
    queue: mpsc::Sender<Due>,
    queued_bytes: Arc<AtomicUsize>,
    every: u64,
}

/// A state to be kept. It is shared with whoever works with it.
struct Due {
    key: StreamKey,
    encoding: Arc<str>,
    tip: Tip,
}

impl Snapshots {
    /// Starts the loop. It ends when all handles are gone.
    pub(super) fn start(store: Arc<dyn EventStore>, every: u64, vigil: &Vigil) -> Self {
        let (queue, received) = mpsc::channel(QUEUE);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let keeper = Keeper { store, vigil: vigil.clone() };
        tokio::spawn(vigil.watch("the snapshots", run(keeper, received, queued_bytes.clone())));
        Self { queue, queued_bytes, every: every.max(1) }
    }

    /// Keeps a snapshot if the stream has come past a multiple of the distance between snapshots.
    pub(super) fn passed(&self, key: &StreamKey, aggregate: &AggregateType, before: Revision, now: Option<&Tip>) {
        // A group may carry a stream past the multiple without stopping at it.
        if let Some(tip) = now.filter(|tip| tip.revision.get() / self.every > before.get() / self.every) {
            self.keep(key, aggregate, tip);
        }
    }

    /// Keeps a snapshot if it took many events to come to this state, so that the next one who wants it has less to do.
    pub(super) fn folded(&self, key: &StreamKey, aggregate: &AggregateType, events: u64, tip: &Tip) {
        if events >= self.every {
            self.keep(key, aggregate, tip);
        }
    }

    fn keep(&self, key: &StreamKey, aggregate: &AggregateType, tip: &Tip) {
        let bytes = tip.size();
        if self.queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= QUEUED_BYTES {
            let due = Due { key: key.clone(), encoding: aggregate.state_encoding().clone(), tip: tip.clone() };
            if self.queue.try_send(due).is_ok() {
                return;
            }
        }
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Who keeps them.
struct Keeper {
    store: Arc<dyn EventStore>,
    vigil: Vigil,
}

impl Keeper {
    async fn keep(&self, snapshots: &[Snapshot]) {
        if self.vigil.has_rewound().is_some() {
            return;
        }
        if let Err(error) = self.store.save_snapshots(snapshots).await {
            // They are only shortcuts: without them streams are folded from further back.
            tracing::warn!(count = snapshots.len(), %error, "snapshots could not be kept");
        }
    }
}

/// What waits to be kept: of each stream and encoding the latest.
struct Pending {
    latest: HashMap<(StreamKey, Arc<str>), Tip>,
    queued_bytes: Arc<AtomicUsize>,
}

impl Pending {
    fn add(&mut self, Due { key, encoding, tip }: Due) {
        let left = match self.latest.entry((key, encoding)) {
            Entry::Vacant(place) => {
                place.insert(tip);
                return;
            }
            Entry::Occupied(mut place) if place.get().revision < tip.revision => place.insert(tip),
            Entry::Occupied(_) => tip,
        };
        self.queued_bytes.fetch_sub(left.size(), Ordering::Relaxed);
    }

    /// All of it, to be kept.
    fn take(&mut self) -> Vec<Snapshot> {
        let mut snapshots = Vec::with_capacity(self.latest.len());
        for ((StreamKey { tenant, stream, .. }, encoding), tip) in self.latest.drain() {
            self.queued_bytes.fetch_sub(tip.size(), Ordering::Relaxed);
            let Tip { state, revision, command, .. } = tip;
            let (encoding, state) = (encoding.to_string(), state.as_deref().map(<[u8]>::to_vec));
            snapshots.push(Snapshot { tenant, stream, revision, command, encoding, state });
        }
        snapshots
    }
}

async fn run(keeper: Keeper, mut queue: mpsc::Receiver<Due>, queued_bytes: Arc<AtomicUsize>) {
    let mut pending = Pending { latest: HashMap::new(), queued_bytes };
    while let Some(due) = queue.recv().await {
        pending.add(due);
        while !pending.latest.is_empty() {
            while let Ok(due) = queue.try_recv() {
                pending.add(due);
            }
            keeper.keep(&pending.take()).await;
            let until = Instant::now() + PAUSE;
            // Whoever goes down closes the queue, and does not wait for the pause.
            while let Ok(Some(due)) = tokio::time::timeout_at(until, queue.recv()).await {
                pending.add(due);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use yado_model::{Position, StreamId, TenantId};
    use yado_store::{Options, open_events};

    use super::*;

    fn due(id: &str, revision: u64) -> Due {
        let stream = StreamId::parse(&format!("Basket-{id}")).unwrap();
        let tip = Tip { state: Some(vec![0; 10].into()), revision: Revision::new(revision), ..Tip::default() };
        Due { key: StreamKey::new(TenantId::default(), stream), encoding: "code".into(), tip }
    }

    #[test]
    fn of_a_stream_only_the_latest_is_kept() {
        let dues = [due("a", 100), due("b", 100), due("a", 300), due("a", 200)];
        let queued_bytes = Arc::new(AtomicUsize::new(dues.iter().map(|due| due.tip.size()).sum()));
        let mut pending = Pending { latest: HashMap::new(), queued_bytes: queued_bytes.clone() };
        dues.into_iter().for_each(|due| pending.add(due));
        let mut revisions: Vec<u64> = pending.latest.values().map(|tip| tip.revision.get()).collect();
        revisions.sort_unstable();
        assert_eq!(revisions, [100, 300]);
        assert_eq!(queued_bytes.load(Ordering::Relaxed), 2 * due("a", 1).tip.size());
    }

    #[tokio::test]
    async fn none_is_kept_once_the_log_has_gone_back() {
        let store = open_events("sqlite::memory:", &Options::default()).await.unwrap();
        let keeper = Keeper { store: store.clone(), vigil: Vigil::new() };
        let keep = async |id: &str| {
            let mut pending = Pending { latest: HashMap::new(), queued_bytes: Arc::default() };
            let due = due(id, 100);
            pending.queued_bytes.fetch_add(due.tip.size(), Ordering::Relaxed);
            let StreamKey { tenant, stream, .. } = due.key.clone();
            pending.add(due);
            keeper.keep(&pending.take()).await;
            store.snapshot(&tenant, &stream, "code").await.unwrap().is_some()
        };
        assert!(keep("a").await);
        keeper.vigil.rewound(Position::new(7));
        assert!(!keep("b").await);
    }
}
