//! What a bank has to answer: the accounts of the test guest, written down once more, and what the host adds to them.

use super::record::{Command, Outcome, Request};

/// An account after some of its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) revision: u64,
    /// None before it is opened.
    pub(crate) holds: Option<i64>,
    pub(crate) closed: bool,
    /// How often money came in or went out.
    pub(crate) movements: u64,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// An event.
    Record,
    NotFound,
    Conflict,
    Rejected(&'static str),
}

impl Account {
    /// What a request comes to if it meets this account.
    pub(crate) fn decide(&self, request: &Request) -> Verdict {
        let (creates, expected) = (request.command == Command::Open, request.expected);
        match (self.holds, request.command) {
            (None, _) if !creates => Verdict::NotFound,
            _ if expected.is_some_and(|expected| expected != self.revision) => Verdict::Conflict,
            (None, _) => Verdict::Record,
            (Some(_), Command::Open) => Verdict::Rejected("account_exists"),
            (Some(_), _) if self.closed => Verdict::Rejected("account_closed"),
            (Some(holds), Command::Withdraw(amount)) if amount > holds => Verdict::Rejected("overdrawn"),
            (Some(holds), Command::Close) if holds > 0 => Verdict::Rejected("not_empty"),
            (Some(_), _) => Verdict::Record,
        }
    }

    /// The account after a request that came to an event.
    pub(crate) fn after(&self, command: Command) -> Self {
        let moved =
            |amount| Self { holds: self.holds.map(|holds| holds + amount), movements: self.movements + 1, ..*self };
        let changed = match command {
            Command::Open => Self { holds: Some(0), ..*self },
            Command::Deposit(amount) => moved(amount),
            Command::Withdraw(amount) => moved(-amount),
            Command::Close => Self { closed: true, ..*self },
        };
        Self { revision: self.revision + 1, ..changed }
    }

    /// Whether this account gives a request this answer, which is one that records nothing.
    pub(crate) fn answers(&self, request: &Request, outcome: &Outcome) -> bool {
        match (self.decide(request), outcome) {
            (Verdict::NotFound, Outcome::NotFound) => true,
            (Verdict::Conflict, Outcome::Conflict { expected, actual }) => {
                Some(*expected) == request.expected && *actual == self.revision
            }
            // Whoever expects nothing is told of a conflict when others were faster again and again.
            (Verdict::Record | Verdict::Rejected(_), Outcome::Conflict { actual, expected }) => {
                request.expected.is_none() && *actual == self.revision && expected < actual
            }
            (Verdict::Rejected(code), Outcome::Rejected { code: told, message }) => {
                // The guest says what it saw, and that is held against what there was.
                let saw = format!("The account holds {},", self.holds.unwrap_or_default());
                code == told && (code != "overdrawn" || message.starts_with(&saw))
            }
            _ => false,
        }
    }
}
