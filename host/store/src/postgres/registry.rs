//! What the log in PostgreSQL knows about code: builds of plugins, and the kinds of events that they have recorded.

use yado_model::Position;

use super::Database;
use super::time::Time;
use crate::limits::{self, LARGEST_ANSWER};
use crate::number::loaded;
use crate::{Error, EventKind, PluginRecord, PluginVersion, Result, recorded};

const REGISTER_PLUGIN: &str = "\
    insert into plugins (id, name, version, digest, registered_at) \
    values ((select coalesce(max(id), 0) + 1 from plugins), $1, $2, $3, $4) returning id";

const EVENT_KINDS: &str = "\
    select aggregate, name, version, position from event_kinds order by aggregate, name, version limit $1";

pub(super) async fn register(database: &Database, plugin: &PluginRecord) -> Result<PluginVersion> {
    plugin.check()?;
    let mut transaction = database.begin().await?;
    // Two nodes that start together would otherwise take the same number. It does not keep anybody from reading.
    sqlx::query("lock table plugins in share row exclusive mode").execute(&mut *transaction).await?;
    let query = sqlx::query_scalar::<_, i32>("select id from plugins where digest = $1");
    let known = query.bind(plugin.digest.bytes().as_slice()).fetch_optional(&mut *transaction).await?;
    let id = if let Some(id) = known {
        id
    } else {
        let query = sqlx::query_scalar::<_, i32>(REGISTER_PLUGIN).bind(&plugin.name).bind(&plugin.version);
        let query = query.bind(plugin.digest.bytes().as_slice()).bind(Time(plugin.registered_at));
        query.fetch_one(&mut *transaction).await?
    };
    transaction.commit().await?;
    Ok(PluginVersion(id))
}

pub(super) async fn plugins(database: &Database, limit: u32) -> Result<Vec<(PluginVersion, PluginRecord)>> {
    let query = sqlx::query_as::<_, (i32, String, String, Vec<u8>, Time)>(
        "select id, name, version, digest, registered_at from plugins order by id desc limit $1",
    );
    let rows = query.bind(limits::page(limit)?).fetch_all(&database.pool).await?;
    let record = |(id, name, version, digest, registered_at): (i32, String, String, Vec<u8>, Time)| {
        let digest = recorded::digest(&digest, "the plugins")?;
        Ok((PluginVersion(id), PluginRecord { name, version, digest, registered_at: registered_at.0 }))
    };
    rows.into_iter().map(record).collect()
}

pub(super) async fn event_kinds(database: &Database) -> Result<Vec<EventKind>> {
    let query = sqlx::query_as::<_, (String, String, i32, i64)>(EVENT_KINDS).bind(limits::one_more(LARGEST_ANSWER));
    let rows = query.fetch_all(&database.pool).await?;
    limits::within("the kinds of events in the log", rows.len(), LARGEST_ANSWER)?;
    let kind = |(aggregate, name, version, position): (String, String, i32, i64)| {
        let version = u32::try_from(version).map_err(|error| Error::corrupt("the kinds of events", error))?;
        Ok(EventKind { aggregate, name, version, first: Position::new(loaded(position, "the kinds of events")?) })
    };
    rows.into_iter().map(kind).collect()
}
