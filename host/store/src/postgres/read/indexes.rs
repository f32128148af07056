//! The indexes of read models, which come and go while tables stay.
//!
//! On a table without rows an index is made at once, in the transaction that makes the table. On one that has rows it is made
//! beside all reading and writing (`concurrently`), which PostgreSQL does in transactions of its own, and which takes its
//! time: it waits for all transactions that were there before. Nobody waits for that for long, because reading is right
//! without the index, and only slower. What is left of a build that broke off is an index that is none; it is dropped, and
//! made anew.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::table::{Index, begin, quoted};
use crate::{Result, Table};

/// So long a deployment waits for the indexes of tables that have rows. They go on being made after that.
const PATIENCE: Duration = Duration::from_secs(10);

/// All indexes of a table but those that are part of a constraint, and whether they are whole.
const INDEXES: &str = "\
    select c.relname::text, i.indisvalid from pg_index i join pg_class c on c.oid = i.indexrelid \
    where i.indrelid = to_regclass($1) and not exists (select from pg_constraint k where k.conindid = i.indexrelid)";

/// Whoever makes indexes of a table holds this, and what is not whole meanwhile is not left over, but on its way. Nobody
/// waits for it: a session that waits within a statement would be one of those that the build waits for.
const LOCK: &str = "select pg_try_advisory_lock(8237401, hashtext($1))";

/// A build takes as long as it takes, but not for ever.
const SESSION: &str = "select set_config('statement_timeout', '1h', false)";

/// The schema in which trigrams are, if the database has them.
const TRIGRAMS: &str = "\
    select quote_ident(n.nspname) from pg_extension e join pg_namespace n on n.oid = e.extnamespace \
    where e.extname = 'pg_trgm'";

const MAKE_TRIGRAMS: &str = "create extension if not exists pg_trgm";

/// Where trigrams are, if the database has them or lets us have them. Without them searches are as right, and slower.
pub(super) async fn trigrams(pool: &PgPool) -> Result<Option<String>> {
    let schema = || sqlx::query_scalar::<_, String>(TRIGRAMS).fetch_optional(pool);
    if let Some(schema) = schema().await? {
        return Ok(Some(schema));
    }
    if let Err(error) = sqlx::query(MAKE_TRIGRAMS).execute(pool).await {
        // Somebody else may have been faster.
        if schema().await?.is_none() {
            tracing::warn!(
                %error,
                "the read database has no trigrams, so that searches look at every row: have its owner execute \
                 \"create extension pg_trgm\", and deploy again"
            );
        }
    }
    Ok(schema().await?)
}

/// Whether the database has trigrams.
pub(super) async fn has_trigrams(pool: &PgPool) -> Result<bool> {
    Ok(sqlx::query_scalar::<_, String>(TRIGRAMS).fetch_optional(pool).await?.is_some())
}

/// The statements that make a table's indexes, by their names.
fn wanted(table: &Table, trigrams: Option<&str>, how: &str) -> Vec<(String, String)> {
    let on = quoted(&table.name);
    let lookup = |index: Index| {
        let sql = format!("create index {how} {} on {on} ({})", quoted(&index.name), index.listed());
        (index.name, sql)
    };
    let searched = trigrams.zip(table.trigrams()).map(|(schema, index)| {
        let columns: Vec<_> =
            index.columns.iter().map(|column| format!("{} {schema}.gin_trgm_ops", quoted(column))).collect();
        let sql = format!("create index {how} {} on {on} using gin ({})", quoted(&index.name), columns.join(", "));
        (index.name, sql)
    });
    table.lookups().into_iter().map(lookup).chain(searched).collect()
}

/// The indexes that are there, and whether they are whole.
async fn found(connection: &mut PgConnection, table: &Table) -> Result<Vec<(String, bool)>> {
    Ok(sqlx::query_as(INDEXES).bind(quoted(&table.name)).fetch_all(connection).await?)
}

/// Makes what is missing, if the table has no rows. Returns whether something is still missing.
pub(super) async fn begin_with(connection: &mut PgConnection, table: &Table, trigrams: Option<&str>) -> Result<bool> {
    let found = found(connection, table).await?;
    let missing: Vec<_> = wanted(table, trigrams, "if not exists")
        .into_iter()
        .filter(|(name, _)| !found.iter().any(|(found, whole)| found == name && *whole))
        .collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let rows = AssertSqlSafe(format!("select exists (select from {})", quoted(&table.name)));
    if sqlx::query_scalar::<_, bool>(rows).fetch_one(&mut *connection).await? {
        return Ok(true);
    }
    for (name, sql) in missing {
        if found.iter().any(|(found, _)| *found == name) {
            drop_index(connection, &name, "").await?;
        }
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(false)
}

async fn drop_index(connection: &mut PgConnection, name: &str, how: &str) -> Result<()> {
    let sql = format!("drop index {how} if exists {}", quoted(name));
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Indexes that are being made.
#[derive(Debug, Default)]
pub(super) struct Building(Mutex<JoinSet<()>>);

impl Building {
    /// Makes what is missing on a table that has rows, and waits for it for a while.
    pub(super) async fn make(&self, pool: &PgPool, table: &Table, trigrams: Option<String>) -> Result<()> {
        let mut connection = pool.acquire().await?.detach();
        sqlx::query(SESSION).execute(&mut connection).await?;
        let (made, done) = oneshot::channel();
        let owned = table.clone();
        let task = async move {
            if let Err(error) = make(&mut connection, &owned, trigrams.as_deref()).await {
                tracing::warn!(
                    table = owned.name, %error,
                    "an index could not be made; reading goes on without it, and the next deployment tries again"
                );
            }
            // Nobody needs it any more, however it takes its leave.
            let _ = connection.close().await;
            // Whoever has waited may have gone on.
            let _ = made.send(());
        };
        {
            let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
        if tokio::time::timeout(PATIENCE, done).await.is_err() {
            tracing::info!(table = table.name, "indexes are still being made; reading is slower until they are there");
        }
        Ok(())
    }

    /// Gives up what is being made. The database ends it by itself, or leaves what the next build drops.
    pub(super) async fn close(&self) {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
    }
}

async fn make(connection: &mut PgConnection, table: &Table, trigrams: Option<&str>) -> Result<()> {
    if !sqlx::query_scalar::<_, bool>(LOCK).bind(&table.name).fetch_one(&mut *connection).await? {
        tracing::debug!(table = table.name, "somebody else is making indexes");
        return Ok(());
    }
    let found = found(connection, table).await?;
    for (name, sql) in wanted(table, trigrams, "concurrently") {
        match found.iter().find(|(found, _)| *found == name) {
            Some((_, true)) => continue,
            Some((_, false)) => drop_index(connection, &name, "concurrently").await?,
            None => {}
        }
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
        tracing::info!(table = table.name, index = name, "an index has been made");
    }
    Ok(())
}

/// Drops the indexes of a table that nobody wants any more. Those that have been made by other hands stay.
pub(super) async fn prune(pool: &PgPool, table: &Table) -> Result<()> {
    let mut connection = pool.acquire().await?;
    let wanted: Vec<_> = table.lookups().into_iter().chain(table.trigrams()).map(|index| index.name).collect();
    let begin = begin(&table.name);
    for (name, _) in found(&mut connection, table).await? {
        if name.starts_with(&begin) && !wanted.contains(&name) {
            drop_index(&mut connection, &name, "concurrently").await?;
            tracing::info!(table = table.name, index = name, "an index that nobody wants any more has been dropped");
        }
    }
    Ok(())
}
