//! Commands: from the arguments of a mutation to what is answered.

use std::sync::PoisonError;

use async_graphql::Value;
use serde_json::{Map, Value as Json, json};
use yado_engine::{CommandOptions, Receipt};
use yado_model::{IdempotencyKey, Name, Revision};

use super::Execution;
use super::path::Path;
use super::tree::{self, Selected};
use crate::api::RECEIPT;
use crate::error::Error;
use crate::input::Arguments;
use crate::request::Data;

impl Execution<'_> {
    /// Runs a command.
    pub(super) async fn command(
        &self,
        command: &Name,
        mut arguments: Arguments<'_>,
        one: &Selected<'_>,
        several: bool,
    ) -> Result<Receipt, Error> {
        let options = CommandOptions {
            idempotency_key: self.idempotency_key(&arguments, one, several)?,
            expected_revision: revision(arguments.get("expectedRevision"))?,
            causation_id: None,
        };
        let payload = arguments.take("input").unwrap_or_else(|| Json::Object(Map::new()));
        let receipt = self.session.dispatch(command, payload, options).await?;
        // It is told whatever becomes of the answer: the change is recorded.
        let mut receipts = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        receipts.push((one.key.clone(), receipt.clone()));
        Ok(receipt)
    }

    /// What is selected of a receipt. All of its fields are at hand, and none has parts: nothing is looked up for it.
    pub(super) fn receipt(&self, receipt: &Receipt, one: &Selected<'_>) -> Data {
        let mut fields = Vec::new();
        for part in tree::collect(self.document, self.variables, RECEIPT, &one.sets()) {
            let value = match part.first.node.name.node.as_str() {
                "id" => Data::Value(Value::String(receipt.stream.id().to_owned())),
                // The schema says that it is an Int, and that has 32 bits.
                "revision" if i32::try_from(receipt.revision.get()).is_err() => {
                    let path = Path::root().field(one.key.clone()).field(part.key.clone());
                    self.bad_row(RECEIPT, &part, &path, &receipt.revision.get().into());
                    return Data::NULL;
                }
                "revision" => Data::Count(receipt.revision.get()),
                "position" => Data::Count(receipt.position.get()),
                _ => Data::Value(Value::String(RECEIPT.to_owned())),
            };
            fields.push((part.key, value));
        }
        Data::Object(fields)
    }

    /// The row that a command is answered with: as it is after the command, or later.
    pub(super) async fn written(
        &self,
        model: &Name,
        key: &str,
        receipt: &Receipt,
        one: &Selected<'_>,
    ) -> Result<Json, Error> {
        let id = receipt.stream.id();
        let selected = tree::collect(self.document, self.variables, model.as_str(), &one.sets());
        // Whoever has the answer may ask for lists next, and expects to find the change in them.
        let waited = self.session.caught_up(model, receipt.position).await;
        waited.map_err(|error| Error::from(error).of_row(receipt.position))?;
        // The key is known already, and need not be read.
        if selected.iter().all(|one| [key, "__typename"].contains(&one.first.node.name.node.as_str())) {
            return Ok(json!({ key: id }));
        }
        let keys = [id.to_owned()];
        let rows = self.read(model, self.session.rows(model, &keys)).await;
        rows.map_err(|error| error.of_row(receipt.position))?
            .into_iter()
            .next()
            .map(Json::Object)
            .ok_or_else(|| Error::Gone { model: model.to_string(), id: id.to_owned(), position: receipt.position })
    }

    fn idempotency_key(
        &self,
        arguments: &Arguments<'_>,
        one: &Selected<'_>,
        several: bool,
    ) -> Result<Option<IdempotencyKey>, Error> {
        let given = arguments.get("idempotencyKey").and_then(Json::as_str);
        let of_all = || {
            let key = self.caller.idempotency_key.as_ref()?.as_str();
            Some(if several { format!("{key}:{}", one.key) } else { key.to_owned() })
        };
        let key = given.map(str::to_owned).or_else(of_all);
        key.map(|key| IdempotencyKey::parse(&key)).transpose().map_err(|e| Error::input(e.to_string()))
    }
}

fn revision(argument: Option<&Json>) -> Result<Option<Revision>, Error> {
    match argument.filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(revision) => Ok(Some(Revision::new(revision))),
            None => Err(Error::input(format!("expectedRevision is {value}, and a revision is not below 0"))),
        },
    }
}
