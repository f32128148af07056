//! A read store that fails: now and then, or from a certain commit on for good.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;
use yado_model::{Position, TenantId};
use yado_store::{
    Aggregate, ChangePage, ChangeQuery, Checkpoint, Committed, Each, Error, Filter, Forgotten, Group, LetterId, Parked,
    ProjectionState, ReadStore, Result, Rows, Select, Step, Table, TablesInUse,
};

use super::history::Random;
use crate::support::eventually;

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes through.
    Through,
    /// It fails before it has done anything.
    Lost,
    /// It goes through, and the news of it gets lost.
    Unheard,
}

pub(crate) struct Failing {
    store: Arc<dyn ReadStore>,
    random: Mutex<Random>,
    /// Failures that are still to come, now and then.
    left: AtomicU32,
    failures: AtomicU32,
    /// The commit after which nothing goes through any more, and what becomes of it.
    last: Option<(usize, Fate)>,
    /// Commits that have been sent down.
    pub(super) commits: AtomicUsize,
    /// Commits that are under way, and whether there have been several at a time.
    under_way: AtomicUsize,
    overlapped: AtomicBool,
    /// How often rows were discarded, to be filled anew.
    begun_anew: AtomicUsize,
    /// Whether commits wait until they are let go.
    held: watch::Sender<bool>,
    /// Commits of those that wait, or will, that may go on by themselves.
    passes: AtomicUsize,
    /// Commits that come no further than this position do not wait.
    held_beyond: Mutex<Position>,
    /// What the names of those projections begin with whose commits do not wait.
    spared: Mutex<Option<String>>,
    dead: watch::Sender<bool>,
}

impl Failing {
    /// Fails now and then, at most so many times.
    pub(crate) fn new(store: Arc<dyn ReadStore>, seed: u64, failures: u32) -> Self {
        Self {
            store,
            random: Mutex::new(Random(seed)),
            left: AtomicU32::new(failures),
            failures: AtomicU32::new(0),
            last: None,
            commits: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            overlapped: AtomicBool::new(false),
            begun_anew: AtomicUsize::new(0),
            held: watch::Sender::new(false),
            passes: AtomicUsize::new(0),
            held_beyond: Mutex::default(),
            spared: Mutex::default(),
            dead: watch::Sender::new(false),
        }
    }

    /// Fails at a commit with rows, and in everything from then on.
    pub(crate) fn dying(store: Arc<dyn ReadStore>, commit: usize, fate: Fate) -> Self {
        Self { last: Some((commit, fate)), ..Self::new(store, 0, 0) }
    }

    /// Holds all commits from now on.
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Holds all commits from now on but for those of projections whose names begin like this.
    pub(crate) fn hold_all_but(&self, spared: &str) {
        *self.spared.lock().unwrap() = Some(spared.to_owned());
        self.hold();
    }

    /// Holds only what comes further than a position, of what it holds.
    pub(crate) fn hold_beyond(&self, position: Position) {
        *self.held_beyond.lock().unwrap() = position;
        // Whoever waits looks again.
        self.held.send_modify(|_| {});
    }

    /// Lets what is held go down, one commit after the other, until something has come about. All that come later wait again.
    pub(crate) async fn step_until(&self, what: &str, has_come: impl Fn() -> bool) {
        while !has_come() {
            let sent = self.commits.load(SeqCst);
            self.passes.fetch_add(1, SeqCst);
            // Whoever waits looks again.
            self.held.send_modify(|_| {});
            eventually(what, async || has_come() || self.commits.load(SeqCst) > sent).await;
        }
        self.passes.store(0, SeqCst);
    }

    /// All goes dark from now on.
    pub(crate) fn die(&self) {
        self.dead.send_replace(true);
    }

    /// All is light again.
    pub(crate) fn revive(&self) {
        self.dead.send_replace(false);
    }

    /// Lets commits go on.
    pub(crate) fn let_go(&self) {
        self.held.send_replace(false);
    }

    /// Commits that are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(SeqCst)
    }

    /// How often it has failed.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.load(SeqCst)
    }

    /// Whether there ever were several commits at a time.
    pub(crate) fn overlapped(&self) -> bool {
        self.overlapped.load(SeqCst)
    }

    /// How often rows were discarded, to be filled anew.
    pub(crate) fn begun_anew(&self) -> usize {
        self.begun_anew.load(SeqCst)
    }

    /// Waits for the end.
    pub(crate) async fn dead(&self) {
        self.dead.subscribe().wait_for(|dead| *dead).await.unwrap();
    }

    /// Whether all is dark.
    pub(crate) fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    fn alive(&self) -> Result<()> {
        if self.is_dead() { Err(failed()) } else { Ok(()) }
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.lock().unwrap().below(bound)
    }

    fn fate(&self) -> Fate {
        let commit = self.commits.fetch_add(1, SeqCst);
        if let Some((last, fate)) = self.last {
            return if commit == last { fate } else { Fate::Through };
        }
        let fate = match self.below(6) {
            0 => Fate::Lost,
            1 => Fate::Unheard,
            _ => Fate::Through,
        };
        if fate != Fate::Through && self.takes_one() { fate } else { Fate::Through }
    }

    /// Takes one of the failures that are still to come.
    fn takes_one(&self) -> bool {
        self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    /// Whether a commit that is held may go on.
    fn passes(&self, step: &Step<'_>) -> bool {
        step.progress.to.position <= *self.held_beyond.lock().unwrap()
            || self.passes.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    fn fail(&self) -> Error {
        self.failures.fetch_add(1, SeqCst);
        if self.last.is_some() {
            self.dead.send_replace(true);
        }
        failed()
    }
}

fn failed() -> Error {
    Error::Unavailable("the test says so".into())
}

#[async_trait]
impl ReadStore for Failing {
    /// What requests read does not fail: it is what projections do that is tried here.
    fn for_request(&self) -> Arc<dyn ReadStore> {
        self.store.for_request()
    }

    async fn ensure_table(&self, table: &Table) -> Result<()> {
        self.alive()?;
        self.store.ensure_table(table).await
    }

    async fn index_search(&self, table: &Table) -> Result<()> {
        self.alive()?;
        self.store.index_search(table).await
    }

    async fn prune_indexes(&self, table: &Table) -> Result<()> {
        self.alive()?;
        self.store.prune_indexes(table).await
    }

    async fn searches_by_index(&self) -> Result<bool> {
        self.store.searches_by_index().await
    }

    async fn drop_table(&self, name: &str) -> Result<()> {
        self.alive()?;
        self.store.drop_table(name).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.alive()?;
        self.store.tables().await
    }

    async fn checkpoint(&self, projection: &str) -> Result<Checkpoint> {
        self.alive()?;
        self.store.checkpoint(projection).await
    }

    async fn checkpoints(&self, projections: &[&str]) -> Result<Vec<Checkpoint>> {
        self.alive()?;
        self.store.checkpoints(projections).await
    }

    async fn forget_checkpoint(&self, projection: &str) -> Result<()> {
        self.alive()?;
        self.store.forget_checkpoint(projection).await
    }

    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed> {
        self.alive()?;
        self.begun_anew.fetch_add(1, SeqCst);
        self.store.begin_anew(projection, from, tables).await
    }

    async fn commit(&self, step: &Step<'_>) -> Result<Committed> {
        self.alive()?;
        let fate = self.fate();
        // What goes on meanwhile gets ahead of it by more or less.
        if self.under_way.fetch_add(1, SeqCst) > 0 {
            self.overlapped.store(true, SeqCst);
        }
        let is_spared =
            self.spared.lock().unwrap().as_deref().is_some_and(|spared| step.progress.projection.starts_with(spared));
        if !is_spared {
            self.held.subscribe().wait_for(|held| !held || self.passes(step)).await.unwrap();
        }
        for _ in 0..self.below(50) {
            tokio::task::yield_now().await;
        }
        self.under_way.fetch_sub(1, SeqCst);
        if fate == Fate::Lost {
            return Err(self.fail());
        }
        let committed = self.store.commit(step).await?;
        if fate == Fate::Unheard { Err(self.fail()) } else { Ok(committed) }
    }

    async fn changes(&self, projection: &str, asked: &ChangeQuery<'_>) -> Result<ChangePage> {
        self.alive()?;
        // A page may end wherever it likes, and whoever asks goes on from there.
        let below = |bound| u32::try_from(self.below(bound)).unwrap();
        let (limit, most_bytes) = (asked.limit.min(1 + below(40)), 1 + below(4_000) as usize);
        self.store.changes(projection, &ChangeQuery { limit, most_bytes, ..*asked }).await
    }
    async fn forget_changes(&self, projection: &str, up_to: Position) -> Result<Forgotten> {
        self.alive()?;
        self.store.forget_changes(projection, up_to).await
    }
    async fn rows(
        &self,
        table: &Table,
        tenant: &TenantId,
        keys: &[String],
        columns: Option<&[String]>,
    ) -> Result<Rows> {
        self.alive()?;
        if self.last.is_none() && self.below(6) == 0 && self.takes_one() {
            let error = self.fail();
            // Not everything that goes wrong in a host comes as an error.
            assert!(self.below(2) == 0, "the test says so");
            return Err(error);
        }
        self.store.rows(table, tenant, keys, columns).await
    }

    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Rows> {
        self.alive()?;
        self.store.select(table, tenant, select).await
    }

    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Rows> {
        self.alive()?;
        self.store.select_each(table, tenant, each, select).await
    }

    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        self.alive()?;
        self.store.count(table, tenant, filter).await
    }

    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>> {
        self.alive()?;
        self.store.aggregate(table, tenant, aggregate).await
    }

    async fn aggregate_each(
        &self,
        table: &Table,
        tenant: &TenantId,
        each: &Each,
        aggregate: &Aggregate,
    ) -> Result<Vec<(Value, Group)>> {
        self.alive()?;
        self.store.aggregate_each(table, tenant, each, aggregate).await
    }

    async fn parked(&self, projection: Option<&str>, limit: u32) -> Result<Vec<(String, Parked)>> {
        self.alive()?;
        self.store.parked(projection, limit).await
    }

    async fn letter(&self, projection: &str, id: &LetterId) -> Result<Option<Parked>> {
        self.alive()?;
        self.store.letter(projection, id).await
    }

    async fn count_changes(&self, projection: &str) -> Result<u64> {
        self.alive()?;
        self.store.count_changes(projection).await
    }

    async fn use_tables(&self, process: &str, tables: &[TablesInUse], unused_ms: u64) -> Result<()> {
        self.alive()?;
        self.store.use_tables(process, tables, unused_ms).await
    }

    async fn unused_tables(&self, unused_ms: u64) -> Result<Vec<TablesInUse>> {
        self.alive()?;
        self.store.unused_tables(unused_ms).await
    }

    async fn leave_tables(&self, process: &str, unused_ms: u64) -> Result<()> {
        self.alive()?;
        self.store.leave_tables(process, unused_ms).await
    }

    async fn discard_unused(&self, process: &str, tables: &TablesInUse, unused_ms: u64) -> Result<bool> {
        self.alive()?;
        self.store.discard_unused(process, tables, unused_ms).await
    }

    async fn projection_state(&self, plugin: &str, projection: &str) -> Result<ProjectionState> {
        self.alive()?;
        self.store.projection_state(plugin, projection).await
    }

    async fn set_projection_state(
        &self,
        plugin: &str,
        projection: &str,
        from: &ProjectionState,
        to: &ProjectionState,
    ) -> Result<bool> {
        self.alive()?;
        self.store.set_projection_state(plugin, projection, from, to).await
    }

    async fn ping(&self) -> Result<()> {
        self.alive()?;
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
