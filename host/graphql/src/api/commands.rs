//! What a command brings: a mutation and its input.

use async_graphql::dynamic::TypeRef;
use yado_model::manifest::{Command, Manifest, Target};
use yado_model::schema::Shape;

use super::build::Builder;
use super::{Answer, Argument, Field, Input, Resolve, Type, host, named, shapes};
use crate::names;

pub(super) fn add(builder: &mut Builder<'_>, plugin: &Manifest, command: &Command) -> Result<(), String> {
    let owner = format!("command {} of plugin {}", command.name, plugin.name);
    let Shape::Object(payload) = command.payload.shape().map_err(|e| format!("{owner}: {e}"))?.shape else {
        return Err(format!("the payload of {owner} is not an object"));
    };
    let mut arguments = Vec::new();
    // A command without arguments has no input: GraphQL has no type without fields.
    if !payload.fields.is_empty() {
        let input = format!("{}Input", command.name);
        let fields = shapes::input_fields(builder, &payload, command.name.as_str(), &owner)?;
        let description = format!("The arguments of {}.", names::field(command.name.as_str()));
        builder.add(&input, &owner, Type::Input(Input { description, fields, one_of: false }))?;
        arguments.push(Argument::new("input", "Its arguments.", named(&input, true)));
    }
    if !matches!(command.target, Target::Create) {
        arguments.push(Argument::new(
            "expectedRevision",
            "The revision that it must be at; if others were faster, the answer is CONFLICT and nothing is changed.",
            named("Int", false),
        ));
    }
    arguments.push(Argument::new(
        "idempotencyKey",
        "The caller's name for this request: a repetition under the same name gets the first answer. It wins over the \
         header Idempotency-Key.",
        named("String", false),
    ));
    let (ty, answer) = match &command.returns {
        None => (host::RECEIPT.to_owned(), Answer::Receipt),
        Some(model) => match builder.answer(model) {
            Some(answer) => (model.to_string(), answer),
            None => return Err(format!("{owner} is answered with {model}, which no plugin brings")),
        },
    };
    let field = Field {
        name: names::field(command.name.as_str()),
        description: command.description.clone(),
        arguments,
        // One that fails is null by itself, and takes nothing along of what the others have come to.
        ty: TypeRef::named(ty),
        resolve: Resolve::Command { command: command.name.clone(), answer },
    };
    builder.add_mutation(&owner, field)
}
