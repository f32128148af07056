//! Forgets what has served its time: answers that no repetition will ask for any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use yado_model::Timestamp;
use yado_store::EventStore;

use crate::Settings;

/// The longest pause between two sweeps. Often enough that there is never much to sweep.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Sweeps until the engine stops.
pub(crate) async fn run(store: Arc<dyn EventStore>, settings: Arc<Settings>, mut stopped: watch::Receiver<bool>) {
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
    }
}
