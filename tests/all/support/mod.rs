//! What the tests stand on: a server that ships, its plugins, and a GraphQL client.

mod client;
mod guests;
mod patience;
mod server;
mod way;

pub(crate) use client::Client;
pub(crate) use guests::{component, variant};
pub(crate) use patience::eventually;
pub(crate) use server::{Server, yado};
pub(crate) use way::{Freight, Journey, Way};
