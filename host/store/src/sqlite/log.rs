//! The event log in SQLite.

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use yado_model::{IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};

use super::{Database, chunks};
use crate::append::settle::{Asked, EventRow, Known, Settled, settle};
use crate::limits::{self, LONGEST_NAME};
use crate::number::{bound, loaded, stored};
use crate::open::Promise;
use crate::recorded::{self, Stored};
use crate::{Answer, Append, Appended, Error, EventStore, Options, PluginRecord, PluginVersion, Result, Snapshot};

/// The end of the table's own tree, whatever the length of the log.
const HEAD: &str = "select coalesce(max(position), 0) from events";

// The next three look many things up at once: a JSON array goes in, and each row that comes out says by its number which
// of them it belongs to. `cross join` has SQLite begin with the array, and seek in the other table's index.

const REVISIONS: &str = "\
    select w.key, coalesce((select e.revision from events e \
        where e.tenant = w.value ->> 0 and e.stream = w.value ->> 1 order by e.revision desc limit 1), 0) \
    from json_each(?) w";

const ANSWERS: &str = "\
    select w.key, a.request, a.stream, a.revision, a.position from json_each(?) w \
    cross join answers a on a.tenant = w.value ->> 0 and a.idempotency_key = w.value ->> 1";

const HOLDERS: &str = "\
    select w.key, c.stream from json_each(?) w \
    cross join claims c on c.tenant = w.value ->> 0 and c.\"constraint\" = w.value ->> 1 and c.value = w.value ->> 2";

const INSERT_EVENTS: &str = "insert into events (position, tenant, stream, revision, name, version, payload, tags, \
    recorded_at, command_id, correlation_id, causation_id, actor, plugin) ";

const READ_STREAM: &str = "\
    select position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, correlation_id, \
        causation_id, actor \
    from events where tenant = ? and stream = ? and revision > ? order by revision limit ?";

const READ_LOG: &str = "\
    select position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, correlation_id, \
        causation_id, actor \
    from events where position > ? order by position limit ?";

const ANSWER: &str = "select request, stream, revision, position from answers where tenant = ? and idempotency_key = ?";

const SAVE_SNAPSHOT: &str = "\
    insert into snapshots (tenant, stream, encoding, revision, state) values (?, ?, ?, ?, ?) \
    on conflict (tenant, stream, encoding) do update set revision = excluded.revision, state = excluded.state \
    where excluded.revision >= snapshots.revision";

const REGISTER_PLUGIN: &str = "\
    insert into plugins (id, name, version, digest, registered_at) \
    values ((select coalesce(max(id), 0) + 1 from plugins), ?, ?, ?, ?) returning id";

/// The event log in a SQLite database.
#[derive(Debug)]
pub(crate) struct Events {
    database: Database,
}

impl Events {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        Ok(Self { database: Database::open(url, options, Promise::Durable).await? })
    }
}

#[async_trait]
impl EventStore for Events {
    async fn append(&self, batch: &[Append]) -> Result<Vec<Appended>> {
        let asked = Asked::of(batch)?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.database.write().await?;
        let known = look_up(&mut transaction, &asked).await?;
        let settled = settle(batch, &asked, known)?;
        if settled.events.is_empty() {
            transaction.rollback().await?;
        } else {
            write(&mut transaction, &settled).await?;
            transaction.commit().await?;
            tracing::debug!(appends = batch.len(), events = settled.events.len(), head = %settled.head, "recorded");
        }
        Ok(settled.outcomes)
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
        let events = events(&query.fetch_all(&self.database.readers).await?)?;
        recorded::log_without_gaps(after, &events)?;
        Ok(events)
    }

    async fn head(&self) -> Result<Position> {
        let head = sqlx::query_scalar::<_, i64>(HEAD).fetch_one(&self.database.readers).await?;
        Ok(Position::new(loaded(head, "the head of the log")?))
    }

    async fn answer(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<Answer>> {
        let query = sqlx::query(ANSWER).bind(tenant.as_str()).bind(key.as_str());
        query.fetch_optional(&self.database.readers).await?.map(|row| answer(&row, 0)).transpose()
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<u64> {
        let query = sqlx::query("delete from answers where answered_at < ?").bind(before.micros());
        Ok(query.execute(&self.database.writer).await?.rows_affected())
    }

    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<()> {
        limits::text("the name of an encoding", &snapshot.encoding, LONGEST_NAME)?;
        let query = sqlx::query(SAVE_SNAPSHOT).bind(snapshot.tenant.as_str()).bind(snapshot.stream.as_str());
        let query =
            query.bind(&snapshot.encoding).bind(stored(snapshot.revision.get())?).bind(snapshot.state.as_deref());
        query.execute(&self.database.writer).await?;
        Ok(())
    }

    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>> {
        let query = sqlx::query_as::<_, (i64, Option<Vec<u8>>)>(
            "select revision, state from snapshots where tenant = ? and stream = ? and encoding = ?",
        );
        let query = query.bind(tenant.as_str()).bind(stream.as_str()).bind(encoding);
        let Some((revision, state)) = query.fetch_optional(&self.database.readers).await? else { return Ok(None) };
        Ok(Some(Snapshot {
            tenant: tenant.clone(),
            stream: stream.clone(),
            revision: Revision::new(loaded(revision, "a snapshot")?),
            encoding: encoding.to_owned(),
            state,
        }))
    }

    async fn register_plugin(&self, plugin: &PluginRecord) -> Result<PluginVersion> {
        plugin.check()?;
        let mut transaction = self.database.write().await?;
        let query = sqlx::query_scalar::<_, i64>("select id from plugins where digest = ?");
        let known = query.bind(plugin.digest.bytes().as_slice()).fetch_optional(&mut *transaction).await?;
        let id = if let Some(id) = known {
            id
        } else {
            let query = sqlx::query_scalar::<_, i64>(REGISTER_PLUGIN).bind(&plugin.name).bind(&plugin.version);
            let query = query.bind(plugin.digest.bytes().as_slice()).bind(plugin.registered_at.micros());
            query.fetch_one(&mut *transaction).await?
        };
        transaction.commit().await?;
        plugin_version(id)
    }

    async fn plugins(&self, limit: u32) -> Result<Vec<(PluginVersion, PluginRecord)>> {
        let query = sqlx::query_as::<_, (i64, String, String, Vec<u8>, i64)>(
            "select id, name, version, digest, registered_at from plugins order by id desc limit ?",
        );
        let rows = query.bind(limits::page(limit)?).fetch_all(&self.database.readers).await?;
        let record = |(id, name, version, digest, registered_at): (i64, String, String, Vec<u8>, i64)| {
            let registered_at = Timestamp::from_micros(registered_at);
            let digest = recorded::digest(&digest, "the plugins")?;
            Ok((plugin_version(id)?, PluginRecord { name, version, digest, registered_at }))
        };
        rows.into_iter().map(record).collect()
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

async fn look_up(connection: &mut SqliteConnection, asked: &Asked<'_>) -> Result<Known> {
    let head = sqlx::query_scalar::<_, i64>(HEAD).fetch_one(&mut *connection).await?;
    let mut known = Known {
        head: Position::new(loaded(head, "the head of the log")?),
        revisions: vec![Revision::ZERO; asked.streams.len()],
        answers: vec![None; asked.answers.len()],
        holders: vec![None; asked.claims.len()],
    };

    let streams: Value =
        asked.streams.iter().map(|(tenant, stream)| json!([tenant.as_str(), stream.as_str()])).collect();
    let rows = sqlx::query_as::<_, (i64, i64)>(REVISIONS).bind(streams.to_string()).fetch_all(&mut *connection).await?;
    for (at, revision) in rows {
        recorded::place(&mut known.revisions, at, Revision::new(loaded(revision, "the events of a stream")?))?;
    }
    if !asked.answers.is_empty() {
        let keys: Value = asked.answers.iter().map(|(tenant, key)| json!([tenant.as_str(), key.as_str()])).collect();
        for row in sqlx::query(ANSWERS).bind(keys.to_string()).fetch_all(&mut *connection).await? {
            recorded::place(&mut known.answers, row.try_get(0)?, Some(answer(&row, 1)?))?;
        }
    }
    if !asked.claims.is_empty() {
        let claims: Value =
            asked.claims.iter().map(|(tenant, name, value)| json!([tenant.as_str(), name, value])).collect();
        let query = sqlx::query_as::<_, (i64, String)>(HOLDERS).bind(claims.to_string());
        for (at, stream) in query.fetch_all(&mut *connection).await? {
            recorded::place(&mut known.holders, at, Some(recorded::stream(&stream, "the claims")?))?;
        }
    }
    Ok(known)
}

async fn write(connection: &mut SqliteConnection, settled: &Settled<'_>) -> Result<()> {
    // Whatever can't be stored is found before the first row is.
    stored(settled.head.get())?;
    for rows in chunks(&settled.events) {
        let mut sql = QueryBuilder::<Sqlite>::new(INSERT_EVENTS);
        sql.push_values(rows, |mut columns, row| {
            let EventRow { append, event, revision, position } = row;
            let tags = (!event.tags.is_empty()).then(|| json!(event.tags).to_string());
            columns.push_bind(bound(position.get()));
            columns.push_bind(append.tenant.as_str());
            columns.push_bind(append.stream.as_str());
            columns.push_bind(bound(revision.get()));
            columns.push_bind(event.name.as_str());
            columns.push_bind(i64::from(event.version));
            columns.push_bind(event.payload.as_str());
            columns.push_bind(tags);
            columns.push_bind(append.recorded_at.micros());
            columns.push_bind(append.command.command_id.0);
            columns.push_bind(row.correlation());
            columns.push_bind(append.command.causation_id);
            columns.push_bind(append.command.actor.as_ref().map(|actor| actor.as_str().to_owned()));
            columns.push_bind(append.plugin.0);
        });
        sql.build().execute(&mut *connection).await?;
    }
    for rows in chunks(&settled.answers) {
        let mut sql = QueryBuilder::<Sqlite>::new(
            "insert into answers (tenant, idempotency_key, request, stream, revision, position, answered_at) ",
        );
        sql.push_values(rows, |mut columns, row| {
            columns.push_bind(row.append.tenant.as_str());
            columns.push_bind(row.key.as_str());
            columns.push_bind(row.answer.request.bytes().as_slice());
            columns.push_bind(row.answer.stream.as_str());
            columns.push_bind(bound(row.answer.revision.get()));
            columns.push_bind(bound(row.answer.position.get()));
            columns.push_bind(row.append.recorded_at.micros());
        });
        sql.build().execute(&mut *connection).await?;
    }
    for rows in chunks(&settled.released) {
        let mut sql = QueryBuilder::<Sqlite>::new("delete from claims where (tenant, \"constraint\", value) in (");
        sql.push_values(rows, |mut columns, (tenant, name, value)| {
            columns.push_bind(tenant.as_str());
            columns.push_bind(*name);
            columns.push_bind(*value);
        });
        sql.push(")").build().execute(&mut *connection).await?;
    }
    for rows in chunks(&settled.taken) {
        let mut sql = QueryBuilder::<Sqlite>::new("insert into claims (tenant, \"constraint\", value, stream) ");
        sql.push_values(rows, |mut columns, ((tenant, name, value), stream)| {
            columns.push_bind(tenant.as_str());
            columns.push_bind(*name);
            columns.push_bind(*value);
            columns.push_bind(stream.as_str());
        });
        sql.push(" on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream");
        sql.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// An answer, from a column on.
fn answer(row: &SqliteRow, at: usize) -> Result<Answer> {
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

fn plugin_version(id: i64) -> Result<PluginVersion> {
    i32::try_from(id).map(PluginVersion).map_err(|error| Error::corrupt("the plugins", error))
}

#[cfg(test)]
mod tests {
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
