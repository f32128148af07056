//! Named queries: from the arguments of a field to rows, or to what a guest answers.

use serde_json::{Map, Value as Json};
use yado_engine::{Answered, PageOptions};
use yado_model::Name;
use yado_model::manifest::Answer;

use super::Execution;
use super::resolve::list;
use super::tree::{self, Selected};
use crate::api::{Declared, Field, LIMIT, MIN_POSITION, OFFSET};
use crate::error::Error;
use crate::input::Arguments;
use crate::select;

impl Execution<'_> {
    /// Asks a named query that a guest answers. Its answer was weighed as one page, and may not be longer than that:
    /// whatever is selected of its rows is looked up for each of them.
    pub(super) async fn ask(&self, field: &Field, query: &Name, arguments: Arguments<'_>) -> Result<Json, Error> {
        let arguments = Json::Object(arguments.into_object());
        let asked = self.session.ask(query, arguments, PageOptions::default());
        let answer = json(self.read_all(self.models_of(query), asked).await?, None);
        let listed = self.api.listed(&field.ty, &answer);
        Error::within("objects in the answer to a query", listed, self.limits.page_max.into())?;
        Ok(answer)
    }

    /// Asks a declared query for no more than is selected of its answer.
    pub(super) async fn ask_rows(
        &self,
        field: &Field,
        (query, rows): (&Name, &Declared),
        mut arguments: Arguments<'_>,
        one: &Selected<'_>,
    ) -> Result<Json, Error> {
        let mut page = PageOptions {
            rows_max: self.limits.page_max,
            offset_max: self.limits.offset_max,
            ..PageOptions::default()
        };
        if let Answer::List { limit } = rows.answer {
            let most = limit.min(page.rows_max);
            if rows.gives(LIMIT) {
                page.limit = Some(select::number(LIMIT, &arguments, most, most)?);
            }
            if rows.gives(OFFSET) {
                page.offset = select::number(OFFSET, &arguments, 0, page.offset_max)?;
            }
        }
        let names = match &rows.answer {
            Answer::Page { rows, total, .. } => Some((rows, total)),
            Answer::One | Answer::List { .. } => None,
        };
        let mut sets = one.sets();
        if let Some((listed, counted)) = names {
            let parts = tree::collect(self.document, self.variables, field.ty.type_name(), &sets);
            let is = |part: &Selected<'_>, name: &Name| part.first.node.name.node == name.as_str();
            page.counted = parts.iter().any(|part| is(part, counted));
            sets = parts.iter().filter(|part| is(part, listed)).flat_map(Selected::sets).collect();
            page.listed = !sets.is_empty();
        }
        page.columns = Some(self.columns(&rows.model, &sets));
        for name in [LIMIT, OFFSET, MIN_POSITION] {
            if rows.gives(name) {
                arguments.take(name);
            }
        }
        let asked = self.session.ask(query, Json::Object(arguments.into_object()), page);
        Ok(json(self.read(&rows.model, asked).await?, names))
    }
}

/// An answer as the field's type has it. `names` are those of the parts of a page.
fn json(answered: Answered, names: Option<(&Name, &Name)>) -> Json {
    match (answered, names) {
        (Answered::Json(answer), _) => answer,
        (Answered::One { row, .. }, _) => row.map_or(Json::Null, Json::Object),
        (Answered::Page { rows, total, .. }, Some((listed, counted))) => {
            let total = total.map(|total| (counted.to_string(), total.into()));
            Json::Object(Map::from_iter(total.into_iter().chain([(listed.to_string(), list(rows))])))
        }
        (Answered::List { rows, .. } | Answered::Page { rows, .. }, _) => list(rows),
    }
}
