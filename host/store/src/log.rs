//! The contract of the event log.

use async_trait::async_trait;
use tokio::sync::watch;
use yado_model::{Digest, IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};

use crate::limits::{self, LONGEST_NAME};
use crate::{Answer, Append, Appended, ClaimsReport, EventKind, Result, Snapshot};

/// The log of events: append-only, gap-free, in the order of commits, on any number of nodes.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Records appends in one durable transaction, in their order. Each stands or falls by itself: one that loses
    /// leaves no trace and does not harm the others. Only appends to the same stream depend on each other: a later one
    /// expects what the one before it leaves, and loses if that one does. Returns one outcome for each append, once all
    /// of them are on disk.
    ///
    /// Several calls may be under way at once. They are recorded one after the other, in no order that could be relied on.
    ///
    /// # Errors
    /// When the transaction as a whole failed. Nothing of the batch has been recorded then, and nothing will be; but not so
    /// after [`Error::Unheard`](crate::Error::Unheard). A repetition is safe either way, because expected revisions guard
    /// it. Only [`Appended::Taken`] does not settle what becomes of an attempt that is still on its way: whoever holds the
    /// value may let go of it first.
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>>;

    /// Events of a stream after a revision, in order and without gaps, at most `limit`. It may be less than there is,
    /// where events are large ([`limits::LARGEST_PAGE`]), but is nothing only at the stream's end.
    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Revision,
        limit: u32,
    ) -> Result<StreamPage>;

    /// Events of all tenants and streams after a position, in order, at most `limit`. What is returned has no gaps. It may
    /// be less than there is, where events are large ([`limits::LARGEST_PAGE`]), but is nothing only at the log's end.
    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<RecordedEvent>>;

    /// The position of the last event.
    async fn head(&self) -> Result<Position>;

    /// Tells other nodes that the log has grown up to a position. Once for many commits is enough, and none is needed:
    /// whoever does not hear of it finds out by asking.
    async fn announce(&self, head: Position) -> Result<()>;

    /// Raises `heard` to where the log ends now, and then at each announcement of any node, until the connection fails.
    /// Where no other process could be told of anything, it waits for ever.
    ///
    /// # Errors
    /// Always, in the end: announcements may have been missed, and whoever listens anew is told the log's end first.
    async fn listen(&self, heard: watch::Sender<Position>) -> Result<()>;

    /// Which kinds of events the log has, by aggregate, name and version.
    async fn event_kinds(&self) -> Result<Vec<EventKind>>;

    /// Folds the log into who holds which claimed value, compares that with what is kept, and, if `apply`, makes that
    /// agree. Appends wait only while differences are put right, and not for the comparison.
    async fn rebuild_claims(&self, apply: bool) -> Result<ClaimsReport>;

    /// What was answered to the request with this idempotency key, if there was one.
    async fn answer(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<Answer>>;

    /// Forgets answers that are older than a time: a piece of them, in a transaction that holds nobody up for long.
    async fn forget_answers(&self, before: Timestamp) -> Result<Forgotten>;

    /// Keeps snapshots of streams, each in place of an older one of the same encoding, all in one transaction. It does not
    /// wait for the disk where it need not: what a power cut takes back can be made again. One that no engine can hold is
    /// reported and left out.
    async fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<()>;

    /// The latest snapshot of a stream in this encoding. One that is not what was saved is reported and not given.
    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>>;

    /// Notes that these encodings are in use now, and forgets snapshots in encodings that no process has noted since a
    /// time: a piece of them, in a transaction that holds nobody up for long.
    async fn forget_snapshots(&self, used: &[String], unused_since: Timestamp) -> Result<Forgotten>;

    /// Notes a build of a plugin, and gives the short number by which events refer to it. A build that is known already
    /// keeps its number.
    async fn register_plugin(&self, plugin: &PluginRecord) -> Result<PluginVersion>;

    /// All builds ever registered, the latest first, at most `limit`.
    async fn plugins(&self, limit: u32) -> Result<Vec<(PluginVersion, PluginRecord)>>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Waits for what is under way, and closes all connections.
    async fn close(&self);
}

/// A page of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamPage {
    /// The events.
    pub events: Vec<RecordedEvent>,
    /// Whether there may be more behind them.
    pub more: bool,
}

/// What forgetting a piece came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// How much is gone.
    pub count: u64,
    /// Whether there may be more to forget.
    pub more: bool,
}

/// The number of a registered build of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PluginVersion(pub i32);

/// A build of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRecord {
    /// Its name.
    pub name: String,
    /// Its version, for people.
    pub version: String,
    /// What it is recognised by.
    pub digest: Digest,
    /// When it was first seen.
    pub registered_at: Timestamp,
}

impl PluginRecord {
    /// Whether every engine can hold it.
    pub(crate) fn check(&self) -> Result<()> {
        limits::text("the name of a plugin", &self.name, LONGEST_NAME)?;
        limits::text("the version of a plugin", &self.version, LONGEST_NAME)
    }
}
