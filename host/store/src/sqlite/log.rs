//! The event log in SQLite.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use tokio::sync::watch;
use yado_model::{IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};

use super::{Database, append, claims, registry};
use crate::kinds::Noted;
use crate::limits::{self, LONGEST_NAME, MOST_FORGOTTEN};
use crate::number::{bound, loaded, stored};
use crate::open::Promise;
use crate::page::Page;
use crate::recorded::{self, Stored};
use crate::snapshot::Kept;
use crate::{
    Answer, Append, Appended, ClaimsReport, Error, EventKind, EventStore, Options, PluginRecord, PluginVersion, Result,
    Snapshot,
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

const ANSWER: &str = "select request, stream, revision, position from answers where tenant = ? and idempotency_key = ?";

const FORGET_ANSWERS: &str = "\
    delete from answers where (tenant, idempotency_key) in \
        (select tenant, idempotency_key from answers where answered_at < ? order by answered_at limit ?)";

const SAVE_SNAPSHOT: &str = "\
    insert into snapshots (tenant, stream, encoding, revision, state, checksum) values (?, ?, ?, ?, ?, ?) \
    on conflict (tenant, stream, encoding) do update \
    set revision = excluded.revision, state = excluded.state, checksum = excluded.checksum \
    where excluded.revision >= snapshots.revision";

const SNAPSHOT: &str =
    "select revision, state, checksum from snapshots where tenant = ? and stream = ? and encoding = ?";

/// The event log in a SQLite database.
#[derive(Debug)]
pub(crate) struct Events {
    database: Database,
    noted: Noted,
}

impl Events {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        Ok(Self { database: Database::open(url, options, Promise::Durable).await?, noted: Noted::default() })
    }
}

#[async_trait]
impl EventStore for Events {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>> {
        append::append(&self.database, &self.noted, batch).await
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
        let events = events(&query.fetch_all(&self.database.readers).await?)?;
        recorded::stream_without_gaps(stream, after, &events)?;
        Ok(events)
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<RecordedEvent>> {
        let query = sqlx::query(READ_LOG).bind(bound(after.get())).bind(limits::page(limit)?);
        let mut rows = query.fetch(&self.database.readers);
        let mut page = Page::default();
        while let Some(row) = rows.try_next().await? {
            page.push(event(&row)?);
            if page.is_full() {
                break;
            }
        }
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
        query.fetch_optional(&self.database.readers).await?.map(|row| answer(&row, 0)).transpose()
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<u64> {
        let mut forgotten = 0;
        loop {
            let query = sqlx::query(FORGET_ANSWERS).bind(before.micros()).bind(MOST_FORGOTTEN);
            let piece = query.execute(&self.database.writer).await?.rows_affected();
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
        query.bind(snapshot.checksum().bytes().as_slice()).execute(&self.database.writer).await?;
        Ok(())
    }

    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>> {
        limits::text("the name of an encoding", encoding, LONGEST_NAME)?;
        let query = sqlx::query_as::<_, (i64, Option<Vec<u8>>, Vec<u8>)>(SNAPSHOT);
        let query = query.bind(tenant.as_str()).bind(stream.as_str()).bind(encoding);
        let found = query.fetch_optional(&self.database.readers).await?;
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

/// An answer, from a column on.
pub(super) fn answer(row: &SqliteRow, at: usize) -> Result<Answer> {
    const PLACE: &str = "the answers";
    Ok(Answer {
        request: recorded::digest(row.try_get(at)?, PLACE)?,
        stream: recorded::stream(row.try_get(at + 1)?, PLACE)?,
        revision: Revision::new(loaded(row.try_get(at + 2)?, PLACE)?),
        position: Position::new(loaded(row.try_get(at + 3)?, PLACE)?),
    })
}

fn events(rows: &[SqliteRow]) -> Result<Vec<RecordedEvent>> {
    rows.iter().map(event).collect()
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
    use super::super::append::{ANSWERS, HOLDERS, REVISIONS};
    use super::*;

    /// How SQLite goes about a statement.
    async fn plan(sql: &str, parameters: usize) -> String {
        let database = Database::open("sqlite::memory:", &Options::default(), Promise::Durable).await.unwrap();
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
            (REVISIONS, 1, "SEARCH e USING COVERING INDEX events_by_stream (tenant=? AND stream=?)"),
            (ANSWERS, 1, "SEARCH a USING PRIMARY KEY (tenant=? AND idempotency_key=?)"),
            (HOLDERS, 1, "SEARCH c USING PRIMARY KEY (tenant=? AND constraint=? AND value=?)"),
            (ANSWER, 2, "SEARCH answers USING PRIMARY KEY (tenant=? AND idempotency_key=?)"),
        ] {
            let plan = plan(sql, parameters).await;
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
    }
}
