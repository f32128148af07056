//! Where the values of fields come from.

use std::sync::Arc;

use serde_json::Value as Json;
use yado_engine::{Each, Receipt, Rows, Select};
use yado_model::Name;

use super::connection::Connection;
use super::keys::Keys;
use super::tree::Selected;
use super::value::Value;
use super::{Execution, Parents};
use crate::api::{Answer, Field, MIN_POSITION, Resolve};
use crate::error::Error;
use crate::input::Arguments;
use crate::limits::{KEYS_MOST, ROWS_MOST};
use crate::select::{self, Page, Which};

/// What a field has come to, before it is brought into the form of its type.
pub(super) enum Resolved<'p> {
    /// Nothing for any object.
    Nothing,
    /// A value for each object, which somebody else keeps.
    Values(Vec<Value<'p>>),
    /// A value for each object.
    Each(Vec<Json>),
    /// The same value for all objects.
    Json(Json),
    /// The first of these rows, if there is one.
    Row(Rows),
    /// These rows.
    Rows(Rows),
    /// A row for each object, which others may have as well.
    Shared(Shared),
    /// Rows for each object, or none, of what several statements have answered.
    Grouped(Vec<Rows>, Vec<Option<Group>>),
    /// Rows and how many there are in all, by the names of the fields that say so.
    Page { rows: Rows, listed: &'p str, total: Option<(&'p str, u64)> },
    /// A part of a list.
    Connection(Connection),
    /// An object computed of rows, and of which.
    Computed(Json, Arc<Which>),
    /// Where a command was recorded.
    Receipt(Receipt),
}

/// Rows that belong to one object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    /// Which statement has answered with them.
    pub(super) page: usize,
    /// The first of them.
    pub(super) from: usize,
    /// The one behind the last.
    pub(super) to: usize,
}

/// Rows to which objects lead.
pub(super) struct Shared {
    /// What the statements have answered.
    pub(super) pages: Vec<Rows>,
    /// All rows: of which statement, and where among its rows.
    pub(super) rows: Vec<(usize, usize)>,
    /// Which of these each object leads to.
    pub(super) which: Vec<Option<usize>>,
}

impl Execution<'_> {
    /// The values of a field for several objects at once, one for each.
    pub(super) async fn resolve<'p>(
        &self,
        field: &'p Field,
        mut arguments: Arguments<'_>,
        parents: Parents<'p>,
        one: &Selected<'_>,
        several: bool,
    ) -> Result<Resolved<'p>, Error>
    where
        Self: 'p,
    {
        self.wait_for_position(field, &arguments, one).await?;
        Ok(match &field.resolve {
            Resolve::Property | Resolve::Items => Resolved::Values(parents.property(&field.name).collect()),
            Resolve::Server => Resolved::Json(self.server.clone()),
            Resolve::Row { model, key } => {
                let keys = [arguments.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()];
                let columns = columns(&one.below);
                Resolved::Row(self.read(model, self.session.rows(model, &keys, Some(&columns))).await?)
            }
            Resolve::Unique { model, fields } => {
                let Which { filter, models } = select::which(&self.ground(), model, fields, &arguments)?;
                let columns = Some(columns(&one.below));
                let select = Select { filter, columns, ..Select::page(1) };
                let rows = self.session.select(model, &select);
                Resolved::Row(self.read_all(models.iter(), rows).await?)
            }
            Resolve::Rows { model, equal } => {
                let Page { mut select, models } = select::page(&self.ground(), model, equal, &arguments)?;
                select.columns = Some(columns(&one.below));
                let rows = self.session.select(model, &select);
                Resolved::Rows(self.read_all(models.iter(), rows).await?)
            }
            Resolve::ToOne { model, key, field } => {
                let columns = columns(&one.below);
                Resolved::Shared(self.to_one(model, (key, &columns), field, parents).await?)
            }
            Resolve::ToMany { model, key, field } => {
                let mut page = select::page(&self.ground(), model, &[], &arguments)?;
                page.select.columns = Some(columns(&one.below));
                self.to_many(model, key, field, &page, parents).await?
            }
            Resolve::Connection { model, key } => {
                Resolved::Connection(self.connection(model, key, &arguments, one).await?)
            }
            Resolve::ToManyAggregate { model, key, field: property } => {
                let of = (model, key.as_str(), property.as_str());
                Resolved::Each(self.to_many_aggregate(of, &arguments, one, parents).await?)
            }
            Resolve::Aggregate { model } => {
                let (computed, of) = self.aggregate(model, &arguments, one).await?;
                Resolved::Computed(computed, of)
            }
            Resolve::Groups { model } => {
                let every = Which::default();
                let of = parents.of.unwrap_or(&every);
                Resolved::Json(self.groups(model, &arguments, of, one).await?)
            }
            Resolve::Query { query, waits, rows, .. } => {
                if *waits {
                    // It has been waited for, and is none of the query's own.
                    arguments.take(MIN_POSITION);
                }
                match rows {
                    Some(rows) => self.ask_rows((query, rows), arguments, one).await?,
                    None => Resolved::Json(self.ask(field, query, arguments).await?),
                }
            }
            // They are told as they happen, and never looked up.
            Resolve::Events | Resolve::Changes { .. } => Resolved::Nothing,
            Resolve::Command { command, answer } => {
                let receipt = self.command(command, arguments, one, several).await?;
                match answer {
                    Answer::Receipt => Resolved::Receipt(receipt),
                    Answer::Row { model, key } => self.written(model, key, &receipt, one).await?,
                }
            }
        })
    }

    /// The rows that the parents lead to. Many parents may lead to the same one, which is then read and kept once.
    async fn to_one(
        &self,
        model: &Name,
        (key, columns): (&str, &[String]),
        field: &str,
        parents: Parents<'_>,
    ) -> Result<Shared, Error> {
        let keys = Keys::held(parents.property(field));
        let texts: Vec<String> = keys.texts().iter().map(|text| (*text).to_owned()).collect();
        let mut places = vec![None; texts.len()];
        let (mut pages, mut found) = (Vec::new(), Vec::with_capacity(texts.len()));
        for texts in texts.chunks(KEYS_MOST) {
            let rows = self.read(model, self.session.rows(model, texts, Some(columns))).await?;
            let column = rows.place(key);
            for at in 0..rows.len() {
                let number = column.and_then(|column| keys.number(rows.cell(at, column).as_text()?));
                if let Some(place) = number.and_then(|number| places.get_mut(number)) {
                    *place = Some(found.len());
                    found.push((pages.len(), at));
                }
            }
            pages.push(rows);
        }
        Ok(Shared { pages, rows: found, which: keys.each(&places) })
    }

    /// The rows of all parents in one statement, each with a page of its own. Only a configuration that allows answers
    /// larger than what stores give at once makes it several.
    async fn to_many<'p>(
        &self,
        model: &Name,
        key: &str,
        field: &str,
        Page { select, models }: &Page,
        parents: Parents<'_>,
    ) -> Result<Resolved<'p>, Error> {
        let keys = Keys::held(parents.property(key));
        let texts = if select.limit == 0 { &[] } else { keys.texts() };
        let mut groups: Vec<Option<Group>> = vec![None; keys.texts().len()];
        let mut pages = Vec::new();
        for texts in texts.chunks((ROWS_MOST / select.limit.max(1) as usize).clamp(1, KEYS_MOST)) {
            let values = texts.iter().map(|text| Json::from(*text)).collect();
            let each = Each { field: field.to_owned(), values };
            let rows = self.session.select_each(model, &each, select);
            let rows = self.read_all(models.iter(), rows).await?;
            let column = rows.place(field);
            let text = |at| column.and_then(|column| rows.cell(at, column).as_text());
            // Those of one value are together.
            let mut from = 0;
            for to in 1..=rows.len() {
                if to < rows.len() && text(to) == text(from) {
                    continue;
                }
                let number = text(from).and_then(|text| keys.number(text));
                if let Some(group) = number.and_then(|number| groups.get_mut(number)) {
                    *group = Some(Group { page: pages.len(), from, to });
                }
                from = to;
            }
            pages.push(rows);
        }
        Ok(Resolved::Grouped(pages, keys.each(&groups)))
    }
}

/// The columns that a selection on rows needs: what is shown, and what leads on. The key is read in any case.
pub(super) fn columns<'s>(selected: impl IntoIterator<Item = &'s Selected<'s>>) -> Vec<String> {
    let column = |one: &Selected<'_>| {
        let field = one.field?;
        match &field.resolve {
            Resolve::Property => Some(field.name.clone()),
            Resolve::ToOne { field, .. } => Some(field.clone()),
            _ => None,
        }
    };
    let mut columns: Vec<String> = selected.into_iter().filter_map(column).collect();
    // The same columns make the same statement, in whatever order they are selected.
    columns.sort_unstable();
    columns.dedup();
    columns
}
