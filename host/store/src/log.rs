//! The contract of the event log.

use async_trait::async_trait;
use yado_model::{Digest, IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};

use crate::limits::{self, LONGEST_NAME};
use crate::{Answer, Append, Appended, Result};

/// The log of events: append-only, gap-free, in the order of commits, on any number of nodes.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Records appends in one durable transaction, in their order. Each stands or falls by itself: one that loses
    /// leaves no trace and does not harm the others. Only appends to the same stream depend on each other: a later one
    /// expects what the one before it leaves, and loses if that one does. Returns one outcome for each append, once all
    /// of them are on disk.
    ///
    /// # Errors
    /// When the transaction as a whole failed. Nothing of the batch has been recorded then, unless the connection broke
    /// while the commit was under way; a repetition is safe either way, because expected revisions guard it.
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>>;

    /// Events of a stream after a revision, in order, at most `limit`.
    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Revision,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>>;

    /// Events of all tenants and streams after a position, in order, at most `limit`. What is returned has no gaps.
    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<RecordedEvent>>;

    /// The position of the last event.
    async fn head(&self) -> Result<Position>;

    /// What was answered to the request with this idempotency key, if there was one.
    async fn answer(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<Answer>>;

    /// Forgets answers that are older than a time. Returns how many.
    async fn forget_answers(&self, before: Timestamp) -> Result<u64>;

    /// Keeps a snapshot of a stream, in place of an older one of the same encoding.
    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<()>;

    /// The latest snapshot of a stream in this encoding.
    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>>;

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

/// The state of a stream at a revision, so that nobody need fold from the first event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose stream.
    pub tenant: TenantId,
    /// Which stream.
    pub stream: StreamId,
    /// At which revision.
    pub revision: Revision,
    /// Who can read the state: the plugin's digest, or the name that its manifest gives to the encoding.
    pub encoding: String,
    /// The state; none if the thing was gone at that revision.
    pub state: Option<Vec<u8>>,
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
