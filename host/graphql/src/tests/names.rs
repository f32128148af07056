//! Names that can't be in one API together.

use serde_json::{Value as Json, json};
use yado_model::Digest;

use super::fixture::{manifest, venues};
use crate::Limits;
use crate::api::{Source, build};

fn refused(change: impl FnOnce(&mut Json)) -> String {
    let mut document = venues();
    change(&mut document);
    let manifest = manifest(&document);
    build(&[Source { manifest: &manifest, digest: Digest::of(b"") }], &Limits::default()).unwrap_err()
}

#[test]
fn a_read_model_can_not_be_called_like_a_type_of_the_server() {
    let text = refused(|document| {
        document["readModels"][0]["name"] = json!("CommandReceipt");
        document["readModels"][1]["relations"] = json!([]);
        document["aggregates"][0]["commands"][0]["returns"] = Json::Null;
        document["projections"][0]["models"][0] = json!("CommandReceipt");
        document["aggregates"][0]["commands"].as_array_mut().unwrap().remove(0);
    });
    assert_eq!(
        text,
        "the server and read model CommandReceipt of plugin venues both make a GraphQL type CommandReceipt, and not the \
         same one: rename one of them"
    );
}

#[test]
fn two_types_with_one_title_must_be_the_same() {
    let text = refused(|document| {
        document["readModels"][0]["row"]["properties"]["place"]["properties"]["zip"] = json!({ "type": "string" });
        document["readModels"][1]["row"]["properties"]["extra"] = json!({
            "type": "object", "title": "Place", "properties": { "street": { "type": "string" } },
        });
    });
    assert!(
        text.starts_with("read model Venue of plugin venues and read model Ticket of plugin venues both make"),
        "{text}"
    );
}

#[test]
fn a_plural_that_is_taken_is_refused_with_both_names() {
    let text = refused(|document| document["readModels"][1]["plural"] = json!("Venues"));
    assert_eq!(
        text,
        "read model Venue of plugin venues and read model Ticket of plugin venues both make a GraphQL field Query.venues: \
         rename one of them"
    );
}

#[test]
fn a_property_can_not_be_called_like_a_combination_of_conditions() {
    let text = refused(|document| {
        document["readModels"][1]["row"]["properties"]["not"] = json!({ "type": "string" });
    });
    assert!(text.contains("has a property not"), "{text}");
}

#[test]
fn a_query_can_not_be_called_like_another_field() {
    let text = refused(|document| document["queries"][0]["name"] = json!("tickets"));
    assert_eq!(
        text,
        "read model Ticket of plugin venues and query tickets of plugin venues both make a GraphQL field Query.tickets: \
         rename one of them"
    );
}

#[test]
fn a_query_shows_rows_of_read_models_that_are_there() {
    let text = refused(|document| {
        document["queries"][0]["returns"]["properties"]["best"] =
            json!({ "type": "object", "x-model": "Seat", "properties": {} });
    });
    assert_eq!(text, "query searchTickets of plugin venues shows rows of Seat, which no plugin brings");
}

#[test]
fn a_read_model_can_not_be_called_like_what_another_one_makes() {
    for name in
        ["TicketConnection", "TicketEdge", "TicketAggregate", "TicketGroupKey", "TicketSum", "TicketWhere", "PageInfo"]
    {
        let text = refused(|document| {
            document["readModels"][0]["name"] = json!(name);
            document["readModels"][1]["relations"] = json!([]);
            document["aggregates"][0]["commands"][0]["returns"] = Json::Null;
            document["aggregates"][0]["commands"].as_array_mut().unwrap().remove(0);
            document["projections"][0]["models"][0] = json!(name);
        });
        let other = if name == "PageInfo" { "the server" } else { "Ticket of plugin venues" };
        assert!(text.contains(&format!("both make a GraphQL type {name}, and not the same one")), "{text}");
        assert!(text.contains(other) && text.contains(&format!("read model {name} of plugin venues")), "{text}");
    }
}

#[test]
fn a_query_can_not_be_called_like_what_a_read_model_makes() {
    for name in ["ticketsAggregate", "ticketsConnection", "ticketByCode"] {
        let text = refused(|document| document["queries"][0]["name"] = json!(name));
        assert!(text.ends_with(&format!("both make a GraphQL field Query.{name}: rename one of them")), "{text}");
    }
}

#[test]
fn a_property_can_not_be_called_like_what_is_computed_of_a_relation() {
    let text = refused(|document| {
        document["readModels"][0]["row"]["properties"]["ticketsAggregate"] = json!({ "type": "string" });
    });
    assert_eq!(
        text,
        "read model Venue of plugin venues makes two fields ticketsAggregate of its rows, because what is computed of a \
         relation's rows is called after it: rename one of them"
    );
}

#[test]
fn a_relation_can_not_be_called_like_a_combination_of_conditions() {
    let text = refused(|document| document["readModels"][1]["relations"][0]["name"] = json!("or"));
    assert!(text.contains("has a relation or, which GraphQL needs"), "{text}");
}

#[test]
fn what_is_unique_can_not_be_called_like_the_position_that_a_query_waits_for() {
    let text = refused(|document| {
        let row = &mut document["readModels"][1]["row"];
        row["properties"]["minPosition"] = json!({ "type": "string", "maxLength": 20 });
        row["required"].as_array_mut().unwrap().push(json!("minPosition"));
        document["readModels"][1]["unique"] = json!([["minPosition"]]);
    });
    assert!(text.contains("has the unique property minPosition"), "{text}");
}
