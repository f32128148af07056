//! A stream that is taken up again changes rows at positions that were told long ago: whoever listened is told to read anew,
//! and nobody else is.

use super::*;

/// Shows what the wary bank can, and then what waits; returns where that was.
async fn replayed(databases: &Databases, settings: Settings) -> (Engine, ChangeStream, Position) {
    let log = databases.log().await;
    History::new(6).go_on(&*log, 200).await;
    let head = log.head().await.unwrap();
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    shown(&engine, head).await;
    assert!(!engine.dead_letters(10).await.unwrap().is_empty());
    let before = watch(&engine, &TenantId::default(), Cursor::all_of(head));
    engine.deploy(component("bank")).await.unwrap();
    eventually("nothing waits", async || engine.dead_letters(1).await.unwrap().is_empty()).await;
    (engine, before, head)
}

fn settings() -> Settings {
    Settings { poison_attempts: 2, projection_retry_ms: 1, ..patient() }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_told_of_a_replay_and_who_comes_after_it_is_not_on_sqlite() {
    tells_of_a_replay(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_is_told_of_a_replay_and_who_comes_after_it_is_not_on_postgresql() {
    tells_of_a_replay(true).await;
}

async fn tells_of_a_replay(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let (engine, mut before, head) = replayed(&databases, settings()).await;
    assert!(matches!(before.next().await, Err(Error::ResumeExpired { .. })));
    // Who begins now has seen all rows as they are.
    let mut after = engine.watch(&Name::parse("Balance").unwrap(), &TenantId::default(), None).unwrap();
    assert_eq!(after.cursor(), Some(Cursor::all_of(head)));
    let mut back = watch(&engine, &TenantId::default(), Cursor::all_of(head));
    let position = open(&engine, 1_000).await;
    assert_eq!(after.next().await.unwrap().position, position);
    // Who comes back with what was seen before has not.
    assert!(matches!(back.next().await, Err(Error::ResumeExpired { .. })));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_a_replay_and_a_restart_is_told_of_it_on_sqlite() {
    tells_of_it_after_a_restart(false, 1 << 20).await;
    tells_of_it_after_a_restart(false, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_a_replay_and_a_restart_is_told_of_it_on_postgresql() {
    tells_of_it_after_a_restart(true, 1 << 20).await;
    tells_of_it_after_a_restart(true, 0).await;
}

/// From memory as well as from the table.
async fn tells_of_it_after_a_restart(postgres: bool, changes_memory_bytes: usize) {
    let databases = Databases::new(postgres, 1).await;
    let (engine, _, head) = replayed(&databases, settings()).await;
    engine.shutdown().await;
    let settings = Settings { changes_memory_bytes, ..settings() };
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    engine.deploy(component("bank")).await.unwrap();
    let mut back = watch(&engine, &TenantId::default(), Cursor::all_of(head));
    let position = open(&engine, 1_000).await;
    engine.caught_up(&model(&engine), position).await.unwrap();
    assert!(matches!(back.next().await, Err(Error::ResumeExpired { .. })));
    // From where everything was told again, all is as it was.
    let mut again = watch(&engine, &TenantId::default(), Cursor::all_of(position));
    let next = open(&engine, 1_001).await;
    assert_eq!(again.next().await.unwrap().position, next);
    engine.shutdown().await;
}
