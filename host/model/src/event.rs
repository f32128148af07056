//! Events: what a guest decides, and what the log keeps of it.

use uuid::Uuid;

use crate::{Actor, CommandId, Position, Revision, StreamId, TenantId, Timestamp};

/// An event that a guest has decided and that is not recorded yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The name that the manifest declares.
    pub name: String,
    /// The version of the payload's shape.
    pub version: u32,
    /// The facts: a JSON document.
    pub payload: String,
    /// Labels by which other decisions may find it.
    pub tags: Vec<String>,
}

/// Where an event comes from: the command, and what set that off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandMeta {
    /// The command whose decision the event is.
    pub command_id: CommandId,
    /// What ties together everything that one request set off.
    pub correlation_id: Uuid,
    /// What caused the command, where something other than a caller did.
    pub causation_id: Option<Uuid>,
    /// Who asked.
    pub actor: Option<Actor>,
}

/// An event of the log. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Whose it is.
    pub tenant: TenantId,
    /// To what it happened.
    pub stream: StreamId,
    /// Its number in the stream.
    pub revision: Revision,
    /// Its number in the log.
    pub position: Position,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What happened.
    pub event: NewEvent,
    /// Where it comes from.
    pub command: CommandMeta,
}
