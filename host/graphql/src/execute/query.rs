//! Named queries: from the arguments of a field to what a guest answers.

use serde_json::Value as Json;
use yado_engine::Ask;
use yado_model::Name;

use super::Execution;
use crate::api::Field;
use crate::error::Error;
use crate::input::Arguments;

impl Execution<'_> {
    /// Asks a named query. Its answer was weighed as one page, and may not be longer than that: whatever is selected of
    /// its rows is looked up for each of them.
    pub(super) async fn ask(&self, field: &Field, query: &Name, arguments: Arguments<'_>) -> Result<Json, Error> {
        let ask = Ask {
            tenant: self.caller.tenant.clone(),
            query: query.clone(),
            arguments: Json::Object(arguments.into_object()),
            actor: self.caller.actor.clone(),
            correlation_id: self.caller.correlation_id,
        };
        let answer = self.read_all(self.models_of(query), self.backend.ask(self.deployed, ask)).await?;
        let listed = self.api.listed(&field.ty, &answer);
        Error::within("objects in the answer to a query", listed, self.limits.page_max.into())?;
        Ok(answer)
    }
}
