//! What goes with a statement to SQLite, and how sqlx is given both.

use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Sqlite};

use crate::Result;
use crate::read::sql::{self, Sql};

/// What SQLite holds, and columns that it has no type for hold as one of these.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound {
    Null,
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
}

impl sql::Bound for Bound {
    fn placeholder(_: usize, text: &mut String) {
        text.push('?');
    }
}

/// The statement as one that the connection keeps prepared.
pub(super) fn query(sql: Sql<Bound>) -> Result<Query<'static, Sqlite, SqliteArguments>> {
    let (text, values) = sql.into_parts();
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        let added = match value {
            Bound::Null => arguments.add(None::<String>),
            Bound::Text(text) => arguments.add(text),
            Bound::Integer(number) => arguments.add(number),
            Bound::Float(float) => arguments.add(float),
            Bound::Boolean(truth) => arguments.add(truth),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(sqlx::query_with(AssertSqlSafe(text), arguments))
}
