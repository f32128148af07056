//! What the query bus and the layers around it add to a read, over read models that cost nothing.

use std::sync::Arc;
use std::time::Instant;

use yado_engine::{Circumstances, Engine, Parts};
use yado_model::{Name, TenantId};
use yado_runtime::Runtime;
use yado_store::ReadStore;

use crate::settings;
use crate::stores::{Nothing, Shown};

/// How often each way is gone.
const READS: u32 = 1_000_000;

/// Reads from rows that are there at once, or after a turn: past the engine, in one session, and in one for each read.
pub(crate) async fn measure(component: &[u8]) {
    println!("{:44} {:>11} {:>12} {:>12}   ns a read", "", "the store", "in a session", "in its own");
    for waits in [false, true] {
        let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
        let store: Arc<dyn ReadStore> = Arc::new(Shown { waits });
        let parts = Parts { events: Arc::new(Nothing::default()), reads: store.clone(), runtime };
        let engine = Engine::start(parts, settings()).await.unwrap();
        engine.deploy(component.to_vec()).await.unwrap();
        let name = if waits { "rows that are waited for" } else { "rows that are there" };
        // The futures are moved to the pool, as they are behind a surface.
        let measured = tokio::spawn({
            let engine = engine.clone();
            async move { [past(&engine, &*store).await, within(&engine).await, each(&engine).await] }
        });
        let [past, within, each] = measured.await.unwrap();
        println!("reads, {name:37} {past:>11.0} {within:>12.0} {each:>12.0}");
        engine.shutdown().await;
    }
}

async fn past(engine: &Engine, store: &dyn ReadStore) -> f64 {
    let (catalogue, keys) = (engine.catalogue(), ["a".to_owned()]);
    let model = catalogue.models().next().unwrap();
    let begun = Instant::now();
    for _ in 0..READS {
        store.rows(&model.table, &TenantId::default(), &keys, None).await.unwrap();
    }
    nanoseconds(begun)
}

async fn within(engine: &Engine) -> f64 {
    let (session, keys) = (engine.session(&engine.catalogue(), Circumstances::default()), ["a".to_owned()]);
    let model = model(engine);
    let begun = Instant::now();
    for _ in 0..READS {
        session.rows(&model, &keys, None).await.unwrap();
    }
    nanoseconds(begun)
}

async fn each(engine: &Engine) -> f64 {
    let (catalogue, keys) = (engine.catalogue(), ["a".to_owned()]);
    let model = model(engine);
    let begun = Instant::now();
    for _ in 0..READS {
        engine.session(&catalogue, Circumstances::default()).rows(&model, &keys, None).await.unwrap();
    }
    nanoseconds(begun)
}

fn model(engine: &Engine) -> Name {
    engine.catalogue().models().next().unwrap().manifest.name.clone()
}

/// Of each of the reads since then.
fn nanoseconds(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
}
