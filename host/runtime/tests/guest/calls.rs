//! The arguments of calls, for tests.

use uuid::Uuid;
use yado_model::{
    Actor, Command, CommandId, CommandMeta, Context, EntityId, Name, NewEvent, Position, RecordedEvent, Revision,
    StreamId, TenantId, Timestamp,
};
use yado_runtime::{Answer, Fault, Plugin};

pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub fn context(tenant: &TenantId) -> Context {
    Context {
        tenant: tenant.clone(),
        id: EntityId::parse("counter-1").unwrap(),
        now: Timestamp::from_micros(1_700_000_000_000_000),
        actor: Some(Actor::parse("ada").unwrap()),
        command_id: CommandId(Uuid::from_u128(1)),
        correlation_id: Uuid::from_u128(2),
        seed: (3, 4),
    }
}

pub fn command(tenant: &TenantId, payload: &str) -> Command {
    Command { name: "Count".into(), payload: payload.into(), context: context(tenant) }
}

pub fn event(payload: &str) -> NewEvent {
    NewEvent { name: "Counted".into(), version: 1, payload: payload.into(), tags: vec![] }
}

pub fn recorded(payload: &str, causation_id: Option<Uuid>) -> RecordedEvent {
    let stream = StreamId::new(&Name::parse("Counter").unwrap(), &EntityId::parse("counter-1").unwrap());
    RecordedEvent {
        tenant: tenant("acme"),
        stream,
        revision: Revision::new(1),
        position: Position::new(1),
        recorded_at: Timestamp::from_micros(0),
        event: event(payload),
        command: CommandMeta {
            command_id: CommandId(Uuid::from_u128(1)),
            correlation_id: Uuid::from_u128(2),
            causation_id,
            actor: None,
        },
    }
}

/// Decides for a tenant, and answers with the payload of the one event.
pub fn decide_for(plugin: &Plugin, name: &str, payload: &str) -> Answer<String> {
    let tenant = tenant(name);
    let decision = plugin.decide(&tenant, "Counter", Some(b"state"), &command(&tenant, payload))?;
    Ok(decision.map(|decision| {
        assert_eq!(decision.events.len(), 1);
        decision.events[0].payload.clone()
    }))
}

pub fn decide(plugin: &Plugin) -> Answer<String> {
    decide_for(plugin, "acme", r#"{"by":1}"#)
}

pub fn fault(plugin: &Plugin) -> Fault {
    decide(plugin).unwrap_err()
}
