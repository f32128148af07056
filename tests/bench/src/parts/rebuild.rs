//! Rebuilding: an operator has the tables of a read model filled anew by a server that goes on serving, once while nobody
//! asks it anything and once while clients read what the old tables show. Beside it, `pgbench` says what the same PostgreSQL
//! does at that time.

mod readers;

use std::time::{Duration, Instant};

use serde::Serialize;

use super::Bench;
use crate::Result;
use crate::bank::Plugin;
use crate::chance::Chance;
use crate::contender::System;
use crate::figures::{ROUNDS_FOR_A_RATIO, Ratio, grouped, median};
use crate::in_process::fill;
use crate::report::say;
use crate::requirement::Verdict;
use crate::rounds::turn;
use crate::server::Server;
use readers::{Question, READERS, Readers, Seen};

/// Deposits in the log: as many into each account.
const DEPOSITS: u32 = 500_000;
/// The bank's projection, which fills the read model of the same name.
const PROJECTION: &str = "Balance";
/// How long a rebuild may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(10);
/// A client that waits longer than this for its next answer has met a gap, in microseconds.
const GAP_US: u64 = 1_000_000;

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Rebuild {
    /// Events in the log: the accounts' opening, and the deposits.
    pub events: u64,
    /// Events a second while nobody read, in each round: from the operator's request to the moment in which new tables serve.
    pub alone: Vec<Option<f64>>,
    /// The same while clients read.
    pub while_read: Vec<Option<f64>>,
    /// What pgbench did with 32 clients, in each round.
    pub pgbench: Vec<Option<f64>>,
    /// Clients that read.
    pub readers: u32,
    /// Right answers that they had.
    pub answers: u64,
    /// Answers that were wrong, and requests that failed.
    pub errors: u64,
    /// 99 of a hundred answers took no longer, in microseconds, in each round.
    pub answers_p99_us: Vec<u64>,
    /// The longest that any client was without an answer, in microseconds, in each round.
    pub longest_pause_us: Vec<u64>,
    /// What went wrong, if something did.
    pub trouble: Option<String>,
}

/// What takes its turn in a round.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Alone,
    WhileRead,
    Pgbench,
}

impl Rebuild {
    /// Fills a log, has a server show it, and rebuilds what it shows in each round.
    ///
    /// # Errors
    /// When the log can't be filled, the server does not show it, or pgbench can't take part.
    pub async fn measure(bench: &Bench) -> Result<Self> {
        let (spec, deposits) = (bench.spec(), u64::from(bench.sized(DEPOSITS)));
        let (database, component) = (bench.cluster.database().await, bench.place.bank(Plugin::WithBalances)?);
        say(&format!("    filling a log with {} deposits", grouped(deposits as f64)));
        fill(&database, &component, spec.accounts, deposits, spec.payload_bytes).await?;
        bench.cluster.query(&database, "vacuum analyze events").await?;
        let server = Server::start(&bench.place, "rebuild", &component, Some(&database)).await?;
        let events = deposits + u64::from(spec.accounts);
        server.settle(events).await?;
        let question = Question::new(server.graphql(), spec.accounts, deposits / u64::from(spec.accounts));
        let mut pgbench = System::Pgbench.prepare(&bench.place, &bench.cluster, &spec).await?;
        let mut found = Self::new(events);
        let mut chance = Chance::new(spec.seed);
        for round in 1..=bench.arguments.rounds {
            let mut turns = [Turn::Alone, Turn::WhileRead, Turn::Pgbench];
            chance.shuffle(&mut turns);
            for next in turns {
                match next {
                    Turn::Alone => {
                        let rate = found.once(&server, &question).await;
                        let rate = found.or_trouble(rate);
                        found.alone.push(rate);
                    }
                    Turn::WhileRead => {
                        let rate = found.while_read(&server, &question, chance.bits()).await;
                        let rate = found.or_trouble(rate);
                        found.while_read.push(rate);
                    }
                    Turn::Pgbench => {
                        let floor = turn(pgbench.as_mut(), &bench.cluster, &spec).await;
                        let rate = found.or_trouble(floor.map(|turn| turn.outcome.rate()));
                        found.pgbench.push(rate);
                    }
                }
            }
            let shown = |figures: &[Option<f64>]| figures.last().copied().flatten().map_or("-".into(), grouped);
            say(&format!(
                "    round {round} of {}  rebuild {:>9} events/s  while read {:>9} events/s  longest pause {:>5} ms  pgbench \
                 {:>9}/s",
                bench.arguments.rounds,
                shown(&found.alone),
                shown(&found.while_read),
                found.longest_pause_us.last().map_or("-".into(), |us| (us / 1_000).to_string()),
                shown(&found.pgbench)
            ));
        }
        Ok(found)
    }

    fn new(events: u64) -> Self {
        Self {
            events,
            alone: Vec::new(),
            while_read: Vec::new(),
            pgbench: Vec::new(),
            readers: READERS,
            answers: 0,
            errors: 0,
            answers_p99_us: Vec::new(),
            longest_pause_us: Vec::new(),
            trouble: None,
        }
    }

    fn or_trouble(&mut self, rate: Result<f64>) -> Option<f64> {
        rate.map_err(|reason| {
            say(&format!("    {reason}"));
            self.trouble.get_or_insert(reason);
        })
        .ok()
    }

    /// One rebuild. It counts only if what it shows is right.
    async fn once(&self, server: &Server, question: &Question) -> Result<f64> {
        let operator = server.operator()?;
        let mut watch = operator.watch().await?;
        let before = watch.keys(PROJECTION).await?;
        let begun = Instant::now();
        operator.rebuild(PROJECTION).await?;
        loop {
            let keys = watch.keys(PROJECTION).await?;
            if keys.len() == 1 && keys != before {
                break;
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("a rebuild was not done after {PATIENCE:?}"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        let rate = self.events as f64 / begun.elapsed().as_secs_f64();
        question.ask_all().await?;
        Ok(rate)
    }

    /// One rebuild while clients read.
    async fn while_read(&mut self, server: &Server, question: &Question, seed: u64) -> Result<f64> {
        let readers = Readers::start(question, seed).await?;
        let rate = self.once(server, question).await;
        let Seen { took, errors, first_error, longest_pause } = readers.stop().await?;
        self.answers += took.total();
        self.errors += errors;
        self.answers_p99_us.push(took.percentile(0.99));
        self.longest_pause_us.push(longest_pause.as_micros() as u64);
        if let Some(error) = first_error {
            self.trouble.get_or_insert(error);
        }
        rate
    }

    /// The medians of events a second: while nobody read, and while clients did.
    #[must_use]
    pub fn rates(&self) -> [Option<f64>; 2] {
        [&self.alone, &self.while_read].map(|rates| median(&rates.iter().flatten().copied().collect::<Vec<_>>()))
    }

    /// The longest that any client was without an answer in any round, in microseconds.
    #[must_use]
    pub fn longest_pause_us(&self) -> u64 {
        self.longest_pause_us.iter().copied().max().unwrap_or_default()
    }

    /// What is reached: how fast it is, and that nobody notices.
    #[must_use]
    pub fn verdicts(&self) -> [Verdict; 2] {
        let what = format!(
            "rebuild beside the table that serves, {READERS} clients reading, PostgreSQL, events/s / pgbench single-row \
             insert, 32 clients"
        );
        let ratio = Ratio::of(&self.while_read, &self.pgbench);
        let ratio =
            ratio.map_err(|reason| self.trouble.clone().map_or(reason, |trouble| format!("it failed: {trouble}")));
        let mut speed = Verdict::of_ratio(&what, ratio, 10.0);
        speed.required = "at least 10: 100,000 events/s where pgbench does 10,000".into();
        if let ([_, Some(rate)], true) = (self.rates(), speed.reached.is_some()) {
            speed.found = format!("{}; {} events/s", speed.found, grouped(rate));
        }
        let whole = self.while_read.iter().flatten().count() >= ROUNDS_FOR_A_RATIO;
        let without_gap = Verdict {
            what: format!("what {READERS} clients are answered from the old table meanwhile"),
            required: "no error and nothing wrong, and no client without an answer for more than 1 s".into(),
            found: format!(
                "{} right answers, {} others; the longest pause of a client is {} ms",
                grouped(self.answers as f64),
                self.errors,
                self.longest_pause_us() / 1_000
            ),
            reached: whole.then_some(self.errors == 0 && self.answers > 0 && self.longest_pause_us() <= GAP_US),
        };
        [speed, without_gap]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rounds: usize) -> Rebuild {
        let some = |rate| vec![Some(rate); rounds];
        Rebuild {
            alone: some(200_000.0),
            while_read: some(110_000.0),
            pgbench: some(10_000.0),
            answers: 900,
            longest_pause_us: vec![40_000; rounds],
            ..Rebuild::new(1)
        }
    }

    #[test]
    fn the_rate_that_counts_is_the_one_while_clients_read() {
        let [speed, without_gap] = found(5).verdicts();
        assert_eq!((speed.reached, without_gap.reached), (Some(true), Some(true)));
        assert_eq!(speed.found, "11.00 (11.00 to 11.00); 110,000 events/s");
        let slow = Rebuild { while_read: vec![Some(90_000.0); 5], ..found(5) };
        assert_eq!(slow.verdicts()[0].reached, Some(false));
    }

    #[test]
    fn one_wrong_answer_or_a_long_pause_is_a_gap() {
        for gap in [Rebuild { errors: 1, ..found(5) }, Rebuild { longest_pause_us: vec![1_000_001], ..found(5) }] {
            assert_eq!(gap.verdicts()[1].reached, Some(false));
        }
        assert_eq!(Rebuild { answers: 0, ..found(5) }.verdicts()[1].reached, Some(false));
    }

    #[test]
    fn nothing_is_known_from_few_rounds() {
        assert!(found(4).verdicts().iter().all(|verdict| verdict.reached.is_none()));
    }
}
