//! Watches whether projections get on.
//!
//! A lag says that there is much to do. It does not tell whoever is nearly there from whoever has not moved for an hour: a
//! guest that never comes back, a lock that is never given. So the watchdog looks at where each projection is, and raises
//! its voice when one has something to do and does not move. It only tells: what stalls goes on by itself when it can.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use yado_model::Position;

use super::Status;
use super::progress::{News, Progress};

/// The longest and the shortest pause between two looks.
const PAUSES_MS: (u64, u64) = (10, 1_000);

/// What is known of how projections get on, by the names under which their progress is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watchdog(Arc<Mutex<HashMap<Arc<str>, Progress>>>);

/// How a projection gets on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Pace {
    /// Whether it has something to do, and has not got on for too long.
    pub(crate) stalled: bool,
    /// Events a second, of late.
    pub(crate) rate: f64,
}

impl Watchdog {
    /// Looks at projections until the engine goes down.
    pub(crate) async fn run(
        self,
        projections: impl Fn() -> Vec<(Arc<str>, Status)>,
        head: watch::Receiver<Position>,
        stalled_ms: u64,
        mut stopped: watch::Receiver<bool>,
    ) {
        let (shortest, longest) = PAUSES_MS;
        let mut ticks = tokio::time::interval(Duration::from_millis((stalled_ms / 4).clamp(shortest, longest)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
            let head = *head.borrow();
            self.look(&projections(), head, Instant::now(), Duration::from_millis(stalled_ms));
        }
    }

    fn look(&self, projections: &[(Arc<str>, Status)], head: Position, now: Instant, limit: Duration) {
        let mut known = self.known();
        known.retain(|key, _| projections.iter().any(|(running, _)| running == key));
        for (key, status) in projections {
            let progress = known.entry(key.clone()).or_insert_with(|| Progress::begin(now, status.position));
            let Status { name, position, .. } = status;
            match progress.look(now, *position, *position < head && !status.paused, limit) {
                News::None => {}
                News::Stalls => tracing::error!(
                    projection = name, %position, %head, stalled_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
                    "a projection has events to show and does not get on"
                ),
                News::GetsOn => tracing::info!(projection = name, %position, %head, "a projection gets on again"),
            }
        }
    }

    /// How a projection gets on, as far as that is known.
    pub(crate) fn pace(&self, key: &str) -> Pace {
        let known = self.known();
        let pace = |progress: &Progress| Pace { stalled: progress.is_stalled(), rate: progress.rate() };
        known.get(key).map(pace).unwrap_or_default()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Arc<str>, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_is_known_for_as_long_as_it_runs() {
        let (watchdog, key, begun) = (Watchdog::default(), Arc::<str>::from("counters/Counts/1"), Instant::now());
        let (head, limit) = (Position::new(9), Duration::from_secs(1));
        let running = [(key.clone(), Status::begin("Counts".into()))];
        watchdog.look(&running, head, begun, limit);
        assert!(!watchdog.pace(&key).stalled);
        watchdog.look(&running, head, begun + limit, limit);
        assert!(watchdog.pace(&key).stalled);
        watchdog.look(&[], head, begun + limit, limit);
        assert_eq!(watchdog.pace(&key), Pace::default());
    }
}
