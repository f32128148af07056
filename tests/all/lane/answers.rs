//! Answers that record nothing, at streams that others write to: nobody hears of one that rests on less than was known
//! when it was asked for, nor of one that rests on what never became durable.

use super::*;

type Request = (&'static str, Value, Option<&'static str>);

fn deposit(amount: u32) -> Request {
    ("Deposit", json!({ "id": "a", "amount": amount, "reference": "" }), None)
}

fn withdraw(amount: u32) -> Request {
    ("Withdraw", json!({ "id": "a", "amount": amount, "reference": "" }), None)
}

type Answer = BoxFuture<'static, yado_engine::Result<Receipt>>;

/// A process with one shard, so that what it is asked last is answered last.
async fn process(url: &str) -> Rig {
    Rig::with(url, Settings { shards: 1, ..patient() }).await
}

impl Rig {
    /// Opens the account, and leaves a first deposit of one cent before the gate.
    async fn busy(&mut self) -> Answer {
        self.open(1);
        self.send("Open", json!({ "id": "a", "owner": "Ada" }), None).await.unwrap().unwrap();
        assert_eq!(self.arrivals.recv().await, Some(1));
        let first = self.line_up([deposit(1)]).await.remove(0);
        assert_eq!(self.arrivals.recv().await, Some(1));
        first
    }

    /// Has requests decided behind what is on its way.
    async fn decided(&self, requests: impl IntoIterator<Item = Request>) -> Vec<Answer> {
        let answers = self.line_up(requests).await;
        // It is answered by the same shard, when that has taken in all the others.
        let nobody = ("Close", json!({ "id": "nobody" }), None);
        assert_eq!(self.line_up([nobody]).await.remove(0).await.unwrap_err().code(), Code::NotFound);
        answers
    }

    fn questions(&self) -> usize {
        self.way.journey.questions.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_go_along_with_what_is_recorded_behind_them() {
    let mut rig = process("sqlite::memory:").await;
    let first = rig.busy().await;
    let answers = rig.decided([withdraw(50), deposit(1), withdraw(50), deposit(1), withdraw(50)]).await;
    let questions = rig.questions();
    rig.open(100);
    first.await.unwrap();
    let mut revisions = Vec::new();
    for answer in join_all(answers).await {
        revisions.push(answer.map(|receipt| receipt.revision.get()).map_err(|refused| refused.code()));
    }
    let no = Err(Code::Rejected);
    assert_eq!(revisions, [no, Ok(3), no, Ok(4), no]);
    assert_eq!(rig.arrivals.recv().await, Some(2));
    // The log was asked for nothing but to record.
    assert_eq!(rig.questions(), questions);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_behind_which_nothing_is_recorded_have_the_log_asked_once_for_all() {
    let mut rig = process("sqlite::memory:").await;
    let first = rig.busy().await;
    let answers = rig.decided([withdraw(50), withdraw(50), withdraw(50)]).await;
    let questions = rig.questions();
    rig.open(100);
    first.await.unwrap();
    for answer in join_all(answers).await {
        assert_eq!(answer.unwrap_err().code(), Code::Rejected);
    }
    assert_eq!(rig.questions(), questions + 1);
}

/// What is asked of a process that has not heard of money that another one has put in, and has told of.
async fn asked_in_the_dark(requests: Vec<Request>) -> Vec<yado_engine::Result<Receipt>> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("events.db").display());
    let (one, mut other) = (process(&url).await, process(&url).await);
    let first = other.busy().await;
    let way = other.way.clone();
    let shut = way.journey.way_back.lock().await;
    other.open(100);
    eventually("the deposit is recorded", async || way.store.head().await.unwrap() == Position::new(2)).await;
    one.open(1);
    let (command, payload, key) = deposit(100);
    one.send(command, payload, key).await.unwrap().unwrap();
    // Only now it is asked, and decides on a balance of one cent.
    let answers = other.decided(requests).await;
    drop(shut);
    first.await.unwrap();
    join_all(answers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_rests_on_less_than_was_known_when_it_was_asked_for_is_decided_again() {
    let answers = asked_in_the_dark(vec![withdraw(50), deposit(1)]).await;
    let revisions: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().revision.get()).collect();
    assert_eq!(revisions, [4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_where_nothing_is_recorded_behind_it() {
    let answers = asked_in_the_dark(vec![withdraw(50), withdraw(500)]).await;
    assert_eq!(answers[0].as_ref().map(|receipt| receipt.revision).ok(), Some(Revision::new(4)), "{answers:?}");
    assert_eq!(answers[1].as_ref().unwrap_err().code(), Code::Rejected);
    assert!(answers[1].as_ref().unwrap_err().to_string().contains("holds 51"), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_also_if_what_is_recorded_behind_it_fails() {
    let mut rig = process("sqlite::memory:").await;
    let first = rig.busy().await;
    rig.way.journey.fates.lock().await.extend([Fate::Lost, Fate::Through]);
    let mut answers = rig.decided([withdraw(50), deposit(1)]).await.into_iter();
    rig.open(100);
    first.await.unwrap();
    let (refused, lost) = (answers.next().unwrap().await.unwrap_err(), answers.next().unwrap().await.unwrap_err());
    assert_eq!((refused.code(), lost.code()), (Code::Rejected, Code::Unavailable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_also_if_what_comes_behind_it_is_a_repetition() {
    let mut rig = process("sqlite::memory:").await;
    let keyed = |key| ("Deposit", json!({ "id": "a", "amount": 1, "reference": "" }), Some(key));
    let first = rig.busy().await;
    let answers = rig.decided([keyed("key"), withdraw(50)]).await;
    rig.open(2);
    first.await.unwrap();
    assert_eq!(rig.arrivals.recv().await, Some(1));
    let original = answers.into_iter().next().unwrap().await.unwrap();
    rig.open(100);
    let busy = rig.line_up([deposit(1)]).await.remove(0);
    let mut answers = rig.decided([withdraw(50), keyed("key"), deposit(1)]).await.into_iter();
    busy.await.unwrap();
    assert_eq!(answers.next().unwrap().await.unwrap_err().code(), Code::Rejected);
    let again = answers.next().unwrap().await.unwrap();
    assert_eq!((again.repeated, again.revision), (true, original.revision));
    assert_eq!(answers.next().unwrap().await.unwrap().revision, Revision::new(5));
}
