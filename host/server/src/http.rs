//! What is served over HTTP, and where.

use std::time::Duration;

use axum::http::header::ETAG;
use axum::http::{HeaderValue, Method, StatusCode, Uri};
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
    // Pages of other sites may use the API if the configuration says so. Nothing lets them administer or watch.
    let open = Router::new()
        .route("/", get(async || Redirect::temporary("/graphiql")))
        .merge(health::router(engine.clone(), stop.clone()))
        .merge(yado_graphql::router(graphql));
    // Without such a page there is nothing to say to any, and requests need not pass by what would say it.
    let open = if config.cors_origins.is_empty() { open } else { open.layer(cors(&config.cors_origins)) };
    let own = admin::router(admin).merge(metrics.router(engine.clone()));
    open.merge(own).fallback(nothing).method_not_allowed_fallback(not_so)
}

fn cors(origins: &[Origin]) -> CorsLayer {
    let origins = origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok());
    CorsLayer::new()
        .allow_origin(origins.collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([ETAG, yado_graphql::POSITION])
        .max_age(REMEMBERED)
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
