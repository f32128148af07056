//! What is asked of the engine, and what it answers.

use serde_json::Value;
use uuid::Uuid;
use yado_model::{Actor, IdempotencyKey, Name, Position, Revision, StreamId, TenantId};

/// A command to dispatch.
#[derive(Debug, Clone)]
pub struct Dispatch {
    /// Whose data it changes.
    pub tenant: TenantId,
    /// The command's name.
    pub command: Name,
    /// Its arguments: an object, not checked yet.
    pub payload: Value,
    /// What the caller wants beside it.
    pub options: DispatchOptions,
}

/// What a caller may want beside the command itself.
#[derive(Debug, Clone, Default)]
pub struct DispatchOptions {
    /// The caller's name for the request: a repetition under the same name gets the first answer, and records nothing.
    ///
    /// What is kept is the answer to a request that recorded something. A refusal is none to keep: the request may be
    /// repeated under the same name, and succeeds as soon as the domain lets it. Nor is an answer that nothing had to
    /// be changed. Either way a request takes effect at most once.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The revision that the stream must be at.
    pub expected_revision: Option<Revision>,
    /// Who asks.
    pub actor: Option<Actor>,
    /// What ties this request to others; by default it begins a correlation of its own.
    pub correlation_id: Option<Uuid>,
    /// The event or command that caused this one.
    pub causation_id: Option<Uuid>,
}

/// What a command has come to: it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The stream that it addressed.
    pub stream: StreamId,
    /// The stream's revision after it.
    pub revision: Revision,
    /// The position of its last event. If it changed nothing, a position at which everything it saw was recorded.
    pub position: Position,
    /// Whether it recorded events. A command may find that everything is as it asks for.
    pub changed: bool,
    /// Whether this is the answer to an earlier request with the same idempotency key.
    pub repeated: bool,
}
