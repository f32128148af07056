//! The lines of JSON that a peer reads and prints. Nothing else goes to standard output.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

/// Printed once, when the accounts are open.
#[derive(Debug, Serialize)]
pub(crate) struct Ready<'a> {
    pub(crate) ready: bool,
    pub(crate) version: &'a str,
    pub(crate) settings: &'a str,
    pub(crate) url: Option<&'a str>,
}

/// Printed instead, when the peer can't do its work here.
#[derive(Debug, Serialize)]
pub(crate) struct NotReady {
    pub(crate) ready: bool,
    pub(crate) reason: String,
}

/// What to do in a round.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Spec {
    pub(crate) clients: usize,
    pub(crate) warm_up_seconds: f64,
    pub(crate) seconds: f64,
    pub(crate) distribution: Distribution,
    pub(crate) accounts: u32,
    pub(crate) payload_bytes: usize,
    pub(crate) seed: u64,
}

/// Which accounts are taken how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Distribution {
    /// All alike.
    Uniform,
    /// That of rank r with a probability proportional to 1/r.
    Zipf,
    /// The first, always.
    Hot,
}

/// What came of a round.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) operations: usize,
    pub(crate) errors: u64,
    pub(crate) first_error: Option<String>,
    pub(crate) elapsed_seconds: f64,
    pub(crate) p50_us: Option<u32>,
    pub(crate) p99_us: Option<u32>,
    pub(crate) cpu_seconds: Option<f64>,
}

/// Printed for a round that could not be carried out.
#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    pub(crate) failed: String,
}

/// Prints a line.
pub(crate) fn say(line: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    out.write_all(b"\n")?;
    out.flush()
}
