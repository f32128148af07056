//! A tenant that is taken up again is looked for among the events of all others, who do not wait for that.

use super::*;

/// Events of one call, and of one page that is looked through.
const BATCH: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_few_events_that_is_taken_up_lets_others_go_on_after_each_page_of_theirs() {
    /// Events of others before the tenant is taken up, and after that.
    const BEFORE: u64 = 300;
    const AFTER: u64 = 100;
    let databases = Databases::new(false, 2).await;
    let mut log = Told::new(databases.log().await);
    let mut others = History::of_one(1).only_opening(TenantId::parse("others").unwrap());
    log.happens("Account-x", "Opened", json!({ "owner": "somebody" })).await;
    log.happens("Account-x", "Withdrawn", json!({ "amount": 13, "reference": "r" })).await;
    others.go_on(&*log.log, BEFORE).await;
    let reads = databases.watched(0).await;
    // A tenant waits as a whole from its first event on that can't be shown.
    let settings = Settings { batch: BATCH, parked_streams: 0, ..quick() };
    let engine = start(log.log.clone(), reads.clone(), settings).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    shown(&engine, log.log.head().await.unwrap()).await;
    reads.hold();
    engine.deploy(component("bank")).await.unwrap();
    eventually("it is taken up", async || reads.under_way() > 0).await;
    others.go_on(&*log.log, AFTER).await;
    let head = log.log.head().await.unwrap();
    eventually("there is more to show", async || engine.projections().iter().all(|one| one.target == head)).await;
    let place = async || letters(&engine).await[0].parked.position.get();
    let mut places = vec![place().await];
    while places.len() < 5 {
        let sent = reads.commits.load(SeqCst);
        reads.step_until("the next commit is under way", || reads.commits.load(SeqCst) > sent).await;
        places.push(place().await);
        places.dedup();
    }
    let steps: Vec<_> = places.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(steps.iter().all(|step| *step <= u64::from(BATCH)), "{steps:?}");
    reads.let_go();
    nothing_waits(&engine).await;
    let rows = shown(&engine, head).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}
