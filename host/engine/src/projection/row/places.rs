//! Where the values of a row lie in its text.

use std::ops::Range;

use memchr::memchr2;
use rust_decimal::Decimal;
use serde_json::Number;
use yado_model::schema::{Field, Shape};

use super::Form;

/// Where the value of each column lies, in the order of columns.
pub(super) struct Places(Vec<Range<usize>>);

impl Places {
    /// Of a text that is known to be a row in its normal form.
    pub(super) fn of_normal(form: &Form<'_>, text: &str) -> Option<Self> {
        let mut places = Vec::with_capacity(form.columns.fields.iter().len());
        walk(form, text, |_, rest| end(rest.as_bytes()), |_, place| places.push(place))?;
        Some(Self(places))
    }

    pub(super) fn get(&self, column: usize) -> Option<&Range<usize>> {
        self.0.get(column)
    }
}

/// The key of a row that anybody may have written: nothing, unless the text is a row in its normal form. A row with a
/// document in it is never taken for one, because to tell it would have to be taken apart.
pub(super) fn key_of_written<'t>(form: &Form<'_>, text: &'t str) -> Option<&'t str> {
    let mut key = None;
    walk(form, text, written, |column, place| {
        if column.name.as_str() == form.key {
            key = text.get(place);
        }
    })?;
    // Its own quotes are all that is around it: a text with escapes is not taken as it is.
    key?.strip_prefix('"')?.strip_suffix('"')
}

/// Goes through the columns of a row, and tells where the value of each lies; nothing, if it is not in its normal form.
/// `length` tells how long the value is with which a text begins.
fn walk(
    form: &Form<'_>,
    text: &str,
    length: impl Fn(&Field, &str) -> Option<usize>,
    mut lies: impl FnMut(&Field, Range<usize>),
) -> Option<()> {
    let mut rest = text;
    for (column, label) in form.columns.fields.iter().zip(form.labels) {
        rest = rest.strip_prefix(&**label)?;
        let (from, length) = (text.len() - rest.len(), length(column, rest)?);
        rest = rest.get(length..)?;
        lies(column, from..from + length);
    }
    (rest == "}").then_some(())
}

/// The length of the value with which a text begins, if it is one in its normal form.
fn written(column: &Field, rest: &str) -> Option<usize> {
    if rest.starts_with("null") {
        return (column.slot.nullable || !column.required).then_some(4);
    }
    match &column.slot.shape {
        Shape::Text | Shape::Id { .. } => string(rest).map(|text| text.len() + 2),
        Shape::Enumeration(known) => {
            let text = string(rest)?;
            known.values.iter().any(|value| value == text).then_some(text.len() + 2)
        }
        Shape::Integer { .. } => {
            let number = number(rest);
            let digits = number.strip_prefix('-').unwrap_or(number);
            let zero = digits.starts_with('0');
            ((!zero || number == "0") && number.parse::<i64>().is_ok()).then_some(number.len())
        }
        Shape::Float => {
            let number = number(rest);
            let same = Number::from_f64(number.parse().ok()?)?.to_string() == number;
            same.then_some(number.len())
        }
        Shape::Decimal => {
            let text = string(rest)?;
            let number = Decimal::from_str_exact(text).ok()?;
            // What it prints is normal, but for the sign of a zero.
            (!(number.is_zero() && text.starts_with('-')) && number.to_string() == text).then_some(text.len() + 2)
        }
        Shape::Boolean => ["true", "false"].into_iter().find(|truth| rest.starts_with(truth)).map(str::len),
        Shape::Timestamp => {
            let (text, rest) = rest.as_bytes().strip_prefix(b"\"")?.split_first_chunk()?;
            (rest.first() == Some(&b'"') && is_time(text)).then_some(text.len() + 2)
        }
        Shape::List(_) | Shape::Object(_) | Shape::Json => None,
    }
}

/// The string with which a text begins, if there is nothing in it that JSON has to escape.
fn string(rest: &str) -> Option<&str> {
    let rest = rest.strip_prefix('"')?;
    let (text, end) = rest.split_at_checked(memchr2(b'"', b'\\', rest.as_bytes())?)?;
    // All of it is looked at, which takes less time than to stop where there is one.
    let has_control = text.bytes().fold(false, |found, byte| found | (byte < b' '));
    (end.starts_with('"') && !has_control).then_some(text)
}

/// What could be a number.
fn number(rest: &str) -> &str {
    let length = rest.bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
    rest.get(..length).unwrap_or_default()
}

/// Whether a text is a time as times are written here: `2026-01-31T09:30:00.000000Z`.
fn is_time(text: &[u8; 27]) -> bool {
    const FORM: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    let alike = text.iter().zip(FORM).fold(true, |alike, pair| alike & fits(pair));
    if !alike {
        return false;
    }
    let number =
        |range: Range<usize>| text[range].iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    // The last days of the year 9999 are left to the library, which knows which of them can be written.
    (1..9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days).contains(&day)
        && number(11..13) < 24
        && number(14..16) < 60
        && number(17..19) < 60
}

/// The length of the value with which a sound document goes on.
fn end(rest: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match rest.get(at)? {
            b'"' => {
                at += 1;
                loop {
                    match rest.get(at)? {
                        b'\\' => at += 2,
                        b'"' => break,
                        _ => at += 1,
                    }
                }
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth > 0 => depth -= 1,
            // The object around it ends here, or its next field begins.
            b',' | b'}' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}
