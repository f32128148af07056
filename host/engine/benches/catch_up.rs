//! What it costs to bring a read model up to date with a long log, through the guest, on both engines.
//!
//! Run it with `cargo bench --package yado-engine --bench catch_up [-- EVENTS]`, after `cargo xtask test` has built the
//! guest; `-- told` for the comparison at the end alone. The log is filled without the engine: accounts are opened, and then money goes into one after the other, at
//! random. What is timed is the deployment of the plugin, which ends when its read model shows all of it.
//!
//! At the end it is compared what it costs that changes of rows are told.
//!
//! The stages are also run by themselves, one after the other, to show where the time goes; in a catch-up they overlap.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is a program for people, and it may give up")]

#[path = "catch_up/log.rs"]
mod log;
#[path = "catch_up/processor.rs"]
mod processor;
#[path = "catch_up/stages.rs"]
mod stages;
#[path = "catch_up/told.rs"]
mod told;

use std::sync::Arc;
use std::time::Instant;

use yado_engine::{Engine, Parts, Settings};
use yado_model::Position;
use yado_runtime::Runtime;
use yado_store::testing::{Fsync, Postgres};
use yado_store::{EventStore, Options, ReadStore, open_events, open_reads};

use processor::Processor;
use stages::Watched;
use told::Place;

const EVENTS: u64 = 1_000_000;
const ACCOUNTS: u64 = 10_000;
const PAGE: u32 = 4_000;

fn main() {
    let given = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let events = given.unwrap_or(EVENTS).max(ACCOUNTS);
    let guest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-guests/bank.wasm");
    let guest = std::fs::read(guest).expect("`cargo xtask test` builds the guest");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let only_told = std::env::args().any(|argument| argument == "told");
    let engines = std::env::var("YADO_BENCH_ENGINES").unwrap_or_else(|_| "postgres,sqlite".into());
    if engines.contains("postgres") {
        let cluster = Postgres::start(Fsync::On);
        let url = runtime.block_on(cluster.database());
        let folder = url.split_once("host=").map(|(_, folder)| folder.to_owned());
        if !only_told {
            runtime.block_on(run("PostgreSQL", &url, &url, events, &guest, folder.as_deref()));
        }
        let place = async || {
            let url = cluster.database().await;
            Place { log: url.clone(), reads: url }
        };
        println!("\nPostgreSQL, {ACCOUNTS} accounts");
        runtime.block_on(told::compare(place, ACCOUNTS, &guest, folder.as_deref()));
    }
    if engines.contains("sqlite") {
        let folder = tempfile::tempdir().unwrap();
        let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
        if !only_told {
            runtime.block_on(run("SQLite", &url("log.db"), &url("reads.db"), events, &guest, None));
        }
        let rounds = std::cell::Cell::new(0);
        let place = async || {
            let round = rounds.replace(rounds.get() + 1);
            Place { log: url(&format!("log-{round}.db")), reads: url(&format!("reads-{round}.db")) }
        };
        println!("\nSQLite, {ACCOUNTS} accounts");
        runtime.block_on(told::compare(place, ACCOUNTS, &guest, None));
    }
}

async fn run(name: &str, log_url: &str, reads: &str, events: u64, guest: &[u8], cluster: Option<&str>) {
    let log = open_events(log_url, &Options::default()).await.unwrap();
    let begun = Instant::now();
    log::History::new(ACCOUNTS).go_on(&*log, events).await;
    println!("\n{name}: {events} events over {ACCOUNTS} accounts, written in {:.1} s", begun.elapsed().as_secs_f64());
    let head = log.head().await.unwrap();

    let reads = Arc::new(Watched::new(open_reads(reads, &Options::default()).await.unwrap()));
    let before = Processor::now(cluster);
    let (begun, engine) = catch_up(&log, &reads, guest).await;
    let seconds = begun.elapsed().as_secs_f64();
    let used = Processor::now(cluster).since(&before);
    let per_event = |seconds: f64| seconds * 1e6 / head.get() as f64;
    println!("catch-up               {:>9.0} events/s, {seconds:.2} s", head.get() as f64 / seconds);
    println!("  processor, ours      {:>9.2} us/event", per_event(used.ours));
    println!("  processor, database  {:>9.2} us/event", per_event(used.database));
    reads.report();
    engine.shutdown().await;

    let log = open_events(log_url, &Options::default()).await.unwrap();
    let before = Processor::now(cluster);
    let begun = Instant::now();
    let page = stages::read(&*log, head, PAGE).await;
    let used = Processor::now(cluster).since(&before);
    println!(
        "reading alone          {:>9.2} us/event (processor: ours {:.2}, database {:.2})",
        per_event(begun.elapsed().as_secs_f64()),
        per_event(used.ours),
        per_event(used.database)
    );
    let deployed = Runtime::new(yado_runtime::Settings::default()).unwrap().load(guest).unwrap();
    let before = Processor::now(None);
    let shown = stages::guest(&deployed, &page);
    let used = Processor::now(None).since(&before).ours * 1e6 / shown as f64;
    println!("guest alone            {used:>9.2} us/event (processor)");
    log.close().await;
    reads.close().await;
}

/// Deploys the plugin, which brings its read model up to date first.
async fn catch_up(log: &Arc<dyn EventStore>, reads: &Arc<Watched>, guest: &[u8]) -> (Instant, Engine) {
    // It is compiled before, because that is not what is measured.
    let folder = tempfile::tempdir().unwrap();
    let cached = yado_runtime::Settings { cache: Some(folder.path().to_owned()), ..Default::default() };
    let runtime = Runtime::new(cached).unwrap();
    runtime.load(guest).unwrap();
    let reads: Arc<dyn ReadStore> = reads.clone();
    let engine = Engine::start(Parts { events: log.clone(), reads, runtime }, Settings::default()).await.unwrap();
    let begun = Instant::now();
    engine.deploy(guest.to_vec()).await.unwrap();
    let model = engine.catalogue().models().next().unwrap().clone();
    engine.caught_up(&model, Position::ZERO).await.unwrap();
    (begun, engine)
}
