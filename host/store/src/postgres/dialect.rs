//! How PostgreSQL holds cells, and how it says what SQL leaves open.
//!
//! Exact numbers and documents travel as texts, which lose nothing, and are cast in the statement. Texts are bound as
//! `text`; the columns' collation is "C", so that order and equality are those of the bytes on every server.

use sqlx::{Postgres, QueryBuilder};
use yado_model::TenantId;

use super::bound::Bound;
use super::line::{Answer, Record, oid};
use super::time::{Time, from_epoch};
use crate::cell::{Cell, damaged};
use crate::read::aggregate::{Found, Total};
use crate::read::search::{Place, pattern};
use crate::read::select::Dialect;
use crate::read::sql::Sql;
use crate::room::Room;
use crate::{Column, Error, Kind, Result, Rows, Shown};

pub(super) struct PostgresDialect;

/// The type of a column, as the system tables spell it.
pub(super) const fn declared(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Integer => "bigint",
        Kind::Float => "double precision",
        Kind::Decimal => "numeric",
        Kind::Boolean => "boolean",
        Kind::Timestamp => "timestamp with time zone",
        Kind::Json => "jsonb",
    }
}

/// What turns a bound value into one of the column's type.
pub(super) const fn cast(kind: Kind) -> &'static str {
    match kind {
        Kind::Decimal => "::numeric",
        Kind::Json => "::jsonb",
        _ => "",
    }
}

/// Pushes the values of one column, of many rows, as an array.
pub(super) fn push_array<'a>(sql: &mut QueryBuilder<Postgres>, kind: Kind, cells: impl Iterator<Item = &'a Cell>) {
    /// What a cell holds, if it is of the kind; null otherwise. Cells were made for their columns.
    macro_rules! array {
        ($($cell:pat => $value:expr),+) => {
            cells.map(|cell| match cell { $($cell => Some($value),)+ _ => None }).collect::<Vec<_>>()
        };
    }
    match kind {
        Kind::Text | Kind::Decimal | Kind::Json => {
            sql.push_bind(array!(Cell::Text(text) | Cell::Decimal(text) | Cell::Json(text) => text.as_str()))
        }
        Kind::Integer => sql.push_bind(array!(Cell::Integer(number) => *number)),
        Kind::Float => sql.push_bind(array!(Cell::Float(float) => *float)),
        Kind::Boolean => sql.push_bind(array!(Cell::Boolean(truth) => *truth)),
        Kind::Timestamp => sql.push_bind(array!(Cell::Timestamp(time) => Time(*time))),
    };
}

impl Dialect for PostgresDialect {
    type Bound = Bound;

    const EXISTS: &'static str = "";

    fn tenant(&self, sql: &mut Sql<Bound>, tenant: &TenantId) {
        sql.bind(Bound::Text(tenant.to_string()));
    }

    fn value(&self, sql: &mut Sql<Bound>, cell: Cell) {
        match cell {
            Cell::Null => sql.push("null"),
            Cell::Text(text) => sql.bind(Bound::Text(text)),
            Cell::Decimal(text) => sql.bind(Bound::Text(text)).push(cast(Kind::Decimal)),
            Cell::Json(text) => sql.bind(Bound::Text(text)).push(cast(Kind::Json)),
            Cell::Integer(number) => sql.bind(Bound::Integer(number)),
            Cell::Float(float) => sql.bind(Bound::Float(float)),
            Cell::Boolean(truth) => sql.bind(Bound::Boolean(truth)),
            Cell::Timestamp(time) => sql.bind(Bound::Time(time)),
        };
    }

    fn among(&self, sql: &mut Sql<Bound>, kind: Kind, cells: Vec<Cell>) {
        /// What the cells hold. They were made for their column, and none of them is null.
        macro_rules! held {
            ($cell:pat => $value:expr) => {
                cells.into_iter().filter_map(|cell| if let $cell = cell { Some($value) } else { None }).collect()
            };
        }
        sql.push(" = any(").bind(match kind {
            Kind::Text | Kind::Decimal | Kind::Json => {
                Bound::Texts(held!(Cell::Text(text) | Cell::Decimal(text) | Cell::Json(text) => text))
            }
            Kind::Integer => Bound::Integers(held!(Cell::Integer(number) => number)),
            Kind::Float => Bound::Floats(held!(Cell::Float(float) => float)),
            Kind::Boolean => Bound::Booleans(held!(Cell::Boolean(truth) => truth)),
            Kind::Timestamp => Bound::Times(held!(Cell::Timestamp(time) => time)),
        });
        sql.push(if kind == Kind::Decimal { "::numeric[])" } else { ")" });
    }

    fn matches(&self, sql: &mut Sql<Bound>, column: &str, place: Place, needle: &str) {
        sql.push(format_args!("{column} like ")).bind(Bound::Text(pattern(place, needle)));
    }

    fn total(&self, column: &str, kind: Kind) -> Vec<String> {
        let cast = if kind == Kind::Float { "" } else { "::text" };
        vec![format!("sum({column}){cast}")]
    }

    fn read(&self, column: &str, kind: Kind) -> String {
        match kind {
            Kind::Decimal | Kind::Json => format!("{column}::text"),
            _ => column.to_owned(),
        }
    }
}

/// What a column has. The statement says what its type is, and that has to be the one that the column was made with.
fn shown<'a>(column: &Column, (kind, cell): (u32, Option<&'a [u8]>)) -> Result<Shown<'a>> {
    let Some(cell) = cell else { return Ok(Shown::Null) };
    let shown = match (column.kind, kind) {
        (Kind::Text, oid::TEXT) => text(cell).map(Shown::Text),
        (Kind::Decimal, oid::TEXT) => text(cell).map(Shown::Decimal),
        (Kind::Json, oid::TEXT) => text(cell).map(Shown::Json),
        (Kind::Integer, oid::INT8) => number(cell).map(i64::from_be_bytes).map(Shown::Integer),
        (Kind::Float, oid::FLOAT8) => number(cell).map(f64::from_be_bytes).map(Shown::Float),
        (Kind::Boolean, oid::BOOL) => cell.first().map(|byte| Shown::Boolean(*byte != 0)),
        (Kind::Timestamp, oid::TIMESTAMPTZ) => number(cell).map(i64::from_be_bytes).map(from_epoch).map(Shown::Time),
        _ => {
            return Err(damaged(
                column,
                &format!("it has PostgreSQL's type {kind} instead of {}", declared(column.kind)),
            ));
        }
    };
    shown.ok_or_else(|| damaged(column, "what came is no value of its type"))
}

fn text(cell: &[u8]) -> Option<&str> {
    std::str::from_utf8(cell).ok()
}

fn number(cell: &[u8]) -> Option<[u8; 8]> {
    cell.try_into().ok()
}

/// All rows of an answer, where these columns were asked for, if there is room for them.
pub(super) fn rows(answer: &Answer, columns: &[&Column], room: Room) -> Result<Rows> {
    let mut filling = Rows::filling(columns.iter().copied().cloned().collect(), room);
    // The texts are most of an answer, and never more than all of it.
    filling.reserve(answer.records().count(), answer.len());
    for record in answer.records() {
        let mut cells = record.cells();
        for column in columns {
            let cell = cells.next().unwrap_or_else(|| Err(damaged(column, "it was not answered")))?;
            filling.push(shown(column, cell)?)?;
        }
    }
    Ok(filling.done())
}

impl Found for Record<'_> {
    fn cell(&self, at: usize, column: &Column) -> Result<Shown<'_>> {
        shown(column, Record::cell(*self, at)?)
    }

    fn count(&self, at: usize) -> Result<i64> {
        match Record::cell(*self, at)? {
            (oid::INT8, Some(cell)) => number(cell).map(i64::from_be_bytes),
            _ => None,
        }
        .ok_or_else(|| Error::corrupt("an answer of PostgreSQL", "a count is no number"))
    }

    fn total(&self, at: usize, column: &Column) -> Result<Option<Total>> {
        let total = match Record::cell(*self, at)? {
            (_, None) => return Ok(None),
            (oid::FLOAT8, Some(cell)) => number(cell).map(f64::from_be_bytes).map(Total::Float),
            (oid::TEXT, Some(cell)) => text(cell).map(|text| Total::Exact(text.to_owned())),
            _ => None,
        };
        total.map(Some).ok_or_else(|| damaged(column, "a sum is no number"))
    }
}
