//! What a guest sees of its read models. The engine implements it; the guest calls it through `read-model`.

use std::any::Any;
use std::error::Error as StdError;
use std::sync::Arc;

/// The read-model tables of one plugin and one tenant, for the length of one call.
///
/// A projection gets one that also writes; the host refuses writes of a query before they arrive here.
pub trait Rows: Any + Send {
    /// What a projection writes from here on is because of the event at this position.
    ///
    /// # Errors
    /// Any error ends the guest's call.
    fn at(&mut self, position: u64) -> Result<(), RowsError>;

    /// One row by its key, as JSON. A projection sees its own writes of the same batch.
    ///
    /// # Errors
    /// Any error ends the guest's call.
    fn get(&mut self, model: &str, key: &str) -> Result<Option<Arc<str>>, RowsError>;

    /// Writes a whole row, a JSON object, under the key that it contains.
    ///
    /// # Errors
    /// Any error ends the guest's call.
    fn put(&mut self, model: &str, row: &str) -> Result<(), RowsError>;

    /// Changes the given fields of a row, a JSON object; does nothing if there is no such row.
    ///
    /// # Errors
    /// Any error ends the guest's call.
    fn patch(&mut self, model: &str, key: &str, fields: &str) -> Result<(), RowsError>;

    /// Adds a decimal number to a numeric field of a row; does nothing if there is no such row.
    ///
    /// # Errors
    /// Any error ends the guest's call.
    fn add(&mut self, model: &str, key: &str, field: &str, amount: &str) -> Result<(), RowsError>;

    /// Removes a row, if it is there.
    ///
    /// # Errors
    /// Any error ends the guest's call.
    fn delete(&mut self, model: &str, key: &str) -> Result<(), RowsError>;

    /// Rows that meet a selection, as JSON.
    ///
    /// # Errors
    /// Any error ends the guest's call.
    fn find(&mut self, model: &str, selection: Selection) -> Result<Vec<String>, RowsError>;

    /// How many rows meet all of the conditions.
    ///
    /// # Errors
    /// Any error ends the guest's call.
    fn count(&mut self, model: &str, conditions: Vec<Condition>) -> Result<u64, RowsError>;
}

/// Why rows could not be read or written. Whose fault it is decides what becomes of the call.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The guest asked for what it can't have: an unknown model or field, a row without its key, a value of the wrong
    /// type. It becomes [`FaultKind::Misuse`](crate::FaultKind::Misuse).
    #[error("{0}")]
    Misused(String),
    /// The host could not do it: the database is gone. It becomes [`FaultKind::Host`](crate::FaultKind::Host), with
    /// this error as its source.
    #[error("the read models can't be reached")]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
}

/// Which rows, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// All of these must hold.
    pub conditions: Vec<Condition>,
    /// First by the first, then by the second, and so on; at last by key.
    pub ordering: Vec<Ordering>,
    /// At most so many rows.
    pub limit: u32,
    /// Rows to skip.
    pub offset: u32,
}

/// A condition on one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The field.
    pub field: String,
    /// The comparison.
    pub comparison: Comparison,
    /// The value to compare with, as JSON.
    pub value: String,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
    /// A text that contains the value, in either case.
    Contains,
}

/// An order by one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordering {
    /// The field.
    pub field: String,
    /// Whether the greatest comes first.
    pub descending: bool,
}
