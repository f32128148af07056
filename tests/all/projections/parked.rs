//! Events that a projection can't be shown: their streams wait, others go on, and what waits is shown when other code has
//! come. Wherever a process dies on the way, rows are those of code that never failed.

mod among_others;
mod aside;
mod tenants;
mod too_large;
mod unique;

use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value, json};
use yado_engine::{Parked, Replayed};
use yado_model::StreamId;
use yado_store::Appended;

use super::rebuild::pause_in_mid_work;
use super::*;
use crate::support::variant;

/// The dead letters, but for what differs from run to run.
async fn letters(engine: &Engine) -> Vec<DeadLetter> {
    let timeless = |letter: DeadLetter| {
        let at = yado_model::Timestamp::from_micros(0);
        DeadLetter { parked: Parked { at, ..letter.parked }, ..letter }
    };
    engine.dead_letters(1_000).await.unwrap().into_iter().map(timeless).collect()
}

/// Settings under which an event is tried twice, and soon again.
fn quick() -> Settings {
    Settings { poison_attempts: 2, projection_retry_ms: 1, ..patient() }
}

/// Some of what a seed makes of batches.
fn batches(seed: u64) -> Settings {
    let mut random = Random(seed);
    Settings {
        batch: 1 + u32::try_from(random.below(60)).unwrap(),
        gathered_events: 1 + random.below(300),
        rows_kept_bytes: [0, 2_000, 1 << 20][usize::try_from(random.below(3)).unwrap()],
        ..quick()
    }
}

/// The rows and dead letters of the wary bank, to which every event is shown alone.
async fn wary(databases: &Databases, reads: usize) -> (Shown, Vec<DeadLetter>) {
    wary_with(databases, reads, Settings::default().parked_streams).await
}

/// The same where so many streams of a tenant are put aside at most.
async fn wary_with(databases: &Databases, reads: usize, parked_streams: u32) -> (Shown, Vec<DeadLetter>) {
    let log = databases.log().await;
    let head = log.head().await.unwrap();
    let settings = Settings { poison_attempts: 2, projection_retry_ms: 1, parked_streams, ..one_by_one() };
    let engine = start(log, databases.reads(reads).await, settings).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    let rows = shown(&engine, head).await;
    let letters = letters(&engine).await;
    engine.shutdown().await;
    (rows, letters)
}

/// Waits until no stream waits any more.
async fn nothing_waits(engine: &Engine) {
    eventually("no stream is parked", async || engine.dead_letters(1).await.unwrap().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_waits_alone_and_is_shown_when_other_code_has_come_on_sqlite() {
    for seed in 1..=3 {
        waits_alone(seed, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_waits_alone_and_is_shown_when_other_code_has_come_on_postgresql() {
    waits_alone(4, true).await;
}

/// Whatever the batches, and whatever fails in passing.
async fn waits_alone(seed: u64, postgres: bool) {
    let databases = Databases::new(postgres, 3).await;
    let (mut history, log) = (History::new(seed), databases.log().await);
    history.go_on(&*log, 300).await;
    let reads = Arc::new(Failing::new(databases.reads(0).await, seed, 12));
    let engine = start(log.clone(), reads.clone(), batches(seed)).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    history.go_on(&*log, 100).await;
    let head = log.head().await.unwrap();
    let rows = shown(&engine, head).await;
    let (right, right_letters) = wary(&databases, 1).await;
    assert!(right_letters.len() > 1, "{right_letters:?}");
    assert_eq!(rows, right, "seed {seed}");
    let attempts = |letters: Vec<DeadLetter>| -> Vec<_> {
        letters.into_iter().map(|letter| Parked { attempts: 0, ..letter.parked }).collect()
    };
    assert_eq!(attempts(letters(&engine).await), attempts(right_letters));
    let (ok, detail) = health(&engine).await;
    assert!(!ok && detail.contains("parked"), "{detail}");
    // The same tables, other code.
    engine.deploy(component("bank")).await.unwrap();
    nothing_waits(&engine).await;
    history.go_on(&*log, 50).await;
    let rows = shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 2).await, "seed {seed}");
    assert!(!reads.overlapped());
}

async fn health(engine: &Engine) -> (bool, String) {
    let checks = engine.health().await.checks;
    let check = checks.into_iter().find(|check| check.name == "projection Balance").unwrap();
    (check.ok, check.detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_write_loses_no_parked_stream_on_sqlite() {
    dies_while_parking(false, Settings::default().parked_streams).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_write_loses_no_parked_stream_on_postgresql() {
    dies_while_parking(true, Settings::default().parked_streams).await;
}

/// Before each of the commits, and after each of them, all goes dark for the process: first while streams are parked, and
/// then while they are taken up again.
async fn dies_while_parking(postgres: bool, parked_streams: u32) {
    /// Two streams are parked on the way, and events of theirs come later.
    const EVENTS: u64 = 60;
    let settings = || Settings { batch: 15, gathered_events: 20, parked_streams, ..quick() };
    let whole = Databases::new(postgres, 2).await;
    let log = whole.log().await;
    History::new(27).go_on(&*log, EVENTS).await;
    let (held, waiting) = wary_with(&whole, 0, parked_streams).await;
    assert!(waiting.len() > usize::from(parked_streams > 0), "{waiting:?}");
    let right = expected(&whole, 1).await;
    let commits = |store: &Failing| store.commits.load(SeqCst);
    // How many commits each of the two takes when nothing fails.
    let counted = whole.another().await;
    let counting = Arc::new(Failing::new(open_reads(&counted, &patient_options()).await.unwrap(), 0, 0));
    let engine = start(whole.log().await, counting.clone(), settings()).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    assert_eq!(shown(&engine, Position::new(EVENTS)).await, held);
    let parking = commits(&counting);
    engine.deploy(component("bank")).await.unwrap();
    nothing_waits(&engine).await;
    let replaying = commits(&counting) - parking;
    engine.shutdown().await;
    assert!(parking > waiting.len() && replaying >= waiting.len(), "{parking} and {replaying} commits");
    for commit in 0..parking {
        for fate in [Fate::Lost, Fate::Unheard] {
            let url = whole.another().await;
            let died = dies(&whole, &url, "bank-wary", commit, fate, settings()).await;
            assert!(died || commit >= waiting.len(), "{commit} commits are all");
            let next = start(whole.log().await, open_reads(&url, &patient_options()).await.unwrap(), settings()).await;
            next.deploy(component("bank-wary")).await.unwrap();
            assert_eq!(shown(&next, Position::new(EVENTS)).await, held, "commit {commit}, {fate:?}");
            let streams =
                |letters: Vec<DeadLetter>| letters.into_iter().map(|letter| letter.parked.stream).collect::<Vec<_>>();
            assert_eq!(streams(letters(&next).await), streams(waiting.clone()), "commit {commit}, {fate:?}");
            next.shutdown().await;
            if commit >= replaying {
                continue;
            }
            let died = dies(&whole, &url, "bank", commit, fate, settings()).await;
            assert!(died || commit >= waiting.len(), "{commit} commits are all of the replay");
            let last = start(whole.log().await, open_reads(&url, &patient_options()).await.unwrap(), settings()).await;
            last.deploy(component("bank")).await.unwrap();
            nothing_waits(&last).await;
            assert_eq!(shown(&last, Position::new(EVENTS)).await, right, "replay, commit {commit}, {fate:?}");
            last.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_parks_and_takes_up_again_another_one_sees_on_sqlite() {
    together(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_parks_and_takes_up_again_another_one_sees_on_postgresql() {
    together(true).await;
}

/// One of the two runs code that can't show everything, and goes on with it.
async fn together(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::new(5), databases.log().await);
    history.go_on(&*log, 150).await;
    let settings = || Settings { batch: 15, gathered_events: 30, ..quick() };
    let first = start(databases.log().await, databases.reads(0).await, settings()).await;
    let second = start(databases.log().await, databases.reads(0).await, settings()).await;
    first.deploy(component("bank-wary")).await.unwrap();
    let head = log.head().await.unwrap();
    shown(&first, head).await;
    let parked = letters(&first).await;
    assert!(!parked.is_empty());
    second.deploy(component("bank-wary")).await.unwrap();
    shown(&second, head).await;
    assert_eq!(letters(&second).await, parked);
    assert!(!health(&second).await.0);
    second.deploy(component("bank")).await.unwrap();
    // The first one does not know of what the second one takes up again, until they meet.
    for _ in 0..20 {
        history.go_on(&*log, 20).await;
        let head = log.head().await.unwrap();
        let (one, other) = (model(&first), model(&second));
        let (one, other) = tokio::join!(first.caught_up(&one, head), second.caught_up(&other, head));
        let stand = || format!("{:?} and {:?}", first.projections(), second.projections());
        one.and(other).unwrap_or_else(|error| panic!("{error}: {}", stand()));
    }
    first.shutdown().await;
    history.go_on(&*log, 1).await;
    let head = log.head().await.unwrap();
    shown(&second, head).await;
    nothing_waits(&second).await;
    let rows = shown(&second, head).await;
    second.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_by_hand_tells_that_the_stream_still_fails_and_keeps_it_parked() {
    let databases = Databases::new(false, 2).await;
    let log = databases.log().await;
    History::new(6).go_on(&*log, 200).await;
    let head = log.head().await.unwrap();
    let engine = start(log.clone(), databases.reads(0).await, quick()).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    let rows = shown(&engine, head).await;
    let before = letters(&engine).await;
    let first = before[0].parked.clone();
    assert_eq!((first.attempts, first.plugin.as_str(), first.event.as_str()), (2, "bank", "Withdrawn"));
    assert!(first.error.contains("is no amount to withdraw"), "{}", first.error);
    let (letter, event) = engine.dead_letter("Balance", &first.id()).await.unwrap();
    assert_eq!((letter.parked.position, event.position), (first.position, first.position));
    assert!(event.event.payload.contains("amount"));
    let Replayed::Parked(again) = engine.replay("Balance", &first.id()).await.unwrap() else { panic!("it was shown") };
    assert_eq!((again.attempts, again.position, &again.error), (3, first.position, &first.error));
    // Other code that fails as well is tried once, by itself.
    let varied = variant(&component("bank-wary"), 1);
    let digest = yado_model::Digest::of(&varied);
    engine.deploy(varied).await.unwrap();
    eventually("the other code has been tried", async || {
        letters(&engine).await.iter().all(|letter| letter.parked.digest == digest)
    })
    .await;
    assert_eq!(letters(&engine).await.len(), before.len());
    assert_eq!(shown(&engine, head).await, rows);
    assert!(engine.dead_letter("Balance", &head.plus(1).into()).await.unwrap_err().to_string().contains("dead letter"));
    assert!(engine.replay("Nothing", &first.id()).await.is_err());
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_that_fails_at_too_many_tenants_stands() {
    let databases = Databases::new(false, 2).await;
    let log = databases.log().await;
    History::new(6).go_on(&*log, 600).await;
    let (_, waiting) = wary_with(&databases, 1, 0).await;
    assert!(waiting.len() > 1);
    let settings = Settings { parked_streams: 0, parked_letters: 1, ..quick() };
    let engine = start(log.clone(), databases.reads(0).await, settings).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    eventually("it stands behind the second", async || {
        let (ok, detail) = health(&engine).await;
        let before = waiting[1].parked.position.get() - 1;
        !ok && detail.contains(&format!("stands at position {before};")) && detail.contains("a tenant is parked")
    })
    .await;
    assert_eq!(letters(&engine).await.len(), 1);
    // Code that does not fail gets on with both.
    engine.deploy(component("bank")).await.unwrap();
    nothing_waits(&engine).await;
    let rows = shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    let databases = Databases { reads: vec![databases.another().await], ..databases };
    assert_eq!(rows, expected(&databases, 0).await);
}

/// A log that is written by hand, one event of the default tenant at a time.
struct Told {
    log: Arc<dyn EventStore>,
    revisions: BTreeMap<StreamId, u64>,
}

impl Told {
    fn new(log: Arc<dyn EventStore>) -> Self {
        Self { log, revisions: BTreeMap::new() }
    }

    /// Records an event, and says where the log has it.
    async fn happens(&mut self, stream: &str, name: &str, payload: Value) -> Position {
        self.happens_in(1, stream, name, payload).await
    }

    /// The same for an event of a version.
    async fn happens_in(&mut self, version: u32, stream: &str, name: &str, payload: Value) -> Position {
        let stream = StreamId::parse(stream).unwrap();
        let revision = self.revisions.entry(stream.clone()).or_default();
        *revision += 1;
        let now = 1_769_851_800_000_000;
        let event = history::happened(&TenantId::default(), &stream, *revision, (name, version, &payload), now);
        let outcomes = self.log.append(&[event]).await.unwrap();
        assert!(matches!(outcomes.as_slice(), [Appended::Recorded { .. }]), "{outcomes:?}");
        self.log.head().await.unwrap()
    }

    /// A member gets an address.
    async fn address(&mut self, member: &str, name: &str, address: &str) -> Position {
        self.happens(&format!("Member-{member}"), name, json!({ "address": address })).await
    }
}

/// The addresses that the register shows at a position.
async fn addresses(engine: &Engine, at: Position) -> Vec<String> {
    let name = Name::parse("Entry").unwrap();
    let model = engine.catalogue().model(&name).unwrap().clone();
    engine.caught_up(&model, at).await.unwrap();
    let rows = asking(engine, &TenantId::default()).select(&name, &Select::page(100)).await.unwrap();
    let text = |row, column| rows.get(row, column).as_text().unwrap();
    let mut all: Vec<_> = (0..rows.len()).map(|row| format!("{}: {}", text(row, "id"), text(row, "address"))).collect();
    all.sort_unstable();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_rows_can_not_be_kept_holds_up_nobody_when_it_is_taken_up_again_on_sqlite() {
    rows_that_can_not_be_kept(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_rows_can_not_be_kept_holds_up_nobody_when_it_is_taken_up_again_on_postgresql() {
    rows_that_can_not_be_kept(true).await;
}

/// Two members have one address, which the guest does not mind. The tables do.
async fn rows_that_can_not_be_kept(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let mut log = Told::new(databases.log().await);
    log.address("x", "Registered", "one").await;
    let poison = log.address("y", "Registered", "one").await;
    log.address("y", "Moved", "two").await;
    log.address("y", "Moved", "one").await;
    let head = log.address("z", "Registered", "three").await;
    let engine = start(log.log.clone(), databases.reads(0).await, quick()).await;
    engine.deploy(component("registry")).await.unwrap();
    assert_eq!(addresses(&engine, head).await, ["x: one", "z: three"]);
    let first = letters(&engine).await.remove(0).parked;
    assert_eq!((first.position, first.attempts), (poison, 2));
    assert!(first.error.contains("must be unique"), "{}", first.error);
    // Whatever fails when its rows go down, it is the first of the events that is to blame.
    let Replayed::Parked(again) = engine.replay("Entry", &poison.into()).await.unwrap() else { panic!("it was shown") };
    assert_eq!((again.position, again.attempts, &again.error), (poison, 3, &first.error));
    let head = log.address("z", "Moved", "four").await;
    assert_eq!(addresses(&engine, head).await, ["x: one", "z: four"]);
    // Other code comes to the same, and gets on.
    let varied = variant(&component("registry"), 1);
    let digest = yado_model::Digest::of(&varied);
    engine.deploy(varied).await.unwrap();
    eventually("the other code has been tried", async || letters(&engine).await[0].parked.digest == digest).await;
    let head = log.address("z", "Moved", "five").await;
    assert_eq!(addresses(&engine, head).await, ["x: one", "z: five"]);
    log.happens("Member-x", "Left", json!({})).await;
    let head = log.address("z", "Moved", "six").await;
    assert_eq!(addresses(&engine, head).await, ["z: six"]);
    assert_eq!(engine.replay("Entry", &poison.into()).await.unwrap(), Replayed::Shown);
    assert_eq!(addresses(&engine, head).await, ["y: one", "z: six"]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_that_is_taken_up_lets_others_go_on_between_its_portions() {
    /// Events that wait.
    const WAITING: usize = 400;
    let databases = Databases::new(false, 1).await;
    let mut log = Told::new(databases.log().await);
    let moved = |amount: u32| json!({ "amount": amount, "reference": "r" });
    log.happens("Account-long", "Opened", json!({ "owner": "somebody" })).await;
    log.happens("Account-long", "Withdrawn", moved(13)).await;
    for _ in 0..WAITING {
        log.happens("Account-long", "Deposited", moved(1)).await;
    }
    let head = log.happens("Account-other", "Opened", json!({ "owner": "nobody" })).await;
    let reads = databases.watched(0).await;
    let engine = start(log.log.clone(), reads.clone(), Settings { batch: 1, ..quick() }).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    assert_eq!(shown(&engine, head).await.len(), 2);
    let poison = letters(&engine).await[0].parked.position;
    let before = reads.commits.load(SeqCst);
    reads.hold();
    engine.deploy(component("bank")).await.unwrap();
    eventually("it is taken up", async || reads.under_way() > 0).await;
    pause_in_mid_work(&databases, &engine, &reads).await;
    reads.let_go();
    // A projection that stands has heeded it on the way.
    let waiting = letters(&engine).await;
    assert_eq!(waiting.len(), 1, "all of it was shown, with {} commits", reads.commits.load(SeqCst) - before);
    assert!(waiting[0].parked.position > poison);
    engine.resume("Balance").await.unwrap();
    nothing_waits(&engine).await;
    let rows = shown(&engine, head).await;
    engine.shutdown().await;
    assert_eq!(rows.len(), 2);
}

/// What a stream has in store is found when it is taken up: here an event that newer code has recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_the_host_can_not_show_when_it_is_taken_up_stays_parked_and_others_go_on() {
    let databases = Databases::new(false, 1).await;
    let mut log = Told::new(databases.log().await);
    log.address("x", "Registered", "one").await;
    let poison = log.address("y", "Registered", "one").await;
    let engine = start(log.log.clone(), databases.reads(0).await, quick()).await;
    engine.deploy(component("registry")).await.unwrap();
    assert_eq!(addresses(&engine, poison).await, ["x: one"]);
    log.happens("Member-x", "Left", json!({})).await;
    let newer = log.happens_in(99, "Member-y", "Moved", json!({ "address": "two" })).await;
    assert_eq!(addresses(&engine, newer).await, [""; 0]);
    let Replayed::Parked(letter) = engine.replay("Entry", &poison.into()).await.unwrap() else {
        panic!("it was shown")
    };
    assert_eq!(letter.position, newer);
    assert!(letter.error.contains("99"), "{}", letter.error);
    // What comes before it is shown.
    let head = log.address("z", "Registered", "three").await;
    assert_eq!(addresses(&engine, head).await, ["y: one", "z: three"]);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_with_different_code_try_a_stream_once_each_on_sqlite() {
    try_once_each(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_with_different_code_try_a_stream_once_each_on_postgresql() {
    try_once_each(true).await;
}

/// Neither of the two can show everything, and each takes the letters of the other for those of other code.
async fn try_once_each(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::new(5), databases.log().await);
    history.go_on(&*log, 150).await;
    let first = start(databases.log().await, databases.reads(0).await, quick()).await;
    let second = start(databases.log().await, databases.reads(0).await, quick()).await;
    first.deploy(component("bank-wary")).await.unwrap();
    second.deploy(variant(&component("bank-wary"), 1)).await.unwrap();
    for _ in 0..20 {
        history.go_on(&*log, 10).await;
        let head = log.head().await.unwrap();
        let (one, other) = (model(&first), model(&second));
        let (one, other) = tokio::join!(first.caught_up(&one, head), second.caught_up(&other, head));
        one.and(other).unwrap();
    }
    let found = letters(&first).await;
    assert!(found.len() > 1, "{found:?}");
    // Two attempts of whoever has put it aside, and one of each.
    assert!(found.iter().all(|letter| letter.parked.attempts <= 4), "{found:?}");
    let rows = shown(&first, log.head().await.unwrap()).await;
    first.shutdown().await;
    second.shutdown().await;
    let (right, _) = wary(&databases, 1).await;
    assert_eq!(rows, right);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_stream_of_a_tenant_has_several_attempts() {
    let databases = Databases::new(false, 1).await;
    let log = databases.log().await;
    History::new(6).go_on(&*log, 600).await;
    let settings = Settings { poison_attempts: 3, ..quick() };
    let engine = start(log.clone(), databases.reads(0).await, settings).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    shown(&engine, log.head().await.unwrap()).await;
    let mut attempts = BTreeMap::<_, Vec<_>>::new();
    for DeadLetter { parked, .. } in letters(&engine).await {
        attempts.entry(parked.tenant).or_default().push(parked.attempts);
    }
    engine.shutdown().await;
    assert!(attempts.len() > 1 && attempts.values().any(|of_one| of_one.len() > 1), "{attempts:?}");
    assert!(
        attempts.values().all(|of_one| of_one[0] == 3 && of_one[1..].iter().all(|&more| more == 1)),
        "{attempts:?}"
    );
}
