//! What queries answer, and what it costs.

use std::sync::atomic::Ordering;

use serde_json::{Value as Json, json};
use yado_engine::Error;

use super::fixture::{Fixture, fixture, limited};
use super::patience::patient;
use crate::Limits;

fn filled(venues: usize, tickets: usize) -> Fixture {
    let fixture = fixture();
    for venue in 0..venues {
        fixture.memory.put("Venue", json!({ "id": format!("v{venue}"), "name": format!("Hall {venue}") }));
    }
    for ticket in 0..tickets {
        let venue = format!("v{}", ticket % venues);
        fixture.memory.put("Ticket", json!({ "id": format!("t{ticket:03}"), "venueId": venue, "price": "999.99" }));
    }
    fixture
}

#[tokio::test]
async fn a_relation_costs_one_statement_however_many_rows_there_are() {
    let fixture = filled(7, 50);
    let answer = fixture.ask("{ tickets { id price venue { id name } } }").await;
    assert_eq!(answer["data"]["tickets"].as_array().unwrap().len(), 50);
    assert_eq!(answer["data"]["tickets"][9]["venue"]["name"], "Hall 2");
    assert_eq!(fixture.memory.statements(), ["select Ticket 50 None", "rows Venue 7"]);

    fixture.ask("{ venues { tickets { venue { tickets(limit: 1) { id } } } } }").await;
    let asked = fixture.memory.statements();
    assert_eq!(
        asked,
        [
            "select Venue 50 None",
            "select Ticket 50 None for each of 7",
            "rows Venue 7",
            "select Ticket 1 None for each of 7"
        ]
    );
}

#[tokio::test]
async fn a_relation_to_many_reads_no_more_rows_than_it_answers() {
    let fixture = filled(40, 0);
    for venue in 0..40 {
        for at in 0..100 {
            let row = json!({ "id": format!("v{venue}-{at:03}"), "venueId": format!("v{venue}"), "price": "1" });
            fixture.memory.put("Ticket", row);
        }
    }
    let answer = fixture.ask("{ venues { id tickets(limit: 5, orderBy: { id: DESC }) { id } } }").await;
    for venue in answer["data"]["venues"].as_array().unwrap() {
        let id = venue["id"].as_str().unwrap();
        let expected: Vec<Json> = (95..100).rev().map(|n| json!({ "id": format!("{id}-{n:03}") })).collect();
        assert_eq!(venue["tickets"], json!(expected));
    }
    let asked = fixture.memory.statements();
    assert_eq!(asked, ["select Venue 50 None", "select Ticket 5 Some(\"id\") for each of 40"]);
    assert_eq!(fixture.memory.handed_out.load(Ordering::Relaxed), 40 + 40 * 5);
}

#[tokio::test]
async fn an_answer_larger_than_stores_give_at_once_takes_several_statements() {
    let fixture = limited(Limits { complexity_max: 1_000_000, ..patient() });
    for venue in 0..120 {
        fixture.memory.put("Venue", json!({ "id": format!("v{venue}"), "name": "Hall" }));
    }
    let answer = fixture.ask("{ venues(limit: 120) { tickets(limit: 1000) { id } } }").await;
    assert!(answer.get("errors").is_none(), "{answer}");
    assert_eq!(
        fixture.memory.statements()[1..],
        ["select Ticket 1000 None for each of 100", "select Ticket 1000 None for each of 20"]
    );
}

#[tokio::test]
async fn decimals_are_answered_with_exactly_their_digits() {
    let fixture = fixture();
    for (id, price) in [("a", "999.99"), ("b", "12345678901234567.89"), ("c", "0.10")] {
        fixture.memory.put("Ticket", json!({ "id": id, "venueId": "v", "price": price }));
    }
    let request = crate::Request { query: "{ tickets { price } }".into(), ..crate::Request::default() };
    let text = fixture.text(request).await;
    assert_eq!(
        text,
        r#"{"data":{"tickets":[{"price":999.99},{"price":12345678901234567.89},{"price":0.10}]},"extensions":{"position":0}}"#
    );
}

#[tokio::test]
async fn every_kind_of_value_has_its_form() {
    let fixture = fixture();
    fixture.memory.put(
        "Ticket",
        json!({
            "id": "t", "venueId": "v", "price": "1", "label": null, "status": "SOLD", "seats": 4,
            "sales": 9_007_199_254_740_993_i64, "rating": 4.5, "sold": true, "tags": ["a", "b"], "grade": "1st",
            "extra": { "deep": [1, { "x": null }] },
        }),
    );
    fixture.memory.put(
        "Venue",
        json!({ "id": "v", "name": "Hall", "place": { "city": "Ulm", "floors": [1, 2] }, "opened": "2026-01-31T09:30:00.000000Z" }),
    );
    let answer = fixture
        .ask(
            "{ ticket(id: \"t\") { label status seats sales rating sold tags grade extra missing: label \
             venue { place { city floors } opened __typename } } nothing: ticket(id: \"u\") { id } }",
        )
        .await;
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap());
}

#[tokio::test]
async fn rows_are_chosen_by_arguments_and_conditions() {
    let fixture = filled(3, 9);
    for (query, expected) in [
        ("{ tickets(venueId: \"v1\") { id } }", 3),
        ("{ tickets(venueId: null) { id } }", 0),
        ("query ($v: ID) { tickets(venueId: $v) { id } }", 9),
        ("{ tickets(limit: 2, offset: 8) { id } }", 1),
        ("{ tickets(limit: 0) { id } }", 0),
        ("{ tickets(where: { or: [{ venueId: { eq: \"v0\" } }, { venueId: { in: [\"v1\"] } }] }) { id } }", 6),
        ("{ tickets(where: { not: { label: { isNull: true } } }) { id } }", 0),
        ("{ tickets(where: { price: { eq: 999.99 }, and: [{ label: { isNull: true } }] }) { id } }", 9),
        ("{ tickets(where: {}, orderBy: []) { id } }", 9),
        ("{ tickets(orderBy: { id: DESC }) { id } }", 9),
        ("{ tickets(where: { label: { eq: null, in: null, contains: null, lt: null, isNull: null } }) { id } }", 9),
        ("query ($v: [ID!]) { tickets(where: { venueId: { in: $v } }) { id } }", 9),
        ("{ tickets(where: { label: null, and: null, or: null, not: null }) { id } }", 9),
        ("query ($v: ID) { tickets(where: { not: { venueId: { eq: $v } } }) { id } }", 9),
        ("query ($v: ID) { tickets(where: { not: { or: [{ venueId: { eq: $v } }] } }) { id } }", 9),
        ("query ($v: ID) { tickets(where: { or: [{ venueId: { eq: $v } }, { venueId: { eq: \"v1\" } }] }) { id } }", 3),
        (
            "query ($v: ID) { tickets(where: { or: [{ venueId: { eq: $v } }, { label: { contains: null } }] }) { id } }",
            9,
        ),
        ("{ tickets(where: { or: [] }) { id } }", 0),
    ] {
        let answer = fixture.ask(query).await;
        assert_eq!(answer["data"]["tickets"].as_array().map(Vec::len), Some(expected), "{query}: {answer}");
    }
    let answer = fixture.ask("{ tickets(orderBy: [{ id: DESC }], limit: 1) { id } }").await;
    assert_eq!(answer["data"]["tickets"][0]["id"], "t008");
}

#[tokio::test]
async fn what_can_not_be_asked_is_bad_input() {
    let fixture = fixture();
    let mut texts = Vec::new();
    for query in [
        "{ tickets(limit: 1001) { id } }",
        "{ tickets(limit: -1) { id } }",
        "{ tickets(where: { price: { gt: \"cheap\" } }) { id } }",
        "{ tickets(where: { venueId: { in: [null] } }) { id } }",
        "{ tickets(orderBy: { id: \"DESC\" }) { id } }",
        "query ($d: OrderDirection = \"DESC\") { tickets(orderBy: { id: $d }) { id } }",
        "{ tickets(limit: 5.0) { id } }",
        "{ tickets(where: { price: { gt: true, lte: [] }, label: { like: \"x\" } }, limit: \"5\") { id } }",
        "{ venues { tickets(limit: \"5\") { id } } }",
        "{ tickets(venueId: $undeclared) { id } }",
        r#"{ tickets(where: { label: { contains: "a\u0000b" } }) { id } }"#,
        r#"{ tickets(venueId: "\u0000") { id } }"#,
        "{ tickets(where: { colour: { eq: \"red\" } }) { id } }",
        "{ tickets(orderBy: [{ id: ASC, price: ASC }]) { id } }",
        "{ tickets(orderBy: [{ tags: ASC }]) { id } }",
        "{ tickets(where: \"all\") { id } }",
        "{ tickets { colour } }",
        "{ tickets }",
        "{ ticket { id } }",
        "{ ticket(id: true) { id } }",
        "query ($id: ID!) { ticket(id: $id) { id } }",
        "query ($id: ID) { ticket(id: $id) { id } }",
        "{ ...missing }",
        "subscription { tickets { id } }",
        "{ tickets(where: { status: { eq: LOST } }) { id } }",
    ] {
        texts.push(format!("{query}\n    {}", fixture.refused(query).await));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn variables_follow_the_rules_of_json() {
    let fixture = filled(3, 9);
    let query = "query ($n: Int, $d: OrderDirection, $w: TicketWhere) { tickets(limit: $n, orderBy: { id: $d }, where: $w) { id } }";
    let variables = r#"{ "n": 2.0, "d": "DESC", "w": { "venueId": { "in": null } } }"#;
    let answer = fixture.ask_with(query, serde_json::from_str(variables).unwrap()).await;
    assert_eq!(answer["data"]["tickets"], json!([{ "id": "t008" }, { "id": "t007" }]), "{answer}");
    // A page is weighed by the number that it is, however that is written.
    let many: Json = serde_json::from_str(r#"{ "n": 100000.0, "d": "ASC" }"#).unwrap();
    assert_eq!(fixture.ask_with(query, many).await["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    let half: Json = serde_json::from_str(r#"{ "n": 1.5, "d": "ASC" }"#).unwrap();
    let answer = fixture.ask_with(query, half).await;
    assert_eq!(
        answer["errors"][0]["extensions"]["fields"],
        json!([{ "path": "limit", "message": "must be an Int: a whole number of 32 bits" }])
    );
}

#[tokio::test]
async fn what_fails_is_null_and_takes_along_what_can_not_be() {
    let fixture = filled(1, 1);
    fixture.memory.put("Ticket", json!({ "id": "broken", "venueId": "v0", "price": "1", "seats": "many" }));
    let answer = fixture.ask("{ tickets { id seats } }").await;
    assert_eq!(answer["data"]["tickets"][0], json!({ "id": "broken", "seats": null }));
    assert_eq!(answer["errors"][0]["path"], json!(["tickets", 0, "seats"]));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "PLUGIN_FAULT");

    fixture.memory.put("Ticket", json!({ "id": "worse", "venueId": "v0" }));
    let answer = fixture.ask("{ yado { version } tickets { price } }").await;
    assert_eq!(answer["data"], Json::Null);
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{answer}");
}

#[tokio::test]
async fn a_failure_of_the_engine_is_told_with_its_code_and_details() {
    let fixture = filled(1, 3);
    *fixture.memory.failure.lock().unwrap() =
        Some(Error::Unavailable { reason: "the database can't be used at present".into(), retry_after_ms: 1_000 });
    let answer = fixture.ask("{ a: ticket(id: \"t000\") { id } }").await;
    assert_eq!(
        answer,
        json!({
            "data": { "a": null },
            "errors": [{
                "message": "the database can't be used at present; try again in 1000 ms",
                "locations": [{ "line": 1, "column": 3 }], "path": ["a"],
                "extensions": { "code": "UNAVAILABLE", "retryAfterMs": 1000 },
            }],
        })
    );
}

#[tokio::test]
async fn the_answer_has_the_order_of_the_document_and_fields_are_merged() {
    let fixture = filled(1, 1);
    let query = "query ($no: Boolean!) { z: yado { version } tickets { price ...T id @skip(if: $no) } \
                 tickets { ... on Ticket { venue { name } } } a: __typename } \
                 fragment T on Ticket { venue { id } price }";
    let request = crate::Request {
        query: query.into(),
        variables: json!({ "no": true }).as_object().cloned().unwrap(),
        ..crate::Request::default()
    };
    let text = fixture.text(request).await;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        text,
        format!(
            r#"{{"data":{{"z":{{"version":"{version}"}},"tickets":[{{"price":999.99,"venue":{{"id":"v0","name":"Hall 0"}}}}],"a":"Query"}},"extensions":{{"position":0}}}}"#
        )
    );
}

#[tokio::test]
async fn introspection_and_data_come_together_in_one_answer() {
    let fixture = filled(1, 1);
    let answer = fixture
        .ask("{ b: __type(name: \"Ticket\") { kind } tickets { id } __schema { queryType { name } } c: __type(name: \"No\") { kind } }")
        .await;
    let expected = json!({
        "b": { "kind": "OBJECT" }, "tickets": [{ "id": "t000" }], "__schema": { "queryType": { "name": "Query" } }, "c": null,
    });
    assert_eq!(answer, json!({ "data": expected, "extensions": { "position": 0 } }));
}

#[tokio::test]
async fn the_server_tells_what_runs_on_it() {
    let answer = fixture().ask("{ yado { plugins { name version digest } } }").await;
    let digest = yado_model::Digest::of(b"venues").to_string();
    let expected = json!([{ "name": "venues", "version": "1.0.0", "digest": digest }]);
    assert_eq!(answer["data"]["yado"]["plugins"], expected);
}
