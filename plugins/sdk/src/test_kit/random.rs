//! Documents that a JSON Schema allows, made up from a seed.
//!
//! It knows the words that schemas of this SDK are made of, and what other languages' libraries usually say. What it makes
//! is held against the schema by whoever asked, so a word that it does not know is found and told, not passed over.

use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Number, Value, json};

/// The longest text or list, where the schema has no bound.
const LONG: u64 = 40;
/// The most, where the schema allows more than anybody wants to read.
const LONGEST: u64 = 300;
/// Digits of a decimal number, at most.
const DIGITS: u32 = 28;

/// How a document is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taste {
    /// The least of everything: what may be missing is, texts are short, numbers small.
    Least,
    /// The most of everything.
    Most,
    /// Whatever comes.
    Any,
}

/// Makes up documents.
#[derive(Debug)]
pub(super) struct Random {
    state: u64,
    pub(super) taste: Taste,
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed, taste: Taste::Any }
    }

    /// A document that the schema allows.
    ///
    /// # Errors
    /// Says what in the schema it can't make up a value for.
    pub(super) fn document(&mut self, schema: &Value) -> Result<Value, String> {
        self.value(schema, schema)
    }

    fn value(&mut self, root: &Value, schema: &Value) -> Result<Value, String> {
        let Some(rules) = schema.as_object() else { return Ok(json!({ "anything": self.up_to(9) })) };
        if let Some(reference) = rules.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
            return self.value(root, target.ok_or_else(|| format!("there is nothing at {reference}"))?);
        }
        if let Some(choices) = rules.get("anyOf").or_else(|| rules.get("oneOf")).and_then(Value::as_array) {
            return self.one_of(root, choices);
        }
        if let Some([inner]) = rules.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
            return self.value(root, inner);
        }
        if let Some(constant) = rules.get("const") {
            return Ok(constant.clone());
        }
        if let Some(values) = rules.get("enum").and_then(Value::as_array) {
            return self.pick(values).cloned().ok_or_else(|| "an enum has no values".to_owned());
        }
        match self.kind(rules).as_deref() {
            Some("null") => Ok(Value::Null),
            Some("boolean") => Ok(Value::Bool(self.flag())),
            Some("integer") => Ok(self.integer(rules)),
            Some("number") => Ok(self.number(rules)),
            Some("string") => self.text(rules).map(Value::String),
            Some("array") => {
                let most = self.length(rules, "minItems", "maxItems", 5);
                let anything = json!({});
                let items = rules.get("items").unwrap_or(&anything);
                (0..most).map(|_| self.value(root, items)).collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Some("object") => self.object(root, rules),
            None => Ok(json!({ "anything": self.up_to(9) })),
            Some(other) => Err(format!("there is no type {other}")),
        }
    }

    fn one_of(&mut self, root: &Value, choices: &[Value]) -> Result<Value, String> {
        let is_null = |choice: &&Value| choice.get("type").and_then(Value::as_str) == Some("null");
        let chosen = match self.taste {
            Taste::Least => choices.iter().find(is_null).or_else(|| choices.first()),
            Taste::Most => choices.iter().find(|choice| !is_null(choice)),
            Taste::Any => self.pick(choices),
        };
        let chosen = chosen.ok_or_else(|| "there is nothing to choose from".to_owned())?;
        self.value(root, chosen)
    }

    /// The type, where one is said; of several, one.
    fn kind(&mut self, rules: &Map<String, Value>) -> Option<String> {
        match rules.get("type")? {
            Value::String(kind) => Some(kind.clone()),
            Value::Array(kinds) => {
                let null = |kind: &&Value| kind.as_str() == Some("null");
                let kind = match self.taste {
                    Taste::Least => kinds.iter().find(null).or_else(|| kinds.first()),
                    Taste::Most => kinds.iter().find(|kind| !null(kind)),
                    Taste::Any => self.pick(kinds),
                };
                kind?.as_str().map(str::to_owned)
            }
            _ => None,
        }
    }

    fn object(&mut self, root: &Value, rules: &Map<String, Value>) -> Result<Value, String> {
        let required: Vec<&str> =
            rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut object = Map::new();
        for (name, property) in rules.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if required.contains(&name.as_str()) || self.flag() {
                let value = self.value(root, property).map_err(|reason| format!("{name}: {reason}"))?;
                object.insert(name.clone(), value);
            }
        }
        Ok(Value::Object(object))
    }

    fn integer(&mut self, rules: &Map<String, Value>) -> Value {
        let bound = |word: &str| rules.get(word).and_then(|number| number.to_string().parse::<i128>().ok());
        let least = bound("minimum").unwrap_or(i64::MIN.into());
        let most = bound("maximum").unwrap_or(i64::MAX.into()).max(least);
        let whole = match self.taste {
            Taste::Least => least,
            Taste::Most => most,
            // Half of the numbers are small ones: that is what people have.
            Taste::Any => {
                let span = (most - least).min(i128::from(u64::MAX)).cast_unsigned();
                let far = i128::from(self.next()) % (span.cast_signed() + 1);
                let near = i128::from(self.up_to(1000)) - 500;
                if self.flag() { least + far } else { near.clamp(least, most) }
            }
        };
        serde_json::from_str(&whole.to_string()).unwrap_or(Value::Null)
    }

    fn number(&mut self, rules: &Map<String, Value>) -> Value {
        let bound = |word: &str| rules.get(word).and_then(Value::as_f64);
        let least = bound("minimum").unwrap_or(-1e15);
        let most = bound("maximum").unwrap_or(1e15).max(least);
        let number = match self.taste {
            Taste::Least => least,
            Taste::Most => most,
            Taste::Any => {
                #[allow(clippy::cast_precision_loss, reason = "which of two neighbours it is does not matter")]
                let part = self.next() as f64 / u64::MAX as f64;
                (least + (most - least) * part).clamp(least, most)
            }
        };
        Number::from_f64(number).map_or(Value::Null, Value::Number)
    }

    fn text(&mut self, rules: &Map<String, Value>) -> Result<String, String> {
        if let Some(pattern) = rules.get("pattern").and_then(Value::as_str) {
            let meant = regex_syntax::parse(pattern).map_err(|error| format!("the pattern {pattern}: {error}"))?;
            let mut text = String::new();
            self.matching(&meant, &mut text);
            return Ok(text);
        }
        Ok(match rules.get("format").and_then(Value::as_str) {
            Some("decimal") => self.decimal(rules)?,
            Some("date-time") => {
                let day = self.up_to(27) + 1;
                format!("{}-{:02}-{day:02}T{:02}:30:00Z", 1990 + self.up_to(60), self.up_to(11) + 1, self.up_to(23))
            }
            Some("id" | "uuid") => {
                format!("{:08x}-0000-7000-8000-{:012x}", self.next() >> 32, self.next() >> 16)
            }
            Some("ulid") => format!("01{:024}", self.up_to(u64::MAX - 1)),
            Some("email") => format!("u{}@mail{}.example", self.up_to(9_999), self.up_to(99)),
            _ => {
                let length = self.length(rules, "minLength", "maxLength", LONG);
                // Letters, and what breaks programs that take bytes for letters.
                let letters = ['a', 'e', 'n', 'o', 'Z', ' ', '7', '"', '\\', '\n', 'é', 'ß', '宿', '🦀', '\u{301}'];
                (0..length).filter_map(|_| self.pick(&letters).copied()).collect()
            }
        })
    }

    fn decimal(&mut self, rules: &Map<String, Value>) -> Result<String, String> {
        use rust_decimal::Decimal;
        let bound = |word: &str| {
            let text = rules.get(word)?;
            text.as_str().map_or_else(|| text.to_string(), str::to_owned).parse::<Decimal>().ok()
        };
        let places = rules.get("decimalPlaces").and_then(Value::as_u64).and_then(|places| u32::try_from(places).ok());
        let least = bound("decimalMinimum");
        let most = bound("decimalMaximum");
        // A bound may have more places than the values; then the next value within is meant.
        let fine = |number: Decimal, up: bool| match places {
            Some(places) if number.normalize().scale() > places => {
                let cut = number.trunc_with_scale(places);
                let step = Decimal::new(1, places);
                match up {
                    true if cut < number => cut + step,
                    false if cut > number => cut - step,
                    _ => cut,
                }
            }
            _ => number,
        };
        let far = Decimal::new(i64::MAX, places.unwrap_or(6).min(6));
        let number = match self.taste {
            Taste::Least => fine(least.unwrap_or(-far), true),
            Taste::Most => fine(most.unwrap_or(far), false),
            Taste::Any => {
                let scale = u32::try_from(self.up_to(places.unwrap_or(6).min(DIGITS).into())).unwrap_or(0);
                let digits = self.up_to(18);
                let whole = i64::try_from(self.next() % 10_u64.pow(u32::try_from(digits).unwrap_or(0))).unwrap_or(0);
                let number = Decimal::new(if self.flag() { whole } else { -whole }, scale);
                let number = least.map_or(number, |least| number.max(fine(least, true)));
                most.map_or(number, |most| number.min(fine(most, false)))
            }
        };
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            return Err("no decimal number lies within the bounds".to_owned());
        }
        Ok(number.to_string())
    }

    /// A text that a pattern describes.
    fn matching(&mut self, pattern: &Hir, text: &mut String) {
        match pattern.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => text.push_str(&String::from_utf8_lossy(&literal.0)),
            HirKind::Class(Class::Unicode(class)) => {
                if let Some(range) = self.pick(class.ranges()).copied() {
                    let (from, to) = (u32::from(range.start()), u32::from(range.end()));
                    let letter = from + u32::try_from(self.up_to((to - from).min(200).into())).unwrap_or(0);
                    // Between two letters of a class there may be numbers that no letter has.
                    text.push(char::from_u32(letter).unwrap_or(range.start()));
                }
            }
            HirKind::Class(Class::Bytes(class)) => {
                text.extend(self.pick(class.ranges()).map(|range| char::from(range.start())));
            }
            HirKind::Repetition(repeated) => {
                let least = u64::from(repeated.min);
                let most = repeated.max.map_or(least + 5, u64::from).min(least + LONG);
                let times = self.between(least, most);
                (0..times).for_each(|_| self.matching(&repeated.sub, text));
            }
            HirKind::Capture(captured) => self.matching(&captured.sub, text),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.matching(part, text)),
            HirKind::Alternation(choices) => {
                if let Some(choice) = self.pick(choices) {
                    self.matching(choice, text);
                }
            }
        }
    }

    fn length(&mut self, rules: &Map<String, Value>, least: &str, most: &str, usual: u64) -> u64 {
        let bound = |word: &str| rules.get(word).and_then(Value::as_u64);
        let least = bound(least).unwrap_or(0);
        let most = bound(most).unwrap_or(least + usual).clamp(least, least.max(LONGEST));
        self.between(least, most)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        match self.taste {
            Taste::Least => least,
            Taste::Most => most,
            Taste::Any => least + self.up_to(most - least),
        }
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(of.len()).ok()?.checked_sub(1)?;
        of.get(usize::try_from(self.up_to(last)).ok()?)
    }

    fn flag(&mut self) -> bool {
        match self.taste {
            Taste::Least => false,
            Taste::Most => true,
            Taste::Any => self.next() & 1 == 1,
        }
    }

    /// A number from none up to `most`.
    fn up_to(&mut self, most: u64) -> u64 {
        self.next() % most.saturating_add(1).max(1)
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use yado_model::schema::{Checker, Schema};

    use super::*;

    #[test]
    fn whatever_is_made_up_is_what_the_schema_allows() {
        let text = json!({ "type": "string", "minLength": 2, "maxLength": 5 });
        let schema = json!({
            "type": "object", "additionalProperties": false,
            "$defs": { "Text": text },
            "properties": {
                "text": { "$ref": "#/$defs/Text" },
                "code": { "type": "string", "pattern": "^([A-Z]{3}|x-[0-9]+)$" },
                "mail": { "type": "string", "format": "email" },
                "id": { "type": "string", "format": "id" },
                "at": { "type": "string", "format": "date-time" },
                "price": { "type": "string", "format": "decimal", "decimalMinimum": "0.005", "decimalMaximum": "99.999", "decimalPlaces": 2 },
                "free": { "type": "string", "format": "decimal" },
                "count": { "type": "integer", "minimum": 1, "maximum": 99 },
                "large": { "type": "integer", "minimum": 0, "maximum": u64::MAX },
                "any": { "type": ["integer", "null"] },
                "ratio": { "type": "number", "minimum": 0, "maximum": 0.5 },
                "yes": { "type": "boolean" },
                "kind": { "type": "string", "enum": ["A", "B"] },
                "maybe": { "anyOf": [{ "allOf": [text], "description": "…" }, { "type": "null" }] },
                "list": { "type": "array", "items": text, "minItems": 1, "maxItems": 3 },
                "open": true,
            },
            "required": ["text", "price", "list", "open"],
        });
        let checker = Checker::new(&Schema::new(schema.clone())).unwrap();
        let mut made = std::collections::HashSet::new();
        for (seed, taste) in
            (0..500).flat_map(|seed| [Taste::Least, Taste::Most, Taste::Any].map(|taste| (seed, taste)))
        {
            let document = Random { taste, ..Random::new(seed) }.document(&schema).unwrap();
            assert_eq!(checker.check(&document), [], "{document}");
            assert_eq!(Random { taste, ..Random::new(seed) }.document(&schema).unwrap(), document);
            made.insert(document.to_string());
        }
        assert!(made.len() > 500, "{} different documents", made.len());
        let least = Random { taste: Taste::Least, ..Random::new(1) }.document(&schema).unwrap();
        assert_eq!(least.as_object().unwrap().len(), 4, "{least}");
        assert_eq!(least["price"], "0.01");
    }

    #[test]
    fn what_can_not_be_made_up_is_told() {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "wood" } }, "required": ["a"] });
        assert_eq!(Random::new(1).document(&schema).unwrap_err(), "a: there is no type wood");
    }
}
