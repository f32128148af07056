//! Both adapters, held to the contracts.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod appending;
mod postgres;
mod schema;
mod sqlite;
mod upgrade;
