//! Named queries: from the arguments of a field to rows, or to what a guest answers.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use yado_engine::{Answered, PageOptions};
use yado_model::Name;
use yado_model::manifest::Answer;

use super::Execution;
use super::resolve::{Resolved, columns};
use super::tree::Selected;
use crate::api::{Declared, Field, LIMIT, OFFSET, ORDER_BY};
use crate::error::Error;
use crate::input::Arguments;
use crate::select;

impl Execution<'_> {
    /// Asks a named query that a guest answers. Its answer was weighed as one page, and may not be longer than that:
    /// whatever is selected of its rows is looked up for each of them.
    pub(super) async fn ask(&self, field: &Field, query: &Name, arguments: Arguments<'_>) -> Result<Json, Error> {
        let arguments = Json::Object(arguments.into_object());
        let asked = self.session.ask(query, arguments, PageOptions::default());
        // Rows answer declared queries alone.
        let Answered::Json(answer) = self.read_all(self.models_of(query), asked).await? else { return Ok(Json::Null) };
        let listed = self.api.listed(&field.ty, &answer);
        Error::within("objects in the answer to a query", listed, self.limits.page_max.into())?;
        Ok(answer)
    }

    /// Asks a declared query for no more than is selected of its answer.
    pub(super) async fn ask_rows<'p>(
        &self,
        (query, rows): (&Name, &'p Declared),
        mut arguments: Arguments<'_>,
        one: &Selected<'_>,
    ) -> Result<Resolved<'p>, Error> {
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
        let mut models = BTreeSet::from([rows.model.clone()]);
        if rows.gives(ORDER_BY) {
            let sorting = select::sorting(&self.ground(), &rows.model, &arguments)?;
            page.order = sorting.order;
            models.extend(sorting.models);
        }
        let names = match &rows.answer {
            Answer::Page { rows, total, .. } => Some((rows, total)),
            Answer::One | Answer::List { .. } => None,
        };
        let mut shown: Vec<&Selected<'_>> = one.below.iter().collect();
        if let Some((listed, counted)) = names {
            let is = |part: &Selected<'_>, name: &Name| part.name() == name.as_str();
            page.counted = shown.iter().any(|part| is(part, counted));
            page.listed = shown.iter().any(|part| is(part, listed));
            shown = one.below.iter().filter(|part| is(part, listed)).flat_map(|part| &part.below).collect();
        }
        page.columns = Some(columns(shown));
        for name in [ORDER_BY, LIMIT, OFFSET] {
            if rows.gives(name) {
                arguments.take(name);
            }
        }
        let asked = self.session.ask(query, Json::Object(arguments.into_object()), page);
        Ok(match (self.read_all(models.iter(), asked).await?, names) {
            (Answered::One { rows, .. }, _) => Resolved::Row(rows),
            (Answered::Page { rows, total, .. }, Some((listed, counted))) => {
                let total = total.map(|total| (counted.as_str(), total));
                Resolved::Page { rows, listed: listed.as_str(), total }
            }
            (Answered::List { rows, .. } | Answered::Page { rows, .. }, _) => Resolved::Rows(rows),
            (Answered::Json(answer), _) => Resolved::Json(answer),
        })
    }
}
