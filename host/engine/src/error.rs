//! Why the engine did not do what it was asked.
//!
//! What a caller sees is the text and the [`Code`]; what only the operator may see is written to the log where it
//! happens, and never becomes part of these values.

use serde_json::Value;
use yado_model::schema::Problem;
use yado_model::{Code, Name, Position, Rejection, Revision, StreamId};

use crate::Cursor;
use crate::vigil::Broken;

/// Short for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the engine did not do what it was asked. The text says what happened, to what, and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The arguments break the command's schema, or name something that is not there.
    #[error("{}", bad_input(what, problems))]
    BadInput {
        /// The command or query.
        what: String,
        /// Each argument at fault.
        problems: Vec<Problem>,
    },
    /// The domain said no.
    #[error("{}", .0.message)]
    Rejected(Box<Rejection>),
    /// The stream is not at the revision that the caller expected, or others were faster again and again.
    #[error("{stream} is at revision {actual}, not {expected}: read it again and decide anew")]
    Conflict {
        /// Which stream.
        stream: StreamId,
        /// What was expected.
        expected: Revision,
        /// What is.
        actual: Revision,
    },
    /// There is nothing with this id.
    #[error("there is no {kind} with id {id:?}")]
    NotFound {
        /// The aggregate or read model.
        kind: String,
        /// The id.
        id: String,
    },
    /// No plugin that is running knows this name.
    #[error("there is no {kind} {name:?} here: no plugin that is running brings one")]
    Unknown {
        /// "command", "aggregate", "read model".
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// The plugin broke or overran a limit.
    #[error("the plugin {plugin} failed in {function}; nothing was recorded, and the server's log says why")]
    PluginFault {
        /// Which plugin.
        plugin: String,
        /// In which function.
        function: String,
    },
    /// The log holds an event that is newer than the code: another version of the plugin runs by now, or has run.
    #[error(
        "the plugin {plugin} can't read {event} at position {position}, which a newer version of it has recorded: \
         deploy that version again"
    )]
    Superseded {
        /// Which plugin.
        plugin: String,
        /// Which event.
        event: String,
        /// Where it stands in the log.
        position: Position,
    },
    /// It took longer than allowed.
    #[error(
        "{what} took longer than {limit_ms} ms; it may still be recorded: repeat it with the same idempotency key to find out"
    )]
    Timeout {
        /// What took so long.
        what: String,
        /// What was allowed.
        limit_ms: u64,
    },
    /// A query took longer than allowed.
    #[error("{what} took longer than {limit_ms} ms: ask for less at a time")]
    Late {
        /// Which query.
        what: String,
        /// What was allowed.
        limit_ms: u64,
    },
    /// What a request reads would take up more memory than it may.
    #[error(
        "what one request reads may take up {limit_bytes} bytes (answer_bytes of [database]), and would take up more with \
         the answer from {model}: ask for fewer rows, for fewer of their fields, or for less beside them, at a time"
    )]
    TooLarge {
        /// The read model whose answer is one too many.
        model: String,
        /// How many bytes there may be.
        limit_bytes: usize,
    },
    /// It is for some only, and it is not known who asks.
    #[error("{what} is not for everybody: say who you are")]
    Unauthenticated {
        /// What was asked for.
        what: String,
    },
    /// Whoever asks may not have it.
    #[error("{what} is not allowed to whoever asked: ask an operator for a role that may")]
    Forbidden {
        /// What was asked for.
        what: String,
    },
    /// The engine can't take the request at present.
    #[error("{reason}; try again in {retry_after_ms} ms")]
    Unavailable {
        /// Why.
        reason: String,
        /// When it is worth another attempt.
        retry_after_ms: u64,
    },
    /// What was asked to be seen is recorded, and the read model does not show it yet.
    #[error(
        "{model} has not caught up within {limit_ms} ms (it is at position {reached}, the change is at {wanted}); \
         the change is recorded: read it again later, and don't repeat the command"
    )]
    Lagging {
        /// Which read model.
        model: String,
        /// The position that was waited for.
        wanted: Position,
        /// The position that it had come to.
        reached: Position,
        /// How long it was waited for.
        limit_ms: u64,
    },
    /// What was asked to be seen is recorded, and the read model does not show it, because its projection has failed at an
    /// event of the same stream, or at too many of the tenant, and has put that aside.
    #[error(
        "{model} does not show {stream} beyond what happened before position {from}, at which its projection has failed: it \
         does when other code has come, or when an operator has it tried again; the change at {wanted} is recorded: don't \
         repeat the command"
    )]
    Aside {
        /// Which read model.
        model: String,
        /// The stream whose change was to be seen.
        stream: String,
        /// The position that was waited for.
        wanted: Position,
        /// From where on nothing is shown.
        from: Position,
    },
    /// What has changed since a place is not kept any more, as far as that.
    #[error(
        "what has changed in {model} after {cursor} is not kept any more: read it anew, and subscribe without a place"
    )]
    ResumeExpired {
        /// Which read model.
        model: String,
        /// The place that was to be gone on from.
        cursor: Cursor,
        /// The position after which everything is kept, if anything is.
        floor: Option<Position>,
    },
    /// Other code has gone live, without what was asked for.
    #[error("{model} is not part of what is live any more: fetch the schema anew")]
    SchemaChanged {
        /// Which read model.
        model: String,
    },
    /// The idempotency key was used for another request.
    #[error("the idempotency key {key:?} was used for another request: use a new key for each request")]
    IdempotencyKeyReused {
        /// The key.
        key: String,
    },
}

fn bad_input(what: &str, problems: &[Problem]) -> String {
    let listed = problems.iter().map(|problem| match problem.path.as_slice() {
        [] => problem.message.clone(),
        path => format!("{} {}", path.join("."), problem.message),
    });
    format!("{what}: {}", listed.collect::<Vec<_>>().join("; "))
}

impl Error {
    /// The stable code of this failure.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::BadInput { .. } | Self::Unknown { .. } => Code::BadUserInput,
            Self::Rejected(_) => Code::Rejected,
            Self::Conflict { .. } => Code::Conflict,
            Self::NotFound { .. } => Code::NotFound,
            Self::PluginFault { .. } | Self::Superseded { .. } => Code::PluginFault,
            Self::Timeout { .. } | Self::Late { .. } => Code::Timeout,
            Self::TooLarge { .. } => Code::TooComplex,
            Self::Unauthenticated { .. } => Code::Unauthenticated,
            Self::Forbidden { .. } => Code::Forbidden,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::Lagging { .. } | Self::Aside { .. } => Code::Lagging,
            Self::ResumeExpired { .. } => Code::ResumeExpired,
            Self::SchemaChanged { .. } => Code::SchemaChanged,
            Self::IdempotencyKeyReused { .. } => Code::IdempotencyKeyReused,
        }
    }

    /// What a program may want to know beside the code, by name: `fields`, `reason`, `expected`, `retryAfterMs`…
    #[must_use]
    pub fn details(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::BadInput { problems, .. } => {
                let fields = problems
                    .iter()
                    .map(|problem| serde_json::json!({ "path": problem.path.join("."), "message": problem.message }));
                vec![("fields", fields.collect())]
            }
            Self::Rejected(rejection) => {
                let mut details = vec![("reason", Value::from(rejection.code.clone()))];
                details.extend(rejection.field.clone().map(|field| ("field", Value::from(field))));
                details.extend(rejection.details.clone().map(|value| ("details", value)));
                details
            }
            Self::Conflict { expected, actual, .. } => {
                vec![("expectedRevision", expected.get().into()), ("actualRevision", actual.get().into())]
            }
            Self::Unavailable { retry_after_ms, .. } => vec![("retryAfterMs", (*retry_after_ms).into())],
            Self::Lagging { wanted, reached, .. } => {
                vec![("position", wanted.get().into()), ("reachedPosition", reached.get().into())]
            }
            Self::Aside { wanted, from, .. } => {
                vec![("position", wanted.get().into()), ("reachedPosition", from.get().saturating_sub(1).into())]
            }
            Self::TooLarge { limit_bytes, .. } => vec![("limit", (*limit_bytes).into())],
            Self::ResumeExpired { floor, .. } => floor.map(|floor| ("floor", floor.get().into())).into_iter().collect(),
            Self::NotFound { .. }
            | Self::Unknown { .. }
            | Self::PluginFault { .. }
            | Self::Superseded { .. }
            | Self::Timeout { .. }
            | Self::Late { .. }
            | Self::Unauthenticated { .. }
            | Self::Forbidden { .. }
            | Self::SchemaChanged { .. }
            | Self::IdempotencyKeyReused { .. } => Vec::new(),
        }
    }
}

/// What is said where a disk has failed to keep something. Reading goes on.
pub(crate) const OUT_OF_USE: &str =
    "the server's disk has failed: nothing can be recorded until the server is started again";
/// When that is worth another attempt.
pub(crate) const OUT_OF_USE_MS: u64 = 10_000;

/// A store's failure as a caller may see it; the whole of it goes to the log.
impl From<yado_store::Error> for Error {
    fn from(error: yado_store::Error) -> Self {
        if let yado_store::Error::Rewound { seen } = error {
            return rewound(seen);
        }
        tracing::error!(%error, "the database failed");
        let (reason, retry_after_ms) = match error {
            yado_store::Error::Full(_) => ("the server's disk is full, and nothing was recorded", 1_000),
            yado_store::Error::OutOfUse(_) => (OUT_OF_USE, OUT_OF_USE_MS),
            _ => ("the database can't be used at present", 1_000),
        };
        Self::Unavailable { reason: reason.to_owned(), retry_after_ms }
    }
}

/// What is answered to a question about a read model, where the store fails. One that no database can answer is the caller's,
/// and so is the remedy.
pub(crate) fn question(model: &Name) -> impl FnOnce(yado_store::Error) -> Error {
    move |error| match error {
        yado_store::Error::TooLarge { limit } => Error::TooLarge { model: model.to_string(), limit_bytes: limit },
        yado_store::Error::Invalid(message) => {
            Error::BadInput { what: "the request".into(), problems: vec![Problem { path: Vec::new(), message }] }
        }
        error => error.into(),
    }
}

/// What commands are answered once the log has gone back behind a position that this process has seen.
pub(crate) fn rewound(seen: Position) -> Error {
    Error::Unavailable { reason: Broken::Rewound(seen).to_string(), retry_after_ms: 10_000 }
}

/// A guest's failure as a caller may see it; the whole of it goes to the log.
pub(crate) fn fault(fault: &yado_runtime::Fault) -> Error {
    tracing::error!(
        plugin = fault.plugin, digest = %fault.digest.short(), function = fault.function, error = %fault,
        "a plugin failed"
    );
    Error::PluginFault { plugin: fault.plugin.clone(), function: fault.function.to_owned() }
}

/// A guest that returned what its manifest does not allow.
pub(crate) fn misbehaved(deployed: &crate::catalogue::Deployed, function: &str, reason: &str) -> Error {
    let plugin = deployed.manifest().name.clone();
    tracing::error!(plugin, digest = %deployed.digest().short(), function, reason, "a plugin broke its own manifest");
    Error::PluginFault { plugin, function: function.to_owned() }
}
