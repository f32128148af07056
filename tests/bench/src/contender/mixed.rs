//! The command bus under commands of several kinds, as an application sends them: most of them deposit, under a key for
//! repetitions of the request; some open new accounts, under keys too; and some are refused. Those leave the way that a
//! plain deposit takes: a key is looked up and recorded beside the events, a new stream has no state yet, and a refusal
//! records nothing and has to be true nevertheless.

use async_trait::async_trait;
use yado_model::IdempotencyKey;

use super::Contender;
use super::bus::about;
use crate::Result;
use crate::bank::{self, Plugin};
use crate::chance::Chance;
use crate::in_process::InProcess;
use crate::load::{self, Client};
use crate::place::Place;
use crate::work::{Outcome, Spec};

/// So many of a hundred commands open an account.
const OPENINGS: u32 = 5;
/// So many of a hundred ask an account for more than it holds.
const REFUSALS: u32 = 10;

/// An engine with the bank's accounts.
pub(super) struct Mixed {
    bank: InProcess,
}

impl Mixed {
    pub(super) async fn prepare(place: &Place, databases: (&str, &str), spec: &Spec) -> Result<Self> {
        let bank = InProcess::start(place, Plugin::Accounts, databases).await?;
        bank.open_accounts(spec.accounts).await?;
        Ok(Self { bank })
    }
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Refused,
    Deposit,
}

impl Kind {
    fn draw(chance: &mut Chance) -> Self {
        match chance.below(100) {
            drawn if drawn < OPENINGS => Self::Open,
            drawn if drawn < OPENINGS + REFUSALS => Self::Refused,
            _ => Self::Deposit,
        }
    }
}

struct Caller {
    bank: InProcess,
    reference: String,
    chance: Chance,
}

impl Client for Caller {
    async fn operate(&mut self, account: u32) -> Result<()> {
        let kind = Kind::draw(&mut self.chance);
        if kind == Kind::Refused {
            return self.bank.overdraw(&bank::account(account), &self.reference).await;
        }
        // 64 bits: that two of a run are the same is next to impossible, and would be an error if it happened.
        let fresh = format!("{:016x}", self.chance.bits());
        let key = IdempotencyKey::parse(&fresh).map_err(|invalid| invalid.to_string())?;
        match kind {
            Kind::Open => self.bank.open_once(&format!("new-{fresh}"), key).await.map(drop),
            _ => self.bank.deposit_once(&bank::account(account), &self.reference, key).await.map(drop),
        }
    }
}

#[async_trait]
impl Contender for Mixed {
    async fn run(&mut self, spec: &Spec) -> Result<Outcome> {
        let reference = bank::reference(spec.payload_bytes);
        // Other seeds than those by which accounts are chosen.
        let mut seeds = Chance::new(!spec.seed);
        let mut caller =
            || Caller { bank: self.bank.clone(), reference: reference.clone(), chance: Chance::new(seeds.bits()) };
        Ok(load::run(spec, (0..spec.clients).map(|_| caller()).collect()).await)
    }

    async fn stop(self: Box<Self>) {
        self.bank.stop().await;
    }

    fn about(&self) -> String {
        format!(
            "{}; {OPENINGS} of a hundred commands open an account, {REFUSALS} are refused, the others deposit; all but the \
             refused have idempotency keys",
            about(Plugin::Accounts)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_commands_so_many_are_of_each_kind() {
        let mut chance = Chance::new(11);
        let drawn: Vec<Kind> = (0..100_000).map(|_| Kind::draw(&mut chance)).collect();
        let share = |kind| drawn.iter().filter(|other| **other == kind).count().div_euclid(100);
        assert!((45..=55).contains(&share(Kind::Open)), "{}", share(Kind::Open));
        assert!((95..=105).contains(&share(Kind::Refused)), "{}", share(Kind::Refused));
    }
}
