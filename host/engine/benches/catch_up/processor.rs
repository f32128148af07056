//! How long processes have had a processor.

use std::fs;
use std::path::Path;

/// Clock ticks of a second, in which the kernel counts for everybody.
const TICKS: f64 = 100.0;

/// Seconds of processor time so far.
pub(crate) struct Processor {
    pub(crate) ours: f64,
    pub(crate) database: f64,
}

impl Processor {
    /// Of this process, and of the cluster whose folder is given.
    pub(crate) fn now(cluster: Option<&str>) -> Self {
        let ours = stat("self").map_or(0.0, |stat| stat.seconds);
        Self { ours, database: cluster.map_or(0.0, cluster_seconds) }
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        Self { ours: self.ours - before.ours, database: self.database - before.database }
    }
}

/// The postmaster, those of its children that have ended, and those that have not.
fn cluster_seconds(folder: &str) -> f64 {
    let pid = fs::read_to_string(Path::new(folder).join("data/postmaster.pid")).unwrap_or_default();
    let postmaster = pid.lines().next().unwrap_or_default().trim().to_owned();
    let Some(own) = stat(&postmaster) else { return 0.0 };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let children = processes
        .filter_map(|entry| stat(&entry.file_name().to_string_lossy()))
        .filter(|stat| stat.parent == postmaster)
        .map(|stat| stat.seconds);
    own.seconds + own.of_ended_children + children.sum::<f64>()
}

struct Stat {
    parent: String,
    seconds: f64,
    of_ended_children: f64,
}

fn stat(pid: &str) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses, and may hold anything.
    let fields: Vec<_> = text.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default() / TICKS;
    Some(Stat {
        parent: fields.get(1)?.to_string(),
        seconds: ticks(11) + ticks(12),
        of_ended_children: ticks(13) + ticks(14),
    })
}
