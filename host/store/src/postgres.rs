//! The adapter for PostgreSQL, for several nodes over one log.
//!
//! Whoever appends locks the one row of `log_head` first. Appends are thereby in line across all nodes, positions are in
//! the order of commits, and what is looked up after the lock stays true until the commit. It needs read committed: each
//! statement then sees what was committed before it began, and not only before the transaction did.
//!
//! A node that hangs with the lock in its hands would stop all others; the session's time limits let go of it.

mod announce;
mod append;
mod bound;
mod claims;
mod dialect;
mod json;
mod line;
mod log;
mod migrate;
mod read;
mod readers;
mod registry;
mod snapshots;
mod time;

pub(crate) use log::Events;
pub(crate) use read::Reads;

use std::io::ErrorKind;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool, Postgres, Transaction};
use tokio::time::timeout;

use self::append::Appending;
use crate::open::Promise;
use crate::{Error, Options, Result};

/// Statements of the log are planned once: they are of one shape whatever their arguments, and to plan one costs more than
/// to run it. A plan from when the log was small must serve when it is large, so none walks through whole tables; none is
/// worth compiling. A statement that is a transaction by itself reads what is committed, like all others.
///
/// A session of a node that hangs must not hold the log's lock for long, and nothing is computed between the statements of
/// an append that would take a second; a statement must end at some time. A server that does not wait for its disk would
/// make what is acknowledged a matter of luck; stricter settings are left alone.
const DURABLE_SESSION: &str = "\
    select set_config('idle_in_transaction_session_timeout', '2s', false), \
        set_config('statement_timeout', '30s', false), \
        set_config('default_transaction_isolation', 'read committed', false), \
        set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false), \
        set_config('jit', 'off', false), \
        case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', false) end";

/// What is derived does not wait for the disk. Questions are of many shapes here, and the planner has its way with them;
/// but none is worth compiling, which would take longer than nearly all of them.
const DERIVED_SESSION: &str = "\
    select set_config('idle_in_transaction_session_timeout', '10s', false), \
        set_config('statement_timeout', '30s', false), \
        set_config('jit', 'off', false), \
        set_config('synchronous_commit', 'off', false)";

/// The database's encoding.
const ENCODING: &str = "select current_setting('server_encoding')";

/// Settings of the server, out of a session's reach, that make a commit something else than what is on the disk.
const LOSSES: &str = "\
    select name from pg_settings where name in ('fsync', 'full_page_writes') and setting = 'off' order by name";

/// Each statement sees what was committed before it.
const BEGIN: &str = "begin isolation level read committed";

/// So many statements a connection keeps prepared: the conditions of questions are of many shapes.
const STATEMENTS: usize = 512;

/// A connection that was idle for longer is asked whether it still stands.
const IDLE: Duration = Duration::from_secs(2);

/// A database.
#[derive(Debug)]
struct Database {
    pool: PgPool,
    appending: Appending,
    /// For the one connection that hears of other nodes.
    listening: Listening,
}

/// What a server says, if it says it in time: one to which the way has been cut says nothing more, and nobody is told so.
async fn heard_within(limit: Duration, said: impl Future<Output = sqlx::Result<()>>) -> sqlx::Result<()> {
    timeout(limit, said).await.map_err(|_| sqlx::Error::Io(ErrorKind::TimedOut.into())).flatten()
}

/// How to open the connection that hears of other nodes.
#[derive(Debug)]
struct Listening {
    options: PgPoolOptions,
    connect: PgConnectOptions,
}

impl Listening {
    /// Opens it when it is asked for.
    fn pool(&self) -> PgPool {
        self.options.clone().connect_lazy_with(self.connect.clone())
    }
}

impl Database {
    async fn open(url: &str, options: &Options, promise: Promise) -> Result<Self> {
        let session = match promise {
            Promise::Durable => DURABLE_SESSION,
            Promise::Derived => DERIVED_SESSION,
        };
        let connect = PgConnectOptions::from_str(url)?.application_name("yado").statement_cache_capacity(STATEMENTS);
        let patience = options.acquire_timeout();
        let patient = || PgPoolOptions::new().acquire_timeout(patience);
        let pool = || {
            patient().after_connect(move |connection, _| {
                Box::pin(async move { sqlx::query(session).execute(connection).await.map(|_| ()) })
            })
        };
        let alone = || pool().max_connections(1).idle_timeout(None).max_lifetime(None);
        let appending = Appending::new(alone().connect_lazy_with(connect.clone()), options.acquire_timeout());
        let listening = Listening { options: alone(), connect: connect.clone() };
        let pool = pool()
            .max_connections(options.connections.max(1))
            // A question before each use would double the round trips. One that has been idle may have been cut off.
            .test_before_acquire(false)
            .before_acquire(move |connection, state| {
                Box::pin(async move {
                    if state.idle_for > IDLE {
                        heard_within(patience / 2, connection.ping()).await?;
                    }
                    Ok(true)
                })
            })
            // One that was given up may be one that nothing is heard of any more. It is let go while whoever waits for
            // another still does. The pool asks once more by itself, without a limit: this comes before that.
            .after_release(move |connection, _| {
                Box::pin(async move { heard_within(patience / 2, connection.ping()).await.map(|()| true) })
            })
            .connect_with(connect.clone())
            .await?;
        let encoding: String = sqlx::query_scalar(ENCODING).fetch_one(&pool).await?;
        if encoding != "UTF8" {
            return Err(Error::Invalid(format!("the database's encoding is {encoding}; make one with encoding UTF8")));
        }
        migrate::migrate(patient(), &connect).await?;
        if promise == Promise::Durable {
            warn_of_losses(&pool).await?;
        }
        Ok(Self { pool, appending, listening })
    }

    /// A transaction in which each statement sees what was committed before it.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        Ok(self.pool.begin_with(BEGIN).await?)
    }

    async fn ping(&self) -> Result<()> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn close(&self) {
        self.appending.close().await;
        self.pool.close().await;
    }
}

/// Says so if the server is set up to lose what it has committed. It may be meant to be, as for tests, and is not refused.
async fn warn_of_losses(pool: &PgPool) -> Result<()> {
    for setting in losses(pool).await? {
        tracing::warn!(
            "the database server has {setting} = off: events that were acknowledged are lost when it or its machine \
             crashes, and what is left may be damaged. Set it to on, unless nothing in this log matters"
        );
    }
    Ok(())
}

async fn losses(pool: &PgPool) -> Result<Vec<String>> {
    Ok(sqlx::query_scalar(LOSSES).fetch_all(pool).await?)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use tokio::io::copy_bidirectional;
    use tokio::net::{UnixListener, UnixStream};
    use tokio::sync::watch;

    use super::*;
    use crate::testing::{Fsync, Postgres, patient};

    #[tokio::test]
    async fn a_server_that_does_not_wait_for_its_disk_is_told_from_one_that_does() {
        let safe = Postgres::start(Fsync::On);
        for (url, expected) in
            [(Postgres::shared().database().await, vec!["fsync".to_owned()]), (safe.database().await, vec![])]
        {
            let database = Database::open(&url, &patient(), Promise::Durable).await.unwrap();
            assert_eq!(losses(&database.pool).await.unwrap(), expected);
            database.close().await;
        }
    }

    /// What a server's socket is called in its folder.
    const SOCKET: &str = ".s.PGSQL.5432";

    /// A way to a server. What is connected over it when it falls silent stays connected, and nothing comes through.
    async fn relay(listener: UnixListener, to: PathBuf, silence: watch::Receiver<()>) {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, mut silence) = (to.clone(), silence.clone());
            silence.mark_unchanged();
            tokio::spawn(async move {
                let mut server = UnixStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    _ = silence.changed() => std::future::pending().await,
                }
            });
        }
    }

    #[tokio::test]
    async fn a_connection_of_which_nothing_is_heard_any_more_makes_room_for_another() {
        let url = Postgres::shared().database().await;
        let (database, server) = url.split_once("?host=").unwrap();
        let way = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(way.path().join(SOCKET)).unwrap();
        let (falls_silent, silence) = watch::channel(());
        tokio::spawn(relay(listener, Path::new(server).join(SOCKET), silence));
        let url = format!("{database}?host={}", way.path().display());
        let options = Options { connections: 1, acquire_timeout_ms: 2_000, ..Options::default() };
        let database = loop {
            // A machine that is busy may take longer.
            match Database::open(&url, &options, Promise::Derived).await {
                Ok(database) => break database,
                Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error}"),
            }
        };
        let ask = async || sqlx::query("select 1").execute(&database.pool).await.map(|_| ());
        while ask().await.is_err() {}
        falls_silent.send_replace(());
        assert!(timeout(Duration::from_millis(100), ask()).await.is_err(), "it was not silent");
        while ask().await.is_err() {}
        database.close().await;
    }
}
