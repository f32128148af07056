//! Read models in memory: what a test's projection writes to.
//!
//! They keep the contract's rules: a patch or a sum of a row that is not there does nothing, and a selection sees rows as
//! they were before the batch.

use std::cmp::Ordering as Order;
use std::collections::BTreeMap;
use std::sync::Arc;

use rust_decimal::Decimal;
use serde_json::{Map, Value};
use yado_model::manifest::ReadModel;
use yado_model::schema::Shape;
use yado_model::{Manifest, Timestamp, fold};
use yado_runtime::{Comparison, Condition, RowsError, Selection};

type Row = Map<String, Value>;

#[derive(Debug, Default)]
pub(super) struct Rows {
    manifest: Option<Arc<Manifest>>,
    /// Read models of other plugins.
    foreign: Vec<ReadModel>,
    now: BTreeMap<(String, String), Row>,
    before: BTreeMap<(String, String), Row>,
}

impl Rows {
    pub(super) fn new(manifest: &Arc<Manifest>) -> Self {
        Self { manifest: Some(Arc::clone(manifest)), ..Self::default() }
    }

    /// Rows that another plugin keeps are these.
    pub(super) fn lend(&mut self, model: &ReadModel, rows: &[Value]) {
        for row in rows.iter().filter_map(Value::as_object) {
            let key = row.get(model.key.as_str()).and_then(Value::as_str).unwrap_or_default();
            self.now.insert((model.name.to_string(), key.to_owned()), row.clone());
        }
        if self.known(model.name.as_str()).is_none() {
            self.foreign.push(model.clone());
        }
    }

    /// The rows of a model, by key.
    pub(super) fn of(&self, model: &str) -> Vec<Value> {
        let rows = self.now.iter().filter(|((of, _), _)| of == model);
        rows.map(|(_, row)| Value::Object(row.clone())).collect()
    }

    /// A model of these rows.
    pub(super) fn known(&self, model: &str) -> Option<&ReadModel> {
        let own = self.manifest.as_ref().and_then(|manifest| manifest.read_model(model));
        own.or_else(|| self.foreign.iter().find(|foreign| foreign.name.as_str() == model))
    }

    /// A new batch begins.
    pub(super) fn begin(&mut self) {
        self.before = self.now.clone();
    }

    fn model(&self, name: &str) -> Result<&ReadModel, RowsError> {
        self.known(name).ok_or_else(|| RowsError::Misused(format!("there is no read model {name}")))
    }

    /// What a field of a model holds.
    pub(super) fn field(&self, model: &str, field: &str) -> Result<Shape, RowsError> {
        let shape = self.model(model)?.row.shape().map_err(|error| misused(error.to_string()))?.shape;
        let Shape::Object(row) = shape else { return Err(misused(format!("{model} has no fields"))) };
        let found = row.fields.get(field).map(|field| field.slot.shape.clone());
        found.ok_or_else(|| misused(format!("{model} has no field {field}")))
    }

    /// The rows, as they were before the batch, that meet all of the conditions; in the order of their keys.
    fn meeting(&self, model: &str, conditions: Vec<Condition>) -> Result<Vec<&Row>, RowsError> {
        self.model(model)?;
        let mut known = Vec::new();
        for Condition { field, comparison, value } in conditions {
            let value: Value = serde_json::from_str(&value).map_err(|error| misused(error.to_string()))?;
            let searched =
                self.known(model).is_some_and(|model| model.search.iter().any(|name| name.as_str() == field));
            known.push((self.field(model, &field)?, searched, field, comparison, value));
        }
        let meets = |row: &&Row| {
            known.iter().all(|(shape, searched, field, comparison, value)| {
                holds(*comparison, shape, *searched, row.get(field).unwrap_or(&Value::Null), value)
            })
        };
        let rows = self.before.iter().filter(|((of, _), _)| of == model).map(|(_, row)| row);
        Ok(rows.filter(meets).collect())
    }
}

impl yado_runtime::Rows for Rows {
    fn at(&mut self, _: u64) -> Result<(), RowsError> {
        Ok(())
    }

    fn get(&mut self, model: &str, key: &str) -> Result<Option<Arc<str>>, RowsError> {
        self.model(model)?;
        let row = self.now.get(&(model.to_owned(), key.to_owned()));
        Ok(row.map(|row| Value::Object(row.clone()).to_string().into()))
    }

    fn put(&mut self, model: &str, row: &str) -> Result<(), RowsError> {
        let row = object(row)?;
        let field = self.model(model)?.key.as_str();
        let key = row.get(field).and_then(Value::as_str).ok_or_else(|| misused(format!("the row has no {field}")))?;
        self.now.insert((model.to_owned(), key.to_owned()), row);
        Ok(())
    }

    fn patch(&mut self, model: &str, key: &str, fields: &str) -> Result<(), RowsError> {
        self.model(model)?;
        let fields = object(fields)?;
        if let Some(row) = self.now.get_mut(&(model.to_owned(), key.to_owned())) {
            row.extend(fields);
        }
        Ok(())
    }

    fn add(&mut self, model: &str, key: &str, field: &str, amount: &str) -> Result<(), RowsError> {
        self.model(model)?;
        let Some(row) = self.now.get_mut(&(model.to_owned(), key.to_owned())) else { return Ok(()) };
        let value = row.get_mut(field).ok_or_else(|| misused(format!("a row of {model} has no {field}")))?;
        let number = |text: &str| text.parse::<Decimal>().map_err(|_| misused(format!("{text} is no number")));
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let sum = number(&text(value))?.checked_add(number(amount)?);
        let sum = sum.ok_or_else(|| misused(format!("{field} of {model} grows too large")))?.to_string();
        *value = match value {
            Value::String(_) => Value::String(sum),
            _ => serde_json::from_str(&sum).map_err(|error| misused(error.to_string()))?,
        };
        Ok(())
    }

    fn delete(&mut self, model: &str, key: &str) -> Result<(), RowsError> {
        self.model(model)?;
        self.now.remove(&(model.to_owned(), key.to_owned()));
        Ok(())
    }

    fn find(&mut self, model: &str, selection: Selection) -> Result<Vec<String>, RowsError> {
        let mut ordering = Vec::new();
        for by in selection.ordering {
            ordering.push((self.field(model, &by.field)?, by));
        }
        let mut rows = self.meeting(model, selection.conditions)?;
        // They come by key, and a stable sort leaves those that are equal so; the last order's direction is theirs as well.
        if ordering.last().is_some_and(|(_, last)| last.descending) {
            rows.reverse();
        }
        rows.sort_by(|one, other| {
            let by = ordering.iter().map(|(shape, by)| {
                let value = |row: &Row| row.get(&by.field).cloned().unwrap_or_default();
                order(shape, by.descending, &value(one), &value(other))
            });
            by.fold(Order::Equal, Order::then)
        });
        let page = rows.into_iter().skip(selection.offset as usize).take(selection.limit as usize);
        Ok(page.map(|row| Value::Object(row.clone()).to_string()).collect())
    }

    fn count(&mut self, model: &str, conditions: Vec<Condition>) -> Result<u64, RowsError> {
        Ok(self.meeting(model, conditions)?.len() as u64)
    }
}

fn misused(reason: String) -> RowsError {
    RowsError::Misused(reason)
}

fn object(text: &str) -> Result<Row, RowsError> {
    serde_json::from_str(text).map_err(|error| misused(format!("a row is a JSON object: {error}")))
}

fn holds(comparison: Comparison, shape: &Shape, searched: bool, value: &Value, with: &Value) -> bool {
    let order = compare(shape, value, with);
    match comparison {
        Comparison::Equal => value == with || order == Some(Order::Equal),
        Comparison::NotEqual => value != with && order != Some(Order::Equal),
        Comparison::Less => order == Some(Order::Less),
        Comparison::LessOrEqual => matches!(order, Some(Order::Less | Order::Equal)),
        Comparison::Greater => order == Some(Order::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Order::Greater | Order::Equal)),
        Comparison::Contains => match (value.as_str(), with.as_str()) {
            // Case and width make no difference where searches look, and nowhere else.
            (Some(text), Some(part)) if searched => fold(text).contains(&fold(part)),
            (Some(text), Some(part)) => text.contains(part),
            _ => false,
        },
    }
}

/// How two values follow one another. What is not there comes last either way.
pub(super) fn order(shape: &Shape, descending: bool, one: &Value, other: &Value) -> Order {
    match (one.is_null(), other.is_null()) {
        (false, false) => {
            let order = compare(shape, one, other).unwrap_or(Order::Equal);
            if descending { order.reverse() } else { order }
        }
        (one, other) => one.cmp(&other),
    }
}

/// By what the values mean: decimals and numbers as numbers, times as times, everything else as text. Nothing compares with nothing.
pub(super) fn compare(shape: &Shape, one: &Value, other: &Value) -> Option<Order> {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let (one, other) = (text(one)?, text(other)?);
    match shape {
        Shape::Decimal | Shape::Integer { .. } => Some(one.parse::<Decimal>().ok()?.cmp(&other.parse().ok()?)),
        Shape::Float => one.parse::<f64>().ok()?.partial_cmp(&other.parse().ok()?),
        Shape::Timestamp => Some(one.parse::<Timestamp>().ok()?.cmp(&other.parse().ok()?)),
        _ => Some(one.cmp(&other)),
    }
}
