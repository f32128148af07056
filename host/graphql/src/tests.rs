//! Tests of the whole way from a document to its answer, over plugins that exist as manifests only.
//!
//! The backend of these tests keeps its rows in memory and counts what it is asked. That real guests and databases give
//! the same answers is tested end to end, elsewhere.

mod aggregates;
mod connections;
mod consistency;
mod declared;
mod documents;
mod fixture;
mod http;
mod many;
mod measures;
mod mutations;
mod named;
mod names;
mod past;
mod patience;
mod queries;
mod related;
mod sdl;
mod sse;
mod subscriptions;
mod ws;
