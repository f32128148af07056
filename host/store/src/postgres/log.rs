//! The event log in PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use yado_model::{IdempotencyKey, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};

use super::Database;
use super::time::Time;
use crate::append::settle::{Asked, Known, Settled, settle};
use crate::limits::{self, LONGEST_NAME};
use crate::number::{bound, loaded, stored};
use crate::open::Promise;
use crate::recorded::{self, Stored};
use crate::{Answer, Append, Appended, EventStore, Options, PluginRecord, PluginVersion, Result, Snapshot};

/// Waits for all appends that are under way, in this process and others, and keeps out new ones until the commit.
const LOCK_HEAD: &str = "select position from log_head for update";

// The next three look many things up at once. Each row that comes out says by its number which of them it belongs to.

/// For each stream one descent to the end of its part of `events_by_stream`.
const REVISIONS: &str = "\
    select w.n - 1, coalesce((select e.revision from events e \
        where e.tenant = w.tenant and e.stream = w.stream order by e.revision desc limit 1), 0) \
    from unnest($1::text[], $2::text[]) with ordinality w (tenant, stream, n)";

const ANSWERS: &str = "\
    select w.n - 1, a.request, a.stream, a.revision, a.position \
    from unnest($1::text[], $2::text[]) with ordinality w (tenant, key, n) \
    join answers a on a.tenant = w.tenant and a.idempotency_key = w.key";

const HOLDERS: &str = "\
    select w.n - 1, c.stream \
    from unnest($1::text[], $2::text[], $3::text[]) with ordinality w (tenant, name, value, n) \
    join claims c on c.tenant = w.tenant and c.\"constraint\" = w.name and c.value = w.value";

/// Moves the head and writes the events in one statement. Tags come as JSON, because arrays of arrays must be rectangular.
const INSERT_EVENTS: &str = "\
    with moved as (update log_head set position = $1) \
    insert into events (position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, \
        correlation_id, causation_id, actor, plugin) \
    select position, tenant, stream, revision, name, version, payload::json, \
        case when tags is not null then array(select json_array_elements_text(tags::json)) end, \
        recorded_at, command_id, correlation_id, causation_id, actor, plugin \
    from unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::int[], $8::text[], $9::text[], \
        $10::timestamptz[], $11::uuid[], $12::uuid[], $13::uuid[], $14::text[], $15::int[]) \
        e (position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, correlation_id, \
            causation_id, actor, plugin)";

const INSERT_ANSWERS: &str = "\
    insert into answers (tenant, idempotency_key, request, stream, revision, position, answered_at) \
    select * from unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[], $7::timestamptz[])";

const RELEASE_CLAIMS: &str = "\
    delete from claims c using unnest($1::text[], $2::text[], $3::text[]) w (tenant, name, value) \
    where c.tenant = w.tenant and c.\"constraint\" = w.name and c.value = w.value";

const TAKE_CLAIMS: &str = "\
    insert into claims (tenant, \"constraint\", value, stream) \
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) \
    on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream";

const READ_STREAM: &str = "\
    select position, tenant, stream, revision, name, version::bigint, payload::text, tags, recorded_at, command_id, \
        correlation_id, causation_id, actor \
    from events where tenant = $1 and stream = $2 and revision > $3 order by revision limit $4";

const READ_LOG: &str = "\
    select position, tenant, stream, revision, name, version::bigint, payload::text, tags, recorded_at, command_id, \
        correlation_id, causation_id, actor \
    from events where position > $1 order by position limit $2";

const ANSWER: &str =
    "select request, stream, revision, position from answers where tenant = $1 and idempotency_key = $2";

const SAVE_SNAPSHOT: &str = "\
    insert into snapshots (tenant, stream, encoding, revision, state) values ($1, $2, $3, $4, $5) \
    on conflict (tenant, stream, encoding) do update set revision = excluded.revision, state = excluded.state \
    where excluded.revision >= snapshots.revision";

const REGISTER_PLUGIN: &str = "\
    insert into plugins (id, name, version, digest, registered_at) \
    values ((select coalesce(max(id), 0) + 1 from plugins), $1, $2, $3, $4) returning id";

/// The event log in a PostgreSQL database.
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
        let mut transaction = self.database.begin().await?;
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
        let events = events(&query.fetch_all(&self.database.pool).await?)?;
        recorded::stream_without_gaps(stream, after, &events)?;
        Ok(events)
    }

    async fn read_log(&self, after: Position, limit: u32) -> Result<Vec<RecordedEvent>> {
        let query = sqlx::query(READ_LOG).bind(bound(after.get())).bind(limits::page(limit)?);
        let events = events(&query.fetch_all(&self.database.pool).await?)?;
        recorded::log_without_gaps(after, &events)?;
        Ok(events)
    }

    async fn head(&self) -> Result<Position> {
        let query = sqlx::query_scalar::<_, i64>("select position from log_head");
        Ok(Position::new(loaded(query.fetch_one(&self.database.pool).await?, "the head of the log")?))
    }

    async fn answer(&self, tenant: &TenantId, key: &IdempotencyKey) -> Result<Option<Answer>> {
        let query = sqlx::query(ANSWER).bind(tenant.as_str()).bind(key.as_str());
        query.fetch_optional(&self.database.pool).await?.map(|row| answer(&row, 0)).transpose()
    }

    async fn forget_answers(&self, before: Timestamp) -> Result<u64> {
        let query = sqlx::query("delete from answers where answered_at < $1").bind(Time(before));
        Ok(query.execute(&self.database.pool).await?.rows_affected())
    }

    async fn save_snapshot(&self, snapshot: &Snapshot) -> Result<()> {
        limits::text("the name of an encoding", &snapshot.encoding, LONGEST_NAME)?;
        let query = sqlx::query(SAVE_SNAPSHOT).bind(snapshot.tenant.as_str()).bind(snapshot.stream.as_str());
        let query =
            query.bind(&snapshot.encoding).bind(stored(snapshot.revision.get())?).bind(snapshot.state.as_deref());
        query.execute(&self.database.pool).await?;
        Ok(())
    }

    async fn snapshot(&self, tenant: &TenantId, stream: &StreamId, encoding: &str) -> Result<Option<Snapshot>> {
        limits::text("the name of an encoding", encoding, LONGEST_NAME)?;
        let query = sqlx::query_as::<_, (i64, Option<Vec<u8>>)>(
            "select revision, state from snapshots where tenant = $1 and stream = $2 and encoding = $3",
        );
        let query = query.bind(tenant.as_str()).bind(stream.as_str()).bind(encoding);
        let Some((revision, state)) = query.fetch_optional(&self.database.pool).await? else { return Ok(None) };
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
        let mut transaction = self.database.begin().await?;
        // Two nodes that start together would otherwise take the same number. It does not keep anybody from reading.
        sqlx::query("lock table plugins in share row exclusive mode").execute(&mut *transaction).await?;
        let query = sqlx::query_scalar::<_, i32>("select id from plugins where digest = $1");
        let known = query.bind(plugin.digest.bytes().as_slice()).fetch_optional(&mut *transaction).await?;
        let id = if let Some(id) = known {
            id
        } else {
            let query = sqlx::query_scalar::<_, i32>(REGISTER_PLUGIN).bind(&plugin.name).bind(&plugin.version);
            let query = query.bind(plugin.digest.bytes().as_slice()).bind(Time(plugin.registered_at));
            query.fetch_one(&mut *transaction).await?
        };
        transaction.commit().await?;
        Ok(PluginVersion(id))
    }

    async fn plugins(&self, limit: u32) -> Result<Vec<(PluginVersion, PluginRecord)>> {
        let query = sqlx::query_as::<_, (i32, String, String, Vec<u8>, Time)>(
            "select id, name, version, digest, registered_at from plugins order by id desc limit $1",
        );
        let rows = query.bind(limits::page(limit)?).fetch_all(&self.database.pool).await?;
        let record = |(id, name, version, digest, registered_at): (i32, String, String, Vec<u8>, Time)| {
            let digest = recorded::digest(&digest, "the plugins")?;
            Ok((PluginVersion(id), PluginRecord { name, version, digest, registered_at: registered_at.0 }))
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

async fn look_up(connection: &mut PgConnection, asked: &Asked<'_>) -> Result<Known> {
    let head = sqlx::query_scalar::<_, i64>(LOCK_HEAD).fetch_one(&mut *connection).await?;
    let mut known = Known {
        head: Position::new(loaded(head, "the head of the log")?),
        revisions: vec![Revision::ZERO; asked.streams.len()],
        answers: vec![None; asked.answers.len()],
        holders: vec![None; asked.claims.len()],
    };

    let (tenants, streams): (Vec<_>, Vec<_>) = asked.streams.iter().map(|(t, s)| (t.as_str(), s.as_str())).unzip();
    let query = sqlx::query_as::<_, (i64, i64)>(REVISIONS).bind(tenants).bind(streams);
    for (at, revision) in query.fetch_all(&mut *connection).await? {
        recorded::place(&mut known.revisions, at, Revision::new(loaded(revision, "the events of a stream")?))?;
    }
    if !asked.answers.is_empty() {
        let (tenants, keys): (Vec<_>, Vec<_>) = asked.answers.iter().map(|(t, k)| (t.as_str(), k.as_str())).unzip();
        for row in sqlx::query(ANSWERS).bind(tenants).bind(keys).fetch_all(&mut *connection).await? {
            recorded::place(&mut known.answers, row.try_get(0)?, Some(answer(&row, 1)?))?;
        }
    }
    if !asked.claims.is_empty() {
        let tenants: Vec<_> = asked.claims.iter().map(|(tenant, _, _)| tenant.as_str()).collect();
        let names: Vec<_> = asked.claims.iter().map(|(_, name, _)| *name).collect();
        let values: Vec<_> = asked.claims.iter().map(|(_, _, value)| *value).collect();
        let query = sqlx::query_as::<_, (i64, String)>(HOLDERS).bind(tenants).bind(names).bind(values);
        for (at, stream) in query.fetch_all(&mut *connection).await? {
            recorded::place(&mut known.holders, at, Some(recorded::stream(&stream, "the claims")?))?;
        }
    }
    Ok(known)
}

async fn write(connection: &mut PgConnection, settled: &Settled<'_>) -> Result<()> {
    /// One column of all rows.
    macro_rules! column {
        ($rows:expr, $row:pat => $value:expr) => {
            $rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }

    let rows = &settled.events;
    let json = |tags: &Vec<String>| (!tags.is_empty()).then(|| serde_json::Value::from(tags.as_slice()).to_string());
    sqlx::query(INSERT_EVENTS)
        .bind(stored(settled.head.get())?)
        .bind(column!(rows, row => bound(row.position.get())))
        .bind(column!(rows, row => row.append.tenant.as_str()))
        .bind(column!(rows, row => row.append.stream.as_str()))
        .bind(column!(rows, row => bound(row.revision.get())))
        .bind(column!(rows, row => row.event.name.as_str()))
        // The check of an append keeps versions within bounds.
        .bind(column!(rows, row => i32::try_from(row.event.version).unwrap_or(i32::MAX)))
        .bind(column!(rows, row => row.event.payload.as_str()))
        .bind(column!(rows, row => json(&row.event.tags)))
        .bind(column!(rows, row => Time(row.append.recorded_at)))
        .bind(column!(rows, row => row.append.command.command_id.0))
        .bind(column!(rows, row => row.correlation()))
        .bind(column!(rows, row => row.append.command.causation_id))
        .bind(column!(rows, row => row.append.command.actor.as_ref().map(|actor| actor.as_str())))
        .bind(column!(rows, row => row.append.plugin.0))
        .execute(&mut *connection)
        .await?;

    let rows = &settled.answers;
    if !rows.is_empty() {
        sqlx::query(INSERT_ANSWERS)
            .bind(column!(rows, row => row.append.tenant.as_str()))
            .bind(column!(rows, row => row.key.as_str()))
            .bind(column!(rows, row => row.answer.request.bytes().as_slice()))
            .bind(column!(rows, row => row.answer.stream.as_str()))
            .bind(column!(rows, row => bound(row.answer.revision.get())))
            .bind(column!(rows, row => bound(row.answer.position.get())))
            .bind(column!(rows, row => Time(row.append.recorded_at)))
            .execute(&mut *connection)
            .await?;
    }
    let rows = &settled.released;
    if !rows.is_empty() {
        sqlx::query(RELEASE_CLAIMS)
            .bind(column!(rows, (tenant, _, _) => tenant.as_str()))
            .bind(column!(rows, (_, name, _) => *name))
            .bind(column!(rows, (_, _, value) => *value))
            .execute(&mut *connection)
            .await?;
    }
    let rows = &settled.taken;
    if !rows.is_empty() {
        sqlx::query(TAKE_CLAIMS)
            .bind(column!(rows, ((tenant, _, _), _) => tenant.as_str()))
            .bind(column!(rows, ((_, name, _), _) => *name))
            .bind(column!(rows, ((_, _, value), _) => *value))
            .bind(column!(rows, (_, stream) => stream.as_str()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// An answer, from a column on.
fn answer(row: &PgRow, at: usize) -> Result<Answer> {
    const PLACE: &str = "the answers";
    Ok(Answer {
        request: recorded::digest(row.try_get(at)?, PLACE)?,
        stream: recorded::stream(row.try_get(at + 1)?, PLACE)?,
        revision: Revision::new(loaded(row.try_get(at + 2)?, PLACE)?),
        position: Position::new(loaded(row.try_get(at + 3)?, PLACE)?),
    })
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
        version: row.try_get(5)?,
        payload: row.try_get(6)?,
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
        for (sql, arguments, index) in [
            (READ_LOG, "0, 10", "Index Scan using events_pkey"),
            (READ_STREAM, "'a', 'b', 0, 10", "Index Scan using events_by_stream"),
            (REVISIONS, "'{}', '{}'", "Index Only Scan Backward using events_by_stream"),
            (ANSWERS, "'{}', '{}'", "Index Scan using answers_pkey"),
            (HOLDERS, "'{}', '{}', '{}'", "Index Scan using claims_pkey"),
            (ANSWER, "'a', 'b'", "Index Scan using answers_pkey"),
        ] {
            connection.execute(AssertSqlSafe(format!("prepare asked as {sql}"))).await.unwrap();
            let explain = AssertSqlSafe(format!("explain (costs off) execute asked({arguments})"));
            let plan = sqlx::query_scalar::<_, String>(explain).fetch_all(&mut *connection).await.unwrap().join("\n");
            assert!(plan.contains(index) && !plan.contains("Sort"), "{sql}:\n{plan}");
            connection.execute("deallocate asked").await.unwrap();
        }
    }
}
