//! Forgets what has served its time: answers that no repetition will ask for any more, and snapshots that no code reads.
//!
//! There may be millions of them after a busy hour. So they are forgotten piece by piece. Each piece is a question of its own
//! to the database, with a deadline of its own; between two of them whoever records something goes first; and a sweep ends
//! when the engine does, wherever it is. The next one goes on from there.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use yado_model::Timestamp;
use yado_store::{EventStore, Forgotten, Result};

use crate::Settings;
use crate::catalogue::Catalogue;

/// The longest pause between two sweeps. Often enough that there is never much to sweep.
const LONGEST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The pause between two pieces, in which a log with one writer takes down what has gathered.
const BREATH: Duration = Duration::from_millis(5);

/// Snapshots are kept for so long after their code was last seen at work anywhere: whoever goes back to it within that
/// time finds them, and a process that runs other code beside this one keeps its own.
const SNAPSHOTS_KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// Sweeps until the engine stops.
pub(crate) async fn run(
    store: Arc<dyn EventStore>,
    settings: Arc<Settings>,
    live: Arc<ArcSwap<Catalogue>>,
    mut stopped: watch::Receiver<bool>,
) {
    let kept_ms = settings.answers_kept_ms.max(1_000);
    let pause = Duration::from_millis(kept_ms / 4).min(LONGEST_PAUSE);
    let sweeping = async {
        loop {
            tokio::time::sleep(pause).await;
            let now = Timestamp::now();
            forget_answers(&*store, kept_ms, now).await;
            let live = live.load();
            let used = live.aggregates().map(|aggregate| aggregate.state_encoding().to_string()).collect();
            drop(live);
            forget_snapshots(&*store, used, now).await;
        }
    };
    until(&mut stopped, sweeping).await;
}

/// Does something until the engine stops. A piece that is under way then may be done or not, and either is right.
pub(crate) async fn until(stopped: &mut watch::Receiver<bool>, work: impl Future) {
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stopped| *stopped) => {}
        _ = work => {}
    }
}

/// Forgets the answers that have been kept for so long.
async fn forget_answers(store: &dyn EventStore, kept_ms: u64, now: Timestamp) {
    let before = earlier(now, kept_ms);
    report("answers", pieces(|| store.forget_answers(before)).await);
}

/// Forgets the snapshots in encodings that no process has used for long.
async fn forget_snapshots(store: &dyn EventStore, used: Vec<String>, now: Timestamp) {
    // Nothing is deployed yet, and what will be may have been away for long.
    if used.is_empty() {
        return;
    }
    let since = earlier(now, SNAPSHOTS_KEPT_MS);
    report("snapshots that no code reads any more", pieces(|| store.forget_snapshots(&used, since)).await);
}

/// Forgets one piece after the other, until there are none left or one can't be. Returns how much was forgotten, and why it
/// ended early, if it did.
pub(crate) async fn pieces<F>(mut forget: impl FnMut() -> F) -> (u64, Result<()>)
where
    F: Future<Output = Result<Forgotten>>,
{
    let mut count = 0;
    loop {
        match forget().await {
            Ok(piece) => {
                count += piece.count;
                if !piece.more {
                    return (count, Ok(()));
                }
            }
            Err(error) => return (count, Err(error)),
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Tells the operator what has become of it.
pub(crate) fn report(what: &str, (count, ended): (u64, Result<()>)) {
    match ended {
        Ok(()) if count == 0 => {}
        Ok(()) => tracing::debug!(count, "{what} were forgotten"),
        Err(error) => tracing::warn!(count, %error, "{what} could not all be forgotten; the next sweep goes on"),
    }
}

fn earlier(now: Timestamp, ms: u64) -> Timestamp {
    now.plus_ms(i64::try_from(ms).map_or(i64::MIN, |ms| -ms))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use yado_model::{Digest, IdempotencyKey, Revision, TenantId};
    use yado_store::conformance::{counted, record, stream};
    use yado_store::{Draft, Error, Idempotency, Options, Snapshot, open_events};

    use super::*;

    fn key(text: &str) -> IdempotencyKey {
        IdempotencyKey::parse(text).unwrap()
    }

    /// A log with answers of those times.
    async fn answered(answers: &[(&str, Timestamp)]) -> Arc<dyn EventStore> {
        let store = open_events("sqlite::memory:", &Options::default()).await.unwrap();
        let drafts: Vec<_> = answers
            .iter()
            .map(|(name, recorded_at)| Draft {
                recorded_at: *recorded_at,
                idempotency: Some(Idempotency { key: key(name), request: Digest::of(name.as_bytes()) }),
                ..counted(&format!("Counter-{name}"), 0, 1)
            })
            .collect();
        record(&*store, &drafts).await.unwrap();
        store
    }

    async fn has(store: &dyn EventStore, name: &str) -> bool {
        store.answer(&TenantId::default(), &key(name)).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_as_long_as_configured_and_no_longer() {
        let now = Timestamp::now();
        let store = answered(&[("older", now.plus_ms(-60_001)), ("younger", now.plus_ms(-59_999))]).await;
        forget_answers(&*store, 60_000, now).await;
        assert_eq!((has(&*store, "older").await, has(&*store, "younger").await), (false, true));
        forget_answers(&*store, 60_000, now.plus_ms(2)).await;
        assert!(!has(&*store, "younger").await);
        // Who keeps them for ever forgets none.
        let store = answered(&[("oldest", Timestamp::from_micros(i64::MIN))]).await;
        forget_answers(&*store, u64::MAX, now).await;
        assert!(has(&*store, "oldest").await);
    }

    #[tokio::test]
    async fn a_sweep_goes_by_the_settings_until_the_engine_stops() {
        let now = Timestamp::now();
        let store = answered(&[("old", now.plus_ms(-60_000)), ("young", now.plus_ms(60_000))]).await;
        let settings = Arc::new(Settings { answers_kept_ms: 1_000, ..Settings::default() });
        let live = Arc::new(ArcSwap::from_pointee(Catalogue::default()));
        let (stop, stopped) = watch::channel(false);
        let sweeping = tokio::spawn(run(store.clone(), settings, live, stopped));
        while has(&*store, "old").await {
            tokio::task::yield_now().await;
        }
        assert!(has(&*store, "young").await);
        stop.send_replace(true);
        sweeping.await.unwrap();
    }

    #[tokio::test]
    async fn snapshots_are_forgotten_when_no_code_has_read_them_for_a_day() {
        let store = answered(&[]).await;
        let now = Timestamp::now();
        let snapshot = |encoding: &str| Snapshot {
            tenant: TenantId::default(),
            stream: stream("Counter-a"),
            revision: Revision::new(1),
            command: yado_model::CommandId::generate(),
            encoding: encoding.into(),
            state: None,
        };
        store.save_snapshots(&[snapshot("old"), snapshot("new")]).await.unwrap();
        let kept = async |encoding: &str| {
            store.snapshot(&TenantId::default(), &stream("Counter-a"), encoding).await.unwrap().is_some()
        };
        // It is seen for the first time, by whoever sweeps.
        forget_snapshots(&*store, vec!["new".into()], now).await;
        let day = SNAPSHOTS_KEPT_MS as i64;
        forget_snapshots(&*store, Vec::new(), now.plus_ms(2 * day)).await;
        forget_snapshots(&*store, vec!["new".into()], now.plus_ms(day - 60_000)).await;
        assert!(kept("old").await);
        forget_snapshots(&*store, vec!["new".into()], now.plus_ms(day + 60_000)).await;
        assert_eq!((kept("old").await, kept("new").await), (false, true));
    }

    #[tokio::test]
    async fn piece_by_piece_until_there_is_no_more() {
        let left = AtomicU64::new(3);
        let piece = || async {
            let left = left.fetch_sub(1, Ordering::Relaxed);
            Ok(Forgotten { count: left, more: left > 1 })
        };
        assert_eq!(pieces(piece).await, (3 + 2 + 1, Ok(())));
        let broken = || Error::Unavailable("the test says so".into());
        let left = AtomicU64::new(2);
        let piece = || async {
            let left = left.fetch_sub(1, Ordering::Relaxed);
            if left == 1 { Err(broken()) } else { Ok(Forgotten { count: 5, more: true }) }
        };
        assert_eq!(pieces(piece).await, (5, Err(broken())));
    }

    #[tokio::test]
    async fn it_ends_between_two_pieces_when_the_engine_stops() {
        let (stop, mut stopped) = watch::channel(false);
        let done = AtomicU64::new(0);
        let piece = || async {
            if done.fetch_add(1, Ordering::Relaxed) == 2 {
                stop.send_replace(true);
            }
            Ok(Forgotten { count: 1, more: true })
        };
        until(&mut stopped, pieces(piece)).await;
        assert_eq!(done.load(Ordering::Relaxed), 3);
    }
}
