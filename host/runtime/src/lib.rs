//! Runs guests: the only crate that knows wasmtime.
//!
//! [`Runtime::load`] turns a file into a [`Plugin`], or says why it can't be one. A plugin's methods are the calls that a
//! guest answers, each with plain values of `yado_model` on either side. What a guest may use up is bounded by
//! [`Limits`]; whatever it does, a call ends in time, and ends as an answer or as a [`Fault`]. A fault never reaches
//! another call: the instance that it happened in is thrown away.
//!
//! The crate does not know where rows come from ([`Rows`] is for the engine to implement), what a decision means, or
//! which of a manifest's parts are in use. It never interprets a payload; what an upcast makes is
//! seen to be JSON, because it goes back to the guest unread.

mod bindings;
mod cache;
mod clock;
mod component;
mod contract;
mod convert;
mod deadline;
mod fault;
mod host;
mod instance;
mod json;
mod plugin;
mod pool;
mod refused;
mod rows;
mod runtime;
mod settings;

pub use contract::Exports;
pub use fault::{Fault, FaultKind};
pub use plugin::{Answer, Origin, Plugin};
pub use refused::{Forbidden, Refused};
pub use rows::{Comparison, Condition, Ordering, Rows, RowsError, Selection};
pub use runtime::{Error, Runtime};
pub use settings::{Isolation, Limits, Settings};
