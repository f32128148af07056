//! GraphQL over HTTP, after the specification of that name.
//!
//! A request comes by POST as JSON, or by GET if it only reads. What the status says depends on the answer's media type:
//! `application/graphql-response+json` has a status of its own for requests that are at fault, and `application/json`,
//! which proxies may have made up, has 200 for everything that is GraphQL at all. A list of requests is refused: clients
//! that have several questions put them into one document.

mod accept;
mod parameters;
mod schema;
mod sse;
mod ws;

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, VARY};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request as HttpRequest, Response as HttpResponse, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use futures::StreamExt;
use http_body_util::LengthLimitError;
use uuid::Uuid;
use yado_engine::Cursor;
use yado_model::{Code, IdempotencyKey, Position};

use crate::error::Error;
use crate::request::{Caller, Request, Response};
use crate::{GraphQl, graphiql};

use accept::Media;
pub use sse::Streaming;

/// How much of a body that is too large is read, so that its sender gets an answer.
const DRAINED: usize = 32 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(5);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const MIN_POSITION: HeaderName = HeaderName::from_static("yado-min-position");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The header that says of which position an answer is. Pages of other sites can read it only where they are told of it.
pub const POSITION: HeaderName = HeaderName::from_static("yado-position");

/// Where [`router`] answers GraphQL.
pub const PATH: &str = "/graphql";

/// Where [`router`] shows the schema as text.
pub const SCHEMA_PATH: &str = "/graphql/schema.graphql";

/// `/graphql`, its schema at `/graphql/schema.graphql`, and a page to try it on at `/graphiql`.
pub fn router(graphql: GraphQl) -> Router {
    Router::new()
        .route(PATH, get(by_get).post(by_post).fallback(by_other))
        .route(SCHEMA_PATH, get(schema::by_get))
        .with_state(graphql)
        .merge(graphiql::router())
}

async fn by_get(State(graphql): State<GraphQl>, request: HttpRequest<Body>) -> HttpResponse<Body> {
    let (head, _) = request.into_parts();
    if ws::is_asked_for(&head.headers) {
        return ws::upgrade(&graphql, head).await;
    }
    let media = match accept::media(&head.headers) {
        Ok(media) => media,
        Err(fault) => return fault.into_response(),
    };
    let request = parameters::of_query(head.uri.query().unwrap_or_default())
        .and_then(|request| Ok(Request { read_only: true, caller: caller(&head.headers)?, ..request }));
    run(&graphql, request, media).await
}

async fn by_post(State(graphql): State<GraphQl>, request: HttpRequest<Body>) -> HttpResponse<Body> {
    post(&graphql, request).await
}

/// Answers a request that came by POST to [`PATH`], as [`router`] does: for servers that know where it leads without asking
/// a router.
pub async fn post(graphql: &GraphQl, request: HttpRequest<Body>) -> HttpResponse<Body> {
    let (Parts { headers, .. }, sent) = request.into_parts();
    let media = match accept::media(&headers) {
        Ok(media) => media,
        Err(fault) => return fault.into_response(),
    };
    let request = match body(graphql, &headers, sent).await {
        Ok(body) => parameters::of_body(&body).and_then(|request| Ok(Request { caller: caller(&headers)?, ..request })),
        Err(fault) => Err(fault),
    };
    run(graphql, request, media).await
}

async fn by_other() -> HttpResponse<Body> {
    let fault = Fault::new(StatusCode::METHOD_NOT_ALLOWED, "GraphQL requests are sent by POST or GET");
    let mut response = fault.into_response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST"));
    response
}

async fn run(graphql: &GraphQl, request: Result<Request, Fault>, media: Media) -> HttpResponse<Body> {
    let request = match request {
        Ok(request) => request,
        Err(fault) => return fault.answered_in(media),
    };
    if media == Media::EventStream {
        return sse::answer(graphql, request).await;
    }
    let response = graphql.execute(request).await;
    let mut answer = respond(status(&response, media), media, response.to_json());
    if response.is_refused_change() {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if let Some(position) = response.position() {
        answer.headers_mut().insert(POSITION, HeaderValue::from(position.get()));
    }
    answer
}

fn status(response: &Response, media: Media) -> StatusCode {
    if response.is_refused_change() {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    match media {
        Media::GraphQlResponse if response.is_refused() => {
            let timed_out = response.code() == Some(Code::Timeout.as_str());
            if timed_out { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST }
        }
        _ => StatusCode::OK,
    }
}

fn respond(status: StatusCode, media: Media, body: Vec<u8>) -> HttpResponse<Body> {
    let mut answer = HttpResponse::new(Body::from(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, media.content_type());
    headers.insert(VARY, HeaderValue::from_static("accept"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// The body, if it is JSON, not too long, and not too long in coming: whoever sends nothing more would hold the
/// connection, and what stands behind it, for ever.
async fn body(graphql: &GraphQl, headers: &HeaderMap, body: Body) -> Result<Bytes, Fault> {
    accept::is_json(headers)?;
    let limit = graphql.limits().body_bytes;
    let too_large = || Fault::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {limit} bytes"));
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > limit) {
        drain(body).await;
        return Err(too_large());
    }
    let limit_ms = graphql.limits().body_ms;
    let read = tokio::time::timeout(Duration::from_millis(limit_ms), to_bytes(body, limit));
    let read = read.await.map_err(|_| Fault::of(StatusCode::REQUEST_TIMEOUT, Error::Stalled { limit_ms }))?;
    read.map_err(|error| {
        if error.into_inner().is::<LengthLimitError>() {
            too_large()
        } else {
            Fault::bad("the body ended before its time")
        }
    })
}

/// Reads a body that is too large, and throws it away, within bounds: a client that is still sending when the connection
/// closes never sees why.
async fn drain(body: Body) {
    let mut chunks = body.into_data_stream();
    let read = async {
        let mut left = DRAINED;
        while let Some(Ok(chunk)) = chunks.next().await {
            match left.checked_sub(chunk.len()) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    // Whoever is slower than that has to live without the answer.
    let _ = tokio::time::timeout(DRAIN_TIME, read).await;
}

/// Who asks, as far as headers say.
fn caller(headers: &HeaderMap) -> Result<Caller, Fault> {
    let text = |name: &HeaderName| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let key = text(&IDEMPOTENCY_KEY).map(|key| IdempotencyKey::parse(&key)).transpose();
    Ok(Caller {
        idempotency_key: key.map_err(|e| Fault::bad(format!("the header Idempotency-Key is wrong: {e}")))?,
        // Proxies put all kinds of things there, and a request need not fail for it.
        correlation_id: text(&CORRELATION_ID).and_then(|id| Uuid::parse_str(&id).ok()),
        min_position: min_position(headers)?,
        told: told(headers)?,
        ..Caller::default()
    })
}

/// What a stream of events had told when it was cut off.
fn told(headers: &HeaderMap) -> Result<Option<Cursor>, Fault> {
    let Some(id) = headers.get(&LAST_EVENT_ID).filter(|id| !id.is_empty()) else { return Ok(None) };
    let cursor = id.to_str().ok().and_then(|id| id.parse().ok());
    cursor.map(Some).ok_or_else(|| {
        Fault::bad("the header Last-Event-ID is wrong: it must be the id of an event of a subscription, such as 123.4")
    })
}

/// What the queries of a request are to show at least.
fn min_position(headers: &HeaderMap) -> Result<Option<Position>, Fault> {
    let mut given = headers.get_all(&MIN_POSITION).iter();
    let Some(first) = given.next() else { return Ok(None) };
    let digits = first.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    // What the argument of that name takes, and no more.
    let number = digits.and_then(|digits| u64::try_from(digits.parse::<i64>().ok()?).ok());
    match (number, given.next()) {
        (Some(number), None) => Ok(Some(Position::new(number))),
        _ => Err(Fault::bad(format!(
            "the header Yado-Min-Position is wrong: it must be given once, as a whole number from 0 to {}, such as the \
             header Yado-Position of an earlier answer",
            i64::MAX
        ))),
    }
}

/// What a client sent is no request at all.
#[derive(Debug)]
pub(crate) struct Fault {
    status: StatusCode,
    error: Error,
}

impl Fault {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self::of(status, Error::input(reason))
    }

    fn of(status: StatusCode, error: Error) -> Self {
        Self { status, error }
    }

    fn bad(reason: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// What is wrong with it, for people.
    fn reason(&self) -> String {
        self.error.to_string()
    }

    fn answered_in(self, media: Media) -> HttpResponse<Body> {
        let mut answer = respond(self.status, media, Response::refused(vec![self.error.whole()]).to_json());
        if self.status == StatusCode::REQUEST_TIMEOUT {
            // The rest of the body may still come, and must not be taken for the next request.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> HttpResponse<Body> {
        self.answered_in(Media::Json)
    }
}
