//! The log: Yado's table, and the one connection that writes to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use peer::Deposit;
use rusqlite::{Connection, params};
use uuid::Uuid;

/// What Yado sets on the connection that writes.
const SETTINGS: &str = "\
    pragma journal_mode = wal; \
    pragma synchronous = full; \
    pragma fullfsync = on; \
    pragma journal_size_limit = 268435456;";

const INSERT: &str = "\
    insert into events (tenant, stream, revision, name, version, payload, recorded_at, command_id, plugin) \
    values ('default', ?, ?, ?, 1, ?, ?, ?, 1)";

pub(crate) struct Log {
    connection: Connection,
    /// The last revision of each account.
    revisions: Vec<i64>,
}

impl Log {
    /// Makes the tables, in the order in which Yado's migrations are numbered.
    pub(crate) fn open(path: &Path, migrations: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(SETTINGS)?;
        let files = fs::read_dir(migrations).with_context(|| format!("{} can't be read", migrations.display()))?;
        let mut files = files.map(|file| Ok(file?.path())).collect::<Result<Vec<PathBuf>>>()?;
        files.sort();
        for file in files {
            let sql = fs::read_to_string(&file)?;
            connection.execute_batch(&sql).with_context(|| format!("{} does not run", file.display()))?;
        }
        let mode: String = connection.query_row("pragma journal_mode", [], |row| row.get(0))?;
        ensure!(mode == "wal", "the journal's mode is {mode}, and not WAL: the folder can't share memory");
        Ok(Self { connection, revisions: Vec::new() })
    }

    /// All of them in one transaction.
    pub(crate) fn open_accounts(&mut self, accounts: u32) -> Result<()> {
        self.connection.execute_batch("begin immediate")?;
        for account in 0..accounts {
            self.revisions.push(0);
            self.record(account, "Opened", r#"{"owner":"somebody"}"#)?;
        }
        self.connection.execute_batch("commit")?;
        Ok(())
    }

    /// In a transaction of its own.
    pub(crate) fn deposit(&mut self, account: u32, deposit: &Deposit) -> Result<()> {
        self.record(account, "Deposited", &deposit.document())
    }

    fn record(&mut self, account: u32, name: &str, payload: &str) -> Result<()> {
        let revision = self.revisions.get_mut(account as usize).context("there is no such account")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
        let mut insert = self.connection.prepare_cached(INSERT)?;
        insert.execute(params![
            format!("account-{account}"),
            *revision + 1,
            name,
            payload,
            i64::try_from(now)?,
            Uuid::now_v7().as_bytes().as_slice(),
        ])?;
        *revision += 1;
        Ok(())
    }
}
