//! Sees whether a guest's text is JSON that everybody further on can read.
//!
//! `serde_json` skips a value it does not need without counting how deeply it is nested. A document that passes that way
//! could be recorded and then never be read again, because reading does count. So the text is walked as a reader would
//! walk it, and nothing is kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Says what is wrong with the text, if it is not readable JSON.
pub(crate) fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<Walked>(text).map(|Walked| ())
}

struct Walked;

impl<'de> Deserialize<'de> for Walked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Walked {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_passes() {
        check(r#"{"a": [1, -2.5e3, 123456789012345678901234567890, true, null, "\u00e9"], "b": {}}"#).unwrap();
    }

    #[test]
    fn what_cannot_be_read_does_not() {
        for text in ["", "{", "{} {}", "{a: 1}", "nul"] {
            assert!(check(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_nested_too_deeply_to_be_read_does_not() {
        let text = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(check(&text).unwrap_err().to_string().contains("recursion limit"));
    }
}
