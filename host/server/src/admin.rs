//! `/admin`: what the operator may do while the server runs. Every request shows the admin token first.

mod dead_letters;
mod projections;
mod upload;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use yado_engine::{Advice, Deployed, Deployment, Engine, Refusal};
use yado_model::Code;
use yado_model::manifest::Manifest;
use yado_runtime::Refused;

use crate::http::failure;
use crate::plugins::Plugins;
use crate::token::AdminToken;

/// What the operator's requests need.
pub(crate) struct Admin {
    engine: Engine,
    plugins: Plugins,
    token: AdminToken,
    component_bytes: usize,
}

impl Admin {
    /// Puts together what the operator's requests need.
    pub(crate) const fn new(engine: Engine, plugins: Plugins, token: AdminToken, component_bytes: usize) -> Self {
        Self { engine, plugins, token, component_bytes }
    }
}

/// Everything under `/admin`.
pub(crate) fn router(admin: Admin) -> Router {
    let admin = Arc::new(admin);
    Router::new()
        .route("/admin/plugins", get(list).post(deploy))
        .route("/admin/projections", get(projections::list))
        .route("/admin/projections/{name}/pause", post(projections::pause))
        .route("/admin/projections/{name}/resume", post(projections::resume))
        .route("/admin/projections/{name}/rebuild", post(projections::rebuild).delete(projections::cancel))
        .route("/admin/dead-letters", get(dead_letters::list))
        .route("/admin/dead-letters/{id}", get(dead_letters::show))
        .route("/admin/dead-letters/{id}/replay", post(dead_letters::replay))
        // Nobody's body is read before they have shown the token.
        .layer(middleware::from_fn_with_state(admin.clone(), guard))
        .with_state(admin)
}

async fn guard(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        shown.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match token {
        Some((_, token)) if admin.token.matches(token.trim()) => next.run(request).await,
        _ => {
            let message = "show the admin token as Authorization: Bearer …; it is in the file admin-token in the server's \
                           data folder, unless the configuration has one";
            let mut refused = failure(StatusCode::UNAUTHORIZED, Code::Unauthenticated, message);
            refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            refused
        }
    }
}

async fn list(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let catalogue = admin.engine.catalogue();
    let mut plugins = Vec::new();
    for deployed in catalogue.plugins() {
        plugins.push(shown(deployed, &admin.engine.advice(&deployed.manifest().name).await));
    }
    Json(json!({ "plugins": plugins }))
}

fn shown(deployed: &Deployed, advice: &[Advice]) -> Value {
    let Manifest { name, version, description, aggregates, read_models, .. } = deployed.manifest();
    json!({
        "name": name,
        "version": version,
        "digest": deployed.digest(),
        "description": description,
        "aggregates": aggregates.iter().map(|aggregate| &aggregate.name).collect::<Vec<_>>(),
        "readModels": read_models.iter().map(|model| &model.name).collect::<Vec<_>>(),
        "advice": told(advice),
    })
}

async fn deploy(State(admin): State<Arc<Admin>>, request: Request) -> Response {
    let component = match upload::read(request.into_body(), admin.component_bytes).await {
        Ok(component) => component,
        Err(unread) => return failure(unread.status(), Code::BadUserInput, unread.to_string()),
    };
    match admin.plugins.install(component).await {
        Ok(deployment) => Json(went_live(&deployment)).into_response(),
        Err(refusal) => {
            let (status, code) = not_deployed(&refusal);
            failure(status, code, refusal.to_string())
        }
    }
}

fn went_live(deployment: &Deployment) -> Value {
    json!({
        "plugin": deployment.plugin,
        "version": deployment.version,
        "digest": deployment.digest,
        "previous": deployment.previous,
        "unchanged": deployment.unchanged(),
        "advice": told(&deployment.advice),
    })
}

/// What no index serves, as operators and their tools read it.
fn told(advice: &[Advice]) -> Value {
    let one = |advice: &Advice| {
        json!({
            "of": advice.of,
            "readModel": advice.model,
            "columns": advice.columns,
            "message": advice.to_string(),
        })
    };
    advice.iter().map(one).collect()
}

/// What a failure of the engine is over HTTP.
fn refused(error: &yado_engine::Error) -> Response {
    let code = error.code();
    let status = match code {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::BadUserInput => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Conflict => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    failure(status, code, error.to_string())
}

/// What the refusal of a plugin is over HTTP.
const fn not_deployed(refusal: &Refusal) -> (StatusCode, Code) {
    match refusal {
        Refusal::Unfit(Refused::Broke(_)) | Refusal::History(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, Code::PluginFault)
        }
        Refusal::Unfit(_) | Refusal::Incompatible(_) => (StatusCode::UNPROCESSABLE_ENTITY, Code::BadUserInput),
        Refusal::GivenUp(_) => (StatusCode::CONFLICT, Code::Conflict),
        Refusal::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
    }
}
