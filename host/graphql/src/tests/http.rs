//! Statuses and headers of the HTTP handler.

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use futures::StreamExt as _;
use tower::ServiceExt as _;

use super::fixture::{fixture, limited};
use super::patience::patient;
use crate::{Limits, router};

async fn send(request: Request<Body>) -> (u16, String) {
    let response = answer(request).await;
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn answer(request: Request<Body>) -> Response<Body> {
    router(fixture().graphql).oneshot(request).await.unwrap()
}

fn post(accept: &str, body: &str) -> Request<Body> {
    let request = Request::post("/graphql").header("content-type", "application/json").header("accept", accept);
    request.body(Body::from(body.to_owned())).unwrap()
}

#[tokio::test]
async fn the_status_says_whose_fault_it_is() {
    const NEW: &str = "application/graphql-response+json";
    const OLD: &str = "application/json";
    for (body, old, new) in [
        (r#"{"query":"{ yado { version } }"}"#, 200, 200),
        (r#"{"query":"{"}"#, 200, 400),
        (r#"{"query":"{ nothing }"}"#, 200, 400),
        (r#"{"query":"query ($id: ID!) { ticket(id: $id) { id } }"}"#, 200, 400),
        (r#"{"query":"{ tickets(limit: 5000) { id } }"}"#, 200, 200),
        (r#"{"query":"query A { yado { version } } query B { yado { version } }","operationName":"C"}"#, 200, 400),
        (r#"{"query":1}"#, 400, 400),
        (r#"{}"#, 400, 400),
        (r#"{"query":"{ yado { version } }","variables":[]}"#, 400, 400),
        (r#"{"query":"{ yado { version } }","extensions":"x"}"#, 400, 400),
        (r#"[{"query":"{ yado { version } }"}]"#, 400, 400),
        ("5", 400, 400),
        ("{", 400, 400),
        ("", 400, 400),
    ] {
        assert_eq!(send(post(OLD, body)).await.0, old, "{body} as {OLD}");
        assert_eq!(send(post(NEW, body)).await.0, new, "{body} as {NEW}");
    }
}

#[tokio::test]
async fn a_request_at_fault_has_no_data() {
    let (_, body) = send(post("application/graphql-response+json", r#"{"query":"{ nothing }"}"#)).await;
    assert!(!body.contains("\"data\"") && body.contains("BAD_USER_INPUT"), "{body}");
}

#[tokio::test]
async fn of_a_body_the_parameters_count_and_nothing_else() {
    let query = r#""query":"query A { yado { version } } query B { b: yado { version } }""#;
    for (rest, shown) in [
        (r#""operationName":"A","extensions":{"a":[1.50]},"variables":null"#, "{\"data\":{\"yado\":"),
        (r#""id":[{"query":"{"}],"operationName":"A","operationName":"B","extensions":null"#, "{\"data\":{\"b\":"),
        (r#""operationName":"", "variables":{}"#, "several operations"),
    ] {
        let (status, body) = send(post("*/*", &format!("{{{query},{rest}}}"))).await;
        assert_eq!((status, body.contains(shown)), (200, true), "{rest}: {body}");
    }
}

#[tokio::test]
async fn lists_of_requests_are_refused_with_what_to_do_instead() {
    let (status, body) = send(post("*/*", "[]")).await;
    assert_eq!(status, 400);
    assert!(body.contains("send each on its own"), "{body}");
}

#[tokio::test]
async fn what_is_no_json_or_asks_for_none_is_refused() {
    let plain = Request::post("/graphql").header("content-type", "text/plain").body(Body::from("{}")).unwrap();
    assert_eq!(send(plain).await.0, 415);
    assert_eq!(send(Request::post("/graphql").body(Body::from("{}")).unwrap()).await.0, 415);
    assert_eq!(send(post("text/html", r#"{"query":"{ yado { version } }"}"#)).await.0, 406);
}

#[tokio::test]
async fn reads_may_come_by_get_and_changes_may_not() {
    let get = |query: &str| Request::get(format!("/graphql?{query}")).body(Body::empty()).unwrap();
    assert_eq!(send(get("query=%7Byado%7Bversion%7D%7D")).await.0, 200);
    let variables = "variables=%7B%22id%22%3A%22x%22%7D&query=query(%24id%3AID!)%7Bticket(id%3A%24id)%7Bid%7D%7D";
    assert_eq!(send(get(variables)).await, (200, r#"{"data":{"ticket":null},"extensions":{"position":0}}"#.to_owned()));
    assert_eq!(send(get("query=%7Ba%7D&variables=x")).await.0, 400);
    assert_eq!(send(get("query=%7Ba%7D&query=%7Ba%7D")).await.0, 400);
    assert_eq!(send(get("")).await.0, 400);

    let response = answer(get("query=mutation%7BcloseAll%7Bid%7D%7D")).await;
    assert_eq!(response.status().as_u16(), 405);
    assert_eq!(response.headers()["allow"], "POST");
    let response = answer(Request::put("/graphql").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status().as_u16(), 405);
    assert_eq!(response.headers()["allow"], "GET, POST");
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let limits = Limits { body_bytes: 1_000, ..patient() };
    let router = router(limited(limits).graphql);
    let long = "x".repeat(2_000);
    let told = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("content-length", "2000")
        .body(Body::empty())
        .unwrap();
    let untold = Request::post("/graphql").header("content-type", "application/json").body(Body::from(long)).unwrap();
    for request in [told, untold] {
        assert_eq!(router.clone().oneshot(request).await.unwrap().status().as_u16(), 413);
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let router = router(limited(Limits { body_ms: 1, ..patient() }).graphql);
    let begun = futures::stream::iter([Ok::<_, std::io::Error>("{")]).chain(futures::stream::pending());
    let request = Request::post("/graphql").header("content-type", "application/json").body(Body::from_stream(begun));
    let response = router.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status().as_u16(), 408);
    assert_eq!(response.headers()["connection"], "close");
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("the body did not arrive within 1 ms") && body.contains("TIMEOUT"), "{body}");
}

#[tokio::test]
async fn headers_name_the_request() {
    let fixture = fixture();
    let correlation = "018f0000-0000-7000-8000-000000000001";
    for (key, id) in [("k1", correlation), ("k2", "not a UUID")] {
        let request = Request::post("/graphql")
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .header("x-correlation-id", id)
            .body(Body::from(r#"{"query":"mutation { closeAll { id } }"}"#))
            .unwrap();
        let response = router(fixture.graphql.clone()).oneshot(request).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
    }
    let dispatched = std::mem::take(&mut *fixture.memory.dispatched.lock().unwrap());
    let text = |one: &yado_engine::Dispatch| {
        let id = one.options.correlation_id.map(|id| id.to_string());
        (one.options.idempotency_key.as_ref().unwrap().to_string(), id)
    };
    let options: Vec<_> = dispatched.iter().map(text).collect();
    assert_eq!(options, [("k1".to_owned(), Some(correlation.to_owned())), ("k2".to_owned(), None)]);

    let long = "k".repeat(201);
    let request = Request::post("/graphql").header("content-type", "application/json").header("idempotency-key", long);
    assert_eq!(send(request.body(Body::from("{}")).unwrap()).await.0, 400);
}

#[tokio::test]
async fn the_page_is_there_or_says_how_to_get_it() {
    let (status, body) = send(Request::get("/graphiql").body(Body::empty()).unwrap()).await;
    assert!(status == 200 || status == 404);
    assert!(body.contains("GraphiQL"), "{body}");
}
