//! Which rows, and in which order: from the arguments of a field to what the engine is asked.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use yado_engine::{Filter, Link, Op, Order, Quantifier, Select, Table};
use yado_model::Name;

use crate::Limits;
use crate::api::{Api, Field, ORDER_BY, Resolve, SEARCH, Scalar, Type};
use crate::error::Error;
use crate::input::Arguments;
use crate::values;

/// How many conditions one `where` may have, with those that only combine others. Each becomes a part or two of a
/// statement, of which stores take 500.
const CONDITIONS_MAX: u64 = 200;
/// How many values all of them may be compared with: each becomes a parameter of a statement.
const VALUES_MAX: u64 = 1_000;
/// How deeply `and`, `or` and `not` may be nested. Each comes to two levels of a statement, of which stores take 32.
const LEVELS_MAX: u64 = 12;
/// How long a text may be that is searched for, in bytes.
const NEEDLE_MAX: usize = 1_024;

/// How many words may be searched for at once, as stores have it.
const WORDS_MAX: u64 = 16;
/// In one filter at most so many relations lead on from one to the next, as stores have it.
const RELATIONS_DEEPEST: u64 = 3;
/// One filter has at most so many relations, as stores have it.
const RELATIONS_MAX: u64 = 8;

/// What arguments are read by.
pub(crate) struct Ground<'a> {
    pub(crate) api: &'a Api,
    pub(crate) limits: &'a Limits,
    pub(crate) tables: &'a dyn Tables,
}

/// Where read models have their rows.
pub(crate) trait Tables {
    /// The table of a read model, for conditions on what rows are related to.
    ///
    /// # Errors
    /// If no condition may be on it, or not now.
    fn table(&self, model: &Name) -> Result<Table, Error>;
}

/// Which rows.
#[derive(Debug, Default)]
pub(crate) struct Which {
    /// All of them if there is none.
    pub(crate) filter: Option<Filter>,
    /// The read models that the answer depends on.
    pub(crate) models: BTreeSet<Name>,
}

/// In which order.
#[derive(Debug, Default)]
pub(crate) struct Sorting {
    /// As stores have it.
    pub(crate) order: Vec<Order>,
    /// What each part of it is by.
    pub(crate) by: Vec<By>,
    /// The read models that relations in it lead to.
    pub(crate) models: BTreeSet<Name>,
}

/// A property that rows are put in order by.
#[derive(Debug)]
pub(crate) struct By {
    /// Whose property it is: the rows' own read model, or one that relations lead to.
    pub(crate) model: Name,
    /// The property.
    pub(crate) field: String,
    /// The relations that lead there and the property, with points between them.
    pub(crate) path: String,
    /// Whether relations lead there.
    pub(crate) is_related: bool,
}

/// A page of rows.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) select: Select,
    /// The read models that the answer depends on.
    pub(crate) models: BTreeSet<Name>,
}

/// The rows that arguments ask for. `equal` are the properties that have an argument of their own.
///
/// # Errors
/// If the arguments ask for what can't be, or for too much.
pub(crate) fn which(
    ground: &Ground<'_>,
    model: &Name,
    equal: &[String],
    arguments: &Arguments<'_>,
) -> Result<Which, Error> {
    let models = BTreeSet::from([model.clone()]);
    let mut reader = Reader { ground, conditions: 0, values: 0, relations: 0, models };
    let mut all = Vec::new();
    for field in equal {
        match arguments.get(field) {
            None => {}
            Some(Json::Null) => all.push(Filter::Null { field: field.clone() }),
            Some(value) => {
                let value = reader.value(model, field, value)?;
                all.push(Filter::Compare { field: field.clone(), op: Op::Equal, value });
            }
        }
    }
    if let Some(Json::Object(conditions)) = arguments.get("where") {
        reader.conditions(Place { model, level: 1, relation: 0 }, conditions, &mut all)?;
    }
    if let Some(Json::String(text)) = arguments.get(SEARCH) {
        all.extend(search(text)?);
    }
    Ok(Which { filter: conjunction(all), models: reader.models })
}

/// A search for the words of a text. A text without words asks for nothing.
fn search(text: &str) -> Result<Option<Filter>, Error> {
    let words = text.split_whitespace().count();
    Error::within("words to search for", words as u64, WORDS_MAX)?;
    if text.len() > NEEDLE_MAX {
        return Err(Error::input(format!("{SEARCH} is a text of more than {NEEDLE_MAX} bytes")));
    }
    if text.contains('\0') {
        return Err(Error::input(format!("{SEARCH} is a text with a NUL in it, which no row can have")));
    }
    Ok((words > 0).then(|| Filter::search(text)))
}

/// The read models that the conditions of a field, and its order, lead to.
pub(crate) fn related<'a>(api: &'a Api, field: &'a Field, arguments: &Arguments<'_>) -> BTreeSet<&'a Name> {
    let mut models = BTreeSet::new();
    for (model, name) in field.leading() {
        if let Some(given) = arguments.get(name) {
            follow(api, model, given, &mut models);
        }
    }
    models
}

fn follow<'a>(api: &'a Api, model: &'a Name, conditions: &Json, models: &mut BTreeSet<&'a Name>) {
    match conditions {
        Json::Array(items) => items.iter().for_each(|item| follow(api, model, item, models)),
        Json::Object(fields) => {
            for (name, inner) in fields {
                match api.object(model.as_str()).and_then(|object| object.field(name)).map(|field| &field.resolve) {
                    // `and`, `or` and `not`, which no field is called.
                    None => follow(api, model, inner, models),
                    Some(Resolve::ToOne { model, .. }) => {
                        models.insert(model);
                        follow(api, model, inner, models);
                    }
                    Some(Resolve::ToMany { model, .. }) => {
                        models.insert(model);
                        let all = inner.as_object().into_iter().flat_map(serde_json::Map::values);
                        all.for_each(|inner| follow(api, model, inner, models));
                    }
                    Some(_) => {}
                }
            }
        }
        _ => {}
    }
}

/// The page of rows that arguments ask for.
///
/// # Errors
/// If the arguments ask for what can't be, or for too much.
pub(crate) fn page(
    ground: &Ground<'_>,
    model: &Name,
    equal: &[String],
    arguments: &Arguments<'_>,
) -> Result<Page, Error> {
    let Which { filter, mut models } = which(ground, model, equal, arguments)?;
    let limits = ground.limits;
    let sorting = sorting(ground, model, arguments)?;
    models.extend(sorting.models);
    let select = Select {
        filter,
        order: sorting.order,
        offset: number("offset", arguments, 0, limits.offset_max)?,
        ..Select::page(number("limit", arguments, limits.page_default, limits.page_max)?)
    };
    Ok(Page { select, models })
}

/// All of these, or no filter where there are none.
pub(crate) fn conjunction(mut all: Vec<Filter>) -> Option<Filter> {
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Filter::All(all)),
    }
}

/// A number of rows, or of what else there is a page of.
///
/// # Errors
/// If it is more than there may be.
pub(crate) fn number(name: &str, arguments: &Arguments<'_>, default: u32, most: u32) -> Result<u32, Error> {
    let Some(value) = arguments.get(name).filter(|value| !value.is_null()) else { return Ok(default) };
    match value.as_u64().and_then(|value| u32::try_from(value).ok()) {
        Some(value) if value <= most => Ok(value),
        _ => Err(Error::input(format!("{name} is {value}, and must be between 0 and {most}"))),
    }
}

/// The order that arguments ask for.
///
/// # Errors
/// If it leads along more relations than may be, or to what no order may be by.
pub(crate) fn sorting(ground: &Ground<'_>, model: &Name, arguments: &Arguments<'_>) -> Result<Sorting, Error> {
    let mut sorting = Sorting::default();
    let mut relations = 0;
    for item in arguments.get(ORDER_BY).and_then(Json::as_array).into_iter().flatten() {
        let (mut model, mut path, mut through) = (model, String::new(), Vec::new());
        let mut part = item.as_object().and_then(|item| item.iter().next());
        while let Some((name, below)) = part {
            path.push_str(name);
            let field = ground.api.object(model.as_str()).and_then(|object| object.field(name));
            let Some(Resolve::ToOne { model: there, key, field }) = field.map(|field| &field.resolve) else {
                let by = By { model: model.clone(), field: name.clone(), path, is_related: !through.is_empty() };
                sorting.by.push(by);
                sorting.order.push(Order { through, field: name.clone(), descending: below == "DESC" });
                break;
            };
            relations += 1;
            Error::within("relations in an order", relations, RELATIONS_MAX)?;
            let chain = "relations in an order that lead on from one to the next";
            Error::within(chain, through.len() as u64 + 1, RELATIONS_DEEPEST)?;
            let table = ground.tables.table(there)?;
            through.push(Arc::new(Link { table, from: field.clone(), to: key.clone() }));
            sorting.models.insert(there.clone());
            path.push('.');
            (model, part) = (there, below.as_object().and_then(|below| below.iter().next()));
        }
    }
    Ok(sorting)
}

/// Where conditions stand.
#[derive(Clone, Copy)]
struct Place<'p> {
    /// On whose rows they are.
    model: &'p Name,
    /// How deeply they are nested.
    level: u64,
    /// How many relations have led there.
    relation: u64,
}

struct Reader<'a> {
    ground: &'a Ground<'a>,
    conditions: u64,
    values: u64,
    relations: u64,
    models: BTreeSet<Name>,
}

impl<'a> Reader<'a> {
    fn conditions(&mut self, place: Place<'_>, given: &Map<String, Json>, all: &mut Vec<Filter>) -> Result<(), Error> {
        Error::within("levels of conditions", place.level, LEVELS_MAX)?;
        for (name, value) in given {
            match (name.as_str(), value) {
                // A condition that is null is none: the variable for it was left empty.
                (_, Json::Null) => {}
                ("and", Json::Array(items)) => all.extend(self.each(place, items)?),
                ("or", Json::Array(items)) => {
                    let any = self.each(place, items)?;
                    // One of none is none. One of those that are all left out is no condition.
                    if items.is_empty() || !any.is_empty() {
                        all.push(Filter::Any(any));
                    }
                }
                ("not", Json::Object(inner)) => {
                    all.extend(self.together(place, inner)?.map(|inner| Filter::Not(Box::new(inner))));
                }
                (field, Json::Object(inner)) => match self.resolve(place.model, field) {
                    Some(Resolve::ToOne { model, key, field }) => {
                        let there = (Quantifier::Some, inner);
                        all.push(self.related(place, model, (field, key), there)?);
                    }
                    Some(Resolve::ToMany { model, key, field }) => {
                        for (name, inner) in inner {
                            let Json::Object(inner) = inner else { continue };
                            all.push(self.related(place, model, (key, field), (quantifier(name)?, inner))?);
                        }
                    }
                    _ => self.comparisons(place.model, field, inner, all)?,
                },
                (field, _) => return Err(Error::input(format!("the condition on {field} must be an object"))),
            }
        }
        Ok(())
    }

    fn each(&mut self, place: Place<'_>, items: &[Json]) -> Result<Vec<Filter>, Error> {
        let items = items.iter().filter_map(Json::as_object);
        items.filter_map(|item| self.together(place, item).transpose()).collect()
    }

    /// Nothing, if all of it is left out.
    fn together(&mut self, place: Place<'_>, item: &Map<String, Json>) -> Result<Option<Filter>, Error> {
        self.count()?;
        let mut all = Vec::new();
        self.conditions(Place { level: place.level + 1, ..place }, item, &mut all)?;
        Ok(conjunction(all))
    }

    /// A condition on the rows of another read model that a relation leads to.
    fn related(
        &mut self,
        place: Place<'_>,
        model: &Name,
        (from, to): (&str, &str),
        (quantifier, inner): (Quantifier, &Map<String, Json>),
    ) -> Result<Filter, Error> {
        self.count()?;
        self.relations += 1;
        let below = Place { model, level: place.level + 1, relation: place.relation + 1 };
        Error::within("relations in a filter", self.relations, RELATIONS_MAX)?;
        let chain = "relations in a filter that lead on from one to the next";
        Error::within(chain, below.relation, RELATIONS_DEEPEST)?;
        let table = self.ground.tables.table(model)?;
        self.models.insert(model.clone());
        let mut all = Vec::new();
        self.conditions(below, inner, &mut all)?;
        let link = Arc::new(Link { table, from: from.to_owned(), to: to.to_owned() });
        Ok(Filter::Related { link, quantifier, filter: conjunction(all).map(Box::new) })
    }

    fn resolve(&self, model: &Name, field: &str) -> Option<&'a Resolve> {
        self.ground.api.object(model.as_str())?.field(field).map(|field| &field.resolve)
    }

    fn comparisons(
        &mut self,
        model: &Name,
        field: &str,
        given: &Map<String, Json>,
        all: &mut Vec<Filter>,
    ) -> Result<(), Error> {
        for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            self.count()?;
            let op = match name.as_str() {
                "eq" => Op::Equal,
                "ne" => Op::NotEqual,
                "lt" => Op::Less,
                "lte" => Op::LessOrEqual,
                "gt" => Op::Greater,
                "gte" => Op::GreaterOrEqual,
                "contains" => Op::Contains,
                "startsWith" => Op::StartsWith,
                "endsWith" => Op::EndsWith,
                "in" => {
                    let values = value.as_array().into_iter().flatten();
                    let values = values.map(|value| self.value(model, field, value)).collect::<Result<_, _>>()?;
                    all.push(Filter::In { field: field.to_owned(), values });
                    continue;
                }
                "isNull" => {
                    let null = Filter::Null { field: field.to_owned() };
                    match value {
                        Json::Bool(true) => all.push(null),
                        Json::Bool(false) => all.push(Filter::Not(Box::new(null))),
                        _ => {}
                    }
                    continue;
                }
                other => return Err(Error::input(format!("{field} can't be compared by {other}"))),
            };
            let value = self.value(model, field, value)?;
            let searches = matches!(op, Op::Contains | Op::StartsWith | Op::EndsWith);
            if searches && value.as_str().is_some_and(|text| text.len() > NEEDLE_MAX) {
                return Err(Error::input(format!("{field} is searched for a text of more than {NEEDLE_MAX} bytes")));
            }
            all.push(Filter::Compare { field: field.to_owned(), op, value });
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Error> {
        self.conditions += 1;
        Error::within("conditions", self.conditions, CONDITIONS_MAX)
    }

    fn value(&mut self, model: &Name, field: &str, value: &Json) -> Result<Json, Error> {
        self.values += 1;
        Error::within("values to compare with", self.values, VALUES_MAX)?;
        if value.as_str().is_some_and(|text| text.contains('\0')) {
            return Err(Error::input(format!(
                "{field} is compared with a text with a NUL in it, which no row can have"
            )));
        }
        let api = self.ground.api;
        let ty = api.object(model.as_str()).and_then(|object| object.field(field)).map(|field| field.ty.type_name());
        let scalar = match ty.and_then(|ty| api.types.get(ty)) {
            Some(Type::Scalar(scalar)) => *scalar,
            _ => Scalar::String,
        };
        values::comparable(scalar, value.clone())
            .ok_or_else(|| Error::input(format!("{field} is compared with {value}, which is no {}", scalar.name())))
    }
}

fn quantifier(name: &str) -> Result<Quantifier, Error> {
    match name {
        "some" => Ok(Quantifier::Some),
        "every" => Ok(Quantifier::Every),
        "none" => Ok(Quantifier::None),
        other => Err(Error::input(format!("what a relation leads to can't be asked for {other}"))),
    }
}
