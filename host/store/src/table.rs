//! Read-model tables.

mod check;
mod index;
mod stored;

pub(crate) use check::{TENANT, check_name, quoted};
pub(crate) use index::{Index, begin};
use yado_model::Name;

/// Counted up when tables are laid out in another way than before, so that whoever names them gives them other names.
pub const LAYOUT_VERSION: u32 = 2;

/// A read-model table. The tenant is part of its key without being named here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name in the database: `rm_` and then lowercase letters, digits and `_`, at most 60 characters. It says what
    /// the columns are, what is unique and what is searched: a table where these differ has another name. Indexes may differ.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// The column that names a row: a text that is never null.
    pub key: Name,
    /// Columns, or groups of them, by which rows are looked up or put in order.
    pub indexes: Vec<Vec<Name>>,
    /// Columns, or groups of them, whose values no two rows of a tenant share. What holds nothing is shared by any number.
    pub unique: Vec<Vec<Name>>,
    /// The texts that a search looks in.
    pub search: Vec<Name>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the row's JSON has it.
    pub name: Name,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may hold nothing.
    pub nullable: bool,
}

/// What a column holds. In a [`crate::Row`] it is JSON; the adapters bring it into the engine's types and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number of 64 bits.
    Integer,
    /// A floating point number.
    Float,
    /// An exact decimal number: a string in JSON, compared and summed as a number.
    Decimal,
    /// True or false.
    Boolean,
    /// A time: RFC 3339 in JSON.
    Timestamp,
    /// Any JSON. It is kept and given back, and compared with nothing but null.
    Json,
}

impl Table {
    /// A column by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.as_str() == name)
    }
}
