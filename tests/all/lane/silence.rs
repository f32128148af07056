//! A database that does not answer: neither with what it was asked for nor with an error.

use yado_engine::Refusal;

use super::*;

/// A way on which such things get lost: nobody ever hears of them again.
#[derive(Default)]
struct Silence(std::sync::Mutex<Vec<Freight>>);

impl Silence {
    fn falls(&self, over: impl IntoIterator<Item = Freight>) {
        *self.0.lock().unwrap() = over.into_iter().collect();
    }

    fn ends(&self) {
        self.falls([]);
    }
}

#[async_trait]
impl Journey for Silence {
    async fn there(&self, freight: Freight) -> Result<()> {
        let lost = self.0.lock().unwrap().contains(&freight);
        if lost {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

async fn bank(settings: Settings) -> (Engine, Arc<Way<Silence>>) {
    over(settings).await
}

/// A bank over a log that is reached by a way. An engine that gives its database little time may not come so far on a busy
/// machine, and then it is another one that does.
async fn over<J: Journey + Default + 'static>(settings: Settings) -> (Engine, Arc<Way<J>>) {
    let mut begun = None;
    eventually("a bank is open", async || {
        begun = begin(settings.clone()).await;
        begun.is_some()
    })
    .await;
    begun.unwrap()
}

/// Such a bank, unless it took too long.
async fn begin<J: Journey + Default + 'static>(settings: Settings) -> Option<(Engine, Arc<Way<J>>)> {
    let store = open_events("sqlite::memory:", &patient_options()).await.unwrap();
    let way = Arc::new(Way { store, journey: J::default() });
    let parts = Parts {
        events: way.clone(),
        reads: open_reads("sqlite::memory:", &patient_options()).await.unwrap(),
        runtime: Runtime::new(yado_runtime::Settings::default()).unwrap(),
    };
    let engine = match Engine::start(parts, settings).await {
        Ok(engine) => engine,
        Err(Error::Timeout { .. } | Error::Unavailable { .. }) => return None,
        Err(error) => panic!("{error}"),
    };
    match engine.deploy(component("bank")).await {
        Ok(_) => return Some((engine, way)),
        Err(Refusal::Unavailable(_)) => engine.shutdown().await,
        Err(refusal) => panic!("{refusal}"),
    }
    None
}

async fn open(engine: &Engine, id: &str) -> yado_engine::Result<Receipt> {
    engine.dispatch(&engine.catalogue(), dispatch("Open", json!({ "id": id, "owner": "Ada" }), None)).await
}

/// Opens an account of an engine that has little time for it. On a busy machine an attempt may be recorded and come too late,
/// and then there is such an account by the next one.
async fn opens(engine: &Engine, id: &str) {
    eventually("an account is opened", async || match open(engine, id).await {
        Ok(_) | Err(Error::Rejected(_)) => true,
        Err(error) => {
            assert!([Code::Timeout, Code::Unavailable].contains(&error.code()), "{error}");
            false
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_events_never_came_is_read_again() {
    let (engine, way) = bank(Settings { database_ms: 200, ..patient() }).await;
    way.journey.falls([Freight::Stream]);
    assert_eq!(open(&engine, "a").await.unwrap_err().code(), Code::Unavailable);
    way.journey.ends();
    opens(&engine, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_silent_database_makes_room_when_nobody_waits_for_it_any_more() {
    // The database is waited for for as long as the test may take.
    let settings = Settings { shards: 1, shard_queue: 50, command_ms: 300, database_ms: 600_000, ..patient() };
    let (engine, way) = bank(settings).await;
    way.journey.falls([Freight::Stream]);
    let lost = (0..60).map(|n| {
        let (engine, id) = (&engine, ["a", "b", "c"][n % 3]);
        async move { open(engine, id).await.unwrap_err().code() }
    });
    for code in join_all(lost).await {
        // Those beyond the shard and its queue are refused.
        assert!([Code::Timeout, Code::Unavailable].contains(&code), "{code}");
    }
    way.journey.ends();
    opens(&engine, "d").await;
}

/// Stops an engine, and waits for its end.
async fn stop(engine: &Engine) {
    let engine = engine.clone();
    let stopping = tokio::spawn(async move { engine.shutdown().await });
    eventually("the engine has stopped", async || stopping.is_finished()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_stops_over_a_database_that_has_gone_silent() {
    // The database is waited for for as long as the test may take.
    let settings = Settings { command_ms: 300, database_ms: 600_000, ..patient() };
    let (engine, way) = bank(settings).await;
    opens(&engine, "a").await;
    use Freight::{Announcement, Answer, Append, Log, Snapshot, Stream};
    way.journey.falls([Append, Announcement, Stream, Log, Answer, Snapshot]);
    // One that is in the lane, and one that waits for what its stream has.
    let catalogue = engine.catalogue();
    let deposit = dispatch("Deposit", json!({ "id": "a", "amount": 1, "reference": "" }), None);
    let (known, unknown) = tokio::join!(engine.dispatch(&catalogue, deposit), open(&engine, "b"));
    assert_eq!((known.unwrap_err().code(), unknown.unwrap_err().code()), (Code::Timeout, Code::Timeout));
    stop(&engine).await;
}

/// A way on which no append arrives, and everybody is told so at once.
#[derive(Default)]
struct Shut(AtomicUsize);

#[async_trait]
impl Journey for Shut {
    async fn append(&self, _: &dyn EventStore, _: &[Append]) -> Result<Vec<Appended>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(yado_store::Error::Unavailable("the test says so".into()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_while_the_engine_stops_is_not_tried_again_and_again() {
    let settings = Settings { lane_attempts: u32::MAX, command_ms: 600_000, ..patient() };
    let (engine, way) = over::<Shut>(settings).await;
    let opening = tokio::spawn({
        let engine = engine.clone();
        async move { open(&engine, "a").await }
    });
    eventually("it has been tried", async || way.journey.0.load(Ordering::SeqCst) > 0).await;
    stop(&engine).await;
    assert_eq!(opening.await.unwrap().unwrap_err().code(), Code::Unavailable);
}
