//! Everything that a caller may be told, as GraphQL errors: the one place where failures become texts and codes.
//!
//! An error has a message for people, `extensions.code` for programs, and beside it what a program may want to know.
//! Codes are those of [`Code`], on this surface as on every other.

use async_graphql::{ErrorExtensionValues, PathSegment, Pos, ServerError, Value};
use serde_json::json;
use yado_engine as engine;
use yado_model::schema::Problem;
use yado_model::{Code, Position};

use crate::values;

/// When it is worth asking again what there is no room for.
const RETRY_AFTER_MS: u64 = 1_000;

/// How the problem of a field begins that an input does not have.
pub(crate) const UNKNOWN_FIELD: &str = "unknown field";

/// Why a request, or a field of it, has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    /// The engine says no.
    #[error("{0}")]
    Engine(#[from] engine::Error),
    /// The request is not GraphQL, or does not fit the schema.
    #[error("{0}")]
    Input(String),
    /// A field's arguments are not what they should be.
    #[error("{}", arguments(field, problems))]
    Arguments {
        /// The field.
        field: String,
        /// Each argument, or field of an input, at fault.
        problems: Vec<Problem>,
    },
    /// The request asks for too much.
    #[error("the document has {actual} {what}, and at most {limit} are allowed: ask for less at a time")]
    TooComplex {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        actual: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// The fields before it took all of the request's time.
    #[error(
        "the fields before this one took all of the request's {limit_ms} ms, so it was not begun: send it in a request of \
         its own"
    )]
    NotBegun {
        /// What is allowed.
        limit_ms: u64,
    },
    /// The body did not come.
    #[error("the body did not arrive within {limit_ms} ms, and nothing was begun: send it again, all of it at once")]
    Stalled {
        /// What is allowed.
        limit_ms: u64,
    },
    /// The change is recorded, and the row that was asked for is gone.
    #[error(
        "{model} {id:?} is not there any more: the change is recorded at position {position}, and there is no row to show; \
         don't repeat it"
    )]
    Gone {
        /// The read model.
        model: String,
        /// The row's key.
        id: String,
        /// Where the change was recorded.
        position: Position,
    },
    /// The change is recorded, and the row that was asked for could not be read.
    #[error("the change is recorded at position {position}, so don't repeat it; its row could not be read: {why}")]
    Unread {
        /// Where the change was recorded.
        position: Position,
        /// Why the row could not be read.
        why: engine::Error,
    },
    /// A read model does not show yet what a query wants to see.
    #[error(
        "{model} has not come to position {wanted} within {limit_ms} ms, and is at {reached}: ask again later, or without a \
         position for what it shows by now"
    )]
    Behind {
        /// The read model.
        model: String,
        /// The position that the query wants to see.
        wanted: Position,
        /// The position that it had come to.
        reached: Position,
        /// How long it was waited for.
        limit_ms: u64,
    },
    /// There are as many as may be at a time.
    #[error("there are already {limit} {what}, and no more are allowed at a time: end some, or try again later")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// What is to be gone on from has not happened.
    #[error(
        "the log has not come to {cursor} yet, so that place is not of this log: read anew what is there, and subscribe \
         without a place"
    )]
    NotReached {
        /// The place that was to be gone on from.
        cursor: engine::Cursor,
    },
    /// The server is about to stop.
    #[error("the server is about to stop: try again, and another one answers")]
    Closing,
    /// A subscription does not fit what is deployed by now.
    #[error(
        "what is deployed has changed, and the subscription does not fit it any more ({problems}): fetch the schema, and \
         subscribe by it"
    )]
    SchemaChanged {
        /// What does not fit.
        problems: String,
    },
    /// A subscriber was told more than it has taken.
    #[error("more has happened than was taken in time: go on after the last cursor, and read faster")]
    SlowReader,
    /// A row holds something that its read model's schema rules out.
    #[error("{model}.{field} holds a value that its schema does not allow; the server's log says which")]
    BadRow {
        /// The type.
        model: String,
        /// The field.
        field: String,
    },
}

impl Error {
    /// Refuses what was given.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    /// Why a query was not shown what it wants to see. What the engine says of a read model that lags is for whoever has
    /// recorded something, and a query has not.
    pub(crate) fn of_query(error: engine::Error) -> Self {
        match error {
            engine::Error::Lagging { model, wanted, reached, limit_ms } => {
                Self::Behind { model, wanted, reached, limit_ms }
            }
            other => Self::Engine(other),
        }
    }

    /// Refuses another operation on a socket.
    pub(crate) const fn operations(limit: usize) -> Self {
        Self::Full { what: "operations on this socket", limit: limit as u64 }
    }

    /// Why the row of a change that is recorded could not be read. What the engine says of a read model that lags says so
    /// already.
    pub(crate) fn of_row(self, position: Position) -> Self {
        match self {
            Self::Engine(lags @ (engine::Error::Lagging { .. } | engine::Error::Aside { .. })) => Self::Engine(lags),
            Self::Engine(why) => Self::Unread { position, why },
            other => other,
        }
    }

    /// Refuses what is over a limit.
    pub(crate) const fn within(what: &'static str, actual: u64, limit: u64) -> Result<(), Self> {
        if actual > limit { Err(Self::TooComplex { what, actual, limit }) } else { Ok(()) }
    }

    /// The stable code of this failure.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::Engine(error) | Self::Unread { why: error, .. } => error.code(),
            Self::Input(_) | Self::Arguments { .. } => Code::BadUserInput,
            Self::TooComplex { .. } => Code::TooComplex,
            Self::NotBegun { .. } | Self::Stalled { .. } => Code::Timeout,
            Self::Gone { .. } => Code::NotFound,
            Self::Behind { .. } => Code::Lagging,
            Self::BadRow { .. } => Code::PluginFault,
            Self::Full { .. } | Self::Closing => Code::Unavailable,
            Self::NotReached { .. } => Code::ResumeExpired,
            Self::SchemaChanged { .. } => Code::SchemaChanged,
            Self::SlowReader => Code::SlowReader,
        }
    }

    fn details(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Engine(error) => {
                error.details().into_iter().map(|(name, value)| (name, values::from_json(&value))).collect()
            }
            Self::TooComplex { actual, limit, .. } => vec![("actual", (*actual).into()), ("limit", (*limit).into())],
            Self::Unread { position, why } => {
                let why = why.details().into_iter().map(|(name, value)| (name, values::from_json(&value)));
                why.chain([("position", position.get().into())]).collect()
            }
            Self::Gone { position, .. } => vec![("position", position.get().into())],
            Self::Behind { wanted, reached, .. } => {
                vec![("position", wanted.get().into()), ("reachedPosition", reached.get().into())]
            }
            Self::Arguments { problems, .. } => {
                let field = |problem: &Problem| {
                    values::from_json(&json!({ "path": problem.path.join("."), "message": problem.message }))
                };
                vec![("fields", problems.iter().map(field).collect())]
            }
            Self::Input(_)
            | Self::NotBegun { .. }
            | Self::Stalled { .. }
            | Self::NotReached { .. }
            | Self::SchemaChanged { .. }
            | Self::SlowReader
            | Self::BadRow { .. } => Vec::new(),
            Self::Full { .. } | Self::Closing => vec![("retryAfterMs", RETRY_AFTER_MS.into())],
        }
    }

    /// The error as it is answered, with where in the document and where in the answer.
    pub(crate) fn at(&self, position: Option<Pos>, path: Vec<PathSegment>) -> ServerError {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", self.code().as_str());
        self.details().into_iter().for_each(|(name, value)| extensions.set(name, value));
        let mut error = ServerError::new(self.to_string(), position);
        error.path = path;
        error.extensions = Some(extensions);
        error
    }

    /// The error of a request as a whole.
    pub(crate) fn whole(&self) -> ServerError {
        self.at(None, Vec::new())
    }
}

/// All problems in one line, in the form in which the engine tells those that it finds.
fn arguments(field: &str, problems: &[Problem]) -> String {
    let told = |Problem { path, message }: &Problem| match path.join(".").as_str() {
        "" => message.clone(),
        path if message.starts_with(UNKNOWN_FIELD) => format!("{UNKNOWN_FIELD} {path}"),
        path => format!("{path} {message}"),
    };
    format!("{field}: {}", problems.iter().map(told).collect::<Vec<_>>().join("; "))
}

/// What async-graphql finds wrong with a document.
pub(crate) fn invalid(mut error: ServerError) -> ServerError {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", Code::BadUserInput.as_str());
    error.extensions = Some(extensions);
    error.source = None;
    error
}
