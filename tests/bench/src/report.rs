//! What is told: lines while it goes on, tables in the end, and the files of the last whole run.

mod chart;
mod readme;
mod table;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::machine::Machine;
use crate::parts::{CatchUp, Lag, Memory, Reads, Rebuild, Sockets, Storage, Throughput};
use crate::requirement::Verdict;
use crate::work::Spec;
use crate::{Result, place};

pub use chart::chart;
pub use table::{markdown, terminal};

/// Writes a line to standard output. Nobody may be reading any more, and that is no reason to stop.
pub fn say(line: &str) {
    let mut output = io::stdout().lock();
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

/// All that was measured, and where.
#[derive(Debug, Serialize)]
pub struct Report {
    /// When it began.
    pub begun_at: String,
    /// The project's commit; with a plus where files were changed since.
    pub commit: String,
    /// The machine.
    pub machine: Machine,
    /// PostgreSQL's version.
    pub postgres: String,
    /// What differs from its defaults.
    pub postgres_settings: Vec<String>,
    /// What an fsync of 8 KB costs on the disk that was measured, in microseconds, the median.
    pub fsync_us: f64,
    /// How many rounds there were.
    pub rounds: usize,
    /// What turns have in common.
    pub spec: Spec,
    /// Whether everything was measured as it is meant to be.
    pub whole: bool,
    /// Whether requirements are reached.
    pub verdicts: Vec<Verdict>,
    /// Deposits a second.
    pub throughput: Option<Throughput>,
    /// Catching up.
    pub catch_up: Option<CatchUp>,
    /// Filling anew what serves.
    pub rebuild: Option<Rebuild>,
    /// From command to row.
    pub lag: Option<Lag>,
    /// Pages of rows.
    pub reads: Option<Reads>,
    /// Many that follow what happens.
    pub sockets: Option<Sockets>,
    /// Memory.
    pub memory: Vec<Memory>,
    /// Long logs.
    pub storage: Vec<Storage>,
    /// Parts that failed as a whole, and why.
    pub failed: Vec<String>,
}

impl Report {
    /// All of it as JSON.
    ///
    /// # Errors
    /// Never, as long as figures are numbers.
    pub fn json(&self) -> Result<String> {
        let json = serde_json::to_string_pretty(self).map_err(|error| format!("the result is no JSON: {error}"))?;
        Ok(json + "\n")
    }

    /// Writes the files into a folder.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        place::make(folder)?;
        write(&folder.join("result.json"), &self.json()?)?;
        write(&folder.join("table.md"), &markdown(self))?;
        write(&folder.join("chart.svg"), &chart(self))
    }

    /// Puts the short form into the README.
    ///
    /// # Errors
    /// When the README has no place for it, or can't be written.
    pub fn show(&self, readme: &Path) -> Result<()> {
        let text =
            fs::read_to_string(readme).map_err(|error| format!("{} can't be read: {error}", readme.display()))?;
        let text =
            readme::put(&text, &readme::section(self)).map_err(|reason| format!("{}: {reason}", readme.display()))?;
        write(readme, &text)
    }
}

/// Writes a file whole.
///
/// # Errors
/// When it can't be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("{} can't be written: {error}", path.display()))
}
