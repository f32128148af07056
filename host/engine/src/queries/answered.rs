//! What a named query is answered with, and how much of it is asked for.

use serde_json::Value;
use yado_model::Name;
use yado_store::{Order, Rows};

/// What a named query is answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum Answered {
    /// A row of a read model, if there is one.
    One {
        /// Whose row.
        model: Name,
        /// The row, or none.
        rows: Rows,
    },
    /// Rows of a read model.
    List {
        /// Whose rows.
        model: Name,
        /// The rows.
        rows: Rows,
    },
    /// A page of the rows of a read model.
    Page {
        /// Whose rows.
        model: Name,
        /// The rows of this page.
        rows: Rows,
        /// How many there are on all pages, if that was asked for.
        total: Option<u64>,
    },
    /// What a guest says.
    Json(Value),
}

/// How much of a declared query's rows is asked for, beside what its own arguments say. A query that a guest answers is
/// asked for what its arguments say alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageOptions {
    /// At most so many rows of a list; if nobody says, as many as the query gives at once.
    pub limit: Option<u32>,
    /// So many rows of a list are skipped first.
    pub offset: u32,
    /// In which order rows come, where it is not the query's own.
    pub order: Vec<Order>,
    /// What is wanted of each row; everything, if nothing is said.
    pub columns: Option<Vec<String>>,
    /// Whether the rows of a page are wanted.
    pub listed: bool,
    /// Whether the rows of all pages are counted.
    pub counted: bool,
    /// A page, or a list, has at most so many rows, whatever is asked for.
    pub rows_max: u32,
    /// At most so many rows are skipped.
    pub offset_max: u32,
}

impl Default for PageOptions {
    fn default() -> Self {
        Self {
            limit: None,
            offset: 0,
            order: Vec::new(),
            columns: None,
            listed: true,
            counted: true,
            rows_max: 1_000,
            offset_max: 100_000,
        }
    }
}
