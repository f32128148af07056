//! What a plugin author depends on.
//!
//! A plugin is one bounded context: aggregates that decide, and read models that show what came of it. An author writes
//! plain types and what they do; their names, doc comments and rules are the API's.
//!
//! ```
//! use yado_sdk::prelude::*;
//!
//! /// Counts what passes by.
//! #[derive(State)]
//! pub struct Counter { count: u32 }
//!
//! #[derive(Command)]
//! pub enum CounterCommand {
//!     /// Sets up a counter.
//!     #[command(creates, returns = CounterRow)]
//!     SetUpCounter { #[schema(length(1..=50))] place: String },
//!     /// Counts.
//!     Count { id: Id<Counter>, #[schema(min = 1)] by: u32 },
//! }
//!
//! #[derive(Event)]
//! pub enum CounterEvent {
//!     CounterSetUp { place: String },
//!     Counted { by: u32 },
//! }
//!
//! impl Aggregate for Counter {
//!     type Command = CounterCommand;
//!     type Event = CounterEvent;
//!
//!     fn decide(counter: Option<&Self>, command: CounterCommand, _: &Context) -> Decision<CounterEvent> {
//!         match (counter, command) {
//!             (None, CounterCommand::SetUpCounter { place }) => record(CounterEvent::CounterSetUp { place }),
//!             (Some(counter), CounterCommand::Count { by, .. }) => {
//!                 ensure(counter.count.checked_add(by).is_some(), "counter_full", "The counter can't count further.")?;
//!                 record(CounterEvent::Counted { by })
//!             }
//!             (None, _) => reject("no_counter", "There is no such counter."),
//!             (Some(_), _) => reject("counter_exists", "The counter is set up already."),
//!         }
//!     }
//!
//!     fn evolve(counter: Option<Self>, event: CounterEvent) -> Option<Self> {
//!         match event {
//!             CounterEvent::CounterSetUp { .. } => Some(Self { count: 0 }),
//!             CounterEvent::Counted { by } => counter.map(|counter| Self { count: counter.count + by }),
//!         }
//!     }
//! }
//!
//! /// A counter as visitors see it.
//! #[derive(ReadModel)]
//! pub struct CounterRow { #[key] id: Id<Counter>, #[search] place: String, #[index] count: u32 }
//!
//! impl Projection for CounterRow {
//!     type Event = Recorded<CounterEvent>;
//!
//!     fn project(recorded: &Recorded<CounterEvent>, rows: &mut Rows<Self>) {
//!         match &recorded.event {
//!             CounterEvent::CounterSetUp { place } => rows.put(Self { id: recorded.id(), place: place.clone(), count: 0 }),
//!             CounterEvent::Counted { by } => rows.patch(&recorded.id(), |row| [row.count.plus(*by)]),
//!         }
//!     }
//! }
//!
//! plugin! { name: "counters", aggregates: [Counter], models: [CounterRow] }
//! ```
//!
//! A plugin has no clock, no randomness and no I/O: all that a decision may depend on is in its [`Context`]. So any
//! decision ever made can be made again, and the host makes sure of it when it links the component.

// The expansion of the macros names this crate from outside; its own tests and modules do so from inside.
extern crate self as yado_sdk;

mod aggregate;
#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used, reason = "wit-bindgen's code")]
#[doc(hidden)]
pub mod bindings;
mod context;
mod decision;
#[doc(hidden)]
pub mod declared;
#[doc(hidden)]
pub mod guest;
mod id;
#[doc(hidden)]
pub mod json;
#[doc(hidden)]
pub mod log;
#[doc(hidden)]
pub mod manifest;
#[cfg(any(all(feature = "allocator", target_family = "wasm", not(target_feature = "atomics")), test))]
mod memory;
mod model;
#[doc(hidden)]
pub mod part;
mod query;
mod recorded;
#[doc(hidden)]
pub mod schema;
#[cfg(all(feature = "test-kit", not(target_family = "wasm")))]
pub mod test_kit;
mod time;
#[doc(hidden)]
pub mod upcast;
mod value;

#[cfg(all(feature = "allocator", target_family = "wasm", not(target_feature = "atomics")))]
#[global_allocator]
static MEMORY: memory::Memory = memory::Memory::new();

pub use aggregate::{Aggregate, Command, Event, State};
pub use context::Context;
pub use decision::{Changes, Claims, Constraint, Decision, Events, Rejection, ensure, nothing, record, reject};
pub use declared::{Page, Query};
pub use id::{Entity, Id};
pub use model::{Amount, Change, Column, Find, Projection, ReadModel, Rows, Where};
pub use part::Part;
pub use query::{Ask, Asked};
pub use recorded::{Recorded, Source};
pub use rust_decimal::Decimal;
pub use time::{NotATime, Timestamp};
pub use value::Value;
pub use yado_sdk_macros::{Command, Event, Events, Foreign, Part, Query, ReadModel, State, Value, plugin, query};

/// All that the page of a plugin needs.
pub mod prelude {
    pub use crate::{
        Aggregate, Claims as _, Command, Context, Decimal, Decision, Event, Events, Foreign, Id, Part, Projection,
        Query, ReadModel, Recorded, Rejection, Rows, State, Timestamp, Value, debug, ensure, error, info, nothing,
        plugin, query, record, reject, trace, warn,
    };
}

/// What the macros expand to. It follows the macros, and is nobody else's.
#[doc(hidden)]
pub mod __private {
    pub use serde;

    pub use crate::aggregate::Message;
    pub use crate::model::{Column, leads_to};
    pub use crate::query::{Query, Surroundings};
    pub use crate::value::rules;
    pub use crate::{bindings, declared, guest, json, log, manifest, part, schema, upcast};
}
