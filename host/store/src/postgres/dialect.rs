//! How PostgreSQL holds cells, and how it says what SQL leaves open.
//!
//! Exact numbers and documents travel as texts, which lose nothing, and are cast in the statement. Texts are bound as
//! `text`; the columns' collation is "C", so that order and equality are those of the bytes on every server.

use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};
use yado_model::TenantId;

use super::time::Time;
use crate::cell::Cell;
use crate::read::aggregate::{Found, Total};
use crate::read::search::{Place, pattern};
use crate::read::select::Dialect;
use crate::{Column, Kind, Result};

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
    type Database = Postgres;

    const EXISTS: &'static str = "";

    fn tenant(&self, sql: &mut QueryBuilder<Postgres>, tenant: &TenantId) {
        sql.push_bind(tenant.as_str());
    }

    fn value(&self, sql: &mut QueryBuilder<Postgres>, cell: Cell) {
        match cell {
            Cell::Null => sql.push("null"),
            Cell::Text(text) => sql.push_bind(text),
            Cell::Decimal(text) => sql.push_bind(text).push(cast(Kind::Decimal)),
            Cell::Json(text) => sql.push_bind(text).push(cast(Kind::Json)),
            Cell::Integer(number) => sql.push_bind(number),
            Cell::Float(float) => sql.push_bind(float),
            Cell::Boolean(truth) => sql.push_bind(truth),
            Cell::Timestamp(time) => sql.push_bind(Time(time)),
        };
    }

    /// As one array, so that lists of all lengths share one prepared statement.
    fn among(&self, sql: &mut QueryBuilder<Postgres>, kind: Kind, cells: Vec<Cell>) {
        sql.push(" = any(");
        push_array(sql, kind, cells.iter());
        if kind == Kind::Decimal {
            sql.push("::numeric[]");
        }
        sql.push(")");
    }

    fn matches(&self, sql: &mut QueryBuilder<Postgres>, column: &str, place: Place, needle: &str) {
        sql.push(format_args!("{column} like "));
        sql.push_bind(pattern(place, needle));
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

fn cell(found: &PgRow, at: usize, column: &Column) -> Result<Cell> {
    let cell = match column.kind {
        Kind::Text => found.try_get::<Option<String>, _>(at)?.map(Cell::Text),
        Kind::Integer => found.try_get::<Option<i64>, _>(at)?.map(Cell::Integer),
        Kind::Float => found.try_get::<Option<f64>, _>(at)?.map(Cell::Float),
        Kind::Decimal => found.try_get::<Option<String>, _>(at)?.map(Cell::Decimal),
        Kind::Boolean => found.try_get::<Option<bool>, _>(at)?.map(Cell::Boolean),
        Kind::Timestamp => found.try_get::<Option<Time>, _>(at)?.map(|time| Cell::Timestamp(time.0)),
        Kind::Json => found.try_get::<Option<String>, _>(at)?.map(Cell::Json),
    };
    Ok(cell.unwrap_or(Cell::Null))
}

impl Found for PgRow {
    fn value(&self, at: usize, column: &Column) -> Result<serde_json::Value> {
        cell(self, at, column)?.into_json(column)
    }

    fn count(&self, at: usize) -> Result<i64> {
        Ok(self.try_get(at)?)
    }

    fn total(&self, at: usize, column: &Column) -> Result<Option<Total>> {
        Ok(match column.kind {
            Kind::Float => self.try_get::<Option<f64>, _>(at)?.map(Total::Float),
            _ => self.try_get::<Option<String>, _>(at)?.map(Total::Exact),
        })
    }
}
