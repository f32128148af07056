//! Holds a query that is answered with one row to saying which one that is.
//!
//! A condition whose argument is left out falls away. In a list that is what callers expect; where one row is answered it
//! would be a row that nobody has asked for, and maybe not one that the caller was meant to see. So such a query names its
//! row, by a key or by what is unique, or says of which rows it is the first, and then none of its conditions falls away.

use std::collections::HashSet;

use crate::Name;
use crate::manifest::check::{Broken, Checked};
use crate::manifest::{ArgumentPath, CompareOp, Condition, ReadModel, RowsQuery};
use crate::schema::{Fields, Shape};

/// Holds a query that is answered with one row against the rule above. Its fields and arguments are known to be there.
pub(super) fn says_which(rows: &RowsQuery, model: &ReadModel, arguments: &Fields) -> Checked {
    let always = |condition: &Condition| always_holds(condition, arguments);
    let named: HashSet<&Name> = rows.conditions.iter().filter(|one| always(one)).filter_map(equal).collect();
    let is_named = |group: &[Name]| group.iter().all(|field| named.contains(field));
    if named.contains(&model.key) || model.unique.iter().any(|group| is_named(group)) {
        return Ok(());
    }
    if rows.order_by.is_empty() {
        return Err(Broken::new(
            "/rows/where",
            format!(
                "a query that is answered with one row says which: let {}, or all properties that are unique together, be \
                 equal to constants or to arguments that are required and not nullable, or say an order whose first row it is",
                model.key
            ),
        ));
    }
    match rows.conditions.iter().position(|condition| !always(condition)) {
        None => Ok(()),
        Some(at) => Err(Broken::new(
            format!("/rows/where/{at}"),
            "it may fall away, and the first row would be one that was not asked for: a query that is answered with the first \
             row has conditions on constants, or on arguments that are required and not nullable",
        )),
    }
}

/// The property that a condition wants to be equal to something.
fn equal(condition: &Condition) -> Option<&Name> {
    match condition {
        Condition::Argument { field, op: CompareOp::Eq, .. } | Condition::Value { field, op: CompareOp::Eq, .. } => {
            Some(field)
        }
        _ => None,
    }
}

/// Whether a condition holds whatever is left out.
fn always_holds(condition: &Condition, arguments: &Fields) -> bool {
    match condition {
        Condition::Value { .. } => true,
        Condition::Argument { argument, .. } => is_given(arguments, argument),
        // A text of nothing but spaces searches for nothing.
        Condition::Search { .. } => false,
        // Those of them that fall away leave fewer rows, and not more.
        Condition::Any { any } => any.iter().any(|condition| always_holds(condition, arguments)),
        Condition::Not { not } => stays_whole(not, arguments),
    }
}

/// Whether nothing of a condition falls away, so that what it excludes stays excluded.
fn stays_whole(condition: &Condition, arguments: &Fields) -> bool {
    match condition {
        Condition::Any { any } => any.iter().all(|condition| stays_whole(condition, arguments)),
        Condition::Not { not } => stays_whole(not, arguments),
        plain => always_holds(plain, arguments),
    }
}

/// Whether an argument is there whenever the arguments are sound: each step on the way to it is.
fn is_given(arguments: &Fields, path: &ArgumentPath) -> bool {
    let mut within = Some(arguments);
    path.steps().iter().all(|step| {
        let Some(field) = within.and_then(|fields| fields.get(step.as_str())) else { return false };
        within = match &field.slot.shape {
            Shape::Object(object) => Some(&object.fields),
            _ => None,
        };
        field.required && !field.slot.nullable
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::schema::Schema;

    /// What is refused of a query of tickets with these conditions and orders.
    fn refused(conditions: &Value, orders: &Value) -> Option<String> {
        let model = json!({
            "name": "Ticket", "key": "id", "unique": [["code"], ["venue", "seat"]], "row": { "type": "object" },
        });
        let rows = json!({ "model": "Ticket", "where": conditions, "orderBy": orders, "answer": "one" });
        let text = json!({ "type": "string" });
        let arguments = json!({ "type": "object", "required": ["given", "none", "at"], "properties": {
            "given": text, "none": { "type": ["string", "null"] }, "free": text,
            "at": { "type": "object", "required": ["given"], "properties": { "given": text, "free": text } },
        } });
        let Shape::Object(arguments) = Schema::new(arguments).shape().unwrap().shape else { panic!() };
        let (rows, model) = (serde_json::from_value(rows).unwrap(), serde_json::from_value(model).unwrap());
        says_which(&rows, &model, &arguments.fields).map_err(|broken| broken.to_string()).err()
    }

    fn by(field: &str, argument: &str) -> Value {
        json!({ "field": field, "op": "eq", "argument": argument })
    }

    #[test]
    fn a_row_is_named_by_its_key_or_by_what_is_unique() {
        let open = json!({ "field": "status", "op": "eq", "value": "OPEN" });
        for conditions in [
            json!([by("id", "given")]),
            json!([by("id", "at.given"), by("status", "free")]),
            json!([by("code", "given"), { "search": "free" }]),
            json!([by("venue", "given"), { "field": "seat", "op": "eq", "value": "12" }]),
        ] {
            assert_eq!(refused(&conditions, &json!([])), None, "{conditions}");
        }
        for conditions in [
            json!([]),
            json!([open]),
            json!([open, by("id", "free")]),
            json!([by("id", "none")]),
            json!([by("id", "at.free")]),
            json!([by("status", "given")]),
            json!([by("venue", "given"), by("seat", "free")]),
            json!([{ "field": "id", "op": "gte", "argument": "given" }]),
            json!([{ "any": [by("id", "given")] }]),
            json!([{ "not": by("id", "given") }]),
        ] {
            let refusal = refused(&conditions, &json!([])).unwrap_or_else(|| panic!("{conditions} is taken"));
            assert!(refusal.contains("/rows/where: ") && refusal.contains("says which: let id, or all"), "{refusal}");
        }
    }

    #[test]
    fn the_first_row_of_an_order_is_that_of_all_that_is_asked_for() {
        let order = json!([{ "field": "price" }]);
        for conditions in [
            json!([]),
            json!([by("status", "given"), { "field": "sold", "op": "eq", "value": false }]),
            json!([{ "any": [by("status", "free"), by("venue", "given")] }]),
            json!([{ "not": { "any": [by("status", "given"), by("venue", "at.given")] } }]),
        ] {
            assert_eq!(refused(&conditions, &order), None, "{conditions}");
        }
        for falls_away in [
            by("status", "free"),
            by("status", "none"),
            by("status", "at.free"),
            json!({ "search": "given" }),
            json!({ "any": [by("status", "free"), by("venue", "none")] }),
            json!({ "not": by("status", "free") }),
            json!({ "not": { "any": [by("status", "given"), by("venue", "free")] } }),
        ] {
            let refusal = refused(&json!([by("status", "given"), falls_away]), &order);
            assert!(
                refusal.as_ref().is_some_and(|text| text.contains("/rows/where/1: it may fall away")),
                "{falls_away}"
            );
        }
    }
}
