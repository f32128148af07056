//! A mutation to begin with, made from what is deployed.
//!
//! The first command that creates something and needs nothing that exists already is filled with values that its schema
//! allows. What is made up is held against the schema before it is shown, so what is shown works.

use serde_json::{Map, Value, json};
use yado_engine::{Catalogue, CommandType};
use yado_graphql::{field_name, is_enum_value};
use yado_model::manifest::Target;
use yado_model::schema::{Field, Object, Shape, Slot};

/// An id that is as good as any.
const ID: &str = "01934b6e-7c2a-7def-8a3b-5f0c9d1e2a47";
/// A moment that is as good as any.
const MOMENT: &str = "2026-01-31T09:30:00Z";

/// A mutation that can be sent as it is; none if no command is simple enough.
pub(crate) fn mutation(catalogue: &Catalogue) -> Option<String> {
    catalogue.commands().filter(|command| command.manifest.target == Target::Create).find_map(|command| {
        let payload = payload(command)?;
        let input = literal(&Value::Object(payload.clone()), &Shape::Object(command.payload.clone()));
        let arguments = if payload.is_empty() { String::new() } else { format!("(input: {input})") };
        let name = field_name(command.manifest.name.as_str());
        Some(format!("mutation {{\n  {name}{arguments} {{ {} }}\n}}", selection(catalogue, command)))
    })
}

/// Arguments that the command's schema allows.
fn payload(command: &CommandType) -> Option<Map<String, Value>> {
    let maker = Maker { subject: words(command.aggregate.manifest.name.as_str()) };
    match maker.object(&command.payload, Some(command.manifest.payload.document()))? {
        Value::Object(payload) if command.check(&Value::Object(payload.clone())).is_empty() => Some(payload),
        _ => None,
    }
}

/// Makes up values.
struct Maker {
    /// What the command creates, in words.
    subject: String,
}

impl Maker {
    fn object(&self, object: &Object, schema: Option<&Value>) -> Option<Value> {
        // A field that has words of its own wraps its type in an `allOf` of one.
        let schema = schema.and_then(|schema| schema.get("allOf")?.get(0)).or(schema);
        let made = object.fields.iter().filter(|field| field.required).map(|field| {
            let property = schema.and_then(|schema| schema.get("properties")?.get(field.name.as_str()));
            Some((field.name.to_string(), self.value(field, &field.slot, property)?))
        });
        made.collect::<Option<Map<_, _>>>().map(Value::Object)
    }

    /// A value for a place, after what the schema itself gives as an example. An id of something that would have to exist
    /// can't be made up.
    fn value(&self, field: &Field, slot: &Slot, schema: Option<&Value>) -> Option<Value> {
        let said = |word: &str| schema.and_then(|schema| schema.get(word));
        let number = |word: &str| said(word).and_then(Value::as_i64);
        if let Some(given) = said("examples").and_then(|examples| examples.get(0)).or_else(|| said("default"))
            && !given.is_null()
            && !matches!(slot.shape, Shape::Id { references: Some(_) })
        {
            return Some(given.clone());
        }
        Some(match &slot.shape {
            Shape::Id { references: Some(_) } => return None,
            Shape::Id { references: None } => ID.into(),
            Shape::Text => {
                self.text(field, said("format").and_then(Value::as_str), number("minLength"), number("maxLength"))
            }
            Shape::Integer { .. } => {
                number("minimum").unwrap_or(1).max(1).min(number("maximum").unwrap_or(i64::MAX)).into()
            }
            Shape::Float => said("minimum").cloned().unwrap_or_else(|| json!(1.5)),
            Shape::Decimal => {
                said("decimalMinimum").filter(|least| least.as_str() != Some("0")).cloned().unwrap_or_else(|| {
                    if number("decimalPlaces").is_some_and(|places| places < 2) { "10" } else { "9.90" }.into()
                })
            }
            Shape::Boolean => true.into(),
            Shape::Timestamp => MOMENT.into(),
            Shape::Enumeration(values) => values.values.first()?.clone().into(),
            Shape::List(inner) => json!([self.value(field, inner, said("items"))?]),
            Shape::Object(inner) => self.object(inner, schema)?,
            Shape::Json => json!({}),
        })
    }

    fn text(&self, field: &Field, format: Option<&str>, shortest: Option<i64>, longest: Option<i64>) -> Value {
        let words = match format {
            Some("email") => "ada@example.com".to_owned(),
            Some("uri" | "url") => "https://example.com/".to_owned(),
            Some("date") => "2026-01-31".to_owned(),
            Some("time") => "09:30:00Z".to_owned(),
            _ => {
                let of = match field.name.as_str() {
                    "name" | "title" | "label" => self.subject.clone(),
                    other => words(other),
                };
                let words = format!("My first {of}");
                let length =
                    |bound: Option<i64>, usual| bound.and_then(|bound| usize::try_from(bound).ok()).unwrap_or(usual);
                let cut: String = words.chars().take(length(longest, usize::MAX)).collect();
                format!("{cut:x<least$}", least = length(shortest, 0).min(1_000))
            }
        };
        words.into()
    }
}

/// A name of the manifest in words: `lineItem`, `LineItem` and `line_item` are all a "line item".
fn words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if (letter.is_ascii_uppercase() || letter == '_') && !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        if letter != '_' {
            words.push(letter.to_ascii_lowercase());
        }
    }
    words
}

/// A value as GraphQL writes it: names without quotes, and values of enums too.
fn literal(value: &Value, shape: &Shape) -> String {
    match (value, shape) {
        (Value::Object(fields), shape) => {
            let written = fields.iter().map(|(name, value)| {
                let inner = match shape {
                    Shape::Object(object) => object.fields.get(name).map_or(&Shape::Json, |field| &field.slot.shape),
                    _ => &Shape::Json,
                };
                format!("{name}: {}", literal(value, inner))
            });
            format!("{{ {} }}", written.collect::<Vec<_>>().join(", "))
        }
        (Value::Array(items), Shape::List(inner)) => {
            format!("[{}]", items.iter().map(|item| literal(item, &inner.shape)).collect::<Vec<_>>().join(", "))
        }
        (Value::String(text), Shape::Enumeration(known)) if known.values.iter().all(|it| is_enum_value(it)) => {
            text.clone()
        }
        // GraphQL's strings and numbers are written as JSON's are.
        _ => value.to_string(),
    }
}

/// What to ask for in return: everything simple of the row that answers, or where it was recorded.
fn selection(catalogue: &Catalogue, command: &CommandType) -> String {
    let model = command.manifest.returns.as_ref().and_then(|name| catalogue.model(name));
    let Some(model) = model else { return "id revision position".to_owned() };
    let simple = |shape: &Shape| !matches!(shape, Shape::Object(_) | Shape::List(_));
    let fields = model.row.fields.iter().filter(|field| simple(&field.slot.shape)).map(|field| field.name.as_str());
    fields.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
