//! The schema that manifests come to.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use tower::ServiceExt as _;
use yado_model::Digest;

use super::fixture::{InMemory, fixture, limited};
use crate::{GraphQl, Limits, router};

#[test]
fn the_schema_of_a_plugin_is_as_committed() {
    insta::assert_snapshot!(fixture().graphql.sdl());
}

#[test]
fn the_schema_of_an_empty_server_is_valid_and_has_no_mutations() {
    let graphql = GraphQl::over(&[], Arc::new(InMemory::default()), Limits::default()).unwrap();
    let sdl = graphql.sdl();
    assert!(sdl.contains("yado: YadoServer!") && !sdl.contains("Mutation"), "{sdl}");
}

#[test]
fn events_are_of_the_schema_unless_they_are_switched_off() {
    let sdl = |events| limited(Limits { events, ..Limits::default() }).graphql.sdl();
    let (on, off) = (sdl(true), sdl(false));
    for shown in ["\tevents(", "type RecordedEvent"] {
        assert!(on.contains(shown) && !off.contains(shown), "{shown}: {off}");
    }
    assert!(off.contains("ticketCreated"), "{off}");
    let empty = GraphQl::over(&[], Arc::new(InMemory::default()), Limits { events: false, ..Limits::default() });
    let empty = empty.map(|graphql: GraphQl| graphql.sdl()).unwrap();
    assert!(!empty.contains("Subscription"), "{empty}");
}

#[test]
fn the_same_plugins_give_the_same_schema() {
    assert_eq!(fixture().graphql.sdl(), fixture().graphql.sdl());
}

async fn get(graphql: &GraphQl, method: &str, known: Option<&str>) -> Response<Body> {
    let request = Request::builder().method(method).uri("/graphql/schema.graphql");
    let request = known.into_iter().fold(request, |request, known| request.header("if-none-match", known));
    router(graphql.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(answer: Response<Body>) -> String {
    String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn the_schema_is_there_as_text() {
    let graphql = fixture().graphql;
    let answer = get(&graphql, "GET", None).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["cache-control"]), (200, &"no-cache".parse().unwrap()));
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.headers()["etag"], format!("\"{}\"", Digest::of(graphql.sdl().as_bytes())));
    let whole = text(answer).await;
    assert_eq!(whole, graphql.sdl());

    let answer = get(&graphql, "HEAD", None).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-length"]), (200, &whole.len().into()));
    assert!(answer.headers().contains_key("etag"));
    assert_eq!(text(answer).await, "");
    for method in ["POST", "PUT", "DELETE"] {
        let answer = get(&graphql, method, None).await;
        assert_eq!((answer.status().as_u16(), &answer.headers()["allow"]), (405, &"GET,HEAD".parse().unwrap()));
    }
}

#[tokio::test]
async fn whoever_has_the_schema_is_sent_it_again_only_when_it_has_changed() {
    let graphql = fixture().graphql;
    let tag = get(&graphql, "GET", None).await.headers()["etag"].to_str().unwrap().to_owned();
    for (known, status) in [
        (tag.clone(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"other\", {tag}"), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
        (tag.trim_matches('"').to_owned(), 200),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = get(&graphql, method, Some(&known)).await;
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["etag"]),
                (status, &tag.parse().unwrap()),
                "{known}"
            );
            assert_eq!(text(answer).await.is_empty(), status == 304 || method == "HEAD");
        }
    }
    graphql.redeploy(&[]);
    let answer = get(&graphql, "GET", Some(&tag)).await;
    assert_eq!(answer.status().as_u16(), 200);
    assert_ne!(answer.headers()["etag"], tag.as_str());
    assert_eq!(text(answer).await, graphql.sdl());
}
