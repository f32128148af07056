//! Rebuilds that are given up.

use super::*;

/// How many tables there are in the end, and which.
async fn only_what_serves_is_left(databases: &Databases, engine: &Engine) {
    let store = databases.reads(0).await;
    eventually("only what serves is left", async || store.tables().await.unwrap() == [table(engine)]).await;
}

fn is_alone(engine: &Engine) -> bool {
    let all: Vec<_> = engine.projections().into_iter().filter(|status| status.name == "Balance").collect();
    all.len() == 1 && all[0].state == ProjectionState::Live
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_cancelled_ends_in_every_process_and_leaves_nothing_on_sqlite() {
    is_cancelled(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_cancelled_ends_in_every_process_and_leaves_nothing_on_postgresql() {
    is_cancelled(true).await;
}

async fn is_cancelled(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let log = databases.log().await;
    History::new(5).go_on(&*log, 100).await;
    let head = log.head().await.unwrap();
    let (one, other) = (databases.watched(0).await, databases.watched(0).await);
    let first = start(databases.log().await, one.clone(), small()).await;
    let second = start(databases.log().await, other.clone(), small()).await;
    first.deploy(component("bank")).await.unwrap();
    second.deploy(component("bank")).await.unwrap();
    shown(&first, head).await;
    let before = table(&first);
    let refused = first.cancel_rebuild("Balance").await.unwrap_err().to_string();
    assert!(refused.contains("is not being rebuilt"), "{refused}");
    one.hold_all_but(&model(&first).projection);
    other.hold_all_but(&model(&first).projection);
    first.rebuild("Balance").await.unwrap();
    eventually("both are filling", async || one.under_way() > 0 && other.under_way() > 0).await;
    let cancelling = {
        let second = second.clone();
        tokio::spawn(async move { second.cancel_rebuild("Balance").await })
    };
    eventually("it is noted for good", async || decided(&databases).await.pending.is_none()).await;
    one.let_go();
    other.let_go();
    cancelling.await.unwrap().unwrap();
    eventually("nobody fills any more", async || is_alone(&first) && is_alone(&second)).await;
    only_what_serves_is_left(&databases, &first).await;
    assert_eq!((table(&first), table(&second)), (before.clone(), before.clone()));
    // The next one begins at the first event, in tables of its own.
    first.rebuild("Balance").await.unwrap();
    eventually("the new table serves", async || table(&first) != before && table(&second) == table(&first)).await;
    let state = decided(&databases).await;
    assert_eq!((state.epoch, state.begun), (2, 2));
    let rows = shown(&first, head).await;
    first.shutdown().await;
    second.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_cancelled_while_it_is_paused_leaves_nothing_paused_also_after_a_restart_on_sqlite() {
    is_cancelled_while_it_is_paused(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_cancelled_while_it_is_paused_leaves_nothing_paused_also_after_a_restart_on_postgresql() {
    is_cancelled_while_it_is_paused(true).await;
}

/// What was paused was the filling, and that is no more.
async fn is_cancelled_while_it_is_paused(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let (mut history, log) = (History::new(5), databases.log().await);
    history.go_on(&*log, 600).await;
    let Filling { engine, reads, before } = Filling::new(&databases, small()).await;
    pause_in_mid_work(&databases, &engine, &reads).await;
    reads.let_go();
    engine.cancel_rebuild("Balance").await.unwrap();
    assert!(is_alone(&engine), "{:?}", engine.projections());
    history.go_on(&*log, 10).await;
    shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    let engine = start(databases.log().await, databases.reads(0).await, small()).await;
    engine.deploy(component("bank")).await.unwrap();
    only_what_serves_is_left(&databases, &engine).await;
    assert_eq!(table(&engine), before);
    history.go_on(&*log, 10).await;
    shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
}
