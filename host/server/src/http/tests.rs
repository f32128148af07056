//! The routes beside GraphQL, asked as a client would, without a network.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONTENT_LENGTH, LOCATION, ORIGIN, WWW_AUTHENTICATE,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::*;
use crate::config::Sources;
use crate::connections::stalled;
use crate::front::Front;
use crate::serve::{self, Started};
use crate::token::AdminToken;

const TOKEN: &str = "0123456789abcdef";

struct Server {
    router: Router,
    graphql: GraphQl,
    stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Server {
    async fn start(edit: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::resolve(Sources::default()).unwrap();
        config.data = folder.path().to_owned();
        config.plugins = folder.path().join("plugins");
        config.guests.cache = None;
        let database = |name: &str| format!("sqlite:{}", folder.path().join(name).display()).parse().unwrap();
        config.database_url = database("events.db");
        config.read_database_url = database("reads.db");
        edit(&mut config);
        let Started { engine, graphql, plugins } = serve::start(&config).await.unwrap();
        let token = AdminToken::new(&TOKEN.parse().unwrap());
        let admin = Admin::new(engine.clone(), plugins, token, config.guests.limits.component_bytes);
        let (tell, stop) = Stop::by_hand();
        let router = router(&config, &engine, graphql.clone(), admin, Metrics::apart(), &stop);
        Self { router, graphql, stop: tell, _folder: folder }
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, Response<()>, Value) {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 1024 * 1024).await.unwrap();
        let (status, head) = (head.status, Response::from_parts(head, ()));
        (status, head, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn get(&self, path: &str) -> (StatusCode, Response<()>, Value) {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn deploy(&self, body: impl Into<Body>) -> (StatusCode, Response<()>, Value) {
        let request = Request::post("/admin/plugins").header(AUTHORIZATION, format!("Bearer {TOKEN}"));
        self.ask(request.body(body.into()).unwrap()).await
    }
}

#[tokio::test]
async fn a_server_that_is_well_says_so_until_it_is_told_to_stop() {
    let server = Server::start(|_| {}).await;
    // A database may not answer in time.
    let well = async |path| {
        for _ in 0..60 {
            let (status, _, body) = server.get(path).await;
            if status == StatusCode::OK {
                return body;
            }
        }
        panic!("{path} is never well");
    };
    let body = well("/health").await;
    assert_eq!(body["status"], "ok");
    assert!(body["checks"].as_array().is_some_and(|checks| !checks.is_empty()), "{body}");
    assert_eq!(server.get("/health/live").await.0, StatusCode::OK);
    well("/health/ready").await;
    server.stop.send_replace(true);
    assert_eq!(server.get("/health/live").await.0, StatusCode::OK);
    let (status, _, body) = server.get("/health/ready").await;
    assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &"stopping".into()));
}

#[tokio::test]
async fn the_root_leads_to_the_page_that_explores_the_api() {
    let (status, head, _) = Server::start(|_| {}).await.get("/").await;
    assert_eq!((status, &head.headers()[LOCATION]), (StatusCode::TEMPORARY_REDIRECT, &"/graphiql".parse().unwrap()));
}

#[tokio::test]
async fn what_is_not_there_says_where_to_look() {
    let (status, _, body) = Server::start(|_| {}).await.get("/graphqi").await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::NOT_FOUND, &"NOT_FOUND".into()));
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.contains("/graphql")), "{body}");
}

#[tokio::test]
async fn graphql_is_answered_alike_with_and_without_asking_the_routes() {
    let server = Server::start(|_| {}).await;
    let front = |direct| {
        let front = Front::closed(Metrics::apart());
        front.open(server.router.clone(), direct);
        front
    };
    let (routed, direct) = (front(None), front(Some(server.graphql.clone())));
    for (method, path, body) in [
        (Method::POST, "/graphql", r#"{"query":"{ yado { version } }"}"#),
        (Method::POST, "/graphql?query=x", r#"{"query":"{ nothing }"}"#),
        (Method::POST, "/graphql", "no JSON"),
        (Method::POST, "/graphql/", "{}"),
        (Method::GET, "/graphql?query=%7Byado%7Bversion%7D%7D", ""),
        (Method::PUT, "/graphql", "{}"),
    ] {
        let ask = async |front: &Front| {
            let request = Request::builder().method(&method).uri(path).header("content-type", "application/json");
            let (mut head, sent) = front.answer(request.body(Body::from(body)).unwrap()).await.into_parts();
            // The connection writes it, where it is not there yet.
            head.headers.remove(CONTENT_LENGTH);
            (head.status, head.headers, to_bytes(sent, 1024 * 1024).await.unwrap())
        };
        let (one, other) = (ask(&routed).await, ask(&direct).await);
        assert_eq!(one, other, "{method} {path} {body}");
    }
}

#[tokio::test]
async fn only_pages_of_configured_origins_may_ask() {
    let ours = "http://localhost:5173";
    let server = Server::start(|config| config.cors_origins = vec![ours.parse().unwrap()]).await;
    for (origin, allowed) in [(ours, true), ("http://elsewhere.example", false)] {
        let preflight =
            Request::options("/graphql").header(ORIGIN, origin).header("access-control-request-method", "POST");
        let (_, head, _) = server.ask(preflight.body(Body::empty()).unwrap()).await;
        assert_eq!(head.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).is_some(), allowed, "{origin}");
        let administer = Request::options("/admin/plugins").header(ORIGIN, origin);
        let (_, head, _) = server.ask(administer.body(Body::empty()).unwrap()).await;
        assert_eq!(head.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN), None);
    }
}

#[tokio::test]
async fn nobody_administers_without_the_token() {
    let server = Server::start(|_| {}).await;
    for shown in [None, Some("Bearer 0123456789abcdeg"), Some("Basic 0123456789abcdef"), Some("Bearer"), Some("")] {
        for method in [Method::GET, Method::POST] {
            let mut request = Request::builder().method(method).uri("/admin/plugins");
            if let Some(shown) = shown {
                request = request.header(AUTHORIZATION, shown);
            }
            let (status, head, body) = server.ask(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                (status, &body["error"]["code"]),
                (StatusCode::UNAUTHORIZED, &"UNAUTHENTICATED".into()),
                "{shown:?}"
            );
            assert_eq!(head.headers()[WWW_AUTHENTICATE], "Bearer");
        }
    }
    let request = Request::get("/admin/plugins").header(AUTHORIZATION, format!("bearer {TOKEN}"));
    let (status, _, body) = server.ask(request.body(Body::empty()).unwrap()).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "plugins": [] })));
}

#[tokio::test]
async fn what_is_no_plugin_is_refused_with_the_reason() {
    let (status, _, body) = Server::start(|_| {}).await.deploy("Dear host").await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &"BAD_USER_INPUT".into()));
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.contains("neither")), "{body}");
}

#[tokio::test]
async fn a_plugin_beyond_the_limit_is_refused_before_it_is_read() {
    let server = Server::start(|config| config.guests.limits.component_bytes = 1_000).await;
    let (status, _, body) = server.deploy(vec![0; 1_001]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.contains("1000 bytes")), "{body}");
}

#[tokio::test]
async fn a_plugin_that_does_not_come_in_time_is_refused_as_such() {
    let server = Server::start(|_| {}).await;
    let (status, _, body) = server.deploy(stalled()).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::REQUEST_TIMEOUT, &"BAD_USER_INPUT".into()));
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.contains("http.body_ms")), "{body}");
}

#[test]
fn sockets_are_for_pages_of_this_server_and_of_configured_sites() {
    let sites = [HeaderValue::from_static("http://localhost:5173")];
    let known = |origins: &[&'static str], host: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        for origin in origins {
            headers.append(ORIGIN, HeaderValue::from_static(origin));
        }
        is_known_site(&headers, &sites)
    };
    let here = "shop.example:4000";
    for (origins, expected) in [
        (&[][..], true),
        (&["http://localhost:5173"], true),
        (&["http://shop.example:4000"], true),
        (&["https://SHOP.example:4000"], true),
        (&["http://shop.example"], false),
        (&["http://shop.example:4000.elsewhere.example"], false),
        (&["https://localhost:5173"], false),
        (&["null"], false),
        (&[""], false),
        (&["http://localhost:5173", "http://elsewhere.example"], false),
    ] {
        assert_eq!(known(origins, here), expected, "{origins:?}");
    }
}
