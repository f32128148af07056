//! Named queries: what they are given, what they answer, and what it costs.

use serde_json::{Value as Json, json};
use yado_engine::Error;

use super::fixture::{Fixture, fixture, limited, over, venues};
use super::patience::patient;
use crate::Limits;

/// What `searchTickets` answers: a page of tickets, and the best of them.
fn answering(answer: Json) -> Fixture {
    let fixture = fixture();
    fixture.memory.answers.lock().unwrap().insert("searchTickets".into(), answer);
    fixture
}

fn ticket(id: usize) -> Json {
    json!({ "id": format!("t{id}"), "venueId": format!("v{}", id % 2), "price": "999.99", "label": null })
}

/// The arguments with which the guest was asked last.
fn asked(fixture: &Fixture) -> Json {
    fixture.memory.asked.lock().unwrap().pop().unwrap()
}

#[tokio::test]
async fn the_rows_of_an_answer_are_rows_like_any_other() {
    let fixture = answering(json!({ "tickets": [ticket(1), ticket(2), ticket(3)], "best": ticket(2), "total": 3 }));
    for venue in ["v0", "v1"] {
        fixture.memory.put("Venue", json!({ "id": venue, "name": format!("Hall {venue}") }));
    }
    let answer = fixture
        .ask("{ searchTickets(label: \"a\") { total best { id } tickets { price label venue { name } __typename } } }")
        .await;
    let shown = |hall: &str| {
        let price: Json = serde_json::from_str("999.99").unwrap();
        json!({ "price": price, "label": null, "venue": { "name": hall }, "__typename": "Ticket" })
    };
    let tickets = [shown("Hall v1"), shown("Hall v0"), shown("Hall v1")];
    assert_eq!(answer["data"]["searchTickets"], json!({ "total": 3, "best": { "id": "t2" }, "tickets": tickets }));
    assert!(answer.get("errors").is_none(), "{answer}");
    assert_eq!(fixture.memory.statements(), ["ask searchTickets", "rows Venue 2"]);
}

#[tokio::test]
async fn a_query_is_asked_with_what_was_given_and_nothing_else() {
    let fixture = answering(json!({ "tickets": [], "best": null, "total": 0 }));
    let answer = fixture.ask("{ searchTickets(label: \"a\") { tickets { id } best { id } } }").await;
    assert_eq!(answer["data"]["searchTickets"], json!({ "tickets": [], "best": null }));
    assert_eq!(asked(&fixture), json!({ "label": "a" }));
    let query = "query ($max: Decimal, $input: Boolean) { \
                 searchTickets(label: \"a\", priceRange: { min: 5, max: $max }, input: $input) { total } }";
    fixture.ask_with(query, json!({ "max": 1000, "input": null })).await;
    assert_eq!(asked(&fixture), json!({ "label": "a", "priceRange": { "min": "5", "max": "1000" }, "input": null }));
    fixture.ask_with(query, json!({})).await;
    assert_eq!(asked(&fixture), json!({ "label": "a", "priceRange": { "min": "5" } }));
}

#[tokio::test]
async fn wrong_arguments_are_told_with_their_places_and_never_get_to_the_guest() {
    let fixture = answering(json!({ "tickets": [], "best": null, "total": 0 }));
    let answer = fixture.ask("{ searchTickets(priceRange: { min: true, least: 1 }, input: { a: 1 }) { total } }").await;
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
    let fields = error["extensions"]["fields"].as_array().unwrap();
    let paths: Vec<_> = fields.iter().map(|field| field["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["label", "priceRange.least", "priceRange.min", "input"]);
    assert_eq!(fixture.memory.statements(), Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_may_be_null_where_its_schema_says_so_and_nowhere_else() {
    let fixture = fixture();
    fixture.memory.answers.lock().unwrap().insert("soldOut".into(), Json::Null);
    assert_eq!(fixture.ask("{ soldOut }").await, json!({ "data": { "soldOut": null } }));
    fixture.memory.answers.lock().unwrap().insert("soldOut".into(), json!(true));
    assert_eq!(fixture.ask("{ a: soldOut }").await, json!({ "data": { "a": true } }));
    let fault = Error::PluginFault { plugin: "venues".into(), function: "queries.answer".into() };
    *fixture.memory.failure.lock().unwrap() = Some(fault);
    let answer = fixture.ask("{ yado { version } searchTickets(label: \"a\") { total } }").await;
    assert_eq!(answer["data"], Json::Null);
    assert_eq!(answer["errors"][0]["path"], json!(["searchTickets"]));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "PLUGIN_FAULT");
}

#[tokio::test]
async fn an_answer_is_weighed_as_a_page_and_is_no_longer_than_one() {
    let limits = Limits { page_max: 10, page_default: 10, complexity_max: 200, ..patient() };
    let fixture = limited(limits);
    let answer = json!({ "tickets": (0..11).map(ticket).collect::<Vec<_>>(), "best": null, "total": 11 });
    fixture.memory.answers.lock().unwrap().insert("searchTickets".into(), answer);
    let refused = fixture.refused("{ searchTickets(label: \"a\") { tickets { id } } }").await;
    assert_eq!(
        refused,
        "TOO_COMPLEX: the document has 11 objects in the answer to a query, and at most 10 are allowed: ask for less at a \
         time"
    );
    assert_eq!(fixture.memory.statements(), ["ask searchTickets"]);
    let refused = fixture
        .refused("{ searchTickets(label: \"a\") { tickets { venue { tickets(limit: 10) { id price } } } } }")
        .await;
    assert!(refused.starts_with("TOO_COMPLEX: the document has 231 values in a full answer"), "{refused}");
    assert_eq!(fixture.memory.statements(), Vec::<String>::new());
    // What has no lists has as many values as the document says.
    let light = fixture.ask("{ soldOut }").await;
    assert!(light.get("errors").is_none(), "{light}");
}

#[tokio::test]
async fn a_query_that_a_guest_answers_waits_for_a_position_which_it_is_not_given() {
    let fixture = answering(json!({ "tickets": [ticket(1)], "total": 1 }));
    fixture.ask("{ searchTickets(label: \"a\", minPosition: 7) { tickets { venue { id } } } }").await;
    assert_eq!(fixture.memory.statements()[..2], ["wait Venue 7", "ask searchTickets"]);
    assert_eq!(asked(&fixture), json!({ "label": "a" }));
    let refused = fixture.refused("{ soldOut(minPosition: -1) }").await;
    assert_eq!(refused, "BAD_USER_INPUT: minPosition is -1, and a position is not below 0");
}

#[tokio::test]
async fn an_argument_of_a_guests_query_that_its_author_calls_like_the_servers_stays_the_authors() {
    let mut document = venues();
    let queries = document["queries"].as_array_mut().unwrap();
    let sold_out = queries.iter_mut().find(|query| query["name"] == "soldOut").unwrap();
    sold_out["arguments"]["properties"] = json!({ "minPosition": { "type": "string" } });
    let fixture = over(&document, patient());
    fixture.ask("{ soldOut(minPosition: \"front\") }").await;
    assert_eq!(fixture.memory.statements(), ["ask soldOut"]);
    assert_eq!(asked(&fixture), json!({ "minPosition": "front" }));
}
