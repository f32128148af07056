//! An append in one statement and one round trip, for when all goes as expected, which is nearly always.
//!
//! A flush of the lane waits for this and for nothing else, so round trips and the server's processor time are what it
//! costs. The statement moves the head, and from that takes the positions of the events that it inserts. It is a
//! transaction of its own: either all of it is durable when the server is ready again, or nothing has happened. Whenever
//! it does not go through, [`super::locked`] finds out why and takes down what can be.
//!
//! **Positions** are gap-free and in the order of commits. Moving the head locks its row until the commit. A statement that
//! had to wait for it goes on from the row's latest version (`read committed`), so that its base is where the last commit
//! has left the head, although its snapshot is older.
//!
//! **A stream that has more events than expected** has one of the revisions that are being inserted, and the unique index
//! refuses it. An index looks beyond the snapshot: it knows all commits, and nobody else inserts while the head is locked.
//!
//! **A stream that has fewer** would be left with a gap, which no index refuses. So the head moves only if the event
//! before the first new one is there. That question is asked of the statement's snapshot, from before the lock. An event
//! that is in it stays, since events are never deleted. One that has come later is missed, and the long way is taken for
//! nothing; nothing worse can come of it.
//!
//! Of a stream that this node has written to itself, and so [witnessed](super::witnessed), the question need not be asked.
//!
//! **Keys of requests** are guarded by the primary key of the answers, like revisions by the index.

use std::collections::HashMap;

use sqlx::Row as _;
use yado_model::{Position, Revision};

use super::super::Database;
use super::super::time::Time;
use super::witnessed::{Witness, Witnessed};
use crate::append::settle::StreamKey;
use crate::kinds::Noted;
use crate::number::{bound, loaded, stored};
use crate::{Append, Appended, Result};

/// What both forms of the statement have in common. Every part takes the base from `moved`, and so does nothing before
/// the head is locked, and nothing at all if it does not move.
macro_rules! events {
    ($($more:literal)*) => {
        concat!(
            "with moved as ( \
                update log_head set position = position + $1 \
                where ($2::bigint is null or exists ( \
                        select from events e where e.position = $2 and e.command_id = $3)) \
                    and not exists ( \
                        select from unnest($4::text[], $5::text[], $6::bigint[]) w (tenant, stream, revision) \
                        where (select 1 from events e where e.tenant = w.tenant and e.stream = w.stream \
                            and e.revision = w.revision limit 1) is null) \
                returning position - $1 as base), ",
            $($more,)*
            "written as ( \
                insert into events (position, tenant, stream, revision, name, version, payload, tags, recorded_at, \
                    command_id, correlation_id, causation_id, actor, plugin) \
                select base + n, tenant, stream, revision, name, version, payload::json, \
                    case when tags is not null then array(select json_array_elements_text(tags::json)) end, \
                    recorded_at, command_id, correlation_id, causation_id, actor, plugin \
                from moved, unnest($7::text[], $8::text[], $9::bigint[], $10::text[], $11::int[], $12::text[], \
                    $13::text[], $14::timestamptz[], $15::uuid[], $16::uuid[], $17::uuid[], $18::text[], $19::int[]) \
                    with ordinality e (tenant, stream, revision, name, version, payload, tags, recorded_at, command_id, \
                        correlation_id, causation_id, actor, plugin, n)) \
            select base from moved"
        )
    };
}

/// Events alone.
pub(in crate::postgres) const EVENTS: &str = events!();

/// Events with answers to keep or kinds to note.
pub(in crate::postgres) const EVENTS_AND_MORE: &str = events!(
    "kept as ( \
        insert into answers (tenant, idempotency_key, request, stream, revision, position, answered_at) \
        select tenant, key, request, stream, revision, base + at, answered_at \
        from moved, unnest($20::text[], $21::text[], $22::bytea[], $23::text[], $24::bigint[], $25::bigint[], \
            $26::timestamptz[]) a (tenant, key, request, stream, revision, at, answered_at)), \
    noted as ( \
        insert into event_kinds (aggregate, name, version, position) \
        select aggregate, name, version, base + at \
        from moved, unnest($27::text[], $28::text[], $29::int[], $30::bigint[]) k (aggregate, name, version, at) \
        on conflict do nothing), "
);

/// The code of a unique index that refuses a row.
const NOT_UNIQUE: &str = "23505";

/// Takes a batch down if all of it wins. Gives nothing if it does not, or may not; nothing is recorded then.
pub(super) async fn append(
    database: &Database,
    noted: &Noted,
    witnessed: &Witnessed,
    batch: &[Append],
) -> Result<Option<Vec<Appended>>> {
    /// One column of all events.
    macro_rules! column {
        ($append:ident, $event:ident => $value:expr) => {
            batch.iter().flat_map(|$append| $append.events.iter().map(move |$event| $value)).collect::<Vec<_>>()
        };
    }
    /// One column that is nearly always null. No array at all stands for one of nulls, and costs the server nothing.
    macro_rules! sparse {
        ($append:ident, $event:ident => $value:expr) => {{
            let column = column!($append, $event => $value);
            if column.iter().all(Option::is_none) { Vec::new() } else { column }
        }};
    }

    let Some(chains) = chains(batch) else { return Ok(None) };
    let Witness { generation, anchor, unseen } =
        witnessed.of(chains.iter().map(|(stream, (first, _))| (*stream, *first)).filter(|(_, first)| first.get() > 0));
    let kinds =
        noted.missing(batch.iter().flat_map(|append| append.events.iter().map(move |event| append.kind(event))));
    let keys = batch.iter().any(|append| append.idempotency.is_some());

    let more = keys || !kinds.is_empty();
    let count = stored(batch.iter().map(|append| append.events.len() as u64).sum())?;
    let query = sqlx::query(if more { EVENTS_AND_MORE } else { EVENTS })
        .bind(count)
        .bind(anchor.map(|(position, _)| bound(position.get())))
        .bind(anchor.map(|(_, command)| command))
        .bind(unseen.iter().map(|((tenant, _), _)| tenant.as_str()).collect::<Vec<_>>())
        .bind(unseen.iter().map(|((_, stream), _)| stream.as_str()).collect::<Vec<_>>())
        .bind(unseen.iter().map(|(_, revision)| bound(revision.get())).collect::<Vec<_>>())
        .bind(column!(append, _event => append.tenant.as_str()))
        .bind(column!(append, _event => append.stream.as_str()))
        .bind(revisions(batch))
        .bind(column!(_append, event => event.name.as_str()))
        // The check of an append keeps versions within bounds.
        .bind(column!(_append, event => i32::try_from(event.version).unwrap_or(i32::MAX)))
        .bind(column!(_append, event => event.payload.as_str()))
        .bind(sparse!(_append, event => super::tags(event)))
        .bind(column!(append, _event => Time(append.recorded_at)))
        .bind(column!(append, _event => append.command.command_id.0))
        .bind(sparse!(append, _event => append.correlation()))
        .bind(sparse!(append, _event => append.command.causation_id))
        .bind(sparse!(append, _event => append.command.actor.as_ref().map(|actor| actor.as_str())))
        .bind(column!(append, _event => append.plugin.0));
    let query = if more {
        let mut last = 0;
        let answers: Vec<_> = batch
            .iter()
            .filter_map(|append| {
                last += append.events.len() as u64;
                append.idempotency.as_ref().map(|named| (append, named, last))
            })
            .collect();
        query
            .bind(answers.iter().map(|(append, ..)| append.tenant.as_str()).collect::<Vec<_>>())
            .bind(answers.iter().map(|(_, named, _)| named.key.as_str()).collect::<Vec<_>>())
            .bind(answers.iter().map(|(_, named, _)| named.request.bytes().as_slice()).collect::<Vec<_>>())
            .bind(answers.iter().map(|(append, ..)| append.stream.as_str()).collect::<Vec<_>>())
            .bind(answers.iter().map(|(append, ..)| bound(append.after().get())).collect::<Vec<_>>())
            .bind(answers.iter().map(|(.., last)| bound(*last)).collect::<Vec<_>>())
            .bind(answers.iter().map(|(append, ..)| Time(append.recorded_at)).collect::<Vec<_>>())
            .bind(kinds.keys().map(|(aggregate, _, _)| *aggregate).collect::<Vec<_>>())
            .bind(kinds.keys().map(|(_, name, _)| *name).collect::<Vec<_>>())
            .bind(kinds.keys().map(|(.., version)| i32::try_from(*version).unwrap_or(i32::MAX)).collect::<Vec<_>>())
            .bind(kinds.values().map(|at| bound(*at as u64 + 1)).collect::<Vec<_>>())
    } else {
        query
    };

    // All rows, although there is but one: it comes before the commit, and only the end of the answer comes after it.
    let rows = match query.fetch_all(&database.pool).await {
        Ok(rows) => rows,
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NOT_UNIQUE) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some(row) = rows.first() else { return Ok(None) };
    let mut head = Position::new(loaded(row.try_get(0)?, "the head of the log")?);

    let mut outcomes = Vec::with_capacity(batch.len());
    for append in batch {
        head = head.plus(append.events.len() as u64);
        outcomes.push(Appended::Recorded { revision: append.after(), position: head });
    }
    if let Some(last) = batch.last() {
        let revisions = chains.iter().map(|((tenant, stream), (_, last))| (*tenant, *stream, *last));
        witnessed.witness(generation, (head, last.command.command_id.0), revisions);
    }
    noted.remember(kinds.into_keys());
    tracing::debug!(appends = batch.len(), events = count, head = %head, "recorded");
    Ok(Some(outcomes))
}

/// What each stream is expected to have before the batch, and will have after it. Nothing, if the batch can't win as a
/// whole, or changes claims: whether a value is free is a question for the long way.
fn chains(batch: &[Append]) -> Option<HashMap<StreamKey<'_>, (Revision, Revision)>> {
    let mut chains = HashMap::<StreamKey<'_>, (Revision, Revision)>::with_capacity(batch.len());
    for append in batch {
        if !append.claims.is_empty() || stored(append.expected.get()).is_err() {
            return None;
        }
        let after = append.after();
        let (_, last) = chains
            .entry((&append.tenant, &append.stream))
            .and_modify(|(_, last)| {
                if *last == append.expected {
                    *last = after
                }
            })
            .or_insert((append.expected, after));
        if *last != after {
            return None;
        }
    }
    Some(chains)
}

/// The revision of each event.
fn revisions(batch: &[Append]) -> Vec<i64> {
    batch
        .iter()
        .flat_map(|append| (1..=append.events.len() as u64).map(|n| bound(append.expected.get().saturating_add(n))))
        .collect()
}
