//! Reads a JSON Schema as a set of rules.

use std::str::FromStr;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::paths::Location;
use jsonschema::{Draft, Keyword, ValidationError, Validator};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::{Broken, Schema};
use crate::{EntityId, Timestamp};

/// At most so many problems are reported of one document. Nobody reads more.
const MOST: usize = 20;

/// Finds what breaks a schema's rules. It is made once for a schema, and used for every document.
#[derive(Debug)]
pub struct Checker(Validator);

/// What breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The steps to the value at fault, from the document's root.
    pub path: Vec<String>,
    /// Which rule it breaks: "must be at most 200 characters long".
    pub message: String,
}

impl Problem {
    /// The path as a JSON pointer.
    #[must_use]
    pub fn pointer(&self) -> String {
        self.path.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
    }
}

impl Checker {
    /// Reads a schema.
    ///
    /// # Errors
    /// Says where the schema is not one.
    pub fn new(schema: &Schema) -> Result<Self, Broken> {
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .with_format("decimal", |text: &str| Decimal::from_str_exact(text).is_ok())
            .with_format("id", |text: &str| EntityId::parse(text).is_ok())
            .with_format("date-time", |text: &str| Timestamp::from_str(text).is_ok())
            .with_keyword("decimalMinimum", decimal_rule(|limit, value| value >= limit, "must be at least"))
            .with_keyword("decimalMaximum", decimal_rule(|limit, value| value <= limit, "must be at most"))
            .with_keyword("decimalPlaces", |_, rule, path| {
                let places = rule.as_u64().and_then(|n| u32::try_from(n).ok());
                let places = places.ok_or_else(|| ValidationError::custom(format!("{path} must be a number")))?;
                Ok(Box::new(Places(places)))
            })
            .build(schema.document())
            .map(Self)
            .map_err(|error| Broken { path: error.instance_path().to_string(), reason: error.to_string() })
    }

    /// What breaks the rules: of each value first what it lacks, then what is wrong within it.
    #[must_use]
    pub fn check(&self, document: &Value) -> Vec<Problem> {
        // Most documents are sound, and this way of asking is several times faster.
        if self.0.is_valid(document) {
            return Vec::new();
        }
        self.0.iter_errors(document).flat_map(|error| problems(&error)).take(MOST).collect()
    }

    /// Reads a text and holds it against the rules. It is read whole and into values, so what passes can be read by
    /// everybody further on: it is nested no deeper than serde reads, and none of its texts has half a character.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(&self, text: &str) -> Result<(), Unsound> {
        let document: Value = serde_json::from_str(text).map_err(|error| Unsound::NotJson(error.to_string()))?;
        self.check(&document).into_iter().next().map_or(Ok(()), |problem| Err(Unsound::Breaks(problem)))
    }
}

/// What is wrong with a text that should be a document of a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsound {
    /// It is not JSON, or JSON that not everybody could read back.
    #[error("is not JSON: {0}")]
    NotJson(String),
    /// It breaks the rules; this is the first that it breaks.
    #[error("breaks its schema at {:?}: {}", .0.pointer(), .0.message)]
    Breaks(Problem),
}

fn problems(error: &ValidationError<'_>) -> Vec<Problem> {
    let path: Vec<String> = error.instance_path().into_iter().map(|step| step.to_string()).collect();
    let at = |field: &str, message: String| {
        let mut path = path.clone();
        path.push(field.to_owned());
        Problem { path, message }
    };
    let here = |message: String| vec![Problem { path: path.clone(), message }];
    match error.kind() {
        Kind::Required { property } => vec![at(property.as_str().unwrap_or_default(), "is required".into())],
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            here(format!("unknown field {}", unexpected.join(", ")))
        }
        Kind::MinLength { limit: 1 } => here("must not be empty".into()),
        Kind::MinLength { limit } => here(format!("must be at least {limit} characters long")),
        Kind::MaxLength { limit } => here(format!("must be at most {limit} characters long")),
        Kind::Minimum { limit } => here(format!("must be at least {limit}")),
        Kind::Maximum { limit } => here(format!("must be at most {limit}")),
        Kind::ExclusiveMinimum { limit } => here(format!("must be greater than {limit}")),
        Kind::ExclusiveMaximum { limit } => here(format!("must be less than {limit}")),
        Kind::MinItems { limit: 1 } => here("must have at least one item".into()),
        Kind::MinItems { limit } => here(format!("must have at least {limit} items")),
        Kind::MaxItems { limit } => here(format!("must have at most {limit} items")),
        Kind::UniqueItems => here("must not contain the same item twice".into()),
        Kind::MultipleOf { multiple_of } => here(format!("must be a multiple of {multiple_of}")),
        Kind::Pattern { pattern } => here(format!("must match {pattern}")),
        Kind::Format { format } => here(format!("must be a valid {}", format_name(format))),
        Kind::Enum { options } => here(format!("must be one of {options}")),
        Kind::Type { .. } => here(format!("has the wrong type: {}", error.masked_with("the value"))),
        Kind::Custom { message, .. } => here(message.clone()),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match meant(error, context) {
            Some(broken) => {
                let mut broken: Vec<_> = broken.iter().collect();
                broken.sort_by_key(|inner| inner.instance_path().into_iter().count());
                broken.into_iter().flat_map(problems).collect()
            }
            None => here(error.masked_with("the value").to_string()),
        },
        _ => here(error.masked_with("the value").to_string()),
    }
}

/// What is wrong with a value by the one choice that is meant, if there is one: the only choice that the value has the
/// type for. "This or null" is such a choice for whatever is not null.
fn meant<'e>(
    error: &ValidationError<'_>,
    choices: &'e [Vec<ValidationError<'static>>],
) -> Option<&'e [ValidationError<'static>]> {
    let here = |broken: &ValidationError<'_>| broken.instance_path() == error.instance_path();
    let other_type = |broken: &ValidationError<'_>| matches!(broken.kind(), Kind::Type { .. }) && here(broken);
    let mut fitting = choices.iter().filter(|choice| !choice.iter().any(other_type));
    let only = fitting.next()?;
    fitting.next().is_none().then_some(only)
}

fn format_name(format: &str) -> &str {
    match format {
        "decimal" => "decimal number of at most 28 digits",
        "date-time" => "time, such as 2026-01-31T09:30:00Z",
        "email" => "e-mail address",
        other => other,
    }
}

/// A decimal number, as a string or as a number.
fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::String(text) => Decimal::from_str_exact(text).ok(),
        Value::Number(number) => Decimal::from_str_exact(&number.to_string()).ok(),
        _ => None,
    }
}

type Rule = Box<dyn for<'i> Keyword<'i>>;
type Made<'a> = Result<Rule, ValidationError<'a>>;

fn decimal_rule(
    holds: fn(Decimal, Decimal) -> bool,
    words: &'static str,
) -> impl for<'a> Fn(&'a Map<String, Value>, &'a Value, Location) -> Made<'a> + Send + Sync {
    move |_, rule, path| {
        let limit = decimal(rule);
        let limit = limit.ok_or_else(|| ValidationError::custom(format!("{path} must be a decimal number")))?;
        Ok(Box::new(Limit { limit, holds, words }))
    }
}

struct Limit {
    limit: Decimal,
    holds: fn(Decimal, Decimal) -> bool,
    words: &'static str,
}

impl<'i> Keyword<'i> for Limit {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            Ok(())
        } else {
            Err(ValidationError::custom(format!("{} {}", self.words, self.limit)))
        }
    }

    /// What is no decimal breaks the rule for the format, and that is told already.
    fn is_valid(&self, instance: &'i Value) -> bool {
        decimal(instance).is_none_or(|value| (self.holds)(self.limit, value))
    }
}

struct Places(u32);

impl<'i> Keyword<'i> for Places {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            Ok(())
        } else {
            Err(ValidationError::custom(format!("must have at most {} digits after the point", self.0)))
        }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        decimal(instance).is_none_or(|value| value.normalize().scale() <= self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(document: &Value) -> Vec<String> {
        let schema = json!({
            "type": "object", "additionalProperties": false, "required": ["name", "price"],
            "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 5 },
                "price": { "type": "string", "format": "decimal", "decimalMinimum": "0", "decimalPlaces": 2 },
                "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 2 },
            },
        });
        let checker = Checker::new(&Schema::new(schema)).unwrap();
        checker.check(document).iter().map(|problem| format!("{}: {}", problem.pointer(), problem.message)).collect()
    }

    #[test]
    fn a_sound_document_has_no_problems() {
        assert_eq!(found(&json!({ "name": "Pen", "price": "2.50" })), Vec::<String>::new());
        assert_eq!(found(&json!({ "name": "Pen", "price": "79228162514264337593543.95" })), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_named_with_its_field() {
        assert_eq!(
            found(&json!({ "name": "", "price": "-1" })),
            ["/name: must not be empty", "/price: must be at least 0"]
        );
        assert_eq!(
            found(&json!({ "price": "cheap" })),
            ["/name: is required", "/price: must be a valid decimal number of at most 28 digits"]
        );
        assert_eq!(
            found(&json!({ "name": "Pencil", "price": "1.005", "tags": ["a", "b", "c"] })),
            [
                "/name: must be at most 5 characters long",
                "/price: must have at most 2 digits after the point",
                "/tags: must have at most 2 items",
            ]
        );
        assert_eq!(found(&json!({ "name": "Pen", "price": "1", "size": 3 })), [": unknown field size"]);
    }

    #[test]
    fn what_is_wrong_within_something_optional_is_named_with_its_field() {
        let range = json!({ "type": "object", "required": ["max"], "additionalProperties": false,
                            "properties": { "min": { "type": "integer", "minimum": 0 }, "max": { "type": "integer" } } });
        let found = |schema: Value, document: Value| {
            let problems = Checker::new(&Schema::new(schema)).unwrap().check(&document);
            problems.iter().map(|problem| format!("{}: {}", problem.pointer(), problem.message)).collect::<Vec<_>>()
        };
        for word in ["anyOf", "oneOf"] {
            let optional = json!({ "properties": { "range": { word: [range, { "type": "null" }] } } });
            assert_eq!(
                found(optional.clone(), json!({ "range": { "min": -1 } })),
                ["/range/max: is required", "/range/min: must be at least 0"]
            );
            assert_eq!(found(optional.clone(), json!({ "range": null })), Vec::<String>::new());
            // Where no choice is meant more than another, the value as a whole is wrong.
            assert!(found(optional, json!({ "range": 7 }))[0].starts_with("/range: "));
        }
    }

    #[test]
    fn a_text_passes_only_if_everybody_can_read_it_back() {
        let anything = Checker::new(&Schema::new(json!({ "type": "object" }))).unwrap();
        let nested = |deep: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(deep), "]".repeat(deep));
        for sound in [r#"{"a": [1, -2.5e3, 123456789012345678901234567890, true, null, "\u00e9"]}"#, &nested(126)] {
            assert_eq!(anything.read(sound), Ok(()), "{sound}");
        }
        for broken in ["", "{", "{} {}", "{a: 1}", r#"{"a": "\ud800"}"#, &nested(100_000)] {
            assert!(matches!(anything.read(broken), Err(Unsound::NotJson(_))), "{broken:.20}");
        }
        let error = anything.read("[]").unwrap_err().to_string();
        assert!(error.starts_with(r#"breaks its schema at """#), "{error}");
    }
}
