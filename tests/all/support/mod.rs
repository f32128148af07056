//! What the tests stand on: a server that ships, its plugins, and a GraphQL client.

mod bridge;
mod client;
mod documents;
mod guests;
mod patience;
mod server;
mod socket;
mod way;

pub(crate) use bridge::packages;
pub(crate) use client::Client;
pub(crate) use documents::Documents;
pub(crate) use guests::{component, variant};
pub(crate) use patience::{PATIENCE, eventually, patient, patient_options};
pub(crate) use server::{Server, yado};
pub(crate) use socket::{Heard, Socket};
pub(crate) use way::{Freight, Journey, Way};
