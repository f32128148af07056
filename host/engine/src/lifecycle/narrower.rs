//! Whether a schema refuses what another one takes.
//!
//! Two schemas are laid side by side, word by word. What has been written under the old one must fit the new one: a new
//! field that may be missing, a longer limit or other words of explanation do no harm, a new field that must be there does.
//! Words that are not known here are not compared, and of schemas without end only so much is; events of the log are
//! tried as well, and tell the rest.

use std::cell::Cell;

use serde_json::{Map, Value};

/// How deeply schemas are followed.
const DEEPEST: usize = 32;
/// Comparisons at most. Schemas that refer to themselves in several places have no end.
const MOST: u32 = 20_000;

/// Words whose values are limits from above.
const UPPER: [&str; 7] =
    ["maxLength", "maxItems", "maxProperties", "maximum", "exclusiveMaximum", "decimalMaximum", "decimalPlaces"];
/// Words that count from nothing.
const COUNTS: [&str; 3] = ["minLength", "minItems", "minProperties"];
/// Words whose values are limits from below.
const LOWER: [&str; 6] = ["minLength", "minItems", "minProperties", "minimum", "exclusiveMinimum", "decimalMinimum"];
/// Words that are a rule of their own: another value is another rule.
const RULES: [&str; 8] =
    ["pattern", "multipleOf", "contains", "not", "if", "propertyNames", "dependentRequired", "patternProperties"];

/// Finds a document that the old schema takes and the new one refuses, and says what is in the way.
pub(super) fn narrowing(old: &Value, new: &Value) -> Option<String> {
    Pair { old, new, left: Cell::new(MOST) }.narrower(old, new, "", 0)
}

/// Two schemas, within which references are followed.
struct Pair<'a> {
    old: &'a Value,
    new: &'a Value,
    left: Cell<u32>,
}

/// One of the forms that a schema takes: the schema, and the type, if it must be one.
type Form<'a> = (&'a Value, Option<&'a str>);

impl<'a> Pair<'a> {
    fn narrower(&self, old: &'a Value, new: &'a Value, path: &str, depth: usize) -> Option<String> {
        if depth > DEEPEST || self.left.get() == 0 {
            return None;
        }
        let (mut olds, mut news) = (Vec::new(), Vec::new());
        forms(self.old, old, &mut olds, 0);
        forms(self.new, new, &mut news, 0);
        for old in olds {
            let mut reasons = Vec::new();
            let taken = news.iter().any(|new| match self.form(old, *new, path, depth) {
                None => true,
                Some(reason) => {
                    reasons.push((new.1 == old.1, reason));
                    false
                }
            });
            if taken {
                continue;
            }
            // What is in the way in the form that is most like it says the most.
            let like = reasons.iter().position(|(like, _)| *like).unwrap_or(0);
            let none = || place(path, "takes nothing any more");
            return Some(reasons.into_iter().nth(like).map_or_else(none, |(_, reason)| reason));
        }
        None
    }

    fn form(&self, (old, was): Form<'a>, (new, is): Form<'a>, path: &str, depth: usize) -> Option<String> {
        self.left.set(self.left.get().saturating_sub(1));
        if *old == Value::Bool(false) || *new == Value::Bool(true) {
            return None;
        }
        if *new == Value::Bool(false) {
            return Some(place(path, "takes nothing any more"));
        }
        let empty = Map::new();
        let new_words = new.as_object()?;
        let old_words = old.as_object().unwrap_or(&empty);
        match (was, is) {
            (_, None) | (Some("integer"), Some("number")) => {}
            (None, Some(is)) => return Some(place(path, &format!("could be anything and must be of type {is} now"))),
            (Some(was), Some(is)) if was == is => {}
            (Some(was), Some(is)) => return Some(place(path, &format!("was of type {was} and is of type {is} now"))),
        }
        values(old_words, new_words, path)
            .or_else(|| format(old_words, new_words, path))
            .or_else(|| limits(old_words, new_words, path))
            .or_else(|| rules(old_words, new_words, path))
            .or_else(|| self.fields(old, new, path, depth))
            .or_else(|| self.items(old, new, path, depth))
    }

    fn fields(&self, old: &'a Value, new: &'a Value, path: &str, depth: usize) -> Option<String> {
        let required = |schema: &'a Value| names(schema).collect::<Vec<_>>();
        let before = required(old);
        if let Some(missing) = required(new).into_iter().find(|name| !before.contains(name)) {
            return Some(place(&format!("{path}/{missing}"), "must be there now, and need not before"));
        }
        let others = |schema: &'a Value| schema.get("additionalProperties").unwrap_or(&Value::Bool(true));
        let (old_others, new_others) = (others(old), others(new));
        let (old_fields, new_fields) = (properties(old), properties(new));
        for (name, was) in old_fields.into_iter().flatten() {
            let path = format!("{path}/{name}");
            let narrower = match new_fields.and_then(|fields| fields.get(name)) {
                Some(is) => self.narrower(was, is, &path, depth + 1),
                None if *new_others == Value::Bool(false) => Some(place(&path, "is not known any more")),
                None => self.narrower(was, new_others, &path, depth + 1),
            };
            if narrower.is_some() {
                return narrower;
            }
        }
        if *old_others == Value::Bool(false) {
            return None;
        }
        // What is said of no field in particular. That a field which nobody spoke of was there by chance is not assumed.
        if *old_others != Value::Bool(true) {
            let of_others = new_fields.into_iter().flatten();
            let fresh = of_others.filter(|(name, _)| old_fields.is_none_or(|fields| !fields.contains_key(*name)));
            for (name, is) in fresh {
                if let Some(reason) = self.narrower(old_others, is, &format!("{path}/{name}"), depth + 1) {
                    return Some(reason);
                }
            }
        }
        if *new_others == Value::Bool(false) {
            return Some(place(path, "may not have fields any more that its schema does not name"));
        }
        self.narrower(old_others, new_others, &format!("{path}/*"), depth + 1)
    }

    fn items(&self, old: &'a Value, new: &'a Value, path: &str, depth: usize) -> Option<String> {
        let items = |schema: &'a Value| schema.get("items").unwrap_or(&Value::Bool(true));
        let places = |schema: &'a Value| schema.get("prefixItems").and_then(Value::as_array);
        let all = self.narrower(items(old), items(new), &format!("{path}/*"), depth + 1);
        if all.is_some() {
            return all;
        }
        let new = places(new)?;
        let old = places(old).map(Vec::as_slice).unwrap_or_default();
        if old.len() < new.len() {
            return Some(place(path, "says more of its first items than it did"));
        }
        let mut each = old.iter().zip(new).enumerate();
        each.find_map(|(at, (old, new))| self.narrower(old, new, &format!("{path}/{at}"), depth + 1))
    }
}

/// The forms that a schema takes: the branches of a choice, and each type of a list of types.
fn forms<'a>(root: &'a Value, schema: &'a Value, found: &mut Vec<Form<'a>>, depth: usize) {
    if depth > DEEPEST {
        return;
    }
    let inner = match schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([inner]) => Some(inner),
        _ => {
            let pointer = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
            pointer.and_then(|pointer| root.pointer(pointer))
        }
    };
    if let Some(inner) = inner {
        return forms(root, inner, found, depth + 1);
    }
    if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        return choices.iter().for_each(|choice| forms(root, choice, found, depth + 1));
    }
    match schema.get("type") {
        Some(Value::Array(types)) => found.extend(types.iter().filter_map(Value::as_str).map(|is| (schema, Some(is)))),
        is => found.push((schema, is.and_then(Value::as_str))),
    }
}

fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

fn names(schema: &Value) -> impl Iterator<Item = &str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// One of a few values, or just one.
fn values(old: &Map<String, Value>, new: &Map<String, Value>, path: &str) -> Option<String> {
    fn listed(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
        let one = schema.get("const").map(|one| vec![one]);
        one.or_else(|| schema.get("enum").and_then(Value::as_array).map(|all| all.iter().collect()))
    }
    let new = listed(new)?;
    match listed(old) {
        None => Some(place(path, "could have other values than those that are listed now")),
        Some(old) => {
            let gone = old.into_iter().find(|value| !new.contains(value))?;
            Some(place(path, &format!("could be {gone} and can't any more")))
        }
    }
}

fn format(old: &Map<String, Value>, new: &Map<String, Value>, path: &str) -> Option<String> {
    let named = |schema: &Map<String, Value>| schema.get("format").and_then(Value::as_str).map(str::to_owned);
    let (was, is) = (named(old), named(new)?);
    let wider = match (was.as_deref(), is.as_str()) {
        // All numbers are read as the widest there are.
        (_, "float" | "double") => true,
        (Some("uuid" | "ulid"), "id") => true,
        (Some(was), is) => {
            was == is || bounds(was).zip(bounds(is)).is_some_and(|(was, is)| is.0 <= was.0 && was.1 <= is.1)
        }
        (None, _) => false,
    };
    if wider {
        return None;
    }
    let was = was.unwrap_or_else(|| "any".to_owned());
    Some(place(path, &format!("was of format {was} and is of format {is} now")))
}

/// The least and the greatest number of a format.
fn bounds(format: &str) -> Option<(i128, i128)> {
    let signed = format.strip_prefix("int").and_then(|bits| bits.parse::<u32>().ok());
    let unsigned = format.strip_prefix("uint").and_then(|bits| bits.parse::<u32>().ok());
    let power = |bits: u32| if (1..=64).contains(&bits) { 1_i128.checked_shl(bits) } else { None };
    match (signed, unsigned) {
        (Some(bits), _) => power(bits).map(|power| (-power / 2, power / 2 - 1)),
        (_, Some(bits)) => power(bits).map(|power| (0, power - 1)),
        _ => None,
    }
}

fn limits(old: &Map<String, Value>, new: &Map<String, Value>, path: &str) -> Option<String> {
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    };
    let tighter = |word: &str, upper: bool| {
        let is = new.get(word)?;
        let limit = number(is)?;
        let was = old.get(word);
        // Nothing is shorter than nothing.
        let least = if COUNTS.contains(&word) { Some(0.0) } else { None };
        let before = was.and_then(number).or(least);
        if before.is_some_and(|before| if upper { before <= limit } else { before >= limit }) {
            return None;
        }
        let was = was.map_or_else(|| "none".to_owned(), ToString::to_string);
        Some(place(path, &format!("has {word} {is} now, and had {was}")))
    };
    let upper = UPPER.into_iter().find_map(|word| tighter(word, true));
    upper.or_else(|| LOWER.into_iter().find_map(|word| tighter(word, false)))
}

fn rules(old: &Map<String, Value>, new: &Map<String, Value>, path: &str) -> Option<String> {
    let other = RULES.into_iter().find(|word| new.get(*word).is_some_and(|rule| old.get(*word) != Some(rule)));
    if let Some(word) = other {
        return Some(place(path, &format!("has another rule by the word {word}")));
    }
    let unique = |schema: &Map<String, Value>| schema.get("uniqueItems").and_then(Value::as_bool).unwrap_or_default();
    (unique(new) && !unique(old)).then(|| place(path, "may not have the same item twice any more"))
}

fn place(path: &str, words: &str) -> String {
    if path.is_empty() { format!("the payload {words}") } else { format!("its field {path} {words}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(fields: &Value, required: &[&str]) -> Value {
        json!({ "type": "object", "properties": fields, "required": required, "additionalProperties": false })
    }

    /// What is in the way of a field's change.
    fn field(old: &Value, new: &Value) -> Option<String> {
        narrowing(&object(&json!({ "a": old }), &["a"]), &object(&json!({ "a": new }), &["a"]))
    }

    #[test]
    fn what_was_written_still_fits_where_more_is_allowed_or_only_words_change() {
        let text = json!({ "type": "string", "maxLength": 5, "description": "A name." });
        let of_two = object(&json!({ "a": text, "b": text }), &["a"]);
        assert_eq!(narrowing(&object(&json!({ "a": text }), &["a"]), &of_two), None);
        assert_eq!(narrowing(&of_two, &object(&json!({ "a": text, "b": text }), &[])), None);
        for (old, new) in [
            (text.clone(), json!({ "type": "string", "maxLength": 9, "title": "Name" })),
            (text.clone(), json!({ "type": ["string", "null"], "maxLength": 5 })),
            (text.clone(), json!({ "anyOf": [{ "type": "string" }, { "type": "null" }] })),
            (text.clone(), json!(true)),
            (json!({ "type": "string", "minLength": 1 }), json!({ "type": "string", "minLength": 0 })),
            (json!({ "type": "integer", "format": "int32" }), json!({ "type": "integer", "format": "int64" })),
            (json!({ "type": "integer", "format": "uint32" }), json!({ "type": "integer", "format": "int64" })),
            (json!({ "type": "integer" }), json!({ "type": "number", "format": "double" })),
            (json!({ "type": "string", "format": "uuid" }), json!({ "type": "string", "format": "id" })),
            (json!({ "enum": ["x"] }), json!({ "enum": ["y", "x"] })),
            (
                json!({ "decimalMaximum": "9", "decimalPlaces": 2 }),
                json!({ "decimalMaximum": "10", "decimalPlaces": 2 }),
            ),
            (json!({ "items": { "type": "string" }, "type": "array" }), json!({ "items": true, "type": "array" })),
            (json!({ "type": "string" }), json!({ "allOf": [{ "type": "string" }], "description": "A name." })),
        ] {
            assert_eq!(field(&old, &new), None, "{old} -> {new}");
        }
    }

    #[test]
    fn what_stands_in_the_way_of_old_payloads_is_named_with_its_field() {
        let text = json!({ "type": "string" });
        let of_two = |required: &[&str]| object(&json!({ "a": text, "b": text }), required);
        let told = narrowing(&of_two(&["a"]), &of_two(&["a", "b"]));
        assert_eq!(told.as_deref(), Some("its field /b must be there now, and need not before"));
        let told = narrowing(&of_two(&["a"]), &object(&json!({ "a": text }), &["a"]));
        assert_eq!(told.as_deref(), Some("its field /b is not known any more"));
        for (old, new, told) in [
            (text.clone(), json!({ "type": "integer" }), "was of type string and is of type integer now"),
            (
                json!({ "type": "number" }),
                json!({ "type": "integer" }),
                "was of type number and is of type integer now",
            ),
            (json!({ "type": ["string", "null"] }), text.clone(), "was of type null and is of type string now"),
            (text.clone(), json!({ "type": "string", "maxLength": 9 }), "has maxLength 9 now, and had none"),
            (text.clone(), json!({ "type": "string", "minLength": 1 }), "has minLength 1 now, and had none"),
            (json!({ "maximum": 9 }), json!({ "maximum": 8 }), "has maximum 8 now, and had 9"),
            (json!({ "minimum": 0 }), json!({ "minimum": 1 }), "has minimum 1 now, and had 0"),
            (json!({}), json!({ "minimum": 0 }), "has minimum 0 now, and had none"),
            (json!({ "decimalPlaces": 3 }), json!({ "decimalPlaces": 2 }), "has decimalPlaces 2 now, and had 3"),
            (json!({ "enum": ["x", "y"] }), json!({ "enum": ["x"] }), "could be \"y\" and can't any more"),
            (
                text.clone(),
                json!({ "type": "string", "format": "decimal" }),
                "was of format any and is of format decimal now",
            ),
            (
                json!({ "type": "integer", "format": "int64" }),
                json!({ "type": "integer", "format": "uint64" }),
                "was of format int64 and is of format uint64 now",
            ),
            (text.clone(), json!({ "type": "string", "pattern": "x" }), "has another rule by the word pattern"),
            (json!(true), text.clone(), "could be anything and must be of type string now"),
        ] {
            assert_eq!(field(&old, &new), Some(format!("its field /a {told}")), "{old} -> {new}");
        }
        let list = |of: Value| json!({ "type": "array", "items": of });
        let told = field(&list(json!({ "type": "string" })), &list(json!({ "type": "integer" })));
        assert_eq!(told.as_deref(), Some("its field /a/* was of type string and is of type integer now"));
    }

    #[test]
    fn a_form_of_several_must_fit_one_of_the_new_ones() {
        let form = |kind: &str, of: &str| json!({ "type": "object", "properties": { "kind": { "const": kind }, "of": { "type": of } }, "required": ["kind", "of"] });
        let old = json!({ "oneOf": [form("a", "string"), form("b", "integer")] });
        let more = json!({ "oneOf": [form("c", "string"), form("b", "number"), form("a", "string")] });
        assert_eq!(field(&old, &more), None);
        assert!(field(&more, &old).is_some());
    }

    #[test]
    fn schemas_that_contain_themselves_come_to_an_end() {
        let tree = |leaf: &str| {
            json!({
                "$ref": "#/$defs/tree",
                "$defs": { "tree": { "type": "object", "properties": {
                    "left": { "$ref": "#/$defs/tree" }, "right": { "$ref": "#/$defs/tree" }, "leaf": { "type": leaf },
                } } },
            })
        };
        assert_eq!(narrowing(&tree("string"), &tree("string")), None);
        assert!(narrowing(&tree("string"), &tree("integer")).is_some());
    }
}
