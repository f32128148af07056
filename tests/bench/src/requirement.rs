//! What has to come out: each requirement is a ratio or a bound with its figure, and is reached or not. And what is only
//! told: what it costs Yado to do more than it is compared for.

use serde::Serialize;

use crate::contender::System::{
    BusPostgres, BusPostgresBalances, BusPostgresMixed, BusSqlite, BusSqliteBalances, Emmett, GraphqlPostgres,
    GraphqlPostgresBalances, GraphqlSqlite, NoopGraphql, Pgbench, PostgresEs, SqliteEach, Umadb,
};
use crate::figures::{Ratio, grouped};
use crate::rounds::{Leg, Series};
use crate::work::Distribution::{Hot, Uniform, Zipf};

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

/// What it costs to do more than a deposit that only appends. It is told, and not judged: nobody else here does as much.
#[derive(Debug, Clone)]
pub struct Price {
    /// What is done.
    pub what: &'static str,
    /// The leg that does it.
    pub of: Leg,
    /// The one that only appends.
    pub without: Leg,
}

/// All prices.
#[must_use]
pub fn prices() -> Vec<Price> {
    let price = |what, of, without| Price { what, of: Leg::uniform(of, 32), without: Leg::uniform(without, 32) };
    vec![
        price("bus, PostgreSQL, 32 clients, the read model of balances kept live", BusPostgresBalances, BusPostgres),
        price("bus, SQLite, 32 clients, the read model of balances kept live", BusSqliteBalances, BusSqlite),
        price(
            "GraphQL mutation, PostgreSQL, 32 clients, the read model of balances kept live",
            GraphqlPostgresBalances,
            GraphqlPostgres,
        ),
        price(
            "bus, PostgreSQL, 32 clients, mixed: 5 % open accounts, 10 % are refused, idempotency keys",
            BusPostgresMixed,
            BusPostgres,
        ),
    ]
}

/// Legs that are measured for themselves: how Yado does with more and fewer clients, on each distribution.
#[must_use]
pub fn sweep() -> Vec<Leg> {
    let mut legs = Vec::new();
    for system in [BusPostgres, GraphqlPostgres, BusSqlite, GraphqlSqlite] {
        for distribution in [Uniform, Zipf, Hot] {
            legs.extend([1, 32, 128, 256].map(|clients| Leg::spread(system, clients, distribution)));
        }
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
        let mut verdict = Verdict::of_ratio(self.what, ratio(self.of, &self.with, all), at_least);
        if let Some(fast) = self.at_least_with_fast_fsync {
            verdict.required = format!("at least {}; {fast} where an fsync costs under 0.5 ms", self.at_least);
        }
        verdict
    }
}

impl Price {
    /// Both of its legs.
    pub fn legs(&self) -> impl Iterator<Item = Leg> {
        [self.of, self.without].into_iter()
    }

    /// What came of it, in words.
    #[must_use]
    pub fn found(&self, all: &[Series]) -> String {
        let rate = all.iter().find(|series| series.leg == self.of).and_then(Series::rate);
        let rate = rate.map_or_else(|| "nothing".into(), |rate| format!("{} a second", grouped(rate)));
        match ratio(self.of, &[self.without], all) {
            Ok(ratio) => format!("{rate}; {ratio} of what it is without"),
            Err(reason) => format!("{rate}; {reason}"),
        }
    }
}

/// The ratio of a leg to the one of some others that is best, in each round. All of them must have been measured: the best
/// of those that happen to be there is not what was asked for.
fn ratio(of: Leg, with: &[Leg], all: &[Series]) -> Result<Ratio, String> {
    let series = |leg: Leg| {
        let series = all.iter().find(|series| series.leg == leg);
        series.filter(|series| series.rate().is_some()).ok_or_else(|| {
            let trouble = series.and_then(|series| series.trouble.as_deref());
            format!("{leg} was not measured: {}", trouble.unwrap_or("it did not take part"))
        })
    };
    let of = series(of)?;
    let with = with.iter().map(|leg| series(*leg)).collect::<Result<Vec<_>, _>>()?;
    let rates: Vec<_> = with.iter().map(|series| series.rates()).collect();
    let best: Vec<_> = (0..of.turns.len())
        .map(|round| {
            let of_round: Option<Vec<f64>> = rates.iter().map(|rates| *rates.get(round)?).collect();
            of_round?.into_iter().max_by(f64::total_cmp)
        })
        .collect();
    Ratio::of(&of.rates(), &best).map_err(|reason| {
        let troubled = std::iter::once(of).chain(with).find_map(|series| Some((series.leg, series.trouble.as_ref()?)));
        troubled.map_or_else(|| reason.clone(), |(leg, trouble)| format!("{reason}; {leg}: {trouble}"))
    })
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
    fn the_best_of_several_is_what_is_compared_with_in_each_round() {
        let second = &comparisons()[1];
        let mut swinging = series(Leg::uniform(Pgbench, 64), 200, 5);
        swinging.turns[..2].clone_from_slice(&series(swinging.leg, 50, 2).turns);
        let found = [
            series(Leg::uniform(BusPostgres, 256), 300, 5),
            series(Leg::uniform(Pgbench, 32), 100, 5),
            swinging,
            series(Leg::uniform(Pgbench, 128), 80, 5),
        ];
        let verdict = second.verdict(&found, 1_000.0);
        assert_eq!((verdict.found.as_str(), verdict.reached), ("1.50 (1.50 to 3.00)", Some(false)));
    }

    #[test]
    fn the_best_of_several_is_not_known_while_one_of_them_is_missing() {
        let second = &comparisons()[1];
        let mut found = vec![series(Leg::uniform(BusPostgres, 256), 300, 5)];
        found.extend([32, 64].map(|clients| series(Leg::uniform(Pgbench, clients), 100, 5)));
        let verdict = second.verdict(&found, 1_000.0);
        assert_eq!(verdict.reached, None);
        assert_eq!(verdict.found, "pgbench, 128 clients was not measured: it did not take part");
        // It was there and failed: always, and then in one round only.
        let mut failed = series(Leg::uniform(Pgbench, 128), 50, 5);
        failed.trouble = Some("it ran out of connections".into());
        let turns = std::mem::replace(&mut failed.turns, vec![None; 5]);
        found.push(failed);
        let verdict = second.verdict(&found, 1_000.0);
        assert_eq!(verdict.reached, None);
        assert_eq!(verdict.found, "pgbench, 128 clients was not measured: it ran out of connections");
        found[3].turns = turns;
        found[3].turns[4] = None;
        let verdict = second.verdict(&found, 1_000.0);
        assert_eq!(verdict.reached, None);
        let told = "no ratio: 4 of the 5 rounds that it takes; pgbench, 128 clients: it ran out of connections";
        assert_eq!(verdict.found, told);
    }

    #[test]
    fn a_price_is_told_beside_the_rate() {
        let price = &prices()[0];
        let found = [series(price.of, 1_200, 5), series(price.without, 1_600, 5)];
        assert_eq!(price.found(&found), "1,200 a second; 0.75 (0.75 to 0.75) of what it is without");
        let alone = price.found(&found[..1]);
        assert_eq!(alone, "1,200 a second; bus-postgres, 32 clients was not measured: it did not take part");
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
