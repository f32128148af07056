//! Whoever listens to changes of rows is told of each that an event makes, once, in order: however events are batched,
//! whatever fails, wherever a process dies, whoever else does the same work, and while other code takes over.

mod replayed;
mod swap;

use std::sync::Arc;

use serde_json::{Value, json};
use yado_engine::{ChangeKind, ChangeStream, Changed, Cursor, Engine, Error, Settings};
use yado_model::{Name, Position, TenantId};
use yado_store::EventStore;

use super::failing::{Failing, Fate};
use super::history::{History, Random, tenants};
use super::{Databases, any_batch, dies, model, open, patient, shown, start, two};
use crate::support::{component, eventually};

/// The rows by tenant and key, as one event after the other makes them, and what that comes to.
type Rows = std::collections::BTreeMap<(TenantId, String), Value>;

/// A change, in a form that two of them can be compared in.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    at: Cursor,
    tenant: TenantId,
    key: String,
    kind: ChangeKind,
    row: Value,
}

impl From<&Changed> for Told {
    fn from(changed: &Changed) -> Self {
        assert_eq!(changed.model.as_str(), "Balance");
        Self {
            at: Cursor::from(changed),
            tenant: changed.tenant.clone(),
            key: changed.key.clone(),
            kind: changed.kind,
            row: serde_json::from_str(&changed.row).unwrap(),
        }
    }
}

const BEGINNING: Cursor = Cursor::all_of(Position::ZERO);

/// What there is to be told of a tenant's rows, found by holding rows against each other after every single event. It
/// shares nothing with what is tested.
async fn naive(log: &dyn EventStore, tenant: &TenantId) -> Vec<Told> {
    let mut rows = Rows::new();
    let mut told = Vec::new();
    let head = log.head().await.unwrap();
    let mut after = Position::ZERO;
    while after < head {
        for event in log.read_log(after, 1_000).await.unwrap() {
            after = event.position;
            let key = event.stream.id().to_owned();
            let place = (event.tenant.clone(), key.clone());
            let before = rows.get(&place).cloned();
            let payload: Value = serde_json::from_str(&event.event.payload).unwrap();
            let amount = payload["amount"].as_i64().unwrap_or_default();
            let moved = |amount: i64| {
                before.as_ref().map(|row| {
                    let (balance, movements) = (row["balance"].as_i64().unwrap(), row["movements"].as_i64().unwrap());
                    json!({
                        "id": key, "owner": row["owner"], "balance": balance + amount, "movements": movements + 1,
                        "updatedAt": event.recorded_at,
                    })
                })
            };
            let after = match event.event.name.as_str() {
                "Opened" => Some(json!({
                    "id": key, "owner": payload["owner"], "balance": 0, "movements": 0, "updatedAt": event.recorded_at,
                })),
                "Deposited" => moved(amount),
                "Withdrawn" => moved(-amount),
                _ => None,
            };
            let change = match (&before, &after) {
                (None, Some(after)) => Some((ChangeKind::Created, after.clone())),
                (Some(before), Some(after)) if before != after => Some((ChangeKind::Updated, after.clone())),
                (Some(before), None) => Some((ChangeKind::Deleted, before.clone())),
                _ => None,
            };
            match after {
                Some(row) => drop(rows.insert(place, row)),
                None => drop(rows.remove(&place)),
            }
            if let Some((kind, row)) = change.filter(|_| event.tenant == *tenant) {
                let at = Cursor { position: event.position, place: 0 };
                told.push(Told { at, tenant: event.tenant.clone(), key, kind, row });
            }
        }
    }
    told
}

fn watch(engine: &Engine, tenant: &TenantId, after: Cursor) -> ChangeStream {
    engine.watch(&Name::parse("Balance").unwrap(), tenant, Some(after)).unwrap()
}

/// One who listens, goes away, and comes back to go on from what was heard last.
struct Listener {
    tenant: TenantId,
    random: Random,
    seen: Cursor,
    told: Vec<Told>,
}

impl Listener {
    fn all(seed: u64) -> Vec<Self> {
        let listener = |tenant| Self { tenant, random: Random(seed), seen: BEGINNING, told: Vec::new() };
        tenants().into_iter().map(listener).collect()
    }

    /// Listens until everything up to a position has been told.
    async fn listen(&mut self, engine: &Engine, until: Position) -> Result<(), Error> {
        let mut stream = watch(engine, &self.tenant, self.seen);
        while let Some(changed) = stream.next_until(Some(Cursor::all_of(until))).await? {
            self.seen = Cursor::from(&*changed);
            self.told.push(Told::from(&*changed));
            if self.random.below(20) == 0 {
                // What it has seen beyond the last change counts as well.
                self.seen = stream.cursor().unwrap();
                stream = watch(engine, &self.tenant, self.seen);
            }
        }
        Ok(())
    }

    /// Holds what was told against what there was.
    async fn compare(&self, log: &dyn EventStore) {
        let expected = naive(log, &self.tenant).await;
        assert!(!expected.is_empty());
        for (told, expected) in self.told.iter().zip(&expected) {
            assert_eq!(told, expected, "{}", self.tenant);
        }
        assert_eq!(self.told.len(), expected.len(), "{}", self.tenant);
    }
}

async fn listen_all(listeners: &mut [Listener], engine: &Engine, until: Position) {
    for listened in futures::future::join_all(listeners.iter_mut().map(|one| one.listen(engine, until))).await {
        listened.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_do_not_depend_on_batches_or_on_what_fails_on_sqlite() {
    for seed in 1..=6 {
        changes_are_those_of_single_events(seed, false, "bank").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_do_not_depend_on_batches_or_on_what_fails_on_postgresql() {
    for seed in 7..=10 {
        changes_are_those_of_single_events(seed, true, "bank").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_told_also_of_a_guest_that_does_not_say_because_of_which_event_it_writes() {
    for seed in 11..=13 {
        changes_are_those_of_single_events(seed, false, "bank-mute").await;
    }
}

async fn changes_are_those_of_single_events(seed: u64, postgres: bool, plugin: &str) {
    let mut random = Random(seed);
    let databases = Databases::new(postgres, 1).await;
    let (log, mut history) = (databases.log().await, History::new(seed));
    let settings = Settings {
        batch: any_batch(&mut random),
        gathered_events: 1 + random.below(300),
        rows_kept_bytes: [0, 2_000, 1 << 20][usize::try_from(random.below(3)).unwrap()],
        // Some have to read the table, and some are given everything from memory.
        changes_memory_bytes: [0, 10_000, 1 << 20][usize::try_from(random.below(3)).unwrap()],
        gather_ms: [0, 5][usize::try_from(random.below(2)).unwrap()],
        ..patient()
    };
    eprintln!("seed {seed}: {settings:?}");
    history.go_on(&*log, 300).await;
    let reads = Arc::new(Failing::new(databases.reads(0).await, seed, 25));
    let engine = start(databases.log().await, reads, settings).await;
    engine.deploy(component(plugin)).await.unwrap();
    let mut listeners = Listener::all(seed);
    for _ in 0..8 {
        listen_all(&mut listeners, &engine, log.head().await.unwrap()).await;
        history.go_on(&*log, 1 + random.below(60)).await;
    }
    listen_all(&mut listeners, &engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    for listener in &listeners {
        listener.compare(&*log).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_goes_on_after_a_process_has_died_at_any_write_on_sqlite() {
    dies_at_every_write(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_goes_on_after_a_process_has_died_at_any_write_on_postgresql() {
    dies_at_every_write(true).await;
}

/// Before each of the first commits, and after each of them, all goes dark for the process. Whoever listened to it goes on
/// with the next one, from what was heard last.
async fn dies_at_every_write(postgres: bool) {
    const COMMITS: usize = 6;
    let databases = Databases::new(postgres, 2 * COMMITS).await;
    let log = databases.log().await;
    History::new(1).go_on(&*log, 300).await;
    let head = log.head().await.unwrap();
    let settings = || Settings { batch: 20, gathered_events: 40, ..patient() };
    let deaths = (0..COMMITS).flat_map(|commit| [(commit, Fate::Lost), (commit, Fate::Unheard)]);
    for (number, (commit, fate)) in deaths.enumerate() {
        let died = dies(&databases, &databases.reads[number], "bank", commit, fate, settings()).await;
        assert!(died || commit > 0, "nothing is committed");
        // It has gone live, and dies on its way from there.
        let next = start(databases.log().await, databases.reads(number).await, settings()).await;
        next.deploy(component("bank")).await.unwrap();
        let mut listeners = Listener::all(1);
        listen_all(&mut listeners, &next, head).await;
        next.shutdown().await;
        for listener in &listeners {
            eprintln!("commit {commit}, {fate:?}");
            listener.compare(&*log).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_misses_nothing_when_its_process_dies_in_mid_work_on_sqlite() {
    dies_while_listened_to(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_misses_nothing_when_its_process_dies_in_mid_work_on_postgresql() {
    dies_while_listened_to(true).await;
}

/// A process that is listened to dies at one of its later commits; the next one is listened to from there.
async fn dies_while_listened_to(postgres: bool) {
    const LIVES: usize = 6;
    let databases = Databases::new(postgres, 1).await;
    let (log, mut history) = (databases.log().await, History::new(5));
    let mut listeners = Listener::all(5);
    let settings = || Settings { batch: 10, gathered_events: 10, ..patient() };
    for life in 0..LIVES {
        let fate = [Fate::Lost, Fate::Unheard][life % 2];
        let dying = Arc::new(Failing::dying(databases.reads(0).await, 2 + life, fate));
        let engine = start(databases.log().await, dying.clone(), settings()).await;
        history.go_on(&*log, 1).await;
        engine.deploy(component("bank")).await.unwrap();
        while tokio::time::timeout(std::time::Duration::ZERO, dying.dead()).await.is_err() {
            history.go_on(&*log, 30).await;
            let head = log.head().await.unwrap();
            let listening = futures::future::join_all(listeners.iter_mut().map(|one| one.listen(&engine, head)));
            tokio::select! {
                _ = listening => {}
                () = dying.dead() => {}
            }
        }
        engine.shutdown().await;
    }
    let engine = start(databases.log().await, databases.reads(0).await, settings()).await;
    engine.deploy(component("bank")).await.unwrap();
    listen_all(&mut listeners, &engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    for listener in &listeners {
        listener.compare(&*log).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_tell_the_same_whoever_does_the_work_on_sqlite() {
    tell_together(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_tell_the_same_whoever_does_the_work_on_postgresql() {
    tell_together(true).await;
}

async fn tell_together(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let (mut history, log) = (History::new(3), databases.log().await);
    history.go_on(&*log, 200).await;
    let settings = || Settings { batch: 15, gathered_events: 30, ..patient() };
    let (first, second) = two(&databases, settings).await;
    // The third goes from one to the other all the time.
    let (mut of_first, mut of_second, mut of_both) = (Listener::all(1), Listener::all(2), Listener::all(3));
    for round in 0..20 {
        history.go_on(&*log, 20).await;
        let head = log.head().await.unwrap();
        let either = if round % 2 == 0 { &first } else { &second };
        tokio::join!(
            listen_all(&mut of_first, &first, head),
            listen_all(&mut of_second, &second, head),
            listen_all(&mut of_both, either, head),
        );
    }
    first.shutdown().await;
    second.shutdown().await;
    for listener in of_first.iter().chain(&of_second).chain(&of_both) {
        listener.compare(&*log).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_to_listen_is_told_what_happens_from_then_on() {
    let databases = Databases::new(false, 1).await;
    let engine = start(databases.log().await, databases.reads(0).await, patient()).await;
    engine.deploy(component("bank")).await.unwrap();
    let before = open(&engine, 0).await;
    engine.caught_up(&model(&engine), before).await.unwrap();
    let mut stream = engine.watch(&Name::parse("Balance").unwrap(), &TenantId::default(), None).unwrap();
    assert_eq!(stream.cursor(), Some(Cursor::all_of(before)));
    let next = open(&engine, 1).await;
    let changed = stream.next().await.unwrap();
    assert_eq!((changed.position, changed.key.as_str(), changed.kind), (next, "account-1", ChangeKind::Created));
    // A receipt's position is a place as well.
    let mut again = watch(&engine, &TenantId::default(), before.to_string().parse().unwrap());
    assert_eq!(again.next().await.unwrap(), changed);
    let unknown = engine.watch(&Name::parse("Nothing").unwrap(), &TenantId::default(), None);
    assert!(matches!(unknown, Err(Error::Unknown { .. })), "{unknown:?}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_been_away_for_too_long_is_told_to_read_anew() {
    let databases = Databases::new(false, 1).await;
    let (log, reads) = (databases.log().await, databases.reads(0).await);
    let engine = start(databases.log().await, reads.clone(), Settings { changes_memory_bytes: 0, ..patient() }).await;
    engine.deploy(component("bank")).await.unwrap();
    History::of_one(1).go_on(&*log, 50).await;
    let head = log.head().await.unwrap();
    shown(&engine, head).await;
    let floor = Position::new(20);
    reads.forget_changes(&model(&engine).projection, floor).await.unwrap();
    for (after, expired) in [(0, true), (19, true), (20, false), (30, false)] {
        let mut stream = watch(&engine, &TenantId::default(), Cursor::all_of(Position::new(after)));
        match stream.next_until(Some(Cursor::all_of(head))).await {
            Err(Error::ResumeExpired { floor: known, .. }) => assert!(expired && known == Some(floor), "{after}"),
            other => assert!(!expired && other.is_ok(), "{after}: {other:?}"),
        }
    }
    engine.shutdown().await;
}
