//! Where the values of fields come from.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json, json};
use yado_engine::{Dispatch, DispatchOptions, Filter, Order, Receipt, Row, Select};
use yado_model::{IdempotencyKey, Name, Revision};

use super::tree::{self, Selected};
use super::{Execution, Parent};
use crate::api::{Answer, Field, Resolve};
use crate::error::Error;
use crate::limits::PAGE_MOST;
use crate::select;

/// How many rows are looked up by one statement: each is a parameter of it.
const KEYS_PER_STATEMENT: usize = 1_000;
/// How many rows of many parents are asked for at first, at the least: loading some in vain costs less than asking twice.
const ROWS_AT_FIRST: u32 = 1_000;

type Values<'p> = Result<Vec<Cow<'p, Json>>, Error>;

impl Execution<'_> {
    /// The values of a field for several objects at once, one for each.
    pub(super) async fn resolve<'p>(
        &self,
        field: &Field,
        arguments: &Map<String, Json>,
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
                let page = select::page(self.api, self.limits, model.as_str(), equal, arguments)?;
                let rows = self.backend.select(model, tenant, &page).await?;
                Ok(vec![Cow::Owned(list(rows)); parents.len()])
            }
            Resolve::ToOne { model, key, field } => self.to_one(model, key, field, parents).await,
            Resolve::ToMany { model, key, field } => {
                let page = select::page(self.api, self.limits, model.as_str(), &[], arguments)?;
                self.to_many(model, key, field, page, parents).await
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
        for keys in keys.chunks(KEYS_PER_STATEMENT) {
            let rows = self.backend.rows(model, &self.caller.tenant, keys).await?;
            found.extend(rows.into_iter().map(|row| (text(row.get(key)), row)));
        }
        let row = |parent| wanted(parent).and_then(|key| found.get(key)).cloned().map_or(Json::Null, Json::Object);
        Ok(parents.iter().map(|parent| Cow::Owned(row(parent))).collect())
    }

    /// The rows of all parents in one statement, in the order of the parents' keys.
    ///
    /// A statement can't limit each parent's rows, so it limits their sum, generously. It falls short only if parents
    /// have many more rows than their pages take: then those are asked for again that may have lost rows to it. Each time
    /// at least one parent is done, because either a parent's rows fill its page, which is never larger than what is asked for, or another's
    /// come after them.
    async fn to_many<'p>(
        &self,
        model: &Name,
        key: &str,
        field: &str,
        page: Select,
        parents: &'p [Parent<'_>],
    ) -> Values<'p> {
        let own = |parent: &'p Parent<'_>| text(parent.fields.get(key));
        let mut seen = HashSet::new();
        let mut open: Vec<String> = parents.iter().map(own).filter(|key| seen.insert(key.clone())).collect();
        let mut found: HashMap<String, Vec<Row>> = HashMap::with_capacity(open.len());
        let mut order = vec![Order { field: field.to_owned(), descending: false }];
        order.extend(page.order);
        let mut least = ROWS_AT_FIRST;
        while page.limit > 0 && !open.is_empty() {
            let asked: Vec<String> = open.drain(..open.len().min(KEYS_PER_STATEMENT)).collect();
            let all = page.limit.saturating_mul(u32::try_from(asked.len()).unwrap_or(u32::MAX));
            let limit = match asked.len() {
                1 => page.limit,
                _ => all.clamp(least, PAGE_MOST),
            };
            least = PAGE_MOST;
            let values = asked.iter().map(|key| Json::String(key.clone())).collect();
            let mut all = vec![Filter::In { field: field.to_owned(), values }];
            all.extend(page.filter.clone());
            let select = Select { filter: select::conjunction(all), order: order.clone(), limit, offset: 0 };
            let rows = self.backend.select(model, &self.caller.tenant, &select).await?;
            let complete = rows.len() < limit as usize;
            let last = rows.last().map(|row| text(row.get(field)));
            let mut groups: HashMap<String, Vec<Row>> = HashMap::new();
            for row in rows {
                groups.entry(text(row.get(field))).or_default().push(row);
            }
            for key in asked {
                let mut rows = groups.remove(&key).unwrap_or_default();
                // Of the last one some rows may be missing, and of those without a row all of them.
                let cut = !complete && (rows.is_empty() || last.as_ref() == Some(&key));
                if cut && rows.len() < page.limit as usize {
                    open.push(key);
                } else {
                    rows.truncate(page.limit as usize);
                    found.insert(key, rows);
                }
            }
        }
        let rows = |parent| list(found.get(&own(parent)).cloned().unwrap_or_default());
        Ok(parents.iter().map(|parent| Cow::Owned(rows(parent))).collect())
    }

    async fn command(
        &self,
        command: &Name,
        answer: &Answer,
        arguments: &Map<String, Json>,
        one: &Selected<'_>,
        several: bool,
    ) -> Result<Json, Error> {
        let options = DispatchOptions {
            idempotency_key: self.idempotency_key(arguments, one, several)?,
            expected_revision: revision(arguments.get("expectedRevision"))?,
            actor: self.caller.actor.clone(),
            correlation_id: self.caller.correlation_id,
            causation_id: None,
        };
        let payload = arguments.get("input").cloned().unwrap_or_else(|| json!({}));
        let dispatch = Dispatch { tenant: self.caller.tenant.clone(), command: command.clone(), payload, options };
        let receipt = self.backend.dispatch(dispatch).await?;
        match answer {
            Answer::Receipt => Ok(json!({
                "id": receipt.stream.id(),
                "revision": receipt.revision.get(),
                "position": receipt.position.get(),
            })),
            Answer::Row { model, key } => self.written(model, key, &receipt, one).await,
        }
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
