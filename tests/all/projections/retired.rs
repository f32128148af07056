//! Tables that nobody uses any more go, whenever the process stops that has replaced them, and those that somebody uses stay.

use yado_store::testing::{execute, told};

use super::rebuild::{behaves, saying, table};
use super::*;

/// Settings under which it does not take long until tables go, whoever has left them.
fn small() -> Settings {
    Settings { unused_ms: 200, ..super::rebuild::small() }
}

/// Has the next process come to a database in which no process has said for long that it uses anything.
async fn long_ago(databases: &Databases) {
    let then = if databases.postgres { "'epoch'" } else { "0" };
    execute(&databases.reads[0], &format!("update tables_in_use set used_at = {then}")).await;
}

/// Projections of which a process has said that it does not use them any more.
async fn left(databases: &Databases) -> Vec<String> {
    let then = if databases.postgres { "'epoch'" } else { "0" };
    told(&databases.reads[0], &format!("select projection from tables_in_use where used_at = {then}")).await
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
    let settings = Settings { retire_ms: 3_600_000, ..small() };
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

/// Tables are filled for new code, and by the time they are, an operator has had those of the old code made anew: the new code
/// fills others, and the half-filled ones go.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_deployment_has_filled_in_vain_goes() {
    let databases = Databases::new(false, 1).await;
    let reads = Arc::new(Failing::holding(databases.reads(0).await));
    reads.let_go();
    let engine = start(databases.log().await, reads.clone(), small()).await;
    engine.deploy(component("rogue")).await.unwrap();
    let position = behaves(&engine).await;
    engine.caught_up(&saying(&engine), position).await.unwrap();
    reads.hold_all_but(&saying(&engine).projection);
    let deploying = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.deploy(component("rogue-next")).await })
    };
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
