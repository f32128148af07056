//! How nodes tell each other that the log has grown: `notify` of PostgreSQL.
//!
//! A channel is the whole database's, and any session may notify. So it is named after the table that holds the log's
//! head, of which there may be several in schemas of their own; and what comes over it is only taken as a hint to look
//! where the log ends.

use sqlx::postgres::PgListener;
use tokio::sync::watch;
use yado_model::Position;

use super::{Database, log};
use crate::{Error, Result};

const CHANNEL: &str = "select 'yado_log_' || 'log_head'::regclass::oid::text";

/// Outside of any append: whoever notifies waits in line for all other commits that notify, and the log's lock must not
/// wait there. An announcement is about what is durable already, and need not itself wait for the disk.
const ANNOUNCE: &str = "\
    select set_config('synchronous_commit', 'off', true), \
        pg_notify('yado_log_' || 'log_head'::regclass::oid::text, $1)";

pub(super) async fn announce(database: &Database, head: Position) -> Result<()> {
    sqlx::query(ANNOUNCE).bind(head.to_string()).execute(&database.pool).await?;
    Ok(())
}

/// Listens on a connection of its own, so that it takes none away from those who read and write.
pub(super) async fn listen(database: &Database, heard: &watch::Sender<Position>) -> Result<()> {
    let channel: String = sqlx::query_scalar(CHANNEL).fetch_one(&database.pool).await?;
    let mut listener = PgListener::connect_with(&database.listening).await?;
    // A connection that is lost is told, because announcements are lost with it.
    listener.eager_reconnect(false);
    listener.listen(&channel).await?;
    // What was announced before.
    raise(heard, log::head(database).await?);
    loop {
        let Some(announcement) = listener.try_recv().await? else {
            return Err(Error::Unavailable("the connection that listens for other nodes has broken".into()));
        };
        match announcement.payload().parse() {
            // A log that does not end there yet may be on a server that has been put in the place of another.
            Ok(position) if Position::new(position) > *heard.borrow() => raise(heard, log::head(database).await?),
            Ok(_) => {}
            Err(error) => {
                let payload = announcement.payload();
                tracing::warn!(payload, %error, "an announcement on the channel {channel} is no position");
            }
        }
    }
}

fn raise(heard: &watch::Sender<Position>, position: Position) {
    heard.send_if_modified(|heard| std::mem::replace(heard, position.max(*heard)) < position);
}
