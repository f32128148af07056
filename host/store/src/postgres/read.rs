//! Read models in PostgreSQL.

mod indexes;
mod journal;
mod parked;
#[cfg(test)]
mod plans;
mod step;
mod tables;
mod uses;
mod warm;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;
use yado_model::{Position, TenantId};

use self::indexes::Building;
use self::warm::{FOR_STEPS, MOST_FOR_STEPS, Warm};
use super::Database;
use super::bound::Bound;
use super::dialect::{self, PostgresDialect};
use super::readers::Readers;
use crate::limits::{self, LONGEST_NAME};
use crate::number::loaded;
use crate::open::Promise;
use crate::read::aggregate;
use crate::read::changed;
use crate::read::changes::Changes;
use crate::read::select::{self, Question};
use crate::room::Rooms;
use crate::table::{check_name, quoted};
use crate::{
    Aggregate, ChangePage, ChangeQuery, Checkpoint, Committed, Each, Filter, Forgotten, Group, LetterId, Options,
    Parked, Progress, ProjectionState, ReadStore, Result, Rows, Select, Step, Table, TablesInUse,
};

/// Nodes that start together make the same tables; `if not exists` alone does not keep them from colliding. The number
/// is this crate's own, and means nothing.
const LOCK_SCHEMA: &str = "select pg_advisory_xact_lock(8237401965113284001)";

/// Whoever still reads a table is not waited for: dropping it fails, and is tried again.
const WAIT_BRIEFLY: &str = "set local lock_timeout = '1s'";

const CHECKPOINT: &str = "select last, command_id, replays from checkpoints where projection = $1";

const CHECKPOINTS: &str = "\
    select coalesce(last, 0), command_id, coalesce(replays, 0) \
    from unnest($1::text[]) with ordinality asked (projection, place) left join checkpoints using (projection) \
    order by place";

const FORGET_CHECKPOINT: &str = "delete from checkpoints where projection = $1";

const TABLES: &str = r"
    select tablename::text from pg_tables
    where schemaname = current_schema() and tablename like 'rm\_%' order by tablename";

/// Read models in a PostgreSQL database. A copy uses the same connections.
#[derive(Debug, Clone)]
pub(crate) struct Reads {
    database: Arc<Database>,
    readers: Arc<Readers>,
    warm: Arc<Warm>,
    building: Arc<Building>,
    rooms: Rooms,
}

impl Reads {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        let database = Arc::new(Database::open(url, options, Promise::Derived).await?);
        let readers = Arc::new(Readers::for_rows(&database.listening.connect, options));
        let warm = Arc::new(Warm::new(database.pool.clone(), options.acquire_timeout(), FOR_STEPS, MOST_FOR_STEPS));
        Ok(Self { database, readers, warm, building: Arc::default(), rooms: Rooms::each(options.answer_bytes) })
    }

    /// Forgets what a projection has told so far in pieces, each in a transaction of its own, before the one that forgets the
    /// rest: however much it is, nobody waits behind its locks for long. What comes of that transaction is no matter: what
    /// is told from here on is kept.
    async fn forget_told(&self, projection: &str) -> Result<()> {
        if let Some(told) = journal::told(&self.database.pool, projection).await? {
            while self.forget_changes(projection, told).await?.more {}
        }
        Ok(())
    }

    async fn fetch(&self, question: Question<'_, Bound>) -> Result<Rows> {
        dialect::rows(&self.readers.fetch(question.sql).await?, &question.columns, self.rooms.room())
    }

    /// Makes a table and the indexes that it lacks; that of searches, if it is said where trigrams are.
    async fn index(&self, table: &Table, trigrams: Option<String>) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        sqlx::query(LOCK_SCHEMA).execute(&mut *transaction).await?;
        tables::ensure(&mut transaction, table).await?;
        let missing = indexes::begin_with(&mut transaction, table, trigrams.as_deref()).await?;
        transaction.commit().await?;
        if missing {
            self.building.make(&self.database.pool, table, trigrams).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl ReadStore for Reads {
    fn for_request(&self) -> Arc<dyn ReadStore> {
        Arc::new(Self { rooms: self.rooms.together(), ..self.clone() })
    }

    async fn ensure_table(&self, table: &Table) -> Result<()> {
        table.check()?;
        if !table.search.is_empty() {
            // What is not to be had is known from the beginning.
            indexes::trigrams(&self.database.pool).await?;
        }
        self.index(table, None).await
    }

    async fn index_search(&self, table: &Table) -> Result<()> {
        table.check()?;
        if table.search.is_empty() {
            return Ok(());
        }
        match indexes::trigrams(&self.database.pool).await? {
            Some(trigrams) => self.index(table, Some(trigrams)).await,
            None => Ok(()),
        }
    }

    async fn prune_indexes(&self, table: &Table) -> Result<()> {
        table.check()?;
        indexes::prune(&self.database.pool, table).await
    }

    async fn searches_by_index(&self) -> Result<bool> {
        indexes::has_trigrams(&self.database.pool).await
    }

    async fn drop_table(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let mut transaction = self.database.begin().await?;
        sqlx::query(LOCK_SCHEMA).execute(&mut *transaction).await?;
        let sql = format!("drop table if exists {}", quoted(name));
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn tables(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(TABLES).fetch_all(&self.database.pool).await?)
    }

    async fn checkpoint(&self, projection: &str) -> Result<Checkpoint> {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
        let query = sqlx::query_as::<_, (i64, Option<Uuid>, i64)>(CHECKPOINT).bind(projection);
        let (position, command, replays) = query.fetch_optional(&self.database.pool).await?.unwrap_or_default();
        Checkpoint::loaded(position, command, replays)
    }

    async fn checkpoints(&self, projections: &[&str]) -> Result<Vec<Checkpoint>> {
        for projection in projections {
            limits::text("the name of a projection", projection, LONGEST_NAME)?;
        }
        let query = sqlx::query_as::<_, (i64, Option<Uuid>, i64)>(CHECKPOINTS).bind(projections);
        let found = query.fetch_all(&self.database.pool).await?.into_iter();
        found.map(|(position, command, replays)| Checkpoint::loaded(position, command, replays)).collect()
    }

    async fn forget_checkpoint(&self, projection: &str) -> Result<()> {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
        self.forget_told(projection).await?;
        let mut transaction = self.database.begin().await?;
        sqlx::query(FORGET_CHECKPOINT).bind(projection).execute(&mut *transaction).await?;
        journal::forget_all(&mut transaction, projection).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed> {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
        tables.iter().try_for_each(|name| check_name(name))?;
        let found = self.checkpoint(projection).await?;
        if found != from {
            return Ok(Committed::Elsewhere(found));
        }
        self.forget_told(projection).await?;
        let mut transaction = self.database.begin().await?;
        if !step::give_up(&mut transaction, projection, from).await? {
            transaction.rollback().await?;
            return Ok(Committed::Elsewhere(self.checkpoint(projection).await?));
        }
        if !tables.is_empty() {
            let names: Vec<_> = tables.iter().map(|name| quoted(name)).collect();
            let sql = format!("truncate {}", names.join(", "));
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
        parked::release_all(&mut transaction, projection).await?;
        journal::forget_all(&mut transaction, projection).await?;
        transaction.commit().await?;
        Ok(Committed::Yes)
    }

    async fn commit(&self, step: &Step<'_>) -> Result<Committed> {
        let progress = &step.progress;
        progress.check()?;
        let changes = step.writes.iter().map(Changes::of).collect::<Result<Vec<_>>>()?;
        changed::check(step)?;
        let taken = if step::is_short(step, &changes) && step.parked.is_empty() && step.released.is_empty() {
            let mut connection = self.warm.take().await?;
            let taken = step::short(&mut connection, step, &changes).await?;
            self.warm.give_back(connection);
            taken
        } else {
            let mut transaction = self.database.begin().await?;
            let taken = step::long(&mut transaction, progress, &changes).await?;
            if taken {
                journal::tell(&mut transaction, step).await?;
                parked::park(&mut transaction, progress.projection, step.parked, step.released).await?;
                transaction.commit().await?
            } else {
                transaction.rollback().await?
            }
            taken
        };
        if !taken {
            return Ok(Committed::Elsewhere(self.checkpoint(progress.projection).await?));
        }
        let Progress { projection, from, to } = progress;
        tracing::debug!(projection, from = %from.position, to = %to.position, "projected");
        Ok(Committed::Yes)
    }

    async fn changes(&self, projection: &str, asked: &ChangeQuery<'_>) -> Result<ChangePage> {
        journal::changes(&self.database.pool, projection, asked).await
    }

    async fn count_changes(&self, projection: &str) -> Result<u64> {
        journal::count(&self.database.pool, projection).await
    }

    async fn forget_changes(&self, projection: &str, up_to: Position) -> Result<Forgotten> {
        let mut transaction = self.database.begin().await?;
        let forgotten = journal::forget(&mut transaction, projection, up_to).await?;
        transaction.commit().await?;
        Ok(forgotten)
    }

    async fn rows(
        &self,
        table: &Table,
        tenant: &TenantId,
        keys: &[String],
        columns: Option<&[String]>,
    ) -> Result<Rows> {
        self.fetch(select::by_keys(&PostgresDialect, table, tenant, keys, columns)?).await
    }

    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Rows> {
        let question = select::select(&PostgresDialect, table, tenant, select)?;
        let beside = question.beside;
        let rows = self.fetch(question).await?.with_beside(beside);
        Ok(if select.backward { rows.reversed() } else { rows })
    }

    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Rows> {
        self.fetch(select::select_each(&PostgresDialect, table, tenant, each, select)?).await
    }

    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        let found = self.readers.fetch(select::count(&PostgresDialect, table, tenant, filter)?).await?;
        let record = found.records().next().ok_or(sqlx::Error::RowNotFound)?;
        let count = aggregate::Found::count(&record, 0)?;
        loaded(count, &table.name)
    }

    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let (sql, answer) = aggregate::aggregate(&PostgresDialect, table, tenant, aggregate)?;
        let found = self.readers.fetch(sql).await?;
        let mut room = self.rooms.room();
        found.records().map(|record| answer.group(&record, &mut room)).collect()
    }

    async fn aggregate_each(
        &self,
        table: &Table,
        tenant: &TenantId,
        each: &Each,
        aggregate: &Aggregate,
    ) -> Result<Vec<(Value, Group)>> {
        let (sql, answer) = aggregate::aggregate_each(&PostgresDialect, table, tenant, each, aggregate)?;
        let found = self.readers.fetch(sql).await?;
        let mut groups = answer.gathering(self.rooms.room());
        found.records().try_for_each(|record| groups.push(&record))?;
        Ok(groups.done())
    }

    async fn parked(&self, projection: Option<&str>, limit: u32) -> Result<Vec<(String, Parked)>> {
        parked::parked(&self.database.pool, projection, limit).await
    }

    async fn letter(&self, projection: &str, id: &LetterId) -> Result<Option<Parked>> {
        parked::letter(&self.database.pool, projection, id).await
    }

    async fn projection_state(&self, plugin: &str, projection: &str) -> Result<ProjectionState> {
        parked::state(&self.database.pool, plugin, projection).await
    }

    async fn set_projection_state(
        &self,
        plugin: &str,
        projection: &str,
        from: &ProjectionState,
        to: &ProjectionState,
    ) -> Result<bool> {
        parked::set_state(&self.database.pool, (plugin, projection), from, to).await
    }

    async fn use_tables(&self, process: &str, tables: &[TablesInUse], unused_ms: u64) -> Result<()> {
        let mut transaction = self.database.begin().await?;
        uses::say(&mut transaction, process, tables, unused_ms).await?;
        Ok(transaction.commit().await?)
    }

    async fn unused_tables(&self, unused_ms: u64) -> Result<Vec<TablesInUse>> {
        uses::unused(&self.database.pool, unused_ms).await
    }

    async fn leave_tables(&self, process: &str, unused_ms: u64) -> Result<()> {
        uses::leave(&self.database.pool, process, None, unused_ms).await
    }

    async fn discard_unused(&self, process: &str, tables: &TablesInUse, unused_ms: u64) -> Result<bool> {
        tables.stored()?;
        let names: Vec<_> = tables.tables.iter().map(String::as_str).collect();
        if !uses::is_used(&self.database.pool, process, &tables.projection, unused_ms).await? {
            self.forget_told(&tables.projection).await?;
        }
        let mut transaction = self.database.begin().await?;
        // Whoever comes to use them has said so before it makes them, and waits here.
        sqlx::query(LOCK_SCHEMA).execute(&mut *transaction).await?;
        // All who make tables wait behind this.
        sqlx::query(WAIT_BRIEFLY).execute(&mut *transaction).await?;
        uses::alone(&mut transaction, &tables.projection).await?;
        if !uses::forget(&mut transaction, process, &tables.projection, unused_ms).await? {
            transaction.commit().await?;
            return Ok(false);
        }
        drop_all(&mut transaction, &tables.projection, &names).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.building.close().await;
        self.database.close().await;
        self.readers.close().await;
        self.warm.close().await;
    }
}

/// Drops tables and all else that a projection has left, within a transaction.
async fn drop_all(connection: &mut PgConnection, projection: &str, tables: &[&str]) -> Result<()> {
    sqlx::query(FORGET_CHECKPOINT).bind(projection).execute(&mut *connection).await?;
    for name in tables {
        let sql = format!("drop table if exists {}", quoted(name));
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    parked::release_all(connection, projection).await?;
    journal::forget_all(connection, projection).await
}
