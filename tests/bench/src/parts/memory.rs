//! Memory: what a server takes when all of 100,000 accounts are resident, and its read model shows them.

use std::time::Duration;

use serde::Serialize;

use super::Bench;
use crate::Result;
use crate::bank::Plugin;
use crate::contender::Yado;
use crate::figures::grouped;
use crate::report::say;
use crate::requirement::Verdict;
use crate::server::Server;
use crate::usage::resident_bytes;
use crate::work::Spec;

/// Accounts that are opened, and deposited into.
const ACCOUNTS: u32 = 100_000;
/// What a server may take.
const ALLOWED: u64 = 300_000_000;

/// Between two looks at a figure.
const PAUSE: Duration = Duration::from_secs(2);

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// On which database.
    pub database: &'static str,
    /// Accounts that were opened, and deposited into.
    pub accounts: u32,
    /// How many of them are in state, as the server tells it.
    pub in_state: u64,
    /// The resident set of a server that has just started, in bytes.
    pub at_start_bytes: u64,
    /// The resident set with all accounts, in bytes.
    pub resident_bytes: u64,
}

impl Memory {
    /// Measures a server on PostgreSQL and one on SQLite.
    ///
    /// # Errors
    /// When a server does not do what it is asked.
    pub async fn measure(bench: &Bench) -> Result<Vec<Self>> {
        let url = bench.cluster.database().await;
        let accounts = bench.sized(ACCOUNTS);
        let mut all = Vec::new();
        for (database, url) in [("PostgreSQL", Some(url.as_str())), ("SQLite", None)] {
            let none = Spec { accounts: 0, ..bench.spec() };
            let yado =
                Yado::prepare(&bench.place, &format!("memory-{database}"), Plugin::WithBalances, url, &none).await?;
            let process = yado.server().process().ok_or("the server has ended")?;
            let at_start_bytes = resident_bytes(process)?;
            yado.open_accounts(accounts).await?;
            yado.deposit_into_each(accounts, none.payload_bytes).await?;
            let in_state = in_state(yado.server(), accounts).await?;
            let found = Self { database, accounts, in_state, at_start_bytes, resident_bytes: resident_bytes(process)? };
            say(&format!(
                "    {database}: {} MB with {} accounts, {} MB at the start",
                found.resident_bytes / 1_000_000,
                grouped(f64::from(accounts)),
                at_start_bytes / 1_000_000
            ));
            all.push(found);
        }
        Ok(all)
    }

    /// What is reached.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let whole = self.accounts == ACCOUNTS;
        let in_state = grouped(self.in_state as f64);
        Verdict {
            what: format!("resident memory with 100,000 accounts in state, server on {}", self.database),
            required: "at most 300 MB".into(),
            found: format!("{} MB with {in_state} accounts in state", self.resident_bytes / 1_000_000),
            reached: whole.then_some(self.resident_bytes <= ALLOWED && self.in_state >= u64::from(ACCOUNTS)),
        }
    }
}

/// How many accounts are in state. The figure is told now and then, so it is asked for until it is all of them, or does
/// not change any more.
async fn in_state(server: &Server, accounts: u32) -> Result<u64> {
    let mut before = None;
    loop {
        let entries = server.figure("yado_resident_entries").await?;
        if entries >= f64::from(accounts) || before == Some(entries) {
            return Ok(entries as u64);
        }
        before = Some(entries);
        tokio::time::sleep(PAUSE).await;
    }
}
