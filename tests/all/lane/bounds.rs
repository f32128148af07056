//! How much one stream may have: of a transaction, of its shard, and of what is kept of it.

use super::*;

fn deposit(id: &str) -> (&'static str, Value, Option<&'static str>) {
    ("Deposit", json!({ "id": id, "amount": 1, "reference": "" }), None)
}

/// Opens an account, and leaves a first deposit before the gate.
async fn held(rig: &mut Rig, id: &str) -> BoxFuture<'static, yado_engine::Result<Receipt>> {
    rig.open(1);
    rig.send("Open", json!({ "id": id, "owner": "Ada" }), None).await.unwrap().unwrap();
    assert_eq!(rig.arrivals.recv().await, Some(1));
    let first = rig.line_up([deposit(id)]).await.remove(0);
    assert_eq!(rig.arrivals.recv().await, Some(1));
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gathers_behind_a_commit_goes_down_in_transactions_that_the_store_takes() {
    const DEPOSITS: usize = 11_000;
    let settings = Settings { shards: 1, shard_queue: 60_000, ahead: 20_000, command_ms: 600_000, ..patient() };
    let most = settings.lane_events;
    let mut rig = Rig::with("sqlite::memory:", settings).await;
    let first = held(&mut rig, "a").await;
    let rest = rig.line_up((0..DEPOSITS).map(|_| deposit("a"))).await;
    // It is answered by the same shard, when that has taken in all the others.
    let unknown = rig.line_up([deposit("nobody")]).await.remove(0);
    assert_eq!(unknown.await.unwrap_err().code(), Code::NotFound);
    rig.open(DEPOSITS);
    first.await.unwrap();
    for receipt in join_all(rest).await {
        receipt.unwrap();
    }
    assert_eq!(rig.way.head().await.unwrap(), Position::new(2 + DEPOSITS as u64));
    while let Ok(appends) = rig.arrivals.try_recv() {
        assert!(appends <= most, "{appends} appends in one transaction");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_hot_stream_leaves_room_for_the_others_of_its_shard() {
    let settings = Settings { shards: 1, shard_queue: 40, ..patient() };
    let mut rig = Rig::with("sqlite::memory:", settings).await;
    let first = held(&mut rig, "hot").await;
    // Fewer than the shard holds, and more than one stream may have of that.
    let rest = rig.line_up((0..30).map(|_| deposit("hot"))).await;
    // The shard takes this one in behind them, and has room for it.
    let other = rig.line_up([deposit("nobody")]).await.remove(0);
    assert_eq!(other.await.unwrap_err().code(), Code::NotFound);
    rig.open(100);
    first.await.unwrap();
    let answers = join_all(rest).await;
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    let refused: Vec<String> = refused.map(ToString::to_string).collect();
    assert_eq!(refused.len(), 11, "{refused:?}");
    assert!(refused.iter().all(|text| text.contains("for this one stream")), "{refused:?}");
    // There is room again.
    rig.send("Deposit", deposit("hot").1, None).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_won_in_part_has_its_stream_kept_like_any_other() {
    let settings = Settings { snapshot_events: 10, ..patient() };
    let mut rig = Rig::with("sqlite::memory:", settings).await;
    let first = held(&mut rig, "a").await;
    let mut rest: Vec<_> = (0..30).map(|_| deposit("a")).collect();
    // The last one loses: it is a repetition of the one before it.
    rest.extend((0..2).map(|_| ("Deposit", json!({ "id": "a", "amount": 2, "reference": "" }), Some("key"))));
    let rest = rig.line_up(rest).await;
    rig.open(100);
    first.await.unwrap();
    let receipts: Vec<Receipt> = join_all(rest).await.into_iter().map(|receipt| receipt.unwrap()).collect();
    assert!(receipts.last().is_some_and(|last| last.repeated && last.revision == Revision::new(33)), "{receipts:?}");
    eventually("a snapshot is kept", async || rig.way.journey.kept.load(Ordering::SeqCst) > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_and_not_recorded_takes_no_more_room_than_there_is() {
    let settings = Settings { shards: 1, decided_bytes: 4_000, ..patient() };
    let rig = Rig::with("sqlite::memory:", settings).await;
    let open = |n: usize| ("Open", json!({ "id": n.to_string(), "owner": "Ada" }), None);
    // A repetition under a key makes no difference: what was refused for want of room is not looked for.
    let opened = rig.line_up((0..40).map(open).chain([("Open", open(40).1, Some("key"))])).await;
    let unknown = rig.line_up([deposit("nobody")]).await.remove(0);
    // A refusal takes no room.
    assert_eq!(unknown.await.unwrap_err().code(), Code::NotFound);
    let mut taken_in = Vec::new();
    let mut refused = 0;
    for mut answer in opened {
        match futures::poll!(&mut answer) {
            Poll::Pending => taken_in.push(answer),
            Poll::Ready(Ok(receipt)) => panic!("{receipt:?} while the gate is shut"),
            Poll::Ready(Err(error)) => {
                assert_eq!(error.code(), Code::Unavailable);
                assert!(error.to_string().contains("takes all the room"), "{error}");
                assert!(error.details().iter().any(|(name, _)| *name == "retryAfterMs"));
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && !taken_in.is_empty(), "{refused} refused, {} taken in", taken_in.len());
    assert_eq!(rig.way.journey.asked.load(Ordering::SeqCst), 0);
    rig.open(100);
    let recorded = taken_in.len() as u64;
    for answer in taken_in {
        answer.await.unwrap();
    }
    assert_eq!(rig.way.head().await.unwrap(), Position::new(recorded));
    // The room is there again.
    let (command, payload, key) = open(100);
    rig.send(command, payload, key).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_finds_no_room_goes_on_when_its_own_has_gone_down() {
    // There is never room for more than one decision.
    let settings = Settings { shards: 1, decided_bytes: 1, ..patient() };
    let mut rig = Rig::with("sqlite::memory:", settings).await;
    let first = held(&mut rig, "a").await;
    let rest = rig.line_up((0..20).map(|_| deposit("a"))).await;
    // Another stream has nothing to wait for.
    let other = rig.line_up([("Open", json!({ "id": "b", "owner": "Ada" }), None)]).await.remove(0);
    assert_eq!(other.await.unwrap_err().code(), Code::Unavailable);
    rig.open(100);
    first.await.unwrap();
    let revisions: Vec<u64> = join_all(rest).await.into_iter().map(|receipt| receipt.unwrap().revision.get()).collect();
    assert_eq!(revisions, (3..=22).collect::<Vec<_>>());
}
