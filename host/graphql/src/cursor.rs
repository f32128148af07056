//! Cursors: the place of a row in a list, as a text that a client keeps and gives back.
//!
//! A cursor says what its row showed in the properties of the order, and the row's key: that is enough to go on behind it,
//! whether the row is still there or not. It is not signed, because it opens nothing: it is held to what the order asks for,
//! as every other argument is.

use async_graphql::dynamic::TypeRef;
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value as Json;
use yado_engine::{Mark, Rows, Shown};
use yado_model::Name;

use crate::api::{Api, Scalar, Type};
use crate::error::Error;
use crate::select::{By, Sorting};
use crate::{values, write};

/// The longest that is handed out and taken back, in bytes. A property by which lists are ordered has seldom nearly so much in
/// it; but any property may be ordered by, and nothing says how long a text without an index may be.
const LONGEST: usize = 64 * 1024;

/// The place of a row in an order. What relations lead to stands beside the row.
///
/// # Errors
/// If what the row shows in the order is too much for a cursor: it would not be taken back.
pub(crate) fn of(sorting: &Sorting, rows: &Rows, at: usize, key: &str) -> Result<String, Error> {
    let mut text = String::from("[");
    let mut longest = None;
    write::string(&signature(sorting), &mut text);
    text.push_str(",[");
    let mut beside = 0;
    for (number, by) in sorting.by.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        let before = text.len();
        if by.is_related {
            held(rows.beside(at, beside), &mut text);
            beside += 1;
        } else {
            held(rows.get(at, &by.field), &mut text);
        }
        longest = longest.max(Some((text.len() - before, &by.path)));
    }
    text.push_str("],");
    held(rows.get(at, key), &mut text);
    text.push(']');
    let text = BASE64URL_NOPAD.encode(text.as_bytes());
    match longest {
        Some((bytes, path)) if text.len() > LONGEST => Err(Error::input(format!(
            "orderBy {path}: a row of this page has {bytes} bytes there, and a cursor has at most {LONGEST} in all: order by \
             another property, or ask for no cursors; the list without a connection has offset for its next page"
        ))),
        _ => Ok(text),
    }
}

fn held(value: Shown<'_>, text: &mut String) {
    // No order is by what may be no JSON.
    if !write::cell(value, text) {
        text.push_str("null");
    }
}

/// The place that a cursor stands for.
///
/// # Errors
/// If it is no cursor, or one of another order. `argument` is what it was given as.
pub(crate) fn read(api: &Api, model: &Name, sorting: &Sorting, argument: &str, text: &str) -> Result<Mark, Error> {
    let none =
        || Error::input(format!("{argument} is no cursor of a {model}: give one that came with a row, as it came"));
    if text.len() > LONGEST {
        return Err(none());
    }
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| none())?;
    let (of, given, key): (String, Vec<Json>, String) = serde_json::from_slice(&bytes).map_err(|_| none())?;
    if of != signature(sorting) || given.len() != sorting.by.len() {
        return Err(Error::input(format!(
            "{argument} is a cursor of another order: ask in the order that it came with"
        )));
    }
    let value = |(by, given): (&By, Json)| {
        let ty = api.object(by.model.as_str()).and_then(|row| row.field(&by.field)).map(|field| &field.ty);
        // A relation that leads nowhere leads to no value, whatever the property must have.
        if given.is_null() && !by.is_related && matches!(ty, Some(TypeRef::NonNull(_))) {
            return Err(none());
        }
        let ty = ty.map(TypeRef::type_name);
        let scalar = match ty.and_then(|ty| api.types.get(ty)) {
            Some(Type::Scalar(scalar)) => *scalar,
            // The names of an enum are kept as texts.
            _ => Scalar::String,
        };
        let value = values::given_json(scalar, &given).filter(|value| *value == given);
        value.and_then(|value| values::comparable(scalar, value)).filter(holds_no_nul).ok_or_else(none)
    };
    let values = sorting.by.iter().zip(given).map(value).collect::<Result<_, _>>()?;
    if key.contains('\0') { Err(none()) } else { Ok(Mark { values, key }) }
}

/// An order as a text.
fn signature(sorting: &Sorting) -> String {
    let parts = sorting.order.iter().zip(&sorting.by);
    parts.fold(String::new(), |text, (order, by)| text + if order.descending { "-" } else { "+" } + &by.path)
}

/// No row holds one.
fn holds_no_nul(value: &Json) -> bool {
    value.as_str().is_none_or(|text| !text.contains('\0'))
}
