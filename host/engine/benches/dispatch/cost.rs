//! What a stretch of time has cost: processor's time in all and by thread, as Linux counts it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Linux counts in hundredths of a second, whatever the kernel's own clock does.
const TICK: Duration = Duration::from_millis(10);

pub(crate) struct Cost {
    at: Instant,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    /// By the name of the threads.
    threads: BTreeMap<String, Duration>,
}

impl Cost {
    /// What has been spent up to now.
    pub(crate) fn now() -> Self {
        let mut threads = BTreeMap::<String, Duration>::new();
        for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            // A thread may end while it is looked at.
            if let Some((name, cpu)) = std::fs::read_to_string(task.path().join("stat")).ok().as_deref().and_then(spent)
            {
                *threads.entry(name).or_default() += cpu;
            }
        }
        let process = std::fs::read_to_string("/proc/self/stat").ok();
        let cpu = process.as_deref().and_then(spent).map(|(_, cpu)| cpu).unwrap_or_default();
        Self { at: Instant::now(), wall: Duration::ZERO, cpu, threads }
    }

    /// What has been spent since.
    pub(crate) fn since(mut self, before: &Self) -> Self {
        self.wall = self.at - before.at;
        self.cpu -= before.cpu;
        for (name, cpu) in &mut self.threads {
            *cpu = cpu.saturating_sub(before.threads.get(name).copied().unwrap_or_default());
        }
        self
    }

    /// Microseconds for a command, by thread, where there were any.
    pub(crate) fn threads(&self, commands: u64) -> String {
        let listed = self.threads.iter().map(|(name, cpu)| (name, cpu.as_secs_f64() * 1e6 / commands as f64));
        let listed = listed.filter(|(_, us)| *us >= 0.01).map(|(name, us)| format!("{name} {us:.2}"));
        listed.collect::<Vec<_>>().join(", ")
    }
}

/// Name and processor's time from a `stat` of proc(5). The name stands in parentheses, and its numbers are left out, so
/// that the threads of a pool count as one.
fn spent(stat: &str) -> Option<(String, Duration)> {
    let (head, tail) = stat.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let fields: Vec<&str> = tail.split(' ').collect();
    let ticks = fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?;
    Some((name.to_owned(), TICK * ticks))
}

/// Memory of the process that is in use, in bytes.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}
