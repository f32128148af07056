//! A stream that is taken up again changes rows at positions that were told long ago: whoever listened to its tenant is told
//! to read anew, and nobody else is.

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

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_to_another_tenant_goes_on_across_a_replay_on_sqlite() {
    others_go_on(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_to_another_tenant_goes_on_across_a_replay_on_postgresql() {
    others_go_on(true).await;
}

/// Whether they are still behind, are at the end, or come back with a cursor.
async fn others_go_on(postgres: bool) {
    const EVENTS: u64 = 20;
    let databases = Databases::new(postgres, 1).await;
    let log = databases.log().await;
    History::new(6).go_on(&*log, 200).await;
    let before = log.head().await.unwrap();
    let sound = TenantId::parse("sound").unwrap();
    let mut history = History::of_one(99).only_opening(sound.clone());
    history.go_on(&*log, EVENTS).await;
    let head = log.head().await.unwrap();
    let engine = start(databases.log().await, databases.reads(0).await, settings()).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    shown(&engine, head).await;
    assert!(engine.dead_letters(10).await.unwrap().len() > 1);
    let mut ended = watch(&engine, &TenantId::default(), Cursor::all_of(head));
    let mut behind = watch(&engine, &sound, BEGINNING);
    assert_eq!(behind.next().await.unwrap().position, before.plus(1));
    let mut at_the_end = watch(&engine, &sound, Cursor::all_of(head));
    engine.deploy(component("bank")).await.unwrap();
    eventually("nothing waits", async || engine.dead_letters(1).await.unwrap().is_empty()).await;
    let mut back = watch(&engine, &sound, Cursor::all_of(before.plus(2)));
    history.go_on(&*log, EVENTS).await;
    let head = log.head().await.unwrap();
    assert!(matches!(ended.next().await, Err(Error::ResumeExpired { .. })));
    for (stream, events) in [(&mut behind, 2 * EVENTS - 1), (&mut at_the_end, EVENTS), (&mut back, 2 * EVENTS - 2)] {
        let mut positions = Vec::new();
        while let Some(changed) = stream.next_until(Some(Cursor::all_of(head))).await.unwrap() {
            positions.push(changed.position.get());
        }
        assert!(positions.into_iter().eq(head.get() - events + 1..=head.get()));
    }
    engine.shutdown().await;
}
