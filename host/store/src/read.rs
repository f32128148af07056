//! The contract of the read side.

pub(crate) mod aggregate;
pub(crate) mod changed;
pub(crate) mod changes;
mod filter;
pub(crate) mod matches;
mod order;
pub(crate) mod parked;
pub(crate) mod search;
mod seek;
pub(crate) mod select;
pub(crate) mod sql;
pub(crate) mod statements;
pub(crate) mod uses;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};
use yado_model::{CommandId, Position, RecordedEvent, TenantId};

use crate::limits::{self, LONGEST_NAME};
use crate::number::stored;
use crate::{Error, Forgotten, Result, Rows, Table};

pub use changed::{ChangeKind, ChangePage, ChangeQuery, Changed};
pub use parked::{Held, LetterId, NoLetter, Parked, ProjectionState, Scope};
pub use uses::TablesInUse;

/// A row of a read model, as JSON: what is not in it is null.
pub type Row = Map<String, Value>;

/// Read-model tables, and how far the projections that fill them have come.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// The same store for one request: what is read through it takes up no more in all than what one statement finds may take
    /// up otherwise ([`crate::Options::answer_bytes`]). What is too much for that is refused, and the others have what it
    /// leaves.
    fn for_request(&self) -> Arc<dyn ReadStore>;

    /// Makes a table if it is not there, with its indexes. One that is there has the same columns, because its name says
    /// what they are, and gets the indexes that it lacks, but for that of searches. To make them may take longer than anybody should wait: they may
    /// be made after this has returned, and reading is only slower until then.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] if a table of this name has other columns all the same: its rows can't be read as what
    /// they are meant to be, and whoever finds this drops the table and fills it anew.
    async fn ensure_table(&self, table: &Table) -> Result<()>;

    /// Makes the index that searches are quick by, where the engine has one and the table is searched. That is for when a table
    /// has been filled: to keep it up meanwhile takes longer than to make it then. It may be made after this has returned, and
    /// searches are only slower until then.
    async fn index_search(&self, table: &Table) -> Result<()>;

    /// Drops the indexes of a table that the store has made, and that are none of it any more. A table that is not there
    /// has none.
    async fn prune_indexes(&self, table: &Table) -> Result<()>;

    /// Whether an index serves searches, so that plugins can be told if none does.
    async fn searches_by_index(&self) -> Result<bool>;

    /// Removes a table, if it is there. Refuses names that are not those of read models.
    async fn drop_table(&self, name: &str) -> Result<()>;

    /// The names of all read-model tables.
    async fn tables(&self) -> Result<Vec<String>>;

    /// How far a projection has come; zero if it has not begun.
    async fn checkpoint(&self, projection: &str) -> Result<Checkpoint>;

    /// How far each of several projections has come, in the order in which they are asked for. One statement.
    async fn checkpoints(&self, projections: &[&str]) -> Result<Vec<Checkpoint>>;

    /// Forgets how far a projection has come.
    async fn forget_checkpoint(&self, projection: &str) -> Result<()>;

    /// Empties a projection's tables, which must be there, and forgets how far it has come, in one transaction. If the
    /// checkpoint is not `from` any more, somebody else has done the work, and has perhaps gone on since: nothing is
    /// changed then. Refuses names that are not those of read models.
    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed>;

    /// Takes a step of a projection: rows, what is told of them, and the checkpoint in one transaction. If the checkpoint
    /// is not `step.progress.from` any more, somebody else has done the work: nothing is written then.
    async fn commit(&self, step: &Step<'_>) -> Result<Committed>;

    /// What a projection has told of the rows that it changes. One statement, so that all of it is of one moment. Texts of
    /// rows that are not asked for, or have no room on the page, are not read.
    async fn changes(&self, projection: &str, asked: &ChangeQuery<'_>) -> Result<ChangePage>;

    /// Forgets what a projection has told up to a position, in one piece of bounded size: what is left of it is not handed
    /// out any more.
    async fn forget_changes(&self, projection: &str, up_to: Position) -> Result<Forgotten>;

    /// How many changes of a projection are kept. It counts them, which takes longer the more there are.
    async fn count_changes(&self, projection: &str) -> Result<u64>;

    /// Rows by their keys, in any order, with these columns and the key, or with all columns; keys without a row are left out.
    /// One statement.
    async fn rows(&self, table: &Table, tenant: &TenantId, keys: &[String], columns: Option<&[String]>)
    -> Result<Rows>;

    /// Rows that meet a selection, in its order. One statement.
    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Rows>;

    /// Rows that meet a selection for each of several values of a column: the limit and the offset are those of one
    /// value. Rows of one value are together, in the selection's order; values are in any order. One statement.
    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Rows>;

    /// How many rows meet a filter. One statement.
    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64>;

    /// How many rows there are in each group, and what is computed of them. Without columns to group by there is exactly
    /// one group, of all rows that meet the filter, even if there are none. One statement.
    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>>;

    /// The streams that wait because a projection fails at one of their events: of one projection or of all, those of
    /// each in the order of the events, at most `limit`.
    async fn parked(&self, projection: Option<&str>, limit: u32) -> Result<Vec<(String, Parked)>>;

    /// One dead letter of a projection.
    async fn letter(&self, projection: &str, id: &LetterId) -> Result<Option<Parked>>;

    /// What stands of a plugin's projection beside its progress.
    async fn projection_state(&self, plugin: &str, projection: &str) -> Result<ProjectionState>;

    /// Changes what stands of a plugin's projection beside its progress, if it is still `from`. Says whether it was.
    async fn set_projection_state(
        &self,
        plugin: &str,
        projection: &str,
        from: &ProjectionState,
        to: &ProjectionState,
    ) -> Result<bool>;

    /// The same for each of several values of a column: `by`, the limit and the offset are those of one value. Without
    /// columns to group by there is exactly one group for each value, even if it has no rows. Groups of one value are
    /// together, in their order; values are in any order. One statement.
    async fn aggregate_each(
        &self,
        table: &Table,
        tenant: &TenantId,
        each: &Each,
        aggregate: &Aggregate,
    ) -> Result<Vec<(Value, Group)>>;

    /// Says that a process uses projections' tables, which need not be there yet. It holds for a while, and is said again and
    /// again. What other processes have said of the same projections too long ago is forgotten: it was not said by any that is
    /// still there.
    async fn use_tables(&self, process: &str, tables: &[TablesInUse], unused_ms: u64) -> Result<()>;

    /// Tables of which no process has said for so long that it uses them.
    async fn unused_tables(&self, unused_ms: u64) -> Result<Vec<TablesInUse>>;

    /// Takes back that a process uses any tables: it is about to end. From this moment on they are as those of which nobody
    /// has said anything for so long.
    async fn leave_tables(&self, process: &str, unused_ms: u64) -> Result<()>;

    /// Forgets how far a projection has come, and removes its tables, in one transaction: neither are rows left under a
    /// checkpoint of zero, nor a checkpoint over tables that are empty. But if another process has said within so long a
    /// time that it uses the tables nothing is removed. Says whether none has. Either way the process that says this uses
    /// them no more. Refuses names that are not those of read models.
    async fn discard_unused(&self, process: &str, tables: &TablesInUse, unused_ms: u64) -> Result<bool>;

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
    /// How often streams that were parked have been taken up again. Rows change then although the position does not, so
    /// that whoever else has the same rows in memory must find the checkpoint elsewhere.
    pub replays: u64,
}

/// A step of a projection: what is written in one transaction.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Step<'a> {
    /// How the checkpoint moves.
    pub progress: Progress<'a>,
    /// What becomes of rows.
    pub writes: &'a [TableWrites<'a>],
    /// What is told of the rows that have changed, in the order of positions and places.
    pub changes: &'a [Arc<Changed>],
    /// All changes after this position are among `changes`. If it is not there none are told of what the step has passed,
    /// and nothing is handed out any more of what was told before.
    pub changes_from: Option<Position>,
    /// What waits from now on, or still does, each with its dead letter.
    pub parked: &'a [Parked],
    /// What waits no more.
    pub released: &'a [Held],
}

/// How a projection's checkpoint moves.
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

/// Which rows, in which order. [`Select::page`] is one to begin with.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// Which rows; all of them if there is no filter.
    pub filter: Option<Filter>,
    /// First by the first, then by the second, and so on; at last by key, in the direction of the last of these, so that
    /// pages don't overlap.
    pub order: Vec<Order>,
    /// At most so many.
    pub limit: u32,
    /// So many are skipped first.
    pub offset: u32,
    /// What is read of each row, beside its key, which always is, and the column of an [`Each`]; everything, if nothing is
    /// said.
    pub columns: Option<Vec<String>>,
    /// Only rows that come after this place in the order.
    pub after: Option<Mark>,
    /// Only rows that come before this place in the order.
    pub before: Option<Mark>,
    /// Whether it is the last rows that are wanted instead of the first, and so many of the last that are skipped. They
    /// come in the same order all the same.
    pub backward: bool,
    /// Whether what rows are put in order by and relations lead to is read as well, as a mark needs it: it stands beside
    /// each row ([`Rows::beside`]). Not for each of several values.
    pub beside: bool,
}

/// A place in an order: that of the row with these values, which need not be there any more. Unlike a number of rows to
/// skip, it stays where it is while rows come and go.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// What the row holds in the columns of the order, each in its place; null where it holds nothing.
    pub values: Vec<Value>,
    /// Its key.
    pub key: String,
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
    /// Each of these words is in one of the columns that the table is searched by, whatever the case and the width of its
    /// letters. No words are found in every row. At most [`limits::MOST_WORDS`] are looked for at once.
    Search {
        /// The words.
        words: Vec<String>,
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

/// A comparison. Texts compare by their code points, whatever the server's locale; but the last three look at a column
/// that the table is searched by without regard to the case and the width of letters. But for [`Op::NotEqual`], a column
/// that holds nothing meets none of them.
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
    /// The relations that lead to the column's rows, from one to the next, each to a row's key: none to the rows' own
    /// columns. Where they lead to no row, its columns are null.
    pub through: Vec<Arc<Link>>,
    /// The column.
    pub field: String,
    /// Whether the greatest comes first.
    pub descending: bool,
}

impl Order {
    /// An order by one of the rows' own columns.
    #[must_use]
    pub fn by(field: impl Into<String>, descending: bool) -> Self {
        Self { through: Vec::new(), field: field.into(), descending }
    }
}

impl Select {
    /// The first rows of all by their keys, at most so many.
    #[must_use]
    pub const fn page(limit: u32) -> Self {
        Self {
            filter: None,
            order: Vec::new(),
            limit,
            offset: 0,
            columns: None,
            after: None,
            before: None,
            backward: false,
            beside: false,
        }
    }
}

impl Filter {
    /// A search for all words of a text: what there is between its spaces.
    #[must_use]
    pub fn search(text: &str) -> Self {
        Self::Search { words: text.split_whitespace().map(str::to_owned).collect() }
    }
}

impl Checkpoint {
    /// Where a projection begins.
    pub const START: Self = Self { position: Position::ZERO, command: None, replays: 0 };

    /// Whether an event is the one that is there, as far as it is known which one that is.
    #[must_use]
    pub fn is_at(&self, event: &RecordedEvent) -> bool {
        self.position == event.position && self.command.is_none_or(|command| command == event.command.command_id)
    }
}

impl From<&RecordedEvent> for Checkpoint {
    fn from(event: &RecordedEvent) -> Self {
        Self { position: event.position, command: Some(event.command.command_id), replays: 0 }
    }
}

impl From<Position> for Checkpoint {
    fn from(position: Position) -> Self {
        Self { position, command: None, replays: 0 }
    }
}

impl<'a> Step<'a> {
    /// A step that tells nothing of the rows that it changes.
    #[must_use]
    pub const fn new(progress: Progress<'a>, writes: &'a [TableWrites<'a>]) -> Self {
        Self { progress, writes, changes: &[], changes_from: None, parked: &[], released: &[] }
    }

    /// Tells of all changes after a position.
    #[must_use]
    pub const fn telling(self, from: Position, changes: &'a [Arc<Changed>]) -> Self {
        Self { changes, changes_from: Some(from), ..self }
    }

    /// Parks streams, and lets others go.
    #[must_use]
    pub const fn parking(self, parked: &'a [Parked], released: &'a [Held]) -> Self {
        Self { parked, released, ..self }
    }
}

impl Progress<'_> {
    /// Whether the step can be taken at all.
    pub(crate) fn check(&self) -> Result<()> {
        limits::text("the name of a projection", self.projection, LONGEST_NAME)?;
        let Self { projection, from, to } = self;
        if to.position < from.position || to.replays < from.replays {
            let (from, to) = (from.position, to.position);
            return Err(Error::Invalid(format!("the projection {projection} can't go back from {from} to {to}")));
        }
        stored(to.position.get()).map(|_| ())
    }
}
