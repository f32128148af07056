//! Forgets changes that have been kept for long enough.
//!
//! A journal grows as fast as its projection gets on, so it is looked at often, and forgotten piece by piece, a tenth of
//! what is kept at a time. Every process does so for the projections that it runs; that another one has done it already
//! does no harm.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use yado_model::Position;

use super::Changes;
use crate::sweep::{pieces, report, until};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Forgets until the engine stops.
pub(crate) async fn run(changes: Changes, mut stopped: watch::Receiver<bool>) {
    let forgetting = async {
        let mut forgotten = HashMap::new();
        loop {
            tokio::time::sleep(PAUSE).await;
            forget(&changes, &mut forgotten).await;
        }
    };
    until(&mut stopped, forgetting).await;
}

/// Forgets what is too old now.
async fn forget(changes: &Changes, forgotten: &mut HashMap<Arc<str>, Position>) {
    let kept = changes.shared.settings.changes_kept;
    let settled: HashMap<_, _> = {
        let told = changes.told();
        let settled = told.iter().filter_map(|(key, told)| Some((key.clone(), told.standing().borrow().settled?)));
        settled.collect()
    };
    forgotten.retain(|key, _| settled.contains_key(key));
    for (key, settled) in settled {
        let up_to = Position::new(settled.get().saturating_sub(kept));
        let before = forgotten.get(&key).map(|before| before.get());
        let is_due = up_to.get() > before.unwrap_or_default().saturating_add(kept / 10);
        if is_due {
            let (count, ended) = pieces(|| changes.shared.reads.forget_changes(&key, up_to)).await;
            if let Some(told) = changes.told().get(&key) {
                told.forgot(count);
            }
            let failed = ended.is_err();
            report("changes of rows", (count, ended));
            if failed {
                // The next look goes on, however little is told until then.
                continue;
            }
        }
        // What another process tells is not counted here before that.
        if is_due || before.is_none() {
            count(changes, &key).await;
            forgotten.insert(key, if is_due { up_to } else { Position::ZERO });
        }
    }
}

/// Counts what is kept, for the figures.
async fn count(changes: &Changes, key: &str) {
    match changes.shared.reads.count_changes(key).await {
        Ok(kept) => {
            if let Some(told) = changes.told().get(key) {
                told.counted(kept);
            }
        }
        Err(error) => tracing::debug!(projection = key, %error, "changes of rows could not be counted"),
    }
}

#[cfg(test)]
mod tests {
    use yado_store::{ChangeQuery, Options, Progress, ReadStore, Step, open_reads};

    use super::*;
    use crate::Settings;

    /// Changes of which those at the last 100 positions are kept.
    fn changes_of(reads: &Arc<dyn ReadStore>) -> Changes {
        Changes::new(reads.clone(), Arc::new(Settings { changes_kept: 100, ..Settings::default() }))
    }

    async fn commit(reads: &Arc<dyn ReadStore>, from: Position, to: Position) {
        let progress = Progress { projection: "tickets", from: from.into(), to: to.into() };
        reads.commit(&Step::new(progress, &[]).telling(from, &[])).await.unwrap();
    }

    async fn floor(reads: &Arc<dyn ReadStore>) -> Option<Position> {
        reads.changes("tickets", &ChangeQuery::of_all((Position::ZERO, 0), 1)).await.unwrap().floor
    }

    #[tokio::test]
    async fn changes_are_kept_for_so_many_positions() {
        let reads = open_reads("sqlite::memory:", &Options::default()).await.unwrap();
        let changes = changes_of(&reads);
        let told = changes.open(&"tickets".into());
        let mut forgotten = HashMap::new();
        for (from, to, expected) in [(0, 90, 0), (90, 105, 0), (105, 111, 11), (111, 120, 11), (120, 500, 400)] {
            let (from, to) = (Position::new(from), Position::new(to));
            commit(&reads, from, to).await;
            told.tell(from, to, &[]);
            forget(&changes, &mut forgotten).await;
            assert_eq!(floor(&reads).await, Some(Position::new(expected)), "at {to}");
        }
    }

    #[tokio::test]
    async fn what_could_not_be_forgotten_is_at_the_next_look_although_nothing_was_told_since() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("reads.db").display());
        let open = async || open_reads(&url, &Options::default()).await.unwrap();
        let (reads, head) = (open().await, Position::new(500));
        commit(&reads, Position::ZERO, head).await;
        let mut forgotten = HashMap::new();
        for (is_away, expected) in [(true, 0), (false, 400)] {
            let used = open().await;
            if is_away {
                used.close().await;
            }
            let changes = changes_of(&used);
            changes.open(&"tickets".into()).at(head);
            forget(&changes, &mut forgotten).await;
            assert_eq!(floor(&reads).await, Some(Position::new(expected)));
        }
    }
}
