//! The tables that this process uses.
//!
//! Tables outlive the process that has made them, and others fill them or answer from them. So each process says again and
//! again which ones it uses, whatever else it is busy with, and drops only what no other one has said so of for long enough.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use yado_model::CommandId;
use yado_store::{ReadStore, Result, TablesInUse};

use crate::catalogue::ProjectionType;
use crate::sweep::until;

/// What is said holds for so long at least: a process that is held up is there all the same.
const LEAST_MS: u64 = 15_000;

/// The longest pause after which it is said again.
const LONGEST_PAUSE_MS: u64 = 10_000;

/// The tables that this process uses.
#[derive(Clone)]
pub(crate) struct Uses(Arc<Shared>);

struct Shared {
    reads: Arc<dyn ReadStore>,
    /// What this process is called.
    process: String,
    /// For so long it holds what a process says.
    holds_ms: u64,
    /// By the name under which a projection's progress is kept: its tables, and how many use them here.
    tables: Mutex<HashMap<Arc<str>, (TablesInUse, usize)>>,
}

/// Something that uses a projection's tables, for as long as it lives.
pub(crate) struct Using {
    uses: Uses,
    projection: Arc<str>,
}

impl Uses {
    /// Nothing is used yet. Requests that are under way may use what has been replaced for so long.
    pub(crate) fn new(reads: Arc<dyn ReadStore>, retire_ms: u64) -> Self {
        let process = CommandId::generate().0.to_string();
        Self(Arc::new(Shared { reads, process, holds_ms: retire_ms.max(LEAST_MS), tables: Mutex::default() }))
    }

    /// Says that a projection's tables are going to be used, before they are made or found.
    pub(crate) async fn announce(&self, projection: &ProjectionType) -> Result<()> {
        let Shared { reads, process, holds_ms, .. } = &*self.0;
        reads.use_tables(process, &[tables(projection)], *holds_ms).await
    }

    /// Something begins to use a projection's tables.
    pub(crate) fn begin(&self, projection: &ProjectionType) -> Using {
        let mut known = self.tables();
        known.entry(projection.key.clone()).or_insert_with(|| (tables(projection), 0)).1 += 1;
        Using { uses: self.clone(), projection: projection.key.clone() }
    }

    /// Says it again and again, until the engine stops.
    pub(crate) async fn run(self, mut stopped: watch::Receiver<bool>) {
        let pause = Duration::from_millis((self.0.holds_ms / 4).min(LONGEST_PAUSE_MS));
        let saying = async {
            loop {
                tokio::time::sleep(pause).await;
                let used: Vec<_> = self.tables().values().map(|(tables, _)| tables.clone()).collect();
                let Shared { reads, process, holds_ms, .. } = &*self.0;
                if !used.is_empty()
                    && let Err(error) = reads.use_tables(process, &used, *holds_ms).await
                {
                    // It is said again before it does not hold any more.
                    tracing::debug!(%error, "it could not be said which tables are in use");
                }
            }
        };
        until(&mut stopped, saying).await;
    }

    /// Tables that no process has used for so long.
    pub(crate) async fn unused(&self, ms: u64) -> Result<Vec<TablesInUse>> {
        let mut unused = self.0.reads.unused_tables(self.0.holds_ms.saturating_add(ms)).await?;
        let used = self.tables();
        unused.retain(|tables| !used.contains_key(&*tables.projection));
        Ok(unused)
    }

    /// Drops tables that nothing here uses any more, unless another process does. Says whether none does.
    pub(crate) async fn discard(&self, tables: &TablesInUse) -> Result<bool> {
        let Shared { reads, process, holds_ms, .. } = &*self.0;
        reads.discard_unused(process, tables, *holds_ms).await
    }

    /// Takes back all that was said.
    pub(crate) async fn end(&self) {
        let Shared { reads, process, holds_ms, .. } = &*self.0;
        if let Err(error) = reads.leave_tables(process, *holds_ms).await {
            tracing::debug!(%error, "others will take tables for used that are not, for a while");
        }
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<Arc<str>, (TablesInUse, usize)>> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tables that a projection fills.
pub(crate) fn tables(projection: &ProjectionType) -> TablesInUse {
    let names = projection.models.iter().map(|model| model.table.name.clone());
    TablesInUse { projection: projection.key.to_string(), tables: names.collect() }
}

impl Drop for Using {
    fn drop(&mut self) {
        let mut known = self.uses.tables();
        if let Some((_, count)) = known.get_mut(&self.projection) {
            *count -= 1;
            if *count == 0 {
                known.remove(&self.projection);
            }
        }
    }
}
