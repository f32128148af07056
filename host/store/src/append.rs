//! What goes into the log, and what comes of it.

mod check;
pub(crate) mod settle;

use std::ops::Deref;
use std::sync::Arc;

use yado_model::{
    Claim, CommandMeta, Digest, IdempotencyKey, NewEvent, Position, Revision, StreamId, TenantId, Timestamp,
};

use crate::PluginVersion;
use crate::kinds::Kind;

/// The events of one decision, as they are put together.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Whose they are.
    pub tenant: TenantId,
    /// To which stream.
    pub stream: StreamId,
    /// How many events the stream had when the decision was made. If it has another number now, the append loses.
    pub expected: Revision,
    /// The events, in order; at least one.
    pub events: Vec<NewEvent>,
    /// Values taken and released along with them.
    pub claims: Vec<Claim>,
    /// When.
    pub recorded_at: Timestamp,
    /// On whose request.
    pub command: CommandMeta,
    /// By which code.
    pub plugin: PluginVersion,
    /// The caller's name for the request, if there is one.
    pub idempotency: Option<Idempotency>,
}

/// The events of one decision: all of them are recorded, or none. It is a [`Draft`] that has been checked, and does not
/// change any more, so that nothing gets among others that no engine can keep. Clones share it.
#[derive(Debug, Clone)]
pub struct Append(Arc<Draft>);

impl Deref for Append {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.0
    }
}

impl From<Append> for Draft {
    fn from(append: Append) -> Self {
        Arc::unwrap_or_clone(append.0)
    }
}

impl Draft {
    /// The revision of the last event.
    pub(crate) fn after(&self) -> Revision {
        Revision::new(self.expected.get().saturating_add(self.events.len() as u64))
    }

    /// The correlation, where it is not the command's own id.
    pub(crate) fn correlation(&self) -> Option<uuid::Uuid> {
        (self.command.correlation_id != self.command.command_id.0).then_some(self.command.correlation_id)
    }

    /// Which kind of event one of its events is.
    pub(crate) fn kind<'a>(&'a self, event: &'a NewEvent) -> Kind<'a> {
        (self.stream.aggregate(), &event.name, event.version)
    }
}

/// A caller's name for a request, and what the request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The name.
    pub key: IdempotencyKey,
    /// A digest of the request: the same key with another one is a caller's mistake.
    pub request: Digest,
}

/// What was answered to the first request with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// A digest of that request.
    pub request: Digest,
    /// The stream that it changed.
    pub stream: StreamId,
    /// The stream's revision after it.
    pub revision: Revision,
    /// The position of its last event.
    pub position: Position,
}

/// What came of one append. Those of the same batch stand or fall each by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is recorded and durable.
    Recorded {
        /// The stream's revision now, which is that of the last event.
        revision: Revision,
        /// The position of the last event; the others lie right before it.
        position: Position,
    },
    /// The stream is not where the decision took it to be, or an append before this one, of the same batch and to the same
    /// stream, has lost: this one may have been decided on top of it.
    Conflict {
        /// How many events it has; in the second case that may be what was expected.
        actual: Revision,
    },
    /// A request with this idempotency key has been recorded before.
    Repeated(Answer),
    /// Another stream holds a value that this one wanted.
    Taken {
        /// The constraint's name.
        constraint: String,
        /// The value.
        value: String,
    },
}
