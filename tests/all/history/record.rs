//! What a history is made of: requests, what became of each time that one was sent, and the log that it left.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};
use yado_model::RecordedEvent;

/// A moment of a run. Only the order of moments means anything, and no two are the same.
pub(crate) type Moment = u64;
/// The moment at which something completes that nobody has seen complete.
pub(crate) const NEVER: Moment = Moment::MAX;

/// What is asked of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Open,
    Deposit(i64),
    Withdraw(i64),
    Close,
}

/// A request, as it is sent: once, or several times under its idempotency key.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) account: String,
    pub(crate) command: Command,
    /// A text that no other request has; it becomes part of the event.
    pub(crate) reference: String,
    pub(crate) key: Option<String>,
    pub(crate) expected: Option<u64>,
}

impl Request {
    /// The command's name.
    pub(crate) const fn name(&self) -> &'static str {
        match self.command {
            Command::Open => "Open",
            Command::Deposit(_) => "Deposit",
            Command::Withdraw(_) => "Withdraw",
            Command::Close => "Close",
        }
    }

    /// The command's arguments.
    pub(crate) fn payload(&self) -> Value {
        let Self { account: id, reference, .. } = self;
        match self.command {
            Command::Open => json!({ "id": id, "owner": reference }),
            Command::Deposit(amount) | Command::Withdraw(amount) => {
                json!({ "id": id, "amount": amount, "reference": reference })
            }
            Command::Close => json!({ "id": id }),
        }
    }

    /// Whether a server has to take both for the same request.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        self.name() == other.name() && self.payload() == other.payload() && self.expected == other.expected
    }

    /// The event that it is to leave.
    pub(crate) fn event(&self) -> (&'static str, Value) {
        let reference = &self.reference;
        match self.command {
            Command::Open => ("Opened", json!({ "owner": reference })),
            Command::Deposit(amount) => ("Deposited", json!({ "amount": amount, "reference": reference })),
            Command::Withdraw(amount) => ("Withdrawn", json!({ "amount": amount, "reference": reference })),
            Command::Close => ("Closed", json!({})),
        }
    }
}

/// What a client learnt of a request that it sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is recorded; where the surface says so, also whether it had been before.
    Recorded { revision: u64, position: u64, repeated: Option<bool> },
    /// The domain said no.
    Rejected { code: String, message: String },
    /// There is no such account.
    NotFound,
    /// The account is at another revision.
    Conflict { expected: u64, actual: u64 },
    /// The idempotency key belongs to another request.
    KeyReused,
    /// Nothing was recorded, and not for a reason that the accounts know of.
    Failed(String),
    /// It may be recorded, now or later, or not at all.
    Unknown(String),
}

/// Whether a node says of something that failed that it has left nothing in the log.
pub(crate) fn is_certain(message: &str) -> bool {
    message.contains("nothing was recorded")
}

/// A request that was sent, once, to one node.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// What it is recognised by in the log.
    pub(crate) attempt: u64,
    pub(crate) node: &'static str,
    pub(crate) request: Arc<Request>,
    pub(crate) invoked: Moment,
    pub(crate) completed: Moment,
    pub(crate) outcome: Outcome,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempt, node, request, invoked, completed, outcome } = self;
        write!(f, "operation {attempt} ({} {} on {node}", request.name(), request.payload())?;
        if let Some(expected) = request.expected {
            write!(f, ", expecting revision {expected}")?;
        }
        if let Some(key) = &request.key {
            write!(f, ", under the key {key}")?;
        }
        write!(f, "; sent at {invoked}, ")?;
        match completed {
            &NEVER => write!(f, "never answered: {outcome:?})"),
            completed => write!(f, "answered at {completed}: {outcome:?})"),
        }
    }
}

/// An event of the log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) account: String,
    pub(crate) revision: u64,
    pub(crate) name: String,
    pub(crate) payload: Value,
    /// The attempt that recorded it.
    pub(crate) attempt: u64,
}

impl Entry {
    pub(crate) fn of(event: &RecordedEvent) -> Self {
        assert_eq!(event.stream.aggregate(), "Account", "{event:?}");
        Self {
            position: event.position.get(),
            account: event.stream.id().to_owned(),
            revision: event.revision.get(),
            name: event.event.name.clone(),
            payload: serde_json::from_str(&event.event.payload).unwrap(),
            // What has another id than a number has been recorded by nobody that we know.
            attempt: u64::try_from(event.command.correlation_id.as_u128()).unwrap_or(0),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, account, revision, name, payload, attempt } = self;
        write!(f, "the event at position {position} ({name} {payload}, revision {revision} of {account}, by {attempt})")
    }
}
