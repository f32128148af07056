//! Payload shapes, as far as Rust types have them: the part of JSON Schema that the manifest speaks.
//!
//! A schema is built once, when the host loads the plugin, from the types of fields ([`Value`](crate::Value)) and from
//! what `#[schema(…)]` adds to them.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// The shape of a value.
#[derive(Debug, Clone)]
pub struct Schema {
    kind: &'static str,
    nullable: bool,
    words: Vec<(&'static str, Word)>,
    /// What is said of the place where it stands, and not of the type.
    about: &'static str,
}

#[derive(Debug, Clone)]
enum Word {
    Text(String),
    Number(Number),
    Flag(bool),
    Texts(Vec<&'static str>),
    Descriptions(Vec<(&'static str, &'static str)>),
    Schema(Box<Schema>),
    Properties(Vec<(&'static str, Schema)>),
}

/// A number in an attribute, as it was written.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    /// Without a point.
    Whole(i128),
    /// With one; decimals keep the text.
    Real(f64, &'static str),
}

impl Schema {
    /// A value of one of JSON's kinds.
    #[must_use]
    pub const fn of(kind: &'static str) -> Self {
        Self { kind, nullable: false, words: Vec::new(), about: "" }
    }

    /// A text of some format.
    #[must_use]
    pub fn text(format: &'static str) -> Self {
        Self::of("string").format(format)
    }

    /// A list.
    #[must_use]
    pub fn list(items: Self) -> Self {
        Self::of("array").word("items", Word::Schema(Box::new(items)))
    }

    /// An object with these fields. Those of which the type may be missing are not required.
    #[must_use]
    pub fn object(fields: Vec<Field>) -> Self {
        let required = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        let properties = fields.into_iter().map(|field| (field.name, field.schema)).collect();
        Self::of("object").word("properties", Word::Properties(properties)).word("required", Word::Texts(required))
    }

    /// One of a few texts, and what some of them mean.
    #[must_use]
    pub fn one_of(texts: &[&'static str], described: &[(&'static str, &'static str)]) -> Self {
        let schema = Self::of("string").word("enum", Word::Texts(texts.to_vec()));
        if described.is_empty() {
            return schema;
        }
        schema.word("x-descriptions", Word::Descriptions(described.to_vec()))
    }

    /// The same, or null.
    #[must_use]
    pub const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Nothing but the fields that are named.
    #[must_use]
    pub fn closed(self) -> Self {
        self.word("additionalProperties", Word::Flag(false))
    }

    /// The type's name in the API.
    #[must_use]
    pub fn title(self, title: &'static str) -> Self {
        self.word("title", Word::Text(title.into()))
    }

    /// What it means, if the author says so.
    #[must_use]
    pub fn description(self, text: &'static str) -> Self {
        if text.is_empty() { self } else { self.replace("description", Word::Text(text.into())) }
    }

    /// What it means in the place where it stands, if the author says so.
    #[must_use]
    pub const fn about(mut self, text: &'static str) -> Self {
        if !text.is_empty() {
            self.about = text;
        }
        self
    }

    /// It is a row of this read model.
    #[must_use]
    pub fn model(self, name: &'static str) -> Self {
        self.word("x-model", Word::Text(name.into()))
    }

    /// It must name an existing instance of this aggregate.
    #[must_use]
    pub fn references(self, aggregate: &'static str) -> Self {
        self.word("x-references", Word::Text(aggregate.into()))
    }

    /// It names the thing itself, so it need not exist for the value to be sound.
    #[must_use]
    pub fn own_id(mut self) -> Self {
        self.words.retain(|(word, _)| *word != "x-references");
        self
    }

    /// A text of some format.
    #[must_use]
    pub fn format(self, format: &'static str) -> Self {
        self.replace("format", Word::Text(format.into()))
    }

    /// A text that matches.
    #[must_use]
    pub fn pattern(self, pattern: &'static str) -> Self {
        self.replace("pattern", Word::Text(pattern.into()))
    }

    /// So many digits may follow the point.
    #[must_use]
    pub fn places(self, places: u32) -> Self {
        self.replace("decimalPlaces", Word::Number(Number::Whole(places.into())))
    }

    /// At least so long: characters of a text, items of a list.
    #[must_use]
    pub fn shortest(self, length: u64) -> Self {
        let word = if self.kind == "array" { "minItems" } else { "minLength" };
        self.replace(word, Word::Number(Number::Whole(length.into())))
    }

    /// At most so long: characters of a text, items of a list.
    #[must_use]
    pub fn longest(self, length: u64) -> Self {
        let word = if self.kind == "array" { "maxItems" } else { "maxLength" };
        self.replace(word, Word::Number(Number::Whole(length.into())))
    }

    /// At least this much.
    #[must_use]
    pub fn least(self, bound: Number) -> Self {
        if self.kind == "string" {
            self.replace("decimalMinimum", Word::Text(bound.text()))
        } else {
            self.replace("minimum", Word::Number(bound))
        }
    }

    /// At most this much.
    #[must_use]
    pub fn most(self, bound: Number) -> Self {
        if self.kind == "string" {
            self.replace("decimalMaximum", Word::Text(bound.text()))
        } else {
            self.replace("maximum", Word::Number(bound))
        }
    }

    fn word(mut self, name: &'static str, word: Word) -> Self {
        self.words.push((name, word));
        self
    }

    /// What stands nearer to the author wins: a field's own bounds over those of its type.
    fn replace(mut self, name: &'static str, word: Word) -> Self {
        match self.words.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = word,
            None => self.words.push((name, word)),
        }
        self
    }

    /// Writes what is said of the place, or else of the type.
    fn describe<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if !self.about.is_empty() {
            return map.serialize_entry("description", self.about);
        }
        match self.words.iter().find(|(word, _)| *word == "description") {
            Some((name, text)) => map.serialize_entry(name, text),
            None => Ok(()),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.words.iter().any(|(word, _)| *word == name)
    }
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its shape.
    pub schema: Schema,
    /// Whether it must be there.
    pub required: bool,
}

impl Number {
    fn text(self) -> String {
        match self {
            Self::Whole(number) => number.to_string(),
            Self::Real(_, text) => text.into(),
        }
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // `enum` would have to list null, and an object that may be null has its title inside: both are said by anyOf.
        if self.nullable && (self.has("enum") || self.kind == "object") {
            let mut map = serializer.serialize_map(None)?;
            let null = Self::of("null");
            let inner = Self { nullable: false, about: "", ..self.clone() };
            map.serialize_entry("anyOf", &[inner, null])?;
            self.describe(&mut map)?;
            return map.end();
        }
        // A type with a name is the same type wherever it stands, so what is said of a place is not said of the type.
        if !self.about.is_empty() && (self.has("title") || self.has("x-model")) {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("allOf", &[Self { about: "", ..self.clone() }])?;
            self.describe(&mut map)?;
            return map.end();
        }
        let mut map = serializer.serialize_map(None)?;
        if self.nullable {
            map.serialize_entry("type", &[self.kind, "null"])?;
        } else {
            map.serialize_entry("type", self.kind)?;
        }
        for (name, word) in self.words.iter().filter(|(word, _)| *word != "description") {
            map.serialize_entry(name, word)?;
        }
        self.describe(&mut map)?;
        map.end()
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Number(Number::Whole(number)) => match i64::try_from(*number) {
                Ok(number) => number.serialize(serializer),
                // Of the integers that Rust types have, only the bounds of u64 are beyond i64.
                Err(_) => u64::try_from(*number).unwrap_or(u64::MAX).serialize(serializer),
            },
            Self::Number(Number::Real(number, _)) => number.serialize(serializer),
            Self::Flag(flag) => flag.serialize(serializer),
            Self::Texts(texts) => {
                let mut list = serializer.serialize_seq(Some(texts.len()))?;
                texts.iter().try_for_each(|text| list.serialize_element(text))?;
                list.end()
            }
            Self::Descriptions(texts) => {
                let mut map = serializer.serialize_map(Some(texts.len()))?;
                texts.iter().try_for_each(|(name, text)| map.serialize_entry(name, text))?;
                map.end()
            }
            Self::Schema(schema) => schema.serialize(serializer),
            Self::Properties(properties) => {
                let mut map = serializer.serialize_map(Some(properties.len()))?;
                properties.iter().try_for_each(|(name, schema)| map.serialize_entry(name, schema))?;
                map.end()
            }
        }
    }
}
