//! The buses and the loops: everything between a surface and what is durable.
//!
//! A command goes through the bus to the shard that owns its stream, is decided there by a guest, and goes down the
//! lane into the log. Projections follow the log into read models, and queries read those without a guest. The
//! lifecycle changes the code under all of this while it runs.
//!
//! The crate knows stores and the runtime by their contracts. It speaks neither HTTP nor SQL, and names no domain.

mod bus;
pub mod catalogue;
mod deadline;
mod engine;
mod entropy;
mod error;
mod feed;
mod figures;
mod folder;
mod health;
mod lane;
mod lifecycle;
mod projection;
mod queries;
mod reads;
mod request;
mod settings;
mod stream;
mod surface;
mod sweep;
mod vigil;

pub use catalogue::{AggregateType, Catalogue, Clash, CommandType, Deployed, Model, ProjectionType, QueryType};
pub use engine::{Engine, Parts};
pub use error::{Error, Result};
pub use folder::{Folder, FolderError};
pub use health::{Check, Health};
pub use lifecycle::{Deployment, Refusal};
pub use queries::Ask;
pub use request::{Dispatch, DispatchOptions, Receipt};
pub use settings::Settings;
pub use surface::Surface;
pub use yado_store::{Each, Filter, Op, Order, Row, Select};
