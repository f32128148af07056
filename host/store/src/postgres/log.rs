//! The event log in PostgreSQL.

mod cells;
mod pages;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tokio::sync::watch;
use yado_model::{IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};

use self::pages::Pages;
use super::bound::Bound;
use super::time::Time;
use super::{Database, announce, append, claims, registry, snapshots};
use crate::kinds::Noted;
use crate::limits;
use crate::number::{bound, loaded};
use crate::open::Promise;
use crate::page::Size;
use crate::recorded;
use crate::snapshot;
use crate::{
    Answer, Append, Appended, ClaimsReport, EventKind, EventStore, Forgotten, Options, PluginRecord, PluginVersion,
    Result, Snapshot, StreamPage,
};

/// Where the log ends.
pub(super) const HEAD: &str = "select last from log_head";

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

/// At most so many rows are forgotten in one transaction. Appends do not wait for it: they go through another connection.
pub(super) const PIECE: i64 = 5_000;

/// By their places in the table, so that each piece is one walk along the index and nothing else.
const FORGET_ANSWERS: &str = "\
    delete from answers where ctid = any(array(select ctid from answers where answered_at < $1 order by answered_at limit $2))";

/// The event log in a PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Events {
    database: Database,
    pages: Pages,
    noted: Noted,
    witnessed: append::Witnessed,
    /// How large events are in the log, and in streams that are read.
    log_size: Size,
    stream_size: Size,
}

impl Events {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        let database = Database::open(url, options, Promise::Durable).await?;
        Ok(Self {
            pages: Pages::new(&database, options),
            database,
            noted: Noted::default(),
            witnessed: append::Witnessed::default(),
            log_size: Size::default(),
            stream_size: Size::default(),
        })
    }
}

#[async_trait]
impl EventStore for Events {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>> {
        append::append(&self.database.appending, &self.noted, &self.witnessed, batch).await
    }

    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Revision,
        limit: u32,
    ) -> Result<StreamPage> {
        limits::page(limit)?;
        let limit = self.stream_size.events(limit);
        let values = [
            Bound::Text(tenant.to_string()),
            Bound::Text(stream.to_string()),
            Bound::Integer(bound(after.get())),
            Bound::Integer(i64::from(limit)),
        ];
        let page = self.pages.read(READ_STREAM, &values).await?;
        self.stream_size.learn(&page);
        recorded::stream_without_gaps(stream, after, &page.events)?;
        Ok(page.of_stream(limit))
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<RecordedEvent>> {
        limits::page(limit)?;
        let limit = self.log_size.events(limit);
        let page = self.pages.read(READ_LOG, &[bound(after.get()), i64::from(limit)].map(Bound::Integer)).await?;
        self.log_size.learn(&page);
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

    async fn forget_answers(&self, before: Timestamp) -> Result<Forgotten> {
        let query = sqlx::query(FORGET_ANSWERS).bind(Time(before)).bind(PIECE);
        let count = query.execute(&self.database.pool).await?.rows_affected();
        Ok(Forgotten { count, more: count == PIECE.unsigned_abs() })
    }

    async fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<()> {
        snapshots::save(&self.database, snapshots).await
    }

    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>> {
        snapshot::find(&self.database.pool, tenant, stream, encoding).await
    }

    async fn forget_snapshots(&self, used: &[String], unused_since: Timestamp) -> Result<Forgotten> {
        snapshots::forget(&self.database, used, unused_since).await
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
        self.pages.close().await;
        self.database.close().await;
    }
}

pub(super) async fn head(database: &Database) -> Result<Position> {
    let query = sqlx::query_scalar::<_, i64>(HEAD);
    Ok(Position::new(loaded(query.fetch_one(&database.pool).await?, "the head of the log")?))
}

/// An answer, from a column on.
pub(super) fn answer(row: &PgRow, at: usize) -> Result<Answer> {
    Answer::stored(row.try_get(at)?, row.try_get(at + 1)?, row.try_get(at + 2)?, row.try_get(at + 3)?)
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Executor};

    use super::super::append::locked::{ANSWERS, HOLDERS, REVISIONS};
    use super::super::append::short::{EVENTS, EVENTS_AND_MORE};
    use super::*;
    use crate::conformance::fixtures::{counted, record};
    use crate::snapshot::{FIND, NOTE_FOUND};
    use crate::testing::{Postgres as Cluster, patient};

    #[tokio::test]
    async fn a_table_that_others_have_changed_is_told_by_its_column() {
        let url = Cluster::shared().database().await;
        let events = Events::open(&url, &patient()).await.unwrap();
        record(&events, &[counted("Counter-a", 0, 1)]).await.unwrap();
        assert_eq!(events.read_log(Position::ZERO, 10).await.unwrap().len(), 1);
        for sql in ["drop view event_log", "alter table events alter recorded_at type text"] {
            events.database.pool.execute(sql).await.unwrap();
        }
        // With connections that have not prepared the statement for the table as it was.
        let events = Events::open(&url, &patient()).await.unwrap();
        let error = events.read_log(Position::ZERO, 10).await.unwrap_err().to_string();
        assert!(error.contains("the table of events") && error.contains("recorded_at is of the type TEXT"), "{error}");
    }

    /// Every index serves its statement: asked for a generic plan without sequential scans, which small tables would
    /// otherwise get, the planner finds one, and nothing is left to sort.
    #[tokio::test]
    async fn every_statement_has_its_index() {
        let database = Database::open(&Cluster::shared().database().await, &patient(), Promise::Durable).await.unwrap();
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
            (EVENTS, &nothing(21), "Index Scan using events_pkey"),
            (EVENTS_AND_MORE, &nothing(44), "Index Only Scan using events_by_stream"),
            (EVENTS_AND_MORE, &nothing(44), "Index Scan using claims_pkey"),
            (FORGET_ANSWERS, "now(), 10", "Index Scan using answers_by_age"),
            (NOTE_FOUND, "now()", "Index Only Scan using snapshots_by_encoding"),
            (FIND, "'a', 'b', 'c'", "Index Scan using snapshots_pkey"),
            (snapshots::FORGET, "'a', 10", "Index Scan using snapshots_by_encoding"),
        ] {
            connection.execute(AssertSqlSafe(format!("prepare asked as {sql}"))).await.unwrap();
            let explain = AssertSqlSafe(format!("explain (costs off) execute asked({arguments})"));
            let plan = sqlx::query_scalar::<_, String>(explain).fetch_all(&mut *connection).await.unwrap().join("\n");
            assert!(plan.contains(index) && !plan.contains("Sort"), "{sql}:\n{plan}");
            connection.execute("deallocate asked").await.unwrap();
        }
    }
}
