//! What can be followed: the changes of each read model, and the events of the log.
//!
//! The fields of `Subscription` have arguments like those of queries. What they answer is told one at a time, each time
//! with the position that it is of, and from a position or a cursor on if that is asked for.

use async_graphql::dynamic::TypeRef;
use yado_engine::ChangeKind;
use yado_model::manifest::{Manifest, ReadModel};
use yado_model::schema::Object as Row;

use super::build::Builder;
use super::{AFTER, Argument, Field, Object, Resolve, Scalar, Type, named, shapes};
use crate::names;

/// The name of the type of an event of the log.
const EVENT: &str = "RecordedEvent";

const OWNER: &str = "the server";

/// Each kind of change, the end of its field's name, and what the field tells of.
const KINDS: [(ChangeKind, &str, &str); 3] = [
    (ChangeKind::Created, "Created", "A row, each time that one has come to"),
    (ChangeKind::Updated, "Updated", "A row as it is now, each time that one has become another in"),
    (ChangeKind::Deleted, "Deleted", "A row as it was, each time that one has gone from"),
];

/// `events(…): RecordedEvent!`.
pub(super) fn add_events(builder: &mut Builder<'_>) -> Result<(), String> {
    let property = |name: &str, description: &str, ty: TypeRef| Field {
        name: name.to_owned(),
        description: description.to_owned(),
        arguments: Vec::new(),
        ty,
        resolve: Resolve::Property,
    };
    let fields = vec![
        property("position", "Its place in the log.", TypeRef::named_nn("BigInt")),
        property("aggregate", "To what kind of thing it happened.", TypeRef::named_nn("String")),
        property("id", "To which of them.", TypeRef::named_nn("ID")),
        property("revision", "How many events that has with this one.", TypeRef::named_nn("Int")),
        property("name", "What happened.", TypeRef::named_nn("String")),
        property("version", "The version of its payload's shape.", TypeRef::named_nn("Int")),
        property("payload", "The facts, as they were recorded.", TypeRef::named_nn("JSON")),
        property("recordedAt", "When it was recorded.", TypeRef::named_nn("DateTime")),
        property("commandId", "The command that decided it.", TypeRef::named_nn("ID")),
        property("correlationId", "What it has in common with all that one request set off.", TypeRef::named_nn("ID")),
        property("causationId", "What caused the command, where that was no caller.", TypeRef::named("ID")),
        property("actor", "Who asked, where that is known.", TypeRef::named("String")),
    ];
    let description = "An event of the log. It never changes.".to_owned();
    builder.add(EVENT, OWNER, Type::Object(Object { description, fields }))?;
    let arguments = vec![
        Argument::new(
            AFTER,
            "Begins right after this position; with 0 at the very beginning, and without it with what is recorded from now \
             on. Nothing is left out and nothing told twice: go on with the position of the last event that was told.",
            named("BigInt", false),
        ),
        Argument::new("aggregates", "Only events of these kinds of things.", TypeRef::named_nn_list("String")),
        Argument::new("names", "Only events of these names.", TypeRef::named_nn_list("String")),
        Argument::new("id", "Only events of what has this id.", named("ID", false)),
    ];
    let field = Field {
        name: "events".to_owned(),
        description: "The events of the log, in its order, as they are recorded.".to_owned(),
        arguments,
        ty: TypeRef::named_nn(EVENT),
        resolve: Resolve::Events,
    };
    builder.add_subscription(OWNER, field)
}

/// `ticketCreated`, `ticketUpdated` and `ticketDeleted`.
pub(super) fn add(builder: &mut Builder<'_>, plugin: &Manifest, model: &ReadModel, row: &Row) -> Result<(), String> {
    let owner = format!("read model {} of plugin {}", model.name, plugin.name);
    let key = model.key.as_str();
    if [AFTER, "where"].contains(&key) {
        return Err(format!("{owner} has the key {key}, which GraphQL needs to choose what is told: rename it"));
    }
    let of_key = row.fields.get(key);
    let scalar = of_key.map_or(Scalar::Id, |key| shapes::scalar(&key.slot.shape));
    for (kind, end, tells) in KINDS {
        let arguments = vec![
            Argument::new(key, "Only the row with this key.", named(scalar.name(), false)),
            Argument::new(
                "where",
                "Only rows of which this holds. What is related to a row can't be asked for here.",
                TypeRef::named(format!("{}Where", model.name)),
            ),
            Argument::new(
                AFTER,
                "Begins right after this: the cursor in the extensions of an earlier message, or a position. Without it, \
                 with what changes from now on. Nothing is left out and nothing told twice.",
                named(Scalar::String.name(), false),
            ),
        ];
        let field = Field {
            name: format!("{}{end}", names::field(model.name.as_str())),
            description: format!("{tells} {}.", model.name),
            arguments,
            ty: TypeRef::named_nn(model.name.as_str()),
            resolve: Resolve::Changes { model: model.name.clone(), kind, key: key.to_owned() },
        };
        builder.add_subscription(&owner, field)?;
    }
    Ok(())
}
