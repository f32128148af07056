//! Other code goes live, with tables of its own, while somebody listens: each event is told once, by the one or by the
//! other.

use serde_json::{Value, json};
use yado_engine::{ChangeKind, Changed, Cursor, Engine, Error, Settings};
use yado_model::{CommandId, CommandMeta, EntityId, Name, NewEvent, Position, Revision, StreamId, TenantId, Timestamp};
use yado_store::{Appended, Draft, EventStore, PluginVersion};

use super::super::{Databases, patient, start};
use crate::support::{component, eventually};

/// Half of the events that other code is shown before it goes live.
const MANY: u64 = 4_500;

fn line() -> Name {
    Name::parse("Line").unwrap()
}

/// An event of an entry. Each has an amount of its own.
fn event(entry: u64, revision: u64, amount: u64, name: &str) -> Draft {
    let id = EntityId::parse(&format!("entry-{entry}")).unwrap();
    let command_id = CommandId::generate();
    let payload = if name == "Posted" { json!({ "cents": amount, "memo": "" }) } else { json!({}) };
    Draft {
        tenant: TenantId::default(),
        stream: StreamId::new(&Name::parse("Entry").unwrap(), &id),
        expected: Revision::new(revision - 1),
        events: vec![NewEvent { name: name.into(), version: 1, payload: payload.to_string(), tags: Vec::new() }],
        claims: Vec::new(),
        recorded_at: Timestamp::now(),
        command: CommandMeta { command_id, correlation_id: command_id.0, causation_id: None, actor: None },
        plugin: PluginVersion(1),
        idempotency: None,
    }
}

async fn record(log: &dyn EventStore, drafts: impl Iterator<Item = Draft>) -> Position {
    let batch: Vec<_> = drafts.map(|draft| draft.check().unwrap()).collect();
    let outcomes = log.append(&batch).await.unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Appended::Recorded { .. })));
    log.head().await.unwrap()
}

/// The events at these positions: one entry, whose amount is the position.
async fn post(log: &dyn EventStore, positions: std::ops::RangeInclusive<u64>) -> Position {
    record(log, positions.map(|position| event(0, position, position, "Posted"))).await
}

async fn shows(engine: &Engine, position: Position) {
    let model = engine.catalogue().model(&line()).unwrap().clone();
    engine.caught_up(&model, position).await.unwrap();
}

fn watch(engine: &Engine, after: u64) -> yado_engine::ChangeStream {
    let after = Cursor::all_of(Position::new(after));
    engine.watch(&line(), &TenantId::default(), Some(after)).unwrap()
}

/// Everything up to a position, which must be one change an event; and after which event the other code tells it.
async fn all(stream: &mut yado_engine::ChangeStream, after: u64, until: Position) -> u64 {
    let mut last = after;
    let mut taken_over = until.get();
    while let Some(changed) = stream.next_until(Some(Cursor::all_of(until))).await.unwrap() {
        assert_eq!(changed.position.get(), last + 1);
        last += 1;
        let row = row(&changed);
        if row["amount"].is_null() {
            assert_eq!((row["cents"].as_u64(), taken_over), (Some(last), until.get()), "{row}");
        } else {
            assert_eq!(row["amount"], format!("{}.{:02}", last / 100, last % 100));
            taken_over = taken_over.min(last - 1);
        }
    }
    assert_eq!(last, until.get());
    taken_over
}

fn row(changed: &Changed) -> Value {
    serde_json::from_str(&changed.row).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_listens_goes_over_to_other_code_without_missing_anything() {
    /// Of so many, which are most, other code tells: a fifth of what is kept. It begins behind the first piece that the slow
    /// one has in hand by then.
    const TOLD: u64 = 6_300;
    /// Before other code begins to tell.
    const SEEN: u64 = 200;
    let databases = Databases::new(false, 1).await;
    let log = databases.log().await;
    let settings = Settings { changes_memory_bytes: 20_000, changes_kept: 5 * TOLD, batch: 100, ..patient() };
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    post(&*log, 1..=MANY).await;
    engine.deploy(component("ledger")).await.unwrap();
    // One that is up to date, and one that is slow.
    let mut quick = engine.watch(&line(), &TenantId::default(), None).unwrap();
    let mut slow = watch(&engine, SEEN);
    assert_eq!(slow.next().await.unwrap().position, Position::new(SEEN + 1));
    let head = post(&*log, MANY + 1..=2 * MANY).await;
    all(&mut quick, MANY, head).await;
    engine.deploy(component("ledger-next")).await.unwrap();
    let head = post(&*log, 2 * MANY + 1..=2 * MANY + 100).await;
    assert_eq!(all(&mut quick, 2 * MANY, head).await, 2 * MANY);
    // What comes first is not told by the new code, because that is further back.
    let taken_over = all(&mut slow, SEEN + 1, head).await;
    assert!((2 * MANY - TOLD..2 * MANY - TOLD + 200).contains(&taken_over), "{taken_over}");
    assert_eq!(all(&mut watch(&engine, SEEN), SEEN, head).await, taken_over);
    assert_eq!(all(&mut watch(&engine, taken_over), taken_over, head).await, taken_over);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_code_that_is_gone_has_told_is_not_kept() {
    let databases = Databases::new(false, 1).await;
    let log = databases.log().await;
    let settings = Settings { retire_ms: 0, changes_kept: MANY - 500, ..patient() };
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    post(&*log, 1..=MANY).await;
    engine.deploy(component("ledger")).await.unwrap();
    let head = Position::new(MANY);
    let mut idle = engine.watch(&line(), &TenantId::default(), None).unwrap();
    let mut slow = watch(&engine, 100);
    let expired = slow.next().await;
    assert!(matches!(expired, Err(Error::ResumeExpired { floor: Some(_), .. })), "{expired:?}");
    let old = engine.catalogue().model(&line()).unwrap().table.name.clone();
    engine.deploy(component("ledger-next")).await.unwrap();
    let reads = databases.reads(0).await;
    eventually("the old table is gone", async || !reads.tables().await.unwrap().contains(&old)).await;
    let expired = watch(&engine, 100).next().await;
    assert!(matches!(expired, Err(Error::ResumeExpired { .. })), "{expired:?}");
    // Whoever was up to date did not even notice.
    let next = post(&*log, MANY + 1..=MANY + 10).await;
    assert_eq!(all(&mut idle, head.get(), next).await, head.get());
    engine.shutdown().await;
}

/// The first version of the plugin has recorded that an entry was struck. For the next one that is two events, which both
/// change the entry's row.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_event_does_to_a_row_in_several_strokes_is_told_as_one_change() {
    let databases = Databases::new(false, 1).await;
    let log = databases.log().await;
    let head = record(
        &*log,
        [event(1, 1, 5, "Posted"), event(1, 2, 0, "Struck"), event(1, 3, 5, "Posted"), event(1, 4, 5, "Posted")]
            .into_iter(),
    )
    .await;
    let told = async |engine: &Engine| {
        shows(engine, head).await;
        let mut stream = watch(engine, 0);
        let mut told = Vec::new();
        while let Some(changed) = stream.next_until(Some(Cursor::all_of(head))).await.unwrap() {
            told.push((Cursor::from(&*changed).to_string(), changed.kind, row(&changed)));
        }
        told
    };
    let engine = start(databases.log().await, databases.reads(0).await, patient()).await;
    engine.deploy(component("ledger")).await.unwrap();
    let row = json!({ "id": "entry-1", "cents": 5 });
    let expected = [
        ("1.0".to_owned(), ChangeKind::Created, row.clone()),
        ("2.0".to_owned(), ChangeKind::Deleted, row.clone()),
        // The last event has changed nothing.
        ("3.0".to_owned(), ChangeKind::Created, row),
    ];
    assert_eq!(told(&engine).await, expected);
    engine.deploy(component("ledger-next")).await.unwrap();
    let row = |remark: Option<&str>, closed: bool| json!({ "id": "entry-1", "amount": "0.05", "remark": remark, "closed": closed });
    let expected = [
        ("1.0".to_owned(), ChangeKind::Created, row(None, false)),
        ("2.0".to_owned(), ChangeKind::Updated, row(Some("struck"), true)),
        ("3.0".to_owned(), ChangeKind::Updated, row(None, false)),
    ];
    assert_eq!(told(&engine).await, expected);
    engine.shutdown().await;
}
