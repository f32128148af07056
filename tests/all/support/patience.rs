//! Waiting for something to become true, within bounds.

use std::time::{Duration, Instant};

/// How long anything may take. It is a limit for when something is broken; what is waited for takes a fraction of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "still not so after {PATIENCE:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
