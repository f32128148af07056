//! What a table's rows are kept as: its columns, and what is made of them for searches.
//!
//! A search does not ask the engine about the case of letters. What it looks in is kept folded beside the text itself, so
//! that every engine only compares bytes, and finds the same.

use std::borrow::Cow;

use yado_model::{Name, fold};

use crate::cell::Cell;
use crate::{Kind, Table};

/// So many letters of a column's name are in that of its folded text: with the rest it fits what PostgreSQL takes for a name.
const SHOWN: usize = 56;

/// A column in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
}

impl Table {
    /// The columns in the database beside the tenant: those of the table, and then the folded ones.
    pub(crate) fn stored(&self) -> impl Iterator<Item = Stored<'_>> {
        let own = self.columns.iter().map(|column| Stored {
            name: column.name.as_str().into(),
            kind: column.kind,
            nullable: column.nullable,
        });
        own.chain(self.search.iter().enumerate().map(|(at, name)| Stored {
            name: folded(at, name).into(),
            kind: Kind::Text,
            nullable: self.column(name.as_str()).is_none_or(|column| column.nullable),
        }))
    }

    /// Where the folded text of a column is, if the table is searched by it.
    pub(crate) fn folded(&self, column: &Name) -> Option<String> {
        self.search.iter().position(|name| name == column).map(|at| folded(at, column))
    }

    /// What is kept of a row, given what is in its own columns.
    pub(crate) fn with_folded(&self, mut cells: Vec<Cell>) -> Vec<Cell> {
        for name in &self.search {
            let at = self.columns.iter().position(|column| column.name == *name);
            let cell = match at.and_then(|at| cells.get(at)) {
                Some(Cell::Text(text)) => Cell::Text(fold(text)),
                _ => Cell::Null,
            };
            cells.push(cell);
        }
        cells
    }
}

/// The name of a column with folded text. No column of a read model begins like this.
fn folded(at: usize, column: &Name) -> String {
    let shown: String = column.as_str().chars().take(SHOWN).collect();
    format!("_f{at}_{shown}")
}
