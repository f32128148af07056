//! Holds the table of claims in PostgreSQL against the log.

use async_trait::async_trait;
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};
use yado_model::Position;

use super::append::locked::LOCK_HEAD;
use super::log::HEAD;
use super::{BEGIN, Database};
use crate::Result;
use crate::claims::{self, ClaimsReport, Difference, Folding, Holding, MOST_TOLD, Page};
use crate::number::stored;

/// The comparison may have many rows to go through, and is to go through all of them.
const PATIENCE: &str =
    "select set_config('statement_timeout', '10min', false), set_config('enable_seqscan', 'on', false)";

const REBUILT: &str = "\
    create temporary table rebuilt_claims ( \
        tenant text collate \"C\", \"constraint\" text collate \"C\", value text collate \"C\", stream text not null, \
        primary key (tenant, \"constraint\", value))";

const TOLD: &str = "\
    select position, tenant, stream, claims::text from events \
    where position > $1 and position <= $2 and claims is not null order by position limit $3";

const HOLD: &str = "\
    insert into rebuilt_claims (tenant, \"constraint\", value, stream) \
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) \
    on conflict (tenant, \"constraint\", value) do update set stream = excluded.stream";

const FREE: &str = "\
    delete from rebuilt_claims c using unnest($1::text[], $2::text[], $3::text[], $4::text[]) w (tenant, name, value, stream) \
    where c.tenant = w.tenant and c.\"constraint\" = w.name and c.value = w.value and c.stream = w.stream";

pub(super) async fn rebuild(database: &Database, apply: bool) -> Result<ClaimsReport> {
    let mut connection = database.pool.acquire().await?;
    // Whatever becomes of this, the temporary tables and the session's patience go away with the connection.
    connection.close_on_drop();
    sqlx::query(PATIENCE).execute(&mut *connection).await?;
    sqlx::query(REBUILT).execute(&mut *connection).await?;
    claims::rebuild::<Postgres>(&mut connection, apply).await
}

#[async_trait]
impl Folding for Postgres {
    const HEAD: &'static str = HEAD;
    const LOCK_HEAD: &'static str = LOCK_HEAD;

    async fn begin_moment<'c>(connection: &'c mut PgConnection) -> Result<Transaction<'c, Self>> {
        Ok(connection.begin_with("begin isolation level repeatable read").await?)
    }

    async fn begin_writing<'c>(connection: &'c mut PgConnection) -> Result<Transaction<'c, Self>> {
        Ok(connection.begin_with(BEGIN).await?)
    }

    async fn number(connection: &mut PgConnection, sql: &'static str) -> Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(connection).await?)
    }

    async fn run(connection: &mut PgConnection, sql: &'static str) -> Result<()> {
        sqlx::query(sql).execute(connection).await?;
        Ok(())
    }

    async fn differences(connection: &mut PgConnection, sql: &'static str, most: i64) -> Result<Vec<Difference>> {
        Ok(sqlx::query_as(sql).bind(most).fetch_all(connection).await?)
    }

    async fn told(connection: &mut PgConnection, after: Position, to: Position) -> Result<Page> {
        let query = sqlx::query_as(TOLD).bind(stored(after.get())?).bind(stored(to.get())?).bind(MOST_TOLD);
        Page::read(query.fetch(connection)).await
    }

    async fn hold(connection: &mut PgConnection, held: &[Holding]) -> Result<()> {
        each_by_columns(connection, HOLD, held).await
    }

    async fn free(connection: &mut PgConnection, freed: &[Holding]) -> Result<()> {
        each_by_columns(connection, FREE, freed).await
    }
}

/// Runs a statement that takes each column as an array.
async fn each_by_columns(connection: &mut PgConnection, sql: &'static str, rows: &[Holding]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let column = |at: usize| rows.iter().map(|row| row[at].as_str()).collect::<Vec<_>>();
    let query = sqlx::query(sql).bind(column(0)).bind(column(1)).bind(column(2)).bind(column(3));
    query.execute(connection).await?;
    Ok(())
}
