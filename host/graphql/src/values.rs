//! Values between GraphQL and JSON.
//!
//! Numbers keep every digit in both directions: a literal, a variable and a stored decimal are all carried as the text
//! that they were written in. That is why nothing here goes through serde: with exact numbers on, its detour would turn
//! each of them into an object.

use std::str::FromStr;

use async_graphql::{Name, Value as GraphQl};
use rust_decimal::Decimal;
use serde_json::{Map, Number, Value as Json};
use yado_engine::Shown;
use yado_model::Timestamp;

use crate::api::{Enum, Scalar};
use crate::write;

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

/// What has become of a value that was to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is.
    Yes,
    /// It is nothing, and whether that may be is another matter. Nothing is written.
    Null,
    /// It can't be: it is not what its type says. Nothing is written.
    Misfit,
}

impl Written {
    const fn of(done: bool) -> Self {
        if done { Self::Yes } else { Self::Misfit }
    }
}

/// Writes a scalar that a row shows, as it is answered.
pub(crate) fn answer(scalar: Scalar, value: Shown<'_>, out: &mut String) -> Written {
    match (scalar, value) {
        (_, Shown::Null) => return Written::Null,
        (_, Shown::Json(text)) => {
            return serde_json::from_str(text).map_or(Written::Misfit, |value| answer_json(scalar, &value, out));
        }
        (Scalar::String | Scalar::Id | Scalar::DateTime, Shown::Text(_) | Shown::Decimal(_) | Shown::Time(_))
        | (Scalar::Float | Scalar::Decimal, Shown::Integer(_) | Shown::Float(_))
        | (Scalar::BigInt, Shown::Integer(_))
        | (Scalar::Boolean, Shown::Boolean(_))
        | (Scalar::Json, _) => return Written::of(write::cell(value, out)),
        (Scalar::Int, Shown::Integer(number)) if i32::try_from(number).is_ok() => write::integer(number, out),
        (Scalar::Decimal, Shown::Text(text) | Shown::Decimal(text)) => {
            if is_number(text) {
                out.push_str(text);
            } else {
                match number(text) {
                    Some(number) => out.push_str(number.as_str()),
                    None => return Written::Misfit,
                }
            }
        }
        _ => return Written::Misfit,
    }
    Written::Yes
}

/// Writes a scalar that is a part of a document, as it is answered.
pub(crate) fn answer_json(scalar: Scalar, value: &Json, out: &mut String) -> Written {
    match (scalar, value) {
        (_, Json::Null) => return Written::Null,
        (_, Json::String(text)) => return answer(scalar, Shown::Text(text), out),
        (_, Json::Bool(value)) => return answer(scalar, Shown::Boolean(*value), out),
        (Scalar::Decimal | Scalar::Float, Json::Number(number)) => out.push_str(number.as_str()),
        (Scalar::BigInt, Json::Number(number)) if number.is_i64() || number.is_u64() => out.push_str(number.as_str()),
        (Scalar::Int, Json::Number(number)) => {
            return number.as_i64().map_or(Written::Misfit, |number| answer(scalar, Shown::Integer(number), out));
        }
        (Scalar::Json, value) => return Written::of(write::serialized(value, out)),
        _ => return Written::Misfit,
    }
    Written::Yes
}

/// Writes a value of an enum, as it is answered.
pub(crate) fn answer_enum(known: &Enum, value: Shown<'_>, out: &mut String) -> Written {
    match value {
        Shown::Null => Written::Null,
        Shown::Text(text) if known.has(text) => {
            write::string(text, out);
            Written::Yes
        }
        Shown::Json(text) => match serde_json::from_str(text) {
            Ok(Json::Null) => Written::Null,
            Ok(Json::String(text)) => answer_enum(known, Shown::Text(&text), out),
            _ => Written::Misfit,
        },
        _ => Written::Misfit,
    }
}

/// Whether a text is a number as JSON has it, without an exponent.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && (whole.len() == 1 || !whole.starts_with('0')) && fraction.is_none_or(digits)
}

/// A number without a fraction as the whole number that it is, however it was written; nothing if it is none.
pub(crate) fn integral(number: &Number) -> Option<Number> {
    let text = number.to_string();
    let decimal = Decimal::from_str_exact(&text).ok().or_else(|| scientific(&text))?;
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
    scientific(text).map_or_else(|| text.to_owned(), |decimal| decimal.to_string())
}

/// A decimal that is written with an exponent; nothing if it has more digits than a decimal can, which would be rounded.
fn scientific(text: &str) -> Option<Decimal> {
    let (base, _) = text.split_once(['e', 'E'])?;
    Decimal::from_str_exact(base).ok()?;
    Decimal::from_scientific(text).ok()
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
    use yado_engine::{Column, ColumnKind, Rows};

    use super::*;
    use crate::api::EnumValue;
    use crate::write::tests::Random;

    fn exact(text: &str) -> GraphQl {
        GraphQl::Number(Number::from_str(text).unwrap())
    }

    /// A value of a document as it is answered; null if that is what it is, and nothing if it can't be.
    fn written(scalar: Scalar, value: &Json) -> Option<String> {
        let mut out = String::new();
        match answer_json(scalar, value, &mut out) {
            Written::Yes => Some(out),
            Written::Null => Some("null".to_owned()),
            Written::Misfit => None,
        }
    }

    #[test]
    fn a_decimal_keeps_its_digits_on_the_way_in_and_out() {
        for text in ["999.99", "12345678901234567.89", "0.10", "-0.0000000000000000000000001", "7"] {
            let expected = Json::String(text.to_owned());
            assert_eq!(given(Scalar::Decimal, &exact(text)), Some(expected.clone()));
            assert_eq!(given(Scalar::Decimal, &GraphQl::String(text.to_owned())), Some(expected.clone()));
            assert_eq!(written(Scalar::Decimal, &expected).as_deref(), Some(text));
        }
        assert_eq!(given(Scalar::Decimal, &exact("1.5e3")), Some(json!("1500")));
        assert_eq!(written(Scalar::Decimal, &json!(".5")).as_deref(), Some("0.5"));
    }

    #[test]
    fn a_number_with_more_digits_than_a_decimal_has_is_never_rounded() {
        for text in ["1.00000000000000000000000000001e0", "-1.00000000000000000000000000001E3"] {
            let number = Number::from_str(text).unwrap();
            assert_eq!(integral(&number), None, "{text}");
            assert_eq!(plain(text), text);
            let given = given(Scalar::Decimal, &GraphQl::Number(number)).unwrap();
            assert!(given.as_str().unwrap().contains("1.00000000000000000000000000001"), "{given}");
        }
        assert_eq!(plain("1.0000000000000000000000000001e0"), "1.0000000000000000000000000001");
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

    /// What is answered, by way of GraphQL's values and serde.
    fn by_values(scalar: Scalar, value: &Json) -> Option<String> {
        let value = match (scalar, value) {
            (_, Json::Null) => GraphQl::Null,
            (Scalar::Json, value) => from_json(value),
            (Scalar::Decimal, Json::String(text)) => GraphQl::Number(number(text)?),
            (Scalar::Decimal | Scalar::Float, Json::Number(number)) => GraphQl::Number(number.clone()),
            (Scalar::Int, Json::Number(number)) => GraphQl::Number(i32::from_str(number.as_str()).ok()?.into()),
            (Scalar::BigInt, Json::Number(number)) if number.is_i64() || number.is_u64() => {
                GraphQl::Number(number.clone())
            }
            (Scalar::Boolean, Json::Bool(value)) => GraphQl::Boolean(*value),
            (Scalar::String | Scalar::Id | Scalar::DateTime, Json::String(text)) => GraphQl::String(text.clone()),
            _ => return None,
        };
        Some(serde_json::to_string(&value).unwrap())
    }

    #[test]
    fn what_is_written_is_what_values_would_be_written_as() {
        let mut random = Random(0x2545_f491_4f6c_dd1d);
        for _ in 0..20_000 {
            let value = random.json(2);
            for scalar in Scalar::ALL {
                assert_eq!(written(scalar, &value), by_values(scalar, &value), "{scalar:?} {value}");
            }
        }
        for text in
            ["-0", "00", "01.5", "1.", ".5", "-.5", "+1", "1e5", "1E-5", "", "-", " 1", "1 ", "1_0", "\u{661}", "NaN"]
        {
            let value = Json::from(text);
            assert_eq!(written(Scalar::Decimal, &value), by_values(Scalar::Decimal, &value), "{text:?}");
        }
    }

    #[test]
    fn what_a_row_shows_is_written_as_its_json_is() {
        let mut random = Random(0x1234_5678_9abc_def1);
        for _ in 0..2_000 {
            let decimal = random.digits().replace('e', "");
            let text = random.text().replace('\0', "");
            let time = Timestamp::from_micros(i64::try_from(random.below(1 << 52)).unwrap());
            let narrow = i64::try_from(random.below(1 << 33)).unwrap() - (1 << 32);
            let held = [
                (ColumnKind::Text, Json::from(text)),
                (ColumnKind::Text, Json::from(decimal.as_str())),
                (ColumnKind::Decimal, Json::from(decimal)),
                (ColumnKind::Integer, narrow.into()),
                (ColumnKind::Integer, i64::MIN.into()),
                (ColumnKind::Float, random.float().into()),
                (ColumnKind::Boolean, (random.below(2) == 0).into()),
                (ColumnKind::Timestamp, time.to_string().into()),
                (ColumnKind::Json, serde_json::from_str(&random.json(2).to_string().replace("\\u0000", "")).unwrap()),
                (ColumnKind::Text, Json::Null),
            ];
            let name = |at: usize| yado_model::Name::parse(&format!("c{at}")).unwrap();
            let column =
                |(at, (kind, _)): (usize, &(ColumnKind, Json))| Column { name: name(at), kind: *kind, nullable: true };
            let columns: Vec<Column> = held.iter().enumerate().map(column).collect();
            let row = held.iter().enumerate().map(|(at, (_, value))| (format!("c{at}"), value.clone())).collect();
            let rows = Rows::of(&columns, &[row]);
            let maps = rows.clone().into_maps().unwrap();
            for (scalar, at) in Scalar::ALL.into_iter().flat_map(|scalar| (0..held.len()).map(move |at| (scalar, at))) {
                let mut out = String::new();
                let written = match answer(scalar, rows.cell(0, at), &mut out) {
                    Written::Yes => Some(out),
                    Written::Null => Some("null".to_owned()),
                    Written::Misfit => None,
                };
                assert_eq!(written, by_values(scalar, &maps[0][&format!("c{at}")]), "{scalar:?} {:?}", held[at]);
            }
        }
    }

    #[test]
    fn a_row_that_does_not_hold_what_it_should_is_not_answered() {
        assert_eq!(written(Scalar::Int, &json!("7")), None);
        assert_eq!(written(Scalar::Decimal, &json!("cheap")), None);
        let status = Enum { description: String::new(), values: vec![EnumValue::new("OPEN", "")] };
        let mut out = String::new();
        for (value, expected) in [
            (Shown::Text("SHUT"), Written::Misfit),
            (Shown::Integer(1), Written::Misfit),
            (Shown::Json("[]"), Written::Misfit),
            (Shown::Null, Written::Null),
            (Shown::Json("null"), Written::Null),
        ] {
            assert_eq!((answer_enum(&status, value, &mut out), out.as_str()), (expected, ""));
        }
        assert_eq!(answer_enum(&status, Shown::Json("\"OPEN\""), &mut out), Written::Yes);
        assert_eq!(answer_enum(&status, Shown::Text("OPEN"), &mut out), Written::Yes);
        assert_eq!(out, "\"OPEN\"\"OPEN\"");
    }
}
