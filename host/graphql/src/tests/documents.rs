//! A document that is known already is answered as one that is not.

use serde_json::{Value as Json, json};

use super::fixture::{fixture, limited, manifest, venues};
use super::patience::patient;
use crate::api::Source;
use crate::{Limits, Request};

fn message(answer: &Json) -> &str {
    answer["errors"][0]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_known_document_is_answered_with_the_variables_of_each_request() {
    let at_first = fixture;
    let fixture = fixture();
    let add = "mutation ($i: AddTicketInput!) { addTicket(input: $i) { price label } }";
    for price in ["1", "2.50", "3"] {
        let answer = fixture.ask_with(add, json!({ "i": { "venueId": "v", "price": price } })).await;
        assert_eq!(answer["data"]["addTicket"]["price"].to_string(), price);
    }
    for (given, expected) in [
        (json!({}), "addTicket: input is required: the variable $i is of type AddTicketInput!"),
        (json!({ "i": null }), "addTicket: input must not be null: the variable $i is of type AddTicketInput!"),
        (json!({ "i": { "venueId": "v", "price": [] } }), "price must be a Decimal"),
        (json!({ "i": { "venueId": "v", "price": 1, "colour": 1 } }), "unknown field colour"),
        (json!({ "i": { "venueId": "v", "price": 1, "status": "GONE" } }), "status must be one of OPEN, SOLD"),
    ] {
        let known = fixture.ask_with(add, given.clone()).await;
        let new = at_first().ask_with(add, given).await;
        assert_eq!(known, new);
        assert!(message(&known).contains(expected), "{known}");
    }
    assert_eq!(fixture.memory.dispatched.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn variables_below_the_root_are_validated_for_each_request() {
    let fixture = fixture();
    let ask = "query ($where: TicketWhere) { venues { tickets(where: $where) { id } } }";
    assert!(fixture.ask_with(ask, json!({ "where": { "label": { "eq": "x" } } })).await.get("errors").is_none());
    for _ in 0..2 {
        let answer = fixture.ask_with(ask, json!({ "where": { "label": { "eq": 5 } } })).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
        assert!(answer.get("data").is_none(), "nothing was begun: {answer}");
    }
    assert!(fixture.ask_with(ask, json!({ "where": null })).await.get("errors").is_none());
}

#[tokio::test]
async fn a_known_document_is_weighed_by_the_variables_of_each_request() {
    let fixture = limited(Limits { complexity_max: 100, ..patient() });
    for ask in [
        "query ($n: Int!) { venues(limit: $n) { id } }",
        "query ($n: Int!) { ...F } fragment F on Query { venues(limit: $n) { id } }",
    ] {
        for (rows, refused) in [(json!(99), false), (json!(100), true), (json!(99), false), (json!(100.0), true)] {
            let answer = fixture.ask_with(ask, json!({ "n": rows })).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"] == "TOO_COMPLEX", refused, "{ask} {rows}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_known_document_is_weighed_by_the_size_of_page_that_a_declared_query_is_given() {
    let fixture = limited(Limits { complexity_max: 100, page_max: 1_000, ..patient() });
    let part = "query ($n: PartInput) { findTickets(part: $n) { tickets { id } } }";
    let size = "query ($n: Int) { findTickets(part: { size: $n }) { tickets { id } } }";
    let within = "query ($n: Int) { ...F } fragment F on Query { findTickets(part: { size: $n }) { tickets { id } } }";
    for ask in [part, size, within] {
        for (rows, refused) in [(1, false), (500, true), (1, false), (500, true)] {
            let given = if ask == part { json!({ "size": rows }) } else { json!(rows) };
            let answer = fixture.ask_with(ask, json!({ "n": given })).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"] == "TOO_COMPLEX", refused, "{ask} {rows}: {answer}");
        }
        assert!(fixture.graphql.documents_kept() > 0);
    }
}

#[tokio::test]
async fn a_document_with_several_operations_runs_the_one_that_is_named() {
    let fixture = fixture();
    let query = "query A { yado { version } } query B { b: yado { version } } mutation C { closeAll { position } }";
    let ask = async |name: Option<&str>, read_only: bool| {
        let operation_name = name.map(str::to_owned);
        fixture.send(Request { query: query.to_owned(), operation_name, read_only, ..Request::default() }).await
    };
    for _ in 0..2 {
        assert!(ask(Some("A"), false).await["data"].get("yado").is_some());
        assert!(ask(Some("B"), false).await["data"].get("b").is_some());
        assert!(ask(Some("C"), false).await["data"].get("closeAll").is_some());
        assert!(message(&ask(Some("C"), true).await).contains("can't be sent by GET"));
        assert!(message(&ask(Some("D"), false).await).contains("has no operation \"D\""));
        assert!(message(&ask(None, false).await).contains("several operations"));
    }
}

#[tokio::test]
async fn introspection_is_answered_each_time() {
    let fixture = fixture();
    let ask = "query ($n: String!) { __type(name: $n) { name } venues { __typename id } }";
    for name in ["Venue", "Ticket", "Venue"] {
        assert_eq!(fixture.ask_with(ask, json!({ "n": name })).await["data"]["__type"]["name"], name);
    }
}

#[tokio::test]
async fn directives_are_looked_at_for_each_request() {
    let fixture = fixture();
    let ask = "query ($no: Boolean!) { yado { version @skip(if: $no) name: version } }";
    for (no, shown) in [(true, false), (false, true), (true, false)] {
        let answer = fixture.ask_with(ask, json!({ "no": no })).await;
        assert_eq!(answer["data"]["yado"].get("version").is_some(), shown, "{answer}");
    }
    let answer = fixture.ask_with(ask, json!({ "no": "yes" })).await;
    assert!(answer.get("data").is_none(), "{answer}");
}

#[tokio::test]
async fn a_document_that_is_refused_is_refused_again() {
    let fixture = fixture();
    for query in ["{", "{ nothing }", "{ venues { id nothing } }", "{ tickets(where: 5) { id } }"] {
        let first = fixture.ask(query).await;
        assert!(first.get("errors").is_some());
        assert_eq!(fixture.ask(query).await, first);
    }
    assert_eq!(fixture.graphql.documents_kept(), 0);
    fixture.ask("{ venues { id } }").await;
    assert_eq!(fixture.graphql.documents_kept(), 1);
}

#[tokio::test]
async fn another_deployment_knows_no_document_of_the_one_before() {
    let fixture = fixture();
    let ask = "{ tickets { id rating } }";
    for _ in 0..2 {
        assert!(fixture.ask(ask).await.get("errors").is_none());
    }
    let mut without = venues();
    let row = &mut without["readModels"][1]["row"]["properties"];
    row.as_object_mut().unwrap().remove("rating");
    let without = manifest(&without);
    let source = Source { manifest: &without, digest: yado_model::Digest::of(b"without") };
    fixture.graphql.redeploy(&[source]);
    assert_eq!(fixture.graphql.documents_kept(), 0);
    let answer = fixture.ask(ask).await;
    assert!(message(&answer).contains("rating"), "{answer}");
    assert!(fixture.ask("{ tickets { id } }").await.get("errors").is_none());
}

#[tokio::test]
async fn documents_beyond_the_bounds_are_answered_all_the_same() {
    let fixture = limited(Limits { documents_kept: 2, ..patient() });
    for round in 0..3 {
        for at in 0..5 {
            let answer = fixture.ask(&format!("{{ yado {{ v{at}: version }} }}")).await;
            assert!(answer["data"]["yado"].get(format!("v{at}")).is_some(), "{round}: {answer}");
        }
        assert_eq!(fixture.graphql.documents_kept(), 2);
    }
    let none = limited(Limits { documents_kept: 0, ..patient() });
    for _ in 0..2 {
        assert!(none.ask("{ yado { version } }").await.get("errors").is_none());
    }
    assert_eq!(none.graphql.documents_kept(), 0);
}

#[tokio::test]
async fn many_fields_are_merged_by_their_names_and_keep_their_order() {
    let fixture = fixture();
    // Fewer aliases than a document may have.
    let names: Vec<String> = (0..40).map(|at| format!("v{}", (at * 7) % 40)).collect();
    let fields: String = names.iter().map(|name| format!("{name}: version ")).collect();
    let shown = fixture.send(Request {
        query: format!("{{ yado {{ {fields} {fields} }} yado {{ last: version v1: version }} }}"),
        ..Request::default()
    });
    let shown = shown.await;
    let expected: Vec<String> = names.into_iter().chain(["last".to_owned()]).collect();
    let keys: Vec<String> = shown["data"]["yado"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, expected, "{shown}");
}
