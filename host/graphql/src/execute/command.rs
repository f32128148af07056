//! Commands: from the arguments of a mutation to what is answered.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use futures::future;
use serde_json::{Map, Value as Json, json};
use yado_engine::{self as engine, CommandOptions, Receipt, Shown};
use yado_model::{IdempotencyKey, Name, Revision};

use super::path::Places;
use super::resolve::{Resolved, columns};
use super::tree::Selected;
use super::value::Value;
use super::{Execution, Spot};
use crate::api::RECEIPT;
use crate::error::Error;
use crate::input::Arguments;
use crate::write;

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

    /// What is selected of a receipt, as JSON. All of its fields are at hand, and none has parts: nothing is looked up for it.
    /// Nothing, if a part of it can't be told.
    pub(super) fn receipt(&self, receipt: &Receipt, spot: &Spot<'_>) -> Option<String> {
        let revision = i64::try_from(receipt.revision.get()).unwrap_or(i64::MAX);
        let mut fields = String::from("{");
        for part in &spot.one.below {
            if fields.len() > 1 {
                fields.push(',');
            }
            write::string(part.key, &mut fields);
            fields.push(':');
            match part.name() {
                "id" => write::string(receipt.stream.id(), &mut fields),
                // The schema says that it is an Int, and that has 32 bits.
                "revision" if i32::try_from(revision).is_err() => {
                    let places = Places::Field(&spot.places, part.key);
                    let value = Value::Shown(Shown::Integer(revision));
                    self.bad_rows(&Spot { ty: RECEIPT, one: part, places }, &[(0, value)]);
                    return None;
                }
                "revision" => write::integer(revision, &mut fields),
                "position" => write::shown(&mut fields, format_args!("{}", receipt.position.get())),
                _ => write::string(RECEIPT, &mut fields),
            }
        }
        fields.push('}');
        Some(fields)
    }

    /// The row that a command is answered with: as it is after the command, or later.
    pub(super) async fn written<'p>(
        &self,
        model: &Name,
        key: &str,
        receipt: &Receipt,
        one: &Selected<'_>,
    ) -> Result<Resolved<'p>, Error> {
        let id = receipt.stream.id();
        // Whoever has the answer may ask for lists next, and expects to find the change in them; and so he does in what is
        // selected beside the row.
        let mut others = BTreeSet::new();
        self.models_below(one, &mut others);
        others.remove(model);
        let others = others.into_iter().map(|other| self.session.caught_up(other, receipt.position));
        let own = self.session.shows(model, &receipt.stream, receipt.position);
        let (own, others) = future::join(own, future::join_all(others)).await;
        let shown = others.into_iter().fold(own, engine::Result::and);
        shown.map_err(|error| Error::from(error).of_row(receipt.position))?;
        // The key is known already, and need not be read.
        if one.below.iter().all(|one| [key, "__typename"].contains(&one.name())) {
            return Ok(Resolved::Json(json!({ key: id })));
        }
        let (keys, columns) = ([id.to_owned()], columns(&one.below));
        let rows = self.read(model, self.session.rows(model, &keys, Some(&columns))).await;
        let rows = rows.map_err(|error| error.of_row(receipt.position))?;
        if rows.is_empty() {
            let (model, id) = (model.to_string(), id.to_owned());
            return Err(Error::Gone { model, id, position: receipt.position });
        }
        Ok(Resolved::Row(rows))
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
