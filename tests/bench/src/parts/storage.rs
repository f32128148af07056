//! Storage: how much slower a log of five million events is than one that has just begun, and how many bytes an event
//! takes.
//!
//! The short log is a new one in every round: the one of the round before has hundreds of thousands of events by then. It
//! grows while it is measured, and so does the long one.

use std::fs;
use std::path::Path;

use serde::Serialize;

use super::Bench;
use crate::Result;
use crate::bank::Plugin;
use crate::chance::Chance;
use crate::contender::{Bus, Contender as _, System};
use crate::figures::{Ratio, grouped};
use crate::in_process::fill;
use crate::report::say;
use crate::requirement::Verdict;
use crate::rounds::{Leg, Series, turn};
use crate::work::Spec;

/// Events in the long log.
const EVENTS: u32 = 5_000_000;

/// What is deployed: the log is what is measured.
const BANK: Plugin = Plugin::Accounts;

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
    /// Deposits into a log that has the accounts' opening and nothing else when the turn begins; a new one each round.
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
        let long = bench.cluster.database().await;
        let events = fill_to(bench, &long).await?;
        bench.cluster.query(&long, "vacuum analyze events").await?;
        let size = async |function: &str| {
            let answer = bench.cluster.query(&long, &format!("select {function}('events')")).await?;
            answer.parse::<f64>().map_err(|error| format!("{function} answers {answer}: {error}"))
        };
        let (table, indexes) = (size("pg_table_size").await?, size("pg_indexes_size").await?);
        let per_event = |bytes: f64| bytes / events as f64;
        let sizes = (per_event(table), Some(per_event(indexes)));
        let mut empty = Vec::new();
        for _ in 0..bench.arguments.rounds {
            let url = bench.cluster.database().await;
            empty.push((url.clone(), url));
        }
        Self::compare(bench, "PostgreSQL", System::BusPostgres, events, sizes, &empty, (&long, &long)).await
    }

    async fn on_sqlite(bench: &Bench) -> Result<Self> {
        let folder = bench.place.folder("storage")?;
        let url = |name: &str| format!("sqlite:{}", folder.join(name).display());
        let (log, reads) = (url("long.db"), url("long-reads.db"));
        let events = fill_to(bench, &log).await?;
        let size = length(&folder.join("long.db"))? as f64 / events as f64;
        let rounds = 1..=bench.arguments.rounds;
        let empty = rounds.map(|round| (url(&format!("empty-{round}.db")), url(&format!("empty-{round}-reads.db"))));
        let empty: Vec<_> = empty.collect();
        Self::compare(bench, "SQLite", System::BusSqlite, events, (size, None), &empty, (&log, &reads)).await
    }

    async fn compare(
        bench: &Bench,
        database: &'static str,
        system: System,
        events: u64,
        (table_bytes, index_bytes): (f64, Option<f64>),
        empty_ones: &[(String, String)],
        long_one: (&str, &str),
    ) -> Result<Self> {
        let (spec, place) = (bench.spec(), &bench.place);
        let mut long_bus = Bus::resume(place, BANK, long_one, &spec).await?;
        let leg = Leg::uniform(system, spec.clients);
        let (mut empty, mut long) = (Series::new(leg), Series::new(leg));
        let mut chance = Chance::new(spec.seed);
        for (round, (log, reads)) in (1..).zip(empty_ones) {
            let mut empty_bus = Bus::prepare(place, BANK, (log, reads), &spec).await?;
            let mut order = [false, true];
            chance.shuffle(&mut order);
            for is_long in order {
                let (bus, series) = if is_long { (&mut long_bus, &mut long) } else { (&mut empty_bus, &mut empty) };
                let spec = Spec { seed: chance.bits(), ..spec.clone() };
                series.keep(turn(bus, &bench.cluster, &spec).await);
            }
            Box::new(empty_bus).stop().await;
            let rate = |series: &Series| series.rates().last().copied().flatten().map_or("-".into(), grouped);
            say(&format!(
                "    round {round} of {}  {database}: {:>9}/s into a new log, {:>9}/s into one of {}",
                bench.arguments.rounds,
                rate(&empty),
                rate(&long),
                grouped(events as f64)
            ));
        }
        Box::new(long_bus).stop().await;
        Ok(Self { database, events, table_bytes, index_bytes, empty, long })
    }

    /// What is reached.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let ratio = Ratio::of(&self.long.rates(), &self.empty.rates());
        let what = format!(
            "throughput at 5 million events / at none, a new log each round, bus, {}, 32 clients",
            self.database
        );
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
    fill(url, &bench.place.bank(BANK)?, spec.accounts, deposits, spec.payload_bytes).await?;
    Ok(events)
}

fn length(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).map_err(|error| format!("{} can't be looked at: {error}", path.display()))?;
    Ok(metadata.len())
}
