//! What running a request takes from the engine.
//!
//! A request runs in one session, against one deployment, from its beginning to its end: the schema that it was read by
//! and the read models and commands that it uses belong together. The session knows who asks and by when the answer has to
//! be there, so nothing of a request has a clock of its own: whatever it asks for is refused once its time is over.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value as Json;
use yado_engine::{
    Aggregate, Answered, Catalogue, Circumstances, CommandOptions, Each, Engine, Filter, Group, PageOptions, Receipt,
    Result, Rows, Select, Table, What,
};
use yado_model::{Name, Position, StreamId};

/// Opens sessions.
pub(crate) trait Backend: Send + Sync {
    /// A session for one request, against one deployment.
    fn session(&self, deployed: &Arc<Catalogue>, circumstances: Circumstances) -> Box<dyn Session>;
}

/// What a request asks for. Read models go by their names in its deployment.
#[async_trait]
pub(crate) trait Session: Send + Sync {
    /// Runs a command.
    async fn dispatch(&self, command: &Name, payload: Json, options: CommandOptions) -> Result<Receipt>;

    /// Waits until a read model shows everything up to a position.
    async fn caught_up(&self, model: &Name, position: Position) -> Result<()>;

    /// Waits until a read model shows what has been recorded of a stream.
    async fn shows(&self, model: &Name, stream: &StreamId, position: Position) -> Result<()>;

    /// The position up to which everything is in what is read of a read model from now on.
    fn position(&self, model: &Name) -> Position;

    /// Rows by their keys, in any order, with these columns and the key, or with all columns: one statement.
    async fn rows(&self, model: &Name, keys: &[String], columns: Option<&[String]>) -> Result<Rows>;

    /// Rows by a selection, in its order: one statement.
    async fn select(&self, model: &Name, select: &Select) -> Result<Rows>;

    /// A page of rows for each of several values of a field: one statement.
    async fn select_each(&self, model: &Name, each: &Each, select: &Select) -> Result<Rows>;

    /// How many rows meet a filter: one statement.
    async fn count(&self, model: &Name, filter: Option<&Filter>) -> Result<u64>;

    /// What is computed of rows, all together or in groups: one statement.
    async fn aggregate(&self, model: &Name, aggregate: &Aggregate) -> Result<Vec<Group>>;

    /// The same for each of several values of a field, each group with its value: one statement.
    async fn aggregate_each(&self, model: &Name, each: &Each, aggregate: &Aggregate) -> Result<Vec<(Json, Group)>>;

    /// The table of a read model, for conditions on rows that are related to others.
    fn table(&self, model: &Name) -> Result<Table>;

    /// Asks a named query.
    async fn ask(&self, query: &Name, arguments: Json, page: PageOptions) -> Result<Answered>;

    /// Lets a subscription begin, or refuses it.
    fn admit(&self, what: What<'_>) -> Result<()>;
}

impl Backend for Engine {
    fn session(&self, deployed: &Arc<Catalogue>, circumstances: Circumstances) -> Box<dyn Session> {
        Box::new(self.session(deployed, circumstances))
    }
}

#[async_trait]
impl Session for yado_engine::Session {
    async fn dispatch(&self, command: &Name, payload: Json, options: CommandOptions) -> Result<Receipt> {
        self.dispatch(command, payload, options).await
    }

    async fn caught_up(&self, model: &Name, position: Position) -> Result<()> {
        self.caught_up(model, position).await
    }

    async fn shows(&self, model: &Name, stream: &StreamId, position: Position) -> Result<()> {
        self.shows(model, stream, position).await
    }

    fn position(&self, model: &Name) -> Position {
        self.position(model)
    }

    async fn rows(&self, model: &Name, keys: &[String], columns: Option<&[String]>) -> Result<Rows> {
        self.rows(model, keys, columns).await
    }

    async fn select(&self, model: &Name, select: &Select) -> Result<Rows> {
        self.select(model, select).await
    }

    async fn select_each(&self, model: &Name, each: &Each, select: &Select) -> Result<Rows> {
        self.select_each(model, each, select).await
    }

    async fn count(&self, model: &Name, filter: Option<&Filter>) -> Result<u64> {
        self.count(model, filter).await
    }

    async fn aggregate(&self, model: &Name, aggregate: &Aggregate) -> Result<Vec<Group>> {
        self.aggregate(model, aggregate).await
    }

    async fn aggregate_each(&self, model: &Name, each: &Each, aggregate: &Aggregate) -> Result<Vec<(Json, Group)>> {
        self.aggregate_each(model, each, aggregate).await
    }

    fn table(&self, model: &Name) -> Result<Table> {
        self.table(model).cloned()
    }

    async fn ask(&self, query: &Name, arguments: Json, page: PageOptions) -> Result<Answered> {
        self.ask(query, arguments, page).await
    }

    fn admit(&self, what: What<'_>) -> Result<()> {
        self.admit(what)
    }
}
