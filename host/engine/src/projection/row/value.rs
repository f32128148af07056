//! Values in the one way in which the engines write them.

use rust_decimal::Decimal;
use serde_json::{Number, Value};
use yado_model::Timestamp;
use yado_model::schema::Shape;

/// At most so many digits are written out for an exponent.
const MOST_DIGITS: usize = 1_000;

/// A value that is not null, as JSON; or nothing, if the shape can't hold it.
pub(super) fn normal(shape: &Shape, value: &Value) -> Option<String> {
    let text = || value.as_str();
    match shape {
        // PostgreSQL's texts can't hold a zero byte.
        Shape::Text | Shape::Id { .. } => text().filter(|text| !text.contains('\0')).map(quoted),
        Shape::Enumeration(known) => text().filter(|text| known.values.iter().any(|value| value == text)).map(quoted),
        Shape::Integer { .. } => value.as_i64().map(|number| number.to_string()),
        Shape::Float => value.as_f64().and_then(Number::from_f64).map(|number| number.to_string()),
        Shape::Decimal => text().and_then(decimal).map(|number| quoted(&number)),
        Shape::Boolean => value.as_bool().map(|truth| truth.to_string()),
        Shape::Timestamp => text()?.parse::<Timestamp>().ok().map(|time| quoted(&time.to_string())),
        Shape::List(_) => value.is_array().then(|| document(value))?,
        Shape::Object(_) => value.is_object().then(|| document(value))?,
        Shape::Json => document(value),
    }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// With the digits that were given, and zero without a sign.
fn decimal(text: &str) -> Option<String> {
    let mut number = Decimal::from_str_exact(text).ok()?;
    if number.is_zero() {
        number.set_sign_positive(true);
    }
    Some(number.to_string())
}

/// A document as PostgreSQL's `jsonb` gives it back, but for spaces: short names of fields before long ones, and numbers
/// without exponents. Nothing, if an engine can't hold it.
fn document(value: &Value) -> Option<String> {
    let mut text = String::new();
    write(value, &mut text)?;
    Some(text)
}

fn write(value: &Value, text: &mut String) -> Option<()> {
    match value {
        Value::Null | Value::Bool(_) => text.push_str(&value.to_string()),
        Value::Number(number) => text.push_str(&plain(&number.to_string())?),
        Value::String(string) if string.contains('\0') => return None,
        Value::String(string) => text.push_str(&quoted(string)),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                write(item, text)?;
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
            text.push('{');
            for (at, (name, value)) in fields.into_iter().enumerate() {
                if name.contains('\0') {
                    return None;
                }
                text.push_str(if at == 0 { "" } else { "," });
                text.push_str(&quoted(name));
                text.push(':');
                write(value, text)?;
            }
            text.push('}');
        }
    }
    Some(())
}

/// A number without an exponent, and zero without a sign; nothing, if that would take too many digits.
fn plain(number: &str) -> Option<String> {
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |unsigned| ("-", unsigned));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zero = whole.bytes().chain(fraction.bytes()).all(|digit| digit == b'0');
    let sign = if zero { "" } else { sign };
    let exponent: i64 = exponent.parse().ok()?;
    let by = usize::try_from(exponent.unsigned_abs()).ok().filter(|by| *by <= MOST_DIGITS)?;
    let (whole, fraction) = if exponent >= 0 {
        let moved = by.min(fraction.len());
        (format!("{whole}{}{}", &fraction[..moved], "0".repeat(by - moved)), fraction[moved..].to_owned())
    } else {
        let whole = format!("{}{whole}", "0".repeat(by));
        let (left, moved) = whole.split_at(whole.len() - by);
        (left.to_owned(), format!("{moved}{fraction}"))
    };
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}
