//! What a read model brings: its type, and the queries for one row and for many.

use async_graphql::dynamic::TypeRef;
use yado_model::manifest::{Manifest, ReadModel};
use yado_model::schema::{Object as Row, Shape};

use super::build::Builder;
use super::{Argument, Field, MIN_POSITION, Object, Resolve, Scalar, Type, inputs, named, shapes};
use crate::names;

pub(super) fn add(builder: &mut Builder<'_>, plugin: &Manifest, model: &ReadModel) -> Result<(), String> {
    let owner = format!("read model {} of plugin {}", model.name, plugin.name);
    let Some((_, row)) = builder.model(&model.name).cloned() else { return Ok(()) };
    if model.key.as_str() == MIN_POSITION {
        return Err(format!(
            "{owner} has the key {MIN_POSITION}, which GraphQL needs for what a query waits for: rename it"
        ));
    }
    inputs::add(builder, plugin, model, &row)?;
    let mut fields = shapes::output_fields(builder, &row, model.name.as_str(), &owner)?;
    fields.extend(relations(builder, model, &owner)?);
    builder.add(
        model.name.as_str(),
        &owner,
        Type::Object(Object { description: model.description.clone(), fields }),
    )?;

    let one = names::field(model.name.as_str());
    let many = model.plural.as_ref().map_or_else(|| names::plural(&one), |plural| names::field(plural.as_str()));
    builder.add_query(&owner, lookup(&one, model, &row))?;
    let list = list(builder, &many, model, &row);
    builder.add_query(&owner, list)
}

/// `ticket(id: ID!): Ticket`.
fn lookup(name: &str, model: &ReadModel, row: &Row) -> Field {
    let key = row.fields.get(model.key.as_str());
    let scalar = key.map_or(Scalar::Id, |key| shapes::scalar(&key.slot.shape));
    let description = key.map_or("", |key| key.description.as_str());
    Field {
        name: name.to_owned(),
        description: format!("One row of {} by its key; null if there is none.", model.name),
        arguments: vec![Argument::new(model.key.as_str(), description, named(scalar.name(), true)), min_position()],
        ty: TypeRef::named(model.name.as_str()),
        resolve: Resolve::Row { model: model.name.clone(), key: model.key.to_string() },
    }
}

/// What a field is to show at least.
pub(super) fn min_position() -> Argument {
    Argument::new(
        MIN_POSITION,
        "Waits until everything up to this position is shown, here and in all that is selected below: the position in the \
         extensions of an earlier answer. If that takes too long, the answer is LAGGING. It wins over the header \
         Yado-Min-Position.",
        named(Scalar::BigInt.name(), false),
    )
}

/// `tickets(venueId: ID, where: TicketWhere, …): [Ticket!]!`.
fn list(builder: &Builder<'_>, name: &str, model: &ReadModel, row: &Row) -> Field {
    let mut arguments = inputs::page(builder, model.name.as_str(), false);
    arguments.push(min_position());
    let equal: Vec<String> = shorthands(model, row)
        .into_iter()
        .filter(|property| arguments.iter().all(|argument| argument.name != *property))
        .collect();
    for (at, property) in equal.iter().enumerate() {
        let text = format!("Only rows whose {property} is this; null asks for those without one.");
        arguments.insert(at, Argument::new(property, &text, named("ID", false)));
    }
    Field {
        name: name.to_owned(),
        description: format!("Rows of {}, a page at a time.", model.name),
        arguments,
        ty: TypeRef::named_nn_list_nn(model.name.as_str()),
        resolve: Resolve::Rows { model: model.name.clone(), equal },
    }
}

/// The ids by which rows are commonly looked up: those of relations, and those with an index that begins with them.
fn shorthands(model: &ReadModel, row: &Row) -> Vec<String> {
    let leads = |name: &str| model.relations.iter().any(|relation| !relation.many && relation.field.as_str() == name);
    let indexed =
        |name: &str| model.indexes.iter().any(|index| index.first().is_some_and(|first| first.as_str() == name));
    let ids = row.fields.iter().filter(|field| matches!(field.slot.shape, Shape::Id { .. }) && field.name != model.key);
    ids.map(|field| field.name.to_string()).filter(|name| leads(name) || indexed(name)).collect()
}

fn relations(builder: &Builder<'_>, model: &ReadModel, owner: &str) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    for relation in &model.relations {
        let target = relation.model.clone();
        let Some((other, _)) = builder.model(&target) else {
            return Err(format!("the relation {} of {owner} leads to {target}, which no plugin brings", relation.name));
        };
        let field = relation.field.to_string();
        let (ty, arguments, resolve) = if relation.many {
            let key = model.key.to_string();
            (
                TypeRef::named_nn_list_nn(target.as_str()),
                inputs::page(builder, target.as_str(), true),
                Resolve::ToMany { model: target, key, field },
            )
        } else {
            let key = other.key.to_string();
            (TypeRef::named(target.as_str()), Vec::new(), Resolve::ToOne { model: target, key, field })
        };
        let (name, description) = (relation.name.to_string(), relation.description.clone());
        fields.push(Field { name, description, arguments, ty, resolve });
    }
    Ok(fields)
}
