//! Values as JSON text.
//!
//! Answers are written straight from what rows show: between a cell and the text that is sent there is no value of its own.
//! What is written here is what serde_json would write, byte for byte.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use yado_engine::Shown;

/// A text to which JSON is written.
struct Text<'t>(&'t mut String);

impl io::Write for Text<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push_str(str::from_utf8(bytes).map_err(io::Error::other)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what serde can write. Whether it could: what has string keys only can always be.
pub(crate) fn serialized(value: &impl Serialize, out: &mut String) -> bool {
    let begin = out.len();
    let done = serde_json::to_writer(Text(out), value).is_ok();
    if !done {
        out.truncate(begin);
    }
    done
}

/// Writes a text.
pub(crate) fn string(text: &str, out: &mut String) {
    out.push('"');
    // Nearly all texts are written as they are, and whether one is can be said of many bytes at a time.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.push_str(text);
    } else {
        escaped(text, out);
    }
    out.push('"');
}

const fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

fn escaped(text: &str, out: &mut String) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate().filter(|(_, byte)| !is_plain(*byte)) {
        // What is escaped is a letter by itself.
        out.push_str(text.get(from..at).unwrap_or_default());
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            0x0c => out.push_str("\\f"),
            b'\r' => out.push_str("\\r"),
            other => shown(out, format_args!("\\u{other:04x}")),
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
}

/// Writes a whole number.
pub(crate) fn integer(number: i64, out: &mut String) {
    shown(out, format_args!("{number}"));
}

/// Writes something that needs no escapes.
pub(crate) fn shown(out: &mut String, what: std::fmt::Arguments<'_>) {
    // A text takes everything.
    let _ = out.write_fmt(what);
}

/// Writes what a row shows in a column as the row itself has it: an exact number is a text. Nothing is written, and it is
/// said so, if that is no JSON.
pub(crate) fn cell(cell: Shown<'_>, out: &mut String) -> bool {
    match cell {
        Shown::Null => out.push_str("null"),
        Shown::Text(text) | Shown::Decimal(text) => string(text, out),
        Shown::Integer(number) => integer(number, out),
        Shown::Float(number) => return number.is_finite() && serialized(&number, out),
        Shown::Boolean(truth) => out.push_str(if truth { "true" } else { "false" }),
        Shown::Time(time) => shown(out, format_args!("\"{time}\"")),
        Shown::Json(text) => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => return serialized(&value, out),
            Err(_) => return false,
        },
    }
    true
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Map, Number, Value as Json};

    use super::*;

    /// Values that look random, and are the same each time.
    pub(crate) struct Random(pub(crate) u64);

    /// Letters that are written in a way of their own somewhere, beside those that are not.
    const LETTERS: [char; 24] = [
        '\0',
        '\u{1}',
        '\u{8}',
        '\t',
        '\n',
        '\u{b}',
        '\u{c}',
        '\r',
        '\u{1f}',
        ' ',
        '"',
        '\\',
        '/',
        '<',
        'a',
        'z',
        '\u{7f}',
        '\u{80}',
        'é',
        '\u{2028}',
        '\u{2029}',
        '\u{d7ff}',
        '\u{ffff}',
        '\u{1f600}',
    ];

    impl Random {
        pub(crate) fn below(&mut self, most: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % most
        }

        pub(crate) fn text(&mut self) -> String {
            let plain = self.below(2) == 0;
            let letter = |own: &mut Self| match plain {
                true => char::from(b'a' + u8::try_from(own.below(26)).unwrap()),
                false => LETTERS[usize::try_from(own.below(LETTERS.len() as u64)).unwrap()],
            };
            (0..self.below(40)).map(|_| letter(self)).collect()
        }

        pub(crate) fn float(&mut self) -> f64 {
            let float = match self.below(3) {
                0 => f64::from_bits(self.below(u64::MAX)),
                1 => f64::from(u32::try_from(self.below(1_000_000)).unwrap()) / 100.0,
                _ => f64::from(u32::try_from(self.below(1_000)).unwrap()),
            };
            if float.is_finite() { float } else { 0.5 }
        }

        /// Digits as JSON has them: with a sign or without, with a fraction, with an exponent.
        pub(crate) fn digits(&mut self) -> String {
            let mut digits = if self.below(2) == 0 { "-".to_owned() } else { String::new() };
            let width = [10, 1_000, 4_000_000_000, u64::MAX][usize::try_from(self.below(4)).unwrap()];
            digits += &self.below(width).to_string();
            if self.below(2) == 0 {
                digits += &format!(".{:03}", self.below(1_000));
            }
            if self.below(6) == 0 {
                digits += &format!("e{}", self.below(20));
            }
            digits
        }

        pub(crate) fn json(&mut self, depth: u64) -> Json {
            match self.below(if depth == 0 { 6 } else { 8 }) {
                0 => Json::Null,
                1 => Json::Bool(self.below(2) == 0),
                2 => Json::Number(self.digits().parse().unwrap()),
                3 => Json::Number(Number::from_f64(self.float()).unwrap()),
                4 => Json::String(self.digits()),
                5 => Json::String(self.text()),
                6 => (0..self.below(4)).map(|_| self.json(depth - 1)).collect(),
                _ => {
                    Json::Object((0..self.below(4)).map(|_| (self.text(), self.json(depth - 1))).collect::<Map<_, _>>())
                }
            }
        }
    }

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::from("before ");
        write(&mut out);
        out.split_off("before ".len())
    }

    #[test]
    fn texts_and_numbers_are_written_as_serde_json_writes_them() {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for letter in (0..=0x2030).chain(0xd7f0..0xd800).chain(0xe000..0xe010).chain(0xffe0..0x1_0010) {
            let text = char::from_u32(letter).unwrap().to_string();
            assert_eq!(written(|out| string(&text, out)), serde_json::to_string(&text).unwrap());
        }
        for _ in 0..20_000 {
            let text = random.text();
            assert_eq!(written(|out| string(&text, out)), serde_json::to_string(&text).unwrap());
            let float = random.float();
            let expected = serde_json::to_string(&float).unwrap();
            assert_eq!(written(|out| assert!(cell(Shown::Float(float), out))), expected);
            let value = random.json(3);
            assert_eq!(written(|out| assert!(serialized(&value, out))), value.to_string());
            let document = serde_json::to_string_pretty(&value).unwrap();
            assert_eq!(written(|out| assert!(cell(Shown::Json(&document), out))), value.to_string());
        }
        for number in [0, 7, -1, i64::MIN, i64::MAX] {
            assert_eq!(written(|out| integer(number, out)), number.to_string());
        }
    }

    #[test]
    fn of_what_can_not_be_written_nothing_is() {
        for value in [Shown::Float(f64::NAN), Shown::Float(f64::INFINITY), Shown::Json("{"), Shown::Json("")] {
            assert_eq!(written(|out| assert!(!cell(value, out))), "");
        }
        // Of an object whose names are no texts the beginning could be written.
        let named_by_lists = std::collections::HashMap::from([(vec![1], 1)]);
        assert_eq!(written(|out| assert!(!serialized(&named_by_lists, out))), "");
    }
}
