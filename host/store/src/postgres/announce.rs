//! How nodes tell each other that the log has grown: `notify` of PostgreSQL.

use sqlx::postgres::PgListener;
use tokio::sync::watch;
use yado_model::Position;

use super::Database;
use crate::{Error, Result};

const CHANNEL: &str = "yado_log";

/// Outside of any append: whoever notifies waits in line for all other commits that notify, and the log's lock must not
/// wait there. An announcement is about what is durable already, and need not itself wait for the disk.
const ANNOUNCE: &str = "select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)";

pub(super) async fn announce(database: &Database, head: Position) -> Result<()> {
    sqlx::query(ANNOUNCE).bind(CHANNEL).bind(head.to_string()).execute(&database.pool).await?;
    Ok(())
}

/// Listens on a connection of its own, so that it takes none away from those who read and write.
pub(super) async fn listen(database: &Database, heard: &watch::Sender<Position>) -> Result<()> {
    let mut listener = PgListener::connect_with(&database.listening).await?;
    // A connection that is lost is told, because announcements are lost with it.
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    // What was announced before.
    raise(heard, super::log::head(database).await?);
    loop {
        let Some(announcement) = listener.try_recv().await? else {
            return Err(Error::Unavailable("the connection that listens for other nodes has broken".into()));
        };
        match announcement.payload().parse() {
            Ok(position) => raise(heard, Position::new(position)),
            Err(error) => {
                let payload = announcement.payload();
                tracing::warn!(payload, %error, "an announcement on the channel {CHANNEL} is no position");
            }
        }
    }
}

fn raise(heard: &watch::Sender<Position>, position: Position) {
    heard.send_if_modified(|heard| std::mem::replace(heard, position.max(*heard)) < position);
}
