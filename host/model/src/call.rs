//! What the host and a guest say to each other in a call.

use serde_json::Value;

use crate::{Actor, CommandId, EntityId, NewEvent, TenantId, Timestamp};

/// A request for a change, as a guest gets it: its arguments are checked, its circumstances are fixed.
#[derive(Debug, Clone)]
pub struct Command {
    /// The name that the manifest declares.
    pub name: String,
    /// The arguments: a JSON document.
    pub payload: String,
    /// The circumstances.
    pub context: Context,
}

/// Everything that an impure program would have asked its surroundings for.
#[derive(Debug, Clone)]
pub struct Context {
    /// Whose data this is.
    pub tenant: TenantId,
    /// The instance that is addressed.
    pub id: EntityId,
    /// The time of the decision.
    pub now: Timestamp,
    /// Who asks, where that is known.
    pub actor: Option<Actor>,
    /// The id of the command.
    pub command_id: CommandId,
    /// What ties together everything that one request sets off.
    pub correlation_id: uuid::Uuid,
    /// 128 bits of entropy.
    pub seed: (u64, u64),
}

/// What a command comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The events to record, in order.
    pub events: Vec<NewEvent>,
    /// Values taken and released along with them.
    pub claims: Vec<Claim>,
}

/// A change to who holds a value of a constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The stream takes the value. The command is rejected if another stream holds it.
    Take(ClaimValue),
    /// The stream lets go of the value, if it holds it.
    Release(ClaimValue),
}

/// A value that only one stream may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimValue {
    /// The constraint's name in the manifest.
    pub constraint: String,
    /// The value.
    pub value: String,
}

/// The domain says no.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// The domain's own code.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// The path of the argument at fault.
    pub field: Option<String>,
    /// Whatever else a program may want to know.
    pub details: Option<Value>,
}
