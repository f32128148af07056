//! Turns: each round has every leg once, in shuffled order, and what one leaves behind is done before the next begins.
//!
//! In each round everybody begins anew, with a log in which the accounts have been opened and nothing else: else whoever does
//! much in one round would have the longest log in the next, and be compared with those who have short ones. What a long log
//! costs is measured by itself ([`Storage`](crate::parts::Storage)).

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use crate::Result;
use crate::chance::Chance;
use crate::cluster::Cluster;
use crate::contender::{Contender, System};
use crate::figures::{grouped, median};
use crate::machine;
use crate::report::say;
use crate::usage::{Snapshot, Usage};
use crate::work::{Distribution, Outcome, Spec};

/// One failure among so many operations is tolerated.
const TOLERATED: u64 = 1_000;

/// A contender under certain conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Leg {
    /// Who.
    pub system: System,
    /// With how many clients.
    pub clients: u32,
    /// How operations are spread.
    pub distribution: Distribution,
}

impl Leg {
    /// A system with so many clients on all accounts alike.
    #[must_use]
    pub const fn uniform(system: System, clients: u32) -> Self {
        Self { system, clients, distribution: Distribution::Uniform }
    }

    /// A system with so many clients under another distribution.
    #[must_use]
    pub const fn spread(system: System, clients: u32, distribution: Distribution) -> Self {
        Self { system, clients, distribution }
    }
}

impl std::fmt::Display for Leg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} client{}", self.system, self.clients, if self.clients == 1 { "" } else { "s" })?;
        if self.distribution == Distribution::Uniform { Ok(()) } else { write!(f, ", {}", self.distribution) }
    }
}

/// One turn of a leg.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Turn {
    /// What it came to.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The processors that were busy, warm-up included.
    pub busy: Usage,
}

/// All turns of a leg.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// Which leg.
    #[serde(flatten)]
    pub leg: Leg,
    /// Its turns, one a round; none where it failed.
    pub turns: Vec<Option<Turn>>,
    /// What went wrong, if something did.
    pub trouble: Option<String>,
}

impl Series {
    /// A series that has not begun.
    #[must_use]
    pub fn new(leg: Leg) -> Self {
        Self { leg, turns: Vec::new(), trouble: None }
    }

    /// Operations a second in each round.
    #[must_use]
    pub fn rates(&self) -> Vec<Option<f64>> {
        self.turns.iter().map(|turn| Some(turn.as_ref()?.outcome.rate())).collect()
    }

    /// The median of a figure over the rounds.
    #[must_use]
    pub fn median_of(&self, figure: impl Fn(&Turn) -> f64) -> Option<f64> {
        median(&self.turns.iter().flatten().map(figure).collect::<Vec<_>>())
    }

    /// The median of operations a second.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.median_of(|turn| turn.outcome.rate())
    }

    /// Keeps a turn, or what went wrong with it. A turn in which operations failed is none: a failure costs a system less
    /// than the work that it was to do, or more.
    pub fn keep(&mut self, turn: Result<Turn>) {
        let turn = turn.and_then(|turn| match &turn.outcome {
            Outcome { errors, operations, first_error, .. } if *errors > operations / TOLERATED => {
                let first = first_error.as_deref().unwrap_or_default();
                Err(format!("{errors} errors beside {operations} operations, the first: {first}"))
            }
            _ => Ok(turn),
        });
        match turn {
            Ok(turn) => self.turns.push(Some(turn)),
            Err(reason) => {
                self.trouble.get_or_insert(reason);
                self.turns.push(None);
            }
        }
    }
}

/// Lets a contender have a turn, and waits until it has left nothing behind, in memory or on its way to the disk.
///
/// # Errors
/// Says what failed. What is left behind may not be done then.
pub async fn turn(contender: &mut dyn Contender, cluster: &Cluster, spec: &Spec) -> Result<Turn> {
    let snapshot = |contender: &dyn Contender| Snapshot::take(contender.process(), Some(cluster.process()));
    let (before, begun) = (snapshot(contender), Instant::now());
    let outcome = contender.run(spec).await?;
    let busy = snapshot(contender).since(&before, begun.elapsed().as_secs_f64());
    contender.settle().await?;
    machine::write_out().await?;
    Ok(Turn { outcome, busy })
}

/// Everybody in a round, or why somebody does not take part in it.
pub type Present = BTreeMap<System, Result<Box<dyn Contender>>>;

/// Plays a round: each series gets a turn.
pub async fn play(
    (round, rounds): (usize, usize),
    present: &mut Present,
    all: &mut [Series],
    spec: &Spec,
    cluster: &Cluster,
    chance: &mut Chance,
) {
    let mut order: Vec<usize> = (0..all.len()).collect();
    chance.shuffle(&mut order);
    for at in order {
        let leg = all[at].leg;
        let spec = Spec { clients: leg.clients, distribution: leg.distribution, seed: chance.bits(), ..spec.clone() };
        let turn = match present.get_mut(&leg.system) {
            Some(Ok(contender)) => turn(contender.as_mut(), cluster, &spec).await,
            Some(Err(reason)) => Err(reason.clone()),
            None => Err("it was not asked to take part".into()),
        };
        match &turn {
            Ok(turn) => say(&format!(
                "    round {round} of {rounds}  {leg:<44} {:>9}/s  p50 {:>7} us  p99 {:>7} us",
                grouped(turn.outcome.rate()),
                turn.outcome.p50_us,
                turn.outcome.p99_us,
                leg = leg.to_string(),
            )),
            Err(reason) => say(&format!("    round {round} of {rounds}  {leg}: {reason}")),
        }
        all[at].keep(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(operations: u64, errors: u64) -> Outcome {
        let first_error = (errors > 0).then(|| "no".into());
        Outcome { operations, errors, first_error, elapsed_seconds: 2.0, p50_us: 1, p99_us: 2 }
    }

    #[test]
    fn a_series_keeps_a_place_for_a_turn_that_failed_or_in_which_too_much_did() {
        let busy = Usage { bench: 0.5, contender: 0.0, database: 1.0 };
        let mut series = Series::new(Leg::uniform(System::Pgbench, 32));
        series.keep(Ok(Turn { outcome: outcome(20, 0), busy }));
        assert_eq!(series.trouble, None);
        series.keep(Err("it ended".into()));
        series.keep(Ok(Turn { outcome: outcome(40, 3), busy }));
        series.keep(Ok(Turn { outcome: outcome(4_000, 3), busy }));
        assert_eq!(series.rates(), [Some(10.0), None, None, Some(2_000.0)]);
        assert_eq!(series.rate(), Some(1_005.0));
        assert_eq!(series.trouble.as_deref(), Some("it ended"), "the first trouble is what is told");
    }
}
