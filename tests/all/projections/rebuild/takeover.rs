//! Tables take the place of others while the log grows: nobody is shown less than before.

use std::sync::Mutex;

use yado_engine::{Catalogue, ProjectionState, Surface};

use super::*;

/// Takes note of how far the tables are that are live, before and after others take their place.
struct Witness {
    engine: Engine,
    projection: &'static str,
    seen: Arc<Mutex<Vec<(Position, Position)>>>,
}

/// How far the tables are that are live.
fn live_position(engine: &Engine, projection: &str) -> Position {
    let all = engine.projections().into_iter();
    let live = all.filter(|status| status.name == projection && status.state == ProjectionState::Live);
    live.map(|status| status.position).max().unwrap_or_default()
}

impl Surface for Witness {
    fn prepare(&self, _: &Arc<Catalogue>) -> Result<Box<dyn FnOnce() + Send>, String> {
        let Self { engine, projection, seen } = self;
        let (engine, projection, seen) = (engine.clone(), *projection, seen.clone());
        let before = live_position(&engine, projection);
        Ok(Box::new(move || seen.lock().unwrap().push((before, live_position(&engine, projection)))))
    }
}

/// How often others have their turn before it is believed that nothing comes of it.
const TURNS: usize = 100_000;

/// So many events may come in the moment in which tables are put in place.
const MOMENT: u64 = 1_000;

/// Settings under which tables that were replaced stay, so that whoever waits for what they show is told of it however long
/// that takes.
fn lasting() -> Settings {
    Settings { retire_ms: 3_600_000, ..small() }
}

async fn witness(engine: &Engine, projection: &'static str) -> Arc<Mutex<Vec<(Position, Position)>>> {
    let seen = Arc::<Mutex<_>>::default();
    let witness = Witness { engine: engine.clone(), projection, seen: seen.clone() };
    engine.add_surface(Arc::new(witness)).await.unwrap();
    seen
}

/// So many events may have come at the very moment.
fn never_went_back(seen: &Mutex<Vec<(Position, Position)>>, moment: u64) {
    let seen = seen.lock().unwrap();
    assert!(seen.len() > 1, "nothing has taken the place of anything: {seen:?}");
    assert!(seen.iter().all(|(before, after)| after.get() + moment >= before.get()), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_go_back_in_time_when_tables_filled_anew_take_their_place_on_sqlite() {
    filled_anew(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_go_back_in_time_when_tables_filled_anew_take_their_place_on_postgresql() {
    filled_anew(true).await;
}

async fn filled_anew(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::of_one(3), databases.log().await);
    history.go_on(&*log, 100).await;
    let Filling { engine, reads, before } = Filling::new(&databases, lasting()).await;
    let seen = witness(&engine, "Balance").await;
    // The tables that serve go on for as long as it takes to fill the others.
    for _ in 0..3 {
        history.go_on(&*log, MOMENT).await;
    }
    shown(&engine, log.head().await.unwrap()).await;
    reads.let_go();
    while table(&engine) == before {
        history.go_on(&*log, 5).await;
        engine.caught_up(&model(&engine), log.head().await.unwrap()).await.unwrap();
    }
    let rows = shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    never_went_back(&seen, MOMENT);
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_go_back_in_time_when_other_code_takes_over_on_sqlite() {
    other_code(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_go_back_in_time_when_other_code_takes_over_on_postgresql() {
    other_code(true).await;
}

async fn other_code(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let reads = databases.watched(0).await;
    let engine = start(databases.log().await, reads.clone(), lasting()).await;
    engine.deploy(component("rogue")).await.unwrap();
    let position = behaves(&engine).await;
    engine.caught_up(&saying(&engine), position).await.unwrap();
    let seen = witness(&engine, "Saying").await;
    reads.hold_all_but(&saying(&engine).projection);
    let deploying = deploying(&engine, "rogue-next");
    eventually("the new tables are at their first commit", async || reads.under_way() > 0).await;
    let catalogue = engine.catalogue();
    let mut last = position;
    for _ in 0..20 {
        let several = (0..100).map(|_| engine.dispatch(&catalogue, behave()));
        for done in futures::future::join_all(several).await {
            last = last.max(done.unwrap().position);
        }
    }
    engine.caught_up(&saying(&engine), last).await.unwrap();
    // The new tables show all that there was when they were begun, and for the time being no more.
    reads.hold_beyond(position);
    for _ in 0..TURNS {
        if deploying.is_finished() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(!deploying.is_finished(), "tables have taken over that lack what was shown");
    reads.let_go();
    deploying.await.unwrap().unwrap();
    engine.shutdown().await;
    never_went_back(&seen, 0);
}
