//! The write side at its edges: databases that fail, and processes that are faster. The store is a real one; what fails
//! is the way to it.

mod answers;
mod bounds;
mod figures;
mod idempotency;
mod late;
mod overload;
mod rewound;
mod silence;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::task::unconstrained;
use yado_engine::{Dispatch, DispatchOptions, Engine, Error, Parts, Receipt, Settings};
use yado_model::{Code, Digest, IdempotencyKey, Name, Position, Revision, StreamId, TenantId};
use yado_runtime::Runtime;
use yado_store::{Append, Appended, EventKind, EventStore, Result, open_events, open_reads};

use crate::support::{Freight, Journey, Way, component, eventually, patient, patient_options, variant};

/// What happens to an append on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It goes through.
    Through,
    /// It fails before it has done anything.
    Lost,
    /// It goes through, and the news of it gets lost.
    Unheard,
    /// The log does not have an event any more that was seen.
    Rewound,
    /// The disk has failed at something before.
    OutOfUse,
    /// It loses, because its stream has only one event.
    Behind,
}

/// A journey with a gate at which appends wait. What becomes of them is up to the test.
struct Gated {
    gate: Semaphore,
    /// Whoever holds it shuts the way back: what waits there is recorded, and nobody has heard of it.
    way_back: Mutex<()>,
    fates: Mutex<Vec<Fate>>,
    /// The size of each append, as it arrives at the gate.
    arrivals: mpsc::UnboundedSender<usize>,
    count: AtomicUsize,
    /// Questions about single streams, and events that came of them.
    questions: AtomicUsize,
    read: AtomicUsize,
    /// Earlier answers that have been asked for.
    asked: AtomicUsize,
    /// Questions about single streams that are going to fail in passing.
    unread: AtomicUsize,
    /// How often snapshots have been kept.
    kept: AtomicUsize,
    /// A kind of events that is in the log from the second question for them on.
    late: std::sync::Mutex<(usize, Option<EventKind>)>,
}

impl Gated {
    fn way(store: Arc<dyn EventStore>) -> (Arc<Way<Self>>, mpsc::UnboundedReceiver<usize>) {
        let (arrivals, received) = mpsc::unbounded_channel();
        let gate = Semaphore::new(0);
        let (way_back, fates, count, questions, read, asked, unread, kept, late) = Default::default();
        let journey = Self { gate, way_back, fates, arrivals, count, questions, read, asked, unread, kept, late };
        (Arc::new(Way { store, journey }), received)
    }
}

#[async_trait]
impl Journey for Gated {
    async fn there(&self, freight: Freight) -> Result<()> {
        match freight {
            Freight::Stream => {
                self.questions.fetch_add(1, Ordering::SeqCst);
                let fails = self.unread.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
                if fails.is_ok() {
                    return Err(yado_store::Error::Unavailable("the test says so".into()));
                }
            }
            Freight::Answer => {
                self.asked.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
        Ok(())
    }

    async fn back(&self, freight: Freight) -> Result<()> {
        if freight == Freight::Snapshot {
            self.kept.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn append(&self, store: &dyn EventStore, batch: &[Append]) -> Result<Vec<Appended>> {
        self.count.fetch_add(1, Ordering::SeqCst);
        let _ = self.arrivals.send(batch.len());
        self.gate.acquire().await.unwrap().forget();
        match self.fates.lock().await.pop().unwrap_or(Fate::Through) {
            Fate::Lost => return Err(yado_store::Error::Engine("the test says so".into())),
            Fate::Rewound => return Err(yado_store::Error::Rewound { seen: Position::new(1) }),
            Fate::OutOfUse => return Err(yado_store::Error::OutOfUse("the test says so".into())),
            Fate::Behind => return Ok(vec![Appended::Conflict { actual: Revision::new(1) }; batch.len()]),
            Fate::Unheard => {
                store.append(batch).await?;
                return Err(yado_store::Error::Unheard("the test says so".into()));
            }
            Fate::Through => {}
        }
        let outcomes = store.append(batch).await?;
        drop(self.way_back.lock().await);
        Ok(outcomes)
    }

    fn events_read(&self, count: usize) {
        self.read.fetch_add(count, Ordering::SeqCst);
    }

    fn kinds(&self, mut known: Vec<EventKind>) -> Vec<EventKind> {
        let mut late = self.late.lock().unwrap();
        if late.1.is_some() {
            late.0 += 1;
        }
        if late.0 > 1 {
            known.extend(late.1.clone());
        }
        known
    }
}

fn dispatch(command: &str, payload: Value, key: Option<&str>) -> Dispatch {
    Dispatch {
        tenant: TenantId::default(),
        command: Name::parse(command).unwrap(),
        payload,
        options: DispatchOptions {
            idempotency_key: key.map(|key| IdempotencyKey::parse(key).unwrap()),
            ..DispatchOptions::default()
        },
    }
}

/// An engine with the catalog, and the way to its log.
struct Rig {
    engine: Engine,
    way: Arc<Way<Gated>>,
    arrivals: mpsc::UnboundedReceiver<usize>,
}

impl Rig {
    async fn new(url: &str) -> Self {
        Self::with(url, patient()).await
    }

    async fn with(url: &str, settings: Settings) -> Self {
        let store = open_events(url, &patient_options()).await.unwrap();
        let (way, received) = Gated::way(store);
        let parts = Parts {
            events: way.clone(),
            reads: open_reads("sqlite::memory:", &patient_options()).await.unwrap(),
            runtime: Runtime::new(yado_runtime::Settings::default()).unwrap(),
        };
        let engine = Engine::start(parts, settings).await.unwrap();
        for plugin in ["catalog", "bank"] {
            engine.deploy(component(plugin)).await.unwrap();
        }
        Self { engine, way, arrivals: received }
    }

    /// Lets so many appends pass.
    fn open(&self, appends: usize) {
        self.way.journey.gate.add_permits(appends);
    }

    fn send(
        &self,
        command: &str,
        payload: Value,
        key: Option<&str>,
    ) -> tokio::task::JoinHandle<yado_engine::Result<Receipt>> {
        let (engine, dispatch) = (self.engine.clone(), dispatch(command, payload, key));
        tokio::spawn(async move { engine.dispatch(&engine.catalogue(), dispatch).await })
    }

    /// Hands commands to the shard, in their order, and leaves their answers to be waited for. Each is on its way after its
    /// first step, because none of these refers to anything, and no step ends early for having used up the task's turn.
    async fn line_up(
        &self,
        commands: impl IntoIterator<Item = (&str, Value, Option<&str>)>,
    ) -> Vec<BoxFuture<'static, yado_engine::Result<Receipt>>> {
        let mut lined_up = Vec::new();
        for (command, payload, key) in commands {
            let (engine, dispatch) = (self.engine.clone(), dispatch(command, payload, key));
            let mut answer = unconstrained(async move { engine.dispatch(&engine.catalogue(), dispatch).await }).boxed();
            lined_up.push(match futures::poll!(&mut answer) {
                Poll::Ready(answer) => std::future::ready(answer).boxed(),
                Poll::Pending => answer,
            });
        }
        lined_up
    }

    /// Creates a category, and returns its id.
    async fn category(&self) -> String {
        self.open(1);
        let receipt = self.send("CreateCategory", json!({ "name": "Pens" }), None).await.unwrap().unwrap();
        receipt.stream.id().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_to_one_stream_share_a_commit_and_stay_in_order() {
    let mut rig = Rig::new("sqlite::memory:").await;
    let id = rig.category().await;
    rig.arrivals.recv().await.unwrap();
    let rename = |name: String| ("UpdateCategory", json!({ "id": id, "name": name }), None);
    let first = rig.send("UpdateCategory", json!({ "id": id, "name": "0" }), None);
    assert_eq!(rig.arrivals.recv().await, Some(1));
    let rest = rig.line_up((1..=50).map(|n| rename(n.to_string()))).await;
    // All of them are decided while the first is on its way, because nothing but the disk keeps them. A probe that goes
    // through the same shard behind them tells when they have been.
    let probe = rig.line_up([rename(String::new())]).await.remove(0);
    assert_eq!(probe.await.unwrap_err().code(), Code::BadUserInput);
    rig.open(100);
    assert_eq!(first.await.unwrap().unwrap().revision, Revision::new(2));
    let revisions: Vec<u64> = join_all(rest).await.into_iter().map(|receipt| receipt.unwrap().revision.get()).collect();
    assert_eq!(revisions, (3..=52).collect::<Vec<_>>());
    let commits = rig.way.journey.count.load(Ordering::Relaxed);
    assert!(commits < 12, "{commits} commits for 51 commands to one stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_was_built_on_a_lost_commit_is_decided_again() {
    let mut rig = Rig::new("sqlite::memory:").await;
    let id = rig.category().await;
    rig.arrivals.recv().await.unwrap();
    rig.way.journey.fates.lock().await.push(Fate::Lost);
    let deleted = rig.send("DeleteCategory", json!({ "id": id }), None);
    assert_eq!(rig.arrivals.recv().await, Some(1));
    // As long as the deletion may succeed there is nothing to rename. It does not succeed.
    let rename = ("UpdateCategory", json!({ "id": id, "name": "Pencils" }), None);
    let renamed = rig.line_up([rename]).await.remove(0);
    rig.open(100);
    assert_eq!(deleted.await.unwrap().unwrap_err().code(), Code::Unavailable);
    assert_eq!(renamed.await.unwrap().revision, Revision::new(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_news_got_lost_is_recognised() {
    let rig = Rig::new("sqlite::memory:").await;
    rig.way.journey.fates.lock().await.push(Fate::Unheard);
    rig.open(2);
    let receipt = rig.send("CreateCategory", json!({ "name": "Pens" }), None).await.unwrap().unwrap();
    assert_eq!((receipt.revision, receipt.position), (Revision::new(1), Position::new(1)));
    assert_eq!(rig.way.head().await.unwrap(), Position::new(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_news_got_lost_is_recognised_also_when_the_look_for_it_fails_in_passing() {
    let rig = Rig::new("sqlite::memory:").await;
    rig.way.journey.fates.lock().await.push(Fate::Unheard);
    rig.way.journey.unread.store(2, Ordering::SeqCst);
    rig.open(2);
    let receipt = rig.send("CreateCategory", json!({ "name": "Pens" }), None).await.unwrap().unwrap();
    assert_eq!((receipt.revision, receipt.position), (Revision::new(1), Position::new(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_of_events_that_comes_up_during_a_deployment_is_found_before_the_code_goes_live() {
    let rig = Rig::new("sqlite::memory:").await;
    let merged = EventKind { aggregate: "Account".into(), name: "Merged".into(), version: 1, first: Position::new(1) };
    *rig.way.journey.late.lock().unwrap() = (0, Some(merged));
    let refused = rig.engine.deploy(variant(&component("bank"), 1)).await.unwrap_err().to_string();
    assert!(refused.contains("Merged version 1 of Account"), "{refused}");
    let live = rig.engine.catalogue();
    assert!(live.plugins().any(|plugin| plugin.digest() == Digest::of(&component("bank"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_slower_decides_again() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("events.db").display());
    let (one, other) = (Rig::new(&url).await, Rig::new(&url).await);
    let id = one.category().await;
    // Both know the stream; one goes on, and the other does not hear of it.
    one.open(100);
    other.open(100);
    let rename = |rig: &Rig, name: &str| rig.send("UpdateCategory", json!({ "id": id, "name": name }), None);
    assert_eq!(rename(&other, "a").await.unwrap().unwrap().revision, Revision::new(2));
    assert_eq!(rename(&one, "b").await.unwrap().unwrap().revision, Revision::new(3));
    assert_eq!(rename(&other, "c").await.unwrap().unwrap().revision, Revision::new(4));
    assert_eq!(one.way.head().await.unwrap(), Position::new(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_with_one_key_at_once_are_one_request() {
    let rig = Rig::new("sqlite::memory:").await;
    rig.open(10);
    let sent = (0..8).map(|_| rig.send("CreateCategory", json!({ "name": "Pens" }), Some("one")));
    let receipts: Vec<Receipt> =
        join_all(sent.collect::<Vec<_>>()).await.into_iter().map(|receipt| receipt.unwrap().unwrap()).collect();
    assert!(receipts.iter().all(|receipt| receipt.stream == receipts[0].stream), "{receipts:?}");
    assert_eq!(receipts.iter().filter(|receipt| !receipt.repeated).count(), 1);
    assert_eq!(rig.way.head().await.unwrap(), Position::new(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_full_refuses_at_once_and_loses_nothing() {
    let rig = Rig::new("sqlite::memory:").await;
    let store = rig.way.store.clone();
    let settings = Settings { shards: 1, shard_queue: 4, ..patient() };
    let (way, _received) = Gated::way(store);
    let parts = Parts {
        events: way.clone(),
        reads: open_reads("sqlite::memory:", &patient_options()).await.unwrap(),
        runtime: Runtime::new(yado_runtime::Settings::default()).unwrap(),
    };
    let engine = Engine::start(parts, settings).await.unwrap();
    engine.deploy(component("catalog")).await.unwrap();
    let rig = Rig { engine, way, arrivals: rig.arrivals };
    // Four fit into the shard and four into its queue. The rest is told at once, while the gate is shut.
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let request = rig.send("CreateCategory", json!({ "name": "Pens" }), None);
        sent.spawn(async move { request.await.unwrap() });
    }
    let mut refused = 0;
    let mut recorded = 0;
    while let Some(done) = sent.join_next().await {
        match done.unwrap() {
            Ok(_) => recorded += 1,
            Err(error @ Error::Unavailable { .. }) => {
                assert!(error.details().iter().any(|(name, _)| *name == "retryAfterMs"));
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        if refused == 32 {
            rig.open(100);
        }
    }
    assert!((4..=8).contains(&recorded) && recorded + refused == 40, "{recorded} recorded, {refused} refused");
    assert_eq!(rig.way.head().await.unwrap(), Position::new(recorded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_out_of_use_is_asked_once_for_all_that_have_gathered() {
    const GATHERED: usize = 12;
    let mut rig = Rig::new("sqlite::memory:").await;
    rig.way.journey.fates.lock().await.extend([Fate::OutOfUse; 2 * GATHERED]);
    rig.way.journey.fates.lock().await.push(Fate::Through);
    let first = rig.send("CreateCategory", json!({ "name": "Pens" }), None);
    assert_eq!(rig.arrivals.recv().await, Some(1));
    // Of streams of their own, and so of several shards.
    let names: Vec<String> = (0..GATHERED).map(|n| n.to_string()).collect();
    let rest = rig.line_up(names.iter().map(|name| ("CreateCategory", json!({ "name": name }), None))).await;
    rig.open(100);
    first.await.unwrap().unwrap();
    for told in join_all(rest).await {
        let told = told.unwrap_err().to_string();
        assert!(told.contains("nothing was recorded") && told.contains("started again"), "{told}");
    }
    let mut asked = 0;
    while let Ok(size) = rig.arrivals.try_recv() {
        asked += size;
    }
    assert_eq!(asked, GATHERED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_whose_news_got_lost_is_recognised_as_a_whole() {
    let mut rig = Rig::new("sqlite::memory:").await;
    let id = rig.category().await;
    rig.arrivals.recv().await.unwrap();
    let first = rig.send("UpdateCategory", json!({ "id": id, "name": "first" }), None);
    assert_eq!(rig.arrivals.recv().await, Some(1));
    let rename = |n: usize| {
        let key = n.is_multiple_of(2).then_some(["a", "b", "c", "d"][n / 2]);
        ("UpdateCategory", json!({ "id": id, "name": n.to_string() }), key)
    };
    // They gather behind the first, some with a key and some without.
    let rest = rig.line_up((0..8).map(rename)).await;
    rig.way.journey.fates.lock().await.extend([Fate::Unheard, Fate::Unheard, Fate::Through]);
    rig.open(40);
    first.await.unwrap().unwrap();
    let mut revisions = Vec::new();
    for receipt in join_all(rest).await {
        let receipt = receipt.unwrap();
        assert!(!receipt.repeated);
        revisions.push(receipt.revision.get());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (3..=10).collect::<Vec<_>>());
    assert_eq!(rig.way.head().await.unwrap(), Position::new(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_that_nothing_was_recorded_if_what_was_recorded_can_not_be_looked_for() {
    let rig = Rig::with("sqlite::memory:", Settings { lane_attempts: 2, ..patient() }).await;
    let id = rig.category().await;
    rig.open(10);
    rig.way.journey.fates.lock().await.push(Fate::Unheard);
    rig.way.journey.unread.store(2, Ordering::SeqCst);
    let told = rig.send("UpdateCategory", json!({ "id": id, "name": "Pencils" }), None).await.unwrap().unwrap_err();
    assert!(told.to_string().contains("whether it was is not known"), "{told}");
    assert_eq!(rig.way.head().await.unwrap(), Position::new(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_of_what_is_under_way_gets_the_first_answer() {
    let mut rig = Rig::new("sqlite::memory:").await;
    let id = rig.category().await;
    rig.arrivals.recv().await.unwrap();
    let first = rig.send("DeleteCategory", json!({ "id": id }), Some("key"));
    assert_eq!(rig.arrivals.recv().await, Some(1));
    // The second one finds nothing to delete any more, because the first one has.
    let second = rig.line_up([("DeleteCategory", json!({ "id": id }), Some("key"))]).await.remove(0);
    rig.open(10);
    let (first, second) = (first.await.unwrap().unwrap(), second.await.unwrap());
    assert_eq!((first.revision, first.position), (second.revision, second.position));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_knows_an_old_state_looks_before_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("events.db").display());
    let (one, other) = (Rig::new(&url).await, Rig::new(&url).await);
    let id = one.category().await;
    one.open(20);
    other.open(20);
    let rename = |rig: &Rig, name: &str| rig.send("UpdateCategory", json!({ "id": id, "name": name }), None);
    assert_eq!(rename(&other, "a").await.unwrap().unwrap().revision, Revision::new(2));
    assert_eq!(rename(&one, "b").await.unwrap().unwrap().revision, Revision::new(3));
    // What the other process remembers would make this change nothing.
    assert_eq!(rename(&other, "a").await.unwrap().unwrap().revision, Revision::new(4));
    one.send("DeleteCategory", json!({ "id": id }), None).await.unwrap().unwrap();
    assert_eq!(rename(&other, "a").await.unwrap().unwrap_err().code(), Code::NotFound);
    let refers = json!({ "name": "Pen", "price": "1", "categoryId": id });
    assert_eq!(other.send("CreateProduct", refers, None).await.unwrap().unwrap_err().code(), Code::BadUserInput);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_loops_for_many_callers_leaves_time_for_its_neighbours() {
    let rig = Rig::new("sqlite::memory:").await;
    rig.engine.deploy(component("rogue")).await.unwrap();
    rig.open(1_000);
    let loops: Vec<_> = (0..600).map(|_| rig.send("ProvokeLoop", json!({}), None)).collect();
    rig.send("CreateCategory", json!({ "name": "Pens" }), None).await.unwrap().unwrap();
    let mut decided = 0;
    for looped in loops {
        let code = looped.await.unwrap().unwrap_err().code();
        assert!([Code::PluginFault, Code::Unavailable].contains(&code), "{code}");
        decided += usize::from(code == Code::PluginFault);
    }
    // If all of them were decided it would take half a minute. Of those that are, there is one a second after the first few.
    assert!(decided < 300, "{decided} of 600 took their time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_is_read_from_its_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("events.db").display());
    let settings = || Settings { snapshot_events: 50, batch: 50, ..patient() };
    let rig = Rig::with(&url, settings()).await;
    let id = rig.category().await;
    rig.open(1_000);
    let rename = |rig: &Rig, n: u32| rig.send("UpdateCategory", json!({ "id": id, "name": n.to_string() }), None);
    for n in 0..120 {
        rename(&rig, n).await.unwrap().unwrap();
    }
    eventually("a snapshot is kept", async || rig.way.journey.kept.load(Ordering::SeqCst) > 0).await;
    rig.engine.shutdown().await;
    // Without a snapshot all of its events would be read again.
    let again = Rig::with(&url, settings()).await;
    again.open(10);
    assert_eq!(rename(&again, 200).await.unwrap().unwrap().revision, Revision::new(122));
    let read = again.way.journey.read.load(Ordering::Relaxed);
    assert!(read < 100, "{read} events were read of a stream that has a snapshot at its hundredth");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_take_no_more_room_than_there_is() {
    let settings = Settings { payload_bytes: 1_000, queued_bytes: 1_000, ..patient() };
    let rig = Rig::with("sqlite::memory:", settings).await;
    let large = json!({ "name": "x".repeat(100) });
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let request = rig.send("CreateCategory", large.clone(), None);
        sent.spawn(async move { request.await.unwrap() });
    }
    // Nine of them fit, and none of those is done with before the gate opens. So the first to end are those refused.
    for _ in 0..3 {
        let refused = sent.join_next().await.unwrap().unwrap();
        assert!(matches!(refused, Err(Error::Unavailable { .. })), "{refused:?}");
    }
    rig.open(100);
    while let Some(done) = sent.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(rig.way.head().await.unwrap(), Position::new(9));
    // The room is there again.
    rig.send("CreateCategory", large, None).await.unwrap().unwrap();
}
