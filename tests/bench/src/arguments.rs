//! What the bench is asked to do.

use std::path::PathBuf;

use crate::Result;
use crate::contender::System;

/// How to call it.
pub const USAGE: &str = "\
cargo xtask bench [FLAG…]

    --only PART     only this part: throughput, catch-up, rebuild, lag, reads, sockets, memory or storage; or only the
                    comparisons of throughput in which a system takes part (such as bus-postgres or umadb). May be given
                    several times
    --rounds N      so many rounds; by default 5, and fewer make no ratios
    --seconds S     how long a contender's turn counts; by default 5, and a result from under 2 stays out of the README
    --seed N        what shuffling and the choice of accounts begin with; by default a new one
    --json FILE     write all figures there, too
    --quick         one short round of everything: whether it works, and no more than that";

/// Seconds that a turn has to last for a result that is shown to others.
const SHORTEST_TURN: f64 = 2.0;

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Deposits a second, of everybody.
    Throughput,
    /// How fast a read model is filled from a long log.
    CatchUp,
    /// How fast a read model is filled anew while it is read.
    Rebuild,
    /// How long it takes from a command to a row that shows it.
    Lag,
    /// Pages of rows with what they are related to.
    Reads,
    /// Many that follow what happens.
    Sockets,
    /// Memory with many accounts in it.
    Memory,
    /// How much a long log slows down.
    Storage,
}

impl Part {
    const ALL: [(&'static str, Self); 8] = [
        ("throughput", Self::Throughput),
        ("catch-up", Self::CatchUp),
        ("rebuild", Self::Rebuild),
        ("lag", Self::Lag),
        ("reads", Self::Reads),
        ("sockets", Self::Sockets),
        ("memory", Self::Memory),
        ("storage", Self::Storage),
    ];
}

/// What the bench is asked to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    /// The parts to do; none means all.
    pub parts: Vec<Part>,
    /// The systems whose comparisons to make; none means all.
    pub systems: Vec<System>,
    /// How many rounds.
    pub rounds: usize,
    /// How long a turn counts.
    pub seconds: f64,
    /// Where chance begins.
    pub seed: u64,
    /// Where to write all figures, too.
    pub json: Option<PathBuf>,
    /// Whether it only has to work.
    pub quick: bool,
}

impl Arguments {
    /// Reads the command line.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(arguments: impl IntoIterator<Item = String>, fresh_seed: u64) -> Result<Self> {
        let mut arguments = arguments.into_iter();
        let all = arguments.by_ref().collect::<Vec<_>>();
        let quick = all.iter().any(|argument| argument == "--quick");
        let (rounds, seconds) = if quick { (1, 1.0) } else { (5, 5.0) };
        let mut parsed =
            Self { parts: Vec::new(), systems: Vec::new(), rounds, seconds, seed: fresh_seed, json: None, quick };
        let mut rest = all.into_iter();
        while let Some(flag) = rest.next() {
            let mut value = || rest.next().ok_or_else(|| format!("{flag} wants a value\n\n{USAGE}"));
            match flag.as_str() {
                "--quick" => {}
                "--only" => parsed.only(&value()?)?,
                "--rounds" => parsed.rounds = number(&flag, &value()?, 1_000)? as usize,
                "--seconds" => parsed.seconds = number(&flag, &value()?, 3_600)? as f64,
                "--seed" => parsed.seed = number(&flag, &value()?, u64::MAX)?,
                "--json" => parsed.json = Some(value()?.into()),
                _ => return Err(format!("there is no {flag}\n\n{USAGE}")),
            }
        }
        if parsed.quick && parsed.rounds >= crate::figures::ROUNDS_FOR_A_RATIO {
            return Err(format!("--quick is too short for {} rounds that could be compared\n\n{USAGE}", parsed.rounds));
        }
        Ok(parsed)
    }

    fn only(&mut self, name: &str) -> Result<()> {
        if let Some((_, part)) = Part::ALL.iter().find(|(part, _)| *part == name) {
            self.parts.push(*part);
        } else if let Some(system) = System::ALL.iter().find(|system| system.name() == name) {
            self.systems.push(*system);
        } else {
            let parts = Part::ALL.map(|(name, _)| name).join(", ");
            let systems = System::ALL.map(System::name).join(", ");
            return Err(format!("there is no part {name}; there are {parts}, and the systems {systems}"));
        }
        Ok(())
    }

    /// Whether a part is asked for.
    #[must_use]
    pub fn wants(&self, part: Part) -> bool {
        let all = self.parts.is_empty() && self.systems.is_empty();
        all || self.parts.contains(&part) || (part == Part::Throughput && !self.systems.is_empty())
    }

    /// Whether a comparison of these systems is asked for.
    #[must_use]
    pub fn wants_any(&self, mut systems: impl Iterator<Item = System>) -> bool {
        self.systems.is_empty() || systems.any(|system| self.systems.contains(&system))
    }

    /// Whether everything is measured as it is meant to be, so that the result may be shown to others.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let all = self.parts.is_empty() && self.systems.is_empty();
        all && !self.quick && self.rounds >= crate::figures::ROUNDS_FOR_A_RATIO && self.seconds >= SHORTEST_TURN
    }
}

fn number(flag: &str, text: &str, most: u64) -> Result<u64> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("{flag} wants a whole number from 1 to {most}, not {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments> {
        Arguments::parse(line.split_whitespace().map(str::to_owned), 9)
    }

    #[test]
    fn without_flags_everything_is_measured() {
        let all = parse("").unwrap();
        assert!(all.is_whole() && Part::ALL.iter().all(|(_, part)| all.wants(*part)));
        assert_eq!((all.rounds, all.seed), (5, 9));
    }

    #[test]
    fn what_is_not_measured_as_it_is_meant_to_be_is_no_whole_result() {
        for line in ["--quick", "--rounds 4", "--seconds 1", "--only lag", "--only umadb"] {
            assert!(!parse(line).unwrap().is_whole(), "{line}");
        }
    }

    #[test]
    fn a_part_or_a_system_may_be_asked_for() {
        let lag = parse("--only lag --only memory").unwrap();
        assert!(lag.wants(Part::Lag) && lag.wants(Part::Memory) && !lag.wants(Part::Throughput));
        let umadb = parse("--only umadb").unwrap();
        assert!(umadb.wants(Part::Throughput) && !umadb.wants(Part::Lag));
        assert!(umadb.wants_any([System::Pgbench, System::Umadb].into_iter()));
        assert!(!umadb.wants_any([System::Pgbench].into_iter()));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["--fast", "--only nothing", "--rounds", "--rounds 0", "--seconds x"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
