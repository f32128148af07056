//! Which rows, and in which order: from the arguments of a field to what the engine is asked.

use serde_json::{Map, Value as Json};
use yado_engine::{Filter, Op, Order, Select};

use crate::Limits;
use crate::api::{Api, Scalar, Type};
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

/// The page of rows that arguments ask for. `equal` are the properties that have an argument of their own.
///
/// # Errors
/// If the arguments ask for what can't be, or for too much.
pub(crate) fn page(
    api: &Api,
    limits: &Limits,
    model: &str,
    equal: &[String],
    arguments: &Arguments<'_>,
) -> Result<Select, Error> {
    let mut reader = Reader { api, model, conditions: 0, values: 0 };
    let mut all = Vec::new();
    for field in equal {
        match arguments.get(field) {
            None => {}
            Some(Json::Null) => all.push(Filter::Null { field: field.clone() }),
            Some(value) => {
                let value = reader.value(field, value)?;
                all.push(Filter::Compare { field: field.clone(), op: Op::Equal, value });
            }
        }
    }
    if let Some(Json::Object(conditions)) = arguments.get("where") {
        reader.conditions(conditions, 1, &mut all)?;
    }
    Ok(Select {
        filter: conjunction(all),
        order: order(arguments.get("orderBy")),
        limit: number("limit", arguments, limits.page_default, limits.page_max)?,
        offset: number("offset", arguments, 0, limits.offset_max)?,
    })
}

/// All of these, or no filter where there are none.
pub(crate) fn conjunction(mut all: Vec<Filter>) -> Option<Filter> {
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Filter::All(all)),
    }
}

fn number(name: &str, arguments: &Arguments<'_>, default: u32, most: u32) -> Result<u32, Error> {
    let Some(value) = arguments.get(name).filter(|value| !value.is_null()) else { return Ok(default) };
    match value.as_u64().and_then(|value| u32::try_from(value).ok()) {
        Some(value) if value <= most => Ok(value),
        _ => Err(Error::input(format!("{name} is {value}, and must be between 0 and {most}"))),
    }
}

fn order(argument: Option<&Json>) -> Vec<Order> {
    let items = argument.and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object);
    let fields = items.flat_map(|item| item.iter());
    fields.map(|(field, direction)| Order { field: field.clone(), descending: direction == "DESC" }).collect()
}

struct Reader<'a> {
    api: &'a Api,
    model: &'a str,
    conditions: u64,
    values: u64,
}

impl Reader<'_> {
    fn conditions(&mut self, given: &Map<String, Json>, level: u64, all: &mut Vec<Filter>) -> Result<(), Error> {
        Error::within("levels of conditions", level, LEVELS_MAX)?;
        for (name, value) in given {
            match (name.as_str(), value) {
                // A condition that is null is none: the variable for it was left empty.
                (_, Json::Null) => {}
                ("and", Json::Array(items)) => all.extend(self.each(items, level)?),
                ("or", Json::Array(items)) => all.push(Filter::Any(self.each(items, level)?)),
                ("not", Json::Object(inner)) => all.push(Filter::Not(Box::new(self.together(inner, level)?))),
                (field, Json::Object(comparisons)) => self.comparisons(field, comparisons, all)?,
                (field, _) => return Err(Error::input(format!("the condition on {field} must be an object"))),
            }
        }
        Ok(())
    }

    fn each(&mut self, items: &[Json], level: u64) -> Result<Vec<Filter>, Error> {
        items.iter().filter_map(Json::as_object).map(|item| self.together(item, level)).collect()
    }

    fn together(&mut self, item: &Map<String, Json>, level: u64) -> Result<Filter, Error> {
        self.count()?;
        let mut all = Vec::new();
        self.conditions(item, level + 1, &mut all)?;
        Ok(Filter::All(all))
    }

    fn comparisons(&mut self, field: &str, given: &Map<String, Json>, all: &mut Vec<Filter>) -> Result<(), Error> {
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
                    let values = values.map(|value| self.value(field, value)).collect::<Result<_, _>>()?;
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
            let value = self.value(field, value)?;
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

    fn value(&mut self, field: &str, value: &Json) -> Result<Json, Error> {
        self.values += 1;
        Error::within("values to compare with", self.values, VALUES_MAX)?;
        if value.as_str().is_some_and(|text| text.contains('\0')) {
            return Err(Error::input(format!(
                "{field} is compared with a text with a NUL in it, which no row can have"
            )));
        }
        let ty = self.api.object(self.model).and_then(|object| object.field(field)).map(|field| field.ty.type_name());
        let scalar = match ty.and_then(|ty| self.api.types.get(ty)) {
            Some(Type::Scalar(scalar)) => *scalar,
            _ => Scalar::String,
        };
        values::comparable(scalar, value.clone())
            .ok_or_else(|| Error::input(format!("{field} is compared with {value}, which is no {}", scalar.name())))
    }
}
