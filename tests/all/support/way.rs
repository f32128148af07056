//! The way to a store: the store is a real one, and what happens between it and an engine is up to a test.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use yado_model::{IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};
use yado_store::{
    Answer, Append, Appended, ClaimsReport, EventKind, EventStore, Forgotten, PluginRecord, PluginVersion, Result,
    Snapshot, StreamPage,
};

/// What is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freight {
    Append,
    Announcement,
    /// A question about one stream.
    Stream,
    /// A question about the log as a whole.
    Log,
    /// A question for an earlier answer.
    Answer,
    /// Snapshots to be kept.
    Snapshot,
}

/// What may happen on the way. Whatever a journey does not speak of goes through as if there were none.
#[async_trait]
pub(crate) trait Journey: Send + Sync {
    /// On the way there. What fails here has not arrived.
    async fn there(&self, _: Freight) -> Result<()> {
        Ok(())
    }

    /// On the way back. What fails here has been done.
    async fn back(&self, _: Freight) -> Result<()> {
        Ok(())
    }

    /// Appends, once they are there.
    async fn append(&self, store: &dyn EventStore, batch: &[Append]) -> Result<Vec<Appended>> {
        store.append(batch).await
    }

    /// Events of one stream pass on their way back.
    fn events_read(&self, _: usize) {}

    /// The kinds of events that a log is said to have.
    fn kinds(&self, known: Vec<EventKind>) -> Vec<EventKind> {
        known
    }

    /// Whether the store ends together with whoever uses it; otherwise it outlives them, as a database does.
    fn ends_with_its_user(&self) -> bool {
        true
    }
}

/// A store that is reached by a way.
pub(crate) struct Way<J> {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) journey: J,
}

impl<J: Journey> Way<J> {
    async fn carry<T>(&self, freight: Freight, done: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.journey.there(freight).await?;
        let answer = done.await;
        self.journey.back(freight).await?;
        answer
    }
}

#[async_trait]
impl<J: Journey> EventStore for Way<J> {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>> {
        self.carry(Freight::Append, self.journey.append(&*self.store, batch)).await
    }
    async fn read_stream(&self, t: &TenantId, s: &StreamId, after: Revision, limit: u32) -> Result<StreamPage> {
        let page = self.carry(Freight::Stream, self.store.read_stream(t, s, after, limit)).await?;
        self.journey.events_read(page.events.len());
        Ok(page)
    }
    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<RecordedEvent>> {
        self.carry(Freight::Log, self.store.read_log(after, limit)).await
    }
    async fn head(&self) -> Result<Position> {
        self.carry(Freight::Log, self.store.head()).await
    }
    async fn announce(&self, head: Position) -> Result<()> {
        self.carry(Freight::Announcement, self.store.announce(head)).await
    }
    async fn listen(&self, heard: watch::Sender<Position>) -> Result<()> {
        self.store.listen(heard).await
    }
    async fn event_kinds(&self) -> Result<Vec<EventKind>> {
        self.store.event_kinds().await.map(|known| self.journey.kinds(known))
    }
    async fn rebuild_claims(&self, apply: bool) -> Result<ClaimsReport> {
        self.store.rebuild_claims(apply).await
    }
    async fn answer(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<Answer>> {
        self.carry(Freight::Answer, self.store.answer(tenant, key)).await
    }
    async fn forget_answers(&self, before: Timestamp) -> Result<Forgotten> {
        self.store.forget_answers(before).await
    }
    async fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<()> {
        self.carry(Freight::Snapshot, self.store.save_snapshots(snapshots)).await
    }
    async fn forget_snapshots(&self, used: &[String], unused_since: Timestamp) -> Result<Forgotten> {
        self.store.forget_snapshots(used, unused_since).await
    }
    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>> {
        self.carry(Freight::Stream, self.store.snapshot(tenant, stream, encoding)).await
    }
    async fn register_plugin(&self, plugin: &PluginRecord) -> Result<PluginVersion> {
        self.store.register_plugin(plugin).await
    }
    async fn plugins(&self, limit: u32) -> Result<Vec<(PluginVersion, PluginRecord)>> {
        self.store.plugins(limit).await
    }
    async fn ping(&self) -> Result<()> {
        self.store.ping().await
    }
    async fn close(&self) {
        if self.journey.ends_with_its_user() {
            self.store.close().await;
        }
    }
}
