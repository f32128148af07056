//! What a command costs, and what surrounds a read: the whole bus in process, without a surface and, but for the last store, without a database.
//!
//! Run it with `cargo bench --package yado-engine --bench dispatch`. It needs `target/test-guests/bank.wasm`, which
//! `cargo xtask test` builds. Arguments after `--` choose what is measured, by parts of its name; `--shards=N` changes how
//! many loops decide.
//!
//! Callers share the process and its processors with what they measure, as they do behind a surface. So what counts is
//! the processor's time for a command, that of the callers included; commands in a second follow from it.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is a program for people, and it may give up")]

mod cost;
mod figures;
mod reads;
mod stores;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use yado_engine::{Catalogue, Dispatch, DispatchOptions, Engine, Parts, Settings};
use yado_model::{Name, TenantId};
use yado_runtime::Runtime;
use yado_store::{EventStore, Options, open_events};

use cost::Cost;
use figures::Figures;
use stores::{Nothing, Shown};

/// Accounts over which the load is spread.
const ACCOUNTS: u64 = 10_000;
/// Accounts of which the memory is measured.
const RESIDENT: u64 = 100_000;
/// Accounts that are opened before: more than the engine keeps events of.
const WARM: u64 = 40_000;
/// How long a way is measured.
const SPAN: Duration = Duration::from_secs(3);
/// What a deposit is for: with it, the event has about 200 bytes.
const REFERENCE: &str = "an invoice that somebody has paid at last, after two letters and one visit of a friendly man \
                         who left his hat behind, and asked for it by telephone on the following day";

#[derive(Clone)]
struct Bank {
    engine: Engine,
    catalogue: Arc<Catalogue>,
    open: Name,
    deposit: Name,
}

impl Bank {
    async fn new(events: Arc<dyn EventStore>, component: &[u8]) -> Self {
        let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
        let parts = Parts { events, reads: Arc::new(Shown::default()), runtime };
        let engine = Engine::start(parts, settings()).await.unwrap();
        engine.deploy(component.to_vec()).await.unwrap();
        let catalogue = engine.catalogue();
        Self { engine, catalogue, open: Name::parse("Open").unwrap(), deposit: Name::parse("Deposit").unwrap() }
    }

    async fn dispatch(&self, command: &Name, payload: serde_json::Value) {
        let dispatch = Dispatch {
            tenant: TenantId::default(),
            command: command.clone(),
            payload,
            options: DispatchOptions::default(),
        };
        self.engine.dispatch(&self.catalogue, dispatch).await.unwrap();
    }

    /// Opens accounts, many at a time.
    async fn open(&self, accounts: Range<u64>) {
        let next = Arc::new(AtomicU64::new(accounts.start));
        let callers = (0..64).map(|_| {
            let (bank, next) = (self.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= accounts.end {
                        return;
                    }
                    bank.dispatch(&bank.open, json!({ "id": account(number), "owner": "Ada" })).await;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
    }

    /// Deposits into accounts chosen at random, each caller as fast as it is answered.
    async fn deposit(&self, accounts: u64, callers: u64) -> u64 {
        let until = Instant::now() + SPAN;
        let callers = (0..callers).map(|caller| {
            let bank = self.clone();
            tokio::spawn(async move {
                let (mut random, mut count) = (caller * 2 + 1, 0);
                while Instant::now() < until {
                    // Knuth's multiplier; the upper bits are as good as any for choosing an account.
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let id = account((random >> 33) % accounts);
                    bank.dispatch(&bank.deposit, json!({ "id": id, "amount": 1, "reference": REFERENCE })).await;
                    count += 1;
                }
                count
            })
        });
        let mut commands = 0;
        for caller in callers.collect::<Vec<_>>() {
            commands += caller.await.unwrap();
        }
        commands
    }
}

/// The defaults, but for the number of shards where an argument names one.
fn settings() -> Settings {
    let shards = std::env::args().find_map(|argument| argument.strip_prefix("--shards=")?.parse().ok());
    let defaults = Settings::default();
    Settings { shards: shards.unwrap_or(defaults.shards), ..defaults }
}

fn account(number: u64) -> String {
    format!("{number:016x}")
}

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|part| name.contains(part.as_str()));
    let Some(component) = component() else { return };
    let figures = Figures::install();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        println!("{:44} {:>11} {:>12} {:>12}   by thread", "", "commands/s", "us/command", "commands/tx");
        for store in ["nothing kept", "sqlite::memory:"] {
            for accounts in [ACCOUNTS, 1] {
                for callers in [1, 32, 256] {
                    let name = format!("{store}, {accounts} accounts, {callers} callers");
                    if is_chosen(&name) {
                        commands(store, &component, accounts, callers, &name).await;
                    }
                }
            }
        }
        if is_chosen("resident") {
            resident(&component, &figures).await;
        }
        if is_chosen("reads") {
            reads::measure(&component).await;
        }
    });
}

async fn commands(store: &str, component: &[u8], accounts: u64, callers: u64, name: &str) {
    let (events, transactions): (Arc<dyn EventStore>, _) = if store.starts_with("sqlite") {
        (open_events(store, &Options::default()).await.unwrap(), None)
    } else {
        let nothing = Arc::new(Nothing::default());
        (nothing.clone(), Some(nothing))
    };
    let bank = Bank::new(events, component).await;
    bank.open(0..accounts).await;
    let before = transactions.as_ref().map(|nothing| nothing.transactions());
    let cost = Cost::now();
    let commands = bank.deposit(accounts, callers).await;
    let spent = Cost::now().since(&cost);
    let count = Duration::as_secs_f64(&spent.wall);
    let together = transactions.zip(before).map(|(nothing, before)| nothing.transactions() - before);
    println!(
        "{name:44} {:>11.0} {:>12.2} {:>12}   {}",
        commands as f64 / count,
        spent.cpu.as_secs_f64() * 1e6 / commands as f64,
        together.map_or_else(String::new, |transactions| format!("{:.1}", commands as f64 / transactions as f64)),
        spent.threads(commands),
    );
    bank.engine.shutdown().await;
}

/// What the memory grows by for each account that is resident, and what the engine believes it to be.
async fn resident(component: &[u8], figures: &Figures) {
    let bank = Bank::new(Arc::new(Nothing::default()), component).await;
    // The newest events are kept for those who follow the log. They have taken their room before anything is counted.
    bank.open(0..WARM).await;
    let before = cost::resident_bytes();
    bank.open(WARM..WARM + RESIDENT).await;
    let after = cost::resident_bytes();
    println!(
        "{:.0} accounts resident: {} MB in all; an account makes it grow by {} bytes, and is taken to weigh {:.0}",
        figures.gauge("yado_resident_entries"),
        after >> 20,
        after.saturating_sub(before) / RESIDENT,
        figures.gauge("yado_resident_bytes") / figures.gauge("yado_resident_entries"),
    );
    bank.engine.shutdown().await;
}

/// The bank, from where `cargo xtask test` puts it.
fn component() -> Option<Vec<u8>> {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let path = target.join("test-guests/bank.wasm");
    let read = std::fs::read(&path);
    if let Err(error) = &read {
        println!("{} can't be read: {error}. `cargo xtask test` builds it.", path.display());
    }
    read.ok()
}
