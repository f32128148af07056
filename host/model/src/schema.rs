//! Payload shapes: JSON Schema, read in two ways.
//!
//! [`Schema::shape`] reads a schema as a type, for the surfaces that have types (GraphQL, protobuf, SQL columns).
//! [`Checker`] reads it as a set of rules, and finds what breaks them. What a schema says that no type can say (one of
//! several shapes, say) is the shape [`Shape::Json`]: it is carried as it is, and still checked.
//!
//! Yado gives a meaning to a few words that JSON Schema leaves open:
//!
//! | word | meaning |
//! | --- | --- |
//! | `"format": "decimal"` | an exact decimal number, written as a string of at most 28 digits |
//! | `"decimalMinimum"`, `"decimalMaximum"`, `"decimalPlaces"` | its bounds, and how many digits may follow the point |
//! | `"format": "id"` or `"uuid"` | an id |
//! | `"x-references": "Venue"` | the id must be that of an existing instance of this aggregate |
//! | `"x-model": "Ticket"` | the object is a row of this read model |
//! | `"title"` | the type's name in the API |
//! | `"x-descriptions": {"RED": "…"}` | what single values of an `enum` mean |
//!
//! A property that has more to say than its type does (a description of its own, say) wraps it: `"allOf": [{…}]` with one
//! schema in it is that schema.

mod bare;
mod check;
mod shape;

pub use check::{Checker, Problem, Unsound};
pub use shape::{Enumeration, Field, Fields, Object, Shape, Slot};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A JSON Schema, as the manifest carries it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Schema(#[schemars(with = "std::collections::BTreeMap<String, serde_json::Value>")] Value);

impl Schema {
    /// A schema from its document.
    #[must_use]
    pub const fn new(document: Value) -> Self {
        Self(document)
    }

    /// The document.
    #[must_use]
    pub const fn document(&self) -> &Value {
        &self.0
    }

    /// The document without what it only says to people: what rows, commands and events are does not depend on that.
    #[must_use]
    pub fn bare(&self) -> Value {
        bare::of(&self.0)
    }

    /// The schema as a type.
    ///
    /// # Errors
    /// Says where the schema is not one, or is nested too deeply.
    pub fn shape(&self) -> Result<Slot, Broken> {
        shape::read(&self.0)
    }

    /// The most characters that a property of an object may have, if the schema says.
    #[must_use]
    pub fn longest(&self, property: &str) -> Option<u64> {
        shape::longest(&self.0, property)
    }
}

/// A schema that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema is broken at {path:?}: {reason}")]
pub struct Broken {
    /// Where, as a JSON pointer into the schema.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}
