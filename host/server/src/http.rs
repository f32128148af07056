//! What is served over HTTP, and where.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{ETAG, HOST, ORIGIN, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tower_http::cors::{AllowHeaders, CorsLayer};
use yado_engine::Engine;
use yado_graphql::GraphQl;
use yado_model::Code;

use crate::admin::{self, Admin};
use crate::config::{Config, Origin};
use crate::health;
use crate::metrics::Metrics;
use crate::stop::Stop;

/// How long a browser may remember what it has been allowed.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Everything that the server answers.
pub(crate) fn router(
    config: &Config,
    engine: &Engine,
    graphql: GraphQl,
    admin: Admin,
    metrics: Metrics,
    stop: &Stop,
) -> Router {
    let sites: Arc<[HeaderValue]> = values(&config.cors_origins).into();
    // Pages of other sites may use the API if the configuration says so. Nothing lets them administer or watch.
    let open = Router::new()
        .route("/", get(async || Redirect::temporary("/graphiql")))
        .merge(health::router(engine.clone(), stop.clone()))
        .merge(yado_graphql::router(graphql).layer(from_fn_with_state(sites, only_known_sites)));
    // Without such a page there is nothing to say to any, and requests need not pass by what would say it.
    let open = if config.cors_origins.is_empty() { open } else { open.layer(cors(&config.cors_origins)) };
    let own = admin::router(admin).merge(metrics.router(engine.clone()));
    open.merge(own).fallback(nothing).method_not_allowed_fallback(not_so)
}

fn cors(origins: &[Origin]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(values(origins))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([ETAG, yado_graphql::POSITION])
        .max_age(REMEMBERED)
}

fn values(origins: &[Origin]) -> Vec<HeaderValue> {
    origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok()).collect()
}

/// Refuses a WebSocket to pages of other sites, unless the configuration allows them. Browsers ask nobody whether a page
/// may open one, and so it could do whatever its visitor can.
async fn only_known_sites(State(sites): State<Arc<[HeaderValue]>>, request: Request, next: Next) -> Response {
    if request.headers().contains_key(UPGRADE) && !is_known_site(request.headers(), &sites) {
        let message = "pages of other sites can't open a WebSocket here: cors_origins names those that may";
        return failure(StatusCode::FORBIDDEN, Code::Forbidden, message);
    }
    next.run(request).await
}

/// Whether a request comes from no page at all, from one of this server, or from one that may.
fn is_known_site(headers: &HeaderMap, sites: &[HeaderValue]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (origin, None) = (origins.next(), origins.next()) else { return false };
    let Some(origin) = origin else { return true };
    let own = || {
        let host = headers.get(HOST)?.as_bytes();
        let site = origin.as_bytes();
        let authority = site.strip_prefix(b"http://").or_else(|| site.strip_prefix(b"https://"))?;
        Some(authority.eq_ignore_ascii_case(host))
    };
    sites.contains(origin) || own().unwrap_or(false)
}

/// A failure, in the form that all answers outside of GraphQL have.
pub(crate) fn failure(status: StatusCode, code: Code, message: impl Into<String>) -> Response {
    (status, Json(json!({ "error": { "code": code.as_str(), "message": message.into() } }))).into_response()
}

async fn nothing(uri: Uri) -> Response {
    let message =
        format!("there is nothing at {}: the API is at /graphql, and a page to explore it at /graphiql", uri.path());
    failure(StatusCode::NOT_FOUND, Code::NotFound, message)
}

async fn not_so(method: Method, uri: Uri) -> Response {
    let message = format!("{} can't be asked with {method}", uri.path());
    failure(StatusCode::METHOD_NOT_ALLOWED, Code::BadUserInput, message)
}

#[cfg(test)]
mod tests;
