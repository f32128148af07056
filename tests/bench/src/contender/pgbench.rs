//! The floor: `pgbench` inserts one row a commit into the same table, with the same indexes, in a database that Yado has
//! migrated. It decides nothing and checks nothing.

use std::fs;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use async_trait::async_trait;
use yado_store::{Options, open_events};

use super::Contender;
use crate::Result;
use crate::bank;
use crate::cluster::Cluster;
use crate::histogram::Histogram;
use crate::machine::says;
use crate::place::Place;
use crate::work::{Distribution, Outcome, Spec};

/// Every row has a position of its own, in order, as in the log. Its revision is the same number, which makes it distinct
/// within its stream. Streams are spread as the bank's are.
const INSERT: &str = "\
\\set account random(0, :accounts - 1)
insert into events (position, tenant, stream, revision, name, version, payload, recorded_at, command_id, plugin)
values (nextval('bench_position'), 'default', 'Account-account-' || :account, currval('bench_position'), 'Deposited', 1,
    :payload, now(), gen_random_uuid(), 1);
";

/// One of so many transactions is logged, for percentiles. Logging all of them would slow it down.
const SAMPLED: f64 = 0.05;
/// Threads that pgbench uses.
const THREADS: u32 = 2;

/// Scripts that pgbench runs again and again, each as often as any other, and the database in which it does.
pub(crate) struct Scripts {
    folder: PathBuf,
    files: Vec<String>,
    database: String,
    program: PathBuf,
    version: String,
    turns: u32,
}

impl Scripts {
    /// Writes them into a folder of their own.
    pub(crate) fn write(place: &Place, cluster: &Cluster, name: &str, database: String, all: &[&str]) -> Result<Self> {
        let program: PathBuf = cluster.program("pgbench").as_std().get_program().into();
        let version = says(Process::new(&program).arg("--version"));
        let version = version.ok_or("pgbench is not installed (on Debian it is in the package postgresql-contrib)")?;
        let folder = place.folder(name)?;
        let mut files = Vec::new();
        for (number, sql) in all.iter().enumerate() {
            let name = format!("script-{number}.sql");
            let file = folder.join(&name);
            fs::write(&file, sql).map_err(|error| format!("{} can't be written: {error}", file.display()))?;
            files.push(name);
        }
        Ok(Self { folder, files, database, program, version, turns: 0 })
    }

    /// Runs them for as long as a turn lasts. What has been done within the warm-up is taken off: every client prepares
    /// every statement then, which all others have done before their turns.
    pub(crate) async fn run(&mut self, spec: &Spec, variables: &[(&str, String)]) -> Result<Outcome> {
        self.turns += 1;
        // It takes whole seconds only.
        let [warm_up, seconds] = [spec.warm_up_seconds, spec.seconds].map(|seconds| seconds.round().max(1.0));
        let log = format!("turn-{}", self.turns);
        let mut command = tokio::process::Command::new(&self.program);
        command.current_dir(&self.folder).args(["--no-vacuum", "--protocol=prepared"]);
        command.args(self.files.iter().map(|file| format!("--file={file}")));
        command.arg(format!("--client={}", spec.clients)).arg(format!("--jobs={}", THREADS.min(spec.clients)));
        command.arg(format!("--time={}", warm_up + seconds)).arg(format!("--progress={warm_up}"));
        command.args(variables.iter().map(|(name, value)| format!("--define={name}={value}")));
        command.arg(format!("--random-seed={}", spec.seed));
        command.args(["--log", &format!("--log-prefix={log}"), &format!("--sampling-rate={SAMPLED}")]);
        command.arg(&self.database).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.map_err(|error| format!("pgbench can't be started: {error}"))?;
        let [report, progress] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
        if !output.status.success() {
            return Err(format!("pgbench failed: {}", progress.trim()));
        }
        let took = latencies(&self.folder, &format!("{log}."), warm_up)?;
        outcome(&report, &progress, &took)
            .ok_or_else(|| format!("pgbench's report is not understood: {report}{progress}"))
    }
}

/// `pgbench` that inserts, and its database.
pub(super) struct Pgbench {
    script: Scripts,
}

impl Pgbench {
    pub(super) async fn prepare(place: &Place, cluster: &Cluster, _: &Spec) -> Result<Self> {
        let database = cluster.database().await;
        // Yado's own migrations make the table.
        let events = open_events(&database, &Options::default()).await.map_err(|error| error.to_string())?;
        events.close().await;
        cluster.query(&database, "create sequence bench_position").await?;
        Ok(Self { script: Scripts::write(place, cluster, "pgbench", database, &[INSERT])? })
    }
}

#[async_trait]
impl Contender for Pgbench {
    async fn run(&mut self, spec: &Spec) -> Result<Outcome> {
        if spec.distribution != Distribution::Uniform {
            return Err("it inserts into all streams alike and no other way".into());
        }
        let payload = bank::deposited(&bank::reference(spec.payload_bytes));
        self.script.run(spec, &[("accounts", spec.accounts.to_string()), ("payload", payload)]).await
    }

    fn about(&self) -> String {
        let version = &self.script.version;
        format!("{version}; --protocol=prepared, one insert a transaction, {THREADS} threads")
    }
}

/// What its report says of all the time, less what the first line of its progress says of the warm-up.
fn outcome(report: &str, progress: &str, took: &Histogram) -> Option<Outcome> {
    let after = |key: &str| report.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let number = |text: &str| text.split_whitespace().next()?.parse::<f64>().ok();
    let operations = number(after("number of transactions actually processed:")?)?;
    let elapsed_seconds = operations / number(after("tps =")?)?;
    let failed = after("number of failed transactions:").and_then(number).unwrap_or_default();
    let mut warm_up = progress.lines().find_map(|line| line.strip_prefix("progress:"))?.split(',');
    let warm_up_seconds = number(warm_up.next()?)?;
    let within_warm_up = number(warm_up.next()?)? * warm_up_seconds;
    Some(Outcome {
        operations: (operations - within_warm_up).max(0.0) as u64,
        errors: failed as u64,
        first_error: (failed > 0.0).then(|| "pgbench reports failed transactions".into()),
        elapsed_seconds: elapsed_seconds - warm_up_seconds,
        p50_us: took.percentile(0.5),
        p99_us: took.percentile(0.99),
    })
}

/// Its logs have a line a transaction: client, number, microseconds, script, and when it ended, in seconds and microseconds.
/// Those that began within the warm-up don't count.
fn latencies(folder: &std::path::Path, prefix: &str, warm_up_seconds: f64) -> Result<Histogram> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    let failed = |error: std::io::Error| format!("{} can't be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)) {
            all.extend(fs::read_to_string(&path).map_err(failed)?.lines().filter_map(transaction));
        }
    }
    let begun = all.iter().map(|(begun, _)| *begun).min().unwrap_or_default();
    let counts_from = begun + (warm_up_seconds * 1_000_000.0) as u64;
    let mut took = Histogram::default();
    all.iter().filter(|(begun, _)| *begun >= counts_from).for_each(|(_, us)| took.record_us(*us));
    Ok(took)
}

/// When a transaction began, and how long it took, in microseconds.
fn transaction(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split(' ').skip(2).map(|field| field.parse::<u64>().ok());
    let (took, _, seconds, us) = (fields.next()??, fields.next()??, fields.next()??, fields.next()??);
    Some(((seconds * 1_000_000 + us).checked_sub(took)?, took))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_read_and_the_warm_up_taken_off() {
        let report = "transaction type: multiple scripts\nnumber of transactions actually processed: 24000\n\
            number of failed transactions: 0 (0.000%)\nlatency average = 3.8 ms\n\
            tps = 8000.0 (without initial connection time)\nSQL script 1: script-0.sql\n - 9000 transactions (tps = 4500.0)\n";
        let progress = "progress: 1.0 s, 6000.0 tps, lat 4.0 ms stddev 1.0, 0 failed\n\
            progress: 2.0 s, 9000.0 tps, lat 3.6 ms stddev 1.0, 0 failed\n";
        let outcome = outcome(report, progress, &Histogram::default()).unwrap();
        assert_eq!((outcome.operations, outcome.errors), (18_000, 0));
        assert!((outcome.rate() - 9_000.0).abs() < 0.01);
        assert!(super::outcome("", progress, &Histogram::default()).is_none());
        assert!(super::outcome(report, "", &Histogram::default()).is_none());
    }

    #[test]
    fn the_logs_of_all_threads_are_read_and_those_of_other_turns_and_of_the_warm_up_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("turn-1.77", "0 1 9000 0 1700000000 9000\n1 1 1000 0 1700000001 900\n1 1 1000 0 1700000001 2000\n");
        write("turn-1.77.1", "2 1 1000 0 1700000002 0\n");
        write("turn-10.78", "2 1 5 0 1700000003 0\n");
        let took = latencies(folder.path(), "turn-1.", 1.0).unwrap();
        assert_eq!((took.total(), took.percentile(0.01)), (2, took.percentile(1.0)));
    }
}
