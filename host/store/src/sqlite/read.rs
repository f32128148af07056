//! Read models in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection, SqliteExecutor};
use uuid::Uuid;
use yado_model::{Position, TenantId};

use super::bound::{Bound, query};
use super::dialect::SqliteDialect;
use super::reading::Reading;
use super::{Database, journal, parked, rows, tables, uses};
use crate::number::{loaded, stored};
use crate::open::Promise;
use crate::read::aggregate;
use crate::read::changed;
use crate::read::changes::Changes;
use crate::read::select::{self, Question};
use crate::read::sql::Sql;
use crate::room::Rooms;
use crate::table::{check_name, quoted};
use crate::{
    Aggregate, ChangePage, ChangeQuery, Checkpoint, Committed, Each, Error, Filter, Forgotten, Group, LetterId,
    Options, Parked, Progress, ProjectionState, ReadStore, Result, Rows, Select, Step, Table, TablesInUse,
};

const CHECKPOINT: &str = "select last, command_id, replays from checkpoints where projection = ?";

const CHECKPOINTS: &str = "\
    select coalesce(last, 0), command_id, coalesce(replays, 0) \
    from json_each(?) asked left join checkpoints on projection = asked.value order by asked.key";

const FORGET_CHECKPOINT: &str = "delete from checkpoints where projection = ?";

const MOVE_CHECKPOINT: &str = "\
    insert into checkpoints (projection, last, command_id, replays) values (?, ?, ?, ?) \
    on conflict (projection) do update set last = excluded.last, command_id = excluded.command_id, \
        replays = excluded.replays";

/// Read models in a SQLite database. A copy uses the same connections.
#[derive(Debug, Clone)]
pub(crate) struct Reads {
    database: Arc<Database>,
    rooms: Rooms,
}

impl Reads {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        let database = Arc::new(Database::open(url, options, Promise::Derived).await?);
        Ok(Self { database, rooms: Rooms::each(options.answer_bytes) })
    }
}

#[async_trait]
impl ReadStore for Reads {
    fn for_request(&self) -> Arc<dyn ReadStore> {
        Arc::new(Self { rooms: self.rooms.together(), ..self.clone() })
    }

    async fn ensure_table(&self, table: &Table) -> Result<()> {
        table.check()?;
        let mut transaction = self.database.write().await?;
        tables::ensure(&mut transaction, table).await?;
        self.database.commit(transaction).await
    }

    async fn index_search(&self, table: &Table) -> Result<()> {
        table.check()
    }

    async fn prune_indexes(&self, table: &Table) -> Result<()> {
        table.check()?;
        let mut transaction = self.database.write().await?;
        tables::prune(&mut transaction, table).await?;
        self.database.commit(transaction).await
    }

    /// SQLite has no index that finds a part of a text without being told how it is divided into words.
    async fn searches_by_index(&self) -> Result<bool> {
        Ok(false)
    }

    async fn drop_table(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let sql = format!("drop table if exists {}", quoted(name));
        let mut transaction = self.database.write().await?;
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        self.database.commit(transaction).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(
            r"select name from sqlite_schema where type = 'table' and name like 'rm\_%' escape '\' order by name",
        );
        Ok(query.fetch_all(&self.database.readers).await?)
    }

    async fn checkpoint(&self, projection: &str) -> Result<Checkpoint> {
        checkpoint(&self.database.readers, projection).await
    }

    async fn checkpoints(&self, projections: &[&str]) -> Result<Vec<Checkpoint>> {
        let projections = Value::from_iter(projections.iter().copied()).to_string();
        let query = sqlx::query_as::<_, (i64, Option<Uuid>, i64)>(CHECKPOINTS).bind(projections);
        let found = query.fetch_all(&self.database.readers).await?.into_iter();
        found.map(|(position, command, replays)| Checkpoint::loaded(position, command, replays)).collect()
    }

    async fn forget_checkpoint(&self, projection: &str) -> Result<()> {
        self.forget_told(projection).await?;
        let mut transaction = self.database.write().await?;
        sqlx::query(FORGET_CHECKPOINT).bind(projection).execute(&mut *transaction).await?;
        journal::forget_all(&mut transaction, projection).await?;
        self.database.commit(transaction).await
    }

    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed> {
        tables.iter().try_for_each(|name| check_name(name))?;
        let found = self.checkpoint(projection).await?;
        if found != from {
            return Ok(Committed::Elsewhere(found));
        }
        self.forget_told(projection).await?;
        let mut transaction = self.database.write().await?;
        let found = checkpoint(&mut *transaction, projection).await?;
        if found != from {
            transaction.rollback().await?;
            return Ok(Committed::Elsewhere(found));
        }
        sqlx::query(FORGET_CHECKPOINT).bind(projection).execute(&mut *transaction).await?;
        for name in tables {
            let sql = format!("delete from {}", quoted(name));
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
        parked::release_all(&mut transaction, projection).await?;
        journal::forget_all(&mut transaction, projection).await?;
        self.database.commit(transaction).await?;
        Ok(Committed::Yes)
    }

    async fn commit(&self, step: &Step<'_>) -> Result<Committed> {
        let progress = &step.progress;
        progress.check()?;
        changed::check(step)?;
        let changes = step.writes.iter().map(Changes::of).collect::<Result<Vec<_>>>()?;
        let mut transaction = self.database.write().await?;

        let found = checkpoint(&mut *transaction, progress.projection).await?;
        if found != progress.from {
            transaction.rollback().await?;
            return Ok(Committed::Elsewhere(found));
        }
        for changes in &changes {
            rows::delete(&mut transaction, changes.table, &changes.deletes).await?;
            rows::put(&mut transaction, changes).await?;
        }
        let Progress { projection, from, to } = progress;
        let query = sqlx::query(MOVE_CHECKPOINT).bind(projection).bind(stored(to.position.get())?);
        let query = query.bind(to.command.map(|command| command.0)).bind(stored(to.replays)?);
        query.execute(&mut *transaction).await?;
        journal::tell(&mut transaction, step).await?;
        parked::park(&mut transaction, projection, step.parked, step.released).await?;
        self.database.commit(transaction).await?;
        tracing::debug!(projection, from = %from.position, to = %to.position, "projected");
        Ok(Committed::Yes)
    }

    async fn changes(&self, projection: &str, asked: &ChangeQuery<'_>) -> Result<ChangePage> {
        journal::changes(&self.database.readers, projection, asked).await
    }

    async fn count_changes(&self, projection: &str) -> Result<u64> {
        journal::count(&self.database.readers, projection).await
    }

    async fn forget_changes(&self, projection: &str, up_to: Position) -> Result<Forgotten> {
        let mut transaction = self.database.write().await?;
        let forgotten = journal::forget(&mut transaction, projection, up_to).await?;
        self.database.commit(transaction).await?;
        Ok(forgotten)
    }

    async fn rows(
        &self,
        table: &Table,
        tenant: &TenantId,
        keys: &[String],
        columns: Option<&[String]>,
    ) -> Result<Rows> {
        let question = select::by_keys(&SqliteDialect, table, tenant, keys, columns)?;
        // Keys are found at once or not at all: there is nothing that would have to be given up.
        self.fill(question, &self.database.readers).await
    }

    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Rows> {
        let question = select::select(&SqliteDialect, table, tenant, select)?;
        let beside = question.beside;
        let rows = self.fetch(question).await?.with_beside(beside);
        Ok(if select.backward { rows.reversed() } else { rows })
    }

    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Rows> {
        self.fetch(select::select_each(&SqliteDialect, table, tenant, each, select)?).await
    }

    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        let sql = select::count(&SqliteDialect, table, tenant, filter)?;
        let mut reading = Reading::begin(&self.database).await?;
        let counted = query(sql)?.fetch_one(reading.connection()).await.map_err(Error::from);
        loaded(reading.ends(counted)?.try_get(0)?, &table.name)
    }

    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let (sql, answer) = aggregate::aggregate(&SqliteDialect, table, tenant, aggregate)?;
        let (mut groups, mut room) = (Vec::new(), self.rooms.room());
        self.each_row(sql, |row| answer.group(row, &mut room).map(|group| groups.push(group))).await?;
        Ok(groups)
    }

    async fn aggregate_each(
        &self,
        table: &Table,
        tenant: &TenantId,
        each: &Each,
        aggregate: &Aggregate,
    ) -> Result<Vec<(Value, Group)>> {
        let (sql, answer) = aggregate::aggregate_each(&SqliteDialect, table, tenant, each, aggregate)?;
        let mut groups = answer.gathering(self.rooms.room());
        self.each_row(sql, |row| groups.push(row)).await?;
        Ok(groups.done())
    }

    async fn parked(&self, projection: Option<&str>, limit: u32) -> Result<Vec<(String, Parked)>> {
        parked::parked(&self.database.readers, projection, limit).await
    }

    async fn letter(&self, projection: &str, id: &LetterId) -> Result<Option<Parked>> {
        parked::letter(&self.database.readers, projection, id).await
    }

    async fn projection_state(&self, plugin: &str, projection: &str) -> Result<ProjectionState> {
        parked::state(&self.database.readers, plugin, projection).await
    }

    async fn set_projection_state(
        &self,
        plugin: &str,
        projection: &str,
        from: &ProjectionState,
        to: &ProjectionState,
    ) -> Result<bool> {
        let mut transaction = self.database.write().await?;
        let set = parked::set_state(&mut transaction, (plugin, projection), from, to).await?;
        self.database.commit(transaction).await?;
        Ok(set)
    }

    async fn use_tables(&self, process: &str, tables: &[TablesInUse], unused_ms: u64) -> Result<()> {
        let mut transaction = self.database.write().await?;
        uses::say(&mut transaction, process, tables, unused_ms).await?;
        self.database.commit(transaction).await
    }

    async fn unused_tables(&self, unused_ms: u64) -> Result<Vec<TablesInUse>> {
        uses::unused(&self.database.readers, unused_ms).await
    }

    async fn leave_tables(&self, process: &str, unused_ms: u64) -> Result<()> {
        let mut transaction = self.database.write().await?;
        uses::leave(&mut *transaction, process, None, unused_ms).await?;
        self.database.commit(transaction).await
    }

    async fn discard_unused(&self, process: &str, tables: &TablesInUse, unused_ms: u64) -> Result<bool> {
        tables.stored()?;
        let names: Vec<_> = tables.tables.iter().map(String::as_str).collect();
        if !uses::is_used(&self.database.readers, process, &tables.projection, unused_ms).await? {
            self.forget_told(&tables.projection).await?;
        }
        let mut transaction = self.database.write().await?;
        if !uses::forget(&mut transaction, process, &tables.projection, unused_ms).await? {
            self.database.commit(transaction).await?;
            return Ok(false);
        }
        drop_all(&mut transaction, &tables.projection, &names).await?;
        self.database.commit(transaction).await?;
        Ok(true)
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

/// Drops tables and all else that a projection has left, within a transaction.
async fn drop_all(connection: &mut SqliteConnection, projection: &str, tables: &[&str]) -> Result<()> {
    sqlx::query(FORGET_CHECKPOINT).bind(projection).execute(&mut *connection).await?;
    for name in tables {
        let sql = format!("drop table if exists {}", quoted(name));
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    parked::release_all(connection, projection).await?;
    journal::forget_all(connection, projection).await
}

async fn checkpoint(from: impl SqliteExecutor<'_>, projection: &str) -> Result<Checkpoint> {
    let query = sqlx::query_as::<_, (i64, Option<Uuid>, i64)>(CHECKPOINT).bind(projection);
    let (position, command, replays) = query.fetch_optional(from).await?.unwrap_or_default();
    Checkpoint::loaded(position, command, replays)
}

impl Reads {
    /// Forgets what a projection has told so far in pieces, each in a transaction of its own, before the one that forgets the
    /// rest: however much it is, nobody waits behind its locks for long. What comes of that transaction is no matter: what
    /// is told from here on is kept.
    async fn forget_told(&self, projection: &str) -> Result<()> {
        if let Some(told) = journal::told(&self.database.readers, projection).await? {
            while self.forget_changes(projection, told).await?.more {}
        }
        Ok(())
    }

    async fn fetch(&self, question: Question<'_, Bound>) -> Result<Rows> {
        let mut reading = Reading::begin(&self.database).await?;
        let rows = self.fill(question, reading.connection()).await;
        reading.ends(rows)
    }

    async fn fill(&self, question: Question<'_, Bound>, from: impl SqliteExecutor<'_>) -> Result<Rows> {
        let columns = question.columns;
        let mut filling = Rows::filling(columns.iter().copied().cloned().collect(), self.rooms.room());
        each_row(from, question.sql, |row| aggregate::fill(&mut filling, row, &columns)).await?;
        Ok(filling.done())
    }

    async fn each_row(&self, sql: Sql<Bound>, take: impl FnMut(&SqliteRow) -> Result<()> + Send) -> Result<()> {
        let mut reading = Reading::begin(&self.database).await?;
        let read = each_row(reading.connection(), sql, take).await;
        reading.ends(read)
    }
}

/// Takes rows one by one, so that no more of them are read than there is room for, and the few that are on their way.
async fn each_row(
    from: impl SqliteExecutor<'_>,
    sql: Sql<Bound>,
    mut take: impl FnMut(&SqliteRow) -> Result<()> + Send,
) -> Result<()> {
    let mut rows = query(sql)?.fetch(from);
    while let Some(row) = rows.try_next().await? {
        take(&row)?;
    }
    Ok(())
}
