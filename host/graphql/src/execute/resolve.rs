//! Where the values of fields come from.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;
use yado_engine::{Each, Receipt, Row, Select};
use yado_model::Name;

use super::tree::Selected;
use super::{Execution, Parent};
use crate::api::{Answer, Field, Resolve};
use crate::error::Error;
use crate::input::Arguments;
use crate::limits::{KEYS_MOST, ROWS_MOST};
use crate::select;

/// What a field has come to, before it is brought into the form of its type.
pub(super) enum Resolved<'p> {
    /// A value for each object.
    Values(Vec<Cow<'p, Json>>),
    /// Where a command was recorded.
    Receipt(Receipt),
}

type Values<'p> = Result<Vec<Cow<'p, Json>>, Error>;

impl Execution<'_> {
    /// The values of a field for several objects at once, one for each.
    pub(super) async fn resolve<'p>(
        &self,
        field: &Field,
        arguments: Arguments<'_>,
        parents: &'p [Parent<'_>],
        one: &Selected<'_>,
        several: bool,
    ) -> Result<Resolved<'p>, Error> {
        let tenant = &self.caller.tenant;
        self.wait_for_position(field, &arguments, one).await?;
        let values = match &field.resolve {
            Resolve::Property => {
                let property = |parent: &'p Parent<'_>| parent.fields.get(&field.name).map(Cow::Borrowed);
                parents.iter().map(|parent| property(parent).unwrap_or(Cow::Owned(Json::Null))).collect()
            }
            Resolve::Server => vec![Cow::Owned(self.server.clone()); parents.len()],
            Resolve::Row { model, key } => {
                let keys = [text(arguments.get(key))];
                let rows = self.read(model, self.backend.rows(self.deployed, model, tenant, &keys)).await?;
                vec![Cow::Owned(rows.into_iter().next().map_or(Json::Null, Json::Object)); parents.len()]
            }
            Resolve::Rows { model, equal } => {
                let page = select::page(self.api, self.limits, model.as_str(), equal, &arguments)?;
                let rows = self.read(model, self.backend.select(self.deployed, model, tenant, &page)).await?;
                vec![Cow::Owned(list(rows)); parents.len()]
            }
            Resolve::ToOne { model, key, field } => self.to_one(model, key, field, parents).await?,
            Resolve::ToMany { model, key, field } => {
                let page = select::page(self.api, self.limits, model.as_str(), &[], &arguments)?;
                self.to_many(model, key, field, &page, parents).await?
            }
            Resolve::Query { query, .. } => {
                vec![Cow::Owned(self.ask(field, query, arguments).await?); parents.len()]
            }
            Resolve::Command { command, answer } => {
                let receipt = self.command(command, arguments, one, several).await?;
                match answer {
                    Answer::Receipt => return Ok(Resolved::Receipt(receipt)),
                    Answer::Row { model, key } => {
                        vec![Cow::Owned(self.written(model, key, &receipt, one).await?); parents.len()]
                    }
                }
            }
        };
        Ok(Resolved::Values(values))
    }

    async fn to_one<'p>(&self, model: &Name, key: &str, field: &str, parents: &'p [Parent<'_>]) -> Values<'p> {
        let wanted = |parent: &'p Parent<'_>| parent.fields.get(field).and_then(Json::as_str);
        let mut seen = HashSet::new();
        let keys: Vec<String> =
            parents.iter().filter_map(wanted).filter(|key| seen.insert(*key)).map(str::to_owned).collect();
        let mut found: HashMap<String, Row> = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_MOST) {
            let rows = self.read(model, self.backend.rows(self.deployed, model, &self.caller.tenant, keys)).await?;
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
            let rows = self.backend.select_each(self.deployed, model, &self.caller.tenant, &each, page);
            for row in self.read(model, rows).await? {
                found.entry(text(row.get(field))).or_default().push(row);
            }
        }
        let rows = |parent| list(found.get(&own(parent)).cloned().unwrap_or_default());
        Ok(parents.iter().map(|parent| Cow::Owned(rows(parent))).collect())
    }
}

fn list(rows: Vec<Row>) -> Json {
    Json::Array(rows.into_iter().map(Json::Object).collect())
}

fn text(value: Option<&Json>) -> String {
    value.and_then(Json::as_str).unwrap_or_default().to_owned()
}
