//! Holds a declared query against its own arguments and answer, and against the read model whose rows it asks for.

mod one;

use std::str::FromStr;

use rust_decimal::Decimal;
use serde_json::Value;

use super::{Broken, Checked, known_field, shape, unique};
use crate::manifest::{Answer, ArgumentPath, CompareOp, Condition, Query, ReadModel, RowsQuery};
use crate::schema::{Field, Fields, Object, Shape, Slot};
use crate::{Name, Timestamp};

/// At most so many conditions, with those that only combine others. Each becomes a part of a statement, a search several.
const CONDITIONS: usize = 50;
/// At most so deep in one another.
const LEVELS: usize = 8;
/// At most so many properties to put rows in order by.
const ORDERS: usize = 8;
/// At most so many rows of a list, or of a page where nobody says how many.
const ROWS: u32 = 10_000;

/// Holds a declared query against its read model. Paths begin at the query.
pub(super) fn query(query: &Query, rows: &RowsQuery, model: &ReadModel) -> Checked {
    let Shape::Object(row) = shape("", &model.row)? else {
        return Err(Broken::new("/rows/model", format!("the rows of {} are not objects", model.name)));
    };
    let Shape::Object(arguments) = shape("/arguments", &query.arguments)? else {
        return Err(Broken::new("/arguments", "they must be an object"));
    };
    let mut checker = Conditions { arguments: &arguments.fields, row: &row.fields, model, seen: 0 };
    checker.each("/rows/where", &rows.conditions, 1)?;
    if rows.order_by.len() > ORDERS {
        return Err(Broken::new("/rows/orderBy", format!("it has more than {ORDERS} properties")));
    }
    for (at, order) in rows.order_by.iter().enumerate() {
        let path = format!("/rows/orderBy/{at}/field");
        let field = known_field(&path, &row.fields, &order.field)?;
        if family(&field.slot.shape).is_none() {
            return Err(Broken::new(path, format!("{} has parts, and so no order", order.field)));
        }
    }
    unique("/rows/orderBy", rows.order_by.iter().map(|order| &order.field))?;
    let returns = query.returns.shape().map_err(|e| Broken::new(format!("/returns{}", e.path), e.reason))?;
    answer(&rows.answer, &returns, model, &arguments.fields)?;
    if rows.answer == Answer::One { one::says_which(rows, model, &arguments.fields) } else { Ok(()) }
}

/// Holds what a query returns against what it is answered with.
fn answer(answer: &Answer, returns: &Slot, model: &ReadModel, arguments: &Fields) -> Checked {
    let name = &model.name;
    match answer {
        Answer::One if is_row(&returns.shape, name) && returns.nullable => Ok(()),
        Answer::One => Err(Broken::new("/returns", format!("it must be a row of {name}, or null where there is none"))),
        Answer::List { limit } if is_rows(returns, name) => count("/rows/answer/list/limit", *limit),
        Answer::List { .. } => Err(Broken::new("/returns", format!("it must be a list of rows of {name}"))),
        Answer::Page { rows, total, number, size, default_size } => {
            let page = match &returns.shape {
                Shape::Object(Object { model: None, fields, .. }) if !returns.nullable => fields,
                _ => return Err(Broken::new("/returns", format!("it must be an object with {rows} and {total}"))),
            };
            if let Some(other) = page.iter().find(|field| field.name != *rows && field.name != *total) {
                let reason = format!("a page has {rows} and {total}, and nothing else");
                return Err(Broken::new(format!("/returns/properties/{}", other.name), reason));
            }
            let shown = known_field("/rows/answer/page/rows", page, rows)?;
            if !is_rows(&shown.slot, name) {
                let path = format!("/returns/properties/{rows}");
                return Err(Broken::new(path, format!("it must be a list of rows of {name}")));
            }
            let counted = known_field("/rows/answer/page/total", page, total)?;
            if !matches!(counted.slot.shape, Shape::Integer { .. }) {
                return Err(Broken::new(format!("/returns/properties/{total}"), "it must be an integer"));
            }
            for (word, path) in [("number", number), ("size", size)] {
                let at = format!("/rows/answer/page/{word}");
                if !matches!(argument(&at, arguments, path)?.slot.shape, Shape::Integer { .. }) {
                    return Err(Broken::new(at, format!("the argument {path} must be an integer")));
                }
            }
            count("/rows/answer/page/defaultSize", *default_size)
        }
    }
}

/// Holds a number of rows against what there may be of them.
fn count(path: &str, rows: u32) -> Checked {
    match rows {
        1..=ROWS => Ok(()),
        _ => Err(Broken::new(path, format!("it is {rows}, and must be between 1 and {ROWS}"))),
    }
}

fn is_row(shape: &Shape, model: &Name) -> bool {
    matches!(shape, Shape::Object(object) if object.model.as_ref() == Some(model))
}

fn is_rows(slot: &Slot, model: &Name) -> bool {
    matches!(&slot.shape, Shape::List(item) if !item.nullable && is_row(&item.shape, model)) && !slot.nullable
}

/// The argument at the end of a path.
fn argument<'a>(at: &str, arguments: &'a Fields, path: &ArgumentPath) -> Result<&'a Field, Broken> {
    let missing = || Broken::new(at, format!("there is no argument {path}"));
    let mut within = arguments;
    let mut found = None;
    for (nth, step) in path.steps().iter().enumerate() {
        let field = within.get(step.as_str()).ok_or_else(missing)?;
        found = Some(field);
        match &field.slot.shape {
            Shape::Object(object) => within = &object.fields,
            _ if nth + 1 < path.steps().len() => return Err(missing()),
            _ => {}
        }
    }
    found.ok_or_else(missing)
}

struct Conditions<'a> {
    arguments: &'a Fields,
    row: &'a Fields,
    model: &'a ReadModel,
    seen: usize,
}

impl Conditions<'_> {
    fn each(&mut self, path: &str, conditions: &[Condition], level: usize) -> Checked {
        conditions.iter().enumerate().try_for_each(|(at, one)| self.condition(&format!("{path}/{at}"), one, level))
    }

    fn condition(&mut self, path: &str, condition: &Condition, level: usize) -> Checked {
        self.seen += 1;
        if self.seen > CONDITIONS {
            return Err(Broken::new(path, format!("a query has at most {CONDITIONS} conditions")));
        }
        if level > LEVELS {
            return Err(Broken::new(path, format!("conditions are at most {LEVELS} deep in one another")));
        }
        match condition {
            Condition::Argument { field, op, argument: from } => {
                let shape = self.comparable(path, field, *op)?;
                let given = &argument(&format!("{path}/argument"), self.arguments, from)?.slot.shape;
                match fits(*op, shape, given) {
                    true => Ok(()),
                    false => Err(Broken::new(
                        format!("{path}/argument"),
                        format!("{field} is compared with {}, and {from} is {}", wanted(*op, shape), words(given)),
                    )),
                }
            }
            Condition::Value { field, op, value } => {
                let shape = self.comparable(path, field, *op)?;
                match is_value(*op, shape, value) {
                    true => Ok(()),
                    false => Err(Broken::new(
                        format!("{path}/value"),
                        format!("{field} is compared with {}, and this is {value}", wanted(*op, shape)),
                    )),
                }
            }
            Condition::Search { search } => {
                let path = format!("{path}/search");
                if self.model.search.is_empty() {
                    return Err(Broken::new(
                        path,
                        format!("{} says of no property that it is searched", self.model.name),
                    ));
                }
                match argument(&path, self.arguments, search)?.slot.shape {
                    Shape::Text => Ok(()),
                    _ => Err(Broken::new(path, format!("the argument {search} must be a text"))),
                }
            }
            Condition::Any { any } if any.is_empty() => {
                Err(Broken::new(format!("{path}/any"), "it has no conditions, and so none that could hold"))
            }
            Condition::Any { any } => self.each(&format!("{path}/any"), any, level + 1),
            Condition::Not { not } => self.condition(&format!("{path}/not"), not, level + 1),
        }
    }

    /// The shape of a property that can be compared so.
    fn comparable(&self, path: &str, field: &Name, op: CompareOp) -> Result<&Shape, Broken> {
        let path = format!("{path}/field");
        let shape = &known_field(&path, self.row, field)?.slot.shape;
        let refuse = |why: &str| Err(Broken::new(&path, format!("{field} {why}")));
        match (op, family(shape)) {
            (CompareOp::IsNull, _) => Ok(shape),
            (_, None) => refuse("has parts, and can't be compared"),
            (CompareOp::Lt | CompareOp::Lte | CompareOp::Gt | CompareOp::Gte, Some(Family::Boolean)) => {
                refuse("is true or false, and neither is less than the other")
            }
            (CompareOp::Contains | CompareOp::StartsWith | CompareOp::EndsWith, Some(family))
                if family != Family::Text =>
            {
                refuse("is no text, and contains nothing")
            }
            _ => Ok(shape),
        }
    }
}

/// What is compared with one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Text,
    Integer,
    Float,
    Decimal,
    Boolean,
    Timestamp,
}

const fn family(shape: &Shape) -> Option<Family> {
    match shape {
        Shape::Text | Shape::Id { .. } | Shape::Enumeration(_) => Some(Family::Text),
        Shape::Integer { .. } => Some(Family::Integer),
        Shape::Float => Some(Family::Float),
        Shape::Decimal => Some(Family::Decimal),
        Shape::Boolean => Some(Family::Boolean),
        Shape::Timestamp => Some(Family::Timestamp),
        Shape::List(_) | Shape::Object(_) | Shape::Json => None,
    }
}

/// Whether an argument of one shape can be compared with a property of another.
fn fits(op: CompareOp, property: &Shape, given: &Shape) -> bool {
    match (op, given) {
        (CompareOp::IsNull, given) => *given == Shape::Boolean,
        (CompareOp::In, Shape::List(item)) => !item.nullable && family(&item.shape) == family(property),
        (CompareOp::In, _) => false,
        (_, given) => family(given) == family(property),
    }
}

/// Whether a value that is always the same can be compared with a property.
fn is_value(op: CompareOp, property: &Shape, value: &Value) -> bool {
    match (op, value) {
        (CompareOp::IsNull, value) => value.is_boolean(),
        (CompareOp::In, Value::Array(items)) => items.iter().all(|item| is_value(CompareOp::Eq, property, item)),
        (CompareOp::In, _) => false,
        (CompareOp::Contains | CompareOp::StartsWith | CompareOp::EndsWith, value) => value.is_string(),
        (_, value) => match (property, value) {
            (Shape::Enumeration(known), Value::String(text)) => known.values.contains(text),
            (Shape::Text | Shape::Id { .. }, value) => value.is_string(),
            (Shape::Integer { .. }, value) => value.is_i64(),
            (Shape::Float, value) => value.is_number(),
            (Shape::Decimal, Value::String(text)) => Decimal::from_str_exact(text).is_ok(),
            (Shape::Boolean, value) => value.is_boolean(),
            (Shape::Timestamp, Value::String(text)) => Timestamp::from_str(text).is_ok(),
            _ => false,
        },
    }
}

/// What a property is to be compared with, in the words of a refusal.
fn wanted(op: CompareOp, property: &Shape) -> String {
    match op {
        CompareOp::IsNull => "true or false".to_owned(),
        CompareOp::In => format!("a list, each of it {}", words(property)),
        _ => words(property).to_owned(),
    }
}

const fn words(shape: &Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Id { .. } => "a text",
        Shape::Enumeration(_) => "one of a few texts",
        Shape::Integer { .. } => "an integer",
        Shape::Float => "a number",
        Shape::Decimal => "a decimal number as a string",
        Shape::Boolean => "true or false",
        Shape::Timestamp => "a time",
        Shape::List(_) => "a list",
        Shape::Object(_) => "an object",
        Shape::Json => "any JSON",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ticket() -> ReadModel {
        let row = json!({ "type": "object", "required": ["id", "label", "price"], "properties": {
            "id": { "type": "string", "format": "id" }, "label": { "type": "string" },
            "price": { "type": "string", "format": "decimal" }, "seats": { "type": "integer" },
            "sold": { "type": "boolean" }, "status": { "type": "string", "enum": ["OPEN", "SHUT"] }, "extra": true,
        } });
        serde_json::from_value(json!({ "name": "Ticket", "key": "id", "search": ["label"], "row": row })).unwrap()
    }

    fn page() -> Value {
        let row = json!({ "type": "object", "x-model": "Ticket", "properties": {} });
        json!({
            "name": "findTickets",
            "arguments": { "type": "object", "properties": {
                "label": { "type": ["string", "null"] }, "labels": { "type": "array", "items": { "type": "string" } },
                "range": { "type": "object", "properties": { "min": { "type": "string", "format": "decimal" } } },
                "page": { "type": "integer" }, "size": { "type": "integer" }, "open": { "type": "boolean" },
            } },
            "returns": { "type": "object", "properties": {
                "tickets": { "type": "array", "items": row }, "total": { "type": "integer" },
            } },
            "rows": {
                "model": "Ticket",
                "where": [
                    { "field": "label", "op": "contains", "argument": "label" },
                    { "any": [{ "field": "price", "op": "gte", "argument": "range.min" }, { "search": "label" }] },
                    { "not": { "field": "label", "op": "in", "argument": "labels" } },
                    { "field": "seats", "op": "isNull", "argument": "open" },
                    { "field": "status", "op": "eq", "value": "OPEN" },
                    { "field": "price", "op": "in", "value": ["1.50", "2"] },
                ],
                "orderBy": [{ "field": "label" }, { "field": "price", "descending": true }],
                "answer": { "page": { "rows": "tickets", "total": "total", "number": "page", "size": "size", "defaultSize": 20 } },
            },
        })
    }

    fn check(document: Value) -> Checked {
        let found: Query = serde_json::from_value(document).unwrap();
        query(&found, found.rows.as_ref().unwrap(), &ticket())
    }

    fn broken(change: impl FnOnce(&mut Value)) -> String {
        let mut document = page();
        change(&mut document);
        check(document).unwrap_err().to_string().replace("the manifest is broken at ", "")
    }

    #[test]
    fn a_sound_declared_query_is_taken_and_written_as_it_was_read() {
        check(page()).unwrap();
        let read: Query = serde_json::from_value(page()).unwrap();
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(serde_json::from_value::<Query>(written.clone()).unwrap(), read);
        assert_eq!(written["rows"]["where"], page()["rows"]["where"]);
        let row = json!({ "type": "object", "x-model": "Ticket", "properties": {} });
        let one = json!({ "anyOf": [row, { "type": "null" }] });
        for (answer, returns) in
            [(json!("one"), one), (json!({ "list": { "limit": 5 } }), json!({ "type": "array", "items": row }))]
        {
            let mut document = page();
            document["rows"]["answer"] = answer;
            document["rows"]["where"] = json!([{ "field": "status", "op": "eq", "value": "OPEN" }]);
            document["returns"] = returns;
            check(document).unwrap();
        }
    }

    #[test]
    fn a_condition_is_on_what_is_there_and_compares_like_with_like() {
        let first = |condition: Value| broken(|query| query["rows"]["where"][0] = condition);
        for (condition, refusal) in [
            (
                json!({ "field": "colour", "op": "eq", "argument": "label" }),
                "/rows/where/0/field: there is no property colour",
            ),
            (
                json!({ "field": "label", "op": "eq", "argument": "colour" }),
                "/rows/where/0/argument: there is no argument colour",
            ),
            (
                json!({ "field": "price", "op": "eq", "argument": "range.max" }),
                "/rows/where/0/argument: there is no argument range.max",
            ),
            (
                json!({ "field": "price", "op": "eq", "argument": "label" }),
                "/rows/where/0/argument: price is compared with a decimal number as a string, and label is a text",
            ),
            (
                json!({ "field": "label", "op": "in", "argument": "label" }),
                "/rows/where/0/argument: label is compared with a list, each of it a text, and label is a text",
            ),
            (
                json!({ "field": "price", "op": "contains", "argument": "label" }),
                "/rows/where/0/field: price is no text, and contains nothing",
            ),
            (
                json!({ "field": "sold", "op": "lt", "value": true }),
                "/rows/where/0/field: sold is true or false, and neither is less than the other",
            ),
            (
                json!({ "field": "extra", "op": "eq", "value": 1 }),
                "/rows/where/0/field: extra has parts, and can't be compared",
            ),
            (
                json!({ "field": "status", "op": "eq", "value": "LOST" }),
                "/rows/where/0/value: status is compared with one of a few texts, and this is \"LOST\"",
            ),
            (
                json!({ "field": "price", "op": "lt", "value": 5 }),
                "/rows/where/0/value: price is compared with a decimal number as a string, and this is 5",
            ),
            (json!({ "search": "page" }), "/rows/where/0/search: the argument page must be a text"),
            (json!({ "any": [] }), "/rows/where/0/any: it has no conditions, and so none that could hold"),
        ] {
            assert_eq!(first(condition), refusal);
        }
        let text = broken(|query| query["rows"]["where"] = vec![json!({ "search": "label" }); 51].into());
        assert_eq!(text, "/rows/where/50: a query has at most 50 conditions");
        let nested = (0..8).fold(json!({ "search": "label" }), |inner, _| json!({ "not": inner }));
        assert!(first(nested).ends_with("conditions are at most 8 deep in one another"));
    }

    #[test]
    fn one_row_is_answered_only_where_the_query_says_which() {
        let one = |key: bool| {
            let mut document = page();
            document["arguments"]["properties"]["id"] = json!({ "type": "string" });
            document["arguments"]["required"] = json!(["id"]);
            let named = json!({ "field": if key { "id" } else { "label" }, "op": "eq", "argument": "id" });
            document["rows"] = json!({ "model": "Ticket", "where": [named], "answer": "one" });
            let row = json!({ "type": "object", "x-model": "Ticket", "properties": {} });
            document["returns"] = json!({ "anyOf": [row, { "type": "null" }] });
            check(document).map_err(|broken| broken.path)
        };
        assert_eq!((one(true), one(false)), (Ok(()), Err("/rows/where".to_owned())));
    }

    #[test]
    fn pages_and_lists_have_rows_and_not_too_many() {
        let sized = |answer: Value, returns: Option<Value>| {
            let mut document = page();
            document["rows"]["answer"] = answer;
            document["returns"] = returns.unwrap_or_else(|| page()["returns"].clone());
            check(document).map_err(|broken| broken.to_string().replace("the manifest is broken at ", ""))
        };
        let rows = page()["returns"]["properties"]["tickets"].clone();
        let list = |limit: u32| sized(json!({ "list": { "limit": limit } }), Some(rows.clone()));
        let paged = |size: u32| {
            let page =
                json!({ "rows": "tickets", "total": "total", "number": "page", "size": "size", "defaultSize": size });
            sized(json!({ "page": page }), None)
        };
        for fits in [1, ROWS] {
            assert_eq!((list(fits), paged(fits)), (Ok(()), Ok(())));
        }
        for other in [0, ROWS + 1] {
            let refusal = |path: &str| Err(format!("{path}: it is {other}, and must be between 1 and 10000"));
            assert_eq!(list(other), refusal("/rows/answer/list/limit"));
            assert_eq!(paged(other), refusal("/rows/answer/page/defaultSize"));
        }
    }

    #[test]
    fn what_a_query_returns_is_what_it_is_answered_with() {
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 7] = [
            (
                |q| q["rows"]["answer"] = json!("one"),
                "/returns: it must be a row of Ticket, or null where there is none",
            ),
            (
                |q| q["rows"]["answer"] = json!({ "list": { "limit": 1 } }),
                "/returns: it must be a list of rows of Ticket",
            ),
            (
                |q| q["returns"]["properties"]["best"] = json!(true),
                "/returns/properties/best: a page has tickets and total, and nothing else",
            ),
            (
                |q| q["returns"]["properties"]["total"] = json!({ "type": "string" }),
                "/returns/properties/total: it must be an integer",
            ),
            (
                |q| q["returns"]["properties"]["tickets"]["items"]["x-model"] = json!("Venue"),
                "/returns/properties/tickets: it must be a list of rows of Ticket",
            ),
            (
                |q| q["rows"]["answer"]["page"]["size"] = json!("label"),
                "/rows/answer/page/size: the argument label must be an integer",
            ),
            (
                |q| q["rows"]["orderBy"][0]["field"] = json!("extra"),
                "/rows/orderBy/0/field: extra has parts, and so no order",
            ),
        ];
        for (change, refusal) in cases {
            assert_eq!(broken(change), refusal);
        }
    }
}
