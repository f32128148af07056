//! Appends to the log in SQLite.
//!
//! The transaction holds the file's write lock from its beginning, so what is looked up in it stays true until the commit.

use std::sync::OnceLock;

use serde_json::{Value, json};
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};
use yado_model::{Position, Revision};

use super::log::{HEAD, answer};
use super::{CHUNKS, Database, chunks};
use crate::append::settle::{self, Asked, EventRow, Known, Settled, settle};
use crate::kinds::Noted;
use crate::number::{bound, loaded, stored};
use crate::{Append, Appended, Result, recorded};

// The next three look many things up at once: a JSON array goes in, and each row that comes out says by its number which
// of them it belongs to. `cross join` has SQLite begin with the array, and seek in the other table's index.

pub(super) const REVISIONS: &str = "\
    select w.key, coalesce((select e.revision from events e \
        where e.tenant = w.value ->> 0 and e.stream = w.value ->> 1 order by e.revision desc limit 1), 0) \
    from json_each(?) w";

pub(super) const ANSWERS: &str = "\
    select w.key, a.request, a.stream, a.revision, a.position from json_each(?) w \
    cross join answers a on a.tenant = w.value ->> 0 and a.idempotency_key = w.value ->> 1";

pub(super) const HOLDERS: &str = "\
    select w.key, c.stream from json_each(?) w \
    cross join claims c on c.tenant = w.value ->> 0 and c.\"constraint\" = w.value ->> 1 and c.value = w.value ->> 2";

const INSERT_EVENTS: &str = "insert into events (position, tenant, stream, revision, name, version, payload, tags, \
    recorded_at, command_id, correlation_id, causation_id, actor, plugin, claims) ";

pub(super) async fn append(database: &Database, noted: &Noted, batch: &[Append]) -> Result<Vec<Appended>> {
    settle::check(batch)?;
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let asked = Asked::of(batch);
    let mut transaction = database.write().await?;
    let known = look_up(&mut transaction, &asked).await?;
    let settled = settle(batch, &asked, known)?;
    if settled.events.is_empty() {
        transaction.rollback().await?;
    } else {
        write(&mut transaction, &settled, noted).await?;
        transaction.commit().await?;
        noted.remember(settled.events.iter().map(EventRow::kind));
        tracing::debug!(appends = batch.len(), events = settled.events.len(), head = %settled.head, "recorded");
    }
    Ok(settled.outcomes)
}

/// The statement for so many events. Each is put together once, since it is the same for every batch.
fn insert_events(rows: usize) -> &'static str {
    static STATEMENTS: [OnceLock<String>; CHUNKS.len()] = [const { OnceLock::new() }; CHUNKS.len()];
    let size = CHUNKS.iter().position(|size| *size == rows).unwrap_or_default();
    STATEMENTS[size].get_or_init(|| {
        let values = ["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"; CHUNKS[0]];
        format!("{INSERT_EVENTS}values {}", values[..CHUNKS[size]].join(", "))
    })
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

async fn write(connection: &mut SqliteConnection, settled: &Settled<'_>, noted: &Noted) -> Result<()> {
    // Whatever can't be stored is found before the first row is.
    stored(settled.head.get())?;
    for rows in chunks(&settled.events) {
        let mut query = sqlx::query(insert_events(rows.len()));
        for EventRow { append, event, revision, position, claims } in rows {
            let tags = (!event.tags.is_empty()).then(|| json!(event.tags).to_string());
            query = query
                .bind(bound(position.get()))
                .bind(append.tenant.as_str())
                .bind(append.stream.as_str())
                .bind(bound(revision.get()))
                .bind(event.name.as_str())
                .bind(i64::from(event.version))
                .bind(event.payload.as_str())
                .bind(tags)
                .bind(append.recorded_at.micros())
                .bind(append.command.command_id.0)
                .bind(append.correlation())
                .bind(append.command.causation_id)
                .bind(append.command.actor.as_ref().map(|actor| actor.as_str()))
                .bind(append.plugin.0)
                .bind(claims.as_deref());
        }
        query.execute(&mut *connection).await?;
    }
    let missing: Vec<_> = noted.missing(settled.events.iter().map(EventRow::kind)).into_iter().collect();
    for rows in chunks(&missing) {
        let mut sql =
            QueryBuilder::<Sqlite>::new("insert or ignore into event_kinds (aggregate, name, version, position) ");
        sql.push_values(rows, |mut columns, ((aggregate, name, version), at)| {
            columns.push_bind(*aggregate);
            columns.push_bind(*name);
            columns.push_bind(i64::from(*version));
            columns.push_bind(settled.events.get(*at).map_or(0, |event| bound(event.position.get())));
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
