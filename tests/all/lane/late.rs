//! An attempt that is still on its way when the next one is answered.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;

use yado_store::testing::Postgres;

use super::*;

/// A way on which an append takes so long that nobody waits for it any more. It arrives when the test says so.
struct Detour {
    /// What is said of the next appends, which go astray.
    astray: Mutex<VecDeque<yado_store::Error>>,
    late: Mutex<Vec<Append>>,
    /// Whether the disk is full when an append arrives.
    full: AtomicBool,
}

#[async_trait]
impl Journey for Detour {
    async fn append(&self, store: &dyn EventStore, batch: &[Append]) -> Result<Vec<Appended>> {
        if let Some(error) = self.astray.lock().await.pop_front() {
            self.late.lock().await.extend_from_slice(batch);
            return Err(error);
        }
        if self.full.load(Ordering::SeqCst) {
            return Err(yado_store::Error::Full("the test says so".into()));
        }
        store.append(batch).await
    }
}

struct Registry {
    engine: Engine,
    way: Arc<Way<Detour>>,
}

impl Registry {
    async fn new(url: &str) -> Self {
        let store = open_events(url, &patient_options()).await.unwrap();
        let (astray, late, full) = Default::default();
        let way = Arc::new(Way { store, journey: Detour { astray, late, full } });
        let parts = Parts {
            events: way.clone(),
            reads: open_reads("sqlite::memory:", &patient_options()).await.unwrap(),
            runtime: Runtime::new(yado_runtime::Settings::default()).unwrap(),
        };
        let settings = Settings { lane_attempts: 2, ..patient() };
        let engine = Engine::start(parts, settings).await.unwrap();
        engine.deploy(component("registry")).await.unwrap();
        Self { engine, way }
    }

    async fn send(&self, command: &str, payload: Value) -> yado_engine::Result<Receipt> {
        self.engine.dispatch(&self.engine.catalogue(), dispatch(command, payload, None)).await
    }

    async fn register(&self, address: &str) -> yado_engine::Result<Receipt> {
        self.send("Register", json!({ "address": address })).await
    }

    /// The next append gets lost, and this is said of it.
    async fn lose_the_next(&self, error: fn(String) -> yado_store::Error) {
        self.way.journey.astray.lock().await.push_back(error("the test says so".into()));
    }
}

async fn registries() -> [Registry; 2] {
    [Registry::new("sqlite::memory:").await, Registry::new(&Postgres::shared().database().await).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_that_a_value_is_taken_whose_first_attempt_may_still_get_it() {
    for registry in registries().await {
        let ada = registry.register("a@example.org").await.unwrap();
        registry.lose_the_next(yado_store::Error::Unheard).await;
        let told = registry.register("a@example.org").await.unwrap_err();
        assert_eq!(told.code(), Code::Unavailable, "{told}");
        assert!(told.to_string().contains("whether it was is not known"), "{told}");
        // For this may happen.
        registry.send("Leave", json!({ "id": ada.stream.id() })).await.unwrap();
        let late = std::mem::take(&mut *registry.way.journey.late.lock().await);
        let outcomes = registry.way.store.append(&late).await.unwrap();
        assert!(matches!(outcomes.as_slice(), [Appended::Recorded { .. }]), "{outcomes:?}");
        // Whoever asks again is told what is so by now.
        assert_eq!(registry.register("a@example.org").await.unwrap_err().code(), Code::Rejected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_taken_if_the_database_has_said_that_nothing_came_of_the_first_attempt() {
    for registry in registries().await {
        registry.register("a@example.org").await.unwrap();
        registry.lose_the_next(yado_store::Error::Unavailable).await;
        assert_eq!(registry.register("a@example.org").await.unwrap_err().code(), Code::Rejected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_not_available_is_said_to_have_recorded_nothing_if_every_attempt_was_at_its_end() {
    for registry in registries().await {
        let told = async |errors: [fn(String) -> yado_store::Error; 2]| {
            let lost = errors.map(|error| error("the test says so".into()));
            *registry.way.journey.astray.lock().await = lost.into();
            registry.register("b@example.org").await.unwrap_err().to_string()
        };
        let (gone, unheard) = (yado_store::Error::Unavailable, yado_store::Error::Unheard);
        assert!(told([gone, gone]).await.contains("not available, and nothing was recorded"));
        for errors in [[gone, unheard], [unheard, gone]] {
            assert!(told(errors).await.contains("whether it was is not known"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_not_said_to_have_recorded_nothing_if_an_attempt_before_it_may_still_be_recorded() {
    for registry in registries().await {
        let told = |error: yado_engine::Error| error.to_string();
        let full = "the server's disk is full, and nothing was recorded";
        registry.way.journey.full.store(true, Ordering::SeqCst);
        assert!(told(registry.register("b@example.org").await.unwrap_err()).contains(full));
        registry.lose_the_next(yado_store::Error::Unheard).await;
        let told = told(registry.register("b@example.org").await.unwrap_err());
        assert!(told.contains("whether it was is not known"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_out_of_use_is_asked_once() {
    for registry in registries().await {
        let told = async |errors: [fn(String) -> yado_store::Error; 2]| {
            let lost = errors.map(|error| error("the test says so".into()));
            *registry.way.journey.astray.lock().await = lost.into();
            let told = registry.register("b@example.org").await.unwrap_err().to_string();
            (told, registry.way.journey.astray.lock().await.len())
        };
        let (out_of_use, unheard) = (yado_store::Error::OutOfUse, yado_store::Error::Unheard);
        let (said, left) = told([out_of_use, unheard]).await;
        assert!(said.contains("nothing was recorded") && said.contains("started again"), "{said}");
        assert_eq!(left, 1);
        let (said, left) = told([unheard, out_of_use]).await;
        assert!(said.contains("whether it was is not known"), "{said}");
        assert_eq!(left, 0);
    }
}
