//! The contract of the read side.

pub(crate) mod aggregate;
pub(crate) mod changes;
mod filter;
pub(crate) mod matches;
pub(crate) mod search;
pub(crate) mod select;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use uuid::Uuid;
use yado_model::{CommandId, Position, RecordedEvent, TenantId};

use crate::limits::{self, LONGEST_NAME};
use crate::number::{loaded, stored};
use crate::{Error, Result, Table};

/// A row of a read model, as JSON: what is not in it is null.
pub type Row = Map<String, Value>;

/// Read-model tables, and how far the projections that fill them have come.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// Makes a table if it is not there, with its indexes. One that is there has the same columns, because its name says
    /// what they are.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] if a table of this name has other columns all the same: its rows can't be read as what
    /// they are meant to be, and whoever finds this drops the table and fills it anew.
    async fn ensure_table(&self, table: &Table) -> Result<()>;

    /// Removes a table, if it is there. Refuses names that are not those of read models.
    async fn drop_table(&self, name: &str) -> Result<()>;

    /// The names of all read-model tables.
    async fn tables(&self) -> Result<Vec<String>>;

    /// How far a projection has come; zero if it has not begun.
    async fn checkpoint(&self, projection: &str) -> Result<Checkpoint>;

    /// Forgets how far a projection has come.
    async fn forget_checkpoint(&self, projection: &str) -> Result<()>;

    /// Forgets how far a projection has come, and removes its tables, in one transaction: neither are rows left under a
    /// checkpoint of zero, nor a checkpoint over tables that are empty. Refuses names that are not those of read models.
    async fn discard(&self, projection: &str, tables: &[&str]) -> Result<()>;

    /// Empties a projection's tables, which must be there, and forgets how far it has come, in one transaction. If the
    /// checkpoint is not `from` any more, somebody else has done the work, and has perhaps gone on since: nothing is
    /// changed then. Refuses names that are not those of read models.
    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed>;

    /// Writes rows and moves a projection's checkpoint in one transaction. If the checkpoint is not
    /// `progress.from` any more, somebody else has done the work: nothing is written then.
    async fn commit(&self, progress: &Progress<'_>, writes: &[TableWrites<'_>]) -> Result<Committed>;

    /// Rows by their keys, in any order, with all of the table's columns, null or not; keys without a row are left out. One statement.
    async fn rows(&self, table: &Table, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>>;

    /// Rows that meet a selection, in its order. One statement.
    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Vec<Row>>;

    /// Rows that meet a selection for each of several values of a column: the limit and the offset are those of one
    /// value. Rows of one value are together, in the selection's order; values are in any order. One statement.
    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Vec<Row>>;

    /// How many rows meet a filter. One statement.
    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64>;

    /// How many rows there are in each group, and what is computed of them. Without columns to group by there is exactly
    /// one group, of all rows that meet the filter, even if there are none. One statement.
    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<()>;

    /// Waits for what is under way, and closes all connections.
    async fn close(&self);
}

/// How far a projection has come, and in which log: a position alone says nothing once the log has been restored from a
/// backup and has grown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything up to here is in its rows.
    pub position: Position,
    /// The command whose event is there. Not known where there is none, or where nobody has said.
    pub command: Option<CommandId>,
}

/// A step of a projection.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// Which projection.
    pub projection: &'a str,
    /// Where it was.
    pub from: Checkpoint,
    /// Where it is after this.
    pub to: Checkpoint,
}

/// Whether a step was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Rows and checkpoint are durable.
    Yes,
    /// The checkpoint is this one instead; nothing was written.
    Elsewhere(Checkpoint),
}

/// The changes to one table.
#[derive(Debug, Clone)]
pub struct TableWrites<'a> {
    /// The table.
    pub table: &'a Table,
    /// The changes; a row appears at most once.
    pub writes: Vec<(TenantId, Write)>,
}

/// A change to one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// The row is this from now on.
    Put(Row),
    /// There is no row with this key from now on.
    Delete(String),
}

/// Which rows, in which order.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// Which rows; all of them if there is no filter.
    pub filter: Option<Filter>,
    /// First by the first, then by the second, and so on; at last by key, ascending, so that pages don't overlap.
    pub order: Vec<Order>,
    /// At most so many.
    pub limit: u32,
    /// So many are skipped first.
    pub offset: u32,
}

/// What is computed of rows, all together or in groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Which rows; all of them if there is no filter.
    pub filter: Option<Filter>,
    /// Rows of one group have the same values in these columns, nothing being one of them. Groups are in ascending order
    /// of these, nothing last.
    pub by: Vec<String>,
    /// What is computed, and of which column. What a column does not hold in a row is left out.
    pub of: Vec<(Function, String)>,
    /// At most so many groups, of those that `by` makes.
    pub limit: u32,
    /// So many are skipped first.
    pub offset: u32,
}

/// What is computed of a column's values. Of no values, it is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The sum of numbers. Of whole and of decimal numbers it is exact, and a decimal number: a string. Of floating point
    /// numbers it is one, of which the last digits depend on the order of the sum.
    Sum,
    /// The sum, divided by how many values there are. Of whole and of decimal numbers it is a decimal number, rounded half
    /// to even to six digits more than the values have behind the point.
    Avg,
    /// The least, of numbers, texts and times. Of decimal numbers that are equal it is spelled as one of them.
    Min,
    /// The greatest, likewise.
    Max,
}

/// A group of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What the rows have in common: the columns they are grouped by, null or not.
    pub key: Row,
    /// How many rows.
    pub count: u64,
    /// What was computed, in the order in which it was asked for.
    pub values: Vec<Value>,
}

/// The values of a column of which each gets rows of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Each {
    /// The column.
    pub field: String,
    /// The values, as a row has them.
    pub values: Vec<Value>,
}

/// A condition on rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Each of these holds.
    All(Vec<Filter>),
    /// At least one of these holds.
    Any(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
    /// A comparison of a column with a value. Null is compared with [`Filter::Null`], not with this.
    Compare {
        /// The column.
        field: String,
        /// The comparison.
        op: Op,
        /// The value, as a row has it.
        value: Value,
    },
    /// A column's value is one of these.
    In {
        /// The column.
        field: String,
        /// The values, as a row has them.
        values: Vec<Value>,
    },
    /// A column holds nothing.
    Null {
        /// The column.
        field: String,
    },
    /// Of the rows that a relation leads to, none, some or all meet a condition. At most [`limits::DEEPEST_RELATION`]
    /// relations lead on from one to the next, and at most [`limits::MOST_RELATIONS`] are in one filter.
    Related {
        /// The relation.
        link: Arc<Link>,
        /// How many of them.
        quantifier: Quantifier,
        /// The condition, on their columns; without one, all of them meet it.
        filter: Option<Box<Filter>>,
    },
}

/// A relation: the way from a row to those of a table of the same database that hold the same value. Rows of other tenants
/// are never related, and what holds nothing is related to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The table that it leads to.
    pub table: Table,
    /// The column of the row that it leads from. For a relation to one it holds the other's key.
    pub from: String,
    /// The column of the rows that it leads to. For a relation to one it is their key.
    pub to: String,
}

/// How many related rows must meet a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Some,
    /// Not one, as where there are none.
    None,
    /// Each of them, as where there are none.
    Every,
}

/// A comparison. Texts compare by their code points, whatever the server's locale; those of the last three without
/// regard to the case of single letters, after Unicode. But for [`Op::NotEqual`], a column that holds nothing meets none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Equal.
    Equal,
    /// Not equal: the opposite of [`Op::Equal`]. A column that holds nothing is not equal to any value.
    NotEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
    /// The column's text contains the value.
    Contains,
    /// The column's text begins with the value.
    StartsWith,
    /// The column's text ends with the value.
    EndsWith,
}

/// An order by one column. What is null comes last either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The column.
    pub field: String,
    /// Whether the greatest comes first.
    pub descending: bool,
}

impl Checkpoint {
    /// Where a projection begins.
    pub const START: Self = Self { position: Position::ZERO, command: None };

    /// From what is stored.
    pub(crate) fn loaded(position: i64, command: Option<Uuid>) -> Result<Self> {
        Ok(Self { position: Position::new(loaded(position, "the checkpoints")?), command: command.map(CommandId) })
    }
}

impl From<&RecordedEvent> for Checkpoint {
    fn from(event: &RecordedEvent) -> Self {
        Self { position: event.position, command: Some(event.command.command_id) }
    }
}

impl From<Position> for Checkpoint {
    fn from(position: Position) -> Self {
        Self { position, command: None }
    }
}

impl Progress<'_> {
    /// Whether the step can be taken at all.
    pub(crate) fn check(&self) -> Result<()> {
        limits::text("the name of a projection", self.projection, LONGEST_NAME)?;
        let Self { projection, from: Checkpoint { position: from, .. }, to: Checkpoint { position: to, .. } } = self;
        if to < from {
            return Err(Error::Invalid(format!("the projection {projection} can't go back from {from} to {to}")));
        }
        stored(to.get()).map(|_| ())
    }
}
