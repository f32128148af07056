//! What the suite is about: counters, and rows about tickets.

use serde_json::{Value, json};
use yado_model::{
    CommandId, CommandMeta, Name, NewEvent, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp,
};

use crate::{
    Appended, Column, Draft, EventStore, Kind, PluginVersion, Progress, ReadStore, Row, Step, Table, TableWrites,
    TablesInUse, Write,
};

/// A tenant by its name.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("a tenant")
}

/// A stream by its text.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn stream(text: &str) -> StreamId {
    StreamId::parse(text).expect("a stream")
}

/// An append of so many events to a stream of the default tenant.
#[must_use]
pub fn counted(to: &str, expected: u64, events: usize) -> Draft {
    let event = |number: usize| NewEvent {
        name: "Counted".into(),
        version: 1,
        payload: json!({ "number": number }).to_string(),
        tags: vec![],
    };
    let command_id = CommandId::generate();
    Draft {
        tenant: TenantId::default(),
        stream: stream(to),
        expected: Revision::new(expected),
        events: (1..=events).map(event).collect(),
        claims: vec![],
        recorded_at: Timestamp::now(),
        command: CommandMeta { command_id, correlation_id: command_id.0, causation_id: None, actor: None },
        plugin: PluginVersion(1),
        idempotency: None,
    }
}

pub(super) fn recorded(revision: u64, position: u64) -> Appended {
    Appended::Recorded { revision: Revision::new(revision), position: Position::new(position) }
}

pub(super) fn conflict(actual: u64) -> Appended {
    Appended::Conflict { actual: Revision::new(actual) }
}

/// Checks drafts and appends them as one batch.
///
/// # Errors
/// When one of them is none that can be kept, or the store fails.
pub async fn record(store: &dyn EventStore, drafts: &[Draft]) -> crate::Result<Vec<Appended>> {
    let batch = drafts.iter().cloned().map(Draft::check).collect::<crate::Result<Vec<_>>>()?;
    store.append(&batch).await
}

/// Appends one thing.
pub(super) async fn append(store: &dyn EventStore, append: Draft) -> Appended {
    let mut outcomes = record(store, &[append]).await.unwrap();
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

pub(super) async fn log(store: &dyn EventStore) -> Vec<RecordedEvent> {
    store.read_log(Position::ZERO, 1_000).await.unwrap()
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// A table with a column of each kind.
pub(crate) fn tickets() -> Table {
    let column = |text: &str, kind, nullable| Column { name: name(text), kind, nullable };
    Table {
        name: "rm_tickets".into(),
        columns: vec![
            column("id", Kind::Text, false),
            column("title", Kind::Text, true),
            column("seats", Kind::Integer, true),
            column("weight", Kind::Float, true),
            column("unitPrice", Kind::Decimal, true),
            column("isOpen", Kind::Boolean, true),
            column("openedAt", Kind::Timestamp, true),
            column("extra", Kind::Json, true),
        ],
        key: name("id"),
        indexes: vec![vec![name("unitPrice")], vec![name("isOpen"), name("openedAt")]],
        unique: vec![],
        search: vec![name("title")],
    }
}

/// A table with an index of each sort.
#[cfg(test)]
pub(crate) fn places() -> Table {
    let column = |text: &str, kind| Column { name: name(text), kind, nullable: false };
    Table {
        name: "rm_places".into(),
        columns: vec![
            column("id", Kind::Text),
            column("label", Kind::Text),
            column("price", Kind::Decimal),
            column("hall", Kind::Text),
        ],
        key: name("id"),
        indexes: vec![vec![name("price")], vec![name("hall")]],
        unique: vec![vec![name("label")]],
        search: vec![name("label")],
    }
}

/// The fields of a JSON object.
pub(super) fn row(fields: Value) -> Row {
    match fields {
        Value::Object(fields) => fields,
        other => panic!("{other} is no row"),
    }
}

/// Puts rows into a table of the default tenant, as a step of a projection of their own.
pub(super) async fn put(store: &dyn ReadStore, table: &Table, rows: impl IntoIterator<Item = Value>) {
    let writes = rows.into_iter().map(|fields| (TenantId::default(), Write::Put(row(fields)))).collect();
    step(store, TableWrites { table, writes }).await.unwrap();
}

/// Drops what a projection has left that nobody uses. Says whether nobody does.
pub(super) async fn discard(store: &dyn ReadStore, projection: &str, tables: &[&str]) -> crate::Result<bool> {
    let tables = tables.iter().map(ToString::to_string).collect();
    store.discard_unused("fixtures", &TablesInUse { projection: projection.into(), tables }, u64::MAX).await
}

/// Takes one more step of a projection that nobody else has.
pub(super) async fn step(store: &dyn ReadStore, writes: TableWrites<'_>) -> crate::Result<()> {
    let from = store.checkpoint("fixtures").await.unwrap();
    let progress = Progress { projection: "fixtures", from, to: from.position.plus(1).into() };
    store.commit(&Step::new(progress, &[writes])).await.map(|committed| assert_eq!(committed, crate::Committed::Yes))
}
