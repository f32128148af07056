//! Streams that a projection can't get on with, and what an operator has decided about projections, in SQLite.

use sqlx::{SqliteConnection, SqlitePool};
use yado_model::Timestamp;

use crate::limits::{self, LONGEST_NAME};
use crate::number::stored;
use crate::read::parked::Stored;
use crate::read::statements::{BEGIN_STATE, LETTER, PARK, PARKED, RELEASE, RELEASE_ALL, SET_STATE, STATE};
use crate::{Held, LetterId, Parked, ProjectionState, Result};

/// Parks streams and lets others go, within the transaction of a step.
pub(super) async fn park(
    connection: &mut SqliteConnection,
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
        let query = query.bind(&parked.event).bind(i64::from(parked.version)).bind(&parked.error);
        let query = query.bind(&parked.plugin).bind(&parked.plugin_version).bind(parked.digest.bytes().as_slice());
        let query = query.bind(i64::from(parked.attempts)).bind(parked.at.micros()).bind(of_event);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Forgets what is parked of a projection, within the transaction in which the rest of it goes.
pub(super) async fn release_all(connection: &mut SqliteConnection, projection: &str) -> Result<()> {
    sqlx::query(RELEASE_ALL).bind(projection).execute(connection).await?;
    Ok(())
}

pub(super) async fn parked(pool: &SqlitePool, projection: Option<&str>, limit: u32) -> Result<Vec<(String, Parked)>> {
    if let Some(projection) = projection {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
    }
    let query = sqlx::query_as::<_, Stored<i64>>(PARKED).bind(projection).bind(limits::page(limit)?);
    query.fetch_all(pool).await?.into_iter().map(|row| row.parked(Timestamp::from_micros)).collect()
}

pub(super) async fn letter(pool: &SqlitePool, projection: &str, id: &LetterId) -> Result<Option<Parked>> {
    limits::text("the name of a projection", projection, LONGEST_NAME)?;
    let (position, tenant) = id.stored();
    let query = sqlx::query_as::<_, Stored<i64>>(LETTER).bind(projection).bind(position).bind(tenant);
    let found = query.fetch_optional(pool).await?;
    found.map(|row| Ok(row.parked(Timestamp::from_micros)?.1)).transpose()
}

pub(super) async fn state(pool: &SqlitePool, plugin: &str, projection: &str) -> Result<ProjectionState> {
    let query = sqlx::query_as::<_, (i64, Option<i64>, bool, i64)>(STATE).bind(plugin).bind(projection);
    let found = query.fetch_optional(pool).await?;
    found.map_or(Ok(ProjectionState::default()), ProjectionState::loaded)
}

pub(super) async fn set_state(
    connection: &mut SqliteConnection,
    (plugin, projection): (&str, &str),
    from: &ProjectionState,
    to: &ProjectionState,
) -> Result<bool> {
    to.check(plugin, projection)?;
    sqlx::query(BEGIN_STATE).bind(plugin).bind(projection).execute(&mut *connection).await?;
    let query = sqlx::query(SET_STATE).bind(plugin).bind(projection);
    let query = query.bind(i64::from(to.epoch)).bind(to.pending.map(i64::from)).bind(to.paused);
    let query = query.bind(i64::from(from.epoch)).bind(from.pending.map(i64::from)).bind(from.paused);
    let query = query.bind(i64::from(to.begun)).bind(i64::from(from.begun));
    Ok(query.execute(connection).await?.rows_affected() > 0)
}
