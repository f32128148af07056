//! From the contract's calls to the author's code. `plugin!` expands to calls of these functions.

use crate::bindings::aggregates::exports::yado::domain::aggregates;
use crate::bindings::{read_model, types};
use crate::decision::{Claim, Constraint, Rejection};
use crate::json::Unreadable;
use crate::query::{Query, Surroundings};
use crate::recorded::Source;
use crate::{Aggregate, Command, Context, Event, Projection, Rows, log};

/// Decides.
///
/// # Errors
/// The domain's no.
pub fn decide<A: Aggregate>(
    state: Option<Vec<u8>>,
    command: types::Command,
) -> Result<aggregates::Decision, types::Rejection> {
    log::explain_panics();
    let state: Option<A> = state.map(read_state);
    let context = Context::new(command.context);
    let command = sound(A::Command::decode(&command.name, &command.payload));
    let changes = A::decide(state.as_ref(), command, &context).map_err(rejection)?;
    let event = |event: &A::Event| new_event(event, &changes.tags);
    Ok(aggregates::Decision {
        events: changes.events.iter().map(event).collect(),
        claims: changes.claims.into_iter().map(claim).collect(),
    })
}

/// Folds.
#[must_use]
pub fn evolve<A: Aggregate>(state: Option<Vec<u8>>, events: Vec<types::Event>) -> Option<Vec<u8>> {
    log::explain_panics();
    let state = events.iter().fold(state.map(read_state), |state: Option<A>, event| {
        A::evolve(state, sound(A::Event::decode(&event.name, &event.payload)))
    });
    state.map(|state| match postcard::to_allocvec(&state) {
        Ok(bytes) => bytes,
        Err(error) => panic!("the state of {} can't be written: {error}", A::NAME),
    })
}

/// Brings events up to date.
#[must_use]
pub fn upcast<A: Aggregate>(events: &[types::Event]) -> Vec<Vec<types::Event>> {
    log::explain_panics();
    let today = |event: &types::Event| {
        let today = sound(A::Event::upcast(&event.name, event.version, &event.payload));
        today.iter().map(|now| new_event(now, &event.tags)).collect()
    };
    events.iter().map(today).collect()
}

/// Brings a read model up to date.
pub fn project<P: Projection>(events: Vec<types::RecordedEvent>) {
    log::explain_panics();
    let mut rows = Rows::new();
    for event in events {
        read_model::at(event.position);
        P::project(&sound(P::Event::read(event)), &mut rows);
    }
}

/// Answers a query.
///
/// # Errors
/// The domain's no.
pub fn answer<Q: Query>(arguments: &str, context: types::Context) -> Result<String, types::Rejection> {
    log::explain_panics();
    sound(Q::answer(arguments, &Surroundings::new(context))).map_err(rejection)
}

/// The host asked for something that the manifest does not name.
///
/// # Panics
/// Always: there is nothing to answer.
pub fn unknown(kind: &str, name: &str) -> ! {
    log::explain_panics();
    panic!("this plugin has no {kind} {name}")
}

fn read_state<A: Aggregate>(bytes: Vec<u8>) -> A {
    match postcard::from_bytes(&bytes) {
        Ok(state) => state,
        Err(error) => panic!("the state of {} was written by other code: {error}", A::NAME),
    }
}

fn sound<T>(read: Result<T, Unreadable>) -> T {
    match read {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

fn new_event<E: Event>(event: &E, tags: &[String]) -> types::Event {
    let message = event.encode();
    types::Event { name: message.name.into(), version: message.version, payload: message.payload, tags: tags.into() }
}

fn claim(claim: Claim) -> aggregates::Claim {
    let value = |constraint: Constraint, value| aggregates::ClaimValue { constraint: constraint.name().into(), value };
    match claim {
        Claim::Take(constraint, text) => aggregates::Claim::Take(value(constraint, text)),
        Claim::Release(constraint, text) => aggregates::Claim::Release(value(constraint, text)),
    }
}

fn rejection(rejection: Rejection) -> types::Rejection {
    let Rejection { code, message, field, details } = rejection;
    types::Rejection { code: code.into(), message, field, details }
}
