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
//! **Keys of requests** are guarded by the primary key of the answers, like revisions by the index. So are **values that
//! are taken**: one that somebody holds is refused by the primary key of the claims, and the long way finds out who.
//!
//! **A value is let go of** where its holder is the one who lets go, and that is asked of the snapshot, too. A row that is
//! in it is removed in its latest version. One that is not may be there all the same: a repair of the claims writes rows
//! without events, and may have done so while this waited for the head. So the head moves only if the snapshot has a row
//! for each value that is let go of. Otherwise the long way is taken, which looks after the lock; as it is for a value
//! that the stream does not hold, where there is nothing to remove.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
use yado_model::{Claim, Position, Revision};

use super::super::json::Json;
use super::super::time::Time;
use super::witnessed::{Witness, Witnessed};
use crate::append::settle::StreamKey;
use crate::claims::{self, Change};
use crate::kinds::Noted;
use crate::number::{bound, loaded, stored};
use crate::{Append, Appended, Result};

/// What both forms of the statement have in common. Every part takes the base from `moved`, and so does nothing before
/// the head is locked, and nothing at all if it does not move.
///
/// The columns are unnested side by side in a list of expressions, which makes a row at a time right from `moved`; in
/// `from`, each of them would be laid down in a table of its own first. An array that is shorter than others is filled up
/// with nulls, and what is the same for all rows comes as one value beside an empty array.
macro_rules! events {
    ($unseen:literal, claims: $column:literal $value:literal $unnested:literal $($more:literal)*) => {
        concat!(
            "with moved as ( \
                update log_head set last = last + $1 \
                where ($2::bigint is null or exists ( \
                        select from events e where e.position = $2 and e.command_id = $3)) ",
            $unseen,
            "returning last - $1 as base), ",
            $($more,)*
            "written as ( \
                insert into events (position, tenant, stream, revision, name, version, payload, tags, recorded_at, \
                    command_id, correlation_id, causation_id, actor, plugin",
            $column,
            ") select base + n, coalesce(tenant, $4), stream, revision, coalesce(name, $5), coalesce(version, $6), \
                    payload, case when tags is not null then array(select json_array_elements_text(tags)) end, \
                    recorded_at, command_id, correlation_id, causation_id, coalesce(actor, $7), coalesce(plugin, $8)",
            $value,
            " from ( \
                    select base, generate_series(1, $1) as n, unnest($9::text[]) as tenant, unnest($10::text[]) as stream, \
                        unnest($11::bigint[]) as revision, unnest($12::text[]) as name, unnest($13::int[]) as version, \
                        unnest($14::json[]) as payload, unnest($15::json[]) as tags, \
                        unnest($16::timestamptz[]) as recorded_at, unnest($17::uuid[]) as command_id, \
                        unnest($18::uuid[]) as correlation_id, unnest($19::uuid[]) as causation_id, \
                        unnest($20::text[]) as actor, unnest($21::int[]) as plugin",
            $unnested,
            " from moved) e) \
            select base from moved"
        )
    };
}

/// Events alone, of streams that this node has witnessed.
pub(in crate::postgres) const EVENTS: &str = events!("", claims: "" "" "");

/// Events of streams that have to be looked up, or with answers to keep, kinds to note, or values to take and let go of.
pub(in crate::postgres) const EVENTS_AND_MORE: &str = events!(
    "and not exists ( \
        select from unnest($22::text[], $23::text[], $24::bigint[]) w (tenant, stream, revision) \
        where (select 1 from events e where e.tenant = w.tenant and e.stream = w.stream \
            and e.revision = w.revision limit 1) is null) \
    and not exists ( \
        select from unnest($37::text[], $38::text[], $39::text[], $40::text[]) w (tenant, name, value, stream) \
        where (select 1 from claims c where c.tenant = w.tenant and c.\"constraint\" = w.name and c.value = w.value \
            and c.stream = w.stream limit 1) is null) ",
    claims: ", claims" ", claims" ", unnest($36::json[]) as claims"
    "kept as ( \
        insert into answers (tenant, idempotency_key, request, stream, revision, position, answered_at) \
        select tenant, key, request, stream, revision, base + at, answered_at \
        from moved, unnest($25::text[], $26::text[], $27::bytea[], $28::text[], $29::bigint[], $30::bigint[], \
            $31::timestamptz[]) a (tenant, key, request, stream, revision, at, answered_at)), \
    noted as ( \
        insert into event_kinds (aggregate, name, version, position) \
        select aggregate, name, version, base + at \
        from moved, unnest($32::text[], $33::text[], $34::int[], $35::bigint[]) k (aggregate, name, version, at) \
        on conflict do nothing), "
    "freed as ( \
        delete from claims c \
        using moved, unnest($37::text[], $38::text[], $39::text[], $40::text[]) w (tenant, name, value, stream) \
        where c.tenant = w.tenant and c.\"constraint\" = w.name and c.value = w.value and c.stream = w.stream), \
    taken as ( \
        insert into claims (tenant, \"constraint\", value, stream) \
        select w.tenant, w.name, w.value, w.stream \
        from moved, unnest($41::text[], $42::text[], $43::text[], $44::text[]) w (tenant, name, value, stream)), "
);

/// The code of a unique index that refuses a row.
const NOT_UNIQUE: &str = "23505";

/// Takes a batch down if all of it wins. Gives nothing if it does not, or may not; nothing is recorded then.
pub(super) async fn append(
    connection: &mut PgConnection,
    noted: &Noted,
    witnessed: &Witnessed,
    batch: &[Append],
) -> Result<Option<Vec<Appended>>> {
    /// One column of all events.
    macro_rules! column {
        ($append:ident, $event:ident => $value:expr) => {
            batch.iter().flat_map(|$append| $append.events.iter().map(move |$event| $value))
        };
    }

    let (Some(chains), Some(claims)) = (chains(batch), Claims::of(batch)) else { return Ok(None) };
    let Witness { anchor, unseen } =
        witnessed.of(chains.iter().map(|(stream, (first, _))| (*stream, *first)).filter(|(_, first)| first.get() > 0));
    let kinds =
        noted.missing(batch.iter().flat_map(|append| append.events.iter().map(move |event| append.kind(event))));
    let keys = batch.iter().any(|append| append.idempotency.is_some());

    let more = keys || !kinds.is_empty() || !unseen.is_empty() || !claims.is_empty();
    let count = batch.iter().map(|append| append.events.len()).sum::<usize>();
    let (tenant, tenants) = shared(count, column!(append, _event => append.tenant.as_str()).map(Some));
    let (name, names) = shared(count, column!(_append, event => event.name.as_str()).map(Some));
    // The check of an append keeps versions within bounds.
    let versions = column!(_append, event => Some(i32::try_from(event.version).unwrap_or(i32::MAX)));
    let (version, versions) = shared(count, versions);
    let actors = column!(append, _event => append.command.actor.as_ref().map(|actor| actor.as_str()));
    let (actor, actors) = shared(count, actors);
    let (plugin, plugins) = shared(count, column!(append, _event => Some(append.plugin.0)));
    let query = sqlx::query(if more { EVENTS_AND_MORE } else { EVENTS })
        .bind(stored(count as u64)?)
        .bind(anchor.map(|(position, _)| bound(position.get())))
        .bind(anchor.map(|(_, command)| command))
        .bind(tenant)
        .bind(name)
        .bind(version)
        .bind(actor)
        .bind(plugin)
        .bind(tenants)
        .bind(all(count, column!(append, _event => append.stream.as_str())))
        .bind(revisions(count, batch))
        .bind(names)
        .bind(versions)
        .bind(all(count, column!(_append, event => Json(event.payload.as_str()))))
        .bind(sparse(count, column!(_append, event => super::tags(event).map(Json))))
        .bind(all(count, column!(append, _event => Time(append.recorded_at))))
        .bind(all(count, column!(append, _event => append.command.command_id.0)))
        .bind(sparse(count, column!(append, _event => append.correlation())))
        .bind(sparse(count, column!(append, _event => append.command.causation_id)))
        .bind(actors)
        .bind(plugins);
    let query = if more {
        let mut last = 0;
        let answers: Vec<_> = batch
            .iter()
            .filter_map(|append| {
                last += append.events.len() as u64;
                append.idempotency.as_ref().map(|named| (append, named, last))
            })
            .collect();
        let query = query
            .bind(unseen.iter().map(|((tenant, _), _)| tenant.as_str()).collect::<Vec<_>>())
            .bind(unseen.iter().map(|((_, stream), _)| stream.as_str()).collect::<Vec<_>>())
            .bind(unseen.iter().map(|(_, revision)| bound(revision.get())).collect::<Vec<_>>())
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
            .bind(claims.told(count)?);
        claims.taken.bind(claims.freed.bind(query))
    } else {
        query
    };

    // All rows, although there is but one: it comes before the commit, and only the end of the answer comes after it.
    let rows = match query.fetch_all(connection).await {
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
        witnessed.witness((head, last.command.command_id.0), revisions);
    }
    noted.remember(kinds.into_keys());
    tracing::debug!(appends = batch.len(), events = count, head = %head, "recorded");
    Ok(Some(outcomes))
}

/// What each stream is expected to have before the batch, and will have after it. Nothing, if the batch can't win as a
/// whole.
fn chains(batch: &[Append]) -> Option<HashMap<StreamKey<'_>, (Revision, Revision)>> {
    let mut chains = HashMap::<StreamKey<'_>, (Revision, Revision)>::with_capacity(batch.len());
    for append in batch {
        if stored(append.expected.get()).is_err() {
            return None;
        }
        let after = append.after();
        match chains.entry((&append.tenant, &append.stream)) {
            Entry::Vacant(chain) => {
                chain.insert((append.expected, after));
            }
            Entry::Occupied(mut chain) if chain.get().1 == append.expected => chain.get_mut().1 = after,
            // It does not go on where the one before it ends, and so loses.
            Entry::Occupied(_) => return None,
        }
    }
    Some(chains)
}

/// What a batch does about claims.
struct Claims<'a> {
    batch: &'a [Append],
    taken: Columns<'a>,
    freed: Columns<'a>,
}

/// Values of constraints with the streams that take them or let go of them, column by column.
#[derive(Default)]
struct Columns<'a> {
    tenants: Vec<&'a str>,
    names: Vec<&'a str>,
    values: Vec<&'a str>,
    streams: Vec<&'a str>,
}

impl<'a> Claims<'a> {
    /// Nothing, if a value comes up more than once: the parts of a statement know no order.
    fn of(batch: &'a [Append]) -> Option<Self> {
        let mut claims = Self { batch, taken: Columns::default(), freed: Columns::default() };
        let mut seen = HashSet::new();
        for append in batch {
            for claim in &append.claims {
                let (columns, claimed) = match claim {
                    Claim::Take(claimed) => (&mut claims.taken, claimed),
                    Claim::Release(claimed) => (&mut claims.freed, claimed),
                };
                if !seen.insert((&append.tenant, &claimed.constraint, &claimed.value)) {
                    return None;
                }
                columns.tenants.push(append.tenant.as_str());
                columns.names.push(&claimed.constraint);
                columns.values.push(&claimed.value);
                columns.streams.push(append.stream.as_str());
            }
        }
        Some(claims)
    }

    fn is_empty(&self) -> bool {
        self.taken.tenants.is_empty() && self.freed.tenants.is_empty()
    }

    /// What the events tell of it: the first one of each append does.
    fn told(&self, count: usize) -> Result<Vec<Option<Json<String>>>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let mut told = Vec::with_capacity(count);
        for append in self.batch {
            let changes: Vec<_> = append.claims.iter().map(Change::of).collect();
            told.push(claims::told(&changes)?.map(Json));
            told.extend(append.events.iter().skip(1).map(|_| None));
        }
        Ok(told)
    }
}

impl<'a> Columns<'a> {
    fn bind<'q>(self, query: Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments> {
        query.bind(self.tenants).bind(self.names).bind(self.values).bind(self.streams)
    }
}

/// The revision of each event.
fn revisions(count: usize, batch: &[Append]) -> Vec<i64> {
    let of = |append: &Append| {
        let expected = append.expected.get();
        (1..=append.events.len() as u64).map(move |n| bound(expected.saturating_add(n)))
    };
    all(count, batch.iter().flat_map(of))
}

/// A column whose length is known, which the iterator can't tell.
fn all<T>(count: usize, values: impl Iterator<Item = T>) -> Vec<T> {
    let mut column = Vec::with_capacity(count);
    column.extend(values);
    column
}

/// A column that is nearly always null. No array at all stands for one of nulls, and costs the server nothing.
fn sparse<T>(count: usize, values: impl Iterator<Item = Option<T>> + Clone) -> Vec<Option<T>> {
    if values.clone().all(|value| value.is_none()) { Vec::new() } else { all(count, values) }
}

/// A column that nearly always has the same value in all rows: that one value, or else all of them.
fn shared<T: PartialEq>(
    count: usize,
    mut values: impl Iterator<Item = Option<T>> + Clone,
) -> (Option<T>, Vec<Option<T>>) {
    let column = values.clone();
    let Some(first) = values.next() else { return (None, Vec::new()) };
    if values.all(|value| value == first) { (first, Vec::new()) } else { (None, all(count, column)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::counted;

    #[test]
    fn appends_to_one_stream_go_on_where_the_one_before_them_ends() {
        let chained = |drafts: &[(u64, usize)]| {
            let batch: Vec<_> = drafts
                .iter()
                .map(|(expected, events)| counted("Counter-a", *expected, *events).check().unwrap())
                .collect();
            chains(&batch)
                .map(|chains| chains.values().map(|(first, last)| (first.get(), last.get())).collect::<Vec<_>>())
        };
        assert_eq!(chained(&[(3, 2), (5, 1)]), Some(vec![(3, 6)]));
        assert_eq!(chained(&[(3, 2), (3, 1)]), None);
        // This one would end where the first does.
        assert_eq!(chained(&[(3, 2), (4, 1)]), None);
    }
}
