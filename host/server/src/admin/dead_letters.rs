//! `/admin/dead-letters`: events that projections can't be shown, and the way to have them shown again.
//!
//! A dead letter is named by its projection and the position of its event, `Saying:17`; that of a tenant of which everything
//! waits by the tenant, `Saying:tenant:acme`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use yado_engine::{DeadLetter, LetterId, Replayed, Scope};
use yado_model::RecordedEvent;

use super::{Admin, refused};

/// Dead letters of one answer, if nothing else is asked for.
const SHOWN: u32 = 1_000;

/// How many are wanted.
#[derive(Deserialize)]
pub(super) struct Most {
    limit: Option<u32>,
}

pub(super) async fn list(State(admin): State<Arc<Admin>>, Query(Most { limit }): Query<Most>) -> Response {
    match admin.engine.dead_letters(limit.unwrap_or(SHOWN)).await {
        Ok(letters) => Json(json!({ "deadLetters": letters.iter().map(shown).collect::<Vec<_>>() })).into_response(),
        Err(error) => refused(&error),
    }
}

pub(super) async fn show(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    let Some((projection, id)) = named(&id) else { return nameless(&id) };
    match admin.engine.dead_letter(projection, &id).await {
        Ok((letter, event)) => Json(whole(&letter, &event)).into_response(),
        Err(error) => refused(&error),
    }
}

pub(super) async fn replay(State(admin): State<Arc<Admin>>, Path(id): Path<String>) -> Response {
    let Some((projection, id)) = named(&id) else { return nameless(&id) };
    match admin.engine.replay(projection, &id).await {
        Ok(Replayed::Shown) => Json(json!({ "replayed": true })).into_response(),
        Ok(Replayed::Parked(parked)) => {
            let letter = DeadLetter { projection: projection.to_owned(), parked: *parked };
            Json(json!({ "replayed": false, "deadLetter": shown(&letter) })).into_response()
        }
        Err(error) => refused(&error),
    }
}

fn shown(DeadLetter { projection, parked }: &DeadLetter) -> Value {
    json!({
        "id": format!("{projection}:{}", parked.id()),
        "projection": projection,
        "waits": match parked.scope {
            Scope::Stream => "stream",
            Scope::Tenant => "tenant",
        },
        "tenant": parked.tenant,
        "stream": parked.stream.to_string(),
        "revision": parked.revision.get(),
        "position": parked.position.get(),
        "event": parked.event,
        "version": parked.version,
        "error": parked.error,
        "plugin": parked.plugin,
        "pluginVersion": parked.plugin_version,
        "digest": parked.digest,
        "attempts": parked.attempts,
        "at": parked.at,
    })
}

/// The dead letter, with what the event says.
fn whole(letter: &DeadLetter, event: &RecordedEvent) -> Value {
    let mut all = shown(letter);
    // The log holds JSON alone; were it damaged, it would be shown as it is.
    let payload = serde_json::from_str(&event.event.payload).unwrap_or_else(|_| event.event.payload.clone().into());
    if let Some(fields) = all.as_object_mut() {
        fields.insert("payload".into(), payload);
        fields.insert("recordedAt".into(), event.recorded_at.to_string().into());
        fields.insert("commandId".into(), event.command.command_id.0.to_string().into());
    }
    all
}

/// The projection, and which of its letters a name means.
fn named(id: &str) -> Option<(&str, LetterId)> {
    let (projection, letter) = id.split_once(':')?;
    Some((projection, letter.parse().ok()?))
}

fn nameless(id: &str) -> Response {
    let problem = yado_model::schema::Problem {
        path: Vec::new(),
        message: format!(
            "{id:?} names none: write PROJECTION:POSITION, such as Saying:17, or PROJECTION:tenant:TENANT"
        ),
    };
    refused(&yado_engine::Error::BadInput { what: "the dead letter".into(), problems: vec![problem] })
}

#[cfg(test)]
mod tests {
    use yado_model::{Position, TenantId};

    use super::*;

    #[test]
    fn a_dead_letter_is_named_by_its_projection_and_what_waits() {
        assert_eq!(named("Saying:17"), Some(("Saying", LetterId::Event(Position::new(17)))));
        let acme = TenantId::parse("acme").unwrap();
        assert_eq!(named("Saying:tenant:acme"), Some(("Saying", LetterId::Tenant(acme))));
        for wrong in ["", "Saying", "Saying:", "Saying:x", "17", "Saying:-1", "Saying:tenant:"] {
            assert_eq!(named(wrong), None, "{wrong:?}");
        }
    }
}
