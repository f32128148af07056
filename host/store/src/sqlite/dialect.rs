//! How SQLite holds cells, and how it says what SQL leaves open.
//!
//! Column types are names of our own whose affinity is the one wanted, so that the schema itself says what a column holds:
//! `DECIMAL_TEXT` is a text that the collation `decimal` compares as a number (SQLite's own shell has a collation of the
//! same name and meaning), `TIMESTAMP_TEXT` is RFC 3339 of a fixed width, which sorts as the times do.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use yado_model::TenantId;

use super::bound::Bound;
use crate::cell::{Cell, damaged};
use crate::decimal::PART;
use crate::limits::LONGEST_DECIMAL;
use crate::read::aggregate::{Found, Total};
use crate::read::search::Place;
use crate::read::select::Dialect;
use crate::read::sql::Sql;
use crate::{Column, Kind, Result, Shown, decimal};

/// Into so many parts a decimal number is cut on either side of the point.
const PARTS: usize = LONGEST_DECIMAL.div_ceil(PART);

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
    type Bound = Bound;

    /// SQLite makes a join of an `exists` that stands alone, and then counts a row that `offset` skips once for each row that
    /// is related to it. What is part of an expression stays what it is.
    const EXISTS: &'static str = " is true";

    fn tenant(&self, sql: &mut Sql<Bound>, tenant: &TenantId) {
        sql.bind(Bound::Text(tenant.to_string()));
    }

    fn value(&self, sql: &mut Sql<Bound>, cell: Cell) {
        sql.bind(match cell {
            Cell::Null => Bound::Null,
            Cell::Text(text) | Cell::Decimal(text) | Cell::Json(text) => Bound::Text(text),
            Cell::Integer(number) => Bound::Integer(number),
            Cell::Float(float) => Bound::Float(float),
            Cell::Boolean(truth) => Bound::Boolean(truth),
            Cell::Timestamp(time) => Bound::Text(time.to_string()),
        });
    }

    /// As one JSON array, so that lists of all lengths share one prepared statement. The column's collation is used,
    /// because the column is on the left. Floating point numbers are bound one by one: SQLite does not read the last
    /// digits of every one from a text as Rust writes them.
    fn among(&self, sql: &mut Sql<Bound>, kind: Kind, cells: Vec<Cell>) {
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
        sql.bind(Bound::Text(serde_json::Value::Array(list).to_string()));
        sql.push("))");
    }

    fn matches(&self, sql: &mut Sql<Bound>, column: &str, place: Place, needle: &str) {
        match place {
            Place::Anywhere => {
                sql.push(format_args!("instr({column}, "));
                sql.bind(Bound::Text(needle.to_owned()));
                sql.push(") > 0");
            }
            Place::Start => {
                sql.push(format_args!("substr({column}, 1, "));
                sql.bind(Bound::Integer(letters(needle)));
                sql.push(") = ");
                sql.bind(Bound::Text(needle.to_owned()));
            }
            Place::End => {
                sql.push(format_args!("substr({column}, "));
                sql.bind(Bound::Integer(-letters(needle)));
                sql.push(") = ");
                sql.bind(Bound::Text(needle.to_owned()));
            }
        }
    }

    /// SQLite has no exact numbers but whole ones of 64 bits, which end the statement when they overflow. So numbers are cut
    /// into parts, and each part is summed by itself. A part that only long numbers have is looked for in those alone.
    fn total(&self, column: &str, kind: Kind) -> Vec<String> {
        match kind {
            Kind::Decimal => {
                let digits = format!("ltrim({column}, '-')");
                let point = format!("instr({digits} || '.', '.')");
                let sign = format!("case when {column} like '-%' then -1 else 1 end");
                let part = |needed: usize, of: String| {
                    let part = format!("({sign}) * cast({of} as integer)");
                    if needed == 0 {
                        format!("sum({part})")
                    } else {
                        format!("sum(case when length({column}) > {needed} then {part} else 0 end)")
                    }
                };
                let whole = (0..PARTS).rev().map(|at| {
                    let end = (at + 1) * PART;
                    part(at * PART, format!("substr(substr({digits}, 1, {point} - 1), -{end}, {PART})"))
                });
                let fraction = (0..PARTS).map(|at| {
                    let begin = at * PART + 1;
                    let zeros = "0".repeat(PART - 1);
                    part(at * PART, format!("substr(substr({digits}, {point} + 1) || '{zeros}', {begin}, {PART})"))
                });
                let scale = format!("max(length(substr({digits}, {point} + 1)))");
                whole.chain(fraction).chain([scale]).collect()
            }
            Kind::Integer => {
                let base = decimal::BASE;
                vec![format!("sum({column} / {base})"), format!("sum({column} % {base})")]
            }
            _ => vec![format!("sum({column})"), format!("count({column})")],
        }
    }

    fn read(&self, column: &str, _: Kind) -> String {
        column.to_owned()
    }
}

/// How many letters a text has, as SQLite counts them.
fn letters(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

impl Found for SqliteRow {
    fn cell(&self, at: usize, column: &Column) -> Result<Shown<'_>> {
        let cell = match column.kind {
            Kind::Text => self.try_get::<Option<&str>, _>(at)?.map(Shown::Text),
            Kind::Integer => self.try_get::<Option<i64>, _>(at)?.map(Shown::Integer),
            Kind::Float => self.try_get::<Option<f64>, _>(at)?.map(Shown::Float),
            Kind::Decimal => self.try_get::<Option<&str>, _>(at)?.map(Shown::Decimal),
            Kind::Boolean => self.try_get::<Option<bool>, _>(at)?.map(Shown::Boolean),
            Kind::Timestamp => match self.try_get::<Option<&str>, _>(at)? {
                Some(text) => Some(Shown::Time(text.parse().map_err(|error| damaged(column, &format!("{error}")))?)),
                None => None,
            },
            Kind::Json => self.try_get::<Option<&str>, _>(at)?.map(Shown::Json),
        };
        Ok(cell.unwrap_or(Shown::Null))
    }

    fn count(&self, at: usize) -> Result<i64> {
        Ok(self.try_get(at)?)
    }

    fn total(&self, at: usize, column: &Column) -> Result<Option<Total>> {
        let number = |at: usize| Ok(self.try_get::<Option<i64>, _>(at)?);
        let parts = |count: usize| (at..at + count).map(number).collect::<Result<Option<Vec<_>>>>();
        Ok(match column.kind {
            Kind::Decimal => match (parts(2 * PARTS)?, number(at + 2 * PARTS)?) {
                (Some(parts), Some(scale)) => {
                    Some(Total::Exact(decimal::joined(&parts, PARTS, usize::try_from(scale).unwrap_or_default())))
                }
                _ => None,
            },
            Kind::Integer => parts(2)?.map(|parts| Total::Exact(decimal::joined(&parts, 0, 0))),
            // The sum of what is greater than any number and what is less is null here, though there are values.
            _ if self.count(at + 1)? == 0 => None,
            _ => Some(Total::Float(self.try_get::<Option<f64>, _>(at)?.unwrap_or(f64::NAN))),
        })
    }
}
