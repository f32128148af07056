//! Folds the log in SQLite into who holds which value.
//!
//! The fold goes into a temporary table, so that it takes no more memory here however many values are held. Most of the
//! log is folded without a lock, since what is below its head never changes; the write lock is held for the rest.

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, QueryBuilder, Sqlite, SqliteConnection};
use yado_model::Position;

use super::log::HEAD;
use super::{Database, chunks};
use crate::Result;
use crate::claims::{ClaimDifference, ClaimsReport, Fold, MOST_DIFFERENCES, PAGE};
use crate::number::{loaded, stored};

const REBUILT: &str = "\
    create temporary table rebuilt_claims ( \
        tenant text not null, \"constraint\" text not null, value text not null, stream text not null, \
        primary key (tenant, \"constraint\", value)) without rowid";

/// A range of positions, and not a number of rows: rows with claims may be rare, and a statement should end soon.
const TOLD: &str = "\
    select position, tenant, stream, claims from events \
    where position > ? and position <= ? and claims is not null order by position";

const COUNT: &str = "\
    select count(r.stream), count(*) filter (where r.stream is not c.stream) \
    from rebuilt_claims r full join claims c using (tenant, \"constraint\", value)";

const DIFFERENCES: &str = "\
    select tenant, \"constraint\", value, r.stream, c.stream \
    from rebuilt_claims r full join claims c using (tenant, \"constraint\", value) \
    where r.stream is not c.stream order by 1, 2, 3 limit ?";

const DROP_OTHERS: &str = "\
    delete from claims where not exists (select 1 from rebuilt_claims r \
        where r.tenant = claims.tenant and r.\"constraint\" = claims.\"constraint\" and r.value = claims.value)";

/// Without the condition that is always true, SQLite would take `on conflict` for a part of the selection.
const PUT_RIGHT: &str = "\
    insert into claims (tenant, \"constraint\", value, stream) \
    select tenant, \"constraint\", value, stream from rebuilt_claims where true \
    on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream \
    where claims.stream <> excluded.stream";

pub(super) async fn rebuild(database: &Database, apply: bool) -> Result<ClaimsReport> {
    let mut connection = apart(database).await?;
    sqlx::query("drop table if exists temp.rebuilt_claims").execute(&mut *connection).await?;
    sqlx::query(REBUILT).execute(&mut *connection).await?;

    let mut at = Position::ZERO;
    loop {
        let head = position(sqlx::query_scalar(HEAD).fetch_one(&mut *connection).await?)?;
        fold(&mut connection, at, head).await?;
        let page = head.get() - at.get();
        at = head;
        if page <= PAGE {
            break;
        }
    }
    let mut transaction = connection.begin_with("begin immediate").await?;
    let head = position(sqlx::query_scalar(HEAD).fetch_one(&mut *transaction).await?)?;
    fold(&mut transaction, at, head).await?;
    let (held, different) = sqlx::query_as::<_, (i64, i64)>(COUNT).fetch_one(&mut *transaction).await?;
    let rows = sqlx::query_as(DIFFERENCES).bind(MOST_DIFFERENCES).fetch_all(&mut *transaction).await?;
    let repaired = apply && different > 0;
    if repaired {
        sqlx::query(DROP_OTHERS).execute(&mut *transaction).await?;
        sqlx::query(PUT_RIGHT).execute(&mut *transaction).await?;
    }
    sqlx::query("drop table temp.rebuilt_claims").execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(ClaimsReport {
        head,
        held: loaded(held, "the claims")?,
        different: loaded(different, "the claims")?,
        differences: rows.into_iter().map(ClaimDifference::of).collect::<Result<_>>()?,
        repaired,
    })
}

/// A connection that may be kept for long without keeping others from writing, and is closed afterwards. In memory there
/// is but one, which stays.
async fn apart(database: &Database) -> Result<PoolConnection<Sqlite>> {
    let mut connection = database.readers.acquire().await?;
    if !database.memory {
        connection.close_on_drop();
        sqlx::query("pragma query_only = off").execute(&mut *connection).await?;
    }
    Ok(connection)
}

/// Goes on from one position to another, page by page.
async fn fold(connection: &mut SqliteConnection, from: Position, to: Position) -> Result<()> {
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
