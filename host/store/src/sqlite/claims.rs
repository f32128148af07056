//! Folds the log in SQLite into who holds which value.
//!
//! The fold goes into a temporary table, so that it takes no more memory here however many values are held. What is below
//! the log's head never changes, so that it is folded without a lock; and what was found to differ is put right under the
//! write lock, after the last page of the log.

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Executor as _, QueryBuilder, Sqlite, SqliteConnection};
use yado_model::Position;

use super::log::HEAD;
use super::{Database, chunks};
use crate::claims::{ClaimDifference, ClaimsReport, Fold, MOST_DIFFERENCES, PAGE};
use crate::number::{loaded, stored};
use crate::{Error, Result};

const REBUILT: &str = "\
    create temporary table rebuilt_claims ( \
        tenant text not null, \"constraint\" text not null, value text not null, stream text not null, \
        primary key (tenant, \"constraint\", value)) without rowid";

/// A range of positions, and not a number of rows: rows with claims may be rare, and a statement should end soon.
const TOLD: &str = "\
    select position, tenant, stream, claims from events \
    where position > ? and position <= ? and claims is not null order by position";

/// What table and log tell differently, all of it.
const COMPARE: &str = "\
    create temporary table different_claims as \
    select tenant as tenant, \"constraint\" as \"constraint\", value as value, r.stream as by_log, c.stream as by_table \
    from rebuilt_claims r full join claims c using (tenant, \"constraint\", value) \
    where r.stream is not c.stream";

const COUNT: &str = "select (select count(*) from rebuilt_claims), (select count(*) from different_claims)";

const DIFFERENCES: &str = "\
    select tenant, \"constraint\", value, by_log, by_table from different_claims order by 1, 2, 3 limit ?";

const DROP_OTHERS: &str = "\
    delete from claims where (tenant, \"constraint\", value) in \
        (select tenant, \"constraint\", value from different_claims \
            except select tenant, \"constraint\", value from rebuilt_claims)";

/// Without the condition that is always true, SQLite would take `on conflict` for a part of the selection.
const PUT_RIGHT: &str = "\
    insert into claims (tenant, \"constraint\", value, stream) \
    select r.tenant, r.\"constraint\", r.value, r.stream \
    from different_claims d join rebuilt_claims r using (tenant, \"constraint\", value) where true \
    on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream \
    where claims.stream <> excluded.stream";

const TIDY: &str = "drop table if exists temp.rebuilt_claims; drop table if exists temp.different_claims";

pub(super) async fn rebuild(database: &Database, apply: bool) -> Result<ClaimsReport> {
    let mut connection = apart(database).await?;
    connection.execute(TIDY).await?;
    sqlx::query(REBUILT).execute(&mut *connection).await?;

    let at = catch_up(&mut connection, Position::ZERO).await?;
    // The log's head and the claims as of one moment, which need no lock to be comparable.
    let mut transaction = connection.begin().await?;
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
    connection.execute(TIDY).await?;
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
async fn put_right(connection: &mut SqliteConnection, compared: Position) -> Result<()> {
    let at = catch_up(connection, compared).await?;
    let mut transaction = connection.begin_with("begin immediate").await?;
    let head = position(sqlx::query_scalar(HEAD).fetch_one(&mut *transaction).await?)?;
    fold(&mut transaction, at, head).await?;
    sqlx::query(DROP_OTHERS).execute(&mut *transaction).await?;
    sqlx::query(PUT_RIGHT).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Folds up to where the log ends, or nearly so: it may go on growing.
async fn catch_up(connection: &mut SqliteConnection, from: Position) -> Result<Position> {
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

/// A connection that may be kept for long without keeping others from writing, and is closed afterwards. In memory there
/// is but one, which stays.
async fn apart(database: &Database) -> Result<PoolConnection<Sqlite>> {
    let mut connection = database.readers.acquire().await?;
    if !database.in_memory() {
        connection.close_on_drop();
        sqlx::query("pragma query_only = off").execute(&mut *connection).await?;
    }
    Ok(connection)
}

/// Goes on from one position to another, page by page.
async fn fold(connection: &mut SqliteConnection, from: Position, to: Position) -> Result<()> {
    if to < from {
        return Err(Error::Rewound { seen: from });
    }
    let mut at = from;
    while at < to {
        let end = at.plus(PAGE).min(to);
        let mut fold = Fold::default();
        let query = sqlx::query_as::<_, (i64, String, String, String)>(TOLD);
        let query = query.bind(stored(at.get())?).bind(stored(end.get())?);
        for (position, tenant, stream, claims) in query.fetch_all(&mut *connection).await? {
            fold.event(position, &tenant, &stream, &claims)?;
        }
        let (held, free) = fold.into_parts();
        for rows in chunks(&held) {
            let mut sql = QueryBuilder::<Sqlite>::new(
                "insert or replace into rebuilt_claims (tenant, \"constraint\", value, stream) ",
            );
            sql.push_values(rows, |mut columns, row| {
                for text in row {
                    columns.push_bind(text.as_str());
                }
            });
            sql.build().execute(&mut *connection).await?;
        }
        for rows in chunks(&free) {
            let mut sql =
                QueryBuilder::<Sqlite>::new("delete from rebuilt_claims where (tenant, \"constraint\", value) in (");
            sql.push_values(rows, |mut columns, row| {
                for text in row {
                    columns.push_bind(text.as_str());
                }
            });
            sql.push(")").build().execute(&mut *connection).await?;
        }
        at = end;
    }
    Ok(())
}

fn position(head: i64) -> Result<Position> {
    Ok(Position::new(loaded(head, "the head of the log")?))
}
