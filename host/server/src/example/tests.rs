//! What is made up is what the schema allows, and reads as GraphQL.

use serde_json::json;
use yado_model::schema::{Checker, Schema};

use super::*;

fn shape(schema: &Schema) -> Object {
    match schema.shape().unwrap().shape {
        Shape::Object(object) => object,
        other => panic!("{other:?}"),
    }
}

fn made(document: Value) -> Option<String> {
    let schema = Schema::new(document);
    let shape = shape(&schema);
    let value = Maker { subject: words("BoxTicket") }.object(&shape, Some(schema.document()))?;
    assert_eq!(Checker::new(&schema).unwrap().check(&value), [], "{value}");
    Some(literal(&value, &Shape::Object(shape)))
}

#[test]
fn every_shape_gets_a_value_that_its_schema_allows() {
    let made = made(json!({
        "type": "object", "additionalProperties": false,
        "required": ["title", "seats", "price", "open", "begins", "mail", "kind", "rows", "place", "code"],
        "properties": {
            "title": { "type": "string", "minLength": 1, "maxLength": 80 },
            "seats": { "type": "integer", "minimum": 5, "maximum": 9 },
            "price": { "type": "string", "format": "decimal", "decimalMinimum": "0", "decimalPlaces": 2 },
            "open": { "type": "boolean" },
            "begins": { "type": "string", "format": "date-time" },
            "mail": { "type": "string", "format": "email" },
            "kind": { "type": "string", "enum": ["CONCERT", "PLAY"] },
            "rows": { "type": "array", "items": { "type": "integer" }, "minItems": 1 },
            "place": {
                "allOf": [{ "type": "object", "required": ["hall"],
                            "properties": { "hall": { "type": "string", "maxLength": 4 } } }],
                "description": "Where it is held.",
            },
            "code": { "type": "string", "minLength": 12, "maxLength": 12 },
            "remark": { "type": "string" },
        },
    }));
    assert_eq!(
        made.as_deref(),
        Some(
            "{ title: \"My first box ticket\", seats: 5, price: \"9.90\", open: true, begins: \"2026-01-31T09:30:00Z\", \
             mail: \"ada@example.com\", kind: CONCERT, rows: [1], place: { hall: \"My f\" }, \
             code: \"My first cod\" }"
        )
    );
}

#[test]
fn names_are_shown_in_words() {
    for (name, shown) in [("lineItem", "line item"), ("LineItem", "line item"), ("line_item", "line item")] {
        assert_eq!(words(name), shown);
    }
}

#[test]
fn what_the_author_gives_as_an_example_is_taken() {
    let made = made(json!({
        "type": "object", "required": ["plate"],
        "properties": { "plate": { "type": "string", "pattern": "^[A-Z]{2}[0-9]{3}$", "examples": ["AB123"] } },
    }));
    assert_eq!(made.as_deref(), Some("{ plate: \"AB123\" }"));
}

#[test]
fn what_needs_something_that_exists_is_not_made_up() {
    let made = made(json!({
        "type": "object", "required": ["basket"],
        "properties": { "basket": { "type": "string", "format": "id", "x-references": "Basket" } },
    }));
    assert_eq!(made, None);
}
