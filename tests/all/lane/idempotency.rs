//! The same request under the same key: it takes effect once, and gets the first answer.

use yado_model::Actor;

use super::*;

/// What a caller goes by.
fn known(receipt: &Receipt) -> (StreamId, Revision, Position) {
    (receipt.stream.clone(), receipt.revision, receipt.position)
}

async fn file(folder: &tempfile::TempDir) -> Rig {
    let rig = Rig::new(&format!("sqlite:{}", folder.path().join("events.db").display())).await;
    rig.open(1_000);
    rig
}

fn open(rig: &Rig, id: &str) -> tokio::task::JoinHandle<yado_engine::Result<Receipt>> {
    rig.send("Open", json!({ "id": id, "owner": "Ada" }), Some("open"))
}

fn move_money(
    rig: &Rig,
    command: &str,
    amount: u32,
    key: Option<&str>,
) -> tokio::task::JoinHandle<yado_engine::Result<Receipt>> {
    rig.send(command, json!({ "id": "a", "amount": amount, "reference": "" }), key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_costs_no_look_while_commands_record_something() {
    let rig = Rig::new("sqlite::memory:").await;
    rig.open(1_000);
    open(&rig, "a").await.unwrap().unwrap();
    for n in 0..5 {
        let key = n.to_string();
        let first = move_money(&rig, "Deposit", 1, Some(&key)).await.unwrap().unwrap();
        let again = move_money(&rig, "Deposit", 1, Some(&key)).await.unwrap().unwrap();
        assert!(!first.repeated && again.repeated);
        assert_eq!(known(&first), known(&again));
    }
    assert_eq!(rig.way.journey.asked.load(Ordering::Relaxed), 0);
    assert_eq!(rig.way.head().await.unwrap(), Position::new(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_gets_the_first_answer_after_a_restart_and_on_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let rig = file(&folder).await;
    let opened = open(&rig, "a").await.unwrap().unwrap();
    let deposited = move_money(&rig, "Deposit", 5, Some("deposit")).await.unwrap().unwrap();
    move_money(&rig, "Withdraw", 5, None).await.unwrap().unwrap();
    let closed = rig.send("Close", json!({ "id": "a" }), Some("close")).await.unwrap().unwrap();
    rig.engine.shutdown().await;

    let (restarted, other) = (file(&folder).await, file(&folder).await);
    for rig in [restarted, other] {
        // The account is closed by now, so that each of these would be refused if it were a new request.
        let again = [
            open(&rig, "a").await.unwrap().unwrap(),
            move_money(&rig, "Deposit", 5, Some("deposit")).await.unwrap().unwrap(),
            rig.send("Close", json!({ "id": "a" }), Some("close")).await.unwrap().unwrap(),
        ];
        for (first, again) in [&opened, &deposited, &closed].into_iter().zip(again) {
            assert!(again.repeated, "{again:?}");
            assert_eq!(known(first), known(&again));
        }
        assert_eq!(rig.way.head().await.unwrap(), Position::new(4));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_request_is_refused_whatever_that_would_come_to() {
    let rig = Rig::new("sqlite::memory:").await;
    rig.open(1_000);
    open(&rig, "a").await.unwrap().unwrap();
    let reused = [
        // It would be recorded,
        move_money(&rig, "Deposit", 1, Some("open")),
        // refused by the domain,
        move_money(&rig, "Withdraw", 1, Some("open")),
        // refused by its schema,
        move_money(&rig, "Withdraw", 0, Some("open")),
        // and unknown.
        rig.send("Burn", json!({ "id": "a" }), Some("open")),
    ];
    for request in reused {
        assert_eq!(request.await.unwrap().unwrap_err().code(), Code::IdempotencyKeyReused);
    }
    assert_eq!(rig.way.head().await.unwrap(), Position::new(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_no_answer_to_keep() {
    let rig = Rig::new("sqlite::memory:").await;
    rig.open(1_000);
    open(&rig, "a").await.unwrap().unwrap();
    let refused = move_money(&rig, "Withdraw", 5, Some("withdraw")).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Rejected);
    move_money(&rig, "Deposit", 5, None).await.unwrap().unwrap();
    let first = move_money(&rig, "Withdraw", 5, Some("withdraw")).await.unwrap().unwrap();
    assert!(!first.repeated);
    let again = move_money(&rig, "Withdraw", 5, Some("withdraw")).await.unwrap().unwrap();
    assert_eq!((again.repeated, known(&again)), (true, known(&first)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_says_so_and_its_repetition_too() {
    let rig = Rig::new("sqlite::memory:").await;
    let id = rig.category().await;
    rig.open(1_000);
    let rename = |name: &str, key| rig.send("UpdateCategory", json!({ "id": id, "name": name }), Some(key));
    for _ in 0..2 {
        let nothing = rename("Pens", "nothing").await.unwrap().unwrap();
        assert_eq!((nothing.changed, nothing.repeated, nothing.revision), (false, false, Revision::new(1)));
    }
    // Repeated, it would change nothing either; but there is a first answer, and it had.
    let first = rename("Pencils", "rename").await.unwrap().unwrap();
    rename("Crayons", "other").await.unwrap().unwrap();
    rename("Pencils", "back").await.unwrap().unwrap();
    let again = rename("Pencils", "rename").await.unwrap().unwrap();
    assert_eq!((again.changed, again.repeated, known(&again)), (true, true, known(&first)));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_are_asked_the_same_at_once_do_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let rigs = [file(&folder).await, file(&folder).await];
    for n in 1..=20_u64 {
        let key = n.to_string();
        let ask = |rig: &Rig| rig.send("CreateCategory", json!({ "name": "Pens" }), Some(&key));
        let sent: Vec<_> = rigs.iter().cycle().take(6).map(ask).collect();
        let receipts: Vec<Receipt> =
            join_all(sent).await.into_iter().map(|receipt| receipt.unwrap().unwrap()).collect();
        assert!(receipts.iter().all(|receipt| known(receipt) == known(&receipts[0])), "{receipts:?}");
        assert_eq!(receipts.iter().filter(|receipt| !receipt.repeated).count(), 1);
        assert_eq!(rigs[0].way.head().await.unwrap(), Position::new(n));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_one_user_gives_nothing_away_to_another() {
    let rig = Rig::new("sqlite::memory:").await;
    rig.open(1_000);
    let open = |actor: Option<&str>| {
        let mut dispatch = dispatch("Open", json!({ "id": "a", "owner": "Ada" }), Some("key"));
        dispatch.options.actor = actor.map(|actor| Actor::parse(actor).unwrap());
        let engine = rig.engine.clone();
        async move { engine.dispatch(&engine.catalogue(), dispatch).await }
    };
    assert!(!open(Some("ada")).await.unwrap().repeated);
    assert!(open(Some("ada")).await.unwrap().repeated);
    for other in [Some("eve"), None] {
        assert_eq!(open(other).await.unwrap_err().code(), Code::IdempotencyKeyReused);
    }
}
