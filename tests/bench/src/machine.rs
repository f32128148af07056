//! The machine that a result was measured on, and what its disk takes to make a write durable.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde::Serialize;

use crate::Result;

/// What PostgreSQL's log writes at least.
const PAGE: usize = 8 * 1024;
/// The file is written before, as PostgreSQL's log is: growing it would cost more than writing.
const PAGES: usize = 2_048;
/// Writes to measure.
const WRITES: usize = 200;

/// The machine, in a few words each.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's model.
    pub processor: String,
    /// How many processors this run may use.
    pub cores: usize,
    /// Its memory, in bytes.
    pub memory_bytes: u64,
    /// The operating system's kernel.
    pub kernel: String,
    /// The file system that is measured on.
    pub file_system: String,
}

impl Machine {
    /// Describes this one; what is not known is called so.
    #[must_use]
    pub fn here(folder: &Path) -> Self {
        let unknown = || "unknown".to_owned();
        let after_colon = |file: &str, key: &str| {
            let text = fs::read_to_string(file).ok()?;
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = after_colon("/proc/meminfo", "MemTotal");
        let memory = memory.and_then(|text| text.trim_end_matches("kB").trim().parse::<u64>().ok());
        Self {
            processor: after_colon("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_bytes: memory.unwrap_or_default() * 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |text| text.trim().into()),
            file_system: file_system(folder).unwrap_or_else(unknown),
        }
    }
}

/// The file system of a folder: the longest of the mount points above it.
fn file_system(folder: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let folder = folder.canonicalize().ok()?;
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        folder.starts_with(point).then_some((point.len(), kind))
    });
    above.max_by_key(|(length, _)| *length).map(|(_, kind)| kind.to_owned())
}

/// Writes 8 KB and makes them durable, again and again; says how long each took, in microseconds.
///
/// # Errors
/// When the folder can't be written to.
pub fn fsyncs(folder: &Path) -> Result<Vec<f64>> {
    let path = folder.join("fsync");
    let failed = |error: std::io::Error| format!("{} can't be written: {error}", path.display());
    let page = [7_u8; PAGE];
    let file = File::create(&path).map_err(failed)?;
    for at in 0..PAGES {
        file.write_all_at(&page, (at * PAGE) as u64).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    let mut took = Vec::with_capacity(WRITES);
    for at in 0..WRITES {
        let begun = Instant::now();
        file.write_all_at(&page, ((at % PAGES) * PAGE) as u64).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        took.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    fs::remove_file(&path).map_err(failed)?;
    Ok(took)
}

/// Waits until the system has written to its disks what it only holds in memory, so that it does not do so in the next turn.
///
/// # Errors
/// When it can't be asked to.
pub async fn write_out() -> Result<()> {
    let status = tokio::process::Command::new("sync").status().await;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("sync ended with {status}")),
        Err(error) => Err(format!("sync can't be started: {error}")),
    }
}

/// The first line that a program prints, if it runs and succeeds.
#[must_use]
pub fn says(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_asked_as_often_as_promised() {
        let folder = tempfile::tempdir().unwrap();
        let took = fsyncs(folder.path()).unwrap();
        assert_eq!(took.len(), WRITES);
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "the file is gone again");
    }

    #[test]
    fn a_folder_lies_on_a_file_system() {
        assert!(file_system(Path::new("/proc")).is_some_and(|kind| kind == "proc"));
    }
}
