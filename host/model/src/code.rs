//! The codes of failure that callers see: one table for every surface.

use std::fmt;

/// What kind of failure it is. Codes are stable: programs depend on them, and texts may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request breaks the schema. Change it.
    BadUserInput,
    /// The domain said no, with a code of its own. Nothing was recorded.
    Rejected,
    /// Somebody else changed the stream. Read it again and decide anew.
    Conflict,
    /// There is no such thing.
    NotFound,
    /// The caller has not said who they are.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// The plugin broke or overran a limit. Nothing was recorded; the operator's log says why.
    PluginFault,
    /// It took longer than allowed. A command may have been recorded; repeat it with the same idempotency key.
    Timeout,
    /// The server can't do it at present. Try again later.
    Unavailable,
    /// The change is recorded, and the read model has not caught up within the time allowed.
    Lagging,
    /// The idempotency key belongs to another request.
    IdempotencyKeyReused,
    /// The request asks for more than one request may.
    TooComplex,
    /// What a subscription is to go on from is not kept any more; or the log has not come to it, which may be because it is of
    /// a history that is no more. Read anew, and subscribe without it.
    ResumeExpired,
    /// A subscription does not fit the schema any more. Fetch the schema, and subscribe by it.
    SchemaChanged,
    /// A subscriber did not take its messages in time. Go on from the last cursor, and read faster.
    SlowReader,
}

impl Code {
    /// All of them, in the order in which they are documented.
    pub const ALL: [Self; 15] = [
        Self::BadUserInput,
        Self::Rejected,
        Self::Conflict,
        Self::NotFound,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::PluginFault,
        Self::Timeout,
        Self::Unavailable,
        Self::Lagging,
        Self::IdempotencyKeyReused,
        Self::TooComplex,
        Self::ResumeExpired,
        Self::SchemaChanged,
        Self::SlowReader,
    ];

    /// The code as callers see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::Rejected => "REJECTED",
            Self::Conflict => "CONFLICT",
            Self::NotFound => "NOT_FOUND",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::PluginFault => "PLUGIN_FAULT",
            Self::Timeout => "TIMEOUT",
            Self::Unavailable => "UNAVAILABLE",
            Self::Lagging => "LAGGING",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::TooComplex => "TOO_COMPLEX",
            Self::ResumeExpired => "RESUME_EXPIRED",
            Self::SchemaChanged => "SCHEMA_CHANGED",
            Self::SlowReader => "SLOW_READER",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
