//! A declared query: which rows of a read model answer it, and which of its arguments say so.
//!
//! It is data, so that the host can read it without asking the plugin: it becomes one statement, is held against indexes
//! when the plugin is deployed, and can neither loop nor trap. What it can't say is for a query that the plugin answers.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Invalid, Name};

/// Which rows answer a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RowsQuery {
    /// The read model that they are of. It may be another plugin's.
    pub model: Name,
    /// What must hold of them, all of it.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// In which order: first by the first, then by the second, and so on; at last by key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order_by: Vec<QueryOrder>,
    /// What becomes of them.
    pub answer: Answer,
}

/// What must hold of a row. A condition whose argument is left out or null is none: it is left out as well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Condition {
    /// A comparison of a property with an argument.
    Argument {
        /// The property.
        field: Name,
        /// How they are compared.
        op: CompareOp,
        /// The argument.
        argument: ArgumentPath,
    },
    /// A comparison of a property with what is always the same.
    Value {
        /// The property.
        field: Name,
        /// How they are compared.
        op: CompareOp,
        /// The value, as a row has it.
        value: Value,
    },
    /// Each word of an argument stands in one of the properties in which a search looks, in upper or lower case.
    Search {
        /// The argument.
        search: ArgumentPath,
    },
    /// At least one of these holds.
    Any {
        /// Which.
        any: Vec<Condition>,
    },
    /// This does not hold.
    Not {
        /// What.
        not: Box<Condition>,
    },
}

/// How a property is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CompareOp {
    /// It is equal to this.
    Eq,
    /// It is not equal to this. What is not there is not equal to anything.
    Ne,
    /// It is one of these.
    In,
    /// It is less than this.
    Lt,
    /// It is at most this.
    Lte,
    /// It is greater than this.
    Gt,
    /// It is at least this.
    Gte,
    /// The text contains this.
    Contains,
    /// The text begins with this.
    StartsWith,
    /// The text ends with this.
    EndsWith,
    /// Whether it is not there.
    IsNull,
}

/// A property by which rows are put in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueryOrder {
    /// The property.
    pub field: Name,
    /// Whether the greatest comes first. What is not there comes last either way.
    #[serde(default)]
    pub descending: bool,
}

/// What a declared query answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Answer {
    /// The first row, or null where there is none. The query says which row that is: its key, or all properties that are unique
    /// together, are equal to constants or to arguments that are always given; or it has an order, and none of its conditions
    /// falls away.
    One,
    /// The rows. Who asks says how many, and how many are skipped before them.
    List {
        /// At most so many; also where nobody says how many.
        #[schemars(range(min = 1, max = 10_000))]
        limit: u32,
    },
    /// A page of the rows, and how many there are on all pages.
    #[serde(rename_all = "camelCase")]
    Page {
        /// The property of the answer that holds the rows.
        rows: Name,
        /// The property of the answer that says how many there are on all pages.
        total: Name,
        /// The argument that says which page, counted from 1. Without it, it is the first.
        number: ArgumentPath,
        /// The argument that says how many to a page.
        size: ArgumentPath,
        /// How many to a page where nobody says.
        #[schemars(range(min = 1, max = 10_000))]
        default_size: u32,
    },
}

/// The way to an argument: its name, or those of the arguments that it lies in as well, with points between: `price.min`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArgumentPath(Vec<Name>);

impl ArgumentPath {
    /// The names on the way, of which there is at least one.
    #[must_use]
    pub fn steps(&self) -> &[Name] {
        &self.0
    }

    /// The argument, unless it is left out or null.
    #[must_use]
    pub fn of<'a>(&self, arguments: &'a Value) -> Option<&'a Value> {
        let found = self.0.iter().try_fold(arguments, |value, step| value.get(step.as_str()));
        found.filter(|value| !value.is_null())
    }
}

impl TryFrom<String> for ArgumentPath {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.split('.').map(Name::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl From<ArgumentPath> for String {
    fn from(path: ArgumentPath) -> Self {
        path.to_string()
    }
}

impl fmt::Display for ArgumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            write!(f, "{}{step}", if at == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl JsonSchema for ArgumentPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ArgumentPath".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = "[A-Za-z][A-Za-z0-9_]{0,63}";
        schemars::json_schema!({ "type": "string", "pattern": format!(r"^(?!.*__){name}(\.{name}){{0,15}}$") })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_argument_is_found_by_its_path_unless_it_is_null() {
        let path: ArgumentPath = serde_json::from_value(json!("range.min")).unwrap();
        assert_eq!(path.to_string(), "range.min");
        assert_eq!(path.of(&json!({ "range": { "min": 5 } })), Some(&json!(5)));
        for nothing in [json!({}), json!({ "range": null }), json!({ "range": { "min": null } }), json!({ "range": 5 })]
        {
            assert_eq!(path.of(&nothing), None, "{nothing}");
        }
        assert!(serde_json::from_value::<ArgumentPath>(json!("range..min")).is_err());
    }
}
