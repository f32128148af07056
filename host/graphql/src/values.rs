//! Values between GraphQL and JSON.
//!
//! Numbers keep every digit in both directions: a literal, a variable and a stored decimal are all carried as the text
//! that they were written in. That is why nothing here goes through serde: with exact numbers on, its detour would turn
//! each of them into an object.

use std::str::FromStr;

use async_graphql::{Name, Value as GraphQl};
use rust_decimal::Decimal;
use serde_json::{Map, Number, Value as Json};
use yado_model::Timestamp;

use crate::api::{Enum, Scalar};

/// JSON as a GraphQL value.
pub(crate) fn from_json(value: &Json) -> GraphQl {
    match value {
        Json::Null => GraphQl::Null,
        Json::Bool(value) => GraphQl::Boolean(*value),
        Json::Number(number) => GraphQl::Number(number.clone()),
        Json::String(text) => GraphQl::String(text.clone()),
        Json::Array(items) => GraphQl::List(items.iter().map(from_json).collect()),
        Json::Object(fields) => {
            GraphQl::Object(fields.iter().map(|(name, value)| (Name::new(name), from_json(value))).collect())
        }
    }
}

/// A GraphQL value as JSON; the name of an enum's value becomes a string.
pub(crate) fn to_json(value: &GraphQl) -> Json {
    match value {
        GraphQl::Null => Json::Null,
        GraphQl::Boolean(value) => Json::Bool(*value),
        GraphQl::Number(number) => Json::Number(number.clone()),
        GraphQl::String(text) => Json::String(text.clone()),
        GraphQl::Enum(name) => Json::String(name.to_string()),
        GraphQl::Binary(bytes) => Json::String(String::from_utf8_lossy(bytes).into_owned()),
        GraphQl::List(items) => Json::Array(items.iter().map(to_json).collect()),
        GraphQl::Object(fields) => {
            let fields: Map<String, Json> =
                fields.iter().map(|(name, value)| (name.to_string(), to_json(value))).collect();
            Json::Object(fields)
        }
    }
}

/// Whether a value that is given can be a scalar of a kind at all. What else a schema asks of it is checked with the
/// whole payload, where every problem is told with its place.
pub(crate) fn fits(scalar: Scalar, value: &GraphQl) -> bool {
    match (scalar, value) {
        (_, GraphQl::Null) | (Scalar::Json, _) => true,
        (Scalar::Decimal, GraphQl::Number(_) | GraphQl::String(_)) => true,
        (Scalar::BigInt, value) => whole::<i64>(value).is_some(),
        (Scalar::Int, GraphQl::Number(_)) => whole::<i32>(value).is_some(),
        (Scalar::Id, GraphQl::Number(_)) => whole::<i64>(value).is_some(),
        (Scalar::Float, GraphQl::Number(number)) => number.as_f64().is_some_and(f64::is_finite),
        (Scalar::Boolean, GraphQl::Boolean(_)) => true,
        (Scalar::Id | Scalar::String | Scalar::DateTime, GraphQl::String(_)) => true,
        _ => false,
    }
}

/// A scalar that is given, as payloads and rows have it; nothing if it can't be one.
pub(crate) fn given(scalar: Scalar, value: &GraphQl) -> Option<Json> {
    if !fits(scalar, value) {
        return None;
    }
    Some(match (scalar, value) {
        (_, GraphQl::Null) => Json::Null,
        (Scalar::BigInt, value) => Json::from(whole::<i64>(value)?),
        (Scalar::Int, value) => Json::from(whole::<i32>(value)?),
        (Scalar::Id, GraphQl::Number(number)) => Json::String(number.to_string()),
        (Scalar::Decimal, GraphQl::Number(number)) => Json::String(plain(&number.to_string())),
        (_, value) => to_json(value),
    })
}

/// What [`given`] makes of a value of a variable, without the way round by GraphQL's values. JSON knows one kind of number,
/// and some write the whole number 5 as `5.0`: where a whole number belongs it becomes one.
pub(crate) fn given_json(scalar: Scalar, value: &Json) -> Option<Json> {
    let whole = |number: &Number| number.as_i64().or_else(|| integral(number)?.as_i64());
    match (scalar, value) {
        (_, Json::Null) => Some(Json::Null),
        (Scalar::Json, value) => Some(value.clone()),
        (Scalar::String | Scalar::Id | Scalar::DateTime | Scalar::Decimal, Json::String(_))
        | (Scalar::Boolean, Json::Bool(_)) => Some(value.clone()),
        (Scalar::Decimal, Json::Number(number)) => Some(Json::String(plain(&number.to_string()))),
        (Scalar::BigInt, Json::Number(number)) => whole(number).map(Json::from),
        (Scalar::BigInt, Json::String(text)) => text.parse::<i64>().ok().map(Json::from),
        (Scalar::Int, Json::Number(number)) => i32::try_from(whole(number)?).ok().map(Json::from),
        (Scalar::Id, Json::Number(number)) => number.as_i64().map(|_| Json::String(number.to_string())),
        (Scalar::Float, Json::Number(number)) => {
            number.as_f64().filter(|number| number.is_finite()).map(|_| value.clone())
        }
        _ => None,
    }
}

/// A scalar to compare with, as rows have it; nothing if it can't be one. Unlike a payload's, nobody checks it later.
pub(crate) fn comparable(scalar: Scalar, value: Json) -> Option<Json> {
    match (scalar, value) {
        (Scalar::Decimal, Json::String(text)) => {
            Decimal::from_str_exact(&text).ok().map(|decimal| Json::String(decimal.to_string()))
        }
        (Scalar::DateTime, Json::String(text)) => {
            Timestamp::from_str(&text).ok().map(|time| Json::String(time.to_string()))
        }
        (_, value) => Some(value),
    }
}

/// A scalar of a row, as it is answered; nothing if the row holds something else.
pub(crate) fn answered(scalar: Scalar, value: &Json) -> Option<GraphQl> {
    Some(match (scalar, value) {
        (_, Json::Null) => GraphQl::Null,
        (Scalar::Json, value) => from_json(value),
        (Scalar::Decimal, Json::String(text)) => GraphQl::Number(number(text)?),
        (Scalar::Decimal | Scalar::Float, Json::Number(number)) => GraphQl::Number(number.clone()),
        (Scalar::Int, Json::Number(number)) => GraphQl::Number(i32::from_str(&number.to_string()).ok()?.into()),
        (Scalar::BigInt, Json::Number(number)) if number.is_i64() || number.is_u64() => GraphQl::Number(number.clone()),
        (Scalar::Boolean, Json::Bool(value)) => GraphQl::Boolean(*value),
        (Scalar::String | Scalar::Id | Scalar::DateTime, Json::String(text)) => GraphQl::String(text.clone()),
        _ => return None,
    })
}

/// A value of an enum, as it is answered; nothing if it has no such value.
pub(crate) fn answered_enum(known: &Enum, value: &Json) -> Option<GraphQl> {
    match value {
        Json::Null => Some(GraphQl::Null),
        Json::String(text) if known.has(text) => Some(GraphQl::Enum(Name::new(text))),
        _ => None,
    }
}

/// A number without a fraction as the whole number that it is, however it was written; nothing if it is none.
pub(crate) fn integral(number: &Number) -> Option<Number> {
    let text = number.to_string();
    let decimal = Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text)).ok()?;
    if decimal.fract().is_zero() { i64::try_from(decimal).ok().map(Number::from) } else { None }
}

/// A number with exactly the digits of a text.
fn number(text: &str) -> Option<Number> {
    // JSON asks for a digit before the point; a decimal that a guest has written may lack it.
    Number::from_str(text).ok().or_else(|| Number::from_str(&Decimal::from_str_exact(text).ok()?.to_string()).ok())
}

/// The digits of a number without an exponent, as decimals are written. What is no decimal stays as it is, and the
/// check of the payload says so.
fn plain(text: &str) -> String {
    if !text.contains(['e', 'E']) {
        return text.to_owned();
    }
    Decimal::from_scientific(text).map_or_else(|_| text.to_owned(), |decimal| decimal.to_string())
}

/// A whole number, given as a number or, where it is wider than JSON readers are sure to carry, as a string.
fn whole<T: FromStr>(value: &GraphQl) -> Option<T> {
    match value {
        GraphQl::Number(number) => number.to_string().parse().ok(),
        GraphQl::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::EnumValue;

    fn exact(text: &str) -> GraphQl {
        GraphQl::Number(Number::from_str(text).unwrap())
    }

    #[test]
    fn a_decimal_keeps_its_digits_on_the_way_in_and_out() {
        for text in ["999.99", "12345678901234567.89", "0.10", "-0.0000000000000000000000001", "7"] {
            let expected = Json::String(text.to_owned());
            assert_eq!(given(Scalar::Decimal, &exact(text)), Some(expected.clone()));
            assert_eq!(given(Scalar::Decimal, &GraphQl::String(text.to_owned())), Some(expected.clone()));
            assert_eq!(serde_json::to_string(&answered(Scalar::Decimal, &expected).unwrap()).unwrap(), text);
        }
        assert_eq!(given(Scalar::Decimal, &exact("1.5e3")), Some(json!("1500")));
        assert_eq!(serde_json::to_string(&answered(Scalar::Decimal, &json!(".5")).unwrap()).unwrap(), "0.5");
    }

    #[test]
    fn numbers_go_through_json_unharmed() {
        let document: Json = serde_json::from_str(r#"{"a":[12345678901234567.89,1e400,{"b":null}]}"#).unwrap();
        assert_eq!(serde_json::to_string(&from_json(&document)).unwrap(), document.to_string());
        assert_eq!(to_json(&from_json(&document)), document);
    }

    #[test]
    fn what_does_not_fit_a_scalar_is_refused() {
        for (scalar, value) in [
            (Scalar::Int, exact("2147483648")),
            (Scalar::Int, exact("1.5")),
            (Scalar::BigInt, exact("9223372036854775808")),
            (Scalar::String, exact("1")),
            (Scalar::Id, GraphQl::Boolean(true)),
            (Scalar::Decimal, GraphQl::List(vec![])),
            (Scalar::Boolean, exact("0")),
            (Scalar::DateTime, exact("0")),
        ] {
            assert!(!fits(scalar, &value), "{scalar:?} {value}");
            assert_eq!(given(scalar, &value), None);
        }
    }

    #[test]
    fn a_variable_is_read_as_the_value_that_it_stands_for() {
        let values = r#"[null, true, 0, -7, 5.5, 2147483648, 9007199254740993, 9223372036854775808, 1e400, "", "7", "-9e3",
                         "x", [1], {"a": 1.50}]"#;
        let Json::Array(values) = serde_json::from_str(values).unwrap() else { panic!("a list") };
        for (scalar, value) in
            Scalar::ALL.into_iter().flat_map(|scalar| values.iter().map(move |value| (scalar, value)))
        {
            assert_eq!(given_json(scalar, value), given(scalar, &from_json(value)), "{scalar:?} {value}");
        }
        for (scalar, text, expected) in
            [(Scalar::Int, "5.0", Some(json!(5))), (Scalar::BigInt, "5e1", Some(json!(50))), (Scalar::Id, "5.0", None)]
        {
            assert_eq!(given_json(scalar, &serde_json::from_str(text).unwrap()), expected, "{scalar:?} {text}");
        }
    }

    #[test]
    fn wide_numbers_may_be_strings() {
        assert_eq!(given(Scalar::BigInt, &GraphQl::from("9007199254740993")), Some(json!(9_007_199_254_740_993_i64)));
        assert_eq!(given(Scalar::Id, &exact("7")), Some(json!("7")));
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (text, expected) in [
            ("5.0", Some("5")),
            ("5e0", Some("5")),
            ("-1.20e2", Some("-120")),
            ("9007199254740993.000", Some("9007199254740993")),
            ("7", Some("7")),
            ("5.5", None),
            ("1e400", None),
            ("9223372036854775808.0", None),
        ] {
            let number = integral(&Number::from_str(text).unwrap());
            assert_eq!(number.map(|number| number.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_compared_with_is_written_as_rows_have_it() {
        let time = comparable(Scalar::DateTime, json!("2026-01-31T10:30:00+01:00"));
        assert_eq!(time, Some(json!("2026-01-31T09:30:00.000000Z")));
        assert_eq!(comparable(Scalar::Decimal, json!("cheap")), None);
    }

    #[test]
    fn a_row_that_does_not_hold_what_it_should_is_not_answered() {
        assert_eq!(answered(Scalar::Int, &json!("7")), None);
        assert_eq!(answered(Scalar::Decimal, &json!("cheap")), None);
        let status = Enum { description: String::new(), values: vec![EnumValue::new("OPEN", "")] };
        assert_eq!(answered_enum(&status, &json!("SHUT")), None);
    }
}
