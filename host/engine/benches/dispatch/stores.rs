//! Stores that do nothing, so that what is measured is everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;
use yado_model::{
    CommandId, CommandMeta, IdempotencyKey, NewEvent, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp,
};
use yado_store::{
    Aggregate, Answer, Append, Appended, ChangePage, ChangeQuery, Checkpoint, ClaimsReport, Committed, Each, EventKind,
    EventStore, Filter, Forgotten, Group, LetterId, Parked, PluginRecord, PluginVersion, ProjectionState, ReadStore,
    Result, Rows, Select, Snapshot, Step, StreamPage, Table, TablesInUse,
};

/// The position of the last event that there will ever be.
const LAST: Position = Position::new(i64::MAX as u64);

/// The event there, which is all that projections ask the log for.
fn last() -> RecordedEvent {
    let command_id = CommandId(uuid::Uuid::nil());
    RecordedEvent {
        tenant: TenantId::default(),
        stream: StreamId::parse("Last-one").unwrap(),
        revision: Revision::new(1),
        position: LAST,
        recorded_at: Timestamp::from_micros(0),
        event: NewEvent { name: "Ended".into(), version: 1, payload: "{}".into(), tags: Vec::new() },
        command: CommandMeta { command_id, correlation_id: command_id.0, causation_id: None, actor: None },
    }
}

/// A log that counts and forgets. It believes every append, which holds as long as one process writes and states stay in
/// memory.
#[derive(Default)]
pub(crate) struct Nothing {
    head: AtomicU64,
    transactions: AtomicU64,
}

impl Nothing {
    pub(crate) fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl EventStore for Nothing {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>> {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        let recorded = batch.iter().map(|append| {
            let count = append.events.len() as u64;
            let position = Position::new(self.head.fetch_add(count, Ordering::Relaxed) + count);
            Appended::Recorded { revision: append.expected.plus(count), position }
        });
        Ok(recorded.collect())
    }

    async fn read_stream(&self, _: &TenantId, _: &StreamId, _: Revision, _: u32) -> Result<StreamPage> {
        Ok(StreamPage::default())
    }
    async fn read_log(&self, after: Position, _: u32) -> Result<Vec<RecordedEvent>> {
        Ok(if after.plus(1) == LAST { vec![last()] } else { Vec::new() })
    }
    async fn head(&self) -> Result<Position> {
        Ok(Position::new(self.head.load(Ordering::Relaxed)))
    }
    async fn announce(&self, _: Position) -> Result<()> {
        Ok(())
    }
    async fn listen(&self, _: watch::Sender<Position>) -> Result<()> {
        std::future::pending().await
    }
    async fn event_kinds(&self) -> Result<Vec<EventKind>> {
        Ok(Vec::new())
    }
    async fn rebuild_claims(&self, _: bool) -> Result<ClaimsReport> {
        Err(yado_store::Error::Invalid("nothing is kept".into()))
    }
    async fn answer(&self, _: &TenantId, _: &IdempotencyKey) -> Result<Option<Answer>> {
        Ok(None)
    }
    async fn forget_answers(&self, _: Timestamp) -> Result<Forgotten> {
        Ok(Forgotten::default())
    }
    async fn save_snapshots(&self, _: &[Snapshot]) -> Result<()> {
        Ok(())
    }
    async fn forget_snapshots(&self, _: &[String], _: Timestamp) -> Result<Forgotten> {
        Ok(Forgotten::default())
    }
    async fn snapshot(&self, _: &TenantId, _: &StreamId, _: &str) -> Result<Option<Snapshot>> {
        Ok(None)
    }
    async fn register_plugin(&self, _: &PluginRecord) -> Result<PluginVersion> {
        Ok(PluginVersion(1))
    }
    async fn plugins(&self, _: u32) -> Result<Vec<(PluginVersion, PluginRecord)>> {
        Ok(Vec::new())
    }
    async fn ping(&self) -> Result<()> {
        Ok(())
    }
    async fn close(&self) {}
}

/// Read models that have been shown everything there will ever be, so that no projection has anything to do.
#[derive(Default)]
pub(crate) struct Shown {
    /// Whether there is something to wait for until rows are there.
    pub(crate) waits: bool,
}

#[async_trait]
impl ReadStore for Shown {
    fn for_request(&self) -> Arc<dyn ReadStore> {
        Arc::new(Self { waits: self.waits })
    }
    async fn ensure_table(&self, _: &Table) -> Result<()> {
        Ok(())
    }
    async fn index_search(&self, _: &Table) -> Result<()> {
        Ok(())
    }
    async fn prune_indexes(&self, _: &Table) -> Result<()> {
        Ok(())
    }
    async fn searches_by_index(&self) -> Result<bool> {
        Ok(true)
    }
    async fn drop_table(&self, _: &str) -> Result<()> {
        Ok(())
    }
    async fn tables(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
    async fn checkpoint(&self, _: &str) -> Result<Checkpoint> {
        Ok(LAST.into())
    }
    async fn checkpoints(&self, projections: &[&str]) -> Result<Vec<Checkpoint>> {
        Ok(vec![LAST.into(); projections.len()])
    }
    async fn forget_checkpoint(&self, _: &str) -> Result<()> {
        Ok(())
    }

    async fn begin_anew(&self, _: &str, from: Checkpoint, _: &[&str]) -> Result<Committed> {
        Ok(Committed::Elsewhere(from))
    }
    async fn commit(&self, step: &Step<'_>) -> Result<Committed> {
        Ok(Committed::Elsewhere(step.progress.from))
    }
    async fn changes(&self, _: &str, _: &ChangeQuery<'_>) -> Result<ChangePage> {
        Ok(ChangePage { floor: None, settled: LAST, changes: Vec::new(), more_after: None })
    }
    async fn forget_changes(&self, _: &str, _: Position) -> Result<Forgotten> {
        Ok(Forgotten { count: 0, more: false })
    }
    async fn rows(&self, _: &Table, _: &TenantId, _: &[String], _: Option<&[String]>) -> Result<Rows> {
        if self.waits {
            tokio::task::yield_now().await;
        }
        Ok(Rows::default())
    }
    async fn select(&self, _: &Table, _: &TenantId, _: &Select) -> Result<Rows> {
        Ok(Rows::default())
    }
    async fn select_each(&self, _: &Table, _: &TenantId, _: &Each, _: &Select) -> Result<Rows> {
        Ok(Rows::default())
    }
    async fn count(&self, _: &Table, _: &TenantId, _: Option<&Filter>) -> Result<u64> {
        Ok(0)
    }
    async fn aggregate(&self, _: &Table, _: &TenantId, _: &Aggregate) -> Result<Vec<Group>> {
        Ok(Vec::new())
    }
    async fn aggregate_each(&self, _: &Table, _: &TenantId, _: &Each, _: &Aggregate) -> Result<Vec<(Value, Group)>> {
        Ok(Vec::new())
    }
    async fn parked(&self, _: Option<&str>, _: u32) -> Result<Vec<(String, Parked)>> {
        Ok(Vec::new())
    }
    async fn letter(&self, _: &str, _: &LetterId) -> Result<Option<Parked>> {
        Ok(None)
    }

    async fn count_changes(&self, _: &str) -> Result<u64> {
        Ok(0)
    }

    async fn use_tables(&self, _: &str, _: &[TablesInUse], _: u64) -> Result<()> {
        Ok(())
    }

    async fn unused_tables(&self, _: u64) -> Result<Vec<TablesInUse>> {
        Ok(Vec::new())
    }

    async fn leave_tables(&self, _: &str, _: u64) -> Result<()> {
        Ok(())
    }

    async fn discard_unused(&self, _: &str, _: &TablesInUse, _: u64) -> Result<bool> {
        Ok(true)
    }

    async fn projection_state(&self, _: &str, _: &str) -> Result<ProjectionState> {
        Ok(ProjectionState::default())
    }
    async fn set_projection_state(&self, _: &str, _: &str, _: &ProjectionState, _: &ProjectionState) -> Result<bool> {
        Ok(true)
    }
    async fn ping(&self) -> Result<()> {
        Ok(())
    }
    async fn close(&self) {}
}
