//! A tenant of which too many streams can't be shown waits as a whole: nothing of it is lost, and no other tenant waits.

use yado_engine::{LetterId, Scope};

use super::*;

/// So many events, in which several streams of each tenant have an amount that the wary bank does not take.
const EVENTS: u64 = 600;

/// What waits, in which order it does.
fn waiting(letters: &[DeadLetter]) -> Vec<(TenantId, Scope, Position)> {
    letters.iter().map(|letter| (letter.parked.tenant.clone(), letter.parked.scope, letter.parked.position)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_beyond_its_limit_waits_alone_and_is_shown_when_other_code_has_come_on_sqlite() {
    for seed in 1..=3 {
        waits_as_a_whole(seed, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_beyond_its_limit_waits_alone_and_is_shown_when_other_code_has_come_on_postgresql() {
    waits_as_a_whole(4, true).await;
}

/// Whatever the batches, and whatever fails in passing.
async fn waits_as_a_whole(seed: u64, postgres: bool) {
    const STREAMS: u32 = 1;
    let databases = Databases::new(postgres, 4).await;
    let (mut history, log) = (History::new(seed), databases.log().await);
    // Of this tenant nothing fails, and all of it comes last.
    history.go_on(&*log, EVENTS).await;
    let mut sound = History::of_one(99).only_opening(TenantId::parse("sound").unwrap());
    sound.go_on(&*log, 20).await;
    let reads = Arc::new(Failing::new(databases.reads(0).await, seed, 12));
    let settings = Settings { parked_streams: STREAMS, ..batches(seed) };
    let engine = start(log.clone(), reads.clone(), settings).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    let head = log.head().await.unwrap();
    let rows = shown(&engine, head).await;
    let (right, right_letters) = wary_with(&databases, 1, STREAMS).await;
    assert_eq!(rows, right, "seed {seed}");
    assert_eq!(waiting(&letters(&engine).await), waiting(&right_letters));
    let mut whole = 0;
    for tenant in history::tenants() {
        let of_tenant = right_letters.iter().filter(|letter| letter.parked.tenant == tenant);
        let scopes: Vec<_> = of_tenant.map(|letter| letter.parked.scope).collect();
        assert!([Scope::Stream, Scope::Tenant].starts_with(&scopes), "{tenant}: {scopes:?}");
        whole += usize::from(scopes.len() == 2);
    }
    assert!(whole > 0, "no tenant has two streams that can't be shown");
    let model = model(&engine);
    let count = asking(&engine, &TenantId::parse("sound").unwrap()).count(&model.manifest.name, None).await.unwrap();
    assert!(count > 0, "a tenant waits for others");
    let (ok, detail) = health(&engine).await;
    assert!(!ok && detail.contains("parked as a whole"), "{detail}");
    // The same tables, other code.
    engine.deploy(component("bank")).await.unwrap();
    nothing_waits(&engine).await;
    history.go_on(&*log, 50).await;
    let rows = shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 2).await, "seed {seed}");
    assert!(!reads.overlapped());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_write_loses_nothing_of_a_tenant_that_waits_on_sqlite() {
    dies_while_parking(false, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_write_loses_nothing_of_a_tenant_that_waits_on_postgresql() {
    dies_while_parking(true, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_room_for_its_streams_again_goes_on_behind_them_on_sqlite() {
    goes_on_behind_them(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_room_for_its_streams_again_goes_on_behind_them_on_postgresql() {
    goes_on_behind_them(true).await;
}

/// The code still fails at some streams, and there is room to put each of them aside by itself.
async fn goes_on_behind_them(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let log = databases.log().await;
    History::new(6).go_on(&*log, EVENTS).await;
    let head = log.head().await.unwrap();
    let settings = |parked_streams| Settings { parked_streams, batch: 50, ..quick() };
    let engine = start(databases.log().await, databases.reads(0).await, settings(1)).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    shown(&engine, head).await;
    let acme = TenantId::parse("acme").unwrap();
    let id = LetterId::Tenant(acme.clone());
    let (letter, event) = engine.dead_letter("Balance", &id).await.unwrap();
    assert_eq!((letter.parked.scope, letter.parked.position), (Scope::Tenant, event.position));
    assert_eq!((&event.tenant, &event.stream), (&acme, &letter.parked.stream));
    let Replayed::Parked(again) = engine.replay("Balance", &id).await.unwrap() else { panic!("it was shown") };
    assert_eq!((again.scope, again.attempts), (Scope::Tenant, letter.parked.attempts + 1));
    engine.shutdown().await;
    // The same code takes up a tenant when an operator says so.
    let engine = start(databases.log().await, databases.reads(0).await, settings(100)).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    for tenant in history::tenants() {
        assert_eq!(engine.replay("Balance", &LetterId::Tenant(tenant)).await.unwrap(), Replayed::Shown);
    }
    let rows = shown(&engine, head).await;
    let (right, right_letters) = wary(&databases, 1).await;
    assert_eq!(rows, right);
    assert_eq!(waiting(&letters(&engine).await), waiting(&right_letters));
    engine.shutdown().await;
}
