//! The short way for documents as this SDK writes them itself.
//!
//! A row that the host hands out, and the payload of an event, are nearly always what a guest has written: no spaces, a
//! struct's fields in their order, texts without escapes. Such a document is read without looking for anything and written
//! without asking what may come, in half the time that a reader of all JSON takes, which a projection that catches up
//! spends most of its time with. Whatever is not plain is given up at once, and goes the long way, by `serde_json`, from
//! its beginning; so what comes out is the same, and so are the words about what is wrong.

mod read;
mod text;
mod write;

use std::fmt;

pub(super) use read::{entries, read};
pub(super) use write::write;

/// It is not plain. Why does not matter: the long way finds out.
#[derive(Debug)]
pub(super) struct NotPlain;

impl fmt::Display for NotPlain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not plain")
    }
}

impl std::error::Error for NotPlain {}

impl serde::de::Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl serde::ser::Error for NotPlain {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rust_decimal::Decimal;
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::Timestamp;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Row {
        id: String,
        #[serde(rename = "inStock")]
        in_stock: i64,
        price: Decimal,
        at: Timestamp,
        weight: f64,
        open: bool,
        label: Option<String>,
        kind: Kind,
        lines: Vec<Line>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Small,
        #[serde(rename = "LARGE")]
        Large,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Line(u8, Title);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Title(String);

    fn row() -> Row {
        Row {
            id: "0197a1b2-7c3d".into(),
            in_stock: -7,
            price: "2.50".parse().unwrap(),
            at: Timestamp::from_micros(1_769_851_800_500_000),
            weight: 0.1,
            open: true,
            label: None,
            kind: Kind::Large,
            lines: vec![Line(0, Title("é".into())), Line(255, Title(String::new()))],
        }
    }

    fn written<T: Serialize + ?Sized>(value: &T) -> Option<String> {
        let mut text = "before".to_owned();
        write(value, &mut text).ok()?;
        Some(text.strip_prefix("before").unwrap().to_owned())
    }

    fn comes_to_the_same<T: DeserializeOwned + PartialEq + std::fmt::Debug>(document: &str) {
        if let Some(value) = read::<T>(document) {
            assert_eq!(value, serde_json::from_str(document).unwrap(), "{document}");
        }
    }

    #[test]
    fn a_row_is_written_and_read_as_the_long_way_would() {
        let text = serde_json::to_string(&row()).unwrap();
        assert_eq!(written(&row()).as_deref(), Some(text.as_str()));
        assert_eq!(read(&text), Some(row()));
        let labelled = Row { label: Some("a\"b\\c\nd\u{1}é".into()), weight: 1e300, lines: vec![], ..row() };
        assert_eq!(written(&labelled), serde_json::to_string(&labelled).ok());
    }

    #[test]
    fn what_is_plain_is_read_the_short_way() {
        assert_eq!(read("9999999999999999999"), Some(9_999_999_999_999_999_999_u64));
        assert_eq!(read("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(read("0"), Some(0_i8));
        assert_eq!(read("null"), Some(None::<bool>));
        assert_eq!(read("[]"), Some(Vec::<bool>::new()));
        assert_eq!(read("1.5"), Some(1.5));
        assert_eq!(read("5"), Some(5.0));
        assert_eq!(
            read(r#""plain, and longer than eight letters""#),
            Some("plain, and longer than eight letters".to_owned())
        );
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_the_long_way() {
        for document in [
            "",
            " 1",
            "1 ",
            "01",
            "-0",
            "-",
            "1.0",
            "1e3",
            "18446744073709551615",
            "-9223372036854775809",
            "+1",
            "256x",
        ] {
            assert_eq!(read::<i64>(document), None, "{document}");
        }
        for document in ["\"", "\"a", "\"a\\n\"", "\"a\nb\"", "\"longer than eight\\u00e9\"", "a", "\"a\"b"] {
            assert_eq!(read::<String>(document), None, "{document}");
        }
        for document in ["[1,]", "[,1]", "[1", "[1 ]", "[1,2,3]]", "nul", "[true]"] {
            assert_eq!(read::<Vec<u8>>(document), None, "{document}");
        }
        let text = serde_json::to_string(&row()).unwrap();
        for (part, with) in [
            ("inStock", "other"),
            (",\"open\":true", ""),
            (":", ": "),
            ("}", ",\"more\":1}"),
            ("LARGE", "Huge"),
            ("}", ""),
        ] {
            assert_eq!(read::<Row>(&text.replacen(part, with, 1)), None, "{part}");
        }
        assert_eq!(read::<BTreeMap<String, u8>>("{\"a\":1}"), None);
        assert!(written(&BTreeMap::from([("a", 1)])).is_none());
    }

    #[test]
    fn the_two_ways_never_differ() {
        let text = serde_json::to_string(&row()).unwrap();
        let strange = ["\"", "\\", "{", "}", "[", "]", ",", ":", " ", "0", "-", ".", "e", "null", "é", "\u{1}"];
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            for part in strange {
                let (before, after) = text.split_at(at);
                comes_to_the_same::<Row>(&format!("{before}{part}{after}"));
                let rest = after.chars().next().map_or("", |first| &after[first.len_utf8()..]);
                comes_to_the_same::<Row>(&format!("{before}{part}{rest}"));
            }
        }
        for number in ["-1", "0", "-0", "1.0", "2.5e3", "1e400", "007", "9", "99999999999999999999"] {
            comes_to_the_same::<i64>(number);
            comes_to_the_same::<u8>(number);
            comes_to_the_same::<f64>(number);
        }
    }

    #[test]
    fn the_fields_of_an_object_are_told_apart() {
        let plain = r#"{"a":"x,}","b":{"c":["\"]"]},"d":-1.5e3,"e":null}"#;
        assert_eq!(
            entries(plain).unwrap(),
            [("a", r#""x,}""#), ("b", r#"{"c":["\"]"]}"#), ("d", "-1.5e3"), ("e", "null")]
                .map(|(name, value)| (name.into(), value))
        );
        assert!(entries("{}").unwrap().is_empty());
        for document in
            ["", "{", "[]", "{\"a\":}", "{\"a\":1,}", "{\"a\" :1}", "{\"\\u0061\":1}", "{\"a\":1}}", "{\"a\":[}"]
        {
            assert!(entries(document).is_none(), "{document}");
        }
    }
}
