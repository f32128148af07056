//! JSON at the border. Authors never see it.

mod plain;
mod whole;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::Value;

/// What most values fit into.
const ROOM: usize = 128;

/// A document from the host that is not what the manifest says it is.
///
/// The host checks documents before it hands them over, and it only hands back what this plugin wrote. So this is a
/// fault, never a caller's mistake, and it ends the call.
#[derive(Debug)]
pub struct Unreadable(String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Unreadable {
    /// There is no message of this name.
    #[must_use]
    pub fn unknown(kind: &str, name: &str) -> Self {
        Self(format!("this plugin knows no {kind} {name}"))
    }

    fn shape(message: &str, reason: fmt::Arguments<'_>) -> Self {
        Self(format!("{message} has another shape: {reason}"))
    }
}

/// The fields of a message, not read yet.
///
/// A derive of serde's for each message would be the other way, and was the first. Its code is made anew for every
/// message, which was a tenth of a plugin; this is made once for every type of field. Each value is looked at twice.
#[derive(Debug)]
pub struct Fields<'a> {
    message: &'static str,
    entries: Vec<(Cow<'a, str>, &'a str)>,
}

/// The name of a field: a part of the document, unless there are escapes in it.
#[derive(Debug)]
struct FieldName<'a>(Cow<'a, str>);

impl<'a> Fields<'a> {
    /// Takes an object apart.
    ///
    /// # Errors
    /// If the document is none.
    pub fn read(message: &'static str, document: &'a str) -> Result<Self, Unreadable> {
        if let Some(entries) = plain::entries(document) {
            return Ok(Self { message, entries });
        }
        let mut reader = serde_json::Deserializer::from_str(document);
        let entries = reader.deserialize_map(Entries).and_then(|entries| reader.end().map(|()| entries));
        entries
            .map(|entries| Self { message, entries })
            .map_err(|error| Unreadable::shape(message, format_args!("{error}")))
    }

    /// Reads a field.
    ///
    /// # Errors
    /// If it is missing though it may not be, or is something else.
    pub fn get<T: Value>(&self, name: &str) -> Result<T, Unreadable> {
        // Of a field that is there twice the last one counts, as it did for whoever checked the document.
        let value = match self.entries.iter().rfind(|(known, _)| known == name) {
            Some((_, value)) => T::said(value),
            None if T::OPTIONAL => parse("null"),
            None => return Err(Unreadable::shape(self.message, format_args!("{name} is missing"))),
        };
        value.map_err(|error| Unreadable::shape(self.message, format_args!("{name}: {error}")))
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((FieldName(name), value)) = map.next_entry::<_, &RawValue>()? {
            entries.push((name, value.get()));
        }
        Ok(entries)
    }
}

impl<'de> Deserialize<'de> for FieldName<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Naming).map(Self)
    }
}

struct Naming;

impl<'de> Visitor<'de> for Naming {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// A message on its way out. What may be missing and is, is left out.
#[derive(Debug, Default)]
pub struct Writer(String);

impl Writer {
    /// Adds a field. Its name is letters and digits, so it needs no escapes.
    #[must_use]
    pub fn field<T: Value>(mut self, name: &str, value: &T) -> Self {
        if !value.is_unsaid() {
            self.0.push(if self.0.is_empty() { '{' } else { ',' });
            self.0.extend(["\"", name, "\":"]);
            write_to(value, &mut self.0);
        }
        self
    }

    /// The document.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }
}

/// Reads a value, which is a part of what `name` names.
///
/// # Errors
/// If the document has another shape.
pub fn read<T: DeserializeOwned>(name: &str, document: &str) -> Result<T, Unreadable> {
    parse(document).map_err(|error| Unreadable::shape(name, format_args!("{error}")))
}

/// Reads a value as JSON Schema would have it, to which `5.0` is an integer.
pub(crate) fn parse<T: DeserializeOwned>(document: &str) -> serde_json::Result<T> {
    if let Some(value) = plain::read(document) {
        return Ok(value);
    }
    serde_json::from_str(document).or_else(|error| match whole::rewritten(document) {
        Some(document) => serde_json::from_str(&document),
        None => Err(error),
    })
}

/// Reads what may be cleared and is there: serde by itself takes a null for the outer `Option`, and nothing could be told
/// from null.
///
/// # Errors
/// If it is something else.
pub fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Writes a value.
///
/// # Panics
/// If a `Serialize` implementation of the author's own fails or uses keys that are no strings.
#[must_use]
pub fn write<T: Serialize + ?Sized>(value: &T) -> String {
    let mut text = String::with_capacity(ROOM);
    write_to(value, &mut text);
    text
}

/// Writes a value behind what is there already.
///
/// # Panics
/// As [`write`].
pub(crate) fn write_to<T: Serialize + ?Sized>(value: &T, text: &mut String) {
    let before = text.len();
    if plain::write(value, text).is_err() {
        text.truncate(before);
        match serde_json::to_string(value) {
            Ok(long) => text.push_str(&long),
            Err(error) => panic!("a value can't be written as JSON: {error}"),
        }
    }
}
