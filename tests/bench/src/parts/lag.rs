//! Lag: how long it takes from sending a command to a row that shows it, for a reader who does not ask for consistency and
//! just looks again and again. A few other commands run meanwhile.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::Bench;
use crate::bank::Plugin;
use crate::figures::{ROUNDS_FOR_A_RATIO, median};
use crate::histogram::Histogram;
use crate::in_process::InProcess;
use crate::report::say;
use crate::requirement::Verdict;
use crate::{Result, bank};

/// Commands of others, a second.
const BACKGROUND: u32 = 200;
/// A row that does not come in this time never will.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the requirement allows beside fsyncs.
const ALLOWED_US: f64 = 20_000.0;

/// What came of it, in microseconds.
#[derive(Debug, Serialize)]
pub struct Lag {
    /// Commands that were followed.
    pub commands: u64,
    /// From sending to acknowledgement, the median of all.
    pub acknowledged_p50_us: u64,
    /// From sending to the row, the median of all.
    pub visible_p50_us: u64,
    /// From sending to the row, 99 of a hundred.
    pub visible_p99_us: u64,
    /// The same for each round.
    pub rounds_p99_us: Vec<u64>,
}

impl Lag {
    /// Measures it on PostgreSQL.
    ///
    /// # Errors
    /// When a command fails, or its row does not come.
    pub async fn measure(bench: &Bench) -> Result<Self> {
        let spec = bench.spec();
        let url = bench.cluster.database().await;
        let bank = InProcess::start(&bench.place, Plugin::WithBalances, (&url, &url)).await?;
        bank.open_accounts(spec.accounts).await?;
        let reference = bank::reference(spec.payload_bytes);
        let stop = watch::Sender::new(false);
        let others = tokio::spawn(background(bank.clone(), reference.clone(), spec.accounts, stop.subscribe()));
        let (mut acknowledged, mut visible) = (Histogram::default(), Histogram::default());
        let mut rounds_p99_us = Vec::new();
        let mut movements = 0;
        for round in 1..=bench.arguments.rounds {
            let mut of_round = Histogram::default();
            let until = Instant::now() + Duration::from_secs_f64(spec.seconds);
            while Instant::now() < until {
                movements += 1;
                let begun = Instant::now();
                bank.deposit(&bank::account(0), &reference).await?;
                acknowledged.record(begun.elapsed());
                while shown(&bank).await? < movements {
                    if begun.elapsed() > PATIENCE {
                        return Err(format!("a row does not show a deposit after {PATIENCE:?}"));
                    }
                }
                of_round.record(begun.elapsed());
            }
            let p99 = of_round.percentile(0.99);
            say(&format!(
                "    round {round} of {}  p50 {} us  p99 {p99} us",
                bench.arguments.rounds,
                of_round.percentile(0.5)
            ));
            rounds_p99_us.push(p99);
            visible.add(&of_round);
        }
        stop.send_replace(true);
        others.await.map_err(|error| format!("the others broke: {error}"))??;
        bank.stop().await;
        Ok(Self {
            commands: visible.total(),
            acknowledged_p50_us: acknowledged.percentile(0.5),
            visible_p50_us: visible.percentile(0.5),
            visible_p99_us: visible.percentile(0.99),
            rounds_p99_us,
        })
    }

    /// What is reached.
    #[must_use]
    pub fn verdict(&self, fsync_us: f64) -> Verdict {
        let allowed = ALLOWED_US + 3.0 * fsync_us;
        let rounds: Vec<f64> = self.rounds_p99_us.iter().map(|us| *us as f64).collect();
        let p99 = median(&rounds).unwrap_or(f64::INFINITY);
        Verdict {
            what: "command to visible row, p99".into(),
            required: format!("at most 20 ms and three fsyncs: {:.1} ms", allowed / 1_000.0),
            found: format!("{:.1} ms, the median of {} rounds", p99 / 1_000.0, rounds.len()),
            reached: (rounds.len() >= ROUNDS_FOR_A_RATIO).then_some(p99 <= allowed),
        }
    }
}

/// How many movements the row of the followed account shows.
async fn shown(bank: &InProcess) -> Result<u64> {
    let row = bank.row(&bank::account(0)).await?;
    Ok(row.and_then(|row| row.get("movements").and_then(Value::as_u64)).unwrap_or_default())
}

/// Deposits into the other accounts, at an even pace.
async fn background(bank: InProcess, reference: String, accounts: u32, mut stop: watch::Receiver<bool>) -> Result<()> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / BACKGROUND);
    let mut account = 0;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
            _ = pace.tick() => {}
        }
        account = account % (accounts - 1) + 1;
        bank.deposit(&bank::account(account), &reference).await?;
    }
}
