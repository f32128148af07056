//! How nodes tell each other that the log has grown: `notify` of PostgreSQL.
//!
//! A channel is the whole database's, and any session may notify. So it is named after the table that holds the log's
//! head, of which there may be several in schemas of their own; and what comes over it is only taken as a hint to look
//! where the log ends.
//!
//! A connection over which nothing comes may be one that nothing can come over any more: a firewall forgets idle
//! connections, and a server that is gone says no farewell. So a listener that has heard nothing for a while asks something
//! itself. It does so on its own connection, as with all that it wants to know.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::time::timeout;
use yado_model::Position;

use super::Database;
use super::log::HEAD;
use crate::number::loaded;
use crate::{Error, Result};

const CHANNEL: &str = "select 'yado_log_' || 'log_head'::regclass::oid::text";

/// Outside of any append: whoever notifies waits in line for all other commits that notify, and the log's lock must not
/// wait there. An announcement is about what is durable already, and need not itself wait for the disk.
const ANNOUNCE: &str = "\
    select set_config('synchronous_commit', 'off', true), \
        pg_notify('yado_log_' || 'log_head'::regclass::oid::text, $1)";

/// How a listener's connection is watched.
struct Pulse {
    /// After so long without a word something is asked.
    silence: Duration,
    /// An answer takes no longer.
    answer: Duration,
}

/// Whoever cuts idle connections leaves them alone for longer than that.
const PULSE: Pulse = Pulse { silence: Duration::from_secs(15), answer: Duration::from_secs(5) };

pub(super) async fn announce(database: &Database, head: Position) -> Result<()> {
    sqlx::query(ANNOUNCE).bind(head.to_string()).execute(&database.pool).await?;
    Ok(())
}

pub(super) async fn listen(database: &Database, heard: &watch::Sender<Position>) -> Result<()> {
    tokio::select! {
        () = database.pool.close_event() => Err(Error::Unavailable("the log has been closed".into())),
        ended = hear(database, heard, &PULSE) => ended,
    }
}

/// Listens on a connection of its own, so that it takes none away from those who read and write.
async fn hear(database: &Database, heard: &watch::Sender<Position>, pulse: &Pulse) -> Result<()> {
    // Of a pool of its own: one that has gone silent would keep the next one waiting while it takes its leave.
    let alone = database.listening.pool();
    let mut listener = PgListener::connect_with(&alone).await?;
    // A connection that is lost is told, because announcements are lost with it.
    listener.eager_reconnect(false);
    let channel = pulse.answer(sqlx::query_scalar::<_, String>(CHANNEL).fetch_one(&mut listener)).await?;
    pulse.answer(listener.listen(&channel)).await?;
    // What was announced before.
    raise(heard, pulse.head(&mut listener).await?);
    loop {
        let announcement = match timeout(pulse.silence, listener.try_recv()).await {
            Ok(announcement) => announcement?
                .ok_or_else(|| Error::Unavailable("the connection that listens for other nodes has broken".into()))?,
            // What is announced meanwhile is kept for the next turn.
            Err(_) => {
                raise(heard, pulse.head(&mut listener).await?);
                continue;
            }
        };
        match announcement.payload().parse() {
            // A log that does not end there yet may be on a server that has been put in the place of another.
            Ok(position) if Position::new(position) > *heard.borrow() => raise(heard, pulse.head(&mut listener).await?),
            Ok(_) => {}
            Err(error) => {
                let payload = announcement.payload();
                tracing::warn!(payload, %error, "an announcement on the channel {channel} is no position");
            }
        }
    }
}

impl Pulse {
    /// Where the log ends.
    async fn head(&self, listener: &mut PgListener) -> Result<Position> {
        let head = self.answer(sqlx::query_scalar::<_, i64>(HEAD).fetch_one(listener)).await?;
        Ok(Position::new(loaded(head, "the head of the log")?))
    }

    async fn answer<T>(&self, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T> {
        let silent = |_| Error::Unheard("the connection that listens for other nodes has gone silent".into());
        Ok(timeout(self.answer, asked).await.map_err(silent)??)
    }
}

fn raise(heard: &watch::Sender<Position>, position: Position) {
    heard.send_if_modified(|heard| std::mem::replace(heard, position.max(*heard)) < position);
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::net::{UnixListener, UnixStream};

    use super::*;
    use crate::open::Promise;
    use crate::testing::{Postgres, patient};

    /// The name of a server's socket in its folder.
    const SOCKET: &str = ".s.PGSQL.5432";

    /// Connections from one socket to another, until they are cut: from then on nothing passes, and nobody is told.
    async fn forward(from: UnixListener, to: std::path::PathBuf, cut: watch::Receiver<()>) {
        loop {
            let (mut near, _) = from.accept().await.unwrap();
            let mut far = UnixStream::connect(&to).await.unwrap();
            // Only those that are there when the way is cut.
            let mut cut = cut.clone();
            cut.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = cut.changed() => std::future::pending().await,
                }
            });
        }
    }

    #[tokio::test]
    async fn a_listener_whose_connection_is_cut_without_a_word_notices_and_can_listen_again() {
        let direct = Postgres::shared().database().await;
        let folder = tempfile::tempdir().unwrap();
        let (cut, cuts) = watch::channel(());
        let socket = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        tokio::spawn(forward(socket, Postgres::shared().folder().join(SOCKET), cuts));
        let indirect = format!("{}?host={}", direct.split('?').next().unwrap(), folder.path().display());
        let database = Database::open(&indirect, &patient(), Promise::Durable).await.unwrap();
        let execute = async |statement: &str| crate::testing::execute(&direct, statement).await;
        let grow = async |head: u64| {
            execute(&format!("update log_head set last = {head}")).await;
            execute(&format!("select pg_notify('yado_log_' || 'log_head'::regclass::oid::text, '{head}')")).await;
        };
        let (heard, mut hears) = watch::channel(Position::ZERO);
        let silence = Duration::from_millis(10);

        // As long as the connection stands, and whoever listens waits for what he has asked, he stays.
        let patient = Pulse { silence, answer: Duration::from_secs(60 * 60) };
        let news = async {
            // It may not be listening yet, and then finds it by looking.
            grow(5).await;
            hears.wait_for(|position| position.get() == 5).await.unwrap();
            // It hears what comes after it has asked.
            grow(6).await;
            hears.wait_for(|position| position.get() == 6).await.unwrap();
            // What nobody has announced it finds when it asks.
            execute("update log_head set last = 7").await;
            hears.wait_for(|position| position.get() == 7).await.unwrap();
        };
        tokio::select! {
            ended = hear(&database, &heard, &patient) => panic!("{ended:?}"),
            () = news => {}
        }

        let impatient = Pulse { silence, answer: Duration::from_millis(500) };
        let mut head = 7;
        let mut is_cut = false;
        while !is_cut {
            head += 1;
            let mut listening = pin!(hear(&database, &heard, &impatient));
            let news = async {
                grow(head).await;
                hears.wait_for(|position| position.get() == head).await.unwrap();
            };
            let ended = tokio::select! {
                // The server may take longer than that for an answer, and the connection has not been cut.
                ended = &mut listening => ended,
                // It has heard something over the connection that is cut now.
                () = news => {
                    is_cut = true;
                    cut.send_replace(());
                    listening.await
                }
            };
            assert!(matches!(ended, Err(Error::Unheard(_))), "{ended:?}");
        }

        let news = async {
            grow(head + 1).await;
            hears.wait_for(|position| position.get() == head + 1).await.unwrap();
        };
        tokio::select! {
            ended = hear(&database, &heard, &patient) => panic!("{ended:?}"),
            () = news => {}
        }
    }
}
