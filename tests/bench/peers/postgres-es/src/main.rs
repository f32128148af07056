//! The crate postgres-es: an aggregate of cqrs-es, whose events are in PostgreSQL.
//!
//! Commands go through `CqrsFramework::execute`, which loads, decides, and appends in a transaction of its own; two that
//! were decided on the same state meet at the table's key, and the later one is tried again.
//!
//! Accounts are loaded from their events, as [`postgres_cqrs`] has it. The crate can also keep the aggregate or snapshots
//! beside them, which stays as fast while accounts grow; but in this version what is kept there has each event applied
//! twice, once when it is written to the sink and once when it is committed, and every balance would be wrong.

mod account;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use cqrs_es::AggregateError;
use futures::{StreamExt, TryStreamExt, stream};
use peer::{Client, Deposit, Flags, Peer, Refused};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use sqlx::Executor;
use sqlx::postgres::PgPoolOptions;

use account::{Account, AccountCommand};

/// The table, as the crate's documentation has it.
const TABLES: &str = include_str!("tables.sql");

/// How many connections the pool has. Ten, which is the crate's default, are half as fast with 32 clients; more than these
/// are no faster with 128.
const CONNECTIONS: u32 = 64;

fn main() -> ExitCode {
    peer::serve::<PostgresEs>()
}

struct PostgresEs {
    accounts: Arc<PostgresCqrs<Account>>,
}

impl Peer for PostgresEs {
    type Client = Depositor;

    async fn open(flags: &Flags) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            // That would be a round trip before each use.
            .test_before_acquire(false)
            .connect(&flags.database_url)
            .await
            .context("PostgreSQL does not answer")?;
        pool.execute(TABLES).await.context("the tables can't be made")?;
        let accounts = Arc::new(postgres_cqrs(pool, Vec::new(), ()));
        let numbers = stream::iter(0..flags.accounts).map(Ok);
        numbers.try_for_each_concurrent(CONNECTIONS as usize, |number| open(Arc::clone(&accounts), number)).await?;
        Ok(Self { accounts })
    }

    fn version(&self) -> String {
        "postgres-es 0.5.0 with cqrs-es 0.5.0 and sqlx 0.8".into()
    }

    fn settings(&self) -> String {
        format!(
            "postgres_cqrs (from events alone) without queries, a pool of {CONNECTIONS} \
             connections, no test before use; the server's fsync and synchronous_commit are on"
        )
    }

    async fn client(&self) -> Result<Depositor> {
        Ok(Depositor { accounts: Arc::clone(&self.accounts) })
    }
}

async fn open(accounts: Arc<PostgresCqrs<Account>>, number: u32) -> Result<()> {
    let open = AccountCommand::Open { owner: "somebody".into() };
    accounts.execute(&id(number), open).await.with_context(|| format!("account {number} can't be opened"))
}

fn id(account: u32) -> String {
    format!("account-{account}")
}

/// The connections are the pool's: as many as PostgreSQL does best with, whatever the number of clients.
struct Depositor {
    accounts: Arc<PostgresCqrs<Account>>,
}

impl Client for Depositor {
    async fn deposit(&mut self, account: u32, deposit: &Deposit) -> Result<(), Refused> {
        let command = AccountCommand::Deposit(deposit.clone());
        self.accounts.execute(&id(account), command).await.map_err(|error| match error {
            AggregateError::AggregateConflict => Refused::Conflict,
            error => Refused::because(error),
        })
    }
}
