//! The parts of a manifest.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Broken, RowsQuery};
use crate::Name;
use crate::schema::Schema;

/// What decides: one kind of thing, and one stream of events for each instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aggregate {
    /// Its name, in Pascal case: `Ticket`.
    pub name: Name,
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// What the ids look like that the host makes.
    #[serde(default)]
    pub id: IdKind,
    /// Names the encoding of the state. Snapshots are read by other builds of the plugin only if they name the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_encoding: Option<String>,
    /// What can be asked of it.
    pub commands: Vec<Command>,
    /// What can happen to it.
    pub events: Vec<EventType>,
    /// What could happen to it in former times: events that were renamed, or of which others have taken the place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past_events: Vec<PastEvent>,
    /// Values that only one instance may hold at a time.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
}

impl Aggregate {
    /// What the code can do with an event of the log.
    #[must_use]
    pub fn reads(&self, event: &str, version: u32) -> Reading {
        if let Some(known) = self.events.iter().find(|known| known.name.as_str() == event) {
            return match version.cmp(&known.version) {
                Ordering::Equal => Reading::AsItIs,
                Ordering::Less => Reading::Upcast,
                Ordering::Greater => Reading::NotAtAll,
            };
        }
        let past = self.past_events.iter().find(|past| past.name.as_str() == event);
        if past.is_some_and(|past| version <= past.version) { Reading::Upcast } else { Reading::NotAtAll }
    }

    /// The latest version of an event that the code reads; none if it does not know the name.
    #[must_use]
    pub fn latest(&self, event: &str) -> Option<u32> {
        let current = self.events.iter().find(|known| known.name.as_str() == event).map(|known| known.version);
        current.or_else(|| self.past_events.iter().find(|past| past.name.as_str() == event).map(|past| past.version))
    }
}

/// What code can do with an event of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It reads it as it is.
    AsItIs,
    /// It makes events of today out of it, by `upcast`.
    Upcast,
    /// Nothing: it does not know the name, or not yet the version.
    NotAtAll,
}

/// What an id looks like.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdKind {
    /// UUIDv7: sorts by time.
    #[default]
    Uuid,
    /// ULID: sorts by time, 26 characters.
    Ulid,
}

/// Which stream a command is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// A new one; the host makes the id.
    Create,
    /// An existing one, named by this field. Where there is none, the caller is told so and the guest is not asked.
    Existing(Name),
    /// The one that this field names, whether it exists or not.
    Any(Name),
}

impl Target {
    /// The payload's field that holds the stream's id.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::Create => None,
            Self::Existing(field) | Self::Any(field) => Some(field.as_str()),
        }
    }
}

/// Something that can be asked of an aggregate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Command {
    /// Its name, in the imperative and in Pascal case: `RenameTicket`. GraphQL calls it `renameTicket`.
    pub name: Name,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// Which stream it is for.
    pub target: Target,
    /// Its arguments: a JSON Schema of type `object`.
    pub payload: Schema,
    /// The read model whose row answers the command. Without one the answer is the stream's id and revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Name>,
    /// Whoever asks needs one of these roles; none means that everyone may.
    #[serde(default)]
    pub roles: Vec<Name>,
}

/// Something that can happen to an aggregate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventType {
    /// Its name, in the past tense and in Pascal case: `TicketRenamed`.
    pub name: Name,
    /// What has happened.
    #[serde(default)]
    pub description: String,
    /// The version of the payload's shape that the code writes now. It reads this one and, by `upcast`, all before it.
    #[schemars(range(min = 1))]
    pub version: u32,
    /// The facts: a JSON Schema of type `object`.
    pub payload: Schema,
}

/// Something that could happen to an aggregate in former times. The code does not record it any more, and `upcast` makes
/// events of today out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PastEvent {
    /// The name under which it was recorded.
    pub name: Name,
    /// The latest version that was recorded under this name.
    #[schemars(range(min = 1))]
    pub version: u32,
}

/// A value that only one instance may hold at a time, such as an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Constraint {
    /// Its name, in snake case: `unique_email`. A command that breaks it is rejected with this code.
    pub name: Name,
    /// What a caller is told.
    #[serde(default)]
    pub description: String,
}

/// Something that can be read: a table that the host keeps, and an object type in the API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadModel {
    /// Its name, in Pascal case: `Ticket`.
    pub name: Name,
    /// What it is called when there are many: `tickets`. By default the name with an `s`, or what English asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plural: Option<Name>,
    /// What it shows.
    #[serde(default)]
    pub description: String,
    /// A row: a JSON Schema of type `object`. Its properties are the columns.
    pub row: Schema,
    /// The property that names a row.
    pub key: Name,
    /// Properties, or groups of them, by which rows are looked up or put in order. Texts among them say in their schema
    /// that they have at most 256 characters.
    #[serde(default)]
    pub indexes: Vec<Vec<Name>>,
    /// Properties, or groups of them, in which no two rows of a tenant hold the same. They are always there, and rows are
    /// looked up by them as by an index. A projection that would write the same a second time fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unique: Vec<Vec<Name>>,
    /// Properties in which a search looks.
    #[serde(default)]
    pub search: Vec<Name>,
    /// The way from a row to rows of this or another read model.
    #[serde(default)]
    pub relations: Vec<Relation>,
}

/// The way from a row to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Relation {
    /// The name of the field in the API: `venue`, `tickets`.
    pub name: Name,
    /// What it shows.
    #[serde(default)]
    pub description: String,
    /// The read model that it leads to.
    pub model: Name,
    /// Of a relation to one: this row's property that holds the other's key. Of a relation to many: the other rows'
    /// property that holds this one's key.
    pub field: Name,
    /// Whether it leads to many.
    #[serde(default)]
    pub many: bool,
}

/// Which events something listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventSource {
    /// Whose events.
    pub aggregate: Name,
    /// Which of them; none means all.
    #[serde(default)]
    pub events: Vec<Name>,
}

/// What brings read models up to date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Projection {
    /// Its name, in Pascal case.
    pub name: Name,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// Counted up by the author when the code shows old events differently. The read models are then made anew.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub version: u32,
    /// The read models that it writes. A read model has one projection.
    pub models: Vec<Name>,
    /// The events that it is shown. Old events come to it as what has become of them.
    pub events: Vec<EventSource>,
}

const fn one() -> u32 {
    1
}

/// A read with a name of its own: of the rows of a read model, or what the plugin itself answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Query {
    /// Its name, in camel case: `searchTickets`.
    pub name: Name,
    /// What it answers.
    #[serde(default)]
    pub description: String,
    /// Its arguments: a JSON Schema of type `object`.
    pub arguments: Schema,
    /// Its answer. A part annotated with `x-model` is a row of that read model.
    pub returns: Schema,
    /// Whoever asks needs one of these roles; none means that everyone may.
    #[serde(default)]
    pub roles: Vec<Name>,
    /// Which rows answer it. The host reads them, and the plugin is not asked; without this it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<RowsQuery>,
}

impl Query {
    /// Holds it against the read model whose rows it asks for, if it asks for rows. [`super::Manifest::parse`] has done so
    /// with those of its own plugin.
    ///
    /// # Errors
    /// Says where within the query what does not fit.
    pub fn fits(&self, model: &ReadModel) -> Result<(), Broken> {
        super::check::fits(self, model)
    }
}

/// A process that spans streams and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Saga {
    /// Its name, in Pascal case.
    pub name: Name,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// What it listens to.
    pub triggers: Vec<SagaTrigger>,
}

/// An event that a saga listens to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SagaTrigger {
    /// Whose event.
    pub aggregate: Name,
    /// Which event.
    pub event: Name,
    /// The payload's field that names the instance of the saga; without one it is the stream's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Name>,
    /// Whether it begins an instance, or only speaks to one that has begun.
    #[serde(default)]
    pub starts: bool,
}

/// A call to the world outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Effect {
    /// Its name, in Pascal case: `ChargeCard`.
    pub name: Name,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// What it is asked.
    pub request: Schema,
    /// What it answers.
    pub response: Schema,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn code_reads_what_it_writes_and_what_was_written_before_it() {
        let empty = json!({ "type": "object", "properties": {} });
        let basket: Aggregate = serde_json::from_value(json!({
            "name": "Basket", "commands": [],
            "events": [{ "name": "BasketFilled", "version": 2, "payload": empty }],
            "pastEvents": [{ "name": "BasketStuffed", "version": 1 }],
        }))
        .unwrap();
        for (event, version, reading) in [
            ("BasketFilled", 1, Reading::Upcast),
            ("BasketFilled", 2, Reading::AsItIs),
            ("BasketFilled", 3, Reading::NotAtAll),
            ("BasketStuffed", 1, Reading::Upcast),
            ("BasketStuffed", 2, Reading::NotAtAll),
            ("BasketBurnt", 1, Reading::NotAtAll),
        ] {
            assert_eq!(basket.reads(event, version), reading, "{event} {version}");
        }
        assert_eq!(
            ["BasketFilled", "BasketStuffed", "BasketBurnt"].map(|e| basket.latest(e)),
            [Some(2), Some(1), None]
        );
    }
}
