//! One value of a read-model row on its way between JSON and an engine's types.
//!
//! Every engine gets the same cells and gives the same cells back. What a column can't hold is found here, before a
//! transaction has begun, and the message names the column.

use serde_json::{Number, Value};
use yado_model::Timestamp;

use crate::limits::{DEEPEST_JSON, LONGEST_DECIMAL};
use crate::{Column, Error, Kind, Result, decimal};

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Integer(i64),
    Float(f64),
    /// In its canonical form.
    Decimal(String),
    Boolean(bool),
    Timestamp(Timestamp),
    /// A document.
    Json(String),
}

impl Cell {
    /// The value as the column holds it.
    pub(crate) fn from_json(column: &Column, value: &Value) -> Result<Self> {
        let misfit = |rule: &str| {
            // A hostile value may be megabytes long, and this one is shown to people.
            let shown: String = value.to_string().chars().take(80).collect();
            Error::Invalid(format!("column {} can't hold {shown}: {rule}", column.name))
        };
        if value.is_null() {
            return if column.nullable { Ok(Self::Null) } else { Err(misfit("it must hold something")) };
        }
        match (column.kind, value) {
            (Kind::Text, Value::String(text)) if text.contains('\0') => {
                Err(misfit("the character NUL can't be stored"))
            }
            (Kind::Text, Value::String(text)) => Ok(Self::Text(text.clone())),
            (Kind::Text, _) => Err(misfit("it holds strings")),
            (Kind::Integer, value) => {
                integer(value).map(Self::Integer).ok_or_else(|| misfit("it holds whole numbers of 64 bits"))
            }
            (Kind::Float, value) => {
                let float = value.as_f64().filter(|float| float.is_finite());
                // Engines disagree about whether zero has a sign.
                float.map(|float| Self::Float(float + 0.0)).ok_or_else(|| misfit("it holds floating point numbers"))
            }
            (Kind::Decimal, value) => value.as_str().and_then(decimal::canonical).map(Self::Decimal).ok_or_else(|| {
                misfit(&format!(
                    "it holds decimal numbers, as strings such as \"12.50\", of {LONGEST_DECIMAL} digits at most"
                ))
            }),
            (Kind::Boolean, value) => {
                value.as_bool().map(Self::Boolean).ok_or_else(|| misfit("it holds true and false"))
            }
            (Kind::Timestamp, value) => value
                .as_str()
                .and_then(|text| text.parse().ok())
                .map(Self::Timestamp)
                .ok_or_else(|| misfit("it holds times in RFC 3339, such as \"2026-01-31T09:30:00Z\"")),
            (Kind::Json, value) => {
                storable(value, DEEPEST_JSON).map_err(&misfit)?;
                Ok(Self::Json(value.to_string()))
            }
        }
    }

    /// The value as JSON.
    pub(crate) fn into_json(self, column: &Column) -> Result<Value> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Text(text) | Self::Decimal(text) => Value::String(text),
            Self::Integer(number) => Value::Number(number.into()),
            Self::Float(float) => {
                let number = Number::from_f64(float);
                Value::Number(number.ok_or_else(|| damaged(column, &format!("{float} is no number in JSON")))?)
            }
            Self::Boolean(truth) => Value::Bool(truth),
            Self::Timestamp(time) => Value::String(time.to_string()),
            Self::Json(text) => serde_json::from_str(&text).map_err(|error| damaged(column, &error.to_string()))?,
        })
    }
}

/// Something in a column that was not put there by this code.
pub(crate) fn damaged(column: &Column, reason: &str) -> Error {
    Error::corrupt(format!("column {}", column.name), reason)
}

/// A whole number, also when it is written with a fraction of zero, as JSON Schema has it.
fn integer(value: &Value) -> Option<i64> {
    // Up to here every whole number is a floating point number of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT)?;
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the bounds")]
        Some(float as i64)
    })
}

/// Whether every engine can hold a document.
fn storable(value: &Value, depth: usize) -> Result<(), &'static str> {
    const NUL: &str = "the character NUL can't be stored";
    if depth == 0 {
        return Err("it is nested too deeply");
    }
    match value {
        Value::String(text) if text.contains('\0') => Err(NUL),
        Value::Array(items) => items.iter().try_for_each(|item| storable(item, depth - 1)),
        Value::Object(fields) => fields
            .iter()
            .try_for_each(|(name, item)| if name.contains('\0') { Err(NUL) } else { storable(item, depth - 1) }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yado_model::Name;

    use super::*;

    fn column(kind: Kind) -> Column {
        Column { name: Name::parse("amount").unwrap(), kind, nullable: false }
    }

    #[test]
    fn a_value_that_fits_comes_back_as_it_was() {
        let exact: Value = serde_json::from_str(r#"{"b": 1.00, "a": [12345678901234567890.5, null]}"#).unwrap();
        for (kind, value) in [
            (Kind::Text, json!("Grüße")),
            (Kind::Integer, json!(i64::MIN)),
            (Kind::Float, json!(0.1)),
            (Kind::Decimal, json!("12.50")),
            (Kind::Boolean, json!(false)),
            (Kind::Timestamp, json!("2026-01-31T09:30:00.000001Z")),
            (Kind::Json, exact),
        ] {
            let column = column(kind);
            assert_eq!(Cell::from_json(&column, &value).unwrap().into_json(&column).unwrap(), value);
        }
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_by_the_name_of_its_column() {
        let deep = (0..200).fold(json!(0), |inner, _| json!([inner]));
        for (kind, value) in [
            (Kind::Text, json!(1)),
            (Kind::Text, json!("a\0b")),
            (Kind::Text, json!(null)),
            (Kind::Integer, json!(1.5)),
            (Kind::Integer, json!("1")),
            (Kind::Integer, json!(u64::MAX)),
            (Kind::Float, json!("0.1")),
            (Kind::Float, serde_json::from_str("1e999").unwrap()),
            (Kind::Decimal, json!(12.5)),
            (Kind::Decimal, json!("12,50")),
            (Kind::Boolean, json!(1)),
            (Kind::Timestamp, json!("yesterday")),
            (Kind::Json, json!({ "a": ["\0"] })),
            (Kind::Json, deep),
        ] {
            let error = Cell::from_json(&column(kind), &value).unwrap_err();
            assert!(matches!(&error, Error::Invalid(reason) if reason.contains("column amount")), "{error}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_zero() {
        assert_eq!(Cell::from_json(&column(Kind::Integer), &json!(5.0)).unwrap(), Cell::Integer(5));
    }
}
