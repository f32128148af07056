//! What callers are told of their commands.

use yado_model::{Position, Rejection, Revision};

use super::Job;
use crate::error::{OUT_OF_USE, OUT_OF_USE_MS, misbehaved, rewound};
use crate::{Error, Receipt, Result};

/// Why a command has no receipt.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// Too many wait at its stream, and nobody has looked at it.
    Crowded,
    /// There is no room for what it would come to. That has been forgotten again.
    NoRoom,
    /// What it has come to.
    Failed(Error),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        let reason = match refused {
            Refused::Failed(error) => return error,
            Refused::Crowded => "more commands are waiting for this one stream than the server holds for a stream",
            Refused::NoRoom => "what is decided and not recorded yet takes all the room that there is for it",
        };
        Self::Unavailable { reason: reason.to_owned(), retry_after_ms: 100 }
    }
}

/// Tells a caller no.
pub(super) fn refuse(job: Job, refused: Refused) {
    let _ = job.reply.send(Err(refused));
}

/// Tells what a command has come to that recorded nothing, at a stream that stands there.
pub(super) fn answer(job: Job, result: Result<()>, revision: Revision, position: Position) {
    let receipt =
        result.map(|()| Receipt { stream: job.key.stream, revision, position, changed: false, repeated: false });
    let _ = job.reply.send(receipt.map_err(Refused::Failed));
}

/// Tells that a command is recorded.
pub(super) fn recorded(job: Job, revision: Revision, position: Position) {
    let receipt = Receipt { stream: job.key.stream, revision, position, changed: true, repeated: false };
    let _ = job.reply.send(Ok(receipt));
}

/// Tells what was answered the first time.
pub(super) fn repeated(job: Job, earlier: yado_store::Answer) {
    let told = match &job.idempotency {
        Some(asked) if asked.request != earlier.request => {
            Err(Refused::Failed(Error::IdempotencyKeyReused { key: asked.key.to_string() }))
        }
        _ => Ok(Receipt {
            stream: earlier.stream,
            revision: earlier.revision,
            position: earlier.position,
            changed: true,
            repeated: true,
        }),
    };
    let _ = job.reply.send(told);
}

/// What is said of a value that another stream holds.
pub(super) fn taken(job: &Job, constraint: &str, value: &str) -> Error {
    let declared = job.aggregate.manifest.constraints.iter().find(|known| known.name.as_str() == constraint);
    let message = match declared.map(|constraint| constraint.description.trim()) {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => format!("{value:?} is taken"),
    };
    let details = Some(serde_json::json!({ "constraint": constraint, "value": value }));
    Error::Rejected(Box::new(Rejection { code: constraint.to_owned(), message, field: None, details }))
}

/// What is said of a transaction that failed.
pub(super) fn failed(job: &Job, error: &yado_store::Error) -> Error {
    match error {
        // What the store can't keep is what the guest has made.
        yado_store::Error::Invalid(reason) => misbehaved(&job.aggregate.deployed, "decide", reason),
        yado_store::Error::Rewound { seen } => rewound(*seen),
        yado_store::Error::Full(_) => Error::Unavailable {
            reason: "the server's disk is full, and nothing was recorded".into(),
            retry_after_ms: 5_000,
        },
        yado_store::Error::OutOfUse(_) => Error::Unavailable {
            reason: format!(
                "{OUT_OF_USE}; of this attempt nothing was recorded, and whether an earlier one was shows then"
            ),
            retry_after_ms: OUT_OF_USE_MS,
        },
        yado_store::Error::Unavailable(_) => Error::Unavailable {
            reason: "the database was not available, and nothing was recorded".into(),
            retry_after_ms: 1_000,
        },
        _ => Error::Unavailable {
            reason: "the database failed while the command was being recorded; whether it was is not known, and a \
                     repetition with the same idempotency key finds out as soon as anything can be recorded again"
                .into(),
            retry_after_ms: 1_000,
        },
    }
}
