//! What projections tell of the rows that they change, in PostgreSQL.
//!
//! Both tables are unlogged: what is told costs no write-ahead log, and after a crash there are no floors, so that nobody
//! takes the changes that are left, which are none, for all that there were.

use std::ops::Range;

use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder};
use yado_model::Position;

use crate::limits::{self, LONGEST_NAME};
use crate::number::{bound, loaded, stored};
use crate::read::changed::{FORGOTTEN_AT_ONCE, StoredChange};
use crate::read::statements::{CHANGES, COUNT, FORGET, FORGET_ALL, RAISE_FLOOR, TOLD};
use crate::{ChangePage, ChangeQuery, Forgotten, Progress, Result, Step};

/// Rows of one statement.
const CHUNK: usize = 2_000;

/// The same as [`tell`], as parts of a statement in which `moved` has a row if the step is taken.
pub(super) fn push(sql: &mut QueryBuilder<Postgres>, step: &Step<'_>) -> Result<()> {
    let Some(from) = step.changes_from else { return Ok(()) };
    sql.push(", floored as (");
    floor(sql, step, from, "exists (select from moved)")?;
    sql.push(")");
    if !step.changes.is_empty() {
        sql.push(", told as (");
        insert(sql, step, 0..step.changes.len(), "exists (select from moved)")?;
        sql.push(")");
    }
    Ok(())
}

/// Keeps what a step tells, within its transaction.
pub(super) async fn tell(connection: &mut PgConnection, step: &Step<'_>) -> Result<()> {
    let Some(from) = step.changes_from else { return Ok(()) };
    let mut sql = QueryBuilder::<Postgres>::default();
    floor(&mut sql, step, from, "true")?;
    sql.build().execute(&mut *connection).await?;
    for begin in (0..step.changes.len()).step_by(CHUNK) {
        let mut sql = QueryBuilder::<Postgres>::default();
        insert(&mut sql, step, begin..step.changes.len().min(begin + CHUNK), "true")?;
        sql.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// The floor stays where it is if the step goes on where the telling has come to. Where streams have been taken up again in
/// between, rows have changed without anything being told of it, at a position that had been told: whoever has seen all of
/// that position has not seen them, so the floor is above it. Where there is no floor, it is not known whether they have.
fn floor(sql: &mut QueryBuilder<Postgres>, step: &Step<'_>, from: Position, condition: &str) -> Result<()> {
    let Progress { projection, from: before, to } = &step.progress;
    sql.push("insert into change_floors as f (projection, position, told, replays) select ");
    let unseen = i64::from(before.replays > 0);
    let from = stored(from.get())?;
    sql.push_bind(projection.to_string()).push("::text, ").push_bind(from.saturating_add(unseen));
    sql.push("::bigint, ").push_bind(stored(to.position.get())?);
    sql.push("::bigint, ").push_bind(stored(to.replays)?);
    sql.push(format_args!("::bigint where {condition} on conflict (projection) do update set told = excluded.told, "));
    sql.push("replays = excluded.replays, position = case when f.replays <> ").push_bind(bound(before.replays));
    sql.push(" then ").push_bind(from.saturating_add(1)).push(" when f.told = ");
    sql.push_bind(bound(before.position.get())).push(" and ").push_bind(from);
    sql.push(" <= f.told then f.position else ").push_bind(from).push(" end");
    Ok(())
}

fn insert(sql: &mut QueryBuilder<Postgres>, step: &Step<'_>, range: Range<usize>, condition: &str) -> Result<()> {
    let changes = step.changes.get(range).unwrap_or_default();
    let positions = changes.iter().map(|changed| stored(changed.position.get())).collect::<Result<Vec<_>>>()?;
    sql.push(r#"insert into model_changes (projection, position, place, tenant, model, key, kind, "row") select "#);
    sql.push_bind(step.progress.projection.to_owned()).push("::text, c.* from unnest(").push_bind(positions);
    sql.push("::bigint[], ");
    sql.push_bind(changes.iter().map(|changed| i64::from(changed.place)).collect::<Vec<_>>()).push("::bigint[], ");
    sql.push_bind(changes.iter().map(|changed| changed.tenant.to_string()).collect::<Vec<_>>()).push("::text[], ");
    sql.push_bind(changes.iter().map(|changed| changed.model.to_string()).collect::<Vec<_>>()).push("::text[], ");
    sql.push_bind(changes.iter().map(|changed| changed.key.clone()).collect::<Vec<_>>()).push("::text[], ");
    sql.push_bind(changes.iter().map(|changed| changed.kind.code()).collect::<Vec<_>>()).push("::smallint[], ");
    sql.push_bind(changes.iter().map(|changed| changed.row.to_string()).collect::<Vec<_>>());
    sql.push(format_args!("::text[]) c where {condition}"));
    Ok(())
}

/// What a projection has told after a place.
pub(super) async fn changes(pool: &PgPool, projection: &str, asked: &ChangeQuery<'_>) -> Result<ChangePage> {
    limits::text("the name of a projection", projection, LONGEST_NAME)?;
    let (position, place) = asked.after;
    let query = sqlx::query_as::<_, StoredChange>(CHANGES).bind(projection);
    let query = query.bind(bound(position.get())).bind(i64::from(place));
    let query = query.bind(asked.of.map(|(_, tenant)| tenant.as_str())).bind(asked.of.map(|(model, _)| model.as_str()));
    let query = query.bind(limits::page(asked.limit.max(1))?).bind(limits::whole(asked.most_bytes.max(1)));
    ChangePage::loaded(query.fetch_all(pool).await?)
}

/// Forgets a piece of what a projection has told. The floor rises with the first piece, so that nobody is given what is left.
pub(super) async fn forget(connection: &mut PgConnection, projection: &str, up_to: Position) -> Result<Forgotten> {
    limits::text("the name of a projection", projection, LONGEST_NAME)?;
    let up_to = bound(up_to.get());
    sqlx::query(RAISE_FLOOR).bind(projection).bind(up_to).execute(&mut *connection).await?;
    let query = sqlx::query(FORGET).bind(projection).bind(up_to).bind(FORGOTTEN_AT_ONCE);
    let count = query.execute(connection).await?.rows_affected();
    Ok(Forgotten { count, more: i64::try_from(count).is_ok_and(|count| count >= FORGOTTEN_AT_ONCE) })
}

/// How many changes of a projection are kept.
pub(super) async fn count(pool: &PgPool, projection: &str) -> Result<u64> {
    limits::text("the name of a projection", projection, LONGEST_NAME)?;
    loaded(sqlx::query_scalar(COUNT).bind(projection).fetch_one(pool).await?, "the changes of rows")
}

/// How far a projection has told, if it has.
pub(super) async fn told(pool: &PgPool, projection: &str) -> Result<Option<Position>> {
    let told: Option<i64> = sqlx::query_scalar(TOLD).bind(projection).fetch_optional(pool).await?;
    told.map(|told| Ok(Position::new(loaded(told, "change_floors")?))).transpose()
}

/// Forgets what is left of what a projection has told, within the transaction that takes its checkpoint away.
pub(super) async fn forget_all(connection: &mut PgConnection, projection: &str) -> Result<()> {
    for statement in FORGET_ALL {
        sqlx::query(statement).bind(projection).execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Executor as _};

    use super::super::Reads;
    use super::*;
    use crate::{Options, testing};

    /// Two projections that have told much, of rows of two tenants.
    const FILL: &str = "\
        insert into model_changes select p, n, 0, case when n % 100 = 0 then 'default' else 'other' end, 'Ticket', 'k' || n, \
            1, '{}' from generate_series(1, 20000) n, (values ('tickets'), ('others')) as v (p)";

    #[tokio::test]
    async fn a_page_is_read_by_the_index_alone() {
        let url = testing::Postgres::shared().database().await;
        let reads = Reads::open(&url, &Options { connections: 2, ..testing::patient() }).await.unwrap();
        reads.database.pool.execute(FILL).await.unwrap();
        reads.database.pool.execute("vacuum analyze model_changes").await.unwrap();
        for mode in ["force_custom_plan", "force_generic_plan"] {
            let mut connection = reads.database.pool.acquire().await.unwrap();
            connection.execute(AssertSqlSafe(format!("set plan_cache_mode = {mode}"))).await.unwrap();
            let plan = sqlx::query_scalar::<_, String>(AssertSqlSafe(format!("explain (costs off) {CHANGES}")));
            let plan = plan.bind("tickets").bind(0_i64).bind(0_i64).bind(Some("default")).bind(Some("Ticket"));
            let plan =
                plan.bind(2_000_i64).bind(1_000_i64).persistent(false).fetch_all(&mut *connection).await.unwrap();
            let plan = plan.join("\n");
            assert!(plan.contains("Index Scan using model_changes_pkey on model_changes\n"), "{mode}: {plan}");
            assert!(plan.contains("Index Scan using model_changes_pkey on model_changes m\n"), "{mode}: {plan}");
            assert!(!plan.contains("Seq Scan on model_changes"), "{mode}: {plan}");
        }
    }
}
