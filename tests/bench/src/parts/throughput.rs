//! Deposits a second, of everybody, in turns.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Bench;
use crate::contender::{Contender, System};
use crate::report::say;
use crate::requirement::{Comparison, Price, Verdict, comparisons, prices, sweep};
use crate::rounds::{Leg, Series, play};
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

impl Throughput {
    /// Whether everybody took part in every round.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let present = self.participants.iter().all(|participant| participant.took_part);
        present && self.series.iter().all(|series| series.turns.iter().all(Option::is_some))
    }

    /// Sets everybody up, and plays the rounds. Times of fsync are added to those given, some before each round.
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
        let swept = sweep().into_iter().filter(|leg| bench.arguments.wants_any(std::iter::once(leg.system)));
        let legs: BTreeSet<Leg> = comparisons
            .iter()
            .flat_map(Comparison::legs)
            .chain(prices.iter().flat_map(Price::legs))
            .chain(swept)
            .collect();
        let legs: Vec<Leg> = legs.into_iter().collect();
        let spec = bench.spec();
        let mut contenders: BTreeMap<System, Box<dyn Contender>> = BTreeMap::new();
        let mut participants = Vec::new();
        for system in legs.iter().map(|leg| leg.system).collect::<BTreeSet<_>>() {
            say(&format!("    preparing {system} with {} accounts", spec.accounts));
            let prepared = system.prepare(&bench.place, &bench.cluster, &spec).await;
            let took_part = prepared.is_ok();
            let about = match prepared {
                Ok(contender) => {
                    let about = contender.about();
                    contenders.insert(system, contender);
                    about
                }
                Err(reason) => {
                    say(&format!("    {system} does not take part: {reason}"));
                    reason
                }
            };
            participants.push(Participant { system, about, took_part });
        }
        let between = || {
            fsyncs.extend(machine::fsyncs(bench.place.scratch.path())?);
            Ok(())
        };
        let mut series = play(&mut contenders, &legs, bench.arguments.rounds, &spec, &bench.cluster, between).await?;
        for absent in participants.iter().filter(|participant| !participant.took_part) {
            let legs = series.iter_mut().filter(|series| series.leg.system == absent.system);
            legs.for_each(|series| series.trouble = Some(absent.about.clone()));
        }
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
