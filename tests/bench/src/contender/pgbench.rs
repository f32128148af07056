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

/// A script that pgbench runs again and again, and the database in which it does.
pub(crate) struct Script {
    folder: PathBuf,
    database: String,
    program: PathBuf,
    version: String,
    turns: u32,
}

impl Script {
    /// Writes it into a folder of its own.
    pub(crate) fn write(place: &Place, cluster: &Cluster, name: &str, database: String, sql: &str) -> Result<Self> {
        let program: PathBuf = cluster.program("pgbench").as_std().get_program().into();
        let version = says(Process::new(&program).arg("--version"));
        let version = version.ok_or("pgbench is not installed (on Debian it is in the package postgresql-contrib)")?;
        let folder = place.folder(name)?;
        let file = folder.join("script.sql");
        fs::write(&file, sql).map_err(|error| format!("{} can't be written: {error}", file.display()))?;
        Ok(Self { folder, database, program, version, turns: 0 })
    }

    /// Runs it for as long as a turn lasts.
    pub(crate) async fn run(&mut self, spec: &Spec, variables: &[(&str, String)]) -> Result<Outcome> {
        self.turns += 1;
        if spec.warm_up_seconds > 0.0 {
            self.play(spec, spec.warm_up_seconds, &format!("warm-up-{}", self.turns), variables).await?;
        }
        let log = format!("turn-{}", self.turns);
        let report = self.play(spec, spec.seconds, &log, variables).await?;
        let took = latencies(&self.folder, &format!("{log}."))?;
        outcome(&report, &took).ok_or_else(|| format!("pgbench's report is not understood: {report}"))
    }

    async fn play(&self, spec: &Spec, seconds: f64, log: &str, variables: &[(&str, String)]) -> Result<String> {
        let mut command = tokio::process::Command::new(&self.program);
        command.current_dir(&self.folder).args(["--no-vacuum", "--protocol=prepared", "--file=script.sql"]);
        command.arg(format!("--client={}", spec.clients)).arg(format!("--jobs={}", THREADS.min(spec.clients)));
        // It takes whole seconds only.
        command.arg(format!("--time={}", seconds.round().max(1.0)));
        command.args(variables.iter().map(|(name, value)| format!("--define={name}={value}")));
        command.arg(format!("--random-seed={}", spec.seed));
        command.args(["--log", &format!("--log-prefix={log}"), &format!("--sampling-rate={SAMPLED}")]);
        command.arg(&self.database).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.map_err(|error| format!("pgbench can't be started: {error}"))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
        }
    }
}

/// `pgbench` that inserts, and its database.
pub(super) struct Pgbench {
    script: Script,
}

impl Pgbench {
    pub(super) async fn prepare(place: &Place, cluster: &Cluster, _: &Spec) -> Result<Self> {
        let database = cluster.database().await;
        // Yado's own migrations make the table.
        let events = open_events(&database, &Options::default()).await.map_err(|error| error.to_string())?;
        events.close().await;
        cluster.query(&database, "create sequence bench_position").await?;
        Ok(Self { script: Script::write(place, cluster, "pgbench", database, INSERT)? })
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

/// What its report says.
fn outcome(report: &str, took: &Histogram) -> Option<Outcome> {
    let after = |key: &str| report.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let number = |text: &str| text.split_whitespace().next()?.parse::<f64>().ok();
    let operations = number(after("number of transactions actually processed:")?)?;
    let rate = number(after("tps =")?)?;
    let failed = after("number of failed transactions:").and_then(number).unwrap_or_default();
    Some(Outcome {
        operations: operations as u64,
        errors: failed as u64,
        first_error: (failed > 0.0).then(|| "pgbench reports failed transactions".into()),
        elapsed_seconds: operations / rate,
        p50_us: took.percentile(0.5),
        p99_us: took.percentile(0.99),
    })
}

/// Its logs have a line a transaction: client, number, microseconds, and more.
fn latencies(folder: &std::path::Path, prefix: &str) -> Result<Histogram> {
    let mut took = Histogram::default();
    let failed = |error: std::io::Error| format!("{} can't be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)) {
            let text = fs::read_to_string(&path).map_err(failed)?;
            let lines = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok());
            lines.for_each(|us| took.record_us(us));
        }
    }
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_read() {
        let report = "transaction type: insert.sql\nnumber of transactions actually processed: 42000\n\
            number of failed transactions: 0 (0.000%)\nlatency average = 3.8 ms\n\
            tps = 8400.5 (without initial connection time)\n";
        let outcome = outcome(report, &Histogram::default()).unwrap();
        assert_eq!((outcome.operations, outcome.errors), (42_000, 0));
        assert!((outcome.rate() - 8_400.5).abs() < 0.01);
        assert!(super::outcome("", &Histogram::default()).is_none());
    }

    #[test]
    fn the_logs_of_all_threads_are_read_and_those_of_other_turns_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("turn-1.77", "0 1 1000 0 1700000000 1\n1 1 1000 0 1700000000 2\n");
        write("turn-1.77.1", "2 1 1000 0 1700000000 3\n");
        write("turn-10.78", "2 1 5 0 1700000000 3\n");
        let took = latencies(folder.path(), "turn-1.").unwrap();
        assert_eq!((took.total(), took.percentile(0.01)), (3, took.percentile(1.0)));
    }
}
