//! Declared queries, answered from the rows that a test's events have come to.
//!
//! The host makes a statement of such a query. What the statement means is said here once more, over rows in memory.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};
use yado_model::fold;
use yado_model::manifest::{Answer, CompareOp, Condition, ReadModel, RowsQuery};
use yado_model::schema::Shape;

use super::rows::{Rows, compare, order};

/// What the host would answer.
///
/// # Panics
/// If the query does not fit its read model, or asks for a page that there can't be.
#[track_caller]
pub(super) fn answer(rows: &Rows, query: &RowsQuery, arguments: &Value) -> Value {
    let name = query.model.as_str();
    let Some(model) = rows.known(name) else {
        panic!("{name} is another plugin's read model: say by `given_rows` which rows it has")
    };
    let reader = Reader { rows, model, arguments };
    let mut found = rows.of(name);
    found.retain(|row| query.conditions.iter().all(|condition| reader.holds(condition, row) != Some(false)));
    // They come by key, and a stable sort leaves those that are equal so; the last order's direction is theirs as well.
    if query.order_by.last().is_some_and(|last| last.descending) {
        found.reverse();
    }
    for by in query.order_by.iter().rev() {
        let (field, shape) = (by.field.as_str(), reader.shape(by.field.as_str()));
        found.sort_by(|one, other| order(&shape, by.descending, &one[field], &other[field]));
    }
    match &query.answer {
        Answer::One => found.into_iter().next().unwrap_or_default(),
        Answer::List { limit } => found.into_iter().take(*limit as usize).collect(),
        Answer::Page { rows, total, number, size, default_size } => {
            let whole = |given: &Value| match given.as_u64().and_then(|given| usize::try_from(given).ok()) {
                Some(given) if given > 0 => given,
                _ => panic!("pages are counted from 1 and have at least one row, and this is {given}"),
            };
            let size = size.of(arguments).map_or(*default_size as usize, whole);
            let before = (number.of(arguments).map_or(1, whole) - 1).saturating_mul(size);
            let count = found.len();
            let page: Value = found.into_iter().skip(before).take(size).collect();
            Value::Object(Map::from_iter([(rows.to_string(), page), (total.to_string(), json!(count))]))
        }
    }
}

struct Reader<'a> {
    rows: &'a Rows,
    model: &'a ReadModel,
    arguments: &'a Value,
}

impl Reader<'_> {
    /// Whether a condition holds of a row; nothing, if its argument is not there.
    fn holds(&self, condition: &Condition, row: &Value) -> Option<bool> {
        match condition {
            Condition::Value { field, op, value } => Some(self.compared(field.as_str(), *op, row, value)),
            Condition::Argument { field, op, argument } => {
                argument.of(self.arguments).map(|value| self.compared(field.as_str(), *op, row, value))
            }
            Condition::Search { search } => {
                let text = search.of(self.arguments)?.as_str().unwrap_or_default();
                let within = |word: &str| {
                    let mut texts = self.model.search.iter().filter_map(|field| row.get(field.as_str())?.as_str());
                    texts.any(|text| fold(text).contains(&fold(word)))
                };
                let mut words = text.split_whitespace().peekable();
                words.peek()?;
                Some(words.all(within))
            }
            Condition::Any { any } => {
                let known: Vec<bool> = any.iter().filter_map(|condition| self.holds(condition, row)).collect();
                (!known.is_empty()).then(|| known.contains(&true))
            }
            Condition::Not { not } => self.holds(not, row).map(|holds| !holds),
        }
    }

    fn compared(&self, field: &str, op: CompareOp, row: &Value, with: &Value) -> bool {
        let value = row.get(field).unwrap_or(&Value::Null);
        let order = || self.compare(field, value, with);
        match op {
            CompareOp::Eq => order() == Some(Ordering::Equal),
            CompareOp::Ne => order() != Some(Ordering::Equal),
            CompareOp::Lt => order().is_some_and(Ordering::is_lt),
            CompareOp::Lte => order().is_some_and(Ordering::is_le),
            CompareOp::Gt => order().is_some_and(Ordering::is_gt),
            CompareOp::Gte => order().is_some_and(Ordering::is_ge),
            CompareOp::In => {
                let mut among = with.as_array().into_iter().flatten();
                among.any(|one| self.compare(field, value, one) == Some(Ordering::Equal))
            }
            CompareOp::Contains => self.texts(field, value, with, |text, part| text.contains(part)),
            CompareOp::StartsWith => self.texts(field, value, with, |text, part| text.starts_with(part)),
            CompareOp::EndsWith => self.texts(field, value, with, |text, part| text.ends_with(part)),
            CompareOp::IsNull => value.is_null() == (with == &Value::Bool(true)),
        }
    }

    /// What is searched is compared without regard to case.
    fn texts(&self, field: &str, value: &Value, with: &Value, holds: fn(&str, &str) -> bool) -> bool {
        let (Some(text), Some(part)) = (value.as_str(), with.as_str()) else { return false };
        if self.model.search.iter().any(|searched| searched.as_str() == field) {
            holds(&fold(text), &fold(part))
        } else {
            holds(text, part)
        }
    }

    fn compare(&self, field: &str, one: &Value, other: &Value) -> Option<Ordering> {
        compare(&self.shape(field), one, other)
    }

    fn shape(&self, field: &str) -> Shape {
        match self.rows.field(self.model.name.as_str(), field) {
            Ok(shape) => shape,
            Err(error) => panic!("{error}"),
        }
    }
}
