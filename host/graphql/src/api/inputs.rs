//! How rows are chosen and put in order: `where` and `orderBy`.
//!
//! Each comparison of a filter must hold, and so must each field of a `where`; `and`, `or` and `not` combine them. Null
//! is asked for with `isNull`. Whatever else is null is no condition, be it a comparison, a field or a combination: a
//! caller leaves a variable empty, and so leaves out what it stands for.
//!
//! A relation is a condition on the rows that it leads to. One to a single row is an order, too: by a property of that row.

use async_graphql::dynamic::TypeRef;
use yado_model::Name;
use yado_model::manifest::{Manifest, ReadModel, Relation};
use yado_model::schema::{Object as Row, Shape};

use super::build::Builder;
use super::{Argument, Input, MANY, ORDER, ORDER_BY, SEARCH, Scalar, Type, WHERE, host, named, shapes};

/// The names of what combines conditions.
const COMBINED: [&str; 3] = ["and", "or", "not"];
/// The filter of texts that are searched.
const SEARCH_FILTER: &str = "SearchFilter";

/// One filter for every scalar that can be compared.
pub(super) fn add_filters(builder: &mut Builder<'_>) -> Result<(), String> {
    for scalar in Scalar::ALL.into_iter().filter(|scalar| *scalar != Scalar::Json) {
        let text = (scalar == Scalar::String).then_some("");
        add_filter(builder, &filter(scalar.name()), scalar.name(), "the server", scalar != Scalar::Boolean, text)?;
    }
    let text = Some(", whatever the case and the width of letters");
    add_filter(builder, SEARCH_FILTER, Scalar::String.name(), "the server", true, text)?;
    let null = Argument::new("isNull", "Whether it is null.", named("Boolean", false));
    let description = "Whether a JSON value is there: it can't be compared.".into();
    builder.add("JSONFilter", "the server", Type::Input(Input { description, fields: vec![null], one_of: false }))
}

/// A filter. `text` is said of what is looked for in a text, and there if it is one.
fn add_filter(
    builder: &mut Builder<'_>,
    name: &str,
    of: &str,
    owner: &str,
    ordered: bool,
    text: Option<&str>,
) -> Result<(), String> {
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
    if let Some(how) = text {
        fields.extend([
            one("contains", &format!("It contains this{how}.")),
            one("startsWith", &format!("It begins with this{how}.")),
            one("endsWith", &format!("It ends with this{how}.")),
        ]);
    }
    fields.push(Argument::new("isNull", "Whether it is null.", named("Boolean", false)));
    let searched = if name == SEARCH_FILTER { " that is searched" } else { "" };
    let description = format!(
        "What must hold of {} {of}{searched}. All that is given must hold; what is null is no condition.",
        article(of)
    );
    builder.add(name, owner, Type::Input(Input { description, fields, one_of: false }))
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
    let (where_name, order_name) = (format!("{}{WHERE}", model.name), format!("{}{ORDER}", model.name));
    let combined = |name: &str, description: &str, ty: TypeRef| Argument::new(name, description, ty);
    let mut conditions = vec![
        combined("and", "Each of these holds.", TypeRef::named_nn_list(&where_name)),
        combined("or", "At least one of these holds.", TypeRef::named_nn_list(&where_name)),
        combined("not", "This does not hold.", TypeRef::named(&where_name)),
    ];
    let mut orders = Vec::new();
    for field in &row.fields {
        let name = field.name.as_str();
        if COMBINED.contains(&name) {
            return Err(format!("{owner} has a property {name}, which GraphQL needs to combine conditions: rename it"));
        }
        let place = shapes::Place::of(model.name.as_str(), name, &owner);
        let of = match &field.slot.shape {
            shape @ Shape::Enumeration(_) => {
                let slot = yado_model::schema::Slot { shape: shape.clone(), nullable: false };
                let of = shapes::input(builder, &slot, false, &place)?.type_name().to_owned();
                if of != Scalar::String.name() {
                    add_filter(builder, &filter(&of), &of, &owner, false, None)?;
                }
                of
            }
            shape => shapes::scalar(shape).name().to_owned(),
        };
        let searched = model.search.contains(&field.name);
        let filter = if searched { SEARCH_FILTER.to_owned() } else { filter(&of) };
        conditions.push(Argument::new(name, &field.description, TypeRef::named(filter)));
        if of != Scalar::Json.name() {
            orders.push(Argument::new(name, &field.description, TypeRef::named(host::DIRECTION)));
        }
    }
    if builder.is_led_to(&model.name) {
        many(builder, &owner, &model.name)?;
    }
    for relation in &model.relations {
        conditions.extend(related(builder, &owner, relation)?);
        if !relation.many && builder.model(&relation.model).is_some() {
            let target = &relation.model;
            let text = format!("A property of the {target} that it leads to; rows without one come last.");
            orders.push(Argument::new(relation.name.as_str(), &text, TypeRef::named(format!("{target}{ORDER}"))));
        }
    }
    let description =
        format!("Which rows of {}. All that is given must hold; what is null is no condition.", model.name);
    builder.add(&where_name, &owner, Type::Input(Input { description, fields: conditions, one_of: false }))?;
    let description = format!("A property by which rows of {} are put in order.", model.name);
    builder.add(&order_name, &owner, Type::Input(Input { description, fields: orders, one_of: true }))
}

/// The condition on what a relation leads to; none, if it leads to nothing that is there.
fn related(builder: &Builder<'_>, owner: &str, relation: &Relation) -> Result<Option<Argument>, String> {
    let (name, target) = (relation.name.as_str(), &relation.model);
    if COMBINED.contains(&name) {
        return Err(format!("{owner} has a relation {name}, which GraphQL needs to combine conditions: rename it"));
    }
    if builder.model(target).is_none() {
        return Ok(None);
    }
    let (text, ty) = if relation.many {
        ("What must hold of those that it leads to.".to_owned(), format!("{target}{MANY}"))
    } else {
        (format!("There is a {target} that it leads to, and this holds of it."), format!("{target}{WHERE}"))
    };
    Ok(Some(Argument::new(name, &text, TypeRef::named(ty))))
}

/// `<Model>Many`: conditions on several rows.
fn many(builder: &mut Builder<'_>, owner: &str, model: &Name) -> Result<(), String> {
    let one = |name: &str, text: &str| Argument::new(name, text, TypeRef::named(format!("{model}{WHERE}")));
    let fields = vec![
        one("some", "This holds of at least one."),
        one("every", "This holds of each of them, as it does where there are none."),
        one("none", "This holds of none of them."),
    ];
    let description = format!(
        "Of how many rows of {model} something must hold. All that is given must hold; what is null is no condition."
    );
    builder.add(&format!("{model}{MANY}"), owner, Type::Input(Input { description, fields, one_of: false }))
}

/// The arguments by which a page of rows is chosen.
pub(super) fn page(builder: &Builder<'_>, model: &ReadModel, nested: bool) -> Vec<Argument> {
    let mut arguments = choice(model);
    arguments.push(order(model.name.as_str()));
    arguments.extend(range(builder.limits.page_default, builder.limits.page_max, nested));
    arguments
}

/// The arguments that say which rows.
pub(super) fn choice(model: &ReadModel) -> Vec<Argument> {
    let mut arguments = vec![Argument::new("where", "Which rows.", TypeRef::named(format!("{}{WHERE}", model.name)))];
    if !model.search.is_empty() {
        let fields: Vec<&str> = model.search.iter().map(Name::as_str).collect();
        let text = format!(
            "Only rows with each of these words in {}, whatever the case and the width of letters.",
            fields.join(" or ")
        );
        arguments.push(Argument::new(SEARCH, &text, TypeRef::named(TypeRef::STRING)));
    }
    arguments
}

/// The argument that says in which order.
pub(super) fn order(model: &str) -> Argument {
    Argument::new(
        ORDER_BY,
        "In which order: first by the first, then by the second, and so on; at last by key, in the last one's direction.",
        TypeRef::named_nn_list(format!("{model}{ORDER}")),
    )
}

/// The arguments that say which part of what there is.
pub(super) fn range(default: u32, most: u32, nested: bool) -> Vec<Argument> {
    let each = if nested { " for each" } else { "" };
    let [limit, offset] =
        [format!("At most so many{each}; {most} at most."), format!("So many are skipped first{each}.")];
    let argument = |name: &str, text: &str, default: u32| {
        let argument = Argument::new(name, text, TypeRef::named(TypeRef::INT));
        Argument { default: Some(default.into()), ..argument }
    };
    vec![argument("limit", &limit, default), argument("offset", &offset, 0)]
}
