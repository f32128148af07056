//! `/admin/projections`: how read models come about, and what an operator may do about it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use yado_engine::ProjectionStatus;

use super::{Admin, refused};

pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let projections: Vec<Value> = admin.engine.projections().iter().map(shown).collect();
    Json(json!({ "projections": projections }))
}

pub(super) async fn pause(State(admin): State<Arc<Admin>>, Path(name): Path<String>) -> Response {
    done(admin.engine.pause(&name).await)
}

pub(super) async fn resume(State(admin): State<Arc<Admin>>, Path(name): Path<String>) -> Response {
    done(admin.engine.resume(&name).await)
}

pub(super) async fn rebuild(State(admin): State<Arc<Admin>>, Path(name): Path<String>) -> Response {
    done(admin.engine.rebuild(&name).await)
}

pub(super) async fn cancel(State(admin): State<Arc<Admin>>, Path(name): Path<String>) -> Response {
    done(admin.engine.cancel_rebuild(&name).await)
}

fn done(outcome: yado_engine::Result<()>) -> Response {
    match outcome {
        Ok(()) => Json(json!({ "done": true })).into_response(),
        Err(error) => refused(&error),
    }
}

fn shown(status: &ProjectionStatus) -> Value {
    let ProjectionStatus { name, key, state, position, target, rate, left_ms, parked, parked_tenants, trouble } =
        status;
    json!({
        "name": name,
        "key": key,
        "state": state.as_str(),
        "position": position.get(),
        "target": target.get(),
        "rate": rate,
        "leftMs": left_ms,
        "parked": parked,
        "parkedTenants": parked_tenants,
        "trouble": trouble,
    })
}
