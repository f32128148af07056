//! How SQLite holds cells, and how it says what SQL leaves open.
//!
//! Column types are names of our own whose affinity is the one wanted, so that the schema itself says what a column holds:
//! `DECIMAL_TEXT` is a text that the collation `decimal` compares as a number (SQLite's own shell has a collation of the
//! same name and meaning), `TIMESTAMP_TEXT` is RFC 3339 of a fixed width, which sorts as the times do.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};
use yado_model::TenantId;

use crate::cell::{Cell, damaged};
use crate::read::select::{Dialect, Place};
use crate::{Column, Kind, Result, Row, Table};

pub(super) struct SqliteDialect;

/// The type of a column, as it is declared.
pub(super) const fn declared(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "TEXT",
        Kind::Integer => "INTEGER",
        Kind::Float => "REAL",
        Kind::Decimal => "DECIMAL_TEXT",
        Kind::Boolean => "BOOLEAN_INTEGER",
        Kind::Timestamp => "TIMESTAMP_TEXT",
        Kind::Json => "JSON_TEXT",
    }
}

impl Dialect for SqliteDialect {
    type Database = Sqlite;

    fn tenant(&self, sql: &mut QueryBuilder<Sqlite>, tenant: &TenantId) {
        sql.push_bind(tenant.as_str());
    }

    fn value(&self, sql: &mut QueryBuilder<Sqlite>, cell: Cell) {
        match cell {
            Cell::Null => sql.push_bind(None::<String>),
            Cell::Text(text) | Cell::Decimal(text) | Cell::Json(text) => sql.push_bind(text),
            Cell::Integer(number) => sql.push_bind(number),
            Cell::Float(float) => sql.push_bind(float),
            Cell::Boolean(truth) => sql.push_bind(truth),
            Cell::Timestamp(time) => sql.push_bind(time.to_string()),
        };
    }

    /// As one JSON array, so that lists of all lengths share one prepared statement. The column's collation is used,
    /// because the column is on the left. Floating point numbers are bound one by one: SQLite does not read the last
    /// digits of every one from a text as Rust writes them.
    fn among(&self, sql: &mut QueryBuilder<Sqlite>, kind: Kind, cells: Vec<Cell>) {
        if kind == Kind::Float {
            sql.push(" in (");
            for (at, cell) in cells.into_iter().enumerate() {
                sql.push(if at == 0 { "" } else { ", " });
                self.value(sql, cell);
            }
            sql.push(")");
            return;
        }
        let list: Vec<serde_json::Value> = cells
            .into_iter()
            .map(|cell| match cell {
                Cell::Text(text) | Cell::Decimal(text) | Cell::Json(text) => text.into(),
                Cell::Integer(number) => number.into(),
                Cell::Boolean(truth) => i64::from(truth).into(),
                Cell::Timestamp(time) => time.to_string().into(),
                Cell::Float(_) | Cell::Null => serde_json::Value::Null,
            })
            .collect();
        sql.push(" in (select value from json_each(");
        sql.push_bind(serde_json::Value::Array(list).to_string());
        sql.push("))");
    }

    /// By a regular expression, because SQLite's `like` knows the case of ASCII only.
    fn matches(&self, sql: &mut QueryBuilder<Sqlite>, column: &str, place: Place, needle: &str) {
        sql.push(format_args!("{column} regexp "));
        sql.push_bind(expression(place, needle));
    }

    fn read(&self, column: &str, _: Kind) -> String {
        column.to_owned()
    }
}

/// A regular expression for a text as it is. Every character of ASCII that could mean something is escaped.
fn expression(place: Place, needle: &str) -> String {
    let mut expression = String::from("(?i)");
    if place == Place::Start {
        expression.push_str(r"\A");
    }
    for c in needle.chars() {
        if c.is_ascii_punctuation() {
            expression.push('\\');
        }
        expression.push(c);
    }
    if place == Place::End {
        expression.push_str(r"\z");
    }
    expression
}

/// A row, read by the columns of its table.
pub(super) fn row(table: &Table, found: &SqliteRow) -> Result<Row> {
    let cell = |at: usize, column: &Column| -> Result<serde_json::Value> {
        let cell = match column.kind {
            Kind::Text => found.try_get::<Option<String>, _>(at)?.map(Cell::Text),
            Kind::Integer => found.try_get::<Option<i64>, _>(at)?.map(Cell::Integer),
            Kind::Float => found.try_get::<Option<f64>, _>(at)?.map(Cell::Float),
            Kind::Decimal => found.try_get::<Option<String>, _>(at)?.map(Cell::Decimal),
            Kind::Boolean => found.try_get::<Option<bool>, _>(at)?.map(Cell::Boolean),
            Kind::Timestamp => match found.try_get::<Option<String>, _>(at)? {
                Some(text) => {
                    Some(Cell::Timestamp(text.parse().map_err(|error| damaged(column, &format!("{error}")))?))
                }
                None => None,
            },
            Kind::Json => found.try_get::<Option<String>, _>(at)?.map(Cell::Json),
        };
        cell.unwrap_or(Cell::Null).into_json(column)
    };
    let columns = table.columns.iter().enumerate();
    columns.map(|(at, column)| Ok((column.name.as_str().to_owned(), cell(at, column)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_searched_for_as_it_is() {
        assert_eq!(expression(Place::Anywhere, "a.b*"), r"(?i)a\.b\*");
        assert_eq!(expression(Place::Start, "50%"), r"(?i)\A50\%");
        assert_eq!(expression(Place::End, "é\\"), r"(?i)é\\\z");
    }
}
