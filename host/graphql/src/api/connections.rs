//! Connections: lists that a client goes through page by page, from wherever it has come to, after the specification of
//! Relay's cursor connections.

use async_graphql::dynamic::TypeRef;
use yado_model::manifest::ReadModel;

use super::build::Builder;
use super::{Argument, Field, Object, Resolve, Type, inputs, models};
use crate::limits::PAGE_MOST;

/// The parts of a connection that have an item for each row.
pub(crate) const EDGES: &str = "edges";
pub(crate) const NODES: &str = "nodes";
/// The place of an edge.
pub(crate) const CURSOR: &str = "cursor";
/// Those that don't.
pub(crate) const PAGE_INFO: &str = "pageInfo";
pub(crate) const START_CURSOR: &str = "startCursor";
pub(crate) const END_CURSOR: &str = "endCursor";
pub(crate) const TOTAL_COUNT: &str = "totalCount";

/// `TicketConnection`, and what is in it.
pub(super) fn add(builder: &mut Builder<'_>, owner: &str, model: &ReadModel) -> Result<(), String> {
    let name = model.name.as_str();
    let page = vec![
        Field::property("hasNextPage", "Whether there are rows after these.", TypeRef::named_nn(TypeRef::BOOLEAN)),
        Field::property("hasPreviousPage", "Whether there are rows before these.", TypeRef::named_nn(TypeRef::BOOLEAN)),
        Field::property(START_CURSOR, "The cursor of the first of these rows.", TypeRef::named(TypeRef::STRING)),
        Field::property(END_CURSOR, "The cursor of the last of these rows.", TypeRef::named(TypeRef::STRING)),
    ];
    let description = "Where a page is in its list. In the direction that it was not asked for, there are more if a cursor \
                       was given to begin from: the row that it stands for.";
    let info = Object { description: description.to_owned(), fields: page };
    builder.add("PageInfo", "the server", Type::Object(info))?;
    let edge = Object {
        description: format!("A row of {name}, and its place in the list."),
        fields: vec![
            Field::property("node", "The row.", TypeRef::named_nn(name)),
            Field::property(CURSOR, "Its place: what before and after ask for.", TypeRef::named_nn(TypeRef::STRING)),
        ],
    };
    builder.add(&format!("{name}Edge"), owner, Type::Object(edge))?;
    let rows = |name: &str, description: &str, ty: String| Field {
        resolve: Resolve::Items,
        ..Field::property(name, description, TypeRef::named_nn_list_nn(ty))
    };
    let fields = vec![
        rows(EDGES, "The rows with their places.", format!("{name}Edge")),
        rows(NODES, "The rows.", name.to_owned()),
        Field::property(PAGE_INFO, "Where the page is.", TypeRef::named_nn("PageInfo")),
        Field::property(TOTAL_COUNT, "How many rows there are on all pages together.", TypeRef::named_nn(TypeRef::INT)),
    ];
    let description = format!("A page of rows of {name}.");
    builder.add(&format!("{name}Connection"), owner, Type::Object(Object { description, fields }))
}

/// `ticketsConnection(where: TicketWhere, …, first: Int, after: String, …): TicketConnection!`.
pub(super) fn field(builder: &Builder<'_>, many: &str, model: &ReadModel) -> Field {
    let number = |name: &str, text: String| Argument::new(name, &text, TypeRef::named(TypeRef::INT));
    let cursor = |name: &str, text: &str| Argument::new(name, text, TypeRef::named(TypeRef::STRING));
    let (default, most) = (builder.limits.page_default, most(builder.limits.page_max));
    let mut arguments = inputs::choice(model);
    arguments.extend([
        inputs::order(model.name.as_str()),
        number("first", format!("The first so many; {most} at most, and {default} if neither this is given nor last.")),
        cursor("after", "Only rows after the one with this cursor."),
        number("last", format!("The last so many; {most} at most.")),
        cursor("before", "Only rows before the one with this cursor."),
        models::min_position(),
    ]);
    Field {
        name: format!("{many}Connection"),
        description: format!("Rows of {}, to be gone through page by page.", model.name),
        arguments,
        ty: TypeRef::named_nn(format!("{}Connection", model.name)),
        resolve: Resolve::Connection { model: model.name.clone(), key: model.key.to_string() },
    }
}

/// How many rows a page may have. One more is read, to see whether there is one.
pub(crate) fn most(page_max: u32) -> u32 {
    page_max.min(PAGE_MOST - 1)
}
