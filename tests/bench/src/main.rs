//! `yado-bench`: what `cargo xtask bench` starts once everything is built.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use mimalloc::MiMalloc;
use yado_bench::Result;
use yado_bench::arguments::{Arguments, Part};
use yado_bench::cluster::{Cluster, SETTINGS};
use yado_bench::figures::median;
use yado_bench::machine::{self, Machine};
use yado_bench::parts::{Bench, CatchUp, Lag, Memory, Reads, Rebuild, Sockets, Storage, Throughput};
use yado_bench::place::Place;
use yado_bench::report::{Report, say, terminal, write};
use yado_model::Timestamp;

/// The one that the server has: the engine runs in this process as it does there.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // An interrupted run leaves nothing behind: what it has started and written goes away with the future.
    let done = tokio::select! {
        done = run() => done,
        _ = tokio::signal::ctrl_c() => Err("interrupted: nothing is kept".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            say(&reason);
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let fresh_seed = uuid::Uuid::new_v4().as_u64_pair().0 >> 32;
    let arguments = Arguments::parse(std::env::args().skip(1), fresh_seed)?;
    // The checkout that this was built from: its manifest lies two folders below the root.
    let root: PathBuf = PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().skip(2).take(1).collect();
    let place = Place::find(root)?;
    let begun_at = Timestamp::now().to_string();
    say(&format!("seed {}: the same seed plays the rounds in the same order", arguments.seed));
    let cluster = Cluster::start()?;
    let postgres = cluster.query(&cluster.database().await, "select version()").await?;
    let bench = Bench { arguments, place, cluster };
    let report = measure(&bench, begun_at, postgres).await?;

    say(&format!("\n{}", terminal(&report)));
    let last = bench.place.target.join("bench");
    report.keep(&last)?;
    say(&format!("all figures: {}", last.join("result.json").display()));
    if let Some(path) = &bench.arguments.json {
        write(path, &report.json()?)?;
    }
    if report.whole {
        report.keep(&bench.place.root.join("tests/bench/last"))?;
        report.show(&bench.place.root.join("README.md"))?;
        say("the README shows this result now");
    } else {
        say("not a whole run, so the README shows what it showed before");
    }
    if report.failed.is_empty() { Ok(()) } else { Err(report.failed.join("\n")) }
}

/// Does the parts that are asked for, one after another. One that fails does not keep the others from being done.
async fn measure(bench: &Bench, begun_at: String, postgres: String) -> Result<Report> {
    let mut fsyncs = machine::fsyncs(bench.place.scratch.path())?;
    let mut failed = Vec::new();
    let wants = |part, what: &str| {
        let wanted = bench.arguments.wants(part);
        if wanted {
            say(&format!("==> {what}"));
        }
        wanted
    };
    let mut or_failed = |what: &str, reason: String| {
        say(&format!("    {what} failed: {reason}"));
        failed.push(format!("{what}: {reason}"));
    };

    let mut throughput = None;
    if wants(Part::Throughput, "deposits a second") {
        match Throughput::measure(bench, &mut fsyncs).await {
            Ok(found) => throughput = Some(found),
            Err(reason) => or_failed("deposits a second", reason),
        }
    }
    let mut catch_up = None;
    if wants(Part::CatchUp, "catching up") {
        match CatchUp::measure(bench).await {
            Ok(found) => catch_up = Some(found),
            Err(reason) => or_failed("catching up", reason),
        }
    }
    let mut rebuild = None;
    if wants(Part::Rebuild, "rebuilding") {
        match Rebuild::measure(bench).await {
            Ok(found) => rebuild = Some(found),
            Err(reason) => or_failed("rebuilding", reason),
        }
    }
    fsyncs.extend(machine::fsyncs(bench.place.scratch.path())?);
    let mut lag = None;
    if wants(Part::Lag, "from command to row") {
        match Lag::measure(bench).await {
            Ok(found) => lag = Some(found),
            Err(reason) => or_failed("from command to row", reason),
        }
    }
    fsyncs.extend(machine::fsyncs(bench.place.scratch.path())?);
    let mut reads = None;
    if wants(Part::Reads, "pages of rows") {
        match Reads::measure(bench).await {
            Ok(found) => reads = Some(found),
            Err(reason) => or_failed("pages of rows", reason),
        }
    }
    let mut sockets = None;
    if wants(Part::Sockets, "subscriptions") {
        match Sockets::measure(bench).await {
            Ok(found) => sockets = Some(found),
            Err(reason) => or_failed("subscriptions", reason),
        }
    }
    let mut memory = Vec::new();
    if wants(Part::Memory, "memory") {
        match Memory::measure(bench).await {
            Ok(found) => memory = found,
            Err(reason) => or_failed("memory", reason),
        }
    }
    let mut storage = Vec::new();
    if wants(Part::Storage, "a long log") {
        match Storage::measure(bench).await {
            Ok(found) => storage = found,
            Err(reason) => or_failed("a long log", reason),
        }
    }
    fsyncs.extend(machine::fsyncs(bench.place.scratch.path())?);

    let fsync_us = median(&fsyncs).unwrap_or_default();
    let mut verdicts = throughput.as_ref().map_or_else(Vec::new, |found| found.verdicts(fsync_us));
    verdicts.extend(catch_up.as_ref().map(CatchUp::verdict));
    verdicts.extend(rebuild.iter().flat_map(Rebuild::verdicts));
    verdicts.extend(lag.as_ref().map(|found: &Lag| found.verdict(fsync_us)));
    verdicts.extend(reads.as_ref().map(Reads::verdict));
    verdicts.extend(sockets.as_ref().map(Sockets::verdict));
    verdicts.extend(memory.iter().map(Memory::verdict));
    verdicts.extend(storage.iter().map(Storage::verdict));
    Ok(Report {
        begun_at,
        commit: commit(&bench.place),
        machine: Machine::here(bench.place.scratch.path()),
        postgres,
        postgres_settings: SETTINGS.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        fsync_us,
        rounds: bench.arguments.rounds,
        spec: bench.spec(),
        whole: bench.arguments.is_whole() && failed.is_empty() && throughput.as_ref().is_some_and(Throughput::is_whole),
        verdicts,
        throughput,
        catch_up,
        rebuild,
        lag,
        reads,
        sockets,
        memory,
        storage,
        failed,
    })
}

/// The commit that is checked out; with a plus if files differ from it.
fn commit(place: &Place) -> String {
    let git = |arguments: &[&str]| machine::says(Command::new("git").current_dir(&place.root).args(arguments));
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".into());
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some();
    if changed { format!("{commit}+") } else { commit }
}
