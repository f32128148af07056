//! The stages of a catch-up: watched while they overlap, and each by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use async_trait::async_trait;
use serde_json::Value;
use yado_model::{Position, RecordedEvent, TenantId};
use yado_runtime::{Condition, Plugin, Rows, RowsError, Selection};
use yado_store::{
    Aggregate, ChangePage, ChangeQuery, Checkpoint, Committed, Each, EventStore, Filter, Forgotten, Group, LetterId,
    Parked, ProjectionState, ReadStore, Result, Select, Step, Table, TablesInUse,
};

/// A read store that counts what it is asked.
pub(crate) struct Watched {
    store: Arc<dyn ReadStore>,
    commits: Count,
    lookups: Count,
}

#[derive(Default)]
struct Count {
    calls: AtomicU64,
    rows: AtomicU64,
    micros: AtomicU64,
}

impl Count {
    fn add(&self, rows: usize, begun: Instant) {
        self.calls.fetch_add(1, Relaxed);
        self.rows.fetch_add(rows as u64, Relaxed);
        self.micros.fetch_add(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    fn report(&self, name: &str) {
        let [calls, rows, micros] = [&self.calls, &self.rows, &self.micros].map(|count| count.load(Relaxed));
        println!("  {name:20} {calls:>9} calls, {rows} rows, {:.2} s", micros as f64 / 1e6);
    }
}

impl Watched {
    pub(crate) fn new(store: Arc<dyn ReadStore>) -> Self {
        Self { store, commits: Count::default(), lookups: Count::default() }
    }

    pub(crate) fn report(&self) {
        self.commits.report("commits");
        self.lookups.report("lookups of rows");
    }
}

#[async_trait]
impl ReadStore for Watched {
    fn for_request(&self) -> Arc<dyn ReadStore> {
        self.store.for_request()
    }

    async fn ensure_table(&self, table: &Table) -> Result<()> {
        self.store.ensure_table(table).await
    }

    async fn index_search(&self, table: &Table) -> Result<()> {
        self.store.index_search(table).await
    }

    async fn prune_indexes(&self, table: &Table) -> Result<()> {
        self.store.prune_indexes(table).await
    }

    async fn searches_by_index(&self) -> Result<bool> {
        self.store.searches_by_index().await
    }

    async fn drop_table(&self, name: &str) -> Result<()> {
        self.store.drop_table(name).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.store.tables().await
    }

    async fn checkpoint(&self, projection: &str) -> Result<Checkpoint> {
        self.store.checkpoint(projection).await
    }

    async fn checkpoints(&self, projections: &[&str]) -> Result<Vec<Checkpoint>> {
        self.store.checkpoints(projections).await
    }

    async fn forget_checkpoint(&self, projection: &str) -> Result<()> {
        self.store.forget_checkpoint(projection).await
    }

    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed> {
        self.store.begin_anew(projection, from, tables).await
    }

    async fn commit(&self, step: &Step<'_>) -> Result<Committed> {
        let begun = Instant::now();
        let committed = self.store.commit(step).await;
        self.commits.add(step.writes.iter().map(|table| table.writes.len()).sum(), begun);
        committed
    }

    async fn changes(&self, projection: &str, asked: &ChangeQuery<'_>) -> Result<ChangePage> {
        self.store.changes(projection, asked).await
    }
    async fn forget_changes(&self, projection: &str, up_to: Position) -> Result<Forgotten> {
        self.store.forget_changes(projection, up_to).await
    }
    async fn rows(
        &self,
        table: &Table,
        tenant: &TenantId,
        keys: &[String],
        columns: Option<&[String]>,
    ) -> Result<yado_store::Rows> {
        let begun = Instant::now();
        let rows = self.store.rows(table, tenant, keys, columns).await;
        self.lookups.add(keys.len(), begun);
        rows
    }

    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<yado_store::Rows> {
        self.store.select(table, tenant, select).await
    }

    async fn select_each(
        &self,
        table: &Table,
        tenant: &TenantId,
        each: &Each,
        select: &Select,
    ) -> Result<yado_store::Rows> {
        self.store.select_each(table, tenant, each, select).await
    }

    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        self.store.count(table, tenant, filter).await
    }

    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>> {
        self.store.aggregate(table, tenant, aggregate).await
    }

    async fn aggregate_each(
        &self,
        table: &Table,
        tenant: &TenantId,
        each: &Each,
        aggregate: &Aggregate,
    ) -> Result<Vec<(Value, Group)>> {
        self.store.aggregate_each(table, tenant, each, aggregate).await
    }

    async fn parked(&self, projection: Option<&str>, limit: u32) -> Result<Vec<(String, Parked)>> {
        self.store.parked(projection, limit).await
    }

    async fn letter(&self, projection: &str, id: &LetterId) -> Result<Option<Parked>> {
        self.store.letter(projection, id).await
    }

    async fn count_changes(&self, projection: &str) -> Result<u64> {
        self.store.count_changes(projection).await
    }

    async fn use_tables(&self, process: &str, tables: &[TablesInUse], unused_ms: u64) -> Result<()> {
        self.store.use_tables(process, tables, unused_ms).await
    }

    async fn unused_tables(&self, unused_ms: u64) -> Result<Vec<TablesInUse>> {
        self.store.unused_tables(unused_ms).await
    }

    async fn leave_tables(&self, process: &str, unused_ms: u64) -> Result<()> {
        self.store.leave_tables(process, unused_ms).await
    }

    async fn discard_unused(&self, process: &str, tables: &TablesInUse, unused_ms: u64) -> Result<bool> {
        self.store.discard_unused(process, tables, unused_ms).await
    }

    async fn projection_state(&self, plugin: &str, projection: &str) -> Result<ProjectionState> {
        self.store.projection_state(plugin, projection).await
    }

    async fn set_projection_state(
        &self,
        plugin: &str,
        projection: &str,
        from: &ProjectionState,
        to: &ProjectionState,
    ) -> Result<bool> {
        self.store.set_projection_state(plugin, projection, from, to).await
    }

    async fn ping(&self) -> Result<()> {
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

/// Reads the whole log, and gives back its last page.
pub(crate) async fn read(log: &dyn EventStore, head: Position, page: u32) -> Vec<RecordedEvent> {
    let (mut at, mut last) = (Position::ZERO, Vec::new());
    while at < head {
        last = log.read_log(at, page).await.unwrap();
        at = last.last().unwrap().position;
    }
    last
}

/// Shows events to the guest again and again, over rows that are in memory. Answers with how many those were.
pub(crate) fn guest(plugin: &Plugin, events: &[RecordedEvent]) -> usize {
    const ROUNDS: usize = 100;
    let tenant = TenantId::default();
    let projection = plugin.manifest().projections[0].name.to_string();
    let mut rows = InMemory::default();
    for event in events {
        let id = event.stream.id();
        let row = format!(
            r#"{{"id":"{id}","owner":"Somebody","balance":1,"movements":1,"updatedAt":"2026-01-31T09:30:00.000000Z"}}"#
        );
        rows.0.insert(id.to_owned(), row.into());
    }
    for _ in 0..ROUNDS {
        for events in events.chunks(1_000) {
            let (back, outcome) = plugin.project(&tenant, &projection, events, rows);
            outcome.unwrap();
            rows = back;
        }
    }
    ROUNDS * events.len()
}

/// Rows without a table. The guest reads each before it writes it, so the next one to be written is the last one read.
#[derive(Default)]
struct InMemory(HashMap<String, Arc<str>>, String);

impl Rows for InMemory {
    fn at(&mut self, _: u64) -> std::result::Result<(), RowsError> {
        Ok(())
    }

    fn get(&mut self, _: &str, key: &str) -> std::result::Result<Option<Arc<str>>, RowsError> {
        key.clone_into(&mut self.1);
        Ok(self.0.get(key).cloned())
    }

    fn put(&mut self, _: &str, row: &str) -> std::result::Result<(), RowsError> {
        if let Some(place) = self.0.get_mut(&self.1) {
            *place = row.into();
        }
        Ok(())
    }

    fn patch(&mut self, _: &str, _: &str, _: &str) -> std::result::Result<(), RowsError> {
        Ok(())
    }

    fn add(&mut self, _: &str, _: &str, _: &str, _: &str) -> std::result::Result<(), RowsError> {
        Ok(())
    }

    fn delete(&mut self, _: &str, _: &str) -> std::result::Result<(), RowsError> {
        Ok(())
    }

    fn find(&mut self, _: &str, _: Selection) -> std::result::Result<Vec<String>, RowsError> {
        Ok(Vec::new())
    }

    fn count(&mut self, _: &str, _: Vec<Condition>) -> std::result::Result<u64, RowsError> {
        Ok(0)
    }
}
