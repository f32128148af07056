//! Uniqueness, event by event.
//!
//! A database knows what is unique when rows go down, and how many events' rows go down together is a matter of chance. What
//! two rows share for the length of an event may have passed from one to the other by then; or nobody can tell which of the
//! events was to blame. So before rows go down, the writes are gone through in the order of their events: whoever takes what
//! another row has at that event is to blame, however events are batched, and rows made anew are those that grew.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rust_decimal::Decimal;
use serde_json::Value;
use yado_model::{Name, Position, TenantId};
use yado_store::limits::LARGEST_FILTER;
use yado_store::{Filter, Kind, Op, ReadStore, Select, Table};

use super::Failure;
use super::row::{Text, into_stored};
use crate::catalogue::Model;

/// What a write takes beside its texts.
const OVERHEAD: usize = 96;

/// Rows that are looked for at once.
const AT_ONCE: usize = 1_000;

/// A value that is unique, as it is compared: what an engine takes for the same is the same.
type Compared = Vec<String>;

/// A row after a write that may have taken or released what is unique.
#[derive(Debug)]
struct Stroke {
    at: Position,
    tenant: TenantId,
    model: usize,
    key: Box<str>,
    row: Option<Text>,
}

/// The writes that have gathered.
#[derive(Debug, Default)]
pub(super) struct Strokes {
    strokes: Vec<Stroke>,
    bytes: usize,
}

/// An event that takes what another row has.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    at: Position,
    table: String,
    columns: Vec<String>,
    value: String,
}

impl Strokes {
    /// An event has written a row, or removed it.
    pub(super) fn add(&mut self, at: Position, tenant: &TenantId, model: usize, key: &str, row: Option<Text>) {
        self.bytes += OVERHEAD + key.len() + row.as_ref().map_or(0, |row| row.len());
        self.strokes.push(Stroke { at, tenant: tenant.clone(), model, key: key.into(), row });
    }

    /// Takes in those of other events.
    pub(super) fn append(&mut self, mut others: Self) {
        self.strokes.append(&mut others.strokes);
        self.bytes += others.bytes;
    }

    /// How much they take.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes them out, in the order of their events.
    pub(super) fn take(&mut self) -> Self {
        let mut taken = std::mem::take(self);
        taken.strokes.sort_by_key(|stroke| stroke.at);
        taken
    }

    /// Finds the first event that takes what another row has, of the tables or of the events before.
    pub(super) async fn check(&self, reads: &dyn ReadStore, models: &[Arc<Model>]) -> Result<(), Failure> {
        let mut first: Option<Violation> = None;
        for (at, model) in models.iter().enumerate() {
            let strokes: Vec<_> = self.strokes.iter().filter(|stroke| stroke.model == at).collect();
            if strokes.is_empty() {
                continue;
            }
            for columns in &model.table.unique {
                let found = violation(reads, &model.table, columns, &strokes).await?;
                first = match (first, found) {
                    (Some(first), Some(found)) if found.at < first.at => Some(found),
                    (first, found) => first.or(found),
                };
            }
        }
        let Some(Violation { at, table, columns, value }) = first else { return Ok(()) };
        Err(Failure::from(yado_store::Error::Duplicate { table, columns, value }).exactly(Some(at)))
    }
}

/// Whether two states of a row hold the same in all that is unique.
pub(super) fn is_same(table: &Table, before: Option<&Text>, after: Option<&Text>) -> bool {
    let held = |row: Option<&Text>| -> Option<Vec<Option<Compared>>> {
        let row = into_stored(row?).ok()?;
        Some(table.unique.iter().map(|columns| compared(table, columns, &row)).collect())
    };
    held(before) == held(after)
}

async fn violation(
    reads: &dyn ReadStore,
    table: &Table,
    columns: &[Name],
    strokes: &[&Stroke],
) -> Result<Option<Violation>, Failure> {
    let mut events = Vec::with_capacity(strokes.len());
    let mut asked: HashMap<&TenantId, HashMap<Compared, Vec<Value>>> = HashMap::new();
    for stroke in strokes {
        let row = stroke.row.as_deref().map(into_stored).transpose()?;
        let value = row.as_ref().and_then(|row| Some((compared(table, columns, row)?, held(columns, row))));
        if let Some((compared, value)) = &value {
            asked.entry(&stroke.tenant).or_default().entry(compared.clone()).or_insert_with(|| value.clone());
        }
        events.push((*stroke, value));
    }
    let mut holders = Holders::default();
    for (tenant, values) in asked {
        let values: Vec<_> = values.into_values().collect();
        // Where several columns are unique together, each row is a condition for each of them, and one more.
        let at_once = if columns.len() == 1 { AT_ONCE } else { (LARGEST_FILTER - 1) / (columns.len() + 1) };
        let mut pieces: Vec<_> = values.chunks(at_once.max(1)).collect();
        while let Some(values) = pieces.pop() {
            let mut select = Select::page(u32::try_from(values.len()).unwrap_or(u32::MAX));
            select.filter = Some(filter(columns, values));
            select.columns = Some(columns.iter().map(ToString::to_string).collect());
            let found = match (reads.select(table, tenant, &select).await, values) {
                // Another attempt would find the same row.
                (Err(yado_store::Error::TooLarge { limit }), [value]) => {
                    let takes = |(stroke, held): &&(&Stroke, Option<(Compared, Vec<Value>)>)| {
                        stroke.tenant == *tenant && held.as_ref().is_some_and(|(_, held)| held == value)
                    };
                    return Err(too_large(table, limit).exactly(events.iter().find(takes).map(|(stroke, _)| stroke.at)));
                }
                // It is not the guest that asks for so much at once.
                (Err(yado_store::Error::TooLarge { .. }), _) => {
                    let (first, second) = values.split_at(values.len() / 2);
                    pieces.extend([first, second]);
                    continue;
                }
                (found, _) => found?.into_maps()?,
            };
            for row in found {
                let key = row.get(table.key.as_str()).and_then(Value::as_str);
                if let (Some(key), Some(value)) = (key, compared(table, columns, &row)) {
                    let _ = holders.take(tenant, key, value);
                }
            }
        }
    }
    for event in events.chunk_by(|(a, _), (b, _)| a.at == b.at) {
        // What counts is how rows are when the event is over.
        let mut last = HashMap::new();
        for (stroke, value) in event {
            last.insert((&stroke.tenant, &*stroke.key), value);
        }
        last.keys().for_each(|(tenant, key)| holders.release(tenant, key));
        let mut last: Vec<_> = last.into_iter().collect();
        last.sort_unstable_by_key(|(place, _)| *place);
        for ((tenant, key), value) in last {
            let Some((compared, value)) = value else { continue };
            if !holders.take(tenant, key, compared.clone()) {
                let at = event.first().map_or(Position::ZERO, |(stroke, _)| stroke.at);
                return Ok(Some(Violation::new(at, table, columns, value)));
            }
        }
    }
    Ok(None)
}

/// A single row is more than an answer may have.
fn too_large(table: &Table, limit: usize) -> Failure {
    Failure::guest(format!(
        "what must be unique of a row of {} takes up more than the {limit} bytes that an answer of the database may have: \
         raise answer_bytes of [database], and have the stream shown again",
        table.name
    ))
}

impl Violation {
    fn new(at: Position, table: &Table, columns: &[Name], value: &[Value]) -> Self {
        /// A value may be long, and this one is shown to people.
        const SHOWN: usize = 80;
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let value = value.iter().map(shown).collect::<Vec<_>>().join(", ").chars().take(SHOWN).collect();
        let columns = columns.iter().map(ToString::to_string).collect();
        Self { at, table: table.name.clone(), columns, value }
    }
}

/// Which row has which value, of those that are asked about.
#[derive(Default)]
struct Holders {
    keys: HashMap<(TenantId, Compared), Box<str>>,
    values: HashMap<(TenantId, Box<str>), Compared>,
}

impl Holders {
    /// A row takes a value. Says whether no other one has it.
    fn take(&mut self, tenant: &TenantId, key: &str, value: Compared) -> bool {
        match self.keys.entry((tenant.clone(), value.clone())) {
            Entry::Occupied(holder) if **holder.get() != *key => return false,
            Entry::Occupied(_) => {}
            Entry::Vacant(nobody) => drop(nobody.insert(key.into())),
        }
        self.values.insert((tenant.clone(), key.into()), value);
        true
    }

    fn release(&mut self, tenant: &TenantId, key: &str) {
        if let Some(value) = self.values.remove(&(tenant.clone(), key.into())) {
            self.keys.remove(&(tenant.clone(), value));
        }
    }
}

/// What a row holds in columns.
fn held(columns: &[Name], row: &yado_store::Row) -> Vec<Value> {
    columns.iter().map(|name| row.get(name.as_str()).cloned().unwrap_or(Value::Null)).collect()
}

/// The same, as it is compared; nothing, if some of it is null, which is never the same as anything.
fn compared(table: &Table, columns: &[Name], row: &yado_store::Row) -> Option<Compared> {
    let one = |name: &Name| {
        let value = row.get(name.as_str()).filter(|value| !value.is_null())?;
        let column = table.columns.iter().find(|column| column.name == *name)?;
        Some(match column.kind {
            Kind::Decimal => value
                .as_str()
                .and_then(|text| Decimal::from_str_exact(text).ok())
                .map_or_else(|| value.to_string(), |number| number.normalize().to_string()),
            // Zero has a sign, which makes no difference.
            Kind::Float => value.as_f64().map_or_else(|| value.to_string(), |number| (number + 0.0).to_string()),
            _ => value.to_string(),
        })
    };
    columns.iter().map(one).collect()
}

fn filter(columns: &[Name], values: &[Vec<Value>]) -> Filter {
    if let [column] = columns {
        return Filter::In { field: column.to_string(), values: values.iter().flatten().cloned().collect() };
    }
    let equal = |(name, value): (&Name, &Value)| Filter::Compare {
        field: name.to_string(),
        op: Op::Equal,
        value: value.clone(),
    };
    Filter::Any(values.iter().map(|value| Filter::All(columns.iter().zip(value).map(equal).collect())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yado_store::{Checkpoint, Column, Options, Progress, Step, TableWrites, Write, open_reads};

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    /// Seats, of which no two of a row have the same number, and no two the same price.
    fn seats() -> Table {
        let column = |column, kind| Column { name: name(column), kind, nullable: column != "id" };
        Table {
            name: "rm_seats".into(),
            columns: vec![
                column("id", Kind::Text),
                column("row", Kind::Text),
                column("number", Kind::Integer),
                column("price", Kind::Decimal),
                column("weight", Kind::Float),
            ],
            key: name("id"),
            indexes: vec![],
            unique: vec![vec![name("row"), name("number")], vec![name("price")], vec![name("weight")]],
            search: vec![],
        }
    }

    /// The first event that takes what another row has, given what is in the table.
    async fn found(columns: &[&str], there: &[Value], strokes: &[(u64, &str, Option<Value>)]) -> Option<(u64, String)> {
        found_with(&Options::default(), columns, there, strokes).await.ok().unwrap()
    }

    /// The same with other settings of the database.
    async fn found_with(
        options: &Options,
        columns: &[&str],
        there: &[Value],
        strokes: &[(u64, &str, Option<Value>)],
    ) -> Result<Option<(u64, String)>, Failure> {
        let (table, reads) = (seats(), open_reads("sqlite::memory:", options).await.unwrap());
        reads.ensure_table(&table).await.unwrap();
        let put = |row: &Value| (TenantId::default(), Write::Put(row.as_object().unwrap().clone()));
        let writes = [TableWrites { table: &table, writes: there.iter().map(put).collect() }];
        let progress = Progress { projection: "seats", from: Checkpoint::START, to: Position::new(1).into() };
        reads.commit(&Step::new(progress, &writes)).await.unwrap();
        let mut gathered = Strokes::default();
        for (at, key, row) in strokes {
            let row = row.as_ref().map(|row| row.to_string().into());
            gathered.add(Position::new(*at), &TenantId::default(), 0, key, row);
        }
        let gathered = gathered.take();
        let columns: Vec<_> = columns.iter().map(|column| name(column)).collect();
        let strokes: Vec<_> = gathered.strokes.iter().collect();
        let violation = violation(&*reads, &table, &columns, &strokes).await?;
        Ok(violation.map(|violation| (violation.at.get(), violation.value)))
    }

    #[tokio::test]
    async fn the_event_is_found_that_takes_what_another_row_has() {
        let seat = |id: &str, row: &str, number: u64| json!({ "id": id, "row": row, "number": number });
        let both = ["row", "number"];
        let there = [seat("a", "x", 1), seat("b", "x", 2)];
        let put = |at, id, row, number| (at, id, Some(seat(id, row, number)));
        assert_eq!(found(&both, &there, &[put(5, "c", "x", 3), put(6, "c", "y", 1)]).await, None);
        // However it ends, at that event two rows had it.
        let passing = [put(5, "c", "x", 1), put(6, "a", "y", 1)];
        assert_eq!(found(&both, &there, &passing).await, Some((5, "x, 1".into())));
        let in_turn = [put(5, "a", "y", 1), put(6, "c", "x", 1), put(7, "a", "x", 1)];
        assert_eq!(found(&both, &there, &in_turn).await, Some((7, "x, 1".into())));
        // Events of several tenants come in any order, and the first one is to blame.
        let mixed = [put(9, "c", "x", 2), put(5, "d", "x", 1)];
        assert_eq!(found(&both, &there, &mixed).await, Some((5, "x, 1".into())));
        // What an event does on the way is its own affair.
        let swapped = [put(5, "a", "x", 2), put(5, "b", "x", 1)];
        assert_eq!(found(&both, &there, &swapped).await, None);
        assert_eq!(found(&both, &there, &[(5, "a", None), put(6, "c", "x", 1)]).await, None);
        assert_eq!(found(&both, &there, &[put(5, "a", "x", 1)]).await, None);
    }

    #[tokio::test]
    async fn what_an_engine_takes_for_the_same_is_the_same() {
        let priced = |id: &str, price: &str| json!({ "id": id, "price": price });
        let there = [priced("a", "2.50")];
        let taken = |price| [(5, "b", Some(priced("b", price)))];
        assert_eq!(found(&["price"], &there, &taken("2.5")).await, Some((5, "2.5".into())));
        assert_eq!(found(&["price"], &there, &taken("2.51")).await, None);
        let weighed = |id: &str, weight: f64| json!({ "id": id, "weight": weight });
        let zero = [(5, "b", Some(weighed("b", -0.0)))];
        assert!(found(&["weight"], &[weighed("a", 0.0)], &zero).await.is_some());
        // Nothing is never the same as nothing.
        let nothing = [(5, "b", Some(json!({ "id": "b" }))), (6, "c", Some(json!({ "id": "c" })))];
        assert_eq!(found(&["price"], &[], &nothing).await, None);
    }

    #[tokio::test]
    async fn as_many_rows_are_looked_for_at_once_as_an_answer_has_room_for() {
        const KEYS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let seat = |id: &str, number: usize| json!({ "id": id, "row": "x".repeat(400), "number": number });
        let there: Vec<_> = KEYS.iter().enumerate().map(|(number, id)| seat(id, number)).collect();
        // Each is written as it is, and then one takes what another has.
        let same = (1..).zip(KEYS).zip(&there).map(|((at, id), row)| (at, id, Some(row.clone())));
        let strokes: Vec<_> = same.chain([(20, "k", Some(seat("k", 3)))]).collect();
        let found = async |answer_bytes| {
            let options = Options { answer_bytes, ..Options::default() };
            found_with(&options, &["row", "number"], &there, &strokes).await
        };
        let expected = "x".repeat(80);
        for answer_bytes in [1_000, 2_000, 1 << 20] {
            assert_eq!(found(answer_bytes).await.ok().unwrap(), Some((20, expected.clone())), "{answer_bytes}");
        }
        // What is too large by itself is put aside, for others to go on.
        assert!(matches!(found(100).await, Err(Failure::Guest { at: Some(_), exact: true, .. })));
    }

    #[test]
    fn only_what_is_unique_makes_a_difference() {
        let row = |row: Value| -> Text { row.to_string().into() };
        let before = row(json!({ "id": "a", "row": "x", "number": 1, "price": "2.50" }));
        let same = row(json!({ "id": "a", "row": "x", "number": 1, "price": "2.5" }));
        let other = row(json!({ "id": "a", "row": "x", "number": 2, "price": "2.50" }));
        assert!(is_same(&seats(), Some(&before), Some(&same)) && is_same(&seats(), None, None));
        assert!(!is_same(&seats(), Some(&before), Some(&other)) && !is_same(&seats(), Some(&before), None));
    }
}
