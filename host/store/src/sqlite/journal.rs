//! What projections tell of the rows that they change, in SQLite.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};
use yado_model::Position;

use super::chunks;
use crate::limits::{self, LONGEST_NAME};
use crate::number::{bound, loaded, stored};
use crate::read::changed::{FORGOTTEN_AT_ONCE, StoredChange};
use crate::read::statements::{CHANGES, COUNT, FORGET, FORGET_ALL, RAISE_FLOOR, TOLD};
use crate::{ChangePage, ChangeQuery, Forgotten, Progress, Result, Step};

/// The floor stays where it is if the step goes on where the telling has come to. Where streams have been taken up again in
/// between, rows have changed without anything being told of it, at a position that had been told: whoever has seen all of
/// that position has not seen them, so the floor is above it. Where there is no floor, it is not known whether they have.
const FLOOR: &str = "\
    insert into change_floors as f (projection, position, told, replays) values ($1, $2 + ($6 > 0), $3, $4) \
    on conflict (projection) do update set told = excluded.told, replays = excluded.replays, \
        position = case when f.replays <> $6 then $2 + 1 \
            when f.told = $5 and $2 <= f.told then f.position else $2 end";

/// Keeps what a step tells, within its transaction.
pub(super) async fn tell(connection: &mut SqliteConnection, step: &Step<'_>) -> Result<()> {
    let Some(from) = step.changes_from else { return Ok(()) };
    let Progress { projection, from: before, to } = &step.progress;
    let query = sqlx::query(FLOOR).bind(projection).bind(stored(from.get())?).bind(stored(to.position.get())?);
    let query = query.bind(stored(to.replays)?).bind(bound(before.position.get())).bind(bound(before.replays));
    query.execute(&mut *connection).await?;
    for changes in chunks(step.changes) {
        let mut sql = QueryBuilder::<Sqlite>::new(
            r#"insert into model_changes (projection, position, place, tenant, model, key, kind, "row") "#,
        );
        sql.push_values(changes, |mut columns, changed| {
            columns.push_bind(projection.to_string()).push_bind(bound(changed.position.get()));
            columns.push_bind(i64::from(changed.place)).push_bind(changed.tenant.to_string());
            columns.push_bind(changed.model.to_string()).push_bind(changed.key.clone());
            columns.push_bind(changed.kind.code()).push_bind(changed.row.to_string());
        });
        sql.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// What a projection has told after a place.
pub(super) async fn changes(pool: &SqlitePool, projection: &str, asked: &ChangeQuery<'_>) -> Result<ChangePage> {
    limits::text("the name of a projection", projection, LONGEST_NAME)?;
    let (position, place) = asked.after;
    let query = sqlx::query_as::<_, StoredChange>(CHANGES).bind(projection);
    let query = query.bind(bound(position.get())).bind(i64::from(place));
    let query = query.bind(asked.of.map(|(_, tenant)| tenant.as_str())).bind(asked.of.map(|(model, _)| model.as_str()));
    let query = query.bind(limits::page(asked.limit.max(1))?).bind(limits::whole(asked.most_bytes.max(1)));
    ChangePage::loaded(query.fetch_all(pool).await?)
}

/// Forgets a piece of what a projection has told. The floor rises with the first piece, so that nobody is given what is left.
pub(super) async fn forget(connection: &mut SqliteConnection, projection: &str, up_to: Position) -> Result<Forgotten> {
    limits::text("the name of a projection", projection, LONGEST_NAME)?;
    let up_to = bound(up_to.get());
    sqlx::query(RAISE_FLOOR).bind(projection).bind(up_to).execute(&mut *connection).await?;
    let query = sqlx::query(FORGET).bind(projection).bind(up_to).bind(FORGOTTEN_AT_ONCE);
    let count = query.execute(connection).await?.rows_affected();
    Ok(Forgotten { count, more: i64::try_from(count).is_ok_and(|count| count >= FORGOTTEN_AT_ONCE) })
}

/// How many changes of a projection are kept.
pub(super) async fn count(pool: &SqlitePool, projection: &str) -> Result<u64> {
    limits::text("the name of a projection", projection, LONGEST_NAME)?;
    loaded(sqlx::query_scalar(COUNT).bind(projection).fetch_one(pool).await?, "the changes of rows")
}

/// How far a projection has told, if it has.
pub(super) async fn told(pool: &SqlitePool, projection: &str) -> Result<Option<Position>> {
    let told: Option<i64> = sqlx::query_scalar(TOLD).bind(projection).fetch_optional(pool).await?;
    told.map(|told| Ok(Position::new(loaded(told, "change_floors")?))).transpose()
}

/// Forgets what is left of what a projection has told, within the transaction that takes its checkpoint away.
pub(super) async fn forget_all(connection: &mut SqliteConnection, projection: &str) -> Result<()> {
    for statement in FORGET_ALL {
        sqlx::query(statement).bind(projection).execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row as _};

    use super::super::Database;
    use super::*;
    use crate::open::Promise;
    use crate::testing::patient;

    #[tokio::test]
    async fn a_page_is_read_by_the_index_alone() {
        let database = Database::open("sqlite::memory:", &patient(), Promise::Derived).await.unwrap();
        let sql = AssertSqlSafe(format!("explain query plan {CHANGES}"));
        let steps = sqlx::query(sql).fetch_all(&database.readers).await.unwrap();
        let plan = steps.iter().map(|step| step.get::<String, _>("detail")).collect::<Vec<_>>().join("; ");
        for way in [
            "SEARCH model_changes USING PRIMARY KEY (projection=? AND (position,place)>(?,?))",
            "SEARCH m USING PRIMARY KEY (projection=? AND position=? AND place=?)",
        ] {
            assert!(plan.contains(way), "{plan}");
        }
        assert!(!plan.contains("SCAN model_changes"), "{plan}");
    }
}
