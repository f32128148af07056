//! The adapter for PostgreSQL, for several nodes over one log.
//!
//! Whoever appends locks the one row of `log_head` first. Appends are thereby in line across all nodes, positions are in
//! the order of commits, and what is looked up after the lock stays true until the commit. It needs read committed: each
//! statement then sees what was committed before it began, and not only before the transaction did.
//!
//! A node that hangs with the lock in its hands would stop all others; the session's time limits let go of it.

mod announce;
mod append;
mod claims;
mod dialect;
mod log;
mod read;
mod registry;
mod time;

pub(crate) use log::Events;
pub(crate) use read::Reads;

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool, Postgres, Transaction};

use crate::open::Promise;
use crate::{Error, Options, Result};

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/postgres");

/// Statements of the log are planned once: they are of one shape whatever their arguments, and to plan one costs more than
/// to run it. A plan from when the log was small must serve when it is large, so none walks through whole tables; none is
/// worth compiling. A statement that is a transaction by itself reads what is committed, like all others.
/// A session of a node that hangs must not hold the log's lock for ever; a statement must end at some time. A server that
/// does not wait for its disk would make what is acknowledged a matter of luck; stricter settings are left alone.
const DURABLE_SESSION: &str = "\
    select set_config('idle_in_transaction_session_timeout', '10s', false), \
        set_config('statement_timeout', '30s', false), \
        set_config('default_transaction_isolation', 'read committed', false), \
        set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false), \
        set_config('jit', 'off', false), \
        case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', false) end";

/// What is derived does not wait for the disk.
const DERIVED_SESSION: &str = "\
    select set_config('idle_in_transaction_session_timeout', '10s', false), \
        set_config('statement_timeout', '30s', false), \
        set_config('synchronous_commit', 'off', false)";

/// The database's encoding, and the collation whose `lower` knows the case of all letters.
const ABILITIES: &str = "\
    select current_setting('server_encoding'), \
        exists (select from pg_collation where collname = 'und-x-icu' and collnamespace = 'pg_catalog'::regnamespace)";

/// A connection that was idle for longer is asked whether it still stands.
const IDLE: Duration = Duration::from_secs(2);

/// A database.
#[derive(Debug)]
struct Database {
    pool: PgPool,
    /// For the one connection that hears of other nodes; made when it is asked for.
    listening: PgPool,
    /// Whether the server was built with ICU; nearly all are.
    icu: bool,
}

impl Database {
    async fn open(url: &str, options: &Options, promise: Promise) -> Result<Self> {
        let session = match promise {
            Promise::Durable => DURABLE_SESSION,
            Promise::Derived => DERIVED_SESSION,
        };
        let connect = PgConnectOptions::from_str(url)?.application_name("yado");
        let pool = PgPoolOptions::new()
            .max_connections(options.connections.max(1))
            .acquire_timeout(options.acquire_timeout())
            // A question before each use would double the round trips. One that has been idle may have been cut off.
            .test_before_acquire(false)
            .before_acquire(|connection, state| {
                Box::pin(async move {
                    if state.idle_for > IDLE {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::query(session).execute(connection).await.map(|_| ()) })
            })
            .connect_with(connect.clone())
            .await?;
        let listening = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.acquire_timeout())
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(connect);
        let (encoding, icu): (String, bool) = sqlx::query_as(ABILITIES).fetch_one(&pool).await?;
        if encoding != "UTF8" {
            return Err(Error::Invalid(format!("the database's encoding is {encoding}; make one with encoding UTF8")));
        }
        // The migrator takes an advisory lock, so that nodes which start together don't both make the tables.
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool, listening, icu })
    }

    /// A transaction in which each statement sees what was committed before it.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>> {
        Ok(self.pool.begin_with("begin isolation level read committed").await?)
    }

    async fn ping(&self) -> Result<()> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn close(&self) {
        self.listening.close().await;
        self.pool.close().await;
    }
}
