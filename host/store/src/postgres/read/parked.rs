//! Streams that a projection can't get on with, and what an operator has decided about projections, in PostgreSQL.

use sqlx::{PgConnection, PgPool};

use super::super::time::Time;
use crate::limits::{self, LONGEST_NAME};
use crate::number::stored;
use crate::read::parked::Stored;
use crate::read::statements::{BEGIN_STATE, LETTER, PARK, PARKED, RELEASE, RELEASE_ALL, SET_STATE, STATE};
use crate::{Held, LetterId, Parked, ProjectionState, Result};

/// Parks streams and lets others go, within the transaction of a step.
pub(super) async fn park(
    connection: &mut PgConnection,
    projection: &str,
    parked: &[Parked],
    released: &[Held],
) -> Result<()> {
    for held in released {
        let query = sqlx::query(RELEASE).bind(projection).bind(held.tenant.as_str()).bind(held.stored());
        query.execute(&mut *connection).await?;
    }
    for parked in parked {
        let parked = parked.clone().check()?;
        let (stream, of_event) = parked.stored();
        let query = sqlx::query(PARK).bind(projection).bind(parked.tenant.as_str()).bind(stream);
        let query = query.bind(stored(parked.position.get())?).bind(stored(parked.revision.get())?);
        let query = query.bind(&parked.event).bind(number(parked.version)).bind(&parked.error);
        let query = query.bind(&parked.plugin).bind(&parked.plugin_version).bind(parked.digest.bytes().as_slice());
        let query = query.bind(number(parked.attempts)).bind(Time(parked.at)).bind(of_event);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Forgets what is parked of a projection, within the transaction in which the rest of it goes.
pub(super) async fn release_all(connection: &mut PgConnection, projection: &str) -> Result<()> {
    sqlx::query(RELEASE_ALL).bind(projection).execute(connection).await?;
    Ok(())
}

pub(super) async fn parked(pool: &PgPool, projection: Option<&str>, limit: u32) -> Result<Vec<(String, Parked)>> {
    if let Some(projection) = projection {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
    }
    let query = sqlx::query_as::<_, Stored<Time>>(PARKED).bind(projection).bind(limits::page(limit)?);
    query.fetch_all(pool).await?.into_iter().map(|row| row.parked(|time| time.0)).collect()
}

pub(super) async fn letter(pool: &PgPool, projection: &str, id: &LetterId) -> Result<Option<Parked>> {
    limits::text("the name of a projection", projection, LONGEST_NAME)?;
    let (position, tenant) = id.stored();
    let query = sqlx::query_as::<_, Stored<Time>>(LETTER).bind(projection).bind(position).bind(tenant);
    let found = query.fetch_optional(pool).await?;
    found.map(|row| Ok(row.parked(|time| time.0)?.1)).transpose()
}

pub(super) async fn state(pool: &PgPool, plugin: &str, projection: &str) -> Result<ProjectionState> {
    let query = sqlx::query_as::<_, (i64, Option<i64>, bool, i64)>(STATE).bind(plugin).bind(projection);
    let found = query.fetch_optional(pool).await?;
    found.map_or(Ok(ProjectionState::default()), ProjectionState::loaded)
}

pub(super) async fn set_state(
    pool: &PgPool,
    (plugin, projection): (&str, &str),
    from: &ProjectionState,
    to: &ProjectionState,
) -> Result<bool> {
    to.check(plugin, projection)?;
    sqlx::query(BEGIN_STATE).bind(plugin).bind(projection).execute(pool).await?;
    let query = sqlx::query(SET_STATE).bind(plugin).bind(projection);
    let query = query.bind(number(to.epoch)).bind(to.pending.map(number)).bind(to.paused);
    let query = query.bind(number(from.epoch)).bind(from.pending.map(number)).bind(from.paused);
    let query = query.bind(number(to.begun)).bind(number(from.begun));
    Ok(query.execute(pool).await?.rows_affected() > 0)
}

/// A count as the column has it. What is beyond its greatest is not told apart from that.
fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
