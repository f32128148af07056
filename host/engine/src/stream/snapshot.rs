//! Snapshots: the state of a long stream, so that nobody need fold it from its first event.
//!
//! They are taken off the hot path, by a loop of their own. When that one is busy a snapshot is left out; the next one
//! comes soon enough. A snapshot is only read by code that says it can: the same build, or one whose manifest names the
//! same encoding.

use std::sync::Arc;

use tokio::sync::mpsc;
use yado_model::Revision;
use yado_store::{EventStore, Snapshot};

use super::StreamKey;
use super::load::Tip;
use crate::catalogue::AggregateType;
use crate::vigil::Vigil;

/// Snapshots that may wait to be kept.
const QUEUE: usize = 64;

/// A handle to the loop that keeps snapshots.
#[derive(Clone)]
pub(super) struct Snapshots {
    queue: mpsc::Sender<Snapshot>,
    every: u64,
}

impl Snapshots {
    /// Starts the loop. It ends when all handles are gone.
    pub(super) fn start(store: Arc<dyn EventStore>, every: u64, vigil: &Vigil) -> Self {
        let (queue, mut received) = mpsc::channel::<Snapshot>(QUEUE);
        tokio::spawn(vigil.watch("the loop of snapshots", async move {
            while let Some(snapshot) = received.recv().await {
                if let Err(error) = store.save_snapshot(&snapshot).await {
                    // It is only a shortcut: without it the stream is folded from further back.
                    tracing::warn!(stream = %snapshot.stream, %error, "a snapshot could not be kept");
                }
            }
        }));
        Self { queue, every: every.max(1) }
    }

    /// Takes a snapshot if the stream has come past a multiple of the distance between snapshots.
    pub(super) fn consider(&self, key: &StreamKey, aggregate: &AggregateType, before: Revision, now: Option<&Tip>) {
        // A group may carry a stream past the multiple without stopping at it.
        let Some(tip) = now.filter(|tip| tip.revision.get() / self.every > before.get() / self.every) else { return };
        let snapshot = Snapshot {
            tenant: key.tenant.clone(),
            stream: key.stream.clone(),
            revision: tip.revision,
            encoding: aggregate.state_encoding(),
            state: tip.state.as_deref().map(<[u8]>::to_vec),
        };
        // A full queue leaves it out.
        let _ = self.queue.try_send(snapshot);
    }
}
