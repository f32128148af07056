//! What an append must be before it may share a transaction with others. An engine that meets a document it can't hold
//! fails the transaction, and so the batch mates; nothing of that kind may get that far.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use yado_model::Claim;

use super::{Append, Draft};
use crate::limits::{self, LARGEST_BATCH, LARGEST_PAYLOAD, LONGEST_CLAIM, LONGEST_NAME};
use crate::{Error, Result};

impl Draft {
    /// Makes it an append, if any engine can keep it.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is wrong.
    pub fn check(self) -> Result<Append> {
        for event in &self.events {
            serde_json::from_str::<Document>(&event.payload)
                .map_err(|error| Error::Invalid(format!("the payload of {} is not JSON: {error}", event.name)))?;
        }
        self.check_parsed()
    }

    /// As [`Self::check`], for payloads that serde has read into values before, as whoever holds them against a schema
    /// has. To read them again would cost more than all other checks together. A payload that is no JSON all the same
    /// harms its batch on engines that look for themselves, and nobody's log.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what is wrong.
    pub fn check_parsed(self) -> Result<Append> {
        if self.events.is_empty() {
            return Err(Error::Invalid(format!("an append to {} has no events", self.stream)));
        }
        limits::within("the events of an append", self.events.len(), LARGEST_BATCH)?;
        limits::within("the claims of an append", self.claims.len(), LARGEST_BATCH)?;
        for event in &self.events {
            let of = |what: &str| format!("{what} of {}", event.name);
            limits::text("the name of an event", &event.name, LONGEST_NAME)?;
            limits::within_named(|| of("the version"), event.version as usize, i32::MAX as usize)?;
            limits::within_named(|| of("the tags"), event.tags.len(), LONGEST_NAME)?;
            for tag in &event.tags {
                limits::text(&of("a tag"), tag, LONGEST_CLAIM)?;
            }
            limits::within_named(|| of("the bytes of the payload"), event.payload.len(), LARGEST_PAYLOAD)?;
        }
        for claim in &self.claims {
            let (Claim::Take(claimed) | Claim::Release(claimed)) = claim;
            limits::text("the name of a constraint", &claimed.constraint, LONGEST_NAME)?;
            limits::text(&format!("the value claimed for {}", claimed.constraint), &claimed.value, LONGEST_CLAIM)?;
        }
        Ok(Append(Arc::new(self)))
    }
}

/// Any JSON that serde would read into a value, without making one. (Ignoring it would not do: serde then skips texts
/// that it could not read, and nesting without end.)
struct Document;

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Document {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        // A field's name is a document too: a text. Serde gives a number of any size as a map with a name of its own.
        while fields.next_entry::<Self, Self>()?.is_some() {}
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_document(text: &str) -> bool {
        serde_json::from_str::<Document>(text).is_ok()
    }

    #[test]
    fn every_kind_of_json_is_a_document() {
        for text in [
            "null",
            "[true, false, null]",
            r#"{"a": {"b": ["\u00e9", "x"]}, "n": -12.50e+7}"#,
            "123456789012345678901234567890.123456789",
        ] {
            assert!(is_document(text), "{text}");
        }
    }

    #[test]
    fn what_an_engine_could_not_read_back_is_no_document() {
        let deep = "[".repeat(limits::DEEPEST_JSON + 1) + &"]".repeat(limits::DEEPEST_JSON + 1);
        for text in ["", "{", "{} {}", "{1: 2}", "01", "NaN", r#""\ud800""#, "\"\u{1}\"", &deep] {
            assert!(!is_document(text), "{text}");
        }
        assert!(is_document(&("[".repeat(limits::DEEPEST_JSON) + &"]".repeat(limits::DEEPEST_JSON))));
    }
}
