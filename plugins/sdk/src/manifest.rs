//! What a plugin says of itself. The expansion of the derives and of `plugin!` fills it in; the host asks for it once.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::schema::Schema;
use crate::{Command as _, Event as _, Source as _, json};

/// The contract that plugins built with this SDK speak: the `major.minor` of the WIT package `yado:domain`.
const CONTRACT: &str = "0.1";

/// The manifest.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    contract: &'static str,
    name: &'static str,
    version: &'static str,
    description: &'static str,
    aggregates: Vec<Aggregate>,
    read_models: Vec<ReadModel>,
    projections: Vec<Projection>,
    queries: Vec<Query>,
}

impl Manifest {
    /// A plugin without anything yet.
    #[must_use]
    pub const fn new(name: &'static str, version: &'static str, description: &'static str) -> Self {
        Self {
            contract: CONTRACT,
            name,
            version,
            description,
            aggregates: Vec::new(),
            read_models: Vec::new(),
            projections: Vec::new(),
            queries: Vec::new(),
        }
    }

    /// It decides.
    #[must_use]
    pub fn aggregate<A: crate::Aggregate>(mut self) -> Self {
        self.aggregates.push(Aggregate {
            commands: A::Command::describe(),
            events: A::Event::describe(),
            past_events: A::Event::PAST,
            ..A::describe()
        });
        self
    }

    /// It keeps a read model.
    #[must_use]
    pub fn model<M: crate::Projection>(mut self) -> Self {
        self.projections.push(Projection {
            name: M::NAME,
            version: M::VERSION,
            models: [M::NAME],
            events: M::Event::sources(),
        });
        self.read_models.push(M::describe());
        self
    }

    /// It answers a query.
    #[must_use]
    pub fn query<Q: crate::query::Query>(mut self) -> Self {
        self.queries.push(Q::describe());
        self
    }

    /// It declares a query, which the host answers.
    #[must_use]
    pub fn declared<Q: crate::declared::Query>(mut self) -> Self {
        self.queries.push(Q::describe());
        self
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::write(self)
    }
}

/// An aggregate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Aggregate {
    pub name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'static str,
    pub id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_encoding: Option<&'static str>,
    pub commands: Vec<Command>,
    pub events: Vec<Event>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub past_events: &'static [PastEvent],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub constraints: &'static [Constraint],
}

impl Aggregate {
    /// An aggregate without commands and events.
    #[must_use]
    pub const fn new(
        name: &'static str,
        description: &'static str,
        id: &'static str,
        state_encoding: Option<&'static str>,
        constraints: &'static [Constraint],
    ) -> Self {
        Self {
            name,
            description,
            id,
            state_encoding,
            commands: Vec::new(),
            events: Vec::new(),
            past_events: &[],
            constraints,
        }
    }
}

/// An event that is in the log and not recorded any more.
#[derive(Debug, Serialize)]
pub struct PastEvent {
    pub name: &'static str,
    pub version: u32,
}

/// A value that only one instance may hold.
#[derive(Debug, Serialize)]
pub struct Constraint {
    pub name: &'static str,
    pub description: &'static str,
}

/// Which stream a command is for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    Create,
    Existing(&'static str),
    Any(&'static str),
}

/// A command.
#[derive(Debug, Serialize)]
pub struct Command {
    pub name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'static str,
    pub target: Target,
    pub payload: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returns: Option<&'static str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub roles: &'static [&'static str],
}

/// An event.
#[derive(Debug, Serialize)]
pub struct Event {
    pub name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'static str,
    pub version: u32,
    pub payload: Schema,
}

/// A read model.
#[derive(Debug, Serialize)]
pub struct ReadModel {
    pub name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plural: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'static str,
    pub row: Schema,
    pub key: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub indexes: &'static [&'static [&'static str]],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub unique: &'static [&'static [&'static str]],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub search: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
}

/// The way from a row to others.
#[derive(Debug, Serialize)]
pub struct Relation {
    pub name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'static str,
    pub model: &'static str,
    pub field: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    pub many: bool,
}

/// Which events something listens to.
#[derive(Debug, Serialize)]
pub struct EventSource {
    pub aggregate: &'static str,
    pub events: &'static [&'static str],
}

/// What brings a read model up to date.
#[derive(Debug, Serialize)]
struct Projection {
    name: &'static str,
    version: u32,
    models: [&'static str; 1],
    events: Vec<EventSource>,
}

/// A read with a name of its own.
#[derive(Debug, Serialize)]
pub struct Query {
    pub name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'static str,
    pub arguments: Schema,
    pub returns: Schema,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub roles: &'static [&'static str],
    /// Which rows answer it, if not the plugin itself does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowsQuery>,
}

/// Which rows answer a query.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RowsQuery {
    pub model: &'static str,
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order_by: Vec<QueryOrder>,
    pub answer: Answer,
}

/// What must hold of a row.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Condition {
    Argument { field: &'static str, op: &'static str, argument: &'static str },
    Value { field: &'static str, op: &'static str, value: Box<RawValue> },
    Search { search: &'static str },
    Any { any: Vec<Condition> },
    Not { not: Box<Condition> },
}

/// A property by which rows are put in order.
#[derive(Debug, Serialize)]
pub struct QueryOrder {
    pub field: &'static str,
    #[serde(skip_serializing_if = "is_false")]
    pub descending: bool,
}

/// What a declared query answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    One,
    List {
        limit: u32,
    },
    #[serde(rename_all = "camelCase")]
    Page {
        rows: &'static str,
        total: &'static str,
        number: &'static str,
        size: &'static str,
        default_size: u32,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
