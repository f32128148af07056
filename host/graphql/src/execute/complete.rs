//! Values are brought into the form of a field's type. Where null is allowed, what has failed is null.

use async_graphql::dynamic::TypeRef;
use futures::future::{BoxFuture, FutureExt as _};
use serde_json::Value as Json;
use yado_engine::Shown;

use super::column::{Cell, Column};
use super::objects::{leaf, required};
use super::path::Places;
use super::value::Value;
use super::{Execution, Parents, Spot};
use crate::api::Type;
use crate::select::Which;
use crate::values::Written;

impl Execution<'_> {
    /// Brings values into the form of a type. `of` says which rows they were computed of.
    pub(super) async fn complete(
        &self,
        spot: Spot<'_>,
        ty: &TypeRef,
        values: Vec<Value<'_>>,
        of: Option<&Which>,
    ) -> Column {
        let (must_be, inner) = required(ty);
        let has_parts = matches!(inner, TypeRef::List(_)) || self.api.object(inner.type_name()).is_some();
        let documents = if has_parts { documents(&values) } else { Vec::new() };
        let values = read_in(values, &documents);
        let column = match inner {
            TypeRef::List(item) => self.lists(spot, must_be, item, &values).await,
            _ => self.single(spot, must_be, inner.type_name(), values, of).await,
        };
        if must_be { column } else { column.or_null() }
    }

    /// The same for lists that are within lists.
    fn inner<'p>(&'p self, spot: Spot<'p>, ty: &'p TypeRef, values: Vec<Value<'p>>) -> BoxFuture<'p, Column> {
        self.complete(spot, ty, values, None).boxed()
    }

    /// Brings values into the form of a type that is no list.
    async fn single(
        &self,
        spot: Spot<'_>,
        must_be: bool,
        ty: &str,
        values: Vec<Value<'_>>,
        of: Option<&Which>,
    ) -> Column {
        match self.api.types.get(ty) {
            Some(Type::Object(_)) => self.nested(spot, must_be, ty, values, of).await,
            known => self.leaves(spot, must_be, known, &values),
        }
    }

    fn leaves(&self, spot: Spot<'_>, must_be: bool, ty: Option<&Type>, values: &[Value<'_>]) -> Column {
        let mut column = Column::with_room(values.len(), 0);
        let mut misfits = Vec::new();
        for (at, value) in values.iter().enumerate() {
            column.add(|out| match ty.map_or(Written::Misfit, |ty| leaf(ty, *value, out)) {
                Written::Yes => None,
                Written::Null if !must_be => Some(Cell::Null),
                Written::Null | Written::Misfit => {
                    misfits.push((at, *value));
                    Some(Cell::Failed)
                }
            });
        }
        self.bad_rows(&spot, &misfits);
        column
    }

    /// Lists: their items are brought into form all at once, and put back where they came from.
    async fn lists(&self, spot: Spot<'_>, must_be: bool, item: &TypeRef, values: &[Value<'_>]) -> Column {
        let mut items = Vec::new();
        let mut ends = Vec::with_capacity(values.len());
        let (mut missing, mut misfits) = (Vec::new(), Vec::new());
        for (at, value) in values.iter().enumerate() {
            if !value.add_items(&mut items) {
                let is_allowed = value.is_null() && !must_be;
                missing.push((at, if is_allowed { Cell::Null } else { Cell::Failed }));
                misfits.extend((!is_allowed).then_some((at, *value)));
            }
            ends.push(items.len());
        }
        self.bad_rows(&spot, &misfits);
        let below = Spot { places: Places::Items(&spot.places, &ends), ..spot };
        let items = match required(item) {
            _ if items.is_empty() => Column::nowhere(true, 0),
            (_, TypeRef::List(_)) => self.inner(below, item, items).await,
            (true, inner) => self.single(below, true, inner.type_name(), items, None).await,
            (false, inner) => self.single(below, false, inner.type_name(), items, None).await.or_null(),
        };
        let mut lists = Column::with_room(values.len(), items.bytes() + ends.last().unwrap_or(&0) + 2 * values.len());
        let (mut from, mut missing) = (0, missing.into_iter().peekable());
        for (at, end) in ends.iter().enumerate() {
            lists.add(|out| {
                if let Some((_, cell)) = missing.next_if(|(missing, _)| *missing == at) {
                    return Some(cell);
                }
                out.push('[');
                for item in from..*end {
                    if item > from {
                        out.push(',');
                    }
                    if !items.write(item, out) {
                        return Some(Cell::Failed);
                    }
                }
                out.push(']');
                None
            });
            from = *end;
        }
        lists
    }

    /// Objects: those that are there are completed, and put back where they came from.
    async fn nested(
        &self,
        spot: Spot<'_>,
        must_be: bool,
        ty: &str,
        values: Vec<Value<'_>>,
        of: Option<&Which>,
    ) -> Column {
        if values.iter().all(|value| value.is_object()) {
            let parents = Parents { ty, values: &values, places: spot.places, of };
            return self.objects(parents, &spot.one.below).await;
        }
        let (mut there, mut numbers, mut misfits) = (Vec::new(), Vec::new(), Vec::new());
        let mut own = Vec::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            own.push(value.is_object().then_some(there.len()));
            if value.is_object() {
                numbers.push(at);
                there.push(*value);
            } else if must_be || !value.is_null() {
                misfits.push((at, *value));
            }
        }
        self.bad_rows(&spot, &misfits);
        let column = if there.is_empty() {
            Column::nowhere(true, 0)
        } else {
            let parents = Parents { ty, values: &there, places: Places::Among(&spot.places, &numbers), of };
            self.objects(parents, &spot.one.below).await
        };
        column.spread(own.into_iter(), if must_be { Cell::Failed } else { Cell::Null })
    }
}

/// The documents among values, read; nothing for one that can't be.
fn documents(values: &[Value<'_>]) -> Vec<Option<Json>> {
    let text = |value: &Value<'_>| match value {
        Value::Shown(Shown::Json(text)) => Some(serde_json::from_str(text).ok()),
        _ => None,
    };
    values.iter().filter_map(text).collect()
}

/// Values with documents in the places of their texts.
fn read_in<'v>(mut values: Vec<Value<'v>>, documents: &'v [Option<Json>]) -> Vec<Value<'v>> {
    let texts = values.iter_mut().filter(|value| matches!(value, Value::Shown(Shown::Json(_))));
    for (value, document) in texts.zip(documents) {
        if let Some(document) = document {
            *value = Value::Json(document);
        }
    }
    values
}
