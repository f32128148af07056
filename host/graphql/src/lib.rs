//! GraphQL, derived from what plugins say of themselves.
//!
//! Nobody writes a resolver: a command is a mutation, a read model is a type with queries for one row and for many, and
//! a relation is a field. The way of a request:
//!
//! | step | where |
//! | --- | --- |
//! | the API, as plain data, made of the manifests once for each deployment | `api` |
//! | HTTP: what a client may send, and the status of what it gets | `http` |
//! | the document is measured, parsed, and weighed; or it is known already | `document`, `cost`, `documents` |
//! | what root fields are given is read, and all that is wrong with it told | `input`, `execute` |
//! | validation and introspection, by async-graphql | `registry` |
//! | variables and arguments become JSON | `input`, `select`, `values` |
//! | the operation runs, a level at a time, and is answered as text | `execute`, `write` |
//!
//! A request keeps the deployment that it began with: it is read, checked and run by one API, whatever is deployed in
//! the meantime.

mod api;
mod backend;
mod cost;
mod current;
mod cursor;
mod document;
mod documents;
mod error;
mod execute;
mod graphiql;
mod graphql;
mod http;
mod input;
mod limits;
mod live;
mod names;
mod opened;
mod registry;
mod request;
mod select;
mod values;
mod write;

#[cfg(test)]
mod tests;

pub use graphql::GraphQl;
pub use http::{PATH, POSITION, SCHEMA_PATH, Streaming, post, router};
pub use limits::Limits;
pub use names::{field as field_name, is_enum_value};
pub use request::{Caller, Request, Response};
