//! The command bus: from a request to a decision that is durable.
//!
//! A command passes, in this order: its size, the room that there is, its name, its schema, its references. Only then is
//! the guest asked. What fails on the way changes nothing.
//!
//! A command with an idempotency key is decided like any other: the append finds out whether it is a repetition, in the
//! transaction that it needs anyway. Only one that comes to nothing is looked up, before that is answered.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use futures::future::join_all;
use serde_json::Value;
use tokio::sync::oneshot;
use yado_model::manifest::{IdKind, Target};
use yado_model::schema::Problem;
use yado_model::{Command, CommandId, CommandMeta, Context, Digest, EntityId, StreamId, TenantId, Timestamp};
use yado_store::{EventStore, Idempotency};

use crate::catalogue::{Catalogue, CommandType};
use crate::entropy;
use crate::stream::{Job, Place, Refused, Room, StreamKey, Streams, stopping};
use crate::{Dispatch, Error, Receipt, Result, Settings};

/// The command bus.
#[derive(Clone)]
pub(crate) struct CommandBus {
    streams: Streams,
    store: Arc<dyn EventStore>,
    settings: Arc<Settings>,
    /// Room for arguments.
    room: Arc<Room>,
}

impl CommandBus {
    pub(crate) fn new(streams: Streams, store: Arc<dyn EventStore>, settings: Arc<Settings>) -> Self {
        let room = Room::new(settings.queued_bytes);
        Self { streams, store, settings, room }
    }

    /// Runs a command. How long that may take is for whoever waits for it to say.
    pub(crate) async fn dispatch(&self, catalogue: &Catalogue, dispatch: &Dispatch) -> Result<Receipt> {
        let payload = json(&dispatch.payload);
        let room = self.admit(dispatch, payload.len())?;
        let key = dispatch.options.idempotency_key.clone();
        let idempotency = key.map(|key| Idempotency { key, request: request_digest(dispatch) });
        let decided = self.decide(catalogue, dispatch, payload, idempotency.clone(), room).await?;
        match (decided, idempotency) {
            (Ok(receipt), _) if receipt.changed => Ok(receipt),
            // Nothing was recorded, perhaps because this is a repetition, and the first attempt has changed the state
            // that this one met, or even the code. That one is durable by now, and its answer is this one's. A
            // repetition that would record something is found by the append, so that nobody else need look.
            (decided, Some(idempotency)) => match self.earlier(&dispatch.tenant, &idempotency).await? {
                Some(receipt) => Ok(receipt),
                None => decided,
            },
            (decided, None) => decided,
        }
    }

    /// Gives a command room, or refuses it at once.
    fn admit(&self, dispatch: &Dispatch, bytes: usize) -> Result<Place> {
        let most = self.settings.payload_bytes;
        if bytes > most {
            let message = format!("the arguments have {bytes} bytes, and {most} is the most");
            let problems = vec![Problem { path: Vec::new(), message }];
            return Err(Error::BadInput { what: dispatch.command.to_string(), problems });
        }
        self.room.take(bytes).ok_or_else(|| Error::Unavailable {
            reason: "the commands that are under way take all the room that there is".into(),
            retry_after_ms: 100,
        })
    }

    /// Has a command decided. The outer failure is that of a server that is too busy for it.
    async fn decide(
        &self,
        catalogue: &Catalogue,
        dispatch: &Dispatch,
        payload: String,
        idempotency: Option<Idempotency>,
        room: Place,
    ) -> Result<Result<Receipt>> {
        let Some(command) = catalogue.command(&dispatch.command) else {
            return Ok(Err(Error::Unknown { kind: "command", name: dispatch.command.to_string() }));
        };
        let problems = command.check(&dispatch.payload);
        if !problems.is_empty() {
            return Ok(Err(Error::BadInput { what: command.manifest.name.to_string(), problems }));
        }
        match self.references(catalogue, command, dispatch).await {
            Err(busy @ Error::Unavailable { .. }) => return Err(busy),
            Err(error) => return Ok(Err(error)),
            Ok(()) => {}
        }
        let (reply, answer) = oneshot::channel();
        match job(command, dispatch, payload, idempotency, room, reply) {
            Ok(job) => self.streams.decide(job)?,
            Err(error) => return Ok(Err(error)),
        }
        match answer.await {
            Ok(Ok(receipt)) => Ok(Ok(receipt)),
            Ok(Err(Refused::Failed(error))) => Ok(Err(error)),
            Ok(Err(busy @ (Refused::Crowded | Refused::NoRoom))) => Err(busy.into()),
            Err(_) => Ok(Err(stopping())),
        }
    }

    /// What was answered to this request before, if it is a repetition.
    async fn earlier(&self, tenant: &TenantId, idempotency: &Idempotency) -> Result<Option<Receipt>> {
        match self.store.answer(tenant, &idempotency.key).await? {
            Some(answer) if answer.request != idempotency.request => {
                Err(Error::IdempotencyKeyReused { key: idempotency.key.to_string() })
            }
            answer => Ok(answer.map(|answer| Receipt {
                stream: answer.stream,
                revision: answer.revision,
                position: answer.position,
                changed: true,
                repeated: true,
            })),
        }
    }

    /// Checks that what the payload refers to is there. It is a check at a moment: what is there now may be gone when
    /// the events are recorded. A domain that can't live with that asks for it in a saga.
    async fn references(&self, catalogue: &Catalogue, command: &CommandType, dispatch: &Dispatch) -> Result<()> {
        let references = command.references(&dispatch.payload);
        if references.is_empty() {
            return Ok(());
        }
        let what = command.manifest.name.to_string();
        let most = self.settings.references;
        if references.len() > most {
            let message = format!("the arguments refer to {} things, and {most} is the most", references.len());
            return Err(Error::BadInput { what, problems: vec![Problem { path: Vec::new(), message }] });
        }
        let mut asked = HashSet::new();
        let probes = references.into_iter().filter_map(|reference| {
            let aggregate = catalogue.aggregate(&reference.aggregate)?.clone();
            let stream = StreamId::new(&reference.aggregate, &reference.id);
            let key = StreamKey::new(dispatch.tenant.clone(), stream.clone());
            let probe = async move { (reference, self.streams.exists(key, aggregate).await) };
            asked.insert(stream).then_some(probe)
        });
        let mut problems = Vec::new();
        for (reference, exists) in join_all(probes.collect::<Vec<_>>()).await {
            if !exists? {
                let message =
                    format!("refers to a {} that is not there (id {:?})", reference.aggregate, reference.id.as_str());
                problems.push(Problem { path: reference.path, message });
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::BadInput { what, problems }) }
    }
}

fn job(
    command: &Arc<CommandType>,
    dispatch: &Dispatch,
    payload: String,
    idempotency: Option<Idempotency>,
    room: Place,
    reply: oneshot::Sender<Result<Receipt, Refused>>,
) -> Result<Job> {
    let aggregate = &command.aggregate;
    let id = match &command.manifest.target {
        Target::Create => new_id(aggregate.manifest.id),
        Target::Existing(field) | Target::Any(field) => {
            let text = dispatch.payload.get(field.as_str()).and_then(Value::as_str).unwrap_or_default();
            EntityId::parse(text).map_err(|invalid| Error::BadInput {
                what: command.manifest.name.to_string(),
                problems: vec![Problem { path: vec![field.to_string()], message: invalid.to_string() }],
            })?
        }
    };
    let command_id = CommandId(entropy::uuid_v7());
    let meta = CommandMeta {
        command_id,
        correlation_id: dispatch.options.correlation_id.unwrap_or(command_id.0),
        causation_id: dispatch.options.causation_id,
        actor: dispatch.options.actor.clone(),
    };
    let context = Context {
        tenant: dispatch.tenant.clone(),
        id: id.clone(),
        now: Timestamp::now(),
        actor: dispatch.options.actor.clone(),
        command_id,
        correlation_id: meta.correlation_id,
        seed: entropy::seed(),
    };
    Ok(Job {
        key: StreamKey::new(dispatch.tenant.clone(), StreamId::new(&aggregate.manifest.name, &id)),
        aggregate: aggregate.clone(),
        command: Command { name: command.manifest.name.to_string(), payload, context },
        meta,
        asked: Instant::now(),
        fresh: command.manifest.target == Target::Create,
        must_exist: matches!(command.manifest.target, Target::Existing(_)),
        expected: dispatch.options.expected_revision,
        idempotency,
        _room: room,
        reply,
        conflicts: 0,
    })
}

fn new_id(kind: IdKind) -> EntityId {
    let uuid = entropy::uuid_v7();
    let text = match kind {
        IdKind::Uuid => uuid.to_string(),
        IdKind::Ulid => ulid(uuid.as_u128()),
    };
    // Both kinds are 26 or 36 plain characters, which every id may be.
    #[allow(clippy::expect_used)]
    EntityId::parse(&text).expect("an id that the host makes is an id")
}

/// 128 bits in Crockford's base 32. A UUIDv7 begins with the milliseconds just as a ULID does, so both sort by time.
fn ulid(bits: u128) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    (0..26).rev().map(|at| char::from(DIGITS[(bits >> (at * 5) & 31) as usize])).collect()
}

/// A value as text. Its `Display` says the same, at the cost of a formatter in between.
fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| value.to_string())
}

/// A digest of everything that makes a request what it is. The order of fields makes no difference.
fn request_digest(dispatch: &Dispatch) -> Digest {
    let mut payload = dispatch.payload.clone();
    payload.sort_all_objects();
    let expected = dispatch.options.expected_revision.map_or_else(String::new, |revision| revision.to_string());
    let payload = json(&payload);
    let always = [dispatch.command.as_str().as_bytes(), payload.as_bytes(), expected.as_bytes()];
    // The same words of somebody else are another request, and its answer is not for this one.
    let actor = dispatch.options.actor.as_ref().map(|actor| actor.as_str().as_bytes());
    Digest::of_parts(always.into_iter().chain(actor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_both_kinds_sort_by_time() {
        for kind in [IdKind::Uuid, IdKind::Ulid] {
            let ids: Vec<EntityId> = (0..100).map(|_| new_id(kind)).collect();
            assert!(ids.is_sorted(), "{ids:?}");
        }
        assert_eq!(ulid(0).len(), 26);
        assert_eq!(ulid(u128::MAX), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    }
}
