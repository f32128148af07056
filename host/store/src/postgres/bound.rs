//! What goes with a question to PostgreSQL.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use yado_model::Timestamp;

use super::time::Time;
use crate::read::sql;

/// A value, or all values of a list: as one array, so that lists of all lengths share one prepared statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bound {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Time(Timestamp),
    Texts(Vec<String>),
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Booleans(Vec<bool>),
    Times(Vec<Timestamp>),
}

impl Bound {
    /// Goes with a question that is put through sqlx.
    pub(super) fn bind_to<'q>(&'q self, query: Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments> {
        let times = |times: &[Timestamp]| times.iter().copied().map(Time).collect::<Vec<_>>();
        match self {
            Self::Text(text) => query.bind(text),
            Self::Integer(number) => query.bind(number),
            Self::Float(float) => query.bind(float),
            Self::Boolean(truth) => query.bind(truth),
            Self::Time(time) => query.bind(Time(*time)),
            Self::Texts(texts) => query.bind(texts),
            Self::Integers(numbers) => query.bind(numbers),
            Self::Floats(floats) => query.bind(floats),
            Self::Booleans(truths) => query.bind(truths),
            Self::Times(all) => query.bind(times(all)),
        }
    }
}

impl sql::Bound for Bound {
    fn placeholder(number: usize, text: &mut String) {
        text.push('$');
        text.push_str(&number.to_string());
    }
}
