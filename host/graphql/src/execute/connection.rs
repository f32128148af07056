//! Connections: a page of a list from a cursor on. What is not selected is not read: neither rows nor their number.

use futures::future::try_join;
use serde_json::{Map, Value as Json, json};
use yado_engine::{Filter, Order, Row, Select};
use yado_model::Name;

use super::Execution;
use super::tree::{self, Selected};
use crate::api::{EDGES, Field, NODES, PAGE_INFO, TOTAL_COUNT, most};
use crate::cursor;
use crate::error::Error;
use crate::input::Arguments;
use crate::select::{self, Which};

/// The part of a list that is asked for.
struct Window {
    limit: u32,
    /// Whether they are the last ones.
    backward: bool,
}

/// Rows, and whether there are more of them in the direction of the question.
struct Found {
    rows: Vec<Row>,
    more: bool,
}

impl Execution<'_> {
    /// A page of rows, with what is selected of it.
    pub(super) async fn connection(
        &self,
        model: &Name,
        key: &str,
        field: &Field,
        arguments: &Arguments<'_>,
        one: &Selected<'_>,
    ) -> Result<Json, Error> {
        let which = select::which(&self.ground(), model, &[], arguments)?;
        let window = self.window(arguments)?;
        let order = select::order(arguments.get("orderBy"));
        let ty = field.ty.type_name();
        let parts = tree::collect(self.document, self.variables, ty, &one.sets());
        let wants = |name: &str| parts.iter().any(|part| part.first.node.name.node == name);
        let mark = |name: &str| match arguments.get(name).and_then(Json::as_str) {
            Some(text) => cursor::read(self.api, model, &order, name, text).map(Some),
            None => Ok(None),
        };
        let select = Select {
            filter: which.filter.clone(),
            // One more shows whether there are more.
            limit: window.limit + 1,
            after: mark("after")?,
            before: mark("before")?,
            backward: window.backward,
            columns: Some(self.row_columns(model, ty, &parts, &order)),
            order,
            ..Select::page(0)
        };
        let rows = async {
            match wants(EDGES) || wants(NODES) || wants(PAGE_INFO) {
                true => self.found(model, &which, &select, &window).await,
                false => Ok(Found { rows: Vec::new(), more: false }),
            }
        };
        let count = async {
            match wants(TOTAL_COUNT) {
                true => self.counted(model, &which).await.map(Some),
                false => Ok(None),
            }
        };
        let (Found { rows, more }, count) = try_join(rows, count).await?;
        let mut connection = Map::new();
        if wants(PAGE_INFO) {
            let cursor = |row: Option<&Row>| row.map(|row| cursor::of(&select.order, row, key));
            let (next, previous) = match window.backward {
                false => (more, select.after.is_some()),
                true => (select.before.is_some(), more),
            };
            let page = json!({
                "hasNextPage": next, "hasPreviousPage": previous,
                "startCursor": cursor(rows.first()), "endCursor": cursor(rows.last()),
            });
            connection.insert(PAGE_INFO.to_owned(), page);
        }
        let edge = |row: Row| {
            let cursor = Json::String(cursor::of(&select.order, &row, key));
            let node = Json::Object(row);
            Json::Object([("cursor".to_owned(), cursor), ("node".to_owned(), node)].into_iter().collect())
        };
        match (wants(EDGES), wants(NODES)) {
            (true, true) => {
                connection.insert(EDGES.to_owned(), rows.iter().cloned().map(edge).collect());
                connection.insert(NODES.to_owned(), rows.into_iter().map(Json::Object).collect());
            }
            (true, false) => {
                connection.insert(EDGES.to_owned(), rows.into_iter().map(edge).collect());
            }
            (false, true) => {
                connection.insert(NODES.to_owned(), rows.into_iter().map(Json::Object).collect());
            }
            (false, false) => {}
        }
        if let Some(count) = count {
            connection.insert(TOTAL_COUNT.to_owned(), count.into());
        }
        Ok(Json::Object(connection))
    }

    async fn found(&self, model: &Name, which: &Which, select: &Select, window: &Window) -> Result<Found, Error> {
        let rows = self.session.select(model, select);
        let mut rows = self.read_all(which.models.iter(), rows).await?;
        let more = rows.len() > window.limit as usize;
        match (more, window.backward) {
            (false, _) => {}
            // The one more is at the end at which the page goes on.
            (true, false) => rows.truncate(window.limit as usize),
            (true, true) => {
                rows.remove(0);
            }
        }
        Ok(Found { rows, more })
    }

    /// How many rows there are, as an Int can say it.
    async fn counted(&self, model: &Name, which: &Which) -> Result<u64, Error> {
        let filter: Option<&Filter> = which.filter.as_ref();
        let count = self.session.count(model, filter);
        let count = self.read_all(which.models.iter(), count).await?;
        super::aggregate::as_int(count)
    }

    fn window(&self, arguments: &Arguments<'_>) -> Result<Window, Error> {
        let (default, most) = (self.limits.page_default, most(self.limits.page_max));
        let given = |name: &str| arguments.get(name).is_some_and(|value| !value.is_null());
        match (given("first"), given("last")) {
            (true, true) => Err(Error::input("first and last are both given, and only one of them can be meant")),
            (_, false) => {
                Ok(Window { limit: select::number("first", arguments, default.min(most), most)?, backward: false })
            }
            (false, true) => Ok(Window { limit: select::number("last", arguments, 0, most)?, backward: true }),
        }
    }

    /// The columns that the selected parts of a connection need.
    fn row_columns(&self, model: &Name, ty: &str, parts: &[Selected<'_>], order: &[Order]) -> Vec<String> {
        let mut sets = Vec::new();
        let mut cursors = false;
        for part in parts {
            match part.first.node.name.node.as_str() {
                NODES => sets.extend(part.sets()),
                PAGE_INFO => cursors = true,
                EDGES => {
                    let edge = self.api.object(ty).and_then(|object| object.field(EDGES));
                    let edge = edge.map_or("", |edge| edge.ty.type_name());
                    for part in tree::collect(self.document, self.variables, edge, &part.sets()) {
                        match part.first.node.name.node.as_str() {
                            "cursor" => cursors = true,
                            _ => sets.extend(part.sets()),
                        }
                    }
                }
                _ => {}
            }
        }
        let mut columns = self.columns(model, &sets);
        if cursors {
            columns.extend(order.iter().map(|order| order.field.clone()));
            columns.sort_unstable();
            columns.dedup();
        }
        columns
    }
}
