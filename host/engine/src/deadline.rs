//! A deadline for every question to a database.
//!
//! Databases have limits of their own, which are no help when the server, or the way to it, is gone without a word. A
//! question that is never answered would hold whoever waits for it for good, and with it all that waits behind. So what
//! the engine works with is a store that gives up, in one place for all of its loops. An engine that is to stop has an
//! end, and whatever is not answered by then is given up as well: every loop gets to its own end soon after.
//!
//! What is given up is not undone: an append may still be recorded. Whoever repeats it finds that out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use yado_model::{IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};
use yado_store::{
    Aggregate, Answer, Append, Appended, ChangePage, ChangeQuery, Checkpoint, ClaimsReport, Committed, Each, Error,
    EventKind, EventStore, Filter, Forgotten, Group, LetterId, Parked, PluginRecord, PluginVersion, ProjectionState,
    ReadStore, Result, Rows, Select, Snapshot, Step, StreamPage, Table, TablesInUse,
};

/// A store that gives up waiting for the one beneath it.
pub(crate) struct Deadline<S: ?Sized> {
    store: Arc<S>,
    limit: Duration,
    end: End,
}

/// When no answer is waited for any more; none as long as the engine is not to stop.
pub(crate) type End = watch::Receiver<Option<Instant>>;

/// How long a database may take to be closed. Nobody waits for anything that is in it by then.
const CLOSING: Duration = Duration::from_secs(2);

impl<S: ?Sized> Deadline<S> {
    pub(crate) const fn new(store: Arc<S>, limit: Duration, end: End) -> Self {
        Self { store, limit, end }
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let late = |_| Error::Unheard(format!("no answer within {:?}", self.limit));
        tokio::select! {
            biased;
            answer = tokio::time::timeout(self.limit, asked) => answer.map_err(late)?,
            () = over(self.end.clone()) => Err(Error::Unheard("no answer before the server had to stop".into())),
        }
    }

    async fn closed(&self, closing: impl Future<Output = ()>) {
        if tokio::time::timeout(CLOSING, closing).await.is_err() {
            tracing::warn!("a database could not be closed in order, because it does not answer");
        }
    }
}

/// Waits for the end.
async fn over(mut end: End) {
    match end.wait_for(Option::is_some).await.map(|at| *at) {
        Ok(Some(at)) => tokio::time::sleep_until(at).await,
        // There is nobody left who could set one.
        _ => std::future::pending().await,
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
        self.closed(self.store.close()).await;
    }
}

#[async_trait]
impl ReadStore for Deadline<dyn ReadStore> {
    fn for_request(&self) -> Arc<dyn ReadStore> {
        Arc::new(Self { store: self.store.for_request(), limit: self.limit, end: self.end.clone() })
    }
    async fn ensure_table(&self, table: &Table) -> Result<()> {
        self.within(self.store.ensure_table(table)).await
    }
    async fn index_search(&self, table: &Table) -> Result<()> {
        self.within(self.store.index_search(table)).await
    }
    async fn prune_indexes(&self, table: &Table) -> Result<()> {
        self.within(self.store.prune_indexes(table)).await
    }
    async fn searches_by_index(&self) -> Result<bool> {
        self.within(self.store.searches_by_index()).await
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
    async fn checkpoints(&self, projections: &[&str]) -> Result<Vec<Checkpoint>> {
        self.within(self.store.checkpoints(projections)).await
    }
    async fn forget_checkpoint(&self, projection: &str) -> Result<()> {
        self.within(self.store.forget_checkpoint(projection)).await
    }
    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed> {
        self.within(self.store.begin_anew(projection, from, tables)).await
    }
    async fn commit(&self, step: &Step<'_>) -> Result<Committed> {
        self.within(self.store.commit(step)).await
    }
    async fn changes(&self, projection: &str, asked: &ChangeQuery<'_>) -> Result<ChangePage> {
        self.within(self.store.changes(projection, asked)).await
    }
    async fn forget_changes(&self, projection: &str, up_to: Position) -> Result<Forgotten> {
        self.within(self.store.forget_changes(projection, up_to)).await
    }
    async fn rows(
        &self,
        table: &Table,
        tenant: &TenantId,
        keys: &[String],
        columns: Option<&[String]>,
    ) -> Result<Rows> {
        self.within(self.store.rows(table, tenant, keys, columns)).await
    }
    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Rows> {
        self.within(self.store.select(table, tenant, select)).await
    }
    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Rows> {
        self.within(self.store.select_each(table, tenant, each, select)).await
    }
    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        self.within(self.store.count(table, tenant, filter)).await
    }
    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>> {
        self.within(self.store.aggregate(table, tenant, aggregate)).await
    }
    async fn aggregate_each(
        &self,
        table: &Table,
        tenant: &TenantId,
        each: &Each,
        aggregate: &Aggregate,
    ) -> Result<Vec<(Value, Group)>> {
        self.within(self.store.aggregate_each(table, tenant, each, aggregate)).await
    }
    async fn parked(&self, projection: Option<&str>, limit: u32) -> Result<Vec<(String, Parked)>> {
        self.within(self.store.parked(projection, limit)).await
    }
    async fn letter(&self, projection: &str, id: &LetterId) -> Result<Option<Parked>> {
        self.within(self.store.letter(projection, id)).await
    }
    async fn count_changes(&self, projection: &str) -> Result<u64> {
        self.within(self.store.count_changes(projection)).await
    }
    async fn use_tables(&self, process: &str, tables: &[TablesInUse], unused_ms: u64) -> Result<()> {
        self.within(self.store.use_tables(process, tables, unused_ms)).await
    }
    async fn unused_tables(&self, unused_ms: u64) -> Result<Vec<TablesInUse>> {
        self.within(self.store.unused_tables(unused_ms)).await
    }
    async fn leave_tables(&self, process: &str, unused_ms: u64) -> Result<()> {
        self.within(self.store.leave_tables(process, unused_ms)).await
    }
    async fn discard_unused(&self, process: &str, tables: &TablesInUse, unused_ms: u64) -> Result<bool> {
        self.within(self.store.discard_unused(process, tables, unused_ms)).await
    }
    async fn projection_state(&self, plugin: &str, projection: &str) -> Result<ProjectionState> {
        self.within(self.store.projection_state(plugin, projection)).await
    }
    async fn set_projection_state(
        &self,
        plugin: &str,
        projection: &str,
        from: &ProjectionState,
        to: &ProjectionState,
    ) -> Result<bool> {
        self.within(self.store.set_projection_state(plugin, projection, from, to)).await
    }
    async fn ping(&self) -> Result<()> {
        self.within(self.store.ping()).await
    }
    async fn close(&self) {
        self.closed(self.store.close()).await;
    }
}
