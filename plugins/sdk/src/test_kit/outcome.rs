//! What came of it, and what a test expects.

use std::marker::PhantomData;

use serde_json::Value;
use yado_model::schema::Problem;
use yado_model::{Claim, ClaimValue, NewEvent, Rejection, StreamId};

use super::report::{self, Came};
use super::scenario::Given;
use crate::aggregate::Message;
use crate::{Ask, Constraint, Event, ReadModel};

/// What came of a command.
#[derive(Debug)]
pub struct Outcome<'a> {
    pub(super) given: Given<'a>,
    pub(super) command: Message,
    pub(super) stream: StreamId,
    pub(super) came: Came,
}

/// What a query answered.
#[derive(Debug)]
pub struct Answered<'a, Q> {
    pub(super) given: Given<'a>,
    pub(super) query: String,
    pub(super) answer: Result<Value, Rejection>,
    pub(super) of: PhantomData<fn() -> Q>,
}

/// A claim that a decision is expected to make.
#[derive(Debug)]
pub struct Claimed(Claim);

/// The decision takes this value.
#[must_use]
pub fn taken(constraint: Constraint, value: &str) -> Claimed {
    Claimed(Claim::Take(ClaimValue { constraint: constraint.name().into(), value: value.into() }))
}

/// The decision lets go of this value.
#[must_use]
pub fn released(constraint: Constraint, value: &str) -> Claimed {
    Claimed(Claim::Release(ClaimValue { constraint: constraint.name().into(), value: value.into() }))
}

impl<'a> Outcome<'a> {
    /// Exactly these events are recorded, in this order.
    #[track_caller]
    pub fn then<E: Event>(self, events: impl IntoIterator<Item = E>) -> Self {
        let expected: Vec<NewEvent> = events.into_iter().map(|event| new_event(event.encode())).collect();
        let same = match &self.came {
            Came::Decided(decision) => {
                let plain = |event: &NewEvent| (event.name.clone(), event.version, parsed(&event.payload));
                decision.events.iter().map(plain).eq(expected.iter().map(plain))
            }
            _ => false,
        };
        assert!(same, "{}", self.failure(&report::events("expected", &expected)));
        self
    }

    /// The answer is yes, and there is nothing to record.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        let nothing = matches!(&self.came, Came::Decided(decision) if decision.events.is_empty());
        assert!(nothing, "{}", self.failure(&report::events("expected", &[])));
        self
    }

    /// The domain says no, with this code.
    #[track_caller]
    pub fn then_rejected(self, code: &str) {
        let rejected = matches!(&self.came, Came::Rejected(rejection) if rejection.code == code);
        assert!(rejected, "{}", self.failure(&report::part("expected", [format!("rejected: {code}")], "")));
    }

    /// The host refuses the command before the plugin is asked: what stands at the path breaks its schema.
    #[track_caller]
    pub fn then_invalid(self, path: &str, message: &str) {
        let found = |problem: &Problem| problem.pointer() == path && problem.message == message;
        let invalid = matches!(&self.came, Came::Invalid(problems) if problems.iter().any(found));
        assert!(invalid, "{}", self.failure(&report::part("expected", [format!("{path}: {message}")], "")));
    }

    /// Exactly these values are taken and released, in this order.
    #[track_caller]
    pub fn then_claims(self, claims: impl IntoIterator<Item = Claimed>) -> Self {
        let expected: Vec<Claim> = claims.into_iter().map(|claim| claim.0).collect();
        match &self.came {
            Came::Decided(decision) if decision.claims == expected => {}
            Came::Decided(decision) => {
                let came = report::claims("came", &decision.claims);
                panic!("{}{came}", self.question(&report::claims("expected", &expected)));
            }
            _ => panic!("{}", self.failure(&report::claims("expected", &expected))),
        }
        self
    }

    /// These are the rows of a read model once the decision is recorded, all of them, by key.
    #[track_caller]
    pub fn then_rows<M: ReadModel>(self, rows: impl IntoIterator<Item = M>) -> Given<'a> {
        self.recorded().then_rows(rows)
    }

    /// The decision is recorded, and the test goes on from there.
    #[track_caller]
    pub fn recorded(self) -> Given<'a> {
        let Came::Decided(decision) = self.came else {
            panic!("{}", self.failure(&report::part("expected", ["a decision".to_owned()], "")))
        };
        let mut given = self.given;
        decision.events.into_iter().for_each(|event| given.record(&self.stream, event));
        given
    }

    fn question(&self, expected: &str) -> String {
        let Message { name, payload, .. } = &self.command;
        format!(
            "{name} came out otherwise\n{}{}{expected}",
            report::given(&self.given.events),
            report::when(name, payload)
        )
    }

    fn failure(&self, expected: &str) -> String {
        self.question(expected) + &report::came(&self.came)
    }
}

impl<'a, Q: Ask> Answered<'a, Q> {
    /// This is the answer.
    #[track_caller]
    pub fn then_answer(self, expected: &Q::Answer) -> Given<'a> {
        let expected = parsed(&Q::write(expected));
        assert!(self.answer.as_ref() == Ok(&expected), "{}", self.failure(&expected.to_string()));
        self.given
    }

    /// The domain says no, with this code.
    #[track_caller]
    pub fn then_rejected(self, code: &str) -> Given<'a> {
        let rejected = self.answer.as_ref().is_err_and(|rejection| rejection.code == code);
        assert!(rejected, "{}", self.failure(&format!("rejected: {code}")));
        self.given
    }

    fn failure(&self, expected: &str) -> String {
        let came = match &self.answer {
            Ok(answer) => answer.to_string(),
            Err(rejection) => format!("rejected: {}, {:?}", rejection.code, rejection.message),
        };
        let line = |title: &str, text: &str| report::part(title, [text.to_owned()], "");
        let given = report::given(&self.given.events);
        let question = line("asked", &self.query);
        format!("the answer is another\n{given}{question}{}{}", line("expected", expected), line("came", &came))
    }
}

pub(super) fn new_event(message: Message) -> NewEvent {
    let Message { name, version, payload } = message;
    NewEvent { name: name.to_owned(), version, payload, tags: Vec::new() }
}

#[track_caller]
pub(super) fn parsed(document: &str) -> Value {
    match serde_json::from_str(document) {
        Ok(value) => value,
        Err(error) => panic!("{document} is not JSON: {error}"),
    }
}
