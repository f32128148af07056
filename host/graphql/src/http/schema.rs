//! The schema as text, for tools that make code of it or hold a change against it.
//!
//! It changes with deployments only, and is told by its digest: whoever has it already is sent nothing.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::GraphQl;

/// It answers HEAD as well: the router leaves out the body.
pub(super) async fn by_get(State(graphql): State<GraphQl>, headers: HeaderMap) -> Response<Body> {
    let sdl = graphql.served_sdl();
    let tag = format!("\"{}\"", sdl.digest);
    let mut answer = if is_known(&headers, &tag) {
        let mut unchanged = Response::new(Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        let mut whole = Response::new(Body::from(sdl.text));
        whole.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        whole
    };
    let headers = answer.headers_mut();
    // It may be kept, but the next deployment may change it: it is to be asked for again.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.extend(HeaderValue::try_from(tag).ok().map(|tag| (ETAG, tag)));
    answer
}

/// Whether a client has what has this tag. A digest stands for every letter, so weak tags are as good as strong ones.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = given.flat_map(|value| value.split(',')).map(str::trim);
    known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
