//! The event log in PostgreSQL.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tokio::sync::watch;
use yado_model::{IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};

use super::time::Time;
use super::{Database, announce, append, claims, registry};
use crate::kinds::Noted;
use crate::limits::{self, LONGEST_NAME, MOST_FORGOTTEN};
use crate::number::{bound, loaded, stored};
use crate::open::Promise;
use crate::page::{Page, Size};
use crate::recorded::{self, Stored};
use crate::snapshot::Kept;
use crate::{
    Answer, Append, Appended, ClaimsReport, EventKind, EventStore, Options, PluginRecord, PluginVersion, Result,
    Snapshot,
};

/// Where the log ends.
pub(super) const HEAD: &str = "select position from log_head";

const READ_STREAM: &str = "\
    select position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, \
        correlation_id, causation_id, actor \
    from events where tenant = $1 and stream = $2 and revision > $3 order by revision limit $4";

const READ_LOG: &str = "\
    select position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, \
        correlation_id, causation_id, actor \
    from events where position > $1 order by position limit $2";

const ANSWER: &str =
    "select request, stream, revision, position from answers where tenant = $1 and idempotency_key = $2";

/// By their places in the table, so that each piece is one walk along the index and nothing else.
const FORGET_ANSWERS: &str = "\
    delete from answers where ctid = any(array(select ctid from answers where answered_at < $1 order by answered_at limit $2))";

const SAVE_SNAPSHOT: &str = "\
    insert into snapshots (tenant, stream, encoding, revision, state, checksum) values ($1, $2, $3, $4, $5, $6) \
    on conflict (tenant, stream, encoding) do update \
    set revision = excluded.revision, state = excluded.state, checksum = excluded.checksum \
    where excluded.revision >= snapshots.revision";

const SNAPSHOT: &str =
    "select revision, state, checksum from snapshots where tenant = $1 and stream = $2 and encoding = $3";

/// The event log in a PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Events {
    database: Database,
    noted: Noted,
    witnessed: append::Witnessed,
    size: Size,
}

impl Events {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        let database = Database::open(url, options, Promise::Durable).await?;
        Ok(Self { database, noted: Noted::default(), witnessed: append::Witnessed::default(), size: Size::default() })
    }
}

#[async_trait]
impl EventStore for Events {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>> {
        append::append(&self.database, &self.noted, &self.witnessed, batch).await
    }

    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Revision,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>> {
        let query = sqlx::query(READ_STREAM).bind(tenant.as_str()).bind(stream.as_str());
        let query = query.bind(bound(after.get())).bind(limits::page(limit)?);
        let events = events(&query.fetch_all(&self.database.pool).await?)?;
        recorded::stream_without_gaps(stream, after, &events)?;
        Ok(events)
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<RecordedEvent>> {
        let limit = i64::from(self.size.events(limit)).min(limits::page(limit)?);
        let mut connection = self.database.pool.acquire().await?;
        let mut rows = sqlx::query(READ_LOG).bind(bound(after.get())).bind(limit).fetch(&mut *connection);
        let mut page = Page::default();
        let mut rest = false;
        while let Some(row) = rows.try_next().await? {
            if page.is_full() {
                rest = true;
                break;
            }
            page.push(event(&row)?);
        }
        drop(rows);
        if rest {
            // The server goes on sending what nobody wants. To end the connection is cheaper than to hear it out, and
            // the next page asks for less.
            connection.close_on_drop();
        }
        self.size.learn(&page);
        recorded::log_without_gaps(after, &page.events)?;
        Ok(page.events)
    }

    async fn head(&self) -> Result<Position> {
        head(&self.database).await
    }

    async fn announce(&self, head: Position) -> Result<()> {
        announce::announce(&self.database, head).await
    }

    async fn listen(&self, heard: watch::Sender<Position>) -> Result<()> {
        announce::listen(&self.database, &heard).await
    }

    async fn event_kinds(&self) -> Result<Vec<EventKind>> {
        registry::event_kinds(&self.database).await
    }

    async fn rebuild_claims(&self, apply: bool) -> Result<ClaimsReport> {
        claims::rebuild(&self.database, apply).await
    }

    async fn answer(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<Answer>> {
        let query = sqlx::query(ANSWER).bind(tenant.as_str()).bind(key.as_str());
        query.fetch_optional(&self.database.pool).await?.map(|row| answer(&row, 0)).transpose()
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let query = sqlx::query(FORGET_ANSWERS).bind(Time(before)).bind(MOST_FORGOTTEN);
            let piece = query.execute(&self.database.pool).await?.rows_affected();
            forgotten += piece;
            if piece == 0 {
                return Ok(forgotten);
            }
        }
    }

    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<()> {
        snapshot.check()?;
        let query = sqlx::query(SAVE_SNAPSHOT).bind(snapshot.tenant.as_str()).bind(snapshot.stream.as_str());
        let query =
            query.bind(&snapshot.encoding).bind(stored(snapshot.revision.get())?).bind(snapshot.state.as_deref());
        query.bind(snapshot.checksum().bytes().as_slice()).execute(&self.database.pool).await?;
        Ok(())
    }

    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>> {
        limits::text("the name of an encoding", encoding, LONGEST_NAME)?;
        let query = sqlx::query_as::<_, (i64, Option<Vec<u8>>, Vec<u8>)>(SNAPSHOT);
        let query = query.bind(tenant.as_str()).bind(stream.as_str()).bind(encoding);
        let found = query.fetch_optional(&self.database.pool).await?;
        let kept = found.map(|(revision, state, checksum)| Kept { revision, state, checksum });
        Ok(kept.and_then(|kept| Snapshot::verified(tenant, stream, encoding, kept)))
    }

    async fn register_plugin(&self, plugin: &PluginRecord) -> Result<PluginVersion> {
        registry::register(&self.database, plugin).await
    }

    async fn plugins(&self, limit: u32) -> Result<Vec<(PluginVersion, PluginRecord)>> {
        registry::plugins(&self.database, limit).await
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

pub(super) async fn head(database: &Database) -> Result<Position> {
    let query = sqlx::query_scalar::<_, i64>(HEAD);
    Ok(Position::new(loaded(query.fetch_one(&database.pool).await?, "the head of the log")?))
}

/// An answer, from a column on.
pub(super) fn answer(row: &PgRow, at: usize) -> Result<Answer> {
    const PLACE: &str = "the answers";
    Ok(Answer {
        request: recorded::digest(row.try_get(at)?, PLACE)?,
        stream: recorded::stream(row.try_get(at + 1)?, PLACE)?,
        revision: Revision::new(loaded(row.try_get(at + 2)?, PLACE)?),
        position: Position::new(loaded(row.try_get(at + 3)?, PLACE)?),
    })
}

/// A document as it is on the wire, which is its text. To have it cast to text would make the server copy it.
fn json(row: &PgRow, at: usize) -> Result<String> {
    let text = row.try_get_raw(at)?.as_str().map_err(sqlx::Error::Decode)?;
    Ok(text.to_owned())
}

fn events(rows: &[PgRow]) -> Result<Vec<RecordedEvent>> {
    rows.iter().map(event).collect()
}

fn event(row: &PgRow) -> Result<RecordedEvent> {
    Stored {
        position: row.try_get(0)?,
        tenant: row.try_get(1)?,
        stream: row.try_get(2)?,
        revision: row.try_get(3)?,
        name: row.try_get(4)?,
        version: row.try_get::<i32, _>(5)?.into(),
        payload: json(row, 6)?,
        tags: row.try_get::<Option<Vec<String>>, _>(7)?.unwrap_or_default(),
        recorded_at: row.try_get::<Time, _>(8)?.0,
        command_id: row.try_get(9)?,
        correlation_id: row.try_get(10)?,
        causation_id: row.try_get(11)?,
        actor: row.try_get(12)?,
    }
    .event()
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Executor};

    use super::super::append::locked::{ANSWERS, HOLDERS, REVISIONS};
    use super::super::append::short::{EVENTS, EVENTS_AND_MORE};
    use super::*;
    use crate::testing::Postgres;

    /// Every index serves its statement: asked for a generic plan without sequential scans, which small tables would
    /// otherwise get, the planner finds one, and nothing is left to sort.
    #[tokio::test]
    async fn every_statement_has_its_index() {
        let database =
            Database::open(&Postgres::shared().database().await, &Options::default(), Promise::Durable).await.unwrap();
        let mut connection = database.pool.acquire().await.unwrap();
        connection.execute("set enable_seqscan = off; set plan_cache_mode = force_generic_plan").await.unwrap();
        connection.execute("set enable_bitmapscan = off").await.unwrap();
        let nothing = |count: usize| vec!["null"; count].join(", ");
        for (sql, arguments, index) in [
            (READ_LOG, "0, 10", "Index Scan using events_pkey"),
            (READ_STREAM, "'a', 'b', 0, 10", "Index Scan using events_by_stream"),
            (REVISIONS, "'{}', '{}'", "Index Only Scan Backward using events_by_stream"),
            (ANSWERS, "'{}', '{}'", "Index Scan using answers_pkey"),
            (HOLDERS, "'{}', '{}', '{}'", "Index Scan using claims_pkey"),
            (ANSWER, "'a', 'b'", "Index Scan using answers_pkey"),
            (EVENTS, &nothing(19), "Index Scan using events_pkey"),
            (EVENTS, &nothing(19), "Index Only Scan using events_by_stream"),
            (EVENTS_AND_MORE, &nothing(30), "Index Only Scan using events_by_stream"),
            (FORGET_ANSWERS, "now(), 10", "Index Scan using answers_by_age"),
        ] {
            connection.execute(AssertSqlSafe(format!("prepare asked as {sql}"))).await.unwrap();
            let explain = AssertSqlSafe(format!("explain (costs off) execute asked({arguments})"));
            let plan = sqlx::query_scalar::<_, String>(explain).fetch_all(&mut *connection).await.unwrap().join("\n");
            assert!(plan.contains(index) && !plan.contains("Sort"), "{sql}:\n{plan}");
            connection.execute("deallocate asked").await.unwrap();
        }
    }
}
