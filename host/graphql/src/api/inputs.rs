//! How rows are chosen and put in order: `where` and `orderBy`.
//!
//! Each comparison of a filter must hold, and so must each field of a `where`; `and`, `or` and `not` combine them. Null
//! is asked for with `isNull`. Whatever else is null is no condition, be it a comparison, a field or a combination: a
//! caller leaves a variable empty, and so leaves out what it stands for.

use async_graphql::dynamic::TypeRef;
use yado_model::manifest::{Manifest, ReadModel};
use yado_model::schema::{Object as Row, Shape};

use super::build::Builder;
use super::{Argument, Input, Scalar, Type, host, named, shapes};

/// One filter for every scalar that can be compared.
pub(super) fn add_filters(builder: &mut Builder<'_>) -> Result<(), String> {
    for scalar in Scalar::ALL.into_iter().filter(|scalar| *scalar != Scalar::Json) {
        add_filter(builder, scalar.name(), "the server", scalar != Scalar::Boolean, scalar == Scalar::String)?;
    }
    let null = Argument::new("isNull", "Whether it is null.", named("Boolean", false));
    let description = "Whether a JSON value is there: it can't be compared.".into();
    builder.add("JSONFilter", "the server", Type::Input(Input { description, fields: vec![null], one_of: false }))
}

fn add_filter(builder: &mut Builder<'_>, of: &str, owner: &str, ordered: bool, text: bool) -> Result<(), String> {
    let one = |name: &str, description: &str| Argument::new(name, description, named(of, false));
    let mut fields = vec![
        one("eq", "It is equal to this."),
        one("ne", "It is not equal to this; null is not equal to anything."),
        Argument::new("in", "It is one of these.", TypeRef::named_nn_list(of)),
    ];
    if ordered {
        fields.extend([
            one("lt", "It is less than this."),
            one("lte", "It is at most this."),
            one("gt", "It is greater than this."),
            one("gte", "It is at least this."),
        ]);
    }
    if text {
        fields.extend([
            one("contains", "It contains this, in either case."),
            one("startsWith", "It begins with this, in either case."),
            one("endsWith", "It ends with this, in either case."),
        ]);
    }
    fields.push(Argument::new("isNull", "Whether it is null.", named("Boolean", false)));
    let description =
        format!("What must hold of {} {of}. All that is given must hold; what is null is no condition.", article(of));
    builder.add(&filter(of), owner, Type::Input(Input { description, fields, one_of: false }))
}

fn filter(of: &str) -> String {
    match of {
        "ID" => "IdFilter".to_owned(),
        other => format!("{other}Filter"),
    }
}

fn article(of: &str) -> &'static str {
    if of.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" }
}

/// `<Model>Where` and `<Model>Order`.
pub(super) fn add(builder: &mut Builder<'_>, plugin: &Manifest, model: &ReadModel, row: &Row) -> Result<(), String> {
    let owner = format!("read model {} of plugin {}", model.name, plugin.name);
    let (where_name, order_name) = (format!("{}Where", model.name), format!("{}Order", model.name));
    let combined = |name: &str, description: &str, ty: TypeRef| Argument::new(name, description, ty);
    let mut conditions = vec![
        combined("and", "Each of these holds.", TypeRef::named_nn_list(&where_name)),
        combined("or", "At least one of these holds.", TypeRef::named_nn_list(&where_name)),
        combined("not", "This does not hold.", TypeRef::named(&where_name)),
    ];
    let mut orders = Vec::new();
    for field in &row.fields {
        let name = field.name.as_str();
        if ["and", "or", "not"].contains(&name) {
            return Err(format!("{owner} has a property {name}, which GraphQL needs to combine conditions: rename it"));
        }
        let place = shapes::Place::of(model.name.as_str(), name, &owner);
        let of = match &field.slot.shape {
            shape @ Shape::Enumeration(_) => {
                let slot = yado_model::schema::Slot { shape: shape.clone(), nullable: false };
                let of = shapes::input(builder, &slot, false, &place)?.type_name().to_owned();
                if of != Scalar::String.name() {
                    add_filter(builder, &of, &owner, false, false)?;
                }
                of
            }
            shape => shapes::scalar(shape).name().to_owned(),
        };
        conditions.push(Argument::new(name, &field.description, TypeRef::named(filter(&of))));
        if of != Scalar::Json.name() {
            orders.push(Argument::new(name, &field.description, TypeRef::named(host::DIRECTION)));
        }
    }
    let description =
        format!("Which rows of {}. All that is given must hold; what is null is no condition.", model.name);
    builder.add(&where_name, &owner, Type::Input(Input { description, fields: conditions, one_of: false }))?;
    let description = format!("A property by which rows of {} are put in order.", model.name);
    builder.add(&order_name, &owner, Type::Input(Input { description, fields: orders, one_of: true }))
}

/// The arguments by which a page of rows is chosen.
pub(super) fn page(builder: &Builder<'_>, model: &str, nested: bool) -> Vec<Argument> {
    let limits = builder.limits;
    let mut arguments = vec![
        Argument::new("where", "Which rows.", TypeRef::named(format!("{model}Where"))),
        Argument::new(
            "orderBy",
            "In which order: first by the first, then by the second, and so on; at last by key.",
            TypeRef::named_nn_list(format!("{model}Order")),
        ),
        Argument {
            default: Some(limits.page_default.into()),
            ..Argument::new(
                "limit",
                &format!("At most so many{}; {} at most.", if nested { " for each" } else { "" }, limits.page_max),
                TypeRef::named(TypeRef::INT),
            )
        },
    ];
    if !nested {
        arguments.push(Argument {
            default: Some(0.into()),
            ..Argument::new("offset", "So many are skipped first.", TypeRef::named(TypeRef::INT))
        });
    }
    arguments
}
