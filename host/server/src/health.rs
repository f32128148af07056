//! Whether the server is well: for people, load balancers and whatever restarts processes.
//!
//! *Live* means that the process answers: restarting it would not help if this holds. *Ready* means that it can serve:
//! it is not while it starts, while a database is away, or when it is about to stop.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use yado_engine::Engine;

use crate::stop::Stop;

#[derive(Clone)]
struct Watched {
    engine: Engine,
    stop: Stop,
}

/// `/health`, `/health/live` and `/health/ready`.
pub(crate) fn router(engine: Engine, stop: Stop) -> Router {
    Router::new()
        .route("/health", get(whole))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(Watched { engine, stop })
}

/// The same, for as long as there is nothing to look at.
pub(crate) fn starting() -> Router {
    let starting = (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "starting" })));
    let whole = json!({ "status": "starting", "version": env!("CARGO_PKG_VERSION"), "checks": [] });
    let whole = (StatusCode::SERVICE_UNAVAILABLE, Json(whole));
    Router::new()
        .route("/health", get(async || whole))
        .route("/health/live", get(live))
        .route("/health/ready", get(async || starting))
}

async fn live() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn whole(State(watched): State<Watched>) -> (StatusCode, Json<Value>) {
    let health = watched.engine.health().await;
    let checks: Vec<Value> = health
        .checks
        .iter()
        .map(|check| json!({ "name": check.name, "ok": check.ok, "detail": check.detail }))
        .collect();
    let (code, status) = status(health.ready, &watched.stop);
    (code, Json(json!({ "status": status, "version": env!("CARGO_PKG_VERSION"), "checks": checks })))
}

async fn ready(State(watched): State<Watched>) -> (StatusCode, Json<Value>) {
    let health = watched.engine.health().await;
    let (code, status) = status(health.ready, &watched.stop);
    (code, Json(json!({ "status": status })))
}

fn status(ready: bool, stop: &Stop) -> (StatusCode, &'static str) {
    match (ready, stop.is_told()) {
        (_, true) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (true, _) => (StatusCode::OK, "ok"),
    }
}
