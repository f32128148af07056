//! Where the values of fields come from.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::parser::types::SelectionSet;
use serde_json::Value as Json;
use yado_engine::{Each, Receipt, Row, Select};
use yado_model::Name;

use super::tree::{self, Selected};
use super::{Execution, Parent};
use crate::api::{Answer, Field, Resolve};
use crate::error::Error;
use crate::input::Arguments;
use crate::limits::{KEYS_MOST, ROWS_MOST};
use crate::select::{self, Page, Which};

/// What a field has come to, before it is brought into the form of its type.
pub(super) enum Resolved<'p> {
    /// A value for each object.
    Values(Vec<Cow<'p, Json>>),
    /// Values of which several objects may have the same one, and which of them each object has.
    Shared(Vec<Json>, Vec<Option<usize>>),
    /// An object for each object, computed of these rows.
    Computed(Vec<Json>, Arc<Which>),
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
        self.wait_for_position(field, &arguments, one).await?;
        let values = match &field.resolve {
            Resolve::Property | Resolve::Items => {
                let property = |parent: &'p Parent<'_>| parent.fields.get(&field.name).map(Cow::Borrowed);
                parents.iter().map(|parent| property(parent).unwrap_or(Cow::Owned(Json::Null))).collect()
            }
            Resolve::Server => vec![Cow::Owned(self.server.clone()); parents.len()],
            Resolve::Row { model, key } => {
                let keys = [text(arguments.get(key))];
                let rows = self.read(model, self.session.rows(model, &keys)).await?;
                vec![Cow::Owned(rows.into_iter().next().map_or(Json::Null, Json::Object)); parents.len()]
            }
            Resolve::Unique { model, fields } => {
                let Which { filter, models } = select::which(&self.ground(), model, fields, &arguments)?;
                let columns = Some(self.columns(model, &one.sets()));
                let select = Select { filter, columns, ..Select::page(1) };
                let rows = self.session.select(model, &select);
                let row = self.read_all(models.iter(), rows).await?.into_iter().next();
                vec![Cow::Owned(row.map_or(Json::Null, Json::Object)); parents.len()]
            }
            Resolve::Rows { model, equal } => {
                let Page { mut select, models } = select::page(&self.ground(), model, equal, &arguments)?;
                select.columns = Some(self.columns(model, &one.sets()));
                let rows = self.session.select(model, &select);
                let rows = self.read_all(models.iter(), rows).await?;
                vec![Cow::Owned(list(rows)); parents.len()]
            }
            Resolve::ToOne { model, key, field } => return self.to_one(model, key, field, parents).await,
            Resolve::ToMany { model, key, field } => {
                let mut page = select::page(&self.ground(), model, &[], &arguments)?;
                page.select.columns = Some(self.columns(model, &one.sets()));
                self.to_many(model, key, field, &page, parents).await?
            }
            Resolve::Connection { model, key } => {
                vec![Cow::Owned(self.connection(model, key, field, &arguments, one).await?); parents.len()]
            }
            Resolve::ToManyAggregate { model, key, field: property } => {
                let of = (model, key.as_str(), property.as_str());
                let computed = self.to_many_aggregate(of, field, &arguments, one, parents).await?;
                computed.into_iter().map(Cow::Owned).collect()
            }
            Resolve::Aggregate { model } => {
                let (computed, of) = self.aggregate(model, field, &arguments, one).await?;
                return Ok(Resolved::Computed(vec![computed; parents.len()], of));
            }
            Resolve::Groups { model } => {
                let mut all = Vec::with_capacity(parents.len());
                for parent in parents {
                    let every = Which::default();
                    let of = parent.of.as_deref().unwrap_or(&every);
                    all.push(Cow::Owned(self.groups(model, field, &arguments, of, one).await?));
                }
                all
            }
            Resolve::Query { query, rows, .. } => {
                let answer = match rows {
                    Some(rows) => self.ask_rows(field, (query, rows), arguments, one).await?,
                    None => self.ask(field, query, arguments).await?,
                };
                vec![Cow::Owned(answer); parents.len()]
            }
            // They are told as they happen, and never looked up.
            Resolve::Events | Resolve::Changes { .. } => vec![Cow::Owned(Json::Null); parents.len()],
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

    /// The columns that a selection on rows needs: what is shown, and what leads on. The key is read in any case.
    pub(super) fn columns(&self, model: &Name, sets: &[&SelectionSet]) -> Vec<String> {
        let object = self.api.object(model.as_str());
        let selected = tree::collect(self.document, self.variables, model.as_str(), sets);
        let column = |one: &Selected<'_>| {
            let field = object?.field(one.first.node.name.node.as_str())?;
            match &field.resolve {
                Resolve::Property => Some(field.name.clone()),
                Resolve::ToOne { field, .. } => Some(field.clone()),
                _ => None,
            }
        };
        let mut columns: Vec<String> = selected.iter().filter_map(column).collect();
        // The same columns make the same statement, in whatever order they are selected.
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The rows that the parents lead to. Many parents may lead to the same one, which is then read and kept once.
    async fn to_one<'p>(
        &self,
        model: &Name,
        key: &str,
        field: &str,
        parents: &'p [Parent<'_>],
    ) -> Result<Resolved<'p>, Error> {
        let wanted = |parent: &'p Parent<'_>| parent.fields.get(field).and_then(Json::as_str);
        let mut seen = HashSet::new();
        let keys: Vec<String> =
            parents.iter().filter_map(wanted).filter(|key| seen.insert(*key)).map(str::to_owned).collect();
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_MOST) {
            let rows = self.read(model, self.session.rows(model, keys)).await?;
            found.extend(rows.into_iter().map(Json::Object));
        }
        let places = found.iter().enumerate().filter_map(|(at, row)| Some((row.get(key)?.as_str()?, at)));
        let places: HashMap<&str, usize> = places.collect();
        let places = parents.iter().map(|parent| places.get(wanted(parent)?).copied()).collect();
        Ok(Resolved::Shared(found, places))
    }

    /// The rows of all parents in one statement, each with a page of its own. Only a configuration that allows answers
    /// larger than what stores give at once makes it several.
    async fn to_many<'p>(
        &self,
        model: &Name,
        key: &str,
        field: &str,
        Page { select, models }: &Page,
        parents: &'p [Parent<'_>],
    ) -> Values<'p> {
        let own = |parent: &'p Parent<'_>| text(parent.fields.get(key));
        let mut seen = HashSet::new();
        let mut keys: Vec<String> = parents.iter().map(own).filter(|key| seen.insert(key.clone())).collect();
        if select.limit == 0 {
            keys.clear();
        }
        let mut found: HashMap<String, Vec<Row>> = HashMap::with_capacity(keys.len());
        for keys in keys.chunks((ROWS_MOST / select.limit.max(1) as usize).clamp(1, KEYS_MOST)) {
            let values = keys.iter().map(|key| Json::String(key.clone())).collect();
            let each = Each { field: field.to_owned(), values };
            let rows = self.session.select_each(model, &each, select);
            for row in self.read_all(models.iter(), rows).await? {
                found.entry(text(row.get(field))).or_default().push(row);
            }
        }
        let alone = keys.len() == parents.len();
        let mut rows = |parent| {
            let key = own(parent);
            if alone { found.remove(&key) } else { found.get(&key).cloned() }
        };
        Ok(parents.iter().map(|parent| Cow::Owned(list(rows(parent).unwrap_or_default()))).collect())
    }
}

pub(super) fn list(rows: Vec<Row>) -> Json {
    Json::Array(rows.into_iter().map(Json::Object).collect())
}

fn text(value: Option<&Json>) -> String {
    value.and_then(Json::as_str).unwrap_or_default().to_owned()
}
