//! What running a request takes from the engine.
//!
//! A request runs against one deployment from its beginning to its end, so that the schema that it was read by and the
//! read models and commands that it uses belong together: whatever it asks for, it asks of the catalogue that it began with.

use std::sync::Arc;

use async_trait::async_trait;
use yado_engine::{Catalogue, Dispatch, Each, Engine, Error, Model, Receipt, Result, Row, Select};
use yado_model::{Name, Position, TenantId};

/// What running a request takes from the engine. Read models go by their names in the deployment of the request.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Runs a command.
    async fn dispatch(&self, deployed: &Arc<Catalogue>, dispatch: Dispatch) -> Result<Receipt>;

    /// Waits until a read model shows everything up to a position.
    async fn caught_up(&self, deployed: &Catalogue, model: &Name, position: Position) -> Result<()>;

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
}
