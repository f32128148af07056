//! Holds the table of claims in SQLite against the log.

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Executor as _, QueryBuilder, Sqlite, SqliteConnection, Transaction};
use yado_model::Position;

use super::log::HEAD;
use super::{Database, chunks};
use crate::Result;
use crate::claims::{self, ClaimsReport, Difference, Folding, Holding, MOST_TOLD, Page};
use crate::number::stored;

const REBUILT: &str = "\
    create temporary table rebuilt_claims ( \
        tenant text not null, \"constraint\" text not null, value text not null, stream text not null, \
        primary key (tenant, \"constraint\", value)) without rowid";

const TOLD: &str = "\
    select position, tenant, stream, claims from events \
    where position > $1 and position <= $2 and claims is not null order by position limit $3";

const TIDY: &str = "drop table if exists temp.rebuilt_claims; drop table if exists temp.different_claims";

pub(super) async fn rebuild(database: &Database, apply: bool) -> Result<ClaimsReport> {
    // Temporary tables are committed as well.
    database.place.disk.allow()?;
    let mut connection = apart(database).await?;
    connection.execute(TIDY).await?;
    sqlx::query(REBUILT).execute(&mut *connection).await?;
    let report = claims::rebuild::<Sqlite>(&mut connection, apply).await?;
    connection.execute(TIDY).await?;
    Ok(report)
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

#[async_trait]
impl Folding for Sqlite {
    const HEAD: &'static str = HEAD;
    /// Whoever writes has the write lock of the whole file: the head can't move any more, and is asked for as ever.
    const LOCK_HEAD: &'static str = HEAD;

    async fn begin_moment<'c>(connection: &'c mut SqliteConnection) -> Result<Transaction<'c, Self>> {
        Ok(connection.begin_with("begin").await?)
    }

    async fn begin_writing<'c>(connection: &'c mut SqliteConnection) -> Result<Transaction<'c, Self>> {
        Ok(connection.begin_with("begin immediate").await?)
    }

    async fn number(connection: &mut SqliteConnection, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
    }

    async fn run(connection: &mut SqliteConnection, sql: &'static str) -> Result<()> {
        sqlx::query(sql).execute(connection).await?;
        Ok(())
    }

    async fn differences(connection: &mut SqliteConnection, sql: &'static str, most: i64) -> Result<Vec<Difference>> {
        Ok(sqlx::query_as(sql).bind(most).fetch_all(connection).await?)
    }

    async fn told(connection: &mut SqliteConnection, after: Position, to: Position) -> Result<Page> {
        let query = sqlx::query_as(TOLD).bind(stored(after.get())?).bind(stored(to.get())?).bind(MOST_TOLD);
        Page::read(query.fetch(connection)).await
    }

    async fn hold(connection: &mut SqliteConnection, held: &[Holding]) -> Result<()> {
        each(connection, "insert or replace into rebuilt_claims (tenant, \"constraint\", value, stream) ", held, "")
            .await
    }

    async fn free(connection: &mut SqliteConnection, freed: &[Holding]) -> Result<()> {
        let beginning = "delete from rebuilt_claims where (tenant, \"constraint\", value, stream) in (";
        each(connection, beginning, freed, ")").await
    }
}

/// Runs statements with rows of values in the middle.
async fn each(connection: &mut SqliteConnection, beginning: &str, rows: &[Holding], end: &str) -> Result<()> {
    for rows in chunks(rows) {
        let mut sql = QueryBuilder::<Sqlite>::new(beginning);
        sql.push_values(rows, |mut columns, row| {
            for text in row {
                columns.push_bind(text.as_str());
            }
        });
        sql.push(end).build().execute(&mut *connection).await?;
    }
    Ok(())
}
