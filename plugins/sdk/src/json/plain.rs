//! The short way for documents as this SDK writes them itself.
//!
//! A row that the host hands out, and the payload of an event, are nearly always what a guest has written: no spaces, a
//! struct's fields in their order, texts without escapes. Such a document is read without looking for anything and written
//! without asking what may come, which takes a sixth off what an event costs in the guest and at its border. Whatever is not plain is given up at once, and goes the long way, by `serde_json`, from
//! its beginning; so what comes out is the same, and so are the words about what is wrong. Two things are taken on trust: that
//! the host has checked the documents that it hands over, so that a field which nobody asks for is not looked into
//! ([`entries`]); and that a type which reads its fields by their names or by their order has them in one order, as
//! serde's derives do.

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
    use serde_json::value::RawValue;

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

    /// What comes of a document by putting something strange into each place of it, or in its place.
    fn mutations(text: &str, hold: impl Fn(&str)) {
        let strange = ["\"", "\\", "{", "}", "[", "]", ",", ":", " ", "0", "-", ".", "e", "null", "é", "\u{1}"];
        for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            for part in strange {
                let (before, after) = text.split_at(at);
                hold(&format!("{before}{part}{after}"));
                let rest = after.chars().next().map_or("", |first| &after[first.len_utf8()..]);
                hold(&format!("{before}{part}{rest}"));
            }
        }
    }

    /// Of a sound document; the host hands over no other.
    fn fields_come_to_the_same(document: &str) {
        use serde_json::{Map, Value};
        let Ok(sound) = serde_json::from_str::<Map<String, Value>>(document) else { return };
        let Some(found) = entries(document) else { return };
        let found = found.into_iter().map(|(name, value)| (name.into_owned(), serde_json::from_str(value).unwrap()));
        assert_eq!(found.collect::<Map<_, _>>(), sound, "{document}");
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
        assert_eq!(read::<Odd>(r#"{"a"b":1}"#), None);
        assert_eq!(read::<Box<RawValue>>("1").map(|value| value.to_string()), None);
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        assert_eq!(read::<Nested>(&deep), None);
        assert_eq!(serde_json::from_str::<Nested>(&deep).unwrap().depth(), 40);
    }

    /// What a list of lists of lists is.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Nested(Vec<Self>);

    impl Nested {
        fn depth(&self) -> usize {
            1 + self.0.first().map_or(0, Self::depth)
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Odd {
        #[serde(rename = "a\"b")]
        field: u8,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Unusual {
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "crate::json::said")]
        clearable: Option<Option<u8>>,
        #[serde(alias = "other")]
        named: i32,
        #[serde(skip)]
        skipped: u8,
        #[serde(default)]
        defaulted: Vec<Inner>,
        by_name: BTreeMap<String, Inner>,
        by_number: BTreeMap<u8, char>,
        anything: serde_json::Value,
        single: f32,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Inner {
        Nothing,
        One(u8),
        Named { high: u64, low: i128 },
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Flat {
        first: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u64>,
    }

    fn unusual() -> Unusual {
        Unusual {
            clearable: Some(None),
            named: -1,
            skipped: 0,
            defaulted: vec![Inner::Nothing],
            by_name: BTreeMap::from([("a\"b".into(), Inner::Nothing)]),
            by_number: BTreeMap::from([(1, 'a'), (2, '"')]),
            anything: serde_json::json!({ "a": [1, 2.5, null, { "b": "c\n" }], "d": true }),
            single: 0.1,
        }
    }

    /// However a value is written or read, it comes to what `serde_json` makes of it.
    fn is_as_the_long_way<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
        let text = serde_json::to_string(value).unwrap();
        assert_eq!(crate::json::write(value), text);
        if let Some(written) = written(value) {
            assert_eq!(written, text);
        }
        assert_eq!(&crate::json::parse::<T>(&text).unwrap(), value);
        mutations(&text, comes_to_the_same::<T>);
    }

    #[test]
    fn what_serde_has_for_unusual_types_comes_to_the_same() {
        is_as_the_long_way(&unusual());
        is_as_the_long_way(&Unusual { clearable: None, defaulted: vec![Inner::One(1)], ..unusual() });
        is_as_the_long_way(&Inner::Named { high: u64::MAX, low: i128::MIN });
        is_as_the_long_way(&Flat { first: 1, rest: BTreeMap::from([("a".into(), u64::MAX)]) });
        is_as_the_long_way(&Odd { field: 1 });
        is_as_the_long_way(&(1.5, 'a', "\u{7f}".to_owned(), [Some(true), None]));
        comes_to_the_same::<Unusual>(r#"{"other":5,"by_name":{},"by_number":{},"anything":1,"single":1}"#);
        comes_to_the_same::<Unusual>(
            r#"{"clearable":1,"named":5,"other":6,"defaulted":[],"by_name":{},"by_number":{},"anything":1,"single":1}"#,
        );
        let raw = RawValue::from_string("{ }".into()).unwrap();
        assert_eq!(crate::json::write(&raw), "{ }");
    }

    #[test]
    fn the_two_ways_never_differ() {
        let text = serde_json::to_string(&row()).unwrap();
        mutations(&text, comes_to_the_same::<Row>);
        mutations(&text, fields_come_to_the_same);
        mutations(&serde_json::to_string(&unusual()).unwrap(), fields_come_to_the_same);
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
