//! Where the values of fields come from.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use serde_json::{Map, Value as Json, json};
use yado_engine::{Dispatch, DispatchOptions, Each, Receipt, Row, Select};
use yado_model::{IdempotencyKey, Name, Revision};

use super::tree::{self, Selected};
use super::{Execution, Parent};
use crate::api::{Answer, Field, Resolve};
use crate::error::Error;
use crate::limits::{KEYS_MOST, ROWS_MOST};
use crate::request::Data;
use crate::{select, values};

type Values<'p> = Result<Vec<Cow<'p, Json>>, Error>;

impl Execution<'_> {
    /// The values of a field for several objects at once, one for each.
    pub(super) async fn resolve<'p>(
        &self,
        field: &Field,
        arguments: Map<String, Json>,
        parents: &'p [Parent<'_>],
        one: &Selected<'_>,
        several: bool,
    ) -> Values<'p> {
        let tenant = &self.caller.tenant;
        match &field.resolve {
            Resolve::Property => {
                let property = |parent: &'p Parent<'_>| parent.fields.get(&field.name).map(Cow::Borrowed);
                Ok(parents.iter().map(|parent| property(parent).unwrap_or(Cow::Owned(Json::Null))).collect())
            }
            Resolve::Server => Ok(vec![Cow::Owned(self.server.clone()); parents.len()]),
            Resolve::Row { model, key } => {
                let key = text(arguments.get(key));
                let rows = self.backend.rows(model, tenant, &[key]).await?;
                Ok(vec![Cow::Owned(rows.into_iter().next().map_or(Json::Null, Json::Object)); parents.len()])
            }
            Resolve::Rows { model, equal } => {
                let page = select::page(self.api, self.limits, model.as_str(), equal, &arguments)?;
                let rows = self.backend.select(model, tenant, &page).await?;
                Ok(vec![Cow::Owned(list(rows)); parents.len()])
            }
            Resolve::ToOne { model, key, field } => self.to_one(model, key, field, parents).await,
            Resolve::ToMany { model, key, field } => {
                let page = select::page(self.api, self.limits, model.as_str(), &[], &arguments)?;
                self.to_many(model, key, field, &page, parents).await
            }
            Resolve::Command { command, answer } => {
                let answer = self.command(command, answer, arguments, one, several).await?;
                Ok(vec![Cow::Owned(answer); parents.len()])
            }
        }
    }

    async fn to_one<'p>(&self, model: &Name, key: &str, field: &str, parents: &'p [Parent<'_>]) -> Values<'p> {
        let wanted = |parent: &'p Parent<'_>| parent.fields.get(field).and_then(Json::as_str);
        let mut seen = HashSet::new();
        let keys: Vec<String> =
            parents.iter().filter_map(wanted).filter(|key| seen.insert(*key)).map(str::to_owned).collect();
        let mut found: HashMap<String, Row> = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_MOST) {
            let rows = self.backend.rows(model, &self.caller.tenant, keys).await?;
            found.extend(rows.into_iter().map(|row| (text(row.get(key)), row)));
        }
        let row = |parent| wanted(parent).and_then(|key| found.get(key)).cloned().map_or(Json::Null, Json::Object);
        Ok(parents.iter().map(|parent| Cow::Owned(row(parent))).collect())
    }

    /// The rows of all parents in one statement, each with a page of its own. Only a configuration that allows answers
    /// larger than what stores give at once makes it several.
    async fn to_many<'p>(
        &self,
        model: &Name,
        key: &str,
        field: &str,
        page: &Select,
        parents: &'p [Parent<'_>],
    ) -> Values<'p> {
        let own = |parent: &'p Parent<'_>| text(parent.fields.get(key));
        let mut seen = HashSet::new();
        let mut keys: Vec<String> = parents.iter().map(own).filter(|key| seen.insert(key.clone())).collect();
        if page.limit == 0 {
            keys.clear();
        }
        let mut found: HashMap<String, Vec<Row>> = HashMap::with_capacity(keys.len());
        for keys in keys.chunks((ROWS_MOST / page.limit.max(1) as usize).clamp(1, KEYS_MOST)) {
            let values = keys.iter().map(|key| Json::String(key.clone())).collect();
            let each = Each { field: field.to_owned(), values };
            for row in self.backend.select_each(model, &self.caller.tenant, &each, page).await? {
                found.entry(text(row.get(field))).or_default().push(row);
            }
        }
        let rows = |parent| list(found.get(&own(parent)).cloned().unwrap_or_default());
        Ok(parents.iter().map(|parent| Cow::Owned(rows(parent))).collect())
    }

    async fn command(
        &self,
        command: &Name,
        answer: &Answer,
        mut arguments: Map<String, Json>,
        one: &Selected<'_>,
        several: bool,
    ) -> Result<Json, Error> {
        let options = DispatchOptions {
            idempotency_key: self.idempotency_key(&arguments, one, several)?,
            expected_revision: revision(arguments.get("expectedRevision"))?,
            actor: self.caller.actor.clone(),
            correlation_id: self.caller.correlation_id,
            causation_id: None,
        };
        let payload = arguments.remove("input").unwrap_or_else(|| json!({}));
        let dispatch = Dispatch { tenant: self.caller.tenant.clone(), command: command.clone(), payload, options };
        let receipt = self.backend.dispatch(dispatch).await?;
        let shown = json!({
            "id": receipt.stream.id(),
            "revision": receipt.revision.get(),
            "position": receipt.position.get(),
        });
        // It is told whatever becomes of the answer: the change is recorded.
        self.recorded(one, &shown);
        match answer {
            Answer::Receipt => Ok(shown),
            Answer::Row { model, key } => self.written(model, key, &receipt, one).await,
        }
    }

    fn recorded(&self, one: &Selected<'_>, receipt: &Json) {
        let mut receipts = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        receipts.push((one.key.clone(), Data::Value(values::from_json(receipt))));
    }

    /// The row that a command is answered with: as it is after the command, or later.
    async fn written(&self, model: &Name, key: &str, receipt: &Receipt, one: &Selected<'_>) -> Result<Json, Error> {
        let id = receipt.stream.id();
        let sets: Vec<_> = one.all.iter().map(|field| &field.node.selection_set.node).collect();
        let selected = tree::collect(self.document, self.variables, model.as_str(), &sets);
        // Whoever has the answer may ask for lists next, and expects to find the change in them.
        self.backend.caught_up(model, receipt.position).await?;
        // The key is known already, and need not be read.
        if selected.iter().all(|one| [key, "__typename"].contains(&one.first.node.name.node.as_str())) {
            return Ok(json!({ key: id }));
        }
        let rows = self.backend.rows(model, &self.caller.tenant, &[id.to_owned()]).await?;
        rows.into_iter().next().map(Json::Object).ok_or_else(|| Error::Gone {
            model: model.to_string(),
            id: id.to_owned(),
            position: receipt.position,
        })
    }

    fn idempotency_key(
        &self,
        arguments: &Map<String, Json>,
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

fn list(rows: Vec<Row>) -> Json {
    Json::Array(rows.into_iter().map(Json::Object).collect())
}

fn text(value: Option<&Json>) -> String {
    value.and_then(Json::as_str).unwrap_or_default().to_owned()
}
