//! Folds the log in PostgreSQL into who holds which value.
//!
//! The fold goes into a temporary table, so that it takes no more memory here however many values are held. What is below
//! the log's head never changes, so that it is folded without a lock; and what was found to differ is put right under the
//! lock of the head, after the last page of the log.

use sqlx::{Connection as _, PgConnection};
use yado_model::Position;

use super::append::locked::LOCK_HEAD;
use super::log::HEAD;
use super::{BEGIN, Database};
use crate::claims::{ClaimDifference, ClaimsReport, Fold, MOST_DIFFERENCES, PAGE};
use crate::number::loaded;
use crate::{Error, Result};

/// The comparison may have many rows to go through, and is to go through all of them.
const PATIENCE: &str =
    "select set_config('statement_timeout', '10min', false), set_config('enable_seqscan', 'on', false)";

const REBUILT: &str = "\
    create temporary table rebuilt_claims ( \
        tenant text collate \"C\", \"constraint\" text collate \"C\", value text collate \"C\", stream text not null, \
        primary key (tenant, \"constraint\", value))";

/// A range of positions, and not a number of rows: rows with claims may be rare, and a statement must end.
const TOLD: &str = "\
    select position, tenant, stream, claims::text from events \
    where position > $1 and position <= $2 and claims is not null order by position";

const HELD: &str = "\
    insert into rebuilt_claims (tenant, \"constraint\", value, stream) \
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) \
    on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream";

const FREE: &str = "\
    delete from rebuilt_claims c using unnest($1::text[], $2::text[], $3::text[]) w (tenant, name, value) \
    where c.tenant = w.tenant and c.\"constraint\" = w.name and c.value = w.value";

/// What table and log tell differently, all of it.
const COMPARE: &str = "\
    create temporary table different_claims as \
    select tenant, \"constraint\", value, r.stream as by_log, c.stream as by_table \
    from rebuilt_claims r full join claims c using (tenant, \"constraint\", value) \
    where r.stream is distinct from c.stream";

const COUNT: &str = "select (select count(*) from rebuilt_claims), (select count(*) from different_claims)";

const DIFFERENCES: &str = "\
    select tenant, \"constraint\", value, by_log, by_table from different_claims order by 1, 2, 3 limit $1";

const DROP_OTHERS: &str = "\
    delete from claims c using different_claims d \
    where c.tenant = d.tenant and c.\"constraint\" = d.\"constraint\" and c.value = d.value \
        and not exists (select from rebuilt_claims r \
            where r.tenant = d.tenant and r.\"constraint\" = d.\"constraint\" and r.value = d.value)";

const PUT_RIGHT: &str = "\
    insert into claims as c (tenant, \"constraint\", value, stream) \
    select r.tenant, r.\"constraint\", r.value, r.stream \
    from different_claims d join rebuilt_claims r using (tenant, \"constraint\", value) \
    on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream where c.stream <> excluded.stream";

pub(super) async fn rebuild(database: &Database, apply: bool) -> Result<ClaimsReport> {
    let mut connection = database.pool.acquire().await?;
    // Whatever becomes of this, the temporary tables and the session's patience go away with the connection.
    connection.close_on_drop();
    sqlx::query(PATIENCE).execute(&mut *connection).await?;
    sqlx::query(REBUILT).execute(&mut *connection).await?;

    let at = catch_up(&mut connection, Position::ZERO).await?;
    // The log's head and the claims as of one moment, which need no lock to be comparable.
    let mut transaction = connection.begin_with("begin isolation level repeatable read").await?;
    let head = position(sqlx::query_scalar(HEAD).fetch_one(&mut *transaction).await?)?;
    fold(&mut transaction, at, head).await?;
    sqlx::query(COMPARE).execute(&mut *transaction).await?;
    let (held, different) = sqlx::query_as::<_, (i64, i64)>(COUNT).fetch_one(&mut *transaction).await?;
    let rows = sqlx::query_as(DIFFERENCES).bind(MOST_DIFFERENCES).fetch_all(&mut *transaction).await?;
    transaction.commit().await?;

    let repaired = apply && different > 0;
    if repaired {
        put_right(&mut connection, head).await?;
    }
    Ok(ClaimsReport {
        head,
        held: loaded(held, "the claims")?,
        different: loaded(different, "the claims")?,
        differences: rows.into_iter().map(ClaimDifference::of).collect::<Result<_>>()?,
        repaired,
    })
}

/// Makes the table agree with the log where they were found to differ. What has changed since has changed in both alike,
/// because an append tells what it does to the table; so nothing else need be looked at under the lock.
async fn put_right(connection: &mut PgConnection, compared: Position) -> Result<()> {
    let at = catch_up(connection, compared).await?;
    let mut transaction = connection.begin_with(BEGIN).await?;
    let head = position(sqlx::query_scalar(LOCK_HEAD).fetch_one(&mut *transaction).await?)?;
    fold(&mut transaction, at, head).await?;
    sqlx::query(DROP_OTHERS).execute(&mut *transaction).await?;
    sqlx::query(PUT_RIGHT).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Folds up to where the log ends, or nearly so: it may go on growing.
async fn catch_up(connection: &mut PgConnection, from: Position) -> Result<Position> {
    let mut at = from;
    loop {
        let head = position(sqlx::query_scalar(HEAD).fetch_one(&mut *connection).await?)?;
        fold(connection, at, head).await?;
        let page = head.get().saturating_sub(at.get());
        at = head;
        if page <= PAGE {
            return Ok(at);
        }
    }
}

/// Goes on from one position to another, page by page.
async fn fold(connection: &mut PgConnection, from: Position, to: Position) -> Result<()> {
    if to < from {
        return Err(Error::Rewound { seen: from });
    }
    let mut at = from;
    while at < to {
        let end = at.plus(PAGE).min(to);
        let mut fold = Fold::default();
        let query = sqlx::query_as::<_, (i64, String, String, String)>(TOLD);
        let query = query.bind(crate::number::stored(at.get())?).bind(crate::number::stored(end.get())?);
        for (position, tenant, stream, claims) in query.fetch_all(&mut *connection).await? {
            fold.event(position, &tenant, &stream, &claims)?;
        }
        let (held, free) = fold.into_parts();
        if !held.is_empty() {
            let column = |at: usize| held.iter().map(|row| row[at].as_str()).collect::<Vec<_>>();
            let query = sqlx::query(HELD).bind(column(0)).bind(column(1)).bind(column(2)).bind(column(3));
            query.execute(&mut *connection).await?;
        }
        if !free.is_empty() {
            let column = |at: usize| free.iter().map(|row| row[at].as_str()).collect::<Vec<_>>();
            let query = sqlx::query(FREE).bind(column(0)).bind(column(1)).bind(column(2));
            query.execute(&mut *connection).await?;
        }
        at = end;
    }
    Ok(())
}

fn position(head: i64) -> Result<Position> {
    Ok(Position::new(loaded(head, "the head of the log")?))
}
