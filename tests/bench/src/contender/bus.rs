//! The command bus in this process. What it does for a deposit is everything but the surface: checks of the payload, the
//! guest, the log, and, beside it, the read model if the bank has one.

use async_trait::async_trait;

use super::Contender;
use crate::Result;
use crate::bank::{self, Plugin};
use crate::in_process::InProcess;
use crate::load::{self, Client};
use crate::place::Place;
use crate::work::{Outcome, Spec};

/// An engine with the bank, and accounts.
pub struct Bus {
    bank: InProcess,
    plugin: Plugin,
}

impl Bus {
    /// Starts an engine on these databases (the log's and the read models'), deploys this form of the bank, and opens
    /// accounts.
    ///
    /// # Errors
    /// When the databases can't be used.
    pub async fn prepare(place: &Place, plugin: Plugin, databases: (&str, &str), spec: &Spec) -> Result<Self> {
        let bank = InProcess::start(place, plugin, databases).await?;
        bank.open_accounts(spec.accounts).await?;
        Ok(Self { bank, plugin })
    }

    /// Starts an engine on a log in which the accounts have been opened. They are all in state afterwards, as they are where
    /// they have just been opened.
    ///
    /// # Errors
    /// When the databases can't be used, or an account is not there.
    pub async fn resume(place: &Place, plugin: Plugin, databases: (&str, &str), spec: &Spec) -> Result<Self> {
        let bank = InProcess::start(place, plugin, databases).await?;
        let reference = bank::reference(spec.payload_bytes);
        for number in 0..spec.accounts {
            bank.deposit(&bank::account(number), &reference).await?;
        }
        bank.settle().await?;
        Ok(Self { bank, plugin })
    }
}

struct Caller {
    bank: InProcess,
    reference: String,
}

impl Client for Caller {
    async fn operate(&mut self, account: u32) -> Result<()> {
        self.bank.deposit(&bank::account(account), &self.reference).await.map(drop)
    }
}

#[async_trait]
impl Contender for Bus {
    async fn run(&mut self, spec: &Spec) -> Result<Outcome> {
        let reference = bank::reference(spec.payload_bytes);
        let caller = || Caller { bank: self.bank.clone(), reference: reference.clone() };
        Ok(load::run(spec, (0..spec.clients).map(|_| caller()).collect()).await)
    }

    async fn settle(&mut self) -> Result<()> {
        self.bank.settle().await
    }

    async fn stop(self: Box<Self>) {
        self.bank.stop().await;
    }

    fn about(&self) -> String {
        about(self.plugin)
    }
}

/// The engine, and what it keeps beside the log.
pub(super) fn about(plugin: Plugin) -> String {
    format!("yado-engine {} with its default settings; {}", env!("CARGO_PKG_VERSION"), super::keeps(plugin))
}
