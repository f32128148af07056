//! What has to come out: each requirement is a ratio or a bound with its figure, and is reached or not.

use serde::Serialize;

use crate::contender::System::{
    BusPostgres, BusSqlite, Emmett, GraphqlPostgres, GraphqlSqlite, NoopGraphql, Pgbench, PostgresEs, SqliteEach, Umadb,
};
use crate::figures::Ratio;
use crate::rounds::{Leg, Series};
use crate::work::Distribution::{Hot, Zipf};

/// An fsync below this is a fast one, in microseconds.
pub const FAST_FSYNC_US: f64 = 500.0;

/// A leg against another.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// What it is called.
    pub what: &'static str,
    /// What is compared.
    pub of: Leg,
    /// With what: the one of these that is best.
    pub with: Vec<Leg>,
    /// What the ratio has to be.
    pub at_least: f64,
    /// What it has to be where an fsync is fast, if that is something else.
    pub at_least_with_fast_fsync: Option<f64>,
}

/// All comparisons of throughput.
#[must_use]
pub fn comparisons() -> Vec<Comparison> {
    let plain = |what, of, with: &[Leg], at_least| Comparison {
        what,
        of,
        with: with.to_vec(),
        at_least,
        at_least_with_fast_fsync: None,
    };
    let leg = Leg::uniform;
    let bus = leg(BusPostgres, 32);
    vec![
        Comparison {
            at_least_with_fast_fsync: Some(1.5),
            ..plain(
                "bus, PostgreSQL, 32 clients, uniform / pgbench single-row insert, 32 clients",
                bus,
                &[leg(Pgbench, 32)],
                1.0,
            )
        },
        plain(
            "bus, PostgreSQL, 256 clients, uniform / pgbench at its own best of 32, 64, 128 clients",
            leg(BusPostgres, 256),
            &[leg(Pgbench, 32), leg(Pgbench, 64), leg(Pgbench, 128)],
            2.0,
        ),
        plain(
            "GraphQL mutation, PostgreSQL, 32 clients / the no-op GraphQL stack",
            leg(GraphqlPostgres, 32),
            &[leg(NoopGraphql, 32)],
            0.5,
        ),
        plain(
            "GraphQL mutation, PostgreSQL, 128 clients / UmaDB, 128 clients",
            leg(GraphqlPostgres, 128),
            &[leg(Umadb, 128)],
            1.0,
        ),
        plain("bus, PostgreSQL / postgres-es, 32 clients", bus, &[leg(PostgresEs, 32)], 5.0),
        plain("bus, PostgreSQL / emmett, 32 clients", bus, &[leg(Emmett, 32)], 5.0),
        plain(
            "bus, SQLite FULL, 32 clients / one transaction an insert, same settings",
            leg(BusSqlite, 32),
            &[leg(SqliteEach, 32)],
            5.0,
        ),
        plain(
            "one hot account, 32 clients, bus, PostgreSQL / the same spread over 10,000",
            Leg::spread(BusPostgres, 32, Hot),
            &[bus],
            0.3,
        ),
        plain(
            "one hot account, 32 clients, bus, SQLite / the same spread over 10,000",
            Leg::spread(BusSqlite, 32, Hot),
            &[leg(BusSqlite, 32)],
            0.3,
        ),
    ]
}

/// Legs that are measured for themselves: how Yado does with more and fewer clients, and on other distributions.
#[must_use]
pub fn sweep() -> Vec<Leg> {
    let mut legs = Vec::new();
    for system in [BusPostgres, GraphqlPostgres, BusSqlite, GraphqlSqlite] {
        legs.extend([1, 32, 128, 256].map(|clients| Leg::uniform(system, clients)));
        legs.extend([Zipf, Hot].map(|distribution| Leg::spread(system, 32, distribution)));
    }
    legs.extend([(Pgbench, 1), (NoopGraphql, 128), (Umadb, 32)].map(|(system, clients)| Leg::uniform(system, clients)));
    legs
}

/// Whether a requirement is reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// What was asked.
    pub what: String,
    /// What was required.
    pub required: String,
    /// What was found, or why nothing was.
    pub found: String,
    /// Whether it is reached; none if that is not known.
    pub reached: Option<bool>,
}

impl Verdict {
    /// Whether a ratio is large enough.
    #[must_use]
    pub fn of_ratio(what: &str, ratio: Result<Ratio, String>, at_least: f64) -> Self {
        let reached = ratio.as_ref().ok().map(|ratio| ratio.median >= at_least);
        let found = ratio.map_or_else(|reason| reason, |ratio| ratio.to_string());
        Self { what: what.to_owned(), required: format!("at least {at_least}"), found, reached }
    }

    /// The verdict's last word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.reached {
            Some(true) => "reached",
            Some(false) => "NOT reached",
            None => "not known",
        }
    }
}

impl Comparison {
    /// All legs that it takes.
    pub fn legs(&self) -> impl Iterator<Item = Leg> {
        std::iter::once(self.of).chain(self.with.iter().copied())
    }

    /// What came of it.
    #[must_use]
    pub fn verdict(&self, all: &[Series], fsync_us: f64) -> Verdict {
        let fast = self.at_least_with_fast_fsync.filter(|_| fsync_us < FAST_FSYNC_US);
        let at_least = fast.unwrap_or(self.at_least);
        let mut verdict = Verdict::of_ratio(self.what, self.ratio(all), at_least);
        if let Some(fast) = self.at_least_with_fast_fsync {
            verdict.required = format!("at least {}; {fast} where an fsync costs under 0.5 ms", self.at_least);
        }
        verdict
    }

    fn ratio(&self, all: &[Series]) -> Result<Ratio, String> {
        let series = |leg: &Leg| all.iter().find(|series| series.leg == *leg);
        let told = |leg: &Leg| {
            let trouble = series(leg).and_then(|series| series.trouble.as_deref());
            format!("{leg} was not measured: {}", trouble.unwrap_or("it did not take part"))
        };
        let of = series(&self.of).filter(|series| series.rate().is_some()).ok_or_else(|| told(&self.of))?;
        let with: Vec<_> = self.with.iter().filter_map(series).filter(|series| series.rate().is_some()).collect();
        if with.is_empty() {
            return Err(self.with.first().map_or_else(String::new, told));
        }
        // In each round the best of it, whichever leg that was.
        let rates: Vec<_> = with.iter().map(|series| series.rates()).collect();
        let rounds = rates.iter().map(Vec::len).max().unwrap_or_default();
        let best = (0..rounds).map(|round| rates.iter().filter_map(|rates| *rates.get(round)?).max_by(f64::total_cmp));
        Ratio::of(&of.rates(), &best.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Turn;
    use crate::usage::Usage;
    use crate::work::Outcome;

    fn series(leg: Leg, rate: u64, rounds: usize) -> Series {
        let outcome =
            Outcome { operations: rate, errors: 0, first_error: None, elapsed_seconds: 1.0, p50_us: 1, p99_us: 1 };
        let busy = Usage { bench: 0.0, contender: 0.0, database: 0.0 };
        Series { leg, turns: vec![Some(Turn { outcome, busy }); rounds], trouble: None }
    }

    #[test]
    fn the_best_of_several_is_what_is_compared_with() {
        let all = comparisons();
        let second = &all[1];
        let found = [
            series(Leg::uniform(BusPostgres, 256), 300, 5),
            series(Leg::uniform(Pgbench, 32), 100, 5),
            series(Leg::uniform(Pgbench, 64), 200, 5),
        ];
        let verdict = second.verdict(&found, 1_000.0);
        assert_eq!((verdict.found.as_str(), verdict.reached), ("1.50 (1.50 to 1.50)", Some(false)));
    }

    #[test]
    fn a_fast_disk_asks_for_more() {
        let first = &comparisons()[0];
        let found = [series(first.of, 120, 5), series(first.with[0], 100, 5)];
        assert_eq!(first.verdict(&found, 1_000.0).reached, Some(true));
        assert_eq!(first.verdict(&found, 100.0).reached, Some(false));
    }

    #[test]
    fn a_requirement_is_not_known_from_few_rounds_or_without_the_peer() {
        let first = &comparisons()[0];
        let few = [series(first.of, 120, 4), series(first.with[0], 100, 4)];
        assert_eq!(first.verdict(&few, 1_000.0).reached, None);
        let alone = [series(first.of, 120, 5)];
        let verdict = first.verdict(&alone, 1_000.0);
        assert_eq!(verdict.reached, None);
        assert_eq!(verdict.found, "pgbench, 32 clients was not measured: it did not take part");
    }
}
