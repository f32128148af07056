//! Which tables of read models are in use, in PostgreSQL.

use sqlx::{PgConnection, PgPool};

use crate::limits::{self, LONGEST_NAME};
use crate::read::uses::micros;
use crate::{Result, TablesInUse};

/// In the order of names, so that two who say so at once don't wait for each other.
const USE: &str = "\
    insert into tables_in_use (projection, process, tables, used_at) \
    select projection, $1, tables, clock_timestamp() from unnest($2::text[], $3::text[]) u (projection, tables) \
    order by projection \
    on conflict (projection, process) do update set tables = excluded.tables, used_at = excluded.used_at";

const FORGET_OTHERS: &str = "\
    delete from tables_in_use where (projection, process) in ( \
        select projection, process from tables_in_use \
        where projection = any($2::text[]) and process <> $1 \
            and used_at < clock_timestamp() - $3 * interval '1 microsecond' \
        order by projection, process for update skip locked)";

const UNUSED: &str = "\
    select projection, max(tables) from tables_in_use group by projection \
    having max(used_at) < clock_timestamp() - $1 * interval '1 microsecond' order by projection";

const IS_USED: &str = "\
    select exists (select from tables_in_use where projection = $1 and process <> $2 \
        and used_at >= clock_timestamp() - $3 * interval '1 microsecond')";

/// They are on the list still, as tables that nobody uses from now on.
const LEAVE: &str = "\
    update tables_in_use set used_at = least(used_at, clock_timestamp() - ($3 + 1) * interval '1 microsecond') \
    where process = $1 and projection = coalesce($2::text, projection)";

/// Those of processes that have come since stay.
const FORGET: &str = "\
    delete from tables_in_use where projection = $1 \
        and (process = $2 or used_at < clock_timestamp() - $3 * interval '1 microsecond')";

/// Whoever says that he uses a projection's tables, and whoever drops them because nobody does, each wait for the other: else
/// what has been looked at just after the one might be gone just after that by the other. Those who say so don't wait for
/// each other, and who drops something does it one projection at a time, so that the order of these locks is no matter.
/// The number is this crate's own, and means nothing.
const WITH_OTHERS: &str = "\
    select pg_advisory_xact_lock_shared(823740196, hashtext(projection)) from unnest($1::text[]) u (projection)";
const ALONE: &str = "select pg_advisory_xact_lock(823740196, hashtext($1))";

/// Nobody says that he uses the tables of a projection from here on until the end of the transaction.
pub(super) async fn alone(connection: &mut PgConnection, projection: &str) -> Result<()> {
    sqlx::query(ALONE).bind(projection).execute(connection).await?;
    Ok(())
}

/// Says that a process uses tables, within a transaction.
pub(super) async fn say(
    connection: &mut PgConnection,
    process: &str,
    tables: &[TablesInUse],
    unused_ms: u64,
) -> Result<()> {
    limits::text("the name of a process", process, LONGEST_NAME)?;
    let names = tables.iter().map(TablesInUse::stored).collect::<Result<Vec<_>>>()?;
    let projections: Vec<_> = tables.iter().map(|used| used.projection.as_str()).collect();
    sqlx::query(WITH_OTHERS).bind(&projections).execute(&mut *connection).await?;
    sqlx::query(USE).bind(process).bind(&projections).bind(names).execute(&mut *connection).await?;
    sqlx::query(FORGET_OTHERS).bind(process).bind(projections).bind(micros(unused_ms)).execute(connection).await?;
    Ok(())
}

pub(super) async fn unused(pool: &PgPool, unused_ms: u64) -> Result<Vec<TablesInUse>> {
    let query = sqlx::query_as::<_, (String, String)>(UNUSED).bind(micros(unused_ms));
    query.fetch_all(pool).await?.into_iter().map(TablesInUse::loaded).collect()
}

/// Takes back that a process uses the tables of a projection, or any.
pub(super) async fn leave(
    executor: impl sqlx::PgExecutor<'_>,
    process: &str,
    projection: Option<&str>,
    unused_ms: u64,
) -> Result<()> {
    sqlx::query(LEAVE).bind(process).bind(projection).bind(micros(unused_ms)).execute(executor).await?;
    Ok(())
}

/// Whether a process other than this one has said within so long a time that it uses the tables of a projection.
pub(super) async fn is_used(
    executor: impl sqlx::PgExecutor<'_>,
    process: &str,
    projection: &str,
    unused_ms: u64,
) -> Result<bool> {
    let query = sqlx::query_scalar::<_, bool>(IS_USED).bind(projection).bind(process).bind(micros(unused_ms));
    Ok(query.fetch_one(executor).await?)
}

/// Takes the tables off the list, within the transaction that drops them, unless another process uses them.
pub(super) async fn forget(
    connection: &mut PgConnection,
    process: &str,
    projection: &str,
    unused_ms: u64,
) -> Result<bool> {
    leave(&mut *connection, process, Some(projection), unused_ms).await?;
    if is_used(&mut *connection, process, projection, unused_ms).await? {
        return Ok(false);
    }
    sqlx::query(FORGET).bind(projection).bind(process).bind(micros(unused_ms)).execute(connection).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use futures::future::{Either, select};

    use super::*;
    use crate::ReadStore as _;
    use crate::postgres::read::Reads;
    use crate::testing::{Postgres, patient, told};

    fn used(projection: &str) -> TablesInUse {
        TablesInUse { projection: projection.into(), tables: vec!["rm_tickets".into()] }
    }

    /// Comes to an end when somebody waits for a lock of these.
    async fn somebody_waits(url: &str) {
        let waiting = "select pid::text from pg_locks where locktype = 'advisory' and classid = 823740196 and not granted \
            and database = (select oid from pg_database where datname = current_database())";
        while told(url, waiting).await.is_empty() {}
    }

    #[tokio::test]
    async fn whoever_comes_to_use_tables_waits_until_they_are_dropped() {
        let url = Postgres::shared().database().await;
        let reads = Reads::open(&url, &patient()).await.unwrap();
        let mut dropping = reads.database.begin().await.unwrap();
        alone(&mut dropping, "tickets").await.unwrap();
        // Whoever uses others is not held up.
        let of_baskets = [used("baskets")];
        let using = reads.use_tables("other", &of_baskets, u64::MAX);
        let Either::Left((Ok(()), _)) = select(using, Box::pin(somebody_waits(&url))).await else {
            panic!("it is held up");
        };
        let of_tickets = [used("baskets"), used("tickets")];
        let using = reads.use_tables("other", &of_tickets, u64::MAX);
        let Either::Right(((), using)) = select(using, Box::pin(somebody_waits(&url))).await else {
            panic!("it does not wait");
        };
        dropping.commit().await.unwrap();
        using.await.unwrap();
    }

    #[tokio::test]
    async fn whoever_drops_tables_waits_for_those_who_come_to_use_them() {
        let url = Postgres::shared().database().await;
        let reads = Reads::open(&url, &patient()).await.unwrap();
        let mut using = reads.database.begin().await.unwrap();
        say(&mut using, "other", &[used("tickets")], u64::MAX).await.unwrap();
        let of_tickets = used("tickets");
        let dropping = reads.discard_unused("one", &of_tickets, u64::MAX);
        let Either::Right(((), dropping)) = select(dropping, Box::pin(somebody_waits(&url))).await else {
            panic!("it does not wait");
        };
        using.commit().await.unwrap();
        assert!(!dropping.await.unwrap());
    }
}
