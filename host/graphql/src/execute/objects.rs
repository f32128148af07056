//! Objects are put together: one after another, each out of what it has at hand and of what was looked up for all.

use async_graphql::dynamic::TypeRef;

use super::column::{Cell, Column, NULL};
use super::path::Places;
use super::tree::Selected;
use super::value::{Property, Value};
use super::{Execution, Parents, Spot};
use crate::api::{Resolve, Type};
use crate::values::{self, Written};
use crate::write;

/// A field of the objects of a level.
pub(super) enum Part<'p> {
    /// The name of their type.
    Typename,
    /// What they have at hand and what has no parts, which most fields are: nothing is waited for.
    Leaf(Leaf<'p>),
    /// What is still to be looked up.
    Open,
    /// What was looked up.
    Column(Column),
}

/// A value without parts that objects have at hand.
pub(super) struct Leaf<'p> {
    property: Property<'p>,
    ty: &'p Type,
    required: bool,
}

/// Room for a value without parts.
const LEAF_BYTES: usize = 24;

/// The type behind a reference to it, and whether it must be there.
pub(super) fn required(ty: &TypeRef) -> (bool, &TypeRef) {
    match ty {
        TypeRef::NonNull(inner) => (true, required(inner).1),
        other => (false, other),
    }
}

impl Execution<'_> {
    /// What a field is to the objects that have it.
    pub(super) fn part<'p>(&'p self, one: &Selected<'p>) -> Part<'p> {
        if one.name() == "__typename" {
            return Part::Typename;
        }
        let Some(field) = one.field.filter(|field| field.resolve == Resolve::Property) else { return Part::Open };
        let (required, ty) = required(&field.ty);
        let TypeRef::Named(ty) = ty else { return Part::Open };
        match self.api.types.get(ty.as_ref()) {
            None | Some(Type::Object(_)) => Part::Open,
            Some(ty) => Part::Leaf(Leaf { property: Property::new(&field.name), ty, required }),
        }
    }

    /// Puts objects together. One of which something failed that must not be null has failed itself.
    pub(super) fn put_together<'p>(
        &self,
        selected: &[Selected<'_>],
        mut parts: Vec<Part<'p>>,
        parents: Parents<'p>,
    ) -> Column {
        let heads = Heads::of(selected);
        let mut objects = Column::with_room(parents.values.len(), room(&heads, &parts, parents.values.len()));
        let mut misfits = Vec::new();
        for (at, parent) in parents.values.iter().enumerate() {
            objects.add(|out| {
                let mut failed = false;
                for (number, part) in parts.iter_mut().enumerate() {
                    out.push_str(heads.get(number));
                    let done = match part {
                        Part::Typename => {
                            write::string(parents.ty, out);
                            true
                        }
                        Part::Leaf(leaf) => leaf.write(*parent, out, |value| misfits.push((number, at, value))),
                        Part::Column(column) => column.write(at, out),
                        Part::Open => false,
                    };
                    // The others are looked at all the same, and what is wrong with them is told.
                    failed |= !done;
                }
                out.push_str(if parts.is_empty() { "{}" } else { "}" });
                failed.then_some(Cell::Failed)
            });
        }
        // They are told field by field.
        misfits.sort_by_key(|(number, ..)| *number);
        for of_field in misfits.chunk_by(|(one, ..), (other, ..)| one == other) {
            if let Some(one) = of_field.first().and_then(|(number, ..)| selected.get(*number)) {
                let places = Places::Field(&parents.places, one.key);
                let values: Vec<_> = of_field.iter().map(|(_, at, value)| (*at, *value)).collect();
                self.bad_rows(&Spot { ty: parents.ty, one, places }, &values);
            }
        }
        objects
    }
}

impl<'p> Leaf<'p> {
    /// Writes what an object has. Says whether it could be had.
    fn write(&mut self, object: Value<'p>, out: &mut String, misfit: impl FnOnce(Value<'p>)) -> bool {
        let value = self.property.of(object);
        let written = leaf(self.ty, value, out);
        match written {
            Written::Yes => return true,
            Written::Null if !self.required => {}
            Written::Null | Written::Misfit => misfit(value),
        }
        out.push_str(NULL);
        !self.required
    }
}

/// Writes a value that has no parts.
pub(super) fn leaf(ty: &Type, value: Value<'_>, out: &mut String) -> Written {
    match (ty, value) {
        (Type::Scalar(scalar), Value::Shown(shown)) => values::answer(*scalar, shown, out),
        (Type::Scalar(scalar), Value::Json(json)) => values::answer_json(*scalar, json, out),
        (Type::Enum(known), Value::Shown(shown)) => values::answer_enum(known, shown, out),
        (Type::Enum(known), Value::Json(json)) => match json {
            serde_json::Value::Null => Written::Null,
            serde_json::Value::String(text) => values::answer_enum(known, yado_engine::Shown::Text(text), out),
            _ => Written::Misfit,
        },
        _ => Written::Misfit,
    }
}

fn room(heads: &Heads, parts: &[Part<'_>], count: usize) -> usize {
    let looked_up = |part: &Part<'_>| if let Part::Column(column) = part { column.bytes() } else { 0 };
    let looked_up: usize = parts.iter().map(looked_up).sum();
    looked_up + count * (heads.text.len() + parts.len() * LEAF_BYTES)
}

/// What stands before each field of an object: its name, and what keeps it from the one before.
struct Heads {
    text: String,
    ends: Vec<usize>,
}

impl Heads {
    fn of(selected: &[Selected<'_>]) -> Self {
        let mut heads = Self { text: String::new(), ends: Vec::with_capacity(selected.len()) };
        for one in selected {
            heads.text.push(if heads.ends.is_empty() { '{' } else { ',' });
            write::string(one.key, &mut heads.text);
            heads.text.push(':');
            heads.ends.push(heads.text.len());
        }
        heads
    }

    fn get(&self, number: usize) -> &str {
        let from = number.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end);
        self.ends.get(number).and_then(|to| self.text.get(from..*to)).unwrap_or_default()
    }
}
