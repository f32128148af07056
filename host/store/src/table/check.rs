//! What a table must be on every engine, and how its names are written in SQL.

use std::collections::HashSet;

use yado_model::Name;

use crate::limits::{self, MOST_COLUMNS, MOST_INDEXED_COLUMNS, MOST_INDEXES};
use crate::{Column, Error, Kind, Result, Table};

/// The column that holds the tenant. A [`Name`] begins with a letter, so that no column of a read model is called so.
pub(crate) const TENANT: &str = "_tenant";

/// What the names of all read-model tables begin with. Without it, a mistake in a name could drop the log.
const PREFIX: &str = "rm_";

/// PostgreSQL cuts longer names.
const LONGEST_COLUMN: usize = 63;

/// Names that PostgreSQL keeps for columns of its own.
const RESERVED: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// An identifier in SQL, whatever it contains.
pub(crate) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// Refuses what is not the name of a read-model table.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let fine = name.strip_prefix(PREFIX).is_some_and(|rest| !rest.is_empty())
        && name.len() <= 60
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if fine {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(Error::Invalid(format!(
        "{shown:?} is no name of a read-model table: {PREFIX} and then a-z, 0-9 and '_', at most 60 characters"
    )))
}

impl Table {
    /// Whether every engine can have this table.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is wrong.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        let name = &self.name;
        let wrong = |reason: String| Err(Error::Invalid(format!("table {name}: {reason}")));
        limits::within(&format!("the columns of {name}"), self.columns.len(), MOST_COLUMNS)?;
        limits::within(&format!("the indexes of {name}"), self.indexes.len() + self.unique.len(), MOST_INDEXES)?;

        let mut seen = HashSet::new();
        for column in &self.columns {
            // SQLite does not tell names apart by their case.
            let folded = column.name.as_str().to_ascii_lowercase();
            if RESERVED.contains(&folded.as_str()) {
                return wrong(format!("PostgreSQL keeps the name {} for itself; choose another", column.name));
            }
            if folded.len() > LONGEST_COLUMN {
                return wrong(format!("the name {} is longer than PostgreSQL has it", column.name));
            }
            if !seen.insert(folded) {
                return wrong(format!("there are two columns {}, and case makes no difference", column.name));
            }
        }
        match self.column(self.key.as_str()) {
            Some(Column { kind: Kind::Text, nullable: false, .. }) => {}
            Some(_) => return wrong(format!("the key {} must be a text that is never null", self.key)),
            None => return wrong(format!("the key {} is no column", self.key)),
        }
        for index in self.indexes.iter().chain(&self.unique) {
            limits::within(&format!("the columns of an index of {name}"), index.len(), MOST_INDEXED_COLUMNS)?;
            if index.is_empty() {
                return wrong("an index has no columns".into());
            }
            for column in index {
                match self.column(column.as_str()) {
                    Some(Column { kind: Kind::Json, .. }) => {
                        return wrong(format!("{column} holds JSON, which has no order and no index"));
                    }
                    Some(_) => {}
                    None => return wrong(format!("the indexed {column} is no column")),
                }
            }
        }
        let mut seen = HashSet::new();
        for column in &self.search {
            match self.column(column.as_str()) {
                Some(Column { kind: Kind::Text, .. }) if seen.insert(column) => {}
                Some(Column { kind: Kind::Text, .. }) => {
                    return wrong(format!("it is searched by {column} twice"));
                }
                Some(_) => return wrong(format!("{column} holds no text to search in")),
                None => return wrong(format!("the searched {column} is no column")),
            }
        }
        Ok(())
    }

    /// That a table of this name has other columns.
    pub(crate) fn clash(&self, found: &[String]) -> Error {
        let reason =
            format!("it has other columns than this read model ({}); drop it to have it filled anew", found.join(", "));
        Error::corrupt(format!("table {}", self.name), reason)
    }

    /// Whether a column's values are part of an index's entries, which have a limit.
    pub(crate) fn is_indexed(&self, column: &Name) -> bool {
        *column == self.key || self.indexes.iter().chain(&self.unique).flatten().any(|indexed| indexed == column)
    }

    /// A column that somebody asked for by name.
    pub(crate) fn known(&self, field: &str) -> Result<&Column> {
        self.column(field).ok_or_else(|| {
            let shown: String = field.chars().take(80).collect();
            Error::Invalid(format!("table {} has no column {shown:?}", self.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn table() -> Table {
        Table {
            name: "rm_tickets".into(),
            columns: vec![
                Column { name: name("id"), kind: Kind::Text, nullable: false },
                Column { name: name("openedAt"), kind: Kind::Timestamp, nullable: true },
                Column { name: name("extra"), kind: Kind::Json, nullable: true },
            ],
            key: name("id"),
            indexes: vec![vec![name("openedAt")]],
            unique: vec![],
            search: vec![],
        }
    }

    #[test]
    fn an_identifier_cannot_leave_its_quotes() {
        assert_eq!(quoted("openedAt"), r#""openedAt""#);
        assert_eq!(quoted(r#"a"; drop table events; --"#), r#""a""; drop table events; --""#);
    }

    #[test]
    fn only_read_models_are_tables() {
        for name in ["events", "rm_", "rm_A", "rm_a\"b", "rm_a;", "rm_é", &format!("rm_{}", "a".repeat(58)), ""] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("rm_counters_2_0a").is_ok());
    }

    #[test]
    fn a_table_that_one_engine_could_not_have_is_refused() {
        assert!(table().check().is_ok());
        let refused = |change: fn(&mut Table)| {
            let mut table = table();
            change(&mut table);
            table.check().unwrap_err().to_string()
        };
        assert!(refused(|table| table.key = name("openedAt")).contains("never null"));
        assert!(refused(|table| table.key = name("missing")).contains("no column"));
        assert!(refused(|table| table.indexes = vec![vec![name("extra")]]).contains("JSON"));
        assert!(refused(|table| table.indexes = vec![vec![]]).contains("no columns"));
        assert!(refused(|table| table.columns[1].name = name("ID")).contains("case"));
        assert!(refused(|table| table.columns[1].name = name("xmin")).contains("PostgreSQL"));
    }
}
