//! What mutations dispatch, and what they answer.

use std::sync::atomic::Ordering;

use serde_json::{Value as Json, json};
use yado_engine::Error;
use yado_model::schema::Problem;

use super::fixture::{Fixture, fixture, keyed, limited};
use crate::Limits;

fn payloads(fixture: &Fixture) -> Vec<Json> {
    std::mem::take(&mut *fixture.memory.dispatched.lock().unwrap()).into_iter().map(|one| one.payload).collect()
}

fn keys(fixture: &Fixture) -> Vec<Option<String>> {
    let dispatched = std::mem::take(&mut *fixture.memory.dispatched.lock().unwrap());
    dispatched.into_iter().map(|one| one.options.idempotency_key.map(|key| key.to_string())).collect()
}

#[tokio::test]
async fn a_mutation_reads_what_it_has_written() {
    let fixture = fixture();
    fixture.memory.put("Venue", json!({ "id": "v", "name": "Hall" }));
    let answer = fixture
        .ask("mutation { addTicket(input: { venueId: \"v\", price: 999.99, status: OPEN }) { id price status venue { name } } }")
        .await;
    let expected = json!({ "id": "new1", "price": 999.99, "status": "OPEN", "venue": { "name": "Hall" } });
    assert_eq!(answer["data"]["addTicket"].to_string(), expected.to_string());
    assert_eq!(fixture.memory.statements(), ["dispatch AddTicket", "wait Ticket 1", "rows Ticket 1", "rows Venue 1"]);
}

#[tokio::test]
async fn whoever_asks_for_the_key_alone_waits_and_reads_nothing() {
    let fixture = fixture();
    let answer = fixture
        .ask("mutation { a: openVenue(input: { name: \"Hall\" }) { ...K } } fragment K on Venue { key: id __typename }")
        .await;
    assert_eq!(answer, json!({ "data": { "a": { "key": "new1", "__typename": "Venue" } } }));
    assert_eq!(fixture.memory.statements(), ["dispatch OpenVenue", "wait Venue 1"]);
}

#[tokio::test]
async fn a_command_without_a_read_model_answers_with_its_receipt() {
    let fixture = fixture();
    let answer =
        fixture.ask("mutation { dropTicket(input: { id: 7 }) { id revision position } closeAll { position } }").await;
    let expected = json!({ "dropTicket": { "id": "7", "revision": 1, "position": 1 }, "closeAll": { "position": 2 } });
    assert_eq!(answer["data"], expected);
    assert_eq!(payloads(&fixture), [json!({ "id": "7" }), json!({})]);
}

#[tokio::test]
async fn a_decimal_is_exact_however_it_is_given() {
    let fixture = fixture();
    let exact = "12345678901234567.89";
    fixture.ask(&format!("mutation {{ addTicket(input: {{ venueId: \"v\", price: {exact} }}) {{ id }} }}")).await;
    fixture.ask(&format!("mutation {{ addTicket(input: {{ venueId: \"v\", price: \"{exact}\" }}) {{ id }} }}")).await;
    let price: Json = serde_json::from_str(exact).unwrap();
    let one = "mutation ($price: Decimal!) { addTicket(input: { venueId: \"v\", price: $price }) { id } }";
    fixture.ask_with(one, json!({ "price": price })).await;
    fixture.ask_with(one, json!({ "price": exact })).await;
    let whole = "mutation ($input: AddTicketInput!) { addTicket(input: $input) { id } }";
    fixture.ask_with(whole, json!({ "input": { "venueId": "v", "price": price } })).await;
    assert_eq!(payloads(&fixture), vec![json!({ "venueId": "v", "price": exact }); 5]);
}

#[tokio::test]
async fn what_is_absent_stays_absent_and_null_stays_null() {
    let fixture = fixture();
    let query = "mutation ($label: String) { addTicket(input: { venueId: \"v\", price: 1, label: $label }) { id } }";
    fixture.ask_with(query, json!({})).await;
    fixture.ask_with(query, json!({ "label": null })).await;
    fixture.ask_with(query, json!({ "label": "x" })).await;
    let base = json!({ "venueId": "v", "price": "1" });
    let with = |label: Json| {
        let mut payload = base.clone();
        payload["label"] = label;
        payload
    };
    assert_eq!(payloads(&fixture), [base.clone(), with(Json::Null), with(json!("x"))]);
}

#[tokio::test]
async fn inputs_of_every_kind_become_json() {
    let fixture = fixture();
    let query = "mutation ($n: Int) { addTicket(input: { venueId: 5, price: \"1\", status: \"SOLD\", seats: $n, tags: \"one\", \
                 extra: { list: [1.50, $n, OPEN, null], text: \"x\" } }) { id } \
                 openVenue(input: { name: \"Hall\", place: { city: \"Ulm\", floors: [1, 2] } }) { id } }";
    fixture.ask_with(query, json!({ "n": 3 })).await;
    let extra: Json = serde_json::from_str(r#"{"list":[1.50,3,"OPEN",null],"text":"x"}"#).unwrap();
    assert_eq!(
        payloads(&fixture),
        [
            json!({ "venueId": "5", "price": "1", "status": "SOLD", "seats": 3, "tags": ["one"], "extra": extra }),
            json!({ "name": "Hall", "place": { "city": "Ulm", "floors": [1, 2] } }),
        ]
    );
}

#[tokio::test]
async fn a_mutation_that_is_selected_twice_runs_once() {
    let fixture = fixture();
    let answer = fixture
        .ask("mutation { openVenue(input: { name: \"a\" }) { id } ...M } fragment M on Mutation { openVenue(input: { name: \"a\" }) { name } }")
        .await;
    assert_eq!(answer["data"]["openVenue"], json!({ "id": "new1", "name": "a" }));
    assert_eq!(payloads(&fixture).len(), 1);
}

#[tokio::test]
async fn after_a_mutation_that_fails_none_is_begun() {
    let fixture = fixture();
    *fixture.memory.failure.lock().unwrap() = Some(Error::NotFound { kind: "Ticket".into(), id: "x".into() });
    let answer = fixture.ask("mutation { a: dropTicket(input: { id: \"x\" }) { id } b: closeAll { id } }").await;
    assert_eq!(answer["data"], Json::Null);
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_FOUND");
    assert_eq!(fixture.memory.statements(), ["dispatch DropTicket"]);
}

#[tokio::test]
async fn each_mutation_of_a_document_has_an_idempotency_key_of_its_own() {
    let fixture = fixture();
    fixture.send(keyed("mutation { closeAll { id } }", "k")).await;
    fixture
        .send(keyed(
            "mutation { a: closeAll { id } closeAll { id } c: closeAll(idempotencyKey: \"mine\") { id } }",
            "k",
        ))
        .await;
    let key = |text: &str| Some(text.to_owned());
    assert_eq!(keys(&fixture), [key("k"), key("k:a"), key("k:closeAll"), key("mine")]);
    assert!(fixture.refused("mutation { closeAll(idempotencyKey: \"\") { id } }").await.starts_with("BAD_USER_INPUT"));
}

#[tokio::test]
async fn the_expected_revision_goes_along() {
    let fixture = fixture();
    fixture.ask("mutation { dropTicket(input: { id: \"x\" }, expectedRevision: 3) { id } }").await;
    let revision = fixture.memory.dispatched.lock().unwrap()[0].options.expected_revision;
    assert_eq!(revision.map(yado_model::Revision::get), Some(3));
    let refused = fixture.refused("mutation { dropTicket(input: { id: \"x\" }, expectedRevision: -1) { id } }").await;
    assert_eq!(refused, "BAD_USER_INPUT: expectedRevision is -1, and a revision is not below 0");
}

#[tokio::test]
async fn problems_of_a_payload_are_told_field_by_field() {
    let fixture = fixture();
    let problem = |path: &str, message: &str| Problem {
        path: path.split('.').map(str::to_owned).collect(),
        message: message.to_owned(),
    };
    *fixture.memory.failure.lock().unwrap() = Some(Error::BadInput {
        what: "AddTicket".into(),
        problems: vec![problem("price", "must be at least 0"), problem("tags.1", "must not be empty")],
    });
    let answer = fixture.ask("mutation { addTicket(input: { venueId: \"v\", price: -1 }) { id } }").await;
    assert_eq!(
        answer["errors"][0]["extensions"],
        json!({
            "code": "BAD_USER_INPUT",
            "fields": [{ "path": "price", "message": "must be at least 0" }, { "path": "tags.1", "message": "must not be empty" }],
        })
    );
}

#[tokio::test]
async fn wrong_inputs_never_get_to_the_engine() {
    let fixture = fixture();
    let mut texts = Vec::new();
    for query in [
        "mutation { addTicket(input: { price: 1 }) { id } }",
        "mutation { addTicket(input: { venueId: \"v\", price: null }) { id } }",
        "mutation { addTicket(input: { venueId: \"v\", price: true }) { id } }",
        "mutation { addTicket(input: { venueId: \"v\", price: 1, colour: 1 }) { id } }",
        "mutation { addTicket(input: { venueId: \"v\", price: 1, seats: 3000000000 }) { id } }",
        "mutation { addTicket(input: { venueId: \"v\", price: 1, status: LOST }) { id } }",
        "mutation { addTicket(input: { venueId: \"v\", price: 1, tags: [1] }) { id } }",
        "mutation { addTicket(input: 5) { id } }",
        "mutation { addTicket { id } }",
        "mutation { openVenue(input: { name: \"a\", place: { floors: [1] } }) { id } }",
        "mutation { nothing { id } }",
    ] {
        texts.push(format!("{query}\n    {}", fixture.refused(query).await));
    }
    assert!(fixture.memory.statements().is_empty());
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn a_row_that_is_gone_is_not_found_although_the_change_is_recorded() {
    let fixture = fixture();
    let answer = fixture.ask("mutation { openVenue(input: { name: \"Hall\" }) { id } }").await;
    assert_eq!(answer["data"]["openVenue"]["id"], "new1");
    fixture.memory.lose_writes();
    let answer = fixture.ask("mutation { openVenue(input: { name: \"Hall\" }) { name } }").await;
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"], json!({ "code": "NOT_FOUND", "position": 2 }));
    assert!(error["message"].as_str().unwrap().contains("the change is recorded at position 2"), "{error}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let fixture = limited(Limits { timeout_ms: 1, ..Limits::default() });
    fixture.memory.slow.store(true, Ordering::Relaxed);
    let refused = fixture.refused("mutation { closeAll { id } }").await;
    assert!(refused.starts_with("TIMEOUT: the request took longer than 1 ms"), "{refused}");
}
