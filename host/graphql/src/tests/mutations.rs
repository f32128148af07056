//! What mutations dispatch, and what they answer.

use std::sync::atomic::Ordering;

use serde_json::{Value as Json, json};
use yado_engine::Error;
use yado_model::schema::Problem;

use super::fixture::{Fixture, fixture, keyed, limited};
use super::patience::patient;
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
    assert_eq!(
        fixture.memory.statements(),
        ["dispatch AddTicket", "wait Ticket 1", "wait Venue 1", "rows Ticket 1", "rows Venue 1"]
    );
}

#[tokio::test]
async fn whoever_asks_for_the_key_alone_waits_and_reads_nothing() {
    let fixture = fixture();
    let answer = fixture
        .ask("mutation { a: openVenue(input: { name: \"Hall\" }) { ...K } } fragment K on Venue { key: id __typename }")
        .await;
    assert_eq!(answer["data"], json!({ "a": { "key": "new1", "__typename": "Venue" } }));
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
async fn a_receipt_is_answered_as_it_is_selected() {
    let fixture = fixture();
    let query = "mutation ($no: Boolean!) { a: closeAll { at: position ...R __typename id @skip(if: $no) position } } \
                 fragment R on CommandReceipt { revision at: position }";
    for _ in 0..2 {
        let answer = fixture.ask_with(query, json!({ "no": true })).await;
        let number = answer["data"]["a"]["position"].clone();
        let expected = json!({ "at": number, "revision": 1, "__typename": "CommandReceipt", "position": number });
        assert_eq!(answer["data"]["a"].to_string(), expected.to_string());
    }
}

#[tokio::test]
async fn a_revision_wider_than_its_type_is_told_and_the_rest_of_the_answer_stays() {
    let fixture = fixture();
    fixture.memory.revision.store(i32::MAX.unsigned_abs().into(), Ordering::Relaxed);
    let answer = fixture.ask("mutation { a: closeAll { id revision } b: closeAll { id } }").await;
    assert_eq!(answer["data"], json!({ "a": null, "b": { "id": "new2" } }));
    assert_eq!(answer["errors"][0]["path"], json!(["a", "revision"]));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "PLUGIN_FAULT");
    assert_eq!(answer["extensions"]["receipts"]["a"]["revision"], json!(1_u64 << 31));
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
    let query = "mutation ($n: Int) { addTicket(input: { venueId: 5, price: \"1\", status: SOLD, seats: $n, tags: \"one\", \
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
async fn after_a_mutation_that_fails_the_next_is_begun() {
    let fixture = fixture();
    *fixture.memory.failure.lock().unwrap() = Some(Error::NotFound { kind: "Ticket".into(), id: "x".into() });
    let answer = fixture.ask("mutation { a: dropTicket(input: { id: \"x\" }) { id } b: closeAll { id } }").await;
    assert_eq!(answer["data"], json!({ "a": null, "b": null }));
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.iter().map(|error| &error["path"]).collect::<Vec<_>>(), [&json!(["a"]), &json!(["b"])]);
    assert_eq!(errors[0]["extensions"]["code"], "NOT_FOUND");
    assert!(answer.get("extensions").is_none(), "{answer}");
    assert_eq!(fixture.memory.statements(), ["dispatch DropTicket", "dispatch CloseAll"]);
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
async fn every_problem_of_what_is_given_is_told_with_its_path() {
    let fixture = fixture();
    let expected = json!([
        { "path": "colour", "message": "unknown field colour" },
        { "path": "venueId", "message": "is required" },
        { "path": "price", "message": "must not be null" },
        { "path": "status", "message": "must be one of OPEN, SOLD" },
        { "path": "seats", "message": "must be an Int: a whole number of 32 bits" },
        { "path": "tags.1", "message": "must be a String" },
    ]);
    let literal = "{ price: null, status: LOST, seats: \"4\", tags: [\"a\", 5], colour: 1 }";
    let one = fixture.ask(&format!("mutation {{ addTicket(input: {literal}) {{ id }} }}")).await;
    assert_eq!(one["errors"].as_array().map(Vec::len), Some(1), "{one}");
    assert_eq!(one["errors"][0]["extensions"], json!({ "code": "BAD_USER_INPUT", "fields": expected }));
    assert_eq!(
        one["errors"][0]["message"],
        "addTicket: unknown field colour; venueId is required; price must not be null; status must be one of OPEN, SOLD; \
         seats must be an Int: a whole number of 32 bits; tags.1 must be a String"
    );

    let whole = "mutation ($i: AddTicketInput!) { addTicket(input: $i) { id } }";
    let given = json!({ "price": null, "status": "LOST", "seats": "4", "tags": ["a", 5], "colour": 1 });
    let variable = fixture.ask_with(whole, json!({ "i": given })).await;
    assert_eq!(variable["errors"][0]["extensions"]["fields"], expected);
    assert!(fixture.memory.statements().is_empty());
}

#[tokio::test]
async fn each_field_at_fault_has_an_error_of_its_own_and_none_is_begun() {
    let fixture = fixture();
    let query = "mutation ($name: String!, $floor: Int) { ok: closeAll { id } \
                 a: openVenue(input: { name: $name }) { id } \
                 b: openVenue(input: { name: \"x\", place: { floors: [1, $floor], zip: 5 } }, idempotencyKey: 5) { id } }";
    let answer = fixture.ask_with(query, json!({ "floor": true })).await;
    let told: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| json!([error["path"], error["extensions"]["code"], error["extensions"]["fields"]]))
        .collect();
    let expected = [
        json!([["a"], "BAD_USER_INPUT", [
            { "path": "name", "message": "is required: the variable $name is of type String!" },
        ]]),
        json!([["b"], "BAD_USER_INPUT", [
            { "path": "place.zip", "message": "unknown field zip" },
            { "path": "place.city", "message": "is required" },
            { "path": "place.floors.1", "message": "must be a BigInt: a whole number of 64 bits" },
            { "path": "idempotencyKey", "message": "must be a String" },
        ]]),
    ];
    assert_eq!(told, expected);
    assert!(answer.get("data").is_none() && fixture.memory.statements().is_empty());
}

#[tokio::test]
async fn whole_numbers_of_json_may_have_a_point() {
    let fixture = fixture();
    let query = "mutation ($i: AddTicketInput!, $f: [BigInt!]) { addTicket(input: $i) { id } \
                 openVenue(input: { name: \"Hall\", place: { city: \"Ulm\", floors: $f } }) { id } }";
    let variables = r#"{ "i": { "venueId": "v", "price": 5.0, "seats": 5.0, "extra": 5.0 }, "f": [1e1, 2] }"#;
    let answer = fixture.ask_with(query, serde_json::from_str(variables).unwrap()).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let ticket: Json = serde_json::from_str(r#"{"venueId":"v","price":"5.0","seats":5,"extra":5.0}"#).unwrap();
    assert_eq!(payloads(&fixture), [ticket, json!({ "name": "Hall", "place": { "city": "Ulm", "floors": [10, 2] } })]);
}

#[tokio::test]
async fn a_mutation_that_fails_takes_nothing_from_the_others() {
    let fixture = fixture();
    let query = "mutation { a: openVenue(input: { name: \"Hall\" }) { id } \
                 b: dropTicket(input: { id: \"t\" }, expectedRevision: -1) { id } c: closeAll { position } }";
    let answer = fixture.ask(query).await;
    assert_eq!(answer["data"], json!({ "a": { "id": "new1" }, "b": null, "c": { "position": 2 } }));
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(answer["errors"][0]["path"], json!(["b"]));
    assert_eq!(
        answer["extensions"],
        json!({ "position": 2, "receipts": {
            "a": { "id": "new1", "revision": 1, "position": 1 },
            "c": { "id": "new2", "revision": 1, "position": 2 },
        } })
    );
}

#[tokio::test]
async fn a_receipt_is_given_although_the_row_can_not_be_read() {
    let fixture = fixture();
    fixture.memory.lose_writes();
    let answer = fixture.ask("mutation { openVenue(input: { name: \"Hall\" }) { name } }").await;
    assert_eq!(answer["data"], json!({ "openVenue": null }));
    assert_eq!(answer["extensions"]["receipts"]["openVenue"], json!({ "id": "new1", "revision": 1, "position": 1 }));
}

#[tokio::test]
async fn a_request_without_a_command_has_no_receipts() {
    assert!(fixture().ask("{ yado { version } }").await.get("extensions").is_none());
}

#[tokio::test]
async fn mutations_that_are_done_in_time_are_answered_and_those_after_it_are_not_begun() {
    let fixture = limited(Limits { timeout_ms: 300, ..patient() });
    fixture.memory.slow.send_replace(true);
    let query = "mutation { a: openVenue(input: { name: \"Hall\" }) { id } b: closeAll { id } \
                 c: openVenue(input: { name: \"Barn\" }) { id } }";
    let answer = fixture.ask(query).await;
    assert_eq!(answer["data"], json!({ "a": { "id": "new1" }, "b": null, "c": null }), "{answer}");
    let told: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| &error["message"]).collect();
    assert!(told[0].as_str().unwrap().starts_with("the command CloseAll took longer than 300 ms"), "{told:?}");
    assert!(told[1].as_str().unwrap().contains("so it was not begun"), "{told:?}");
    assert_eq!(answer["errors"][1]["extensions"]["code"], "TIMEOUT");
    assert_eq!(payloads(&fixture).len(), 1);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let fixture = limited(Limits { timeout_ms: 1, ..patient() });
    fixture.memory.slow.send_replace(true);
    let answer = fixture.ask("{ ticket(id: \"t\") { id } }").await;
    assert_eq!(answer["data"], json!({ "ticket": null }), "{answer}");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "TIMEOUT");
    assert_eq!(answer["errors"][0]["message"], "reading Ticket took longer than 1 ms: ask for less at a time");
}
