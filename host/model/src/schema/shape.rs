//! Reads a JSON Schema as a type.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Broken;
use crate::Name;

/// How deeply objects and lists may be nested in one another.
const DEEPEST: usize = 16;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Any text.
    Text,
    /// An id, and the aggregate of which it must name an existing instance.
    Id {
        /// That aggregate.
        references: Option<Name>,
    },
    /// A whole number; `wide` if it need not fit into 32 bits.
    Integer {
        /// Whether 64 bits are needed.
        wide: bool,
    },
    /// A floating point number.
    Float,
    /// An exact decimal number; a string in JSON.
    Decimal,
    /// True or false.
    Boolean,
    /// A point in time; RFC 3339 in JSON.
    Timestamp,
    /// One of a few texts.
    Enumeration(Enumeration),
    /// Many of the same.
    List(Box<Slot>),
    /// Named fields.
    Object(Object),
    /// Any JSON at all.
    Json,
}

/// A place for a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What the value is.
    pub shape: Shape,
    /// Whether `null` may stand in its place.
    pub nullable: bool,
}

/// One of a few texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enumeration {
    /// The name that the schema gives to it.
    pub title: Option<Name>,
    /// What the schema says it is.
    pub description: String,
    /// The texts.
    pub values: Vec<String>,
    /// What the schema says of single texts, by text.
    pub descriptions: BTreeMap<String, String>,
}

/// Named fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The name that the schema gives to it.
    pub title: Option<Name>,
    /// The read model whose row it is.
    pub model: Option<Name>,
    /// What the schema says it is.
    pub description: String,
    /// The fields.
    pub fields: Fields,
}

/// The fields of an object, in the schema's order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Fields(Vec<Field>);

/// A field of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Name,
    /// What it means.
    pub description: String,
    /// What may stand in it.
    pub slot: Slot,
    /// Whether it must be there.
    pub required: bool,
}

impl Fields {
    /// A field by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|field| field.name.as_str() == name)
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

pub(super) fn read(document: &Value) -> Result<Slot, Broken> {
    Reader { root: document }.slot(document, "", 0)
}

/// The most characters that a property of an object may have, if the schema says.
pub(super) fn longest(document: &Value, property: &str) -> Option<u64> {
    let property = document.get("properties")?.get(property)?;
    Reader { root: document }.longest(property, 0)
}

struct Reader<'a> {
    root: &'a Value,
}

impl<'a> Reader<'a> {
    fn slot(&self, schema: &'a Value, path: &str, depth: usize) -> Result<Slot, Broken> {
        if depth > DEEPEST {
            return Err(broken(path, format!("it is nested more than {DEEPEST} deep; does it contain itself?")));
        }
        let schema = match schema {
            Value::Bool(true) => return Ok(Slot { shape: Shape::Json, nullable: true }),
            Value::Object(schema) => schema,
            _ => return Err(broken(path, "a schema must be an object or true".into())),
        };
        if let Some(reference) = schema.get("$ref") {
            let target = self.resolve(reference, path)?;
            return self.slot(target, path, depth + 1);
        }
        if let Some([inner]) = schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            return self.slot(inner, path, depth + 1);
        }
        if let Some(inner) = self.optional(schema) {
            return Ok(Slot { nullable: true, ..self.slot(inner, path, depth + 1)? });
        }
        let (kind, nullable) = kind(schema, path)?;
        let shape = match kind {
            Some("string") => text(schema, path)?,
            Some("integer") => Shape::Integer { wide: !narrow(schema) },
            Some("number") => Shape::Float,
            Some("boolean") => Shape::Boolean,
            Some("array") => match schema.get("items") {
                Some(items) => Shape::List(Box::new(self.slot(items, &format!("{path}/items"), depth + 1)?)),
                None => Shape::Json,
            },
            Some("object") if schema.contains_key("properties") => Shape::Object(self.object(schema, path, depth)?),
            Some("object") | None => Shape::Json,
            Some(other) => return Err(broken(&format!("{path}/type"), format!("there is no type {other}"))),
        };
        Ok(Slot { nullable: nullable || (kind.is_none() && shape == Shape::Json), shape })
    }

    fn longest(&self, schema: &'a Value, depth: usize) -> Option<u64> {
        let object = schema.as_object().filter(|_| depth <= DEEPEST)?;
        let inner = match object.get("$ref") {
            Some(reference) => self.resolve(reference, "").ok(),
            None => match object.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
                Some([inner]) => Some(inner),
                _ => self.optional(object),
            },
        };
        let own = object.get("maxLength").and_then(Value::as_u64);
        own.into_iter().chain(inner.and_then(|inner| self.longest(inner, depth + 1))).min()
    }

    /// `anyOf: [T, null]`, which is how several languages say that a value may be missing.
    fn optional(&self, schema: &'a Map<String, Value>) -> Option<&'a Value> {
        let choices = schema.get("anyOf").or_else(|| schema.get("oneOf"))?.as_array()?;
        let is_null = |choice: &Value| choice.get("type").and_then(Value::as_str) == Some("null");
        match choices.as_slice() {
            [inner, null] if is_null(null) => Some(inner),
            [null, inner] if is_null(null) => Some(inner),
            _ => None,
        }
    }

    fn object(&self, schema: &'a Map<String, Value>, path: &str, depth: usize) -> Result<Object, Broken> {
        let properties = schema
            .get("properties")
            .and_then(Value::as_object)
            .ok_or_else(|| broken(&format!("{path}/properties"), "it must be an object".into()))?;
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut fields = Vec::with_capacity(properties.len());
        for (name, property) in properties {
            let path = format!("{path}/properties/{name}");
            fields.push(Field {
                name: Name::parse(name).map_err(|e| broken(&path, e.to_string()))?,
                description: words(property.get("description")),
                slot: self.slot(property, &path, depth + 1)?,
                required: required.contains(&name.as_str()),
            });
        }
        if let Some(missing) = required.iter().find(|name| !properties.contains_key(**name)) {
            return Err(broken(&format!("{path}/required"), format!("there is no property {missing}")));
        }
        Ok(Object {
            title: name(schema, "title", path)?,
            model: name(schema, "x-model", path)?,
            description: words(schema.get("description")),
            fields: Fields(fields),
        })
    }

    fn resolve(&self, reference: &Value, path: &str) -> Result<&'a Value, Broken> {
        let path = format!("{path}/$ref");
        let pointer = reference
            .as_str()
            .and_then(|text| text.strip_prefix('#'))
            .ok_or_else(|| broken(&path, "a reference must stay within the schema, as in #/$defs/Name".into()))?;
        self.root.pointer(pointer).ok_or_else(|| broken(&path, format!("there is nothing at #{pointer}")))
    }
}

fn kind<'a>(schema: &'a Map<String, Value>, path: &str) -> Result<(Option<&'a str>, bool), Broken> {
    match schema.get("type") {
        None => Ok((None, false)),
        Some(Value::String(kind)) => Ok((Some(kind), false)),
        Some(Value::Array(kinds)) => {
            let named: Vec<&str> = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            let nullable = named.len() < kinds.len();
            match named.as_slice() {
                [kind] => Ok((Some(kind), nullable)),
                _ => Ok((None, nullable)),
            }
        }
        Some(_) => Err(broken(&format!("{path}/type"), "it must be a string or a list of strings".into())),
    }
}

fn text(schema: &Map<String, Value>, path: &str) -> Result<Shape, Broken> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values = values.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
        let values = values.ok_or_else(|| broken(&format!("{path}/enum"), "its values must be strings".into()))?;
        return Ok(Shape::Enumeration(Enumeration {
            title: name(schema, "title", path)?,
            description: words(schema.get("description")),
            descriptions: descriptions(schema, &values, path)?,
            values,
        }));
    }
    Ok(match schema.get("format").and_then(Value::as_str) {
        Some("decimal") => Shape::Decimal,
        Some("date-time") => Shape::Timestamp,
        Some("id" | "uuid" | "ulid") => Shape::Id { references: name(schema, "x-references", path)? },
        _ => Shape::Text,
    })
}

/// `x-descriptions`: what is said of a text that is not among the values would never be seen, so it is a mistake.
fn descriptions(
    schema: &Map<String, Value>,
    values: &[String],
    path: &str,
) -> Result<BTreeMap<String, String>, Broken> {
    let Some(described) = schema.get("x-descriptions") else { return Ok(BTreeMap::new()) };
    let path = format!("{path}/x-descriptions");
    let described = described.as_object().ok_or_else(|| broken(&path, "it must be an object".into()))?;
    let text = |(value, text): (&String, &Value)| {
        let at = || format!("{path}/{value}");
        if !values.contains(value) {
            return Err(broken(&at(), format!("{value} is none of the values of enum")));
        }
        let text = text.as_str().ok_or_else(|| broken(&at(), "it must be a string".into()))?;
        Ok((value.clone(), text.to_owned()))
    };
    described.iter().map(text).collect()
}

/// Whether every value that the schema allows fits into 32 bits.
fn narrow(schema: &Map<String, Value>) -> bool {
    if matches!(schema.get("format").and_then(Value::as_str), Some("int32" | "int16" | "int8" | "uint16" | "uint8")) {
        return true;
    }
    let bound = |word: &str| schema.get(word).and_then(Value::as_i64);
    let low = bound("minimum").is_some_and(|low| low >= i64::from(i32::MIN));
    let high = bound("maximum").is_some_and(|high| high <= i64::from(i32::MAX));
    low && high
}

fn name(schema: &Map<String, Value>, word: &str, path: &str) -> Result<Option<Name>, Broken> {
    match schema.get(word) {
        None => Ok(None),
        Some(value) => {
            let path = format!("{path}/{word}");
            let text = value.as_str().ok_or_else(|| broken(&path, "it must be a string".into()))?;
            Name::parse(text).map(Some).map_err(|e| broken(&path, e.to_string()))
        }
    }
}

fn words(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn broken(path: &str, reason: String) -> Broken {
    Broken { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(schema: &Value) -> Shape {
        read(schema).unwrap().shape
    }

    #[test]
    fn formats_and_bounds_choose_the_type() {
        assert_eq!(shape(&json!({ "type": "string", "format": "decimal" })), Shape::Decimal);
        assert_eq!(shape(&json!({ "type": "integer" })), Shape::Integer { wide: true });
        assert_eq!(shape(&json!({ "type": "integer", "minimum": 0, "maximum": 99 })), Shape::Integer { wide: false });
        let id = shape(&json!({ "type": "string", "format": "id", "x-references": "Venue" }));
        assert_eq!(id, Shape::Id { references: Some(Name::parse("Venue").unwrap()) });
    }

    #[test]
    fn what_may_be_missing_is_seen_however_it_is_said() {
        for schema in [
            json!({ "type": ["string", "null"] }),
            json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] }),
            json!({ "anyOf": [{ "type": "null" }, { "$ref": "#/$defs/T" }], "$defs": { "T": { "type": "string" } } }),
        ] {
            assert_eq!(read(&schema).unwrap(), Slot { shape: Shape::Text, nullable: true }, "{schema}");
        }
    }

    #[test]
    fn an_enumeration_keeps_what_is_said_of_it_and_of_its_values() {
        let color = json!({
            "type": "string", "enum": ["RED", "BLUE"], "title": "Color", "description": "What it looks like.",
            "x-descriptions": { "RED": "Like a fire engine." },
        });
        let expected = Shape::Enumeration(Enumeration {
            title: Some(Name::parse("Color").unwrap()),
            description: "What it looks like.".into(),
            values: vec!["RED".into(), "BLUE".into()],
            descriptions: BTreeMap::from([("RED".into(), "Like a fire engine.".into())]),
        });
        assert_eq!(shape(&color), expected);
        // A field says something of its own beside what its type says.
        assert_eq!(shape(&json!({ "allOf": [color], "description": "Of the lid." })), expected);
    }

    #[test]
    fn a_description_of_no_value_is_refused() {
        let color = json!({ "type": "string", "enum": ["RED"], "x-descriptions": { "GREEN": "Like grass." } });
        let broken = read(&color).unwrap_err();
        assert_eq!(
            (broken.path.as_str(), broken.reason.as_str()),
            ("/x-descriptions/GREEN", "GREEN is none of the values of enum")
        );
    }

    #[test]
    fn the_longest_text_is_found_wherever_it_is_said() {
        let schema = json!({
            "properties": {
                "own": { "type": "string", "maxLength": 5 },
                "inner": { "anyOf": [{ "allOf": [{ "$ref": "#/$defs/T" }] }, { "type": "null" }] },
                "both": { "allOf": [{ "$ref": "#/$defs/T" }], "maxLength": 7 },
                "none": { "type": "string" },
            },
            "$defs": { "T": { "type": "string", "maxLength": 9 } },
        });
        let found = ["own", "inner", "both", "none", "other"].map(|property| longest(&schema, property));
        assert_eq!(found, [Some(5), Some(9), Some(7), None, None]);
    }

    #[test]
    fn a_schema_that_contains_itself_is_refused() {
        let list =
            json!({ "$ref": "#/$defs/L", "$defs": { "L": { "type": "array", "items": { "$ref": "#/$defs/L" } } } });
        assert!(read(&list).unwrap_err().reason.contains("contain itself"));
    }
}
