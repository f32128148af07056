//! Tables that nobody uses any more go, whenever the process stops that has replaced them, and those that somebody uses stay.

use yado_engine::ProjectionState;
use yado_store::testing::{execute, told};
use yado_store::{ChangeQuery, TablesInUse};

use super::rebuild::{behaves, saying, table};
use super::*;

/// What nobody has used for so long goes, whoever has left it.
const UNUSED_MS: u64 = 3_600_000;

/// Settings under which it does not take long until tables go that a process has left itself.
fn small() -> Settings {
    Settings { unused_ms: UNUSED_MS, ..super::rebuild::small() }
}

/// Has the next process come to a database in which no process has said for long that it uses anything.
async fn long_ago(databases: &Databases) {
    let then = if databases.postgres { "'epoch'" } else { "0" };
    execute(&databases.reads[0], &format!("update tables_in_use set used_at = {then}")).await;
}

/// Projections of which a process has said that it does not use them any more.
async fn left(databases: &Databases) -> Vec<String> {
    // What holds no more has been said longer ago than any process lets pass before it says it again.
    let before = if databases.postgres {
        "clock_timestamp() - interval '12 seconds'"
    } else {
        "(cast(strftime('%s', 'now') as integer) - 12) * 1000000"
    };
    told(&databases.reads[0], &format!("select projection from tables_in_use where used_at < {before}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_were_replaced_go_although_the_process_stops_within_their_time_on_sqlite() {
    stops_within_the_time(false, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_were_replaced_go_although_the_process_stops_within_their_time_on_postgresql() {
    stops_within_the_time(true, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_were_replaced_go_although_the_process_dies_within_their_time_on_sqlite() {
    stops_within_the_time(false, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_were_replaced_go_although_the_process_dies_within_their_time_on_postgresql() {
    stops_within_the_time(true, true).await;
}

async fn stops_within_the_time(postgres: bool, dies: bool) {
    let databases = Databases::new(postgres, 2).await;
    let log = databases.log().await;
    History::new(1).go_on(&*log, 30).await;
    let head = log.head().await.unwrap();
    let settings = Settings { retire_ms: 2 * UNUSED_MS, ..small() };
    let reads = Arc::new(Failing::new(databases.reads(0).await, 0, 0));
    let engine = start(databases.log().await, reads.clone(), settings).await;
    engine.deploy(component("bank")).await.unwrap();
    let (before, key) = (table(&engine), model(&engine).projection.clone());
    engine.rebuild("Balance").await.unwrap();
    eventually("other tables serve", async || table(&engine) != before).await;
    if dies {
        // It does not come to say anything any more.
        reads.die();
    }
    engine.shutdown().await;
    let store = databases.reads(0).await;
    assert!(store.tables().await.unwrap().contains(&before));
    if dies {
        long_ago(&databases).await;
    }
    let engine = start(databases.log().await, databases.reads(0).await, small()).await;
    // What was there before the plugin is may be what it wants.
    assert_eq!(store.tables().await.unwrap().len(), 2);
    engine.deploy(component("bank")).await.unwrap();
    eventually("only what serves is left", async || store.tables().await.unwrap() == [table(&engine)]).await;
    assert_eq!(store.checkpoint(&key).await.unwrap(), yado_store::Checkpoint::START);
    let rows = shown(&engine, head).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_another_process_still_uses_stay_until_it_does_not_on_sqlite() {
    another_one_uses_them(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_another_process_still_uses_stay_until_it_does_not_on_postgresql() {
    another_one_uses_them(true).await;
}

async fn another_one_uses_them(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let first = start(databases.log().await, databases.reads(0).await, small()).await;
    let second = start(databases.log().await, databases.reads(0).await, small()).await;
    first.deploy(component("rogue")).await.unwrap();
    second.deploy(component("rogue")).await.unwrap();
    let old = saying(&second).projection.to_string();
    first.deploy(component("rogue-next")).await.unwrap();
    // The time of the old tables has come for the first process, and it has found that they are used.
    eventually("the first process is done with the old tables", async || left(&databases).await.contains(&old)).await;
    let position = behaves(&second).await;
    second.caught_up(&saying(&second), position).await.unwrap();
    let store = databases.reads(0).await;
    assert!(store.tables().await.unwrap().contains(&saying(&second).table.name));
    second.deploy(component("rogue-next")).await.unwrap();
    eventually("only what serves is left", async || {
        store.tables().await.unwrap() == [saying(&first).table.name.clone()]
    })
    .await;
    first.caught_up(&saying(&first), position).await.unwrap();
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deployment_has_filled_in_vain_goes_on_sqlite() {
    filled_in_vain(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deployment_has_filled_in_vain_goes_on_postgresql() {
    filled_in_vain(true).await;
}

/// Tables are filled for new code, and by the time they are, an operator has had those of the old code made anew: the new code
/// fills others, and the half-filled ones go.
async fn filled_in_vain(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let reads = databases.watched(0).await;
    let engine = start(databases.log().await, reads.clone(), Settings { unused_ms: 200, ..small() }).await;
    engine.deploy(component("rogue")).await.unwrap();
    let position = behaves(&engine).await;
    engine.caught_up(&saying(&engine), position).await.unwrap();
    reads.hold_all_but(&saying(&engine).projection);
    let deploying = deploying(&engine, "rogue-next");
    eventually("the new tables are at their first commit", async || reads.under_way() > 0).await;
    let store = databases.reads(0).await;
    let state = store.projection_state("rogue", "Saying").await.unwrap();
    let made_anew = yado_store::ProjectionState { epoch: state.epoch + 1, begun: state.epoch + 1, ..state };
    assert!(store.set_projection_state("rogue", "Saying", &state, &made_anew).await.unwrap());
    reads.let_go();
    deploying.await.unwrap().unwrap();
    engine.caught_up(&saying(&engine), position).await.unwrap();
    eventually("only what serves is left", async || {
        store.tables().await.unwrap() == [saying(&engine).table.name.clone()]
    })
    .await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_away_while_its_tables_were_dropped_fills_them_anew_on_sqlite() {
    was_away(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_away_while_its_tables_were_dropped_fills_them_anew_on_postgresql() {
    was_away(true).await;
}

/// A process that is frozen does not say that it uses its tables, and another one drops them. Nobody tells it when it is back;
/// and nobody is shown a part of the rows for all of them.
async fn was_away(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::of_one(7), databases.log().await);
    history.go_on(&*log, 100).await;
    let reads = databases.watched(0).await;
    let engine = start(databases.log().await, reads.clone(), small()).await;
    engine.deploy(component("bank")).await.unwrap();
    let head = log.head().await.unwrap();
    let before = shown(&engine, head).await;
    reads.hold();
    another_one_drops_them(&databases, &engine).await;
    eventually("nothing is shown before all of it is", async || is_filled_anew(&engine).await).await;
    reads.let_go();
    assert_eq!(shown(&engine, head).await, before);
    history.go_on(&*log, 20).await;
    let rows = shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

/// A process to which what this one has said holds no more drops the tables.
async fn another_one_drops_them(databases: &Databases, engine: &Engine) {
    let (store, model) = (databases.reads(0).await, model(engine));
    let tables = TablesInUse { projection: model.projection.to_string(), tables: vec![model.table.name.clone()] };
    eventually("the tables are dropped", async || store.discard_unused("another", &tables, 0).await.unwrap()).await;
}

/// Whether rows are asked for in vain, because they are filled anew.
async fn is_filled_anew(engine: &Engine) -> bool {
    let tenant = history::tenants().remove(0);
    let asked = asking(engine, &tenant).select(&model(engine).manifest.name, &Select::page(10)).await;
    asked.is_err_and(|error| error.to_string().contains("is filled anew"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_of_tables_that_another_process_has_made_again_before_they_are_filled_on_sqlite() {
    made_again(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_shown_of_tables_that_another_process_has_made_again_before_they_are_filled_on_postgresql() {
    made_again(true).await;
}

/// The tables are there when the process is back, and have a part of the rows. It finds that when it takes its next step.
async fn made_again(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::of_one(8), databases.log().await);
    history.go_on(&*log, 100).await;
    let (one, other) = (databases.watched(0).await, databases.watched(0).await);
    let engine = start(databases.log().await, one.clone(), Settings { retire_ms: UNUSED_MS, ..small() }).await;
    engine.deploy(component("bank")).await.unwrap();
    shown(&engine, log.head().await.unwrap()).await;
    another_one_drops_them(&databases, &engine).await;
    other.hold_beyond(Position::new(40));
    other.hold();
    let second = start(databases.log().await, other.clone(), small()).await;
    let deploying = deploying(&second, "bank");
    let (store, key) = (databases.reads(0).await, model(&engine).projection.clone());
    eventually("some rows are there again", async || {
        store.checkpoint(&key).await.unwrap() != yado_store::Checkpoint::START
    })
    .await;
    one.hold();
    history.go_on(&*log, 1).await;
    let is_filling = || engine.projections().iter().any(|status| status.state == ProjectionState::Filling);
    one.step_until("it is found that the rows are gone", is_filling).await;
    assert!(is_filled_anew(&engine).await);
    one.let_go();
    other.let_go();
    deploying.await.unwrap().unwrap();
    let head = log.head().await.unwrap();
    let rows = shown(&engine, head).await;
    assert_eq!(rows, shown(&second, head).await);
    engine.shutdown().await;
    second.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

/// To tell of all rows that are filled again would cost whoever waits for them time, and nobody has seen the rows before.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_filled_anew_are_not_told_of_from_the_first_event_on() {
    /// Where the filling is held, which is far behind the end of the log.
    const HELD: Position = Position::new(1_000);
    let databases = Databases::new(false, 1).await;
    let (mut history, log) = (History::of_one(9), databases.log().await);
    let (reads, store) = (databases.watched(0).await, databases.reads(0).await);
    let settings = Settings { changes_kept: 1_000, batch: 100, gathered_events: 100, ..small() };
    let engine = start(databases.log().await, reads.clone(), settings).await;
    engine.deploy(component("bank")).await.unwrap();
    let key = model(&engine).projection.clone();
    let told_since =
        async || store.changes(&key, &ChangeQuery::of_all((Position::ZERO, u32::MAX), 1)).await.unwrap().floor;
    history.go_on(&*log, 10).await;
    shown(&engine, log.head().await.unwrap()).await;
    assert_eq!(told_since().await, Some(Position::ZERO));
    history.go_on(&*log, 6_000).await;
    let before = shown(&engine, log.head().await.unwrap()).await;
    reads.hold_beyond(HELD);
    reads.hold();
    another_one_drops_them(&databases, &engine).await;
    eventually("some rows are there again", async || {
        store.checkpoint(&key).await.unwrap() != yado_store::Checkpoint::START
    })
    .await;
    assert_eq!(told_since().await, None);
    reads.let_go();
    assert_eq!(shown(&engine, log.head().await.unwrap()).await, before);
    assert!(told_since().await.is_some_and(|floor| floor > HELD));
    engine.shutdown().await;
}
