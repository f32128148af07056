//! Deposits a second, of everybody, in turns.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Bench;
use crate::chance::Chance;
use crate::contender::{Contender, System};
use crate::report::say;
use crate::requirement::{Comparison, Price, Verdict, comparisons, prices, sweep};
use crate::rounds::{Leg, Present, Series, play};
use crate::{Result, machine};

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Throughput {
    /// Who took part, and who could not.
    pub participants: Vec<Participant>,
    /// What each leg did.
    pub series: Vec<Series>,
    /// The comparisons that were asked for.
    #[serde(skip)]
    comparisons: Vec<Comparison>,
    /// The prices that were asked for.
    #[serde(skip)]
    prices: Vec<Price>,
}

/// A system that was to take part.
#[derive(Debug, Clone, Serialize)]
pub struct Participant {
    /// Which.
    pub system: System,
    /// Its version and the settings that matter; or why it did not take part.
    pub about: String,
    /// Whether it took part.
    pub took_part: bool,
}

impl Participant {
    fn of(system: System, prepared: &Result<Box<dyn Contender>>) -> Self {
        let took_part = prepared.is_ok();
        let about = prepared.as_ref().map_or_else(Clone::clone, |contender| contender.about());
        Self { system, about, took_part }
    }
}

impl Throughput {
    /// Whether everybody took part in every round.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let present = self.participants.iter().all(|participant| participant.took_part);
        present && self.series.iter().all(|series| series.turns.iter().all(Option::is_some))
    }

    /// Sets everybody up for each round, and plays it. Times of fsync are added to those given, some before each round.
    ///
    /// # Errors
    /// When nothing can be measured here. A system that fails is told of in the result.
    pub async fn measure(bench: &Bench, fsyncs: &mut Vec<f64>) -> Result<Self> {
        let comparisons: Vec<_> = comparisons()
            .into_iter()
            .filter(|comparison| bench.arguments.wants_any(comparison.legs().map(|leg| leg.system)))
            .collect();
        let prices: Vec<_> = prices()
            .into_iter()
            .filter(|price| bench.arguments.wants_any(price.legs().map(|leg| leg.system)))
            .collect();
        let compared: BTreeSet<Leg> =
            comparisons.iter().flat_map(Comparison::legs).chain(prices.iter().flat_map(Price::legs)).collect();
        let swept = sweep().into_iter().filter(|leg| bench.arguments.wants_any(std::iter::once(leg.system)));
        let swept: BTreeSet<Leg> = swept.filter(|leg| !compared.contains(leg)).collect();
        let spec = bench.spec();
        let systems: BTreeSet<System> = compared.iter().chain(&swept).map(|leg| leg.system).collect();
        let (mut compared, mut swept) =
            (compared.into_iter().map(Series::new).collect::<Vec<_>>(), swept.into_iter().map(Series::new).collect());
        let mut participants = BTreeMap::new();
        let (mut chance, rounds) = (Chance::new(spec.seed), bench.arguments.rounds);
        let kept = bench.cluster.database().await;
        for round in 1..=rounds {
            fsyncs.extend(machine::fsyncs(bench.place.scratch.path())?);
            say(&format!("    round {round} of {rounds}  everybody opens {} accounts", spec.accounts));
            let mut present = Present::new();
            for system in &systems {
                let prepared = system.prepare(&bench.place, &bench.cluster, &spec).await;
                let participant = Participant::of(*system, &prepared);
                if !participant.took_part {
                    say(&format!("    {system} does not take part: {}", participant.about));
                }
                // Who stays away from one round is shown as somebody who did not take part.
                let shown = participants.entry(*system).or_insert_with(|| participant.clone());
                if !participant.took_part {
                    *shown = participant;
                }
                present.insert(*system, prepared);
            }
            machine::write_out().await?;
            // What is compared comes first: a system that is measured in many ways would otherwise have a longer log by then
            // than one that is measured in one.
            for series in [&mut compared, &mut swept] {
                play((round, rounds), &mut present, series, &spec, &bench.cluster, &mut chance).await;
            }
            for contender in present.into_values().flatten() {
                contender.stop().await;
            }
            bench.cluster.drop_all_but(&kept).await?;
        }
        let participants = participants.into_values().collect();
        let mut series: Vec<Series> = compared.into_iter().chain(swept).collect();
        series.sort_by_key(|series| series.leg);
        Ok(Self { participants, series, comparisons, prices })
    }

    /// What is reached.
    #[must_use]
    pub fn verdicts(&self, fsync_us: f64) -> Vec<Verdict> {
        self.comparisons.iter().map(|comparison| comparison.verdict(&self.series, fsync_us)).collect()
    }

    /// What it costs to do more than is compared: each thing, and what came of it.
    pub fn prices(&self) -> impl Iterator<Item = (&str, String)> {
        self.prices.iter().map(|price| (price.what, price.found(&self.series)))
    }
}
