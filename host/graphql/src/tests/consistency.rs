//! Which position is waited for, and which one is told.

use axum::body::{Body, to_bytes};
use axum::http::Request as HttpRequest;
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;
use yado_engine::Error;
use yado_model::Position;

use super::fixture::{Fixture, fixture};
use crate::{Caller, Request, router};

/// Sends a query under the header that asks for a position.
async fn send_at(fixture: &Fixture, query: &str, min_position: u64) -> Json {
    let caller = Caller { min_position: Some(Position::new(min_position)), ..Caller::default() };
    fixture.send(Request { query: query.into(), caller, ..Request::default() }).await
}

fn stand(fixture: &Fixture, model: &str, position: u64) {
    fixture.memory.positions.lock().unwrap().insert(model.into(), position);
}

#[tokio::test]
async fn a_query_waits_for_its_read_model_and_those_of_its_relations_before_it_reads() {
    let fixture = fixture();
    for (query, waits) in [
        ("{ ticket(id: \"t\", minPosition: 7) { id } }", &["wait Ticket 7", "rows Ticket 1"][..]),
        (
            "{ tickets(minPosition: \"7\") { venue { id } } }",
            &["wait Ticket 7", "wait Venue 7", "select Ticket 50 None"],
        ),
        (
            "{ venues(minPosition: 7) { ...V } } fragment V on Venue { tickets { id } }",
            &["wait Ticket 7", "wait Venue 7", "select Venue 50 None"],
        ),
        (
            "{ venues(minPosition: 7) { name tickets @skip(if: true) { id } } }",
            &["wait Venue 7", "select Venue 50 None"],
        ),
        ("{ venues { name } }", &["select Venue 50 None"]),
        ("{ yado { version } }", &[]),
    ] {
        let answer = fixture.ask(query).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        assert_eq!(fixture.memory.statements(), waits, "{query}");
    }
}

#[tokio::test]
async fn the_argument_wins_over_the_header_and_null_leaves_it_to_that() {
    let fixture = fixture();
    for (query, expected) in [
        ("{ venues { id } }", "wait Venue 3"),
        ("{ venues(minPosition: null) { id } }", "wait Venue 3"),
        ("{ venues(minPosition: 9) { id } }", "wait Venue 9"),
        ("{ venues(minPosition: 0) { id } }", "wait Venue 0"),
    ] {
        send_at(&fixture, query, 3).await;
        assert_eq!(fixture.memory.statements(), [expected, "select Venue 50 None"], "{query}");
    }
    // A mutation waits for what it has recorded itself.
    send_at(&fixture, "mutation { openVenue(input: { name: \"Hall\" }) { id } }", 3).await;
    assert_eq!(fixture.memory.statements(), ["dispatch OpenVenue", "wait Venue 1"]);
}

#[tokio::test]
async fn a_mutation_waits_for_all_that_is_selected_of_what_it_has_changed() {
    let fixture = fixture();
    let open = "mutation { openVenue(input: { name: \"Hall\" }) { name tickets { id } } }";
    fixture.ask(open).await;
    let asked = fixture.memory.statements();
    assert_eq!(asked[..3], ["dispatch OpenVenue", "wait Venue 1", "wait Ticket 1"], "{asked:?}");
    // What is recorded is told all the same.
    let (wanted, reached) = (Position::new(2), Position::new(1));
    *fixture.memory.failure.lock().unwrap() =
        Some(Error::Lagging { model: "Ticket".into(), wanted, reached, limit_ms: 200 });
    let answer = fixture.ask(open).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "LAGGING", "{answer}");
}

#[tokio::test]
async fn a_position_may_be_a_variable_and_is_not_below_zero() {
    let fixture = fixture();
    let query = "query ($p: BigInt) { venues(minPosition: $p) { id } }";
    for (given, expected) in [(json!(5), "wait Venue 5"), (json!("9007199254740993"), "wait Venue 9007199254740993")] {
        fixture.ask_with(query, json!({ "p": given })).await;
        assert_eq!(fixture.memory.statements()[0], expected);
    }
    fixture.ask_with(query, json!({})).await;
    assert_eq!(fixture.memory.statements(), ["select Venue 50 None"]);
    let refused = fixture.refused("{ venues(minPosition: -1) { id } }").await;
    assert_eq!(refused, "BAD_USER_INPUT: minPosition is -1, and a position is not below 0");
    let refused = fixture.refused("{ venues(minPosition: \"soon\") { id } }").await;
    assert_eq!(refused, "BAD_USER_INPUT: venues: minPosition must be a BigInt: a whole number of 64 bits");
    assert!(fixture.memory.statements().is_empty());
}

#[tokio::test]
async fn a_query_that_waits_in_vain_is_told_how_far_the_read_model_is() {
    let fixture = fixture();
    let (wanted, reached) = (Position::new(9), Position::new(4));
    *fixture.memory.failure.lock().unwrap() =
        Some(Error::Lagging { model: "Venue".into(), wanted, reached, limit_ms: 200 });
    let answer = fixture.ask("{ venue(id: \"v\", minPosition: 9) { id } }").await;
    let expected = json!({
        "message": "Venue has not come to position 9 within 200 ms, and is at 4: ask again later, or without a position for \
                    what it shows by now",
        "locations": [{ "line": 1, "column": 3 }],
        "path": ["venue"],
        "extensions": { "code": "LAGGING", "position": 9, "reachedPosition": 4 },
    });
    assert_eq!(answer, json!({ "data": { "venue": null }, "errors": [expected] }));
    assert_eq!(fixture.memory.statements(), ["wait Venue 9"]);
}

#[tokio::test]
async fn an_answer_tells_the_least_position_of_what_was_read() {
    let fixture = fixture();
    stand(&fixture, "Ticket", 8);
    stand(&fixture, "Venue", 5);
    fixture.memory.put("Ticket", json!({ "id": "t", "venueId": "v", "price": "1" }));
    for (query, expected) in [
        ("{ tickets { id } }", json!({ "position": 8 })),
        ("{ tickets { venue { id } } }", json!({ "position": 5 })),
        ("{ tickets { id } venue(id: \"none\") { id } }", json!({ "position": 5 })),
        ("{ yado { version } }", Json::Null),
    ] {
        assert_eq!(fixture.ask(query).await["extensions"], expected, "{query}");
    }
}

#[tokio::test]
async fn an_answer_to_mutations_tells_the_greatest_position_that_was_recorded() {
    let fixture = fixture();
    stand(&fixture, "Venue", 1);
    let answer = fixture.ask("mutation { a: closeAll { id } b: openVenue(input: { name: \"Hall\" }) { name } }").await;
    let receipt = |id: &str, position: u64| json!({ "id": id, "revision": 1, "position": position });
    let expected = json!({ "position": 2, "receipts": { "a": receipt("new1", 1), "b": receipt("new2", 2) } });
    assert_eq!(answer["extensions"], expected);
}

#[tokio::test]
async fn positions_come_and_go_in_headers() {
    let fixture = fixture();
    stand(&fixture, "Venue", 5);
    let send = async |query: &str, positions: &[&str]| {
        let request = HttpRequest::post("/graphql").header("content-type", "application/json");
        let request =
            positions.iter().fold(request, |request, position| request.header("yado-min-position", *position));
        let body = Body::from(json!({ "query": query }).to_string());
        let answer = router(fixture.graphql.clone()).oneshot(request.body(body).unwrap()).await.unwrap();
        let told = answer.headers().get("yado-position").map(|told| told.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, told, serde_json::from_slice::<Json>(&body).unwrap())
    };
    let (status, told, _) = send("{ venues { id } }", &["3"]).await;
    assert_eq!((status, told.as_deref()), (200, Some("5")));
    assert_eq!(fixture.memory.statements(), ["wait Venue 3", "select Venue 50 None"]);
    let (_, told, _) = send("mutation { closeAll { id } }", &[]).await;
    assert_eq!(told.as_deref(), Some("1"));
    assert_eq!(send("{ yado { version } }", &[]).await.1, None);
    fixture.memory.statements();

    for wrong in [&["soon"][..], &["-1"], &["+1"], &["1.0"], &[""], &["9223372036854775808"], &["1", "2"]] {
        let (status, told, body) = send("{ venues { id } }", wrong).await;
        assert_eq!((status, told), (400, None), "{wrong:?}");
        assert_eq!(
            body["errors"][0]["message"],
            "the header Yado-Min-Position is wrong: it must be given once, as a whole number from 0 to \
             9223372036854775807, such as the header Yado-Position of an earlier answer"
        );
        assert_eq!(body["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }
    assert!(fixture.memory.statements().is_empty());
}
