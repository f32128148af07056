//! The vocabulary of Yado: what all other crates say to each other.
//!
//! Everything here is plain data with its rules in its types. A value of these types was checked when it was made and
//! is never checked again. The crate does no I/O, knows no engine, and names no example domain.

mod call;
mod code;
mod digest;
mod event;
mod fold;
mod id;
pub mod manifest;
mod number;
pub mod schema;
mod time;

pub use call::{Claim, ClaimValue, Command, Context, Decision, Rejection};
pub use code::Code;
pub use digest::Digest;
pub use event::{CommandMeta, NewEvent, RecordedEvent};
pub use fold::fold;
pub use id::{Actor, CommandId, EntityId, IdempotencyKey, Invalid, Name, StreamId, TenantId};
pub use manifest::Manifest;
pub use number::{Position, Revision};
pub use time::Timestamp;
