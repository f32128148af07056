//! The API as plain data, derived from what plugins say of themselves.
//!
//! It is made once for a catalogue, and everything else reads it: [`crate::registry`] makes the schema of it that
//! documents are validated against, [`crate::cost`] weighs documents by it, and [`crate::execute`] runs them by it. What
//! it holds is sorted, so the same plugins give the same schema to the letter.

mod aggregates;
mod build;
mod commands;
mod connections;
mod host;
mod inputs;
mod live;
mod models;
mod queries;
mod shapes;

pub(crate) use aggregates::{BY_MOST, COUNT, FUNCTIONS};
pub(crate) use build::{Source, build};
pub(crate) use connections::{CURSOR, EDGES, END_CURSOR, NODES, PAGE_INFO, START_CURSOR, TOTAL_COUNT, most};
pub(crate) use host::RECEIPT;
pub(crate) use queries::{Declared, LIMIT, OFFSET, ORDER_BY};

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::dynamic::TypeRef;
use serde_json::Value;
use yado_engine::ChangeKind;
use yado_model::Name;

/// The name of the type in which all queries begin.
pub(crate) const QUERY: &str = "Query";
/// The name of the type in which all mutations begin. There is none without commands.
pub(crate) const MUTATION: &str = "Mutation";
/// The name of the type in which all subscriptions begin.
pub(crate) const SUBSCRIPTION: &str = "Subscription";

/// What follows the name of a read model in that of the conditions on several of its rows.
pub(crate) const MANY: &str = "Many";
/// What follows the name of a read model in that of the conditions on one of its rows.
pub(crate) const WHERE: &str = "Where";
/// What follows the name of a read model in that of the orders of its rows.
pub(crate) const ORDER: &str = "Order";

/// The argument that words are searched by.
pub(crate) const SEARCH: &str = "search";

/// The argument by which a field of a query is asked to wait.
pub(crate) const MIN_POSITION: &str = "minPosition";
/// The argument by which a subscription is asked to go on.
pub(crate) const AFTER: &str = "after";

/// Everything that can be asked.
#[derive(Debug, Default)]
pub(crate) struct Api {
    /// The types, by name; `Query` and `Mutation` are among them.
    pub(crate) types: BTreeMap<String, Type>,
    /// Those of the types that are rows of read models.
    pub(crate) models: BTreeSet<String>,
}

/// A type with a name.
#[derive(Debug, PartialEq)]
pub(crate) enum Type {
    /// A value without parts.
    Scalar(Scalar),
    /// One of a few names.
    Enum(Enum),
    /// What can be selected.
    Object(Object),
    /// What can be given.
    Input(Input),
}

/// The scalars that this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    String,
    Id,
    Int,
    BigInt,
    Float,
    Decimal,
    Boolean,
    DateTime,
    Json,
}

/// One of a few names.
#[derive(Debug, PartialEq)]
pub(crate) struct Enum {
    pub(crate) description: String,
    pub(crate) values: Vec<EnumValue>,
}

/// One of the names.
#[derive(Debug, PartialEq)]
pub(crate) struct EnumValue {
    pub(crate) name: String,
    pub(crate) description: String,
}

/// What can be selected.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Object {
    pub(crate) description: String,
    pub(crate) fields: Vec<Field>,
}

/// What can be given.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Input {
    pub(crate) description: String,
    pub(crate) fields: Vec<Argument>,
    /// Whether exactly one field is to be given.
    pub(crate) one_of: bool,
}

/// An argument, or a field of an input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) ty: TypeRef,
    pub(crate) default: Option<Value>,
}

/// A field that can be selected.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) ty: TypeRef,
    pub(crate) resolve: Resolve,
}

/// Where a field's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Resolve {
    /// The property of the same name of the object that it stands on.
    Property,
    /// The host itself.
    Server,
    /// The row of a read model that the argument `key` names.
    Row { model: Name, key: String },
    /// The row of a read model whose properties are those that the arguments of their names say.
    Unique { model: Name, fields: Vec<String> },
    /// The rows of a read model that the arguments choose.
    Rows { model: Name, equal: Vec<String> },
    /// The row whose key stands in the property `field`.
    ToOne { model: Name, key: String, field: String },
    /// The rows whose property `field` holds this row's `key`.
    ToMany { model: Name, key: String, field: String },
    /// A page of the rows of a read model that the arguments choose, from a cursor on.
    Connection { model: Name, key: String },
    /// The property of the same name of a connection: a list with an item for each of its rows.
    Items,
    /// What is computed of the rows whose property `field` holds this row's `key`.
    ToManyAggregate { model: Name, key: String, field: String },
    /// What is computed of the rows of a read model that the arguments choose.
    Aggregate { model: Name },
    /// The same of groups of those rows.
    Groups { model: Name },
    /// What answers a named query: these rows, or what a guest says; `many` if there may be objects in lists of it, and
    /// `waits` if the position to wait for is the server's argument, and not one of the query's own.
    Query { query: Name, many: bool, waits: bool, rows: Option<Declared> },
    /// The events of the log, one after another.
    Events,
    /// The rows of a read model, each time that one changes; the argument `key` names one of them.
    Changes { model: Name, kind: ChangeKind, key: String },
    /// The outcome of a command.
    Command { command: Name, answer: Answer },
}

/// What a command is answered with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    /// Where it was recorded.
    Receipt,
    /// The row of its stream in a read model.
    Row { model: Name, key: String },
}

impl Api {
    /// An object type by its name.
    pub(crate) fn object(&self, name: &str) -> Option<&Object> {
        match self.types.get(name) {
            Some(Type::Object(object)) => Some(object),
            _ => None,
        }
    }
}

impl Resolve {
    /// The read model whose rows the value is made of.
    pub(crate) const fn model(&self) -> Option<&Name> {
        match self {
            Self::Row { model, .. }
            | Self::Rows { model, .. }
            | Self::ToOne { model, .. }
            | Self::ToMany { model, .. }
            | Self::Unique { model, .. }
            | Self::Connection { model, .. }
            | Self::ToManyAggregate { model, .. }
            | Self::Aggregate { model }
            | Self::Groups { model } => Some(model),
            _ => None,
        }
    }
}

impl Object {
    /// A field by its name.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Field {
    /// A property of the object that it stands on.
    fn property(name: &str, description: &str, ty: TypeRef) -> Self {
        let (name, description) = (name.to_owned(), description.to_owned());
        Self { name, description, arguments: Vec::new(), ty, resolve: Resolve::Property }
    }

    /// An argument by its name.
    pub(crate) fn argument(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.name == name)
    }

    /// The arguments that may lead along relations, each with the read model that it begins at.
    pub(crate) fn leading(&self) -> impl Iterator<Item = (&Name, &'static str)> {
        let declared = match &self.resolve {
            Resolve::Query { rows: Some(rows), .. } if rows.gives(ORDER_BY) => Some((&rows.model, ORDER_BY)),
            _ => None,
        };
        let derived = self.resolve.model().into_iter().flat_map(|model| [(model, "where"), (model, ORDER_BY)]);
        derived.chain(declared)
    }

    /// Whether it gives a page, of rows or of groups.
    pub(crate) const fn is_page(&self) -> bool {
        matches!(
            self.resolve,
            Resolve::Rows { .. } | Resolve::ToMany { .. } | Resolve::Groups { .. } | Resolve::Connection { .. }
        )
    }
}

impl Enum {
    /// Whether it has a value of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|value| value.name == name)
    }

    /// The names, for people.
    pub(crate) fn names(&self) -> String {
        self.values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl EnumValue {
    pub(crate) fn new(name: &str, description: &str) -> Self {
        Self { name: name.to_owned(), description: description.to_owned() }
    }
}

impl Argument {
    fn new(name: &str, description: &str, ty: TypeRef) -> Self {
        Self { name: name.to_owned(), description: description.to_owned(), ty, default: None }
    }
}

impl Scalar {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::String,
        Self::Id,
        Self::Int,
        Self::BigInt,
        Self::Float,
        Self::Decimal,
        Self::Boolean,
        Self::DateTime,
        Self::Json,
    ];

    /// Its name in GraphQL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Id => "ID",
            Self::Int => "Int",
            Self::BigInt => "BigInt",
            Self::Float => "Float",
            Self::Decimal => "Decimal",
            Self::Boolean => "Boolean",
            Self::DateTime => "DateTime",
            Self::Json => "JSON",
        }
    }

    /// It in the words of a refusal: "must be …".
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::String => "a String",
            Self::Id => "an ID: a string, or a whole number",
            Self::Int => "an Int: a whole number of 32 bits",
            Self::BigInt => "a BigInt: a whole number of 64 bits",
            Self::Float => "a Float",
            Self::Decimal => "a Decimal: a number, or a string with one",
            Self::Boolean => "a Boolean",
            Self::DateTime => "a DateTime: a string such as 2026-01-31T09:30:00Z",
            Self::Json => "JSON",
        }
    }

    /// What it is, for the scalars that GraphQL itself does not have.
    pub(crate) const fn description(self) -> Option<&'static str> {
        match self {
            Self::BigInt => Some(
                "A whole number of 64 bits. It is given as a number or as a string, and answered as a number with all of its \
                 digits. JavaScript's JSON.parse keeps 15 of them: where there may be more, read answers with a lossless \
                 JSON parser.",
            ),
            Self::Decimal => Some(
                "An exact decimal number of at most 28 digits. It is given as a number or as a string, and answered as a \
                 number with all of its digits. JavaScript's JSON.parse keeps 15 of them: where there may be more, read \
                 answers with a lossless JSON parser.",
            ),
            Self::DateTime => Some("A point in time: RFC 3339 with an offset, answered in UTC to the microsecond."),
            Self::Json => Some("Any JSON value."),
            Self::String | Self::Id | Self::Int | Self::Float | Self::Boolean => None,
        }
    }
}

/// `T` or `T!`.
fn named(name: &str, required: bool) -> TypeRef {
    if required { TypeRef::named_nn(name) } else { TypeRef::named(name) }
}
