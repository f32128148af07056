//! Which tables of read models are in use, in SQLite. Whoever shares a file shares a clock as well.

use sqlx::{SqliteConnection, SqlitePool};
use yado_model::Timestamp;

use crate::limits::{self, LONGEST_NAME};
use crate::read::uses::micros;
use crate::{Result, TablesInUse};

const USE: &str = "\
    insert into tables_in_use (projection, process, tables, used_at) values (?1, ?2, ?3, ?4) \
    on conflict (projection, process) do update set tables = excluded.tables, used_at = excluded.used_at";

const FORGET_OTHERS: &str = "delete from tables_in_use where projection = ?1 and process <> ?2 and used_at < ?3";

const UNUSED: &str = "\
    select projection, max(tables) from tables_in_use group by projection having max(used_at) < ?1 order by projection";

const IS_USED: &str = "\
    select exists (select 1 from tables_in_use where projection = ?1 and process <> ?2 and used_at >= ?3)";

/// They are on the list still, as tables that nobody uses from now on.
const LEAVE: &str = "\
    update tables_in_use set used_at = min(used_at, ?3 - 1) where process = ?1 and projection = coalesce(?2, projection)";

const FORGET: &str = "delete from tables_in_use where projection = ?1";

fn before(ms: u64) -> i64 {
    Timestamp::now().micros().saturating_sub(micros(ms))
}

/// Says that a process uses tables, within a transaction.
pub(super) async fn say(
    connection: &mut SqliteConnection,
    process: &str,
    tables: &[TablesInUse],
    unused_ms: u64,
) -> Result<()> {
    limits::text("the name of a process", process, LONGEST_NAME)?;
    for used in tables {
        let query = sqlx::query(USE).bind(&used.projection).bind(process).bind(used.stored()?);
        query.bind(Timestamp::now().micros()).execute(&mut *connection).await?;
        let query = sqlx::query(FORGET_OTHERS).bind(&used.projection).bind(process).bind(before(unused_ms));
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) async fn unused(pool: &SqlitePool, unused_ms: u64) -> Result<Vec<TablesInUse>> {
    let query = sqlx::query_as::<_, (String, String)>(UNUSED).bind(before(unused_ms));
    query.fetch_all(pool).await?.into_iter().map(TablesInUse::loaded).collect()
}

/// Takes back that a process uses the tables of a projection, or any.
pub(super) async fn leave(
    executor: impl sqlx::SqliteExecutor<'_>,
    process: &str,
    projection: Option<&str>,
    unused_ms: u64,
) -> Result<()> {
    sqlx::query(LEAVE).bind(process).bind(projection).bind(before(unused_ms)).execute(executor).await?;
    Ok(())
}

/// Whether a process other than this one has said within so long a time that it uses the tables of a projection.
pub(super) async fn is_used(
    executor: impl sqlx::SqliteExecutor<'_>,
    process: &str,
    projection: &str,
    unused_ms: u64,
) -> Result<bool> {
    let query = sqlx::query_scalar::<_, bool>(IS_USED).bind(projection).bind(process).bind(before(unused_ms));
    Ok(query.fetch_one(executor).await?)
}

/// Takes the tables off the list, within the transaction that drops them, unless another process uses them.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    process: &str,
    projection: &str,
    unused_ms: u64,
) -> Result<bool> {
    leave(&mut *connection, process, Some(projection), unused_ms).await?;
    if is_used(&mut *connection, process, projection, unused_ms).await? {
        return Ok(false);
    }
    sqlx::query(FORGET).bind(projection).execute(connection).await?;
    Ok(true)
}
