//! Answers as streams of events.

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use futures::StreamExt as _;
use serde_json::{Value as Json, json};
use tower::ServiceExt as _;
use yado_engine::Error;

use super::fixture::{Fixture, fixture, limited};
use super::patience::patient;
use super::ws::gone;
use crate::{Limits, Streaming, router};

/// A stream of events, event by event.
struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    async fn ask(fixture: &Fixture, request: Request<Body>) -> Self {
        let answer = router(fixture.graphql.clone()).oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert!(answer.extensions().get::<Streaming>().is_some());
        let mut events = Self { body: answer.into_body().into_data_stream(), text: String::new() };
        // The first word comes at once.
        assert_eq!(events.event().await, Some(":".to_owned()));
        events
    }

    async fn post(fixture: &Fixture, query: &str) -> Self {
        let body = json!({ "query": query }).to_string();
        let request = Request::post("/graphql").header("accept", "text/event-stream");
        Self::ask(fixture, request.header("content-type", "application/json").body(Body::from(body)).unwrap()).await
    }

    async fn event(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = event.to_owned();
                self.text = rest.to_owned();
                return Some(event);
            }
            let part = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    async fn next(&mut self) -> Json {
        let event = self.event().await.unwrap();
        let (before, data) = event.split_once("event: next\ndata: ").unwrap_or_else(|| panic!("{event}"));
        let answer: Json = serde_json::from_str(data).unwrap();
        let id = before.strip_prefix("id: ").map(str::trim_end);
        assert_eq!(id, answer["extensions"]["cursor"].as_str(), "{event}");
        answer
    }

    async fn is_complete(&mut self) -> bool {
        let complete = self.event().await.as_deref() == Some("event: complete\ndata: ");
        complete && self.event().await.is_none()
    }
}

#[tokio::test]
async fn a_subscription_is_told_by_events_until_nobody_listens() {
    let fixture = fixture();
    let get = "/graphql?query=subscription%20%7B%20events%20%7B%20name%20%7D%20%7D";
    let by_get = Request::get(get).header("accept", "text/event-stream").body(Body::empty()).unwrap();
    let mut by_get = Events::ask(&fixture, by_get).await;
    let mut by_post = Events::post(&fixture, "subscription { events { name } }").await;
    assert_eq!(fixture.graphql.live().count(), (2, 1));
    fixture.memory.past.record("x", "A", json!({}));
    let expected = json!({ "data": { "events": { "name": "A" } }, "extensions": { "position": 1, "cursor": "1" } });
    assert_eq!((by_get.next().await, by_post.next().await), (expected.clone(), expected));
    drop((by_get, by_post));
    gone(&fixture).await;
}

#[tokio::test]
async fn a_browser_that_comes_back_goes_on_behind_the_last_event_that_it_was_told() {
    let fixture = fixture();
    for name in ["A", "B", "C"] {
        fixture.memory.past.record("x", name, json!({}));
    }
    // It asks for the same as before, whatever place that says to begin at.
    for after in ["", "%28after:0%29"] {
        let get = format!("/graphql?query=subscription%7Bevents{after}%7Bname%7D%7D");
        let request = Request::get(get).header("accept", "text/event-stream").header("last-event-id", "1");
        let mut events = Events::ask(&fixture, request.body(Body::empty()).unwrap()).await;
        for (name, position) in [("B", 2), ("C", 3)] {
            let expected = json!({ "data": { "events": { "name": name } },
                                   "extensions": { "position": position, "cursor": position.to_string() } });
            assert_eq!(events.next().await, expected);
        }
    }
    let get = Request::get("/graphql?query=subscription%7Bevents%7Bname%7D%7D").header("accept", "text/event-stream");
    let wrong = get.header("last-event-id", "now").body(Body::empty()).unwrap();
    assert_eq!(router(fixture.graphql.clone()).oneshot(wrong).await.unwrap().status().as_u16(), 400);
}

#[tokio::test]
async fn what_has_one_answer_is_complete_with_it() {
    let fixture = fixture();
    let mut events = Events::post(&fixture, "{ yado { plugins { name } } }").await;
    assert_eq!(events.next().await["data"]["yado"]["plugins"], json!([{ "name": "venues" }]));
    assert!(events.is_complete().await);
    let mut events = Events::post(&fixture, "mutation { closeAll { position } }").await;
    assert_eq!(events.next().await["data"], json!({ "closeAll": { "position": 1 } }));
    assert!(events.is_complete().await);
}

#[tokio::test]
async fn what_is_wrong_with_a_document_is_told_by_an_event() {
    let fixture = fixture();
    for query in ["{", "{ nothing }", "subscription { nothing }", "subscription { events(after: -1) { name } }"] {
        let mut events = Events::post(&fixture, query).await;
        let answer = events.next().await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{query}");
        assert!(answer.get("data").is_none(), "{answer}");
        assert!(events.is_complete().await);
    }
    let get = "/graphql?query=mutation%20%7B%20closeAll%20%7B%20id%20%7D%20%7D";
    let get = Request::get(get).header("accept", "text/event-stream").body(Body::empty()).unwrap();
    let mut events = Events::ask(&fixture, get).await;
    assert!(events.next().await["errors"][0]["message"].as_str().unwrap().contains("can't be sent by GET"));
    assert!(fixture.memory.dispatched.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_a_status() {
    for (body, status) in [("", 400), ("[]", 400), (r#"{"query":1}"#, 400)] {
        let request = Request::post("/graphql").header("accept", "text/event-stream");
        let request = request.header("content-type", "application/json").body(Body::from(body)).unwrap();
        let answer = router(fixture().graphql).oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{body}");
        assert_eq!(answer.headers()["content-type"], "application/json; charset=utf-8");
    }
}

#[tokio::test]
async fn a_stream_that_ends_says_why_and_is_complete_unless_its_client_is_to_come_back() {
    let fixture = limited(Limits { live_buffer: 2, ..patient() });
    let mut slow = Events::post(&fixture, "subscription { events { name } }").await;
    let mut other = Events::post(&fixture, "subscription { events { name } }").await;
    for _ in 0..10 {
        fixture.memory.past.record("x", "A", json!({}));
        other.next().await;
    }
    let mut answer = slow.next().await;
    // What was on its way already comes first.
    while answer.get("errors").is_none() {
        answer = slow.next().await;
    }
    assert_eq!(answer["errors"][0]["extensions"]["code"], "SLOW_READER", "{answer}");
    assert_eq!(slow.event().await, None, "a client that is told so comes back");
    fixture.memory.past.fail(Some(Error::Unknown { kind: "read model", name: "Ticket".into() }));
    assert_eq!(other.next().await["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    assert!(other.is_complete().await);
}

#[tokio::test]
async fn streams_break_off_when_the_server_is_about_to_stop_so_that_their_clients_come_back() {
    let fixture = fixture();
    let mut events = Events::post(&fixture, "subscription { events { name } }").await;
    let (event, ()) = tokio::join!(events.event(), fixture.graphql.close());
    assert_eq!(event, None);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_gives_back_all_that_it_holds() {
    let fixture = limited(Limits { sockets_max: 1, slow_ms: 1, ..patient() });
    let mut unread = Events::post(&fixture, "subscription { events { name } }").await;
    for _ in 0..20 {
        fixture.memory.past.record("x", "A", json!({}));
    }
    gone(&fixture).await;
    // Its place is another one's by now.
    let _next = Events::post(&fixture, "subscription { events { name } }").await;
    let mut told = Vec::new();
    while let Some(event) = unread.event().await {
        assert!(event.contains("event: next\n"), "{event}");
        told.push(event);
    }
    assert!(told.len() < 20, "{} have come", told.len());
    // Whoever reads it after all finds out why there is no more.
    let (last, before) = told.split_last().unwrap();
    assert!(last.contains("\"SLOW_READER\""), "{last}");
    assert!(!before.iter().any(|event| event.contains("errors")), "{before:?}");
}

#[tokio::test]
async fn there_is_a_sign_of_life_where_there_is_nothing_to_tell() {
    let fixture = limited(Limits { keep_alive_ms: 1, ..patient() });
    let mut events = Events::post(&fixture, "subscription { events { name } }").await;
    for _ in 0..3 {
        assert_eq!(events.event().await, Some(":".to_owned()));
    }
}

#[tokio::test]
async fn there_is_a_bound_to_the_streams() {
    let fixture = limited(Limits { sockets_max: 1, ..patient() });
    let _events = Events::post(&fixture, "subscription { events { name } }").await;
    let request = Request::post("/graphql").header("accept", "text/event-stream");
    let body = Body::from(r#"{"query":"subscription { events { name } }"}"#);
    let request = request.header("content-type", "application/json").body(body).unwrap();
    let answer = router(fixture.graphql.clone()).oneshot(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "1"));
}
