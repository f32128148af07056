//! Storage: how much slower a log of five million events is than an empty one, and how many bytes an event takes.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::Bench;
use crate::chance::Chance;
use crate::contender::{Bus, Contender as _, System};
use crate::figures::{Ratio, grouped};
use crate::in_process::{InProcess, fill};
use crate::report::say;
use crate::requirement::Verdict;
use crate::rounds::{Leg, Series, turn};
use crate::work::Spec;
use crate::{Result, bank};

/// Events in the long log.
const EVENTS: u32 = 5_000_000;

/// What came of it on one database.
#[derive(Debug, Serialize)]
pub struct Storage {
    /// On which.
    pub database: &'static str,
    /// Events in the long log before the first round.
    pub events: u64,
    /// Bytes an event in the table itself, or in the file as a whole.
    pub table_bytes: f64,
    /// Bytes an event in the table's indexes; none where the file does not tell them apart.
    pub index_bytes: Option<f64>,
    /// Deposits into the log that began empty.
    pub empty: Series,
    /// Deposits into the long log.
    pub long: Series,
}

impl Storage {
    /// Measures PostgreSQL and SQLite.
    ///
    /// # Errors
    /// When a log can't be filled or used.
    pub async fn measure(bench: &Bench) -> Result<Vec<Self>> {
        Ok(vec![Self::on_postgres(bench).await?, Self::on_sqlite(bench).await?])
    }

    async fn on_postgres(bench: &Bench) -> Result<Self> {
        let (empty, long) = (bench.cluster.database().await, bench.cluster.database().await);
        let events = fill_to(bench, &long).await?;
        bench.cluster.query(&long, "vacuum analyze events").await?;
        let size = async |function: &str| {
            let answer = bench.cluster.query(&long, &format!("select {function}('events')")).await?;
            answer.parse::<f64>().map_err(|error| format!("{function} answers {answer}: {error}"))
        };
        let (table, indexes) = (size("pg_table_size").await?, size("pg_indexes_size").await?);
        let per_event = |bytes: f64| bytes / events as f64;
        let sizes = (per_event(table), Some(per_event(indexes)));
        Self::compare(bench, "PostgreSQL", System::BusPostgres, events, sizes, [(&empty, &empty), (&long, &long)]).await
    }

    async fn on_sqlite(bench: &Bench) -> Result<Self> {
        let folder = bench.place.folder("storage")?;
        let url = |name: &str| format!("sqlite:{}", folder.join(name).display());
        let (log, reads) = (url("long.db"), url("long-reads.db"));
        let events = fill_to(bench, &log).await?;
        let size = length(&folder.join("long.db"))? as f64 / events as f64;
        let (empty, empty_reads) = (url("empty.db"), url("empty-reads.db"));
        let urls = [(empty.as_str(), empty_reads.as_str()), (log.as_str(), reads.as_str())];
        Self::compare(bench, "SQLite", System::BusSqlite, events, (size, None), urls).await
    }

    async fn compare(
        bench: &Bench,
        database: &'static str,
        system: System,
        events: u64,
        (table_bytes, index_bytes): (f64, Option<f64>),
        [empty, long]: [(&str, &str); 2],
    ) -> Result<Self> {
        let spec = bench.spec();
        let mut empty_bus = Bus::prepare(&bench.place, empty, &spec).await?;
        let mut long_bus = resume(bench, long, &spec).await?;
        let leg = Leg::uniform(system, spec.clients);
        let (mut empty, mut long) = (Series::new(leg), Series::new(leg));
        let mut chance = Chance::new(spec.seed);
        for round in 1..=bench.arguments.rounds {
            let mut order = [false, true];
            chance.shuffle(&mut order);
            for is_long in order {
                let (bus, series) = if is_long { (&mut long_bus, &mut long) } else { (&mut empty_bus, &mut empty) };
                let spec = Spec { seed: chance.bits(), ..spec.clone() };
                series.keep(turn(bus, &bench.cluster, &spec).await);
            }
            let rate = |series: &Series| series.rates().last().copied().flatten().map_or("-".into(), grouped);
            say(&format!(
                "    round {round} of {}  {database}: {:>9}/s into an empty log, {:>9}/s into one of {}",
                bench.arguments.rounds,
                rate(&empty),
                rate(&long),
                grouped(events as f64)
            ));
        }
        empty_bus.stop().await;
        long_bus.stop().await;
        Ok(Self { database, events, table_bytes, index_bytes, empty, long })
    }

    /// What is reached.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let ratio = Ratio::of(&self.long.rates(), &self.empty.rates());
        let what = format!("throughput at 5 million events / at none, bus, {}, 32 clients", self.database);
        let mut verdict = Verdict::of_ratio(&what, ratio, 0.8);
        if self.events < u64::from(EVENTS) {
            verdict.reached = None;
        }
        verdict
    }
}

/// Fills a log with so many events in all.
async fn fill_to(bench: &Bench, url: &str) -> Result<u64> {
    let (spec, events) = (bench.spec(), u64::from(bench.sized(EVENTS)));
    say(&format!("    filling a log with {} events", grouped(events as f64)));
    let deposits = events.saturating_sub(u64::from(spec.accounts));
    fill(url, &bench.place.bank()?, spec.accounts, deposits, spec.payload_bytes).await?;
    Ok(events)
}

/// An engine on a log that is there. All accounts are resident afterwards, as they are where they have just been opened.
async fn resume(bench: &Bench, (events, reads): (&str, &str), spec: &Spec) -> Result<Bus> {
    say("    bringing the read model up to date");
    let bank = InProcess::start(events, reads, bench.place.bank()?).await?;
    let reference = bank::reference(spec.payload_bytes);
    for number in 0..spec.accounts {
        bank.deposit(&bank::account(number), &reference).await?;
    }
    let mut bus = Bus::over(bank);
    bus.settle().await?;
    Ok(bus)
}

fn length(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).map_err(|error| format!("{} can't be looked at: {error}", path.display()))?;
    Ok(metadata.len())
}
