//! The buses and the loops: everything between a surface and what is durable.
//!
//! A command goes through the bus to the shard that owns its stream, is decided there by a guest, and goes down the
//! lane into the log. Projections follow the log into read models, and queries read those without a guest. The
//! lifecycle changes the code under all of this while it runs.
//!
//! The crate knows stores and the runtime by their contracts. It speaks neither HTTP nor SQL, and names no domain.

pub mod advice;
mod bus;
pub mod catalogue;
mod changes;
mod deadline;
mod engine;
mod entropy;
mod error;
mod events;
mod feed;
mod figures;
mod folder;
mod health;
mod lane;
mod layers;
mod lifecycle;
mod projection;
mod queries;
mod reads;
mod request;
mod session;
mod settings;
mod stream;
mod surface;
mod sweep;
mod vigil;

pub use advice::Advice;
pub use catalogue::{AggregateType, Catalogue, Clash, CommandType, Deployed, Model, ProjectionType, QueryType};
pub use changes::{ChangeStream, Cursor, NoCursor};
pub use engine::{DeadLetter, Engine, Parts, ProjectionState, ProjectionStatus};
pub use error::{Error, Result};
pub use events::{EventPage, Events};
pub use folder::{Folder, FolderError};
pub use health::{Check, Health};
pub use layers::{Asked, Denial, Everyone, Guard, Hooks, Kind, Observer, Outcome, Until, What};
pub use lifecycle::{Deployment, Refusal};
pub use projection::Replayed;
pub use queries::{Answered, PageOptions};
pub use request::{Dispatch, DispatchOptions, Receipt};
pub use session::{Circumstances, CommandOptions, Session};
pub use settings::Settings;
pub use surface::Surface;
pub use yado_store::Kind as ColumnKind;
pub use yado_store::{
    Aggregate, ChangeKind, Changed, Column, Each, Filter, Function, Group, LetterId, Link, Mark, Op, Order, Parked,
    Quantifier, Row, Rows, Scope, Select, Shown, Table,
};
