//! Appends to the log in SQLite.
//!
//! The transaction holds the file's write lock from its beginning, so what is looked up in it stays true until the commit.
//! Things are looked up and written one by one: on the writer's own thread a prepared statement costs less than putting a
//! list together and taking it apart would.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::json;
use yado_model::{Position, Revision};

use super::log::HEAD;
use super::writer::{Writer, transaction};
use crate::append::settle::{self, Asked, EventRow, Known, Settled, settle};
use crate::kinds::Noted;
use crate::number::{bound, loaded, stored};
use crate::{Answer, Append, Appended, Result, recorded};

pub(super) const REVISION: &str =
    "select revision from events where tenant = ? and stream = ? order by revision desc limit 1";

pub(super) const ANSWER: &str =
    "select request, stream, revision, position from answers where tenant = ? and idempotency_key = ?";

pub(super) const HOLDER: &str = "select stream from claims where tenant = ? and \"constraint\" = ? and value = ?";

const INSERT_EVENT: &str = "\
    insert into events (position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, \
        correlation_id, causation_id, actor, plugin, claims) \
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const INSERT_KIND: &str = "insert or ignore into event_kinds (aggregate, name, version, position) values (?, ?, ?, ?)";

const INSERT_ANSWER: &str = "\
    insert into answers (tenant, idempotency_key, request, stream, revision, position, answered_at) \
    values (?, ?, ?, ?, ?, ?, ?)";

const RELEASE_CLAIM: &str = "delete from claims where tenant = ? and \"constraint\" = ? and value = ?";

const TAKE_CLAIM: &str = "\
    insert into claims (tenant, \"constraint\", value, stream) values (?, ?, ?, ?) \
    on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream";

pub(super) async fn append(writer: &Writer, noted: &Arc<Noted>, batch: &[Append]) -> Result<Vec<Appended>> {
    settle::check(batch)?;
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let (batch, noted) = (batch.to_vec(), Arc::clone(noted));
    writer.run(move |connection| record(connection, &noted, &batch)).await
}

fn record(connection: &Connection, noted: &Noted, batch: &[Append]) -> Result<Vec<Appended>> {
    let asked = Asked::of(batch);
    let settled = transaction(connection, |connection| {
        let settled = settle(batch, &asked, look_up(connection, &asked)?)?;
        // With no event there is nothing to write, and a commit of nothing does not go to the disk.
        if !settled.events.is_empty() {
            write(connection, &settled, noted)?;
        }
        Ok(settled)
    })?;
    if !settled.events.is_empty() {
        noted.remember(settled.events.iter().map(EventRow::kind));
        tracing::debug!(appends = batch.len(), events = settled.events.len(), head = %settled.head, "recorded");
    }
    Ok(settled.outcomes)
}

fn look_up(connection: &Connection, asked: &Asked<'_>) -> Result<Known> {
    let head: i64 = connection.prepare_cached(HEAD)?.query_row((), |row| row.get(0))?;
    let mut revision = connection.prepare_cached(REVISION)?;
    let revisions = asked.streams.iter().map(|(tenant, stream)| {
        let found = revision.query_row((tenant.as_str(), stream.as_str()), |row| row.get::<_, i64>(0)).optional()?;
        Ok(Revision::new(loaded(found.unwrap_or_default(), "the events of a stream")?))
    });
    let mut answer = connection.prepare_cached(ANSWER)?;
    let answers = asked.answers.iter().map(|(tenant, key)| {
        let found = answer.query_row((tenant.as_str(), key.as_str()), |row| Ok(self::answer(row))).optional()?;
        found.transpose()
    });
    let mut holder = connection.prepare_cached(HOLDER)?;
    let holders = asked.claims.iter().map(|(tenant, name, value)| {
        let found = holder.query_row((tenant.as_str(), name, value), |row| row.get::<_, String>(0)).optional()?;
        found.map(|stream| recorded::stream(&stream, "the claims")).transpose()
    });
    Ok(Known {
        head: Position::new(loaded(head, "the head of the log")?),
        revisions: revisions.collect::<Result<_>>()?,
        answers: answers.collect::<Result<_>>()?,
        holders: holders.collect::<Result<_>>()?,
    })
}

fn answer(row: &Row<'_>) -> Result<Answer> {
    let (request, stream) = (row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?);
    Answer::stored(&request, &stream, row.get(2)?, row.get(3)?)
}

fn write(connection: &Connection, settled: &Settled<'_>, noted: &Noted) -> Result<()> {
    // Whatever can't be stored is found before the first row is.
    stored(settled.head.get())?;
    let mut insert = connection.prepare_cached(INSERT_EVENT)?;
    for EventRow { append, event, revision, position, claims } in &settled.events {
        let tags = (!event.tags.is_empty()).then(|| json!(event.tags).to_string());
        insert.execute(params![
            bound(position.get()),
            append.tenant.as_str(),
            append.stream.as_str(),
            bound(revision.get()),
            event.name.as_str(),
            event.version,
            event.payload.as_str(),
            tags,
            append.recorded_at.micros(),
            append.command.command_id.0.as_bytes(),
            append.correlation().map(uuid::Uuid::into_bytes),
            append.command.causation_id.map(uuid::Uuid::into_bytes),
            append.command.actor.as_ref().map(|actor| actor.as_str()),
            append.plugin.0,
            claims.as_deref(),
        ])?;
    }
    for ((aggregate, name, version), at) in noted.missing(settled.events.iter().map(EventRow::kind)) {
        let first = settled.events.get(at).map_or(0, |event| bound(event.position.get()));
        connection.prepare_cached(INSERT_KIND)?.execute((aggregate, name, version, first))?;
    }
    for row in &settled.answers {
        connection.prepare_cached(INSERT_ANSWER)?.execute(params![
            row.append.tenant.as_str(),
            row.key.as_str(),
            row.answer.request.bytes().as_slice(),
            row.answer.stream.as_str(),
            bound(row.answer.revision.get()),
            bound(row.answer.position.get()),
            row.append.recorded_at.micros(),
        ])?;
    }
    for (tenant, name, value) in &settled.released {
        connection.prepare_cached(RELEASE_CLAIM)?.execute((tenant.as_str(), name, value))?;
    }
    for ((tenant, name, value), stream) in &settled.taken {
        connection.prepare_cached(TAKE_CLAIM)?.execute((tenant.as_str(), name, value, stream.as_str()))?;
    }
    Ok(())
}
