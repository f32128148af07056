//! The calls that users of the example plugins make, from the files in which they are written.

use serde_json::Value;

/// Operations with empty lines between them. Below some of them their variables stand as a comment.
pub(crate) struct Documents(&'static str);

impl Documents {
    pub(crate) const CATALOG: Self = Self(include_str!("../../acceptance/catalog.graphql"));
    pub(crate) const ACCOUNTS: Self = Self(include_str!("../../acceptance/accounts.graphql"));

    /// The operation of this name as it is written, comment and all.
    #[track_caller]
    pub(crate) fn operation(&self, name: &str) -> &'static str {
        let found = self.operations().find(|(operation, _)| *operation == name);
        found.unwrap_or_else(|| panic!("there is no operation {name}")).1
    }

    /// The names of all operations, and what is written of each.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.split("\n\n").filter_map(|paragraph| {
            let mut lines = paragraph.lines().filter(|line| !line.starts_with('#'));
            let (_, rest) = lines.next()?.split_once(' ')?;
            Some((rest.split(['(', ' ']).next()?, paragraph))
        })
    }

    /// The variables that are written below an operation; `…` is an id that only whoever runs it knows.
    #[track_caller]
    pub(crate) fn variables(&self, name: &str, id: &str) -> Value {
        let written = self.operation(name).lines().find_map(|line| line.strip_prefix("# {")).unwrap();
        serde_json::from_str(&format!("{{{}", written.replace('…', id))).unwrap()
    }
}
