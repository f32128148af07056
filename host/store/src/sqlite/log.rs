//! The event log in SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use rusqlite::Connection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row as _, Sqlite};
use tokio::sync::watch;
use yado_model::{IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};

use super::append::ANSWER;
use super::writer::{Writer, transaction};
use super::{Database, append, claims, registry, snapshots};
use crate::kinds::Noted;
use crate::limits;
use crate::number::{bound, loaded};
use crate::open::Promise;
use crate::page::Page;
use crate::recorded::{self, Stored};
use crate::snapshot;
use crate::{
    Answer, Append, Appended, ClaimsReport, Error, EventKind, EventStore, Forgotten, Options, PluginRecord,
    PluginVersion, Result, Snapshot, StreamPage,
};

/// The end of the table's own tree, whatever the length of the log.
pub(super) const HEAD: &str = "select coalesce(max(position), 0) from events";

const READ_STREAM: &str = "\
    select position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, correlation_id, \
        causation_id, actor \
    from events where tenant = ? and stream = ? and revision > ? order by revision limit ?";

const READ_LOG: &str = "\
    select position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, correlation_id, \
        causation_id, actor \
    from events where position > ? order by position limit ?";

/// At most so many rows are forgotten in one transaction. Appends wait for it: whoever has much to forget is to let them
/// go first, between one piece and the next.
pub(super) const PIECE: u16 = 500;

const FORGET_ANSWERS: &str = "\
    delete from answers where (tenant, idempotency_key) in \
        (select tenant, idempotency_key from answers where answered_at < ? order by answered_at limit ?)";

/// The event log in a SQLite database.
#[derive(Debug)]
pub(crate) struct Events {
    database: Database,
    writer: Writer,
    noted: Arc<Noted>,
}

impl Events {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        let database = Database::open(url, options, Promise::Durable).await?;
        let writer = Writer::start(database.place.clone()).await?;
        database.only_read().await;
        Ok(Self { database, writer, noted: Arc::default() })
    }
}

#[async_trait]
impl EventStore for Events {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>> {
        append::append(&self.writer, &self.noted, batch).await
    }

    async fn read_stream(
        &self,
        tenant: &TenantId,
        stream: &StreamId,
        after: Revision,
        limit: u32,
    ) -> Result<StreamPage> {
        let query = sqlx::query(READ_STREAM).bind(tenant.as_str()).bind(stream.as_str());
        let page = page(&self.database, query.bind(bound(after.get())).bind(limits::page(limit)?)).await?;
        recorded::stream_without_gaps(stream, after, &page.events)?;
        Ok(page.of_stream(limit))
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<RecordedEvent>> {
        let query = sqlx::query(READ_LOG).bind(bound(after.get())).bind(limits::page(limit)?);
        let page = page(&self.database, query).await?;
        recorded::log_without_gaps(after, &page.events)?;
        Ok(page.events)
    }

    async fn head(&self) -> Result<Position> {
        let head = sqlx::query_scalar::<_, i64>(HEAD).fetch_one(&self.database.readers).await?;
        Ok(Position::new(loaded(head, "the head of the log")?))
    }

    /// Whoever shares the file is on the same machine, and asks it.
    async fn announce(&self, _head: Position) -> Result<()> {
        Ok(())
    }

    async fn listen(&self, _heard: watch::Sender<Position>) -> Result<()> {
        std::future::pending().await
    }

    async fn event_kinds(&self) -> Result<Vec<EventKind>> {
        registry::event_kinds(&self.database).await
    }

    async fn rebuild_claims(&self, apply: bool) -> Result<ClaimsReport> {
        claims::rebuild(&self.database, apply).await
    }

    async fn answer(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<Answer>> {
        let query = sqlx::query(ANSWER).bind(tenant.as_str()).bind(key.as_str());
        query.fetch_optional(&self.database.readers).await?.as_ref().map(answer).transpose()
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<Forgotten> {
        let piece = move |connection: &mut Connection| {
            transaction(connection, |connection| {
                let count = connection.prepare_cached(FORGET_ANSWERS)?.execute((before.micros(), PIECE))?;
                Ok(Forgotten { count: count as u64, more: count == usize::from(PIECE) })
            })
        };
        self.writer.run_derived(piece).await
    }

    async fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<()> {
        snapshots::save(&self.writer, snapshots).await
    }

    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>> {
        snapshot::find(&self.database.readers, tenant, stream, encoding).await
    }

    async fn forget_snapshots(&self, used: &[String], unused_since: Timestamp) -> Result<Forgotten> {
        snapshots::forget(&self.writer, used, unused_since).await
    }

    async fn register_plugin(&self, plugin: &PluginRecord) -> Result<PluginVersion> {
        registry::register(&self.writer, plugin).await
    }

    async fn plugins(&self, limit: u32) -> Result<Vec<(PluginVersion, PluginRecord)>> {
        registry::plugins(&self.database, limit).await
    }

    async fn ping(&self) -> Result<()> {
        self.writer.allow()?;
        self.database.ping().await
    }

    async fn close(&self) {
        self.database.close().await;
        self.writer.close().await;
    }
}

fn answer(row: &SqliteRow) -> Result<Answer> {
    Answer::stored(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?)
}

/// Reads until the page is full.
async fn page(database: &Database, query: Query<'_, Sqlite, SqliteArguments>) -> Result<Page> {
    let mut rows = query.fetch(&database.readers);
    let mut page = Page::default();
    while let Some(row) = rows.try_next().await? {
        page.push(event(&row)?);
        if page.is_full() {
            break;
        }
    }
    Ok(page)
}

fn event(row: &SqliteRow) -> Result<RecordedEvent> {
    let tags = match row.try_get::<Option<&str>, _>(7)? {
        Some(tags) => serde_json::from_str(tags).map_err(|error| Error::corrupt("the tags of an event", error))?,
        None => Vec::new(),
    };
    Stored {
        position: row.try_get(0)?,
        tenant: row.try_get(1)?,
        stream: row.try_get(2)?,
        revision: row.try_get(3)?,
        name: row.try_get(4)?,
        version: row.try_get(5)?,
        payload: row.try_get(6)?,
        tags,
        recorded_at: Timestamp::from_micros(row.try_get(8)?),
        command_id: row.try_get(9)?,
        correlation_id: row.try_get(10)?,
        causation_id: row.try_get(11)?,
        actor: row.try_get(12)?,
    }
    .event()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};

    use super::super::Reads;
    use super::super::append::{HOLDER, REVISION};
    use super::*;
    use crate::ReadStore as _;
    use crate::snapshot::{FIND, NOTE_FOUND};
    use crate::testing::patient;

    /// What the writer's connection is told of transactions while something is done.
    async fn transactions(events: &Events, done: impl Future<Output = Result<Forgotten>>) -> Vec<TransactionOperation> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noting = Arc::clone(&seen);
        let note = move |context: AuthContext<'_>| {
            if let AuthAction::Transaction { operation } = context.action {
                noting.lock().unwrap().push(operation);
            }
            Authorization::Allow
        };
        events.writer.run(move |connection| Ok(connection.authorizer(Some(note))?)).await.unwrap();
        done.await.unwrap();
        let seen = seen.lock().unwrap();
        seen.clone()
    }

    #[tokio::test]
    async fn answers_are_forgotten_where_a_disk_that_fails_is_noticed() {
        let events = Events::open("sqlite::memory:", &patient()).await.unwrap();
        let now = Timestamp::now();
        let expected = transactions(&events, events.forget_snapshots(&[], now)).await;
        // There is no word for a commit.
        assert_eq!(expected, [TransactionOperation::Begin, TransactionOperation::Unknown]);
        assert_eq!(transactions(&events, events.forget_answers(now)).await, expected);
    }

    #[tokio::test]
    async fn whoever_is_the_last_to_read_leaves_what_was_recorded_where_it_is_when_the_disk_has_failed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let url = format!("sqlite:{}", path.display());
        let events = Events::open(&url, &patient()).await.unwrap();
        let reads = Reads::open(&url, &patient()).await.unwrap();
        events.forget_answers(Timestamp::now()).await.unwrap();
        events.head().await.unwrap();
        reads.checkpoint("any").await.unwrap();
        let carried = std::fs::read(&path).unwrap();
        events.database.place.disk.fails(&"as a test says");
        events.ping().await.unwrap_err();
        // The other way round than in order.
        events.writer.close().await;
        events.database.close().await;
        reads.close().await;
        assert!(path.with_extension("db-wal").metadata().unwrap().len() > 0);
        assert!(std::fs::read(&path).unwrap() == carried);
        let refused = Events::open(&url, &patient()).await.unwrap_err();
        assert!(matches!(refused, Error::OutOfUse(_)), "{refused}");
    }

    #[tokio::test]
    async fn claims_are_not_put_right_on_a_disk_that_has_failed() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("log.db").display());
        let events = Events::open(&url, &patient()).await.unwrap();
        events.writer.run(|connection| Ok(connection.execute_batch(WRONG)?)).await.unwrap();
        events.database.place.disk.fails(&"as a test says");
        let refused = events.rebuild_claims(true).await.unwrap_err();
        assert!(matches!(&refused, Error::OutOfUse(reason) if reason.contains("start again")), "{refused}");
        // What is there may still be read.
        let count = sqlx::query_scalar::<_, i64>("select count(*) from claims").fetch_one(&events.database.readers);
        assert_eq!(count.await.unwrap(), 1);
    }

    /// A claim that no event tells of.
    const WRONG: &str = "insert into claims values ('default', 'unique_label', 'x', 'Counter-a')";

    /// How SQLite goes about a statement.
    async fn plan(sql: &str, parameters: usize) -> String {
        let database = Database::open("sqlite::memory:", &patient(), Promise::Durable).await.unwrap();
        let mut query = sqlx::query(sqlx::AssertSqlSafe(format!("explain query plan {sql}")));
        for _ in 0..parameters {
            query = query.bind("[]");
        }
        let steps = query.fetch_all(&database.readers).await.unwrap();
        steps.iter().map(|step| step.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn every_statement_has_its_index() {
        for (sql, parameters, index) in [
            (HEAD, 0, "SEARCH events"),
            (READ_LOG, 2, "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"),
            (READ_STREAM, 4, "SEARCH events USING INDEX events_by_stream (tenant=? AND stream=? AND revision>?)"),
            (REVISION, 2, "SEARCH events USING COVERING INDEX events_by_stream (tenant=? AND stream=?)"),
            (HOLDER, 3, "SEARCH claims USING PRIMARY KEY (tenant=? AND constraint=? AND value=?)"),
            (ANSWER, 2, "SEARCH answers USING PRIMARY KEY (tenant=? AND idempotency_key=?)"),
            (FORGET_ANSWERS, 2, "SEARCH answers USING COVERING INDEX answers_by_age (answered_at<?)"),
            (
                FIND,
                3,
                "SEARCH snapshots USING INDEX sqlite_autoindex_snapshots_1 (tenant=? AND stream=? AND encoding=?)",
            ),
            (NOTE_FOUND, 1, "SEARCH s USING COVERING INDEX snapshots_by_encoding (encoding>?)"),
            (snapshots::FORGET, 2, "SEARCH snapshots USING COVERING INDEX snapshots_by_encoding (encoding=?)"),
        ] {
            let plan = plan(sql, parameters).await;
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }
}
