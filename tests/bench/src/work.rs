//! What a contender is told to do, and what it answers: the lines of the contract.

use serde::{Deserialize, Serialize};

/// How operations are spread over accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// All alike.
    Uniform,
    /// The account of rank r with a probability proportional to 1/r.
    Zipf,
    /// Always the first.
    Hot,
}

impl std::fmt::Display for Distribution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Zipf => "Zipf",
            Self::Hot => "one account",
        })
    }
}

/// One turn of a contender.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// How many operations are under way at a time.
    pub clients: u32,
    /// How long to go on before it counts.
    pub warm_up_seconds: f64,
    /// How long it counts.
    pub seconds: f64,
    /// How operations are spread over accounts.
    pub distribution: Distribution,
    /// How many accounts there are.
    pub accounts: u32,
    /// How large an event's payload is.
    pub payload_bytes: u32,
    /// What the choice of accounts begins with.
    pub seed: u64,
}

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Operations acknowledged within the time that counts.
    pub operations: u64,
    /// Operations that failed.
    pub errors: u64,
    /// What the first of those said.
    pub first_error: Option<String>,
    /// The time that counted, as it really was.
    pub elapsed_seconds: f64,
    /// Half of the operations took no longer, in microseconds.
    pub p50_us: u64,
    /// 99 of a hundred operations took no longer, in microseconds.
    pub p99_us: u64,
}

impl Outcome {
    /// Operations a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.elapsed_seconds > 0.0 { self.operations as f64 / self.elapsed_seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_those_of_the_contract() {
        let spec = Spec {
            clients: 32,
            warm_up_seconds: 1.0,
            seconds: 5.0,
            distribution: Distribution::Uniform,
            accounts: 10_000,
            payload_bytes: 200,
            seed: 42,
        };
        let outcome = Outcome {
            operations: 81_234,
            errors: 0,
            first_error: None,
            elapsed_seconds: 5.0,
            p50_us: 1_800,
            p99_us: 4_200,
        };
        let contract = include_str!("../CONTRACT.md").replace(": ", ":").replace(", ", ",");
        for line in [serde_json::to_string(&spec).unwrap(), serde_json::to_string(&outcome).unwrap()] {
            assert!(contract.contains(&line), "the contract has no line {line}");
        }
        assert!((outcome.rate() - 16_246.8).abs() < 0.1);
    }
}
