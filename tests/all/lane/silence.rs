//! A database that does not answer: neither with what it was asked for nor with an error.

use std::sync::atomic::AtomicBool;

use crate::support::eventually;

use super::*;

/// A way on which questions about streams get lost while it is silent.
#[derive(Default)]
struct Silence(AtomicBool);

#[async_trait]
impl Journey for Silence {
    async fn there(&self, freight: Freight) -> Result<()> {
        if freight == Freight::Stream && self.0.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

async fn bank(settings: Settings) -> (Engine, Arc<Way<Silence>>) {
    let store = open_events("sqlite::memory:", &Options::default()).await.unwrap();
    let way = Arc::new(Way { store, journey: Silence::default() });
    let parts = Parts {
        events: way.clone(),
        reads: open_reads("sqlite::memory:", &Options::default()).await.unwrap(),
        runtime: Runtime::new(yado_runtime::Settings::default()).unwrap(),
    };
    let engine = Engine::start(parts, settings).await.unwrap();
    engine.deploy(component("bank")).await.unwrap();
    (engine, way)
}

async fn open(engine: &Engine, id: &str) -> yado_engine::Result<Receipt> {
    engine.dispatch(&engine.catalogue(), dispatch("Open", json!({ "id": id, "owner": "Ada" }), None)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_events_never_came_is_read_again() {
    let (engine, way) = bank(Settings { database_ms: 200, ..Settings::default() }).await;
    way.journey.0.store(true, Ordering::SeqCst);
    assert_eq!(open(&engine, "a").await.unwrap_err().code(), Code::Unavailable);
    way.journey.0.store(false, Ordering::SeqCst);
    open(&engine, "a").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_silent_database_makes_room_when_nobody_waits_for_it_any_more() {
    // The database is waited for for as long as the test may take.
    let settings =
        Settings { shards: 1, shard_queue: 50, command_ms: 300, database_ms: 600_000, ..Settings::default() };
    let (engine, way) = bank(settings).await;
    way.journey.0.store(true, Ordering::SeqCst);
    let lost = (0..60).map(|n| {
        let (engine, id) = (&engine, ["a", "b", "c"][n % 3]);
        async move { open(engine, id).await.unwrap_err().code() }
    });
    for code in join_all(lost).await {
        // Those beyond the shard and its queue are refused.
        assert!([Code::Timeout, Code::Unavailable].contains(&code), "{code}");
    }
    way.journey.0.store(false, Ordering::SeqCst);
    eventually("another stream gets on", async || open(&engine, "d").await.is_ok()).await;
}
