//! States: how they come from the log, stay in memory, and are shared with other processes that write to the same
//! streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::{Value, json};
use yado_engine::{Dispatch, DispatchOptions, Engine, Error, Parts, Receipt};
use yado_model::{CommandId, CommandMeta, Digest, Name, NewEvent, Revision, StreamId, TenantId, Timestamp};
use yado_runtime::Runtime;
use yado_store::{Appended, Draft, EventStore, PluginRecord, Result, Snapshot, open_events, open_reads};

use crate::support::{Freight, Journey, Way, component, eventually, patient, patient_options, variant};

/// A journey that counts what is read of streams, and how often snapshots are kept. The store is a database that outlives
/// the engines of a test.
#[derive(Default)]
struct Counting {
    events_read: AtomicUsize,
    reads: AtomicUsize,
    kept: AtomicUsize,
}

impl Counting {
    /// Questions put to the log, and events that it answered with, since the last time.
    fn taken(&self) -> (usize, usize) {
        (self.reads.swap(0, Ordering::SeqCst), self.events_read.swap(0, Ordering::SeqCst))
    }
}

#[async_trait]
impl Journey for Counting {
    async fn back(&self, freight: Freight) -> Result<()> {
        match freight {
            Freight::Stream => self.reads.fetch_add(1, Ordering::SeqCst),
            Freight::Snapshot => self.kept.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        Ok(())
    }

    fn events_read(&self, count: usize) {
        self.events_read.fetch_add(count, Ordering::SeqCst);
    }

    fn ends_with_its_user(&self) -> bool {
        false
    }
}

type Log = Way<Counting>;

async fn store() -> Arc<Log> {
    let store = open_events("sqlite::memory:", &patient_options()).await.unwrap();
    Arc::new(Way { store, journey: Counting::default() })
}

/// A process with the bank, or with another build of it.
async fn bank(store: &Arc<Log>) -> Engine {
    let parts = Parts {
        events: store.clone(),
        reads: open_reads("sqlite::memory:", &patient_options()).await.unwrap(),
        runtime: Runtime::new(yado_runtime::Settings::default()).unwrap(),
    };
    let engine = Engine::start(parts, patient()).await.unwrap();
    engine.deploy(component("bank")).await.unwrap();
    engine
}

async fn send(engine: &Engine, command: &str, payload: Value) -> yado_engine::Result<Receipt> {
    let command = Name::parse(command).unwrap();
    let (tenant, options) = (TenantId::default(), DispatchOptions::default());
    engine.dispatch(&engine.catalogue(), Dispatch { tenant, command, payload, options }).await
}

async fn deposit(engine: &Engine, id: &str) -> yado_engine::Result<Receipt> {
    send(engine, "Deposit", json!({ "id": id, "amount": 1, "reference": "" })).await
}

/// Takes everything out of an account, which works only if its balance is known for what it is.
async fn empty(engine: &Engine, id: &str, balance: u64) {
    let more = send(engine, "Withdraw", json!({ "id": id, "amount": balance + 1, "reference": "" })).await;
    assert!(matches!(more, Err(Error::Rejected(_))), "{more:?}");
    send(engine, "Withdraw", json!({ "id": id, "amount": balance, "reference": "" })).await.unwrap();
}

fn stream(id: &str) -> StreamId {
    StreamId::parse(&format!("Account-{id}")).unwrap()
}

/// Records an account with so many events, as another process would have over the years. Each deposit is of one cent.
async fn recorded(store: &Log, id: &str, events: usize) {
    let plugin = PluginRecord {
        name: "bank".into(),
        version: "0".into(),
        digest: Digest::of(b"an old build"),
        registered_at: Timestamp::now(),
    };
    let plugin = store.register_plugin(&plugin).await.unwrap();
    let event = |name: &str, payload: &str| NewEvent {
        name: name.into(),
        version: 1,
        payload: payload.into(),
        tags: Vec::new(),
    };
    let mut all = vec![event("Opened", r#"{"owner":"Ada"}"#)];
    all.resize(events, event("Deposited", r#"{"amount":1,"reference":""}"#));
    for (at, events) in all.chunks(5_000).enumerate() {
        let command_id = CommandId::generate();
        let draft = Draft {
            tenant: TenantId::default(),
            stream: stream(id),
            expected: Revision::new(at as u64 * 5_000),
            events: events.to_vec(),
            claims: Vec::new(),
            recorded_at: Timestamp::now(),
            command: CommandMeta { command_id, correlation_id: command_id.0, causation_id: None, actor: None },
            plugin,
            idempotency: None,
        };
        let outcome = store.append(&[draft.check().unwrap()]).await.unwrap();
        assert!(matches!(outcome.as_slice(), [Appended::Recorded { .. }]), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_a_hundred_thousand_events_is_restored_as_cheaply_as_one_of_a_hundred() {
    let store = store().await;
    recorded(&store, "long", 100_000).await;
    recorded(&store, "short", 100).await;
    let first = bank(&store).await;
    // What a deployment tries of the log doesn't count.
    store.journey.taken();
    // Nobody has kept a snapshot yet, so all of it is folded, and one is kept for the next time.
    deposit(&first, "long").await.unwrap();
    assert_eq!(store.journey.taken().1, 100_000);
    eventually("the snapshot is kept", async || store.journey.kept.load(Ordering::SeqCst) > 0).await;
    // It stops being one at the very end of the stream.
    for _ in 0..98 {
        deposit(&first, "long").await.unwrap();
    }
    first.shutdown().await;

    let again = bank(&store).await;
    store.journey.taken();
    deposit(&again, "short").await.unwrap();
    let short = store.journey.taken();
    deposit(&again, "long").await.unwrap();
    let long = store.journey.taken();
    assert_eq!(short, (2, 100));
    // The snapshot's own event is read along with those behind it.
    assert_eq!(long, (2, 100));
    empty(&again, "long", 99_999 + 100).await;
    empty(&again, "short", 99 + 1).await;
}

/// A snapshot of the bank at an event, or at one that the log does not have.
async fn snapshot(store: &Log, id: &str, revision: u64, state: Option<&[u8]>) -> Snapshot {
    let (tenant, stream) = (TenantId::default(), stream(id));
    let page = store.read_stream(&tenant, &stream, Revision::new(revision - 1), 1).await.unwrap();
    let command = page.events.first().map_or_else(CommandId::generate, |event| event.command.command_id);
    let (encoding, state) = (Digest::of(&component("bank")).to_string(), state.map(<[u8]>::to_vec));
    Snapshot { tenant, stream, revision: Revision::new(revision), command, encoding, state }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_the_code_cannot_use_is_left_aside() {
    let store = store().await;
    // A state that nobody can read: at the end of a stream, and with events behind it.
    for (id, revision) in [("end", 150), ("middle", 120)] {
        recorded(&store, id, 150).await;
        store.save_snapshots(&[snapshot(&store, id, revision, Some(b"")).await]).await.unwrap();
    }
    // A snapshot of an event that the log does not have.
    recorded(&store, "ahead", 150).await;
    store.save_snapshots(&[snapshot(&store, "ahead", 151, None).await]).await.unwrap();
    let engine = bank(&store).await;
    for id in ["end", "middle", "ahead"] {
        deposit(&engine, id).await.unwrap();
        empty(&engine, id, 150).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_history_that_is_no_more_is_left_aside() {
    let store = store().await;
    recorded(&store, "rich", 300).await;
    let first = bank(&store).await;
    deposit(&first, "rich").await.unwrap();
    eventually("the snapshot is kept", async || store.journey.kept.load(Ordering::SeqCst) > 0).await;
    first.shutdown().await;
    let rich = snapshot(&store, "rich", 300, None).await;
    let kept = store.snapshot(&rich.tenant, &rich.stream, &rich.encoding).await.unwrap().unwrap();
    assert_eq!((kept.revision, kept.command), (rich.revision, rich.command));
    // A state that the code can read, of other events than the log has now: at the end, and with events behind it.
    for (id, revision) in [("end", 150), ("middle", 120)] {
        recorded(&store, id, 150).await;
        let found = snapshot(&store, id, revision, kept.state.as_deref()).await;
        store.save_snapshots(&[Snapshot { command: CommandId::generate(), ..found }]).await.unwrap();
    }
    let again = bank(&store).await;
    for id in ["end", "middle"] {
        deposit(&again, id).await.unwrap();
        empty(&again, id, 150).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_in_memory_is_read_from_the_log_once() {
    let store = store().await;
    let engine = bank(&store).await;
    send(&engine, "Open", json!({ "id": "a", "owner": "Ada" })).await.unwrap();
    store.journey.taken();
    for _ in 0..10 {
        deposit(&engine, "a").await.unwrap();
    }
    assert_eq!(store.journey.taken(), (0, 0));
    // Another build has an encoding of its own, and begins with the log.
    engine.deploy(variant(&component("bank"), 1)).await.unwrap();
    // What a deployment tries of the log doesn't count.
    store.journey.taken();
    deposit(&engine, "a").await.unwrap();
    assert_eq!(store.journey.taken().1, 11);
    deposit(&engine, "a").await.unwrap();
    assert_eq!(store.journey.taken(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_at_one_hot_stream_both_get_on() {
    let store = store().await;
    let engines = [bank(&store).await, bank(&store).await];
    send(&engines[0], "Open", json!({ "id": "hot", "owner": "Ada" })).await.unwrap();
    let done = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let enough = AtomicBool::new(false);
    // Eight callers each, and none stops before both processes have come far enough.
    let callers = (0..16).map(|caller| {
        let (engine, done, enough) = (&engines[caller % 2], &done, &enough);
        async move {
            while !enough.load(Ordering::SeqCst) {
                deposit(engine, "hot").await.unwrap();
                done[caller % 2].fetch_add(1, Ordering::SeqCst);
                if done.iter().all(|done| done.load(Ordering::SeqCst) >= 200) {
                    enough.store(true, Ordering::SeqCst);
                }
            }
        }
    });
    join_all(callers).await;
    let deposits = done.iter().map(|done| done.load(Ordering::SeqCst) as u64).sum();
    empty(&engines[1], "hot", deposits).await;
}
