//! What a read model brings: its type, and the queries for one row and for many.

use std::collections::HashSet;

use async_graphql::dynamic::TypeRef;
use yado_model::manifest::{Manifest, ReadModel};
use yado_model::schema::{Object as Row, Shape};

use super::build::Builder;
use super::{
    Argument, Field, MIN_POSITION, Object, Resolve, Scalar, Type, aggregates, connections, inputs, named, shapes,
};
use crate::names;

pub(super) fn add(builder: &mut Builder<'_>, plugin: &Manifest, model: &ReadModel) -> Result<(), String> {
    let owner = format!("read model {} of plugin {}", model.name, plugin.name);
    let Some((_, row)) = builder.model(&model.name).cloned() else { return Ok(()) };
    if model.key.as_str() == MIN_POSITION {
        return Err(taken(&owner, "key"));
    }
    inputs::add(builder, plugin, model, &row)?;
    let mut fields = shapes::output_fields(builder, &row, model.name.as_str(), &owner)?;
    fields.extend(relations(builder, model, &owner)?);
    different(&owner, &fields)?;
    aggregates::add(builder, &owner, model, &row, &fields)?;
    connections::add(builder, &owner, model)?;
    builder.add(
        model.name.as_str(),
        &owner,
        Type::Object(Object { description: model.description.clone(), fields }),
    )?;

    let one = names::field(model.name.as_str());
    let many = model.plural.as_ref().map_or_else(|| names::plural(&one), |plural| names::field(plural.as_str()));
    builder.add_query(&owner, lookup(&one, model, &row))?;
    let list = list(builder, &many, model, &row);
    unique(builder, &one, &owner, model, &row)?;
    builder.add_query(&owner, list)?;
    let connection = connections::field(builder, &many, model);
    builder.add_query(&owner, connection)?;
    builder.add_query(&owner, aggregates::field(&many, model))
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
    let mut arguments = inputs::page(builder, model, false);
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
        let Some((other, _)) = builder.model(&target).cloned() else {
            return Err(format!("the relation {} of {owner} leads to {target}, which no plugin brings", relation.name));
        };
        let field = relation.field.to_string();
        let (ty, arguments, resolve) = if relation.many {
            let key = model.key.to_string();
            (
                TypeRef::named_nn_list_nn(target.as_str()),
                inputs::page(builder, &other, true),
                Resolve::ToMany { model: target, key, field },
            )
        } else {
            let key = other.key.to_string();
            (TypeRef::named(target.as_str()), Vec::new(), Resolve::ToOne { model: target, key, field })
        };
        let name = relation.name.to_string();
        let description = match (relation.description.as_str(), relation.many) {
            ("", true) => format!("Each {} whose {} names it.", relation.model, relation.field),
            ("", false) => format!("The {} that {} names.", relation.model, relation.field),
            (said, _) => said.to_owned(),
        };
        fields.push(Field { name, description, arguments, ty, resolve });
        if relation.many {
            fields.push(aggregates::related(&other, relation, &model.key));
        }
    }
    Ok(fields)
}

/// `ticketByShopAndNumber(shop: String!, number: Int!): Ticket`, for what no two rows have alike.
fn unique(builder: &mut Builder<'_>, one: &str, owner: &str, model: &ReadModel, row: &Row) -> Result<(), String> {
    for unique in &model.unique {
        let mut arguments = Vec::with_capacity(unique.len() + 1);
        for name in unique {
            if name.as_str() == MIN_POSITION {
                return Err(taken(owner, "unique property"));
            }
            let Some(field) = row.fields.get(name.as_str()) else { continue };
            let place = shapes::Place::of(model.name.as_str(), name.as_str(), owner);
            let ty = shapes::input(builder, &field.slot, true, &place)?;
            arguments.push(Argument::new(name.as_str(), &field.description, ty));
        }
        arguments.push(min_position());
        let names: Vec<String> = unique.iter().map(|name| names::pascal(name.as_str())).collect();
        let said: Vec<&str> = unique.iter().map(yado_model::Name::as_str).collect();
        let field = Field {
            arguments,
            resolve: Resolve::Unique {
                model: model.name.clone(),
                fields: unique.iter().map(ToString::to_string).collect(),
            },
            ..Field::property(
                &format!("{one}By{}", names.join("And")),
                &format!("One row of {} by {}; null if there is none.", model.name, said.join(" and ")),
                TypeRef::named(model.name.as_str()),
            )
        };
        builder.add_query(owner, field)?;
    }
    Ok(())
}

fn taken(owner: &str, what: &str) -> String {
    format!("{owner} has the {what} {MIN_POSITION}, which GraphQL needs for what a query waits for: rename it")
}

/// Refuses fields of a row that are called alike.
fn different(owner: &str, fields: &[Field]) -> Result<(), String> {
    let mut names = HashSet::new();
    match fields.iter().find(|field| !names.insert(field.name.as_str())) {
        Some(twice) => Err(format!(
            "{owner} makes two fields {} of its rows, because what is computed of a relation's rows is called after it: \
             rename one of them",
            twice.name
        )),
        None => Ok(()),
    }
}
