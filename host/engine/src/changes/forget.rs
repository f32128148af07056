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
            report("changes of rows", (count, ended));
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
    use yado_store::{Options, Progress, Step, open_reads};

    use super::*;
    use crate::Settings;

    #[tokio::test]
    async fn changes_are_kept_for_so_many_positions() {
        let reads = open_reads("sqlite::memory:", &Options::default()).await.unwrap();
        let changes = Changes::new(reads.clone(), Arc::new(Settings { changes_kept: 100, ..Settings::default() }));
        let key: Arc<str> = "tickets".into();
        let told = changes.open(&key);
        let floor = async || reads.changes("tickets", (Position::ZERO, 0), 1).await.unwrap().floor;
        let mut forgotten = HashMap::new();
        for (from, to, expected) in [(0, 90, 0), (90, 105, 0), (105, 111, 11), (111, 120, 11), (120, 500, 400)] {
            let (from, to) = (Position::new(from), Position::new(to));
            let progress = Progress { projection: "tickets", from: from.into(), to: to.into() };
            reads.commit(&Step::new(progress, &[]).telling(from, &[])).await.unwrap();
            told.tell(from, to, &[]);
            forget(&changes, &mut forgotten).await;
            assert_eq!(floor().await, Some(Position::new(expected)), "at {to}");
        }
    }
}
