//! What running a request takes from the engine.
//!
//! A request runs against one deployment from its beginning to its end, so that the schema that it was read by and the
//! read models and commands that it uses belong together: whatever it asks for, it asks of the catalogue that it began with.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value as Json;
use yado_engine::{Ask, Catalogue, Dispatch, Each, Engine, Error, Model, Receipt, Result, Row, Select};
use yado_model::{Name, Position, TenantId};

/// What running a request takes from the engine. Read models go by their names in the deployment of the request.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Runs a command.
    async fn dispatch(&self, deployed: &Arc<Catalogue>, dispatch: Dispatch) -> Result<Receipt>;

    /// Waits until a read model shows everything up to a position.
    async fn caught_up(&self, deployed: &Catalogue, model: &Name, position: Position) -> Result<()>;

    /// The position up to which everything is in what is read of a read model from now on.
    fn position(&self, deployed: &Catalogue, model: &Name) -> Position;

    /// Rows by their keys, in any order: one statement.
    async fn rows(&self, deployed: &Catalogue, model: &Name, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>>;

    /// Rows by a selection, in its order: one statement.
    async fn select(&self, deployed: &Catalogue, model: &Name, tenant: &TenantId, select: &Select) -> Result<Vec<Row>>;

    /// A page of rows for each of several values of a field: one statement.
    async fn select_each(
        &self,
        deployed: &Catalogue,
        model: &Name,
        tenant: &TenantId,
        each: &Each,
        select: &Select,
    ) -> Result<Vec<Row>>;

    /// Asks a named query, which a guest answers.
    async fn ask(&self, deployed: &Catalogue, ask: Ask) -> Result<Json>;
}

fn known<'c>(deployed: &'c Catalogue, model: &Name) -> Result<&'c Arc<Model>> {
    deployed.model(model).ok_or_else(|| Error::Unknown { kind: "read model", name: model.as_str().to_owned() })
}

#[async_trait]
impl Backend for Engine {
    async fn dispatch(&self, deployed: &Arc<Catalogue>, dispatch: Dispatch) -> Result<Receipt> {
        self.dispatch(deployed, dispatch).await
    }

    async fn caught_up(&self, deployed: &Catalogue, model: &Name, position: Position) -> Result<()> {
        self.caught_up(known(deployed, model)?, position).await
    }

    fn position(&self, deployed: &Catalogue, model: &Name) -> Position {
        deployed.model(model).map_or(Position::ZERO, |model| self.position(model))
    }

    async fn rows(&self, deployed: &Catalogue, model: &Name, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>> {
        self.rows(known(deployed, model)?, tenant, keys).await
    }

    async fn select(&self, deployed: &Catalogue, model: &Name, tenant: &TenantId, select: &Select) -> Result<Vec<Row>> {
        self.select(known(deployed, model)?, tenant, select).await
    }

    async fn select_each(
        &self,
        deployed: &Catalogue,
        model: &Name,
        tenant: &TenantId,
        each: &Each,
        select: &Select,
    ) -> Result<Vec<Row>> {
        self.select_each(known(deployed, model)?, tenant, each, select).await
    }

    async fn ask(&self, deployed: &Catalogue, ask: Ask) -> Result<Json> {
        self.ask(deployed, ask).await
    }
}
