//! The command bus in this process. What it does for a deposit is everything but the surface: checks of the payload, the
//! guest, the log, and, beside it, the read model.

use async_trait::async_trait;

use super::Contender;
use crate::Result;
use crate::bank;
use crate::in_process::InProcess;
use crate::load::{self, Client};
use crate::place::Place;
use crate::work::{Outcome, Spec};

/// An engine with the bank, and accounts.
pub struct Bus {
    bank: InProcess,
}

impl Bus {
    /// Starts an engine on these databases (the log's and the read models'), and opens accounts.
    ///
    /// # Errors
    /// When the databases can't be used.
    pub async fn prepare(place: &Place, (events, reads): (&str, &str), spec: &Spec) -> Result<Self> {
        let bank = InProcess::start(events, reads, place.bank()?).await?;
        bank.open_accounts(spec.accounts).await?;
        Ok(Self { bank })
    }

    /// Takes an engine whose accounts are open.
    #[must_use]
    pub fn over(bank: InProcess) -> Self {
        Self { bank }
    }

    /// Stops the engine.
    pub async fn stop(self) {
        self.bank.stop().await;
    }
}

struct Caller {
    bank: InProcess,
    reference: String,
}

impl Client for Caller {
    async fn deposit(&mut self, account: u32) -> Result<()> {
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

    fn about(&self) -> String {
        format!(
            "yado-engine {} with its default settings; the read model of balances is kept as well",
            env!("CARGO_PKG_VERSION")
        )
    }
}
