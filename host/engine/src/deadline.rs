//! A deadline for every question to a database.
//!
//! Databases have limits of their own, which are no help when the server, or the way to it, is gone without a word. A
//! question that is never answered would hold whoever waits for it for good, and with it all that waits behind. So what
//! the engine works with is a store that gives up, in one place for all of its loops.
//!
//! What is given up is not undone: an append may still be recorded. Whoever repeats it finds that out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use yado_model::{IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};
use yado_store::{
    Aggregate, Answer, Append, Appended, Checkpoint, ClaimsReport, Committed, Each, Error, EventKind, EventStore,
    Filter, Forgotten, Group, PluginRecord, PluginVersion, Progress, ReadStore, Result, Row, Select, Snapshot,
    StreamPage, Table, TableWrites,
};

/// A store that gives up waiting for the one beneath it.
pub(crate) struct Deadline<S: ?Sized> {
    store: Arc<S>,
    limit: Duration,
}

impl<S: ?Sized> Deadline<S> {
    pub(crate) const fn new(store: Arc<S>, limit: Duration) -> Self {
        Self { store, limit }
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let late = |_| Error::Unavailable(format!("no answer within {:?}", self.limit));
        tokio::time::timeout(self.limit, asked).await.map_err(late)?
    }
}

#[async_trait]
impl EventStore for Deadline<dyn EventStore> {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>> {
        self.within(self.store.append(batch)).await
    }
    async fn read_stream(&self, t: &TenantId, s: &StreamId, after: Revision, limit: u32) -> Result<StreamPage> {
        self.within(self.store.read_stream(t, s, after, limit)).await
    }
    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<RecordedEvent>> {
        self.within(self.store.read_log(after, limit)).await
    }
    async fn head(&self) -> Result<Position> {
        self.within(self.store.head()).await
    }
    async fn announce(&self, head: Position) -> Result<()> {
        self.within(self.store.announce(head)).await
    }
    /// It waits for news, for as long as there is none.
    async fn listen(&self, heard: watch::Sender<Position>) -> Result<()> {
        self.store.listen(heard).await
    }
    async fn event_kinds(&self) -> Result<Vec<EventKind>> {
        self.within(self.store.event_kinds()).await
    }
    /// It folds the whole log, page by page.
    async fn rebuild_claims(&self, apply: bool) -> Result<ClaimsReport> {
        self.store.rebuild_claims(apply).await
    }
    async fn answer(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<Answer>> {
        self.within(self.store.answer(tenant, key)).await
    }
    async fn forget_answers(&self, before: Timestamp) -> Result<Forgotten> {
        self.within(self.store.forget_answers(before)).await
    }
    async fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<()> {
        self.within(self.store.save_snapshots(snapshots)).await
    }
    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>> {
        self.within(self.store.snapshot(tenant, stream, encoding)).await
    }
    async fn forget_snapshots(&self, used: &[String], unused_since: Timestamp) -> Result<Forgotten> {
        self.within(self.store.forget_snapshots(used, unused_since)).await
    }
    async fn register_plugin(&self, plugin: &PluginRecord) -> Result<PluginVersion> {
        self.within(self.store.register_plugin(plugin)).await
    }
    async fn plugins(&self, limit: u32) -> Result<Vec<(PluginVersion, PluginRecord)>> {
        self.within(self.store.plugins(limit)).await
    }
    async fn ping(&self) -> Result<()> {
        self.within(self.store.ping()).await
    }
    async fn close(&self) {
        self.store.close().await;
    }
}

#[async_trait]
impl ReadStore for Deadline<dyn ReadStore> {
    async fn ensure_table(&self, table: &Table) -> Result<()> {
        self.within(self.store.ensure_table(table)).await
    }
    async fn drop_table(&self, name: &str) -> Result<()> {
        self.within(self.store.drop_table(name)).await
    }
    async fn tables(&self) -> Result<Vec<String>> {
        self.within(self.store.tables()).await
    }
    async fn checkpoint(&self, projection: &str) -> Result<Checkpoint> {
        self.within(self.store.checkpoint(projection)).await
    }
    async fn forget_checkpoint(&self, projection: &str) -> Result<()> {
        self.within(self.store.forget_checkpoint(projection)).await
    }
    async fn discard(&self, projection: &str, tables: &[&str]) -> Result<()> {
        self.within(self.store.discard(projection, tables)).await
    }
    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed> {
        self.within(self.store.begin_anew(projection, from, tables)).await
    }
    async fn commit(&self, progress: &Progress<'_>, writes: &[TableWrites<'_>]) -> Result<Committed> {
        self.within(self.store.commit(progress, writes)).await
    }
    async fn rows(&self, table: &Table, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>> {
        self.within(self.store.rows(table, tenant, keys)).await
    }
    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Vec<Row>> {
        self.within(self.store.select(table, tenant, select)).await
    }
    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Vec<Row>> {
        self.within(self.store.select_each(table, tenant, each, select)).await
    }
    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        self.within(self.store.count(table, tenant, filter)).await
    }
    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>> {
        self.within(self.store.aggregate(table, tenant, aggregate)).await
    }
    async fn ping(&self) -> Result<()> {
        self.within(self.store.ping()).await
    }
    async fn close(&self) {
        self.store.close().await;
    }
}
