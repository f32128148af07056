//! What processes use up, as Linux counts it: processor time over a process and all that descend from it, and memory.

use std::collections::HashMap;
use std::fs;

use serde::Serialize;

use crate::Result;

/// Linux counts processor time for user programs in hundredths of a second, whatever its own clock does.
const TICKS_A_SECOND: f64 = 100.0;

/// The processors that were busy, on average: 1.5 is one and a half of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Usage {
    /// For the bench itself: it makes the load, and holds the contenders that run in process.
    pub bench: f64,
    /// For the contender's own processes; zero for one that runs in process.
    pub contender: f64,
    /// For PostgreSQL.
    pub database: f64,
}

/// Processor time used so far, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot {
    bench: f64,
    contender: f64,
    database: f64,
}

impl Snapshot {
    /// Takes one. A contender without a process of its own may start some that end: those are counted when they have.
    #[must_use]
    pub fn take(contender: Option<u32>, database: Option<u32>) -> Self {
        let processes = processes();
        let own = processes.get(&std::process::id()).copied().unwrap_or_default();
        let of = |root: Option<u32>| root.map_or(0.0, |root| family(&processes, root));
        Self {
            bench: own.seconds,
            contender: if contender.is_some() { of(contender) } else { own.ended_children },
            database: of(database),
        }
    }

    /// What was used since an earlier one, over so many seconds.
    #[must_use]
    pub fn since(&self, earlier: &Self, seconds: f64) -> Usage {
        let busy = |now: f64, then: f64| ((now - then) / seconds).max(0.0);
        Usage {
            bench: busy(self.bench, earlier.bench),
            contender: busy(self.contender, earlier.contender),
            database: busy(self.database, earlier.database),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Process {
    parent: u32,
    seconds: f64,
    ended_children: f64,
}

fn processes() -> HashMap<u32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            // It may have ended since it was listed.
            Some((id, parse(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect()
}

/// What `/proc/<id>/stat` says. The name of the program stands in parentheses and may contain anything.
fn parse(stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let seconds = |at: usize| Some(fields.get(at)?.parse::<f64>().ok()? / TICKS_A_SECOND);
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        seconds: seconds(11)? + seconds(12)?,
        ended_children: seconds(13)? + seconds(14)?,
    })
}

fn family(processes: &HashMap<u32, Process>, root: u32) -> f64 {
    let mut sum = 0.0;
    let mut waiting = vec![root];
    while let Some(id) = waiting.pop() {
        if let Some(process) = processes.get(&id) {
            sum += process.seconds + process.ended_children;
            waiting.extend(processes.iter().filter(|(_, other)| other.parent == id).map(|(child, _)| *child));
        }
    }
    sum
}

/// The memory of a process that is in use, in bytes: its resident set.
///
/// # Errors
/// When the process has ended.
pub fn resident_bytes(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("{path} can't be read: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map(|kilobytes| kilobytes * 1024).ok_or_else(|| format!("{path} does not say VmRSS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let stat = "12 (odd) name (x) S 7 12 12 0 -1 4194560 1 0 0 0 250 50 100 0 20 0 1 0 5";
        assert_eq!(parse(stat), Some(Process { parent: 7, seconds: 3.0, ended_children: 1.0 }));
        assert_eq!(parse("12 (x"), None);
    }

    #[test]
    fn a_family_is_a_process_and_all_that_descend_from_it() {
        let process = |parent, seconds| Process { parent, seconds, ended_children: 0.5 };
        let all = HashMap::from([
            (1, process(0, 100.0)),
            (2, process(1, 1.0)),
            (3, process(2, 2.0)),
            (4, process(3, 4.0)),
            (5, process(1, 8.0)),
        ]);
        assert!((family(&all, 2) - 8.5).abs() < 1e-9);
        assert!(family(&all, 99).abs() < 1e-9);
    }

    #[test]
    fn this_process_is_among_all() {
        assert!(processes().contains_key(&std::process::id()));
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
    }
}
