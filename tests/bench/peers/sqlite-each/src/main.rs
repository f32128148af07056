//! What Yado's log in SQLite would be without its lane: one transaction an event, into the same table with the same
//! settings. It decides nothing, so that it is a floor in nothing but its commits.
//!
//! The clients share one connection, because SQLite lets one transaction write at a time: whoever waits does so in this
//! process, where it costs little, and not for the lock of the file. The statement is prepared once, and a statement
//! outside of a transaction is one of its own, which spares `begin` and `commit`.

mod log;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use peer::{Client, Deposit, Flags, Peer, Refused};
use tokio::sync::Mutex;

use log::Log;

fn main() -> ExitCode {
    peer::serve::<Sqlite>()
}

struct Sqlite {
    log: Arc<Mutex<Log>>,
}

impl Peer for Sqlite {
    type Client = Depositor;

    async fn open(flags: &Flags) -> Result<Self> {
        let mut log = Log::open(&flags.data.join("log.db"), Path::new(MIGRATIONS))?;
        log.open_accounts(flags.accounts)?;
        Ok(Self { log: Arc::new(Mutex::new(log)) })
    }

    fn version(&self) -> String {
        format!("SQLite {} through rusqlite 0.32", rusqlite::version())
    }

    fn settings(&self) -> String {
        "Yado's own table and settings: WAL, synchronous=full, fullfsync; one connection that all clients share, a prepared \
         statement, one transaction an insert; nothing is loaded or decided"
            .into()
    }

    async fn client(&self) -> Result<Depositor> {
        Ok(Depositor { log: Arc::clone(&self.log) })
    }
}

/// The tables are Yado's, of this checkout.
const MIGRATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../migrations/sqlite");

struct Depositor {
    log: Arc<Mutex<Log>>,
}

impl Client for Depositor {
    /// The commit blocks a thread of the runtime. That is as well: the others have nothing to do meanwhile but to wait for
    /// the same connection, and handing it to another thread would cost each commit a switch.
    async fn deposit(&mut self, account: u32, deposit: &Deposit) -> Result<(), Refused> {
        self.log.lock().await.deposit(account, deposit).map_err(Refused::because)
    }
}
