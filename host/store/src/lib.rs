//! What is durable: the event log, read-model tables with their checkpoints, snapshots, and the plugin registry.
//!
//! [`EventStore`] and [`ReadStore`] are contracts. [`open_events`] and [`open_reads`] give an adapter for the engine that
//! a URL names, and apply its migrations first. One suite, `conformance` (behind the feature `test-support`), holds every
//! adapter to the contracts.
//!
//! Everything that is written goes down in one transaction a call, so that a process killed at any moment leaves all of
//! a batch or nothing of it.
//!
//! Nothing here knows guests, GraphQL, or what an event means. SQL stays within the adapters.

mod append;
mod cell;
mod claims;
#[cfg(feature = "test-support")]
pub mod conformance;
mod decimal;
mod error;
mod kinds;
pub mod limits;
mod log;
mod number;
mod open;
mod page;
mod postgres;
mod read;
mod recorded;
mod room;
mod rows;
mod snapshot;
mod sqlite;
mod table;
#[cfg(feature = "test-support")]
pub mod testing;

pub use append::{Answer, Append, Appended, Draft, Idempotency};
pub use claims::{ClaimDifference, ClaimsReport};
pub use error::{Error, Result};
pub use kinds::EventKind;
pub use log::{EventStore, Forgotten, PluginRecord, PluginVersion, StreamPage};
pub use open::{Options, open_events, open_reads};
pub use read::{
    Aggregate, ChangeKind, ChangePage, ChangeQuery, Changed, Checkpoint, Committed, Each, Filter, Function, Group,
    Held, LetterId, Link, Mark, NoLetter, Op, Order, Parked, Progress, ProjectionState, Quantifier, ReadStore, Row,
    Scope, Select, Step, TableWrites, TablesInUse, Write,
};
pub use rows::{Rows, Shown};
pub use snapshot::Snapshot;
pub use table::{Column, Kind, LAYOUT_VERSION, Table};
