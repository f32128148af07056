//! Connections: a page of a list from a cursor on. What is not selected is not read: neither rows nor their number.

use futures::future::try_join;
use serde_json::{Value as Json, json};
use yado_engine::{Filter, Rows, Select};
use yado_model::Name;

use super::Execution;
use super::resolve::columns;
use super::tree::Selected;
use crate::api::{CURSOR, EDGES, END_CURSOR, NODES, PAGE_INFO, START_CURSOR, TOTAL_COUNT, most};
use crate::cursor;
use crate::error::Error;
use crate::input::Arguments;
use crate::select::{self, Sorting, Which};

/// The part of a list that is asked for.
struct Window {
    limit: u32,
    /// Whether they are the last ones.
    backward: bool,
}

/// Rows, which of them are of the page, and whether there are more of them in the direction of the question.
#[derive(Default)]
struct Found {
    rows: Rows,
    from: usize,
    to: usize,
    more: bool,
}

/// A part of a list, as far as it is asked for.
pub(super) struct Connection {
    pub(super) rows: Rows,
    /// The first row that is of it.
    pub(super) from: usize,
    /// The one behind the last.
    pub(super) to: usize,
    /// The place of each of them, if it is asked for.
    pub(super) cursors: Vec<String>,
    /// Where the part is in the list.
    pub(super) page: Option<Json>,
    /// How many rows there are in the list.
    pub(super) total: Option<u64>,
}

impl Execution<'_> {
    /// A page of rows, with what is selected of it.
    pub(super) async fn connection(
        &self,
        model: &Name,
        key: &str,
        arguments: &Arguments<'_>,
        one: &Selected<'_>,
    ) -> Result<Connection, Error> {
        let mut which = select::which(&self.ground(), model, &[], arguments)?;
        let window = self.window(arguments)?;
        let sorting = select::sorting(&self.ground(), model, arguments)?;
        which.models.extend(sorting.models.iter().cloned());
        let wants = |name: &str| one.below.iter().any(|part| part.name() == name);
        let mark = |name: &str| match arguments.get(name).and_then(Json::as_str) {
            Some(text) => cursor::read(self.api, model, &sorting, name, text).map(Some),
            None => Ok(None),
        };
        let select = Select {
            filter: which.filter.clone(),
            // One more shows whether there are more.
            limit: window.limit + 1,
            after: mark("after")?,
            before: mark("before")?,
            backward: window.backward,
            columns: Some(row_columns(&one.below, &sorting)),
            order: sorting.order.clone(),
            beside: shows_cursors(&one.below),
            ..Select::page(0)
        };
        let rows = async {
            match wants(EDGES) || wants(NODES) || wants(PAGE_INFO) {
                true => self.found(model, &which, &select, &window).await,
                false => Ok(Found::default()),
            }
        };
        let count = async {
            match wants(TOTAL_COUNT) {
                true => self.counted(model, &which).await.map(Some),
                false => Ok(None),
            }
        };
        let (Found { rows, from, to, more }, total) = try_join(rows, count).await?;
        let cursor = |at| cursor::of(&sorting, &rows, at, key);
        let end = |name: &str, at: Option<usize>| {
            at.filter(|_| has_below(&one.below, PAGE_INFO, name)).map(cursor).transpose()
        };
        let page = match wants(PAGE_INFO) {
            true => {
                let (next, previous) = match window.backward {
                    false => (more, select.after.is_some()),
                    true => (select.before.is_some(), more),
                };
                let (first, last) = (from..to).next().zip((from..to).next_back()).unzip();
                Some(json!({
                    "hasNextPage": next, "hasPreviousPage": previous,
                    START_CURSOR: end(START_CURSOR, first)?, END_CURSOR: end(END_CURSOR, last)?,
                }))
            }
            false => None,
        };
        let cursors = match has_below(&one.below, EDGES, CURSOR) {
            true => (from..to).map(cursor).collect::<Result<_, _>>()?,
            false => Vec::new(),
        };
        Ok(Connection { rows, from, to, cursors, page, total })
    }

    async fn found(&self, model: &Name, which: &Which, select: &Select, window: &Window) -> Result<Found, Error> {
        let rows = self.session.select(model, select);
        let rows = self.read_all(which.models.iter(), rows).await?;
        let (limit, count) = (window.limit as usize, rows.len());
        let more = count > limit;
        // The one more is at the end at which the page goes on.
        let from = if window.backward { count.saturating_sub(limit) } else { 0 };
        let to = if window.backward { count } else { count.min(limit) };
        Ok(Found { rows, from, to, more })
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
}

/// Whether the selected parts of a connection say where rows are in their list.
fn shows_cursors(parts: &[Selected<'_>]) -> bool {
    [(PAGE_INFO, START_CURSOR), (PAGE_INFO, END_CURSOR), (EDGES, CURSOR)]
        .iter()
        .any(|(part, field)| has_below(parts, part, field))
}

/// Whether a field is selected of a part of a connection.
fn has_below(parts: &[Selected<'_>], part: &str, field: &str) -> bool {
    parts.iter().filter(|one| one.name() == part).any(|one| one.below.iter().any(|below| below.name() == field))
}

/// The columns that the selected parts of a connection need.
fn row_columns(parts: &[Selected<'_>], sorting: &Sorting) -> Vec<String> {
    let mut shown: Vec<&Selected<'_>> = Vec::new();
    for part in parts {
        match part.name() {
            NODES => shown.extend(&part.below),
            EDGES => shown.extend(part.below.iter().filter(|part| part.name() != CURSOR).flat_map(|part| &part.below)),
            _ => {}
        }
    }
    let mut columns = columns(shown);
    if shows_cursors(parts) {
        columns.extend(sorting.by.iter().filter(|by| !by.is_related).map(|by| by.field.clone()));
        columns.sort_unstable();
        columns.dedup();
    }
    columns
}
