//! The indexes of a table. They make reading fast and change nothing of what is read, so that a table may get others while
//! it stays what it is.

use yado_model::{Digest, Name};

use super::check::TENANT;
use super::quoted;
use crate::{Kind, Table};

/// A text in an index has at most [`crate::limits::LONGEST_KEY`] bytes, and an entry of PostgreSQL's holds two of these
/// beside the tenant.
const MOST_TEXTS: usize = 2;

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: String,
    /// Its columns beside the tenant, as the database has them.
    pub(crate) columns: Vec<String>,
}

impl Index {
    fn new(table: &Table, purpose: &str, columns: Vec<String>) -> Self {
        let parts = [table.name.as_str(), purpose].into_iter().chain(columns.iter().map(String::as_str));
        let digest = Digest::of_parts(parts.map(str::as_bytes)).short();
        Self { name: format!("{}{digest}", begin(&table.name)), columns }
    }

    /// The tenant and the columns, as SQL lists them.
    pub(crate) fn listed(&self) -> String {
        std::iter::once(TENANT.to_owned())
            .chain(self.columns.iter().map(|name| quoted(name)))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// What the names of all indexes of a table begin with that are made here, and those of others hardly do. The point keeps
/// them apart from all tables, with which PostgreSQL has them share a namespace; the digits that follow keep one apart from
/// the others, of this table or of one whose name begins alike.
pub(crate) fn begin(table: &str) -> String {
    format!("{}.", table.chars().take(48).collect::<String>())
}

impl Table {
    /// The indexes by which rows are looked up and put in order. The key comes last in them, as it does in every order, so
    /// that an index says which row follows which; it is left out where it would not fit.
    pub(crate) fn lookups(&self) -> Vec<Index> {
        let mut lookups: Vec<Index> = Vec::new();
        for columns in &self.indexes {
            let is_served = self.unique.contains(columns) || columns.first() == Some(&self.key);
            let mut names: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let texts = columns.iter().filter(|name| self.column(name.as_str()).is_some_and(|c| c.kind == Kind::Text));
            if !columns.contains(&self.key) && texts.count() < MOST_TEXTS {
                names.push(self.key.to_string());
            }
            let index = Index::new(self, "lookup", names);
            if !is_served && !lookups.contains(&index) {
                lookups.push(index);
            }
        }
        lookups
    }

    /// The indexes that keep two rows from sharing values.
    pub(crate) fn uniques(&self) -> impl Iterator<Item = (Index, &Vec<Name>)> {
        self.unique
            .iter()
            .map(|columns| (Index::new(self, "unique", columns.iter().map(ToString::to_string).collect()), columns))
    }

    /// The index that finds parts of folded texts, where there is something to search and the engine has one.
    pub(crate) fn trigrams(&self) -> Option<Index> {
        let folded: Vec<String> = self.search.iter().filter_map(|column| self.folded(column)).collect();
        (!folded.is_empty()).then(|| Index::new(self, "trigrams", folded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fixtures::{name, tickets};

    #[test]
    fn an_index_ends_with_the_key_where_it_fits() {
        let indexed = |columns: &[&str]| {
            let indexes = vec![columns.iter().map(|column| name(column)).collect()];
            let table = Table { indexes, unique: vec![vec![name("seats")]], ..tickets() };
            table.lookups().into_iter().map(|index| index.columns.concat()).collect::<Vec<_>>()
        };
        assert_eq!(indexed(&["unitPrice"]), ["unitPriceid"]);
        assert_eq!(indexed(&["title"]), ["titleid"]);
        assert_eq!(indexed(&["title", "id"]), ["titleid"]);
        // What another one serves already is not there twice.
        assert_eq!(indexed(&["id", "title"]), [""; 0]);
        assert_eq!(indexed(&["seats"]), [""; 0]);
        let two = vec![vec![name("title"), name("other")], vec![name("title")], vec![name("title"), name("id")]];
        let mut columns = tickets().columns;
        columns.push(crate::Column { name: name("other"), kind: Kind::Text, nullable: true });
        let table = Table { indexes: two, columns, ..tickets() };
        let columns: Vec<_> = table.lookups().into_iter().map(|index| index.columns.concat()).collect();
        assert_eq!(columns, ["titleother", "titleid"]);
    }

    #[test]
    fn index_names_fit_postgresql_and_differ() {
        let long = format!("rm_{}", "a".repeat(57));
        let named = |table: &str, columns: &[&str]| {
            let columns = columns.iter().map(ToString::to_string).collect();
            Index::new(&Table { name: table.into(), ..tickets() }, "lookup", columns).name
        };
        let first = named(&long, &["a", "b"]);
        assert!(first.len() <= 63 && first.starts_with(&begin(&long)));
        assert_ne!(first, named(&long, &["b", "a"]));
        assert_ne!(first, named(&long[..59], &["a", "b"]));
    }
}
