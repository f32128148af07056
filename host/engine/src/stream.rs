//! The streams: where commands are decided.
//!
//! Streams are spread over shards. A shard is a loop that owns the state of its streams, so a stream is decided in
//! order without a lock, and different streams are decided in parallel.
//!
//! A stream need not wait for the disk between two commands. While a group of its appends is on its way, further
//! commands are decided on the state that the group will leave, and go down together as the next group. Nobody hears of
//! a decision, not even of a refusal, before everything that it was built on is durable; and if a group loses, all that
//! was built on it is decided again.

mod active;
mod contention;
mod decide;
mod figures;
mod held;
mod key;
mod load;
pub(crate) mod pieces;
mod resident;
mod room;
mod shard;
mod snapshot;
mod told;
mod upcast;

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use yado_model::{Command, CommandMeta, Revision};
use yado_store::{EventStore, Idempotency};

use crate::catalogue::AggregateType;
use crate::lane::Lane;
use crate::vigil::Vigil;
use crate::{Error, Receipt, Result, Settings};

pub(crate) use key::StreamKey;
pub(crate) use room::{Place, Room};
use snapshot::Snapshots;
pub(crate) use told::Refused;
pub(crate) use upcast::upcast;

/// The host's own part of the stack of a shard's thread, beneath that of the guest.
const HOST_STACK_BYTES: usize = 2 * 1024 * 1024;

/// A command on its way to a decision.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) key: StreamKey,
    /// The code that decides.
    pub(crate) aggregate: Arc<AggregateType>,
    pub(crate) command: Command,
    pub(crate) meta: CommandMeta,
    /// When it was asked. Whatever anybody had been told by then, its answer has to know of.
    pub(crate) asked: Instant,
    /// Whether the host has just made the stream's id, so that it can't have events.
    pub(crate) fresh: bool,
    /// Whether the thing must be there.
    pub(crate) must_exist: bool,
    pub(crate) expected: Option<Revision>,
    pub(crate) idempotency: Option<Idempotency>,
    /// The room that its arguments take; given back when the command is done with.
    pub(crate) _room: Place,
    pub(crate) reply: oneshot::Sender<Result<Receipt, Refused>>,
    /// How often another process was faster.
    pub(crate) conflicts: u32,
}

/// What a shard is asked.
enum Message {
    Decide(Box<Job>),
    Exists { key: StreamKey, aggregate: Arc<AggregateType>, reply: oneshot::Sender<Result<bool>> },
}

/// A handle to all shards.
#[derive(Clone)]
pub(crate) struct Streams {
    shards: Arc<[mpsc::Sender<Message>]>,
}

impl Streams {
    /// Starts the shards. They end when all handles are gone and all commands are answered.
    ///
    /// Each has a thread of its own. A guest may compute for as long as its deadline allows, and then again for the next
    /// command; the threads that serve everything else must not wait for it.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn start(
        store: &Arc<dyn EventStore>,
        lane: &Lane,
        settings: &Arc<Settings>,
        guest_stack_bytes: usize,
        vigil: &Vigil,
    ) -> std::io::Result<Self> {
        let snapshots = Snapshots::start(store.clone(), settings.snapshot_events, vigil);
        let figures = figures::Figures::register();
        let room = Room::new(settings.decided_bytes);
        let mut shards = Vec::new();
        for number in 0..settings.shards.max(1) {
            let (messages, received) = mpsc::channel(settings.shard_queue);
            let surroundings = shard::Surroundings {
                store: store.clone(),
                lane: lane.clone(),
                snapshots: snapshots.clone(),
                figures: figures.clone(),
                room: room.clone(),
                settings: settings.clone(),
            };
            let shard = shard::Shard::new(surroundings);
            let watched = vigil.watch("a shard", shard.run(received));
            let runtime = Handle::current();
            std::thread::Builder::new()
                .name(format!("yado-shard-{number}"))
                .stack_size(guest_stack_bytes + HOST_STACK_BYTES)
                .spawn(move || runtime.block_on(watched))?;
            shards.push(messages);
        }
        Ok(Self { shards: shards.into() })
    }

    /// Hands a command to its shard. A shard whose queue is full refuses it at once.
    pub(crate) fn decide(&self, job: Job) -> Result<()> {
        self.send(job.key.spread(), Message::Decide(Box::new(job)))
    }

    /// Whether there is such a thing, as far as is durable.
    pub(crate) async fn exists(&self, key: StreamKey, aggregate: Arc<AggregateType>) -> Result<bool> {
        let (reply, answer) = oneshot::channel();
        self.send(key.spread(), Message::Exists { key, aggregate, reply })?;
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    fn send(&self, spread: usize, message: Message) -> Result<()> {
        self.shards[spread % self.shards.len()].try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::Unavailable {
                reason: "more commands are waiting than the server can hold".into(),
                retry_after_ms: 100,
            },
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })
    }
}

/// What is answered while the server goes down.
pub(crate) fn stopping() -> Error {
    Error::Unavailable { reason: "the server is shutting down".into(), retry_after_ms: 1_000 }
}
