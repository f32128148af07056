//! An append step by step, under the lock of the log's head: look up, settle, write.
//!
//! The lock is taken by a statement of its own. In a transaction that reads what is committed, every statement after it
//! sees all appends that were ever acknowledged, and none can come in between. So this way knows of each append why it
//! loses, and takes the others down. It costs a round trip a step, and is taken only when the short way
//! ([`super::short`]) does not suffice.

use sqlx::{Connection as _, PgConnection, Row as _};
use yado_model::{Position, Revision, StreamId};

use super::super::BEGIN;
use super::super::log::answer;
use super::super::time::Time;
use super::witnessed::Witnessed;
use crate::append::settle::{Asked, EventRow, Known, Settled, settle};
use crate::kinds::Noted;
use crate::number::{bound, loaded, stored};
use crate::{Answer, Append, Appended, Error, Result, recorded};

/// Waits for all appends that are under way, in this process and others, and keeps out new ones until the commit.
pub(in crate::postgres) const LOCK_HEAD: &str = "select last from log_head for update";

const HAS_ANCHOR: &str = "select exists (select from events where position = $1 and command_id = $2)";

// The next three look many things up at once. Each row that comes out says by its number which of them it belongs to.

/// For each stream one descent to the end of its part of `events_by_stream`.
pub(in crate::postgres) const REVISIONS: &str = "\
    select w.n - 1, coalesce((select e.revision from events e \
        where e.tenant = w.tenant and e.stream = w.stream order by e.revision desc limit 1), 0) \
    from unnest($1::text[], $2::text[]) with ordinality w (tenant, stream, n)";

pub(in crate::postgres) const ANSWERS: &str = "\
    select w.n - 1, a.request, a.stream, a.revision, a.position \
    from unnest($1::text[], $2::text[]) with ordinality w (tenant, key, n) \
    join answers a on a.tenant = w.tenant and a.idempotency_key = w.key";

pub(in crate::postgres) const HOLDERS: &str = "\
    select w.n - 1, c.stream \
    from unnest($1::text[], $2::text[], $3::text[]) with ordinality w (tenant, name, value, n) \
    join claims c on c.tenant = w.tenant and c.\"constraint\" = w.name and c.value = w.value";

/// Moves the head and writes the events in one statement.
const INSERT_EVENTS: &str = "\
    with moved as (update log_head set last = $1) \
    insert into events (position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, \
        correlation_id, causation_id, actor, plugin, claims) \
    select position, tenant, stream, revision, name, version, payload::json, \
        case when tags is not null then array(select json_array_elements_text(tags::json)) end, \
        recorded_at, command_id, correlation_id, causation_id, actor, plugin, claims::json \
    from unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::int[], $8::text[], $9::text[], \
        $10::timestamptz[], $11::uuid[], $12::uuid[], $13::uuid[], $14::text[], $15::int[], $16::text[]) \
        e (position, tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, correlation_id, \
            causation_id, actor, plugin, claims)";

const INSERT_ANSWERS: &str = "\
    insert into answers (tenant, idempotency_key, request, stream, revision, position, answered_at) \
    select * from unnest($1::text[], $2::text[], $3::bytea[], $4::text[], $5::bigint[], $6::bigint[], $7::timestamptz[])";

const INSERT_KINDS: &str = "\
    insert into event_kinds (aggregate, name, version, position) \
    select * from unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) on conflict do nothing";

const RELEASE_CLAIMS: &str = "\
    delete from claims c using unnest($1::text[], $2::text[], $3::text[]) w (tenant, name, value) \
    where c.tenant = w.tenant and c.\"constraint\" = w.name and c.value = w.value";

const TAKE_CLAIMS: &str = "\
    insert into claims (tenant, \"constraint\", value, stream) \
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) \
    on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream";

pub(super) async fn append(
    connection: &mut PgConnection,
    noted: &Noted,
    witnessed: &Witnessed,
    batch: &[Append],
) -> Result<Vec<Appended>> {
    let asked = Asked::of(batch);
    let mut transaction = connection.begin_with(BEGIN).await?;
    let known = look_up(&mut transaction, &asked).await?;
    if let Some((position, command)) = witnessed.anchor() {
        let query = sqlx::query_scalar::<_, bool>(HAS_ANCHOR).bind(bound(position.get())).bind(command);
        if !query.fetch_one(&mut *transaction).await? {
            transaction.rollback().await?;
            return Err(Error::Rewound { seen: position });
        }
    }
    let settled = settle(batch, &asked, known)?;
    if settled.outcomes.iter().zip(batch).any(|(outcome, append)| was_overtaken(append, outcome)) {
        witnessed.rivals_met();
    }
    if settled.events.is_empty() {
        transaction.rollback().await?;
        return Ok(settled.outcomes);
    }
    write(&mut transaction, &settled, noted).await?;
    transaction.commit().await?;
    if let Some(last) = settled.events.last() {
        let revisions = settled.events.iter().map(|row| (&row.append.tenant, &row.append.stream, row.revision));
        witnessed.witness((last.position, last.append.command.command_id.0), revisions);
    }
    noted.remember(settled.events.iter().map(EventRow::kind));
    tracing::debug!(appends = batch.len(), events = settled.events.len(), head = %settled.head, "recorded");
    Ok(settled.outcomes)
}

/// Whether another node has gone on with an append's stream. (An append before it that has lost makes it lose as well.)
fn was_overtaken(append: &Append, outcome: &Appended) -> bool {
    matches!(outcome, Appended::Conflict { actual } if *actual > append.expected)
}

async fn look_up(connection: &mut PgConnection, asked: &Asked<'_>) -> Result<Known> {
    let head = sqlx::query_scalar::<_, i64>(LOCK_HEAD).fetch_one(&mut *connection).await?;
    Ok(Known {
        head: Position::new(loaded(head, "the head of the log")?),
        revisions: revisions(&mut *connection, asked).await?,
        answers: answers(&mut *connection, asked).await?,
        holders: holders(connection, asked).await?,
    })
}

/// How many events each stream has.
pub(super) async fn revisions(connection: &mut PgConnection, asked: &Asked<'_>) -> Result<Vec<Revision>> {
    let mut revisions = vec![Revision::ZERO; asked.streams.len()];
    let (tenants, streams): (Vec<_>, Vec<_>) = asked.streams.iter().map(|(t, s)| (t.as_str(), s.as_str())).unzip();
    let query = sqlx::query_as::<_, (i64, i64)>(REVISIONS).bind(tenants).bind(streams);
    for (at, revision) in query.fetch_all(connection).await? {
        recorded::place(&mut revisions, at, Revision::new(loaded(revision, "the events of a stream")?))?;
    }
    Ok(revisions)
}

/// What was answered under each key.
pub(super) async fn answers(connection: &mut PgConnection, asked: &Asked<'_>) -> Result<Vec<Option<Answer>>> {
    let mut answers = vec![None; asked.answers.len()];
    if asked.answers.is_empty() {
        return Ok(answers);
    }
    let (tenants, keys): (Vec<_>, Vec<_>) = asked.answers.iter().map(|(t, k)| (t.as_str(), k.as_str())).unzip();
    for row in sqlx::query(ANSWERS).bind(tenants).bind(keys).fetch_all(connection).await? {
        recorded::place(&mut answers, row.try_get(0)?, Some(answer(&row, 1)?))?;
    }
    Ok(answers)
}

/// Who holds each value.
async fn holders(connection: &mut PgConnection, asked: &Asked<'_>) -> Result<Vec<Option<StreamId>>> {
    let mut holders = vec![None; asked.claims.len()];
    if asked.claims.is_empty() {
        return Ok(holders);
    }
    let tenants: Vec<_> = asked.claims.iter().map(|(tenant, _, _)| tenant.as_str()).collect();
    let names: Vec<_> = asked.claims.iter().map(|(_, name, _)| *name).collect();
    let values: Vec<_> = asked.claims.iter().map(|(_, _, value)| *value).collect();
    let query = sqlx::query_as::<_, (i64, String)>(HOLDERS).bind(tenants).bind(names).bind(values);
    for (at, stream) in query.fetch_all(connection).await? {
        recorded::place(&mut holders, at, Some(recorded::stream(&stream, "the claims")?))?;
    }
    Ok(holders)
}

async fn write(connection: &mut PgConnection, settled: &Settled<'_>, noted: &Noted) -> Result<()> {
    /// One column of all rows.
    macro_rules! column {
        ($rows:expr, $row:pat => $value:expr) => {
            $rows.iter().map(|$row| $value).collect::<Vec<_>>()
        };
    }

    let rows = &settled.events;
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
        .bind(column!(rows, row => super::tags(row.event)))
        .bind(column!(rows, row => Time(row.append.recorded_at)))
        .bind(column!(rows, row => row.append.command.command_id.0))
        .bind(column!(rows, row => row.append.correlation()))
        .bind(column!(rows, row => row.append.command.causation_id))
        .bind(column!(rows, row => row.append.command.actor.as_ref().map(|actor| actor.as_str())))
        .bind(column!(rows, row => row.append.plugin.0))
        .bind(column!(rows, row => row.claims.as_deref()))
        .execute(&mut *connection)
        .await?;

    let rows = noted.missing(settled.events.iter().map(EventRow::kind));
    if !rows.is_empty() {
        // Found by their places among the events.
        let first = |at: &usize| settled.events.get(*at).map_or(0, |event| bound(event.position.get()));
        sqlx::query(INSERT_KINDS)
            .bind(column!(rows, ((aggregate, _, _), _) => *aggregate))
            .bind(column!(rows, ((_, name, _), _) => *name))
            .bind(column!(rows, ((_, _, version), _) => i32::try_from(*version).unwrap_or(i32::MAX)))
            .bind(column!(rows, (_, at) => first(at)))
            .execute(&mut *connection)
            .await?;
    }
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
