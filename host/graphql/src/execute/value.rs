//! A value before it is written: what a row shows, or a part of what somebody has answered. It borrows, and is copied.

use serde_json::Value as Json;
use yado_engine::{Rows, Shown};

use crate::write;

/// A value before it is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'v> {
    /// What a row shows in a column, or a value of the host's own.
    Shown(Shown<'v>),
    /// A row, by its place among others.
    Row(&'v Rows, usize),
    /// A list of rows: those from the first of these places to before the second.
    Rows(&'v Rows, usize, usize),
    /// An object of the host's own.
    Fields(&'v [(&'v str, Self)]),
    /// A list of the host's own.
    List(&'v [Self]),
    /// A document, or a part of one.
    Json(&'v Json),
}

impl<'v> Value<'v> {
    pub(super) const NULL: Self = Self::Shown(Shown::Null);

    pub(super) const fn is_null(self) -> bool {
        matches!(self, Self::Shown(Shown::Null) | Self::Json(Json::Null))
    }

    pub(super) const fn is_object(self) -> bool {
        matches!(self, Self::Row(..) | Self::Fields(_) | Self::Json(Json::Object(_)))
    }

    /// The text that it is.
    pub(super) fn text(self) -> Option<&'v str> {
        match self {
            Self::Shown(shown) => shown.as_text(),
            Self::Json(json) => json.as_str(),
            _ => None,
        }
    }

    /// Adds the items of the list that it is to others. Says whether it is one.
    pub(super) fn add_items(self, items: &mut Vec<Self>) -> bool {
        match self {
            Self::Rows(rows, from, to) => items.extend((from..to).map(|at| Self::Row(rows, at))),
            Self::List(list) => items.extend_from_slice(list),
            Self::Json(Json::Array(list)) => items.extend(list.iter().map(Self::Json)),
            _ => return false,
        }
        true
    }

    /// It as JSON, for whoever looks into what is wrong with it.
    pub(super) fn to_text(self) -> String {
        let mut text = String::new();
        match self {
            Self::Shown(Shown::Json(document)) => text.push_str(document),
            Self::Shown(shown) => {
                write::cell(shown, &mut text);
            }
            Self::Json(json) => {
                write::serialized(json, &mut text);
            }
            Self::Row(..) => text.push_str("a row"),
            Self::Rows(..) => text.push_str("rows"),
            Self::Fields(_) => text.push_str("an object"),
            Self::List(_) => text.push_str("a list"),
        }
        text
    }
}

/// A field of one object after another. Objects that stand beside each other are rows of the same statement nearly always, and
/// then the place of the column is looked up once for all of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Property<'v> {
    name: &'v str,
    known: Option<(&'v Rows, Option<usize>)>,
}

impl<'v> Property<'v> {
    pub(super) const fn new(name: &'v str) -> Self {
        Self { name, known: None }
    }

    /// The value that an object has for it; null, if it has none.
    pub(super) fn of(&mut self, object: Value<'v>) -> Value<'v> {
        match object {
            Value::Row(rows, at) => {
                let place = match self.known {
                    Some((known, place)) if std::ptr::eq(known, rows) => place,
                    _ => {
                        let place = rows.place(self.name);
                        self.known = Some((rows, place));
                        place
                    }
                };
                Value::Shown(place.map_or(Shown::Null, |place| rows.cell(at, place)))
            }
            Value::Json(Json::Object(fields)) => fields.get(self.name).map_or(Value::NULL, Value::Json),
            Value::Fields(fields) => {
                fields.iter().find(|(name, _)| *name == self.name).map_or(Value::NULL, |(_, value)| *value)
            }
            _ => Value::NULL,
        }
    }
}
