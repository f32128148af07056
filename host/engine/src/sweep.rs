//! Forgets what has served its time: answers that no repetition will ask for any more, and snapshots that no code reads.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use yado_model::Timestamp;
use yado_store::EventStore;

use crate::Settings;
use crate::catalogue::Catalogue;

/// The longest pause between two sweeps. Often enough that there is never much to sweep.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Snapshots are kept for so long after their code was last seen at work anywhere: whoever goes back to it within that
/// time finds them, and a process that runs other code beside this one keeps its own.
const SNAPSHOTS_KEPT_MS: i64 = 24 * 60 * 60 * 1_000;

/// Sweeps until the engine stops.
pub(crate) async fn run(
    store: Arc<dyn EventStore>,
    settings: Arc<Settings>,
    live: Arc<ArcSwap<Catalogue>>,
    mut stopped: watch::Receiver<bool>,
) {
    let kept = settings.answers_kept_ms.max(1_000);
    let pause = Duration::from_millis(kept / 4).min(LONGEST_PAUSE);
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(pause) => {}
        }
        let before = Timestamp::now().plus_ms(-i64::try_from(kept).unwrap_or(i64::MAX));
        match store.forget_answers(before).await {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "answers were forgotten"),
            Err(error) => tracing::warn!(%error, "answers could not be forgotten; the next sweep tries again"),
        }
        forget_snapshots(&*store, &live.load()).await;
    }
}

async fn forget_snapshots(store: &dyn EventStore, live: &Catalogue) {
    let used: Vec<String> = live.aggregates().map(|aggregate| aggregate.state_encoding().to_string()).collect();
    // Nothing is deployed yet, and what will be may have been away for long.
    if used.is_empty() {
        return;
    }
    match store.forget_snapshots(&used, Timestamp::now().plus_ms(-SNAPSHOTS_KEPT_MS)).await {
        Ok(0) => {}
        Ok(count) => tracing::debug!(count, "snapshots that no code reads any more were forgotten"),
        Err(error) => tracing::warn!(%error, "old snapshots could not be forgotten; the next sweep tries again"),
    }
}
