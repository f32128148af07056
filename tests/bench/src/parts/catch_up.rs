//! Catching up: a read model is filled from a log of a million deposits, by an engine that has just started. Beside it,
//! `pgbench` says what the same PostgreSQL does at that time.

use serde::Serialize;

use super::Bench;
use crate::bank::Plugin;
use crate::chance::Chance;
use crate::contender::System;
use crate::figures::{Ratio, grouped, median};
use crate::in_process::{InProcess, fill};
use crate::report::say;
use crate::requirement::Verdict;
use crate::rounds::turn;
use crate::{Result, bank};

/// Deposits in the log.
const DEPOSITS: u32 = 1_000_000;

/// What came of it.
#[derive(Debug, Serialize)]
pub struct CatchUp {
    /// Events in the log: the accounts' opening, and the deposits.
    pub events: u64,
    /// Events a second, in each round, from deployment to a read model that shows them all.
    pub rates: Vec<Option<f64>>,
    /// What pgbench did with 32 clients, in each round.
    pub pgbench: Vec<Option<f64>>,
    /// What went wrong, if something did.
    pub trouble: Option<String>,
}

impl CatchUp {
    /// Fills a log, and lets a fresh engine catch up with it in each round.
    ///
    /// # Errors
    /// When the log can't be filled, or pgbench can't take part.
    pub async fn measure(bench: &Bench) -> Result<Self> {
        let (spec, deposits) = (bench.spec(), u64::from(bench.sized(DEPOSITS)));
        let (log, component) = (bench.cluster.database().await, bench.place.bank(Plugin::WithBalances)?);
        say(&format!("    filling a log with {} deposits", grouped(deposits as f64)));
        fill(&log, &component, spec.accounts, deposits, spec.payload_bytes).await?;
        bench.cluster.query(&log, "vacuum analyze events").await?;
        let mut pgbench = System::Pgbench.prepare(&bench.place, &bench.cluster, &spec).await?;
        let mut found =
            Self { events: deposits + u64::from(spec.accounts), rates: Vec::new(), pgbench: Vec::new(), trouble: None };
        let mut chance = Chance::new(spec.seed);
        for round in 1..=bench.arguments.rounds {
            let mut floor = None;
            let floor_first = chance.below(2) == 0;
            if floor_first {
                floor = Some(turn(pgbench.as_mut(), &bench.cluster, &spec).await);
            }
            let caught_up = found.once(bench, &log, deposits).await;
            let floor = match floor {
                Some(floor) => floor,
                None => turn(pgbench.as_mut(), &bench.cluster, &spec).await,
            };
            for reason in [caught_up.as_ref().err(), floor.as_ref().err()].into_iter().flatten() {
                say(&format!("    round {round}: {reason}"));
                found.trouble.get_or_insert_with(|| reason.clone());
            }
            found.rates.push(caught_up.ok());
            found.pgbench.push(floor.ok().map(|turn| turn.outcome.rate()));
            let shown = |figures: &[Option<f64>]| figures.last().copied().flatten().map_or("-".into(), grouped);
            say(&format!(
                "    round {round} of {}  catch-up {:>9} events/s  pgbench {:>9}/s",
                bench.arguments.rounds,
                shown(&found.rates),
                shown(&found.pgbench)
            ));
        }
        Ok(found)
    }

    async fn once(&self, bench: &Bench, log: &str, deposits: u64) -> Result<f64> {
        let reads = bench.cluster.database().await;
        let bank = InProcess::start(&bench.place, Plugin::WithBalances, (log, &reads)).await?;
        let seconds = bank.deployed_in().as_secs_f64();
        // It counts only if it is right.
        let accounts = u64::from(bench.spec().accounts);
        let expected = deposits / accounts;
        let row = bank.row(&bank::account(0)).await?.ok_or("the read model lacks an account")?;
        let movements = row.get("movements").and_then(serde_json::Value::as_u64);
        bank.stop().await;
        if movements != Some(expected) {
            return Err(format!("the read model shows {movements:?} movements of an account that has {expected}"));
        }
        Ok(self.events as f64 / seconds)
    }

    /// The median of events a second.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        median(&self.rates.iter().flatten().copied().collect::<Vec<_>>())
    }

    /// What is reached.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let what = "catch-up through the guest into PostgreSQL, events/s / pgbench single-row insert, 32 clients";
        let mut verdict = Verdict::of_ratio(what, Ratio::of(&self.rates, &self.pgbench), 10.0);
        verdict.required = "at least 10: 100,000 events/s where pgbench does 10,000".into();
        if let (Some(rate), true) = (self.rate(), verdict.reached.is_some()) {
            verdict.found = format!("{}; {} events/s", verdict.found, grouped(rate));
        }
        verdict
    }
}
