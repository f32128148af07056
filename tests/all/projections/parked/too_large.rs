//! A row that takes up more than an answer of the database may have keeps nobody waiting but the stream whose row it is.

use super::*;

/// What an answer may have, and the row of one account does not fit into.
const LITTLE_ROOM: usize = 4_000;

/// A process that has nothing in memory of the rows that there are.
async fn begin(databases: &Databases, answer_bytes: usize) -> Engine {
    let options = Options { answer_bytes, ..patient_options() };
    let reads = open_reads(&databases.reads[0], &options).await.unwrap();
    let engine = start(databases.log().await, reads, Settings { rows_kept_bytes: 0, ..quick() }).await;
    engine.deploy(component("bank")).await.unwrap();
    engine
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_too_large_to_be_read_has_its_own_stream_wait_on_sqlite() {
    has_its_own_stream_wait(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_too_large_to_be_read_has_its_own_stream_wait_on_postgresql() {
    has_its_own_stream_wait(true).await;
}

async fn has_its_own_stream_wait(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let mut log = Told::new(databases.log().await);
    log.happens("Account-large", "Opened", json!({ "owner": "o".repeat(2 * LITTLE_ROOM) })).await;
    let opened = log.happens("Account-small", "Opened", json!({ "owner": "somebody" })).await;
    let engine = begin(&databases, LITTLE_ROOM).await;
    engine.caught_up(&model(&engine), opened).await.unwrap();
    engine.shutdown().await;

    let deposit = json!({ "amount": 3, "reference": "r" });
    let at = log.happens("Account-large", "Deposited", deposit.clone()).await;
    let head = log.happens("Account-small", "Deposited", deposit).await;
    let engine = begin(&databases, LITTLE_ROOM).await;
    engine.caught_up(&model(&engine), head).await.unwrap();
    let waiting = letters(&engine).await;
    let [DeadLetter { parked, .. }] = waiting.as_slice() else { panic!("{waiting:?}") };
    assert_eq!(parked.position, at);
    let reason = "the row large of Balance takes up more than the 4000 bytes that an answer of the database may have";
    assert!(parked.error.contains(reason), "{}", parked.error);
    let small = asking(&engine, &TenantId::default());
    let small = small.rows(&Name::parse("Balance").unwrap(), &["small".to_owned()], None).await.unwrap();
    assert_eq!(small.into_maps().unwrap()[0]["balance"], 3);
    engine.shutdown().await;

    // With more room the stream is shown where it was left.
    let engine = begin(&databases, Options::default().answer_bytes).await;
    assert_eq!(engine.replay("Balance", &parked.id()).await.unwrap(), Replayed::Shown);
    nothing_waits(&engine).await;
    let rows = shown(&engine, head).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}
