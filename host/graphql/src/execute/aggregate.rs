//! Aggregates: from what is selected to what is computed, and from what was computed to an answer.
//!
//! All rows together cost one statement, whatever is computed of them, and none if only groups are asked for. Groups cost
//! one for each time that they are asked for.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use yado_engine::{Aggregate, Each, Function, Group};
use yado_model::Name;

use super::keys::Keys;
use super::tree::Selected;
use super::{Execution, Parents};
use crate::api::{BY_MOST, COUNT, FUNCTIONS, Resolve};
use crate::error::Error;
use crate::input::Arguments;
use crate::limits::{FIGURES_MOST, GROUPS_MOST, KEYS_MOST};
use crate::select::{self, Which};

/// The most that an Int can say.
const INT_MOST: u64 = i32::MAX as u64;

/// What is to be computed.
#[derive(Debug, Default)]
struct Figures {
    /// Whether rows are counted.
    count: bool,
    /// The functions that are selected, by the names of their fields.
    functions: Vec<&'static str>,
    /// What is computed of which property, and the name of the function's field.
    of: Vec<(&'static str, Function, String)>,
}

impl Figures {
    fn is_empty(&self) -> bool {
        !self.count && self.of.is_empty()
    }

    fn asked(&self, which: &Which, by: Vec<String>, limit: u32, offset: u32) -> Aggregate {
        let of = self.of.iter().map(|(_, function, property)| (*function, property.clone())).collect();
        Aggregate { filter: which.filter.clone(), by, of, limit, offset }
    }

    /// What was computed, as the object that its fields are answered from.
    fn shown(&self, group: Group) -> Result<Map<String, Json>, Error> {
        let mut shown = Map::new();
        if self.count {
            shown.insert(COUNT.to_owned(), as_int(group.count)?.into());
        }
        for name in &self.functions {
            let own = self.of.iter().zip(&group.values).filter(|((function, ..), _)| function == name);
            let values = own.map(|((.., property), value)| (property.clone(), value.clone())).collect();
            shown.insert((*name).to_owned(), Json::Object(values));
        }
        Ok(shown)
    }
}

impl Execution<'_> {
    /// What is computed of the rows that arguments ask for; and which those are, for groups of them.
    pub(super) async fn aggregate(
        &self,
        model: &Name,
        arguments: &Arguments<'_>,
        one: &Selected<'_>,
    ) -> Result<(Json, Arc<Which>), Error> {
        let which = Arc::new(select::which(&self.ground(), model, &[], arguments)?);
        let figures = figures(one)?;
        let group = if figures.is_empty() {
            Group { key: Map::new(), count: 0, values: Vec::new() }
        } else {
            // Without properties to group by there is one group, of all.
            let asked = figures.asked(&which, Vec::new(), 1, 0);
            let groups = self.session.aggregate(model, &asked);
            let groups = self.read_all(which.models.iter(), groups).await?;
            groups.into_iter().next().ok_or_else(|| Error::input("nothing was computed"))?
        };
        Ok((Json::Object(figures.shown(group)?), which))
    }

    /// Groups of the rows that the aggregate is of.
    pub(super) async fn groups(
        &self,
        model: &Name,
        arguments: &Arguments<'_>,
        which: &Which,
        one: &Selected<'_>,
    ) -> Result<Json, Error> {
        let by = by(arguments)?;
        only_by(&by, one)?;
        let figures = figures(one)?;
        let most = self.limits.page_max.min(GROUPS_MOST);
        let limit = select::number("limit", arguments, self.limits.page_default.min(most), most)?;
        let offset = select::number("offset", arguments, 0, self.limits.offset_max)?;
        if limit == 0 {
            return Ok(Json::Array(Vec::new()));
        }
        let asked = figures.asked(which, by, limit, offset);
        let groups = self.session.aggregate(model, &asked);
        let groups = self.read_all(which.models.iter(), groups).await?;
        let object = |mut group: Group| {
            let key = Json::Object(std::mem::take(&mut group.key));
            let mut shown = figures.shown(group)?;
            shown.insert(KEY.to_owned(), key);
            Ok(Json::Object(shown))
        };
        groups.into_iter().map(object).collect::<Result<_, Error>>().map(Json::Array)
    }

    /// What is computed of the rows of all parents, in one statement.
    pub(super) async fn to_many_aggregate(
        &self,
        (model, key, property): (&Name, &str, &str),
        arguments: &Arguments<'_>,
        one: &Selected<'_>,
        parents: Parents<'_>,
    ) -> Result<Vec<Json>, Error> {
        let which = select::which(&self.ground(), model, &[], arguments)?;
        let figures = figures(one)?;
        let keys = Keys::held(parents.property(key));
        let mut values = keys.texts().to_vec();
        values.sort_unstable();
        let mut found: Vec<Option<Json>> = vec![None; values.len()];
        for values in values.chunks(KEYS_MOST) {
            let values = values.iter().map(|text| Json::from(*text)).collect();
            let each = Each { field: property.to_owned(), values };
            let asked = figures.asked(&which, Vec::new(), 1, 0);
            let groups = self.session.aggregate_each(model, &each, &asked);
            for (value, group) in self.read_all(which.models.iter(), groups).await? {
                let number = value.as_str().and_then(|key| keys.number(key));
                if let Some(own) = number.and_then(|number| found.get_mut(number)) {
                    *own = Some(Json::Object(figures.shown(group)?));
                }
            }
        }
        Ok(keys.each(&found).into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// What is selected of an aggregate, or of groups.
fn figures(one: &Selected<'_>) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    for selected in &one.below {
        let name = selected.name();
        figures.count |= name == COUNT;
        let Some((name, function)) = FUNCTIONS.into_iter().find(|(known, _)| *known == name) else { continue };
        if !figures.functions.contains(&name) {
            figures.functions.push(name);
        }
        for property in &selected.below {
            let property = property.name();
            let known = figures.of.iter().any(|(_, other, of)| *other == function && of == property);
            if property != "__typename" && !known {
                figures.of.push((name, function, property.to_owned()));
            }
        }
    }
    Error::within("values to compute of the same rows", figures.of.len() as u64, FIGURES_MOST as u64)?;
    Ok(figures)
}

/// Refuses what is selected of a key and is not what groups are made by: it would be null in all of them, which looks
/// like an answer.
fn only_by(by: &[String], one: &Selected<'_>) -> Result<(), Error> {
    for part in one.below.iter().filter(|part| part.name() == KEY).flat_map(|key| &key.below) {
        let Some(field) = part.field else { continue };
        let needed = match &field.resolve {
            Resolve::ToOne { field, .. } => field.as_str(),
            _ => part.name(),
        };
        if by.iter().all(|by| by != needed) {
            return Err(Error::input(format!(
                "the key of a group has no {}, because groups are not made by {needed}: add it to \"by\"",
                part.name()
            )));
        }
    }
    Ok(())
}

/// How many rows there are, as an Int can say it.
pub(super) fn as_int(count: u64) -> Result<u64, Error> {
    match Error::within("rows to count", count, INT_MOST) {
        Ok(()) => Ok(count),
        Err(error) => Err(error),
    }
}

/// The field that says what the rows of a group have in common.
const KEY: &str = "key";

fn by(arguments: &Arguments<'_>) -> Result<Vec<String>, Error> {
    let given = arguments.get("by").and_then(Json::as_array).into_iter().flatten();
    let mut by: Vec<String> = Vec::new();
    for property in given.filter_map(Json::as_str) {
        if by.iter().any(|known| known == property) {
            return Err(Error::input(format!("by names {property} twice")));
        }
        by.push(property.to_owned());
    }
    match by.len() {
        0 => Err(Error::input("by names no property; without one, ask for what is computed of all rows")),
        count => Error::within("properties to group by", count as u64, BY_MOST as u64).map(|()| by),
    }
}
