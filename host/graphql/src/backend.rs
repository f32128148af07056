//! What running a request takes from the engine.
//!
//! A request runs against one deployment from its beginning to its end, so that the schema that it was read by and the
//! read models and commands that it uses belong together. [`Deployment`] is that: an engine, and a catalogue of it.

use std::sync::Arc;

use async_trait::async_trait;
use yado_engine::{Catalogue, Dispatch, Each, Engine, Error, Model, Receipt, Result, Row, Select};
use yado_model::{Name, Position, TenantId};

/// What running a request takes from the engine. Read models go by their names.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Runs a command.
    async fn dispatch(&self, dispatch: Dispatch) -> Result<Receipt>;

    /// Waits until a read model shows everything up to a position.
    async fn caught_up(&self, model: &Name, position: Position) -> Result<()>;

    /// Rows by their keys, in any order: one statement.
    async fn rows(&self, model: &Name, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>>;

    /// Rows by a selection, in its order: one statement.
    async fn select(&self, model: &Name, tenant: &TenantId, select: &Select) -> Result<Vec<Row>>;

    /// A page of rows for each of several values of a field: one statement.
    async fn select_each(&self, model: &Name, tenant: &TenantId, each: &Each, select: &Select) -> Result<Vec<Row>>;
}

/// An engine, and a catalogue of it.
pub(crate) struct Deployment {
    pub(crate) engine: Engine,
    pub(crate) catalogue: Arc<Catalogue>,
}

impl Deployment {
    fn model(&self, name: &Name) -> Result<&Arc<Model>> {
        self.catalogue.model(name).ok_or_else(|| Error::Unknown { kind: "read model", name: name.as_str().to_owned() })
    }
}

#[async_trait]
impl Backend for Deployment {
    async fn dispatch(&self, dispatch: Dispatch) -> Result<Receipt> {
        self.engine.dispatch(&self.catalogue, dispatch).await
    }

    async fn caught_up(&self, model: &Name, position: Position) -> Result<()> {
        self.engine.caught_up(self.model(model)?, position).await
    }

    async fn rows(&self, model: &Name, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>> {
        self.engine.rows(self.model(model)?, tenant, keys).await
    }

    async fn select(&self, model: &Name, tenant: &TenantId, select: &Select) -> Result<Vec<Row>> {
        self.engine.select(self.model(model)?, tenant, select).await
    }

    async fn select_each(&self, model: &Name, tenant: &TenantId, each: &Each, select: &Select) -> Result<Vec<Row>> {
        self.engine.select_each(self.model(model)?, tenant, each, select).await
    }
}
