//! What goes with a question to PostgreSQL.

use yado_model::Timestamp;

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

impl sql::Bound for Bound {
    fn placeholder(number: usize, text: &mut String) {
        text.push('$');
        text.push_str(&number.to_string());
    }
}
