//! What the log in SQLite knows about code: builds of plugins, and the kinds of events that they have recorded.

use rusqlite::{Connection, OptionalExtension as _};
use yado_model::{Position, Timestamp};

use super::Database;
use super::writer::{Writer, transaction};
use crate::limits::{self, LARGEST_ANSWER};
use crate::number::loaded;
use crate::{Error, EventKind, PluginRecord, PluginVersion, Result, recorded};

const REGISTER_PLUGIN: &str = "\
    insert into plugins (id, name, version, digest, registered_at) \
    values ((select coalesce(max(id), 0) + 1 from plugins), ?, ?, ?, ?) returning id";

const EVENT_KINDS: &str = "\
    select aggregate, name, version, position from event_kinds order by aggregate, name, version limit ?";

pub(super) async fn register(writer: &Writer, plugin: &PluginRecord) -> Result<PluginVersion> {
    plugin.check()?;
    let plugin = plugin.clone();
    writer.run(move |connection| number(connection, &plugin)).await
}

fn number(connection: &Connection, plugin: &PluginRecord) -> Result<PluginVersion> {
    let digest = plugin.digest.bytes();
    let id = transaction(connection, |connection| {
        let known = connection.query_row("select id from plugins where digest = ?", [digest], |row| row.get(0));
        if let Some(id) = known.optional()? {
            return Ok(id);
        }
        let values = (&plugin.name, &plugin.version, digest, plugin.registered_at.micros());
        Ok(connection.query_row(REGISTER_PLUGIN, values, |row| row.get(0))?)
    })?;
    plugin_version(id)
}

pub(super) async fn plugins(database: &Database, limit: u32) -> Result<Vec<(PluginVersion, PluginRecord)>> {
    let query = sqlx::query_as::<_, (i64, String, String, Vec<u8>, i64)>(
        "select id, name, version, digest, registered_at from plugins order by id desc limit ?",
    );
    let rows = query.bind(limits::page(limit)?).fetch_all(&database.readers).await?;
    let record = |(id, name, version, digest, registered_at): (i64, String, String, Vec<u8>, i64)| {
        let registered_at = Timestamp::from_micros(registered_at);
        let digest = recorded::digest(&digest, "the plugins")?;
        Ok((plugin_version(id)?, PluginRecord { name, version, digest, registered_at }))
    };
    rows.into_iter().map(record).collect()
}

pub(super) async fn event_kinds(database: &Database) -> Result<Vec<EventKind>> {
    let query = sqlx::query_as::<_, (String, String, i64, i64)>(EVENT_KINDS).bind(limits::one_more(LARGEST_ANSWER));
    let rows = query.fetch_all(&database.readers).await?;
    limits::within("the kinds of events in the log", rows.len(), LARGEST_ANSWER)?;
    let kind = |(aggregate, name, version, position): (String, String, i64, i64)| {
        let version = u32::try_from(version).map_err(|error| Error::corrupt("the kinds of events", error))?;
        Ok(EventKind { aggregate, name, version, first: Position::new(loaded(position, "the kinds of events")?) })
    };
    rows.into_iter().map(kind).collect()
}

fn plugin_version(id: i64) -> Result<PluginVersion> {
    i32::try_from(id).map(PluginVersion).map_err(|error| Error::corrupt("the plugins", error))
}
