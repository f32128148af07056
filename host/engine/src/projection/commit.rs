//! Commits what a projection has gathered, while it goes on.

use std::sync::Arc;

use tokio::task::JoinHandle;
use yado_model::{Position, TenantId};
use yado_store::{Changed, Checkpoint, Committed, Progress, ReadStore, Step, TableWrites, Write};

use super::Failure;
use super::memory::Layer;
use super::quarantine::Letters;
use super::row;
use super::unique::Strokes;
use crate::catalogue::{Model, ProjectionType};

/// More rows than this are made ready on a thread of their own, so that those that serve others don't wait.
const FEW: usize = 200;

/// What a commit takes along.
pub(super) struct Errand {
    /// Where the projection stood before.
    pub(super) from: Checkpoint,
    /// Where it stands after.
    pub(super) to: Checkpoint,
    pub(super) rows: Arc<Layer>,
    /// What they take and release of what is unique.
    pub(super) strokes: Strokes,
    pub(super) letters: Letters,
    /// What is told of the rows, if anything is.
    pub(super) news: Option<News>,
}

/// What is told of rows that go down.
#[derive(Clone)]
pub(super) struct News {
    /// All changes after this position are told.
    pub(super) from: Position,
    /// There were none between the checkpoint, or where the telling begins, and this position.
    pub(super) none_before: Position,
    pub(super) changes: Arc<Vec<Arc<Changed>>>,
}

/// A commit on its way.
pub(super) struct Commit {
    /// How far the projection has come with it.
    to: Checkpoint,
    /// What has become of streams with it.
    letters: Letters,
    /// What is told with it.
    news: Option<News>,
    task: JoinHandle<Outcome>,
    outcome: Option<Outcome>,
}

type Outcome = Result<Committed, Failure>;

impl Commit {
    /// Sends rows and progress on their way.
    pub(super) fn begin(reads: &Arc<dyn ReadStore>, projection: &Arc<ProjectionType>, errand: Errand) -> Self {
        let (reads, projection) = (reads.clone(), projection.clone());
        let (to, letters, news) = (errand.to, errand.letters.clone(), errand.news.clone());
        let task = tokio::spawn(async move { commit(&*reads, projection, errand).await });
        Self { to, letters, news, task, outcome: None }
    }

    /// Whether it has come to an end.
    pub(super) fn has_ended(&self) -> bool {
        self.outcome.is_some() || self.task.is_finished()
    }

    /// Waits for its end. A wait that is given up may be begun again.
    pub(super) async fn wait(&mut self) {
        if self.outcome.is_none() {
            let lost = |error| Err(lost(&error));
            self.outcome = Some((&mut self.task).await.unwrap_or_else(lost));
        }
    }

    /// How far the projection has come with it, what has become of streams, what is told, and whether it went through.
    pub(super) async fn ended(mut self) -> (Checkpoint, Letters, Option<News>, Outcome) {
        self.wait().await;
        let outcome = self.outcome.unwrap_or_else(|| Err(lost(&"nobody knows why")));
        (self.to, self.letters, self.news, outcome)
    }
}

async fn commit(reads: &dyn ReadStore, projection: Arc<ProjectionType>, errand: Errand) -> Outcome {
    let Errand { from, to, rows, strokes, letters, news } = errand;
    if let Err(failure) = strokes.check(reads, &projection.models).await {
        // What another process has written since is nobody's fault.
        let found = reads.checkpoint(&projection.key).await?;
        return if found == from { Err(failure) } else { Ok(Committed::Elsewhere(found)) };
    }
    let all = (0..projection.models.len()).map(|at| rows.len(at)).sum::<usize>();
    let models = projection.models.clone();
    let writes = if all <= FEW {
        writes(&models, &rows)
    } else {
        let (models, rows) = (models.clone(), rows.clone());
        let made = tokio::task::spawn_blocking(move || writes(&models, &rows)).await;
        made.map_err(|error| yado_store::Error::Unavailable(error.to_string()))?
    }?;
    // Whoever holds them last keeps them in memory, and that is not this commit.
    drop(rows);
    let tables = models.iter().zip(writes).filter(|(_, writes)| !writes.is_empty());
    let tables: Vec<_> = tables.map(|(model, writes)| TableWrites { table: &model.table, writes }).collect();
    let step = Step::new(Progress { projection: &projection.key, from, to }, &tables);
    let step = step.parking(&letters.parked, &letters.released);
    let step = match &news {
        Some(news) => step.telling(news.from, &news.changes),
        None => step,
    };
    Ok(reads.commit(&step).await?)
}

/// Why a commit has come to nothing that nobody knows anything of.
fn lost(why: &dyn std::fmt::Display) -> Failure {
    Failure::Database(yado_store::Error::Unavailable(format!("a commit was given up: {why}")))
}

/// What is written to each read model's table.
fn writes(models: &[Arc<Model>], rows: &Layer) -> yado_store::Result<Vec<Vec<(TenantId, Write)>>> {
    let of_model = |at: usize| {
        let mut rows: Vec<_> = rows.rows(at).collect();
        // In the order of the tables' keys: neighbours go to the same pages.
        rows.sort_unstable_by_key(|(tenant, key, _)| (*tenant, *key));
        let writes = rows.into_iter().map(|(tenant, key, row)| {
            let write = match row {
                Some(row) => Write::Put(row::into_stored(row)?),
                None => Write::Delete(key.to_owned()),
            };
            Ok((tenant.clone(), write))
        });
        writes.collect()
    };
    (0..models.len()).map(of_model).collect()
}
