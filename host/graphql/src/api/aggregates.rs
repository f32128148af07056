//! What is computed of many rows: how many there are, and sums, averages and extremes of their properties, of all of them
//! together or in groups.
//!
//! What has nothing to be computed of is left out: a read model without numbers has no sums.

use async_graphql::dynamic::TypeRef;
use yado_engine::Function;
use yado_model::Name;
use yado_model::manifest::{ReadModel, Relation};
use yado_model::schema::{Object as Row, Shape};

use super::build::Builder;
use super::{Argument, Enum, EnumValue, Field, Object, Resolve, Scalar, Type, inputs, models, shapes};
use crate::limits::GROUPS_MOST;
use crate::names;

/// How many properties rows can be grouped by at once.
pub(crate) const BY_MOST: usize = 4;

/// The field that says how many rows there are.
pub(crate) const COUNT: &str = "count";

/// What can be computed, under the names of its fields.
pub(crate) const FUNCTIONS: [(&str, Function); 4] =
    [("sum", Function::Sum), ("avg", Function::Avg), ("min", Function::Min), ("max", Function::Max)];

/// The types of what is computed of a read model's rows. `fields` are those of a row.
pub(super) fn add(
    builder: &mut Builder<'_>,
    owner: &str,
    model: &ReadModel,
    row: &Row,
    fields: &[Field],
) -> Result<(), String> {
    let name = &model.name;
    let mut all = figures(builder, owner, model, row)?;
    let by: Vec<EnumValue> = row
        .fields
        .iter()
        .filter(|field| groups(&field.slot.shape) && names::is_enum_value(field.name.as_str()))
        .map(|field| EnumValue::new(field.name.as_str(), &field.description))
        .collect();
    if !by.is_empty() {
        let key = key(name, fields, &by);
        builder.add(&format!("{name}GroupKey"), owner, Type::Object(key))?;
        let description = format!("A property by which rows of {name} are grouped.");
        builder.add(&format!("{name}GroupField"), owner, Type::Enum(Enum { description, values: by }))?;
        let mut group = figures(builder, owner, model, row)?;
        group.insert(
            0,
            Field::property("key", "What its rows have in common.", TypeRef::named_nn(format!("{name}GroupKey"))),
        );
        let description = format!("Rows of {name} that have the same in the properties that they are grouped by.");
        builder.add(&format!("{name}Group"), owner, Type::Object(Object { description, fields: group }))?;
        all.push(Field {
            arguments: by_arguments(builder, name),
            resolve: Resolve::Groups { model: name.clone() },
            ..Field::property(
                "groups",
                "The same of each group of rows, in the order of what they are grouped by; null comes last.",
                TypeRef::named_nn_list_nn(format!("{name}Group")),
            )
        });
    }
    if builder.is_led_to(name) {
        let fields = figures(builder, owner, model, row)?;
        let description = format!("What is computed of the rows of {name} that a relation leads to.");
        builder.add(&format!("{name}Figures"), owner, Type::Object(Object { description, fields }))?;
    }
    let description = format!("What is computed of rows of {name}.");
    builder.add(&format!("{name}Aggregate"), owner, Type::Object(Object { description, fields: all }))
}

/// `ticketsAggregate(where: TicketWhere, …): TicketAggregate!`.
pub(super) fn field(many: &str, model: &ReadModel) -> Field {
    Field {
        name: format!("{many}Aggregate"),
        description: format!("How many rows of {} there are, and what is computed of them.", model.name),
        arguments: inputs::choice(model).into_iter().chain([models::min_position()]).collect(),
        ty: TypeRef::named_nn(format!("{}Aggregate", model.name)),
        resolve: Resolve::Aggregate { model: model.name.clone() },
    }
}

/// `ticketsAggregate(where: TicketWhere, …): TicketFigures!`, of the rows that a relation leads to.
pub(super) fn related(model: &ReadModel, relation: &Relation, key: &Name) -> Field {
    let (key, field) = (key.to_string(), relation.field.to_string());
    Field {
        arguments: inputs::choice(model),
        resolve: Resolve::ToManyAggregate { model: model.name.clone(), key, field },
        ..Field::property(
            &format!("{}Aggregate", relation.name),
            &format!("How many there are of {}, and what is computed of them.", relation.name),
            TypeRef::named_nn(format!("{}Figures", model.name)),
        )
    }
}

/// `count`, and what is computed of properties.
fn figures(builder: &mut Builder<'_>, owner: &str, model: &ReadModel, row: &Row) -> Result<Vec<Field>, String> {
    let mut figures = vec![Field::property(COUNT, "How many rows there are.", TypeRef::named_nn(TypeRef::INT))];
    for (name, function) in FUNCTIONS {
        let fields: Vec<Field> = row
            .fields
            .iter()
            .filter_map(|field| {
                let scalar = computed(function, &field.slot.shape)?;
                Some(Field::property(field.name.as_str(), &field.description, TypeRef::named(scalar.name())))
            })
            .collect();
        if fields.is_empty() {
            continue;
        }
        let ty = format!("{}{}", model.name, names::pascal(name));
        let description = format!("{} of rows of {}; null where no row has one.", words(function), model.name);
        builder.add(&ty, owner, Type::Object(Object { description, fields }))?;
        figures.push(Field::property(name, &format!("{}.", words(function)), TypeRef::named_nn(ty)));
    }
    Ok(figures)
}

const fn words(function: Function) -> &'static str {
    match function {
        Function::Sum => "The sums of properties",
        Function::Avg => "The averages of properties",
        Function::Min => "The least values of properties",
        Function::Max => "The greatest values of properties",
    }
}

/// What something comes to that is computed of a property; nothing, if there is no sense in it.
const fn computed(function: Function, shape: &Shape) -> Option<Scalar> {
    match (function, shape) {
        (_, Shape::Float) => Some(Scalar::Float),
        (Function::Sum | Function::Avg, Shape::Integer { .. } | Shape::Decimal) => Some(Scalar::Decimal),
        (Function::Min | Function::Max, Shape::Integer { .. } | Shape::Decimal | Shape::Text | Shape::Timestamp) => {
            Some(shapes::scalar(shape))
        }
        _ => None,
    }
}

/// Whether rows can be grouped by a property.
const fn groups(shape: &Shape) -> bool {
    !matches!(shape, Shape::List(_) | Shape::Object(_) | Shape::Json)
}

/// The properties by which rows are grouped, and the rows of others to which they lead.
fn key(model: &Name, fields: &[Field], by: &[EnumValue]) -> Object {
    let has = |name: &str| by.iter().any(|value| value.name == name);
    let kept = fields.iter().filter(|field| match &field.resolve {
        Resolve::Property => has(&field.name),
        Resolve::ToOne { field, .. } => has(field),
        _ => false,
    });
    // What groups are not made by is null in all of them.
    let nullable = |field: &Field| match &field.ty {
        TypeRef::NonNull(inner) => Field { ty: inner.as_ref().clone(), ..field.clone() },
        _ => field.clone(),
    };
    let description = format!("What rows of {model} have in common. Only what they are grouped by can be asked for.");
    Object { description, fields: kept.map(nullable).collect() }
}

fn by_arguments(builder: &Builder<'_>, model: &Name) -> Vec<Argument> {
    let by = TypeRef::NonNull(Box::new(TypeRef::named_nn_list(format!("{model}GroupField"))));
    let most = builder.limits.page_max.min(GROUPS_MOST);
    let mut arguments = vec![Argument::new("by", &format!("The properties to group by; {BY_MOST} at most."), by)];
    arguments.extend(inputs::range(builder.limits.page_default.min(most), most, false));
    arguments
}
