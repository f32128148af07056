//! Between the vocabulary and the contract's types. What goes in is borrowed, what comes out is moved.

use yado_model::{Claim, ClaimValue, Command, Context, Decision, NewEvent, RecordedEvent, Rejection, Timestamp};

use crate::bindings::domain::exports::yado::domain::aggregates;
use crate::bindings::domain::yado::domain::{read_model, types};
use crate::host::Halt;
use crate::{json, rows};

/// The text of a UUID, without an allocation.
type IdText = [u8; 36];

/// Room for the texts of a context's ids.
pub(crate) struct ContextIds {
    command: IdText,
    correlation: IdText,
}

impl ContextIds {
    pub(crate) const ROOM: Self = Self { command: [0; 36], correlation: [0; 36] };
}

pub(crate) fn context<'a>(context: &'a Context, ids: &'a mut ContextIds) -> types::Context<'a> {
    types::Context {
        tenant: context.tenant.as_str(),
        id: context.id.as_str(),
        now: instant(context.now),
        actor: context.actor.as_ref().map(|actor| actor.as_str()),
        command_id: context.command_id.0.hyphenated().encode_lower(&mut ids.command),
        correlation_id: context.correlation_id.hyphenated().encode_lower(&mut ids.correlation),
        seed: context.seed,
    }
}

pub(crate) fn command<'a>(command: &'a Command, ids: &'a mut ContextIds) -> types::Command<'a> {
    types::Command { name: &command.name, payload: &command.payload, context: context(&command.context, ids) }
}

/// An event's tags, in the form that the contract's types borrow.
pub(crate) fn tags(event: &NewEvent) -> Vec<&str> {
    event.tags.iter().map(String::as_str).collect()
}

pub(crate) fn event<'a>(event: &'a NewEvent, tags: &'a [&'a str]) -> types::EventParam<'a> {
    types::EventParam { name: &event.name, version: event.version, payload: &event.payload, tags }
}

/// Room for what the contract's types borrow from a recorded event that it does not hold in that form.
pub(crate) struct RecordedRoom<'a> {
    tags: Vec<&'a str>,
    command: IdText,
    correlation: IdText,
    causation: IdText,
}

impl<'a> RecordedRoom<'a> {
    pub(crate) fn new(recorded: &'a RecordedEvent) -> Self {
        Self { tags: tags(&recorded.event), command: [0; 36], correlation: [0; 36], causation: [0; 36] }
    }
}

pub(crate) fn recorded<'a>(recorded: &'a RecordedEvent, room: &'a mut RecordedRoom<'_>) -> types::RecordedEvent<'a> {
    let RecordedRoom { tags, command, correlation, causation } = room;
    types::RecordedEvent {
        event: event(&recorded.event, tags),
        stream: types::StreamRef { aggregate: recorded.stream.aggregate(), id: recorded.stream.id() },
        revision: recorded.revision.get(),
        position: recorded.position.get(),
        recorded_at: instant(recorded.recorded_at),
        command_id: recorded.command.command_id.0.hyphenated().encode_lower(command),
        correlation_id: recorded.command.correlation_id.hyphenated().encode_lower(correlation),
        causation_id: recorded.command.causation_id.map(|id| &*id.hyphenated().encode_lower(causation)),
        actor: recorded.command.actor.as_ref().map(|actor| actor.as_str()),
    }
}

/// The contract counts from 1970. Nothing is recorded before then, so the clamp only meets made-up times.
fn instant(time: Timestamp) -> u64 {
    u64::try_from(time.micros()).unwrap_or(0)
}

/// What a command has come to. Whether the payloads are JSON is not looked at: whoever holds them against their schemas
/// reads them for that, and to read them twice would double what that costs.
pub(crate) fn decision(decision: aggregates::Decision) -> Decision {
    let events = decision.events.into_iter().map(new_event).collect();
    Decision { events, claims: decision.claims.into_iter().map(claim).collect() }
}

/// What has become of so many events: a list for each.
pub(crate) fn upcast(answered: Vec<Vec<types::EventResult>>, asked: usize) -> Result<Vec<Vec<NewEvent>>, Halt> {
    if answered.len() != asked {
        let count = answered.len();
        return Err(Halt::InvalidOutput(format!("of {asked} events it told what has become of {count}")));
    }
    answered.into_iter().map(|events| events.into_iter().map(read_event).collect()).collect()
}

/// An event that goes back to a guest, and is held against no schema before that.
fn read_event(event: types::EventResult) -> Result<NewEvent, Halt> {
    let types::EventResult { name, payload, .. } = &event;
    json::check(payload)
        .map_err(|e| Halt::InvalidOutput(format!("the payload of an event {name:?} is not JSON: {e}")))?;
    Ok(new_event(event))
}

fn new_event(event: types::EventResult) -> NewEvent {
    let types::EventResult { name, version, payload, tags } = event;
    NewEvent { name, version, payload, tags }
}

fn claim(claim: aggregates::Claim) -> Claim {
    let value = |v: aggregates::ClaimValue| ClaimValue { constraint: v.constraint, value: v.value };
    match claim {
        aggregates::Claim::Take(v) => Claim::Take(value(v)),
        aggregates::Claim::Release(v) => Claim::Release(value(v)),
    }
}

pub(crate) fn rejection(rejection: types::Rejection) -> Result<Rejection, Halt> {
    let types::Rejection { code, message, field, details } = rejection;
    let details = details
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|e| Halt::InvalidOutput(format!("the details of rejection {code:?} are not JSON: {e}")))?;
    Ok(Rejection { code, message, field, details })
}

pub(crate) fn selection(selection: read_model::Selection) -> rows::Selection {
    rows::Selection {
        conditions: conditions(selection.conditions),
        ordering: selection
            .ordering
            .into_iter()
            .map(|o| rows::Ordering { field: o.field, descending: o.descending })
            .collect(),
        limit: selection.limit,
        offset: selection.offset,
    }
}

pub(crate) fn conditions(conditions: Vec<read_model::Condition>) -> Vec<rows::Condition> {
    conditions.into_iter().map(condition).collect()
}

fn condition(condition: read_model::Condition) -> rows::Condition {
    use read_model::Comparison as C;
    let comparison = match condition.comparison {
        C::Equal => rows::Comparison::Equal,
        C::NotEqual => rows::Comparison::NotEqual,
        C::Less => rows::Comparison::Less,
        C::LessOrEqual => rows::Comparison::LessOrEqual,
        C::Greater => rows::Comparison::Greater,
        C::GreaterOrEqual => rows::Comparison::GreaterOrEqual,
        C::Contains => rows::Comparison::Contains,
    };
    rows::Condition { field: condition.field, comparison, value: condition.value }
}
