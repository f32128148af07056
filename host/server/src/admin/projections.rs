//! `/admin/projections`: how read models come about.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use yado_engine::ProjectionStatus;

use super::Admin;

pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let projections: Vec<Value> = admin.engine.projections().iter().map(shown).collect();
    Json(json!({ "projections": projections }))
}

fn shown(status: &ProjectionStatus) -> Value {
    let ProjectionStatus { name, key, state, position, target, rate, left_ms, parked, trouble } = status;
    json!({
        "name": name,
        "key": key,
        "state": state.as_str(),
        "position": position.get(),
        "target": target.get(),
        "rate": rate,
        "leftMs": left_ms,
        "parked": parked,
        "trouble": trouble,
    })
}
