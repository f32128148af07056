//! A JSON Schema without words for people.

use serde_json::{Map, Value};

/// What says something to people, and nothing about values. A title may be the name of a type.
const WORDS: [&str; 2] = ["description", "x-descriptions"];

/// What has schemas by names of its own.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// What has one schema, or several.
const NESTED: [&str; 7] = ["items", "prefixItems", "additionalProperties", "oneOf", "anyOf", "allOf", "not"];

/// The schema without them. It is nested no deeper than JSON may be that has been read from a text.
pub(super) fn of(schema: &Value) -> Value {
    match schema {
        Value::Object(parts) => Value::Object(parts.iter().filter_map(part).collect()),
        Value::Array(schemas) => schemas.iter().map(of).collect(),
        other => other.clone(),
    }
}

fn part((name, part): (&String, &Value)) -> Option<(String, Value)> {
    let bare = match (name.as_str(), part) {
        (words, _) if WORDS.contains(&words) => return None,
        (named, Value::Object(schemas)) if NAMED.contains(&named) => {
            Value::Object(schemas.iter().map(|(name, schema)| (name.clone(), of(schema))).collect::<Map<_, _>>())
        }
        (nested, _) if NESTED.contains(&nested) => of(part),
        _ => part.clone(),
    };
    Some((name.clone(), bare))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_go_and_names_and_values_stay() {
        let schema = json!({
            "type": "object",
            "description": "A thing.",
            "properties": {
                "description": { "type": "string", "description": "What it is.", "default": { "description": "none" } },
                "states": {
                    "type": "array",
                    "items": { "enum": ["description"], "x-descriptions": ["That one."], "title": "State" },
                },
                "note": { "anyOf": [{ "type": "string", "description": "Text." }, { "type": "null" }] },
            },
            "required": ["description"],
        });
        let bare = json!({
            "type": "object",
            "properties": {
                "description": { "type": "string", "default": { "description": "none" } },
                "states": { "type": "array", "items": { "enum": ["description"], "title": "State" } },
                "note": { "anyOf": [{ "type": "string" }, { "type": "null" }] },
            },
            "required": ["description"],
        });
        assert_eq!(of(&schema), bare);
        assert_eq!(of(&bare), bare);
    }
}
