//! Whatever happens, what callers saw is what one bank would have told them that was asked one request after another.
//!
//! Many clients send requests to two nodes over one log: to open accounts, to put money in and take money out, to close
//! them; with idempotency keys and expected revisions and without, some of them again and again, some under a key that
//! belongs to another request. Meanwhile a node is paused, killed and started again, or the way to its database fails.
//! Everything that was asked and answered is put on record, and then held against the log (`check` says how):
//!
//! - positions have no gaps, nor have revisions;
//! - what was acknowledged is in the log, once, where the receipt says; nothing is there that nobody asked for;
//! - all answers, refusals and conflicts among them, fit one order of all operations that agrees with the log and with
//!   time: what was answered before something else was sent came before it;
//! - under one idempotency key one request is recorded once, and others are told so;
//! - the read models of all nodes show what comes of it.
//!
//! Everything is drawn from a seed. A run prints its own, and `YADO_HISTORY_SEED` replays the plan of one: the requests
//! and the disturbances are the same, how they interleave is the machine's. `YADO_HISTORY_OPERATIONS` makes runs longer,
//! and `YADO_HISTORY_RUNS` has that many more seeds, one after another.

mod answers;
mod bank;
mod check;
mod check_tests;
mod drive;
mod engines;
mod exact_tests;
mod plan;
mod random;
mod record;
mod servers;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use yado_model::Position;
use yado_runtime::Runtime;
use yado_store::open_events;
use yado_store::testing::Postgres;

use crate::support::{Client, Server, component, eventually, patient_options};
use check::{Accounts, check};
use drive::{Node, Run};
use engines::Local;
use plan::{Plan, Size};
use random::Random;
use record::{Entry, Operation, Outcome};
use servers::{Remote, disturb};

/// A number from the environment.
fn wanted(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, and not a number")))
}

/// The seeds to run: the one that is asked for; or these, and some that nobody has run before.
fn seeds(fixed: &[u64], fresh: u64) -> Vec<u64> {
    if let Some(seed) = wanted("YADO_HISTORY_SEED") {
        return vec![seed];
    }
    let fresh = wanted("YADO_HISTORY_RUNS").unwrap_or(fresh);
    fixed.iter().copied().chain((0..fresh).map(|_| Random::fresh_seed())).collect()
}

/// The time that a command has by default: it may be over while the other node stands still, and clients must be able to
/// live with that.
const IN_TIME: [&str; 2] = ["--limits-command-ms", "10000"];

fn operations(usual: usize) -> usize {
    wanted("YADO_HISTORY_OPERATIONS").map_or(usual, |wanted| usize::try_from(wanted).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_write_one_history_while_one_of_them_is_paused_and_killed() {
    for seed in seeds(&[1], 1) {
        let operations = operations(1_500);
        eprintln!("history: processes on PostgreSQL, {operations} operations, YADO_HISTORY_SEED={seed}");
        let (log, reads) = (Postgres::shared().database().await, Postgres::shared().database().await);
        let bank = [("bank", component("bank"))];
        let plugins = bank.each_ref().map(|(name, component)| (*name, component.as_slice()));
        let database = ["--database-url", &log, IN_TIME[0], IN_TIME[1]];
        let steady = Server::start_with(&database, &plugins).await;
        // Half of the runs have the read models of both nodes in one place, and half have them apart.
        let apart = ["--read-database-url", &reads];
        let apart = if seed % 2 == 0 { &apart[..] } else { &[] };
        let disturbed = Server::start_with(&[&database[..], apart].concat(), &plugins).await;

        let size = Size { operations, clients: 12, nodes: 2, disturbances: operations / 200 + 1 };
        let mut plan = Plan::draw(seed, size);
        let disturbances = std::mem::take(&mut plan.disturbances);
        let is_up = watch::Sender::new(true);
        let (a, b) = (Remote::of("A", &steady, &watch::Sender::new(true)), Remote::of("B", &disturbed, &is_up));
        let run = Run::new(vec![a, b], &plan);
        let disturbance = disturb(disturbed, disturbances, &log, run.progress(), is_up);
        let (disturbed, ()) = tokio::join!(disturbance, run.clients(plan));

        let (history, recorded) = (run.operations(), entries(&log).await);
        let accounts = verify(seed, &history, &recorded);
        for server in [&steady, &disturbed] {
            let expected = balances(&accounts, &recorded);
            eventually("the read models show what the log says", async || {
                shown(&server.client()).await.as_ref() == Some(&expected)
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_engines_over_one_postgresql_write_one_history_by_ways_that_fail() {
    let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
    for seed in seeds(&[1, 2], 2) {
        let log = Postgres::shared().database().await;
        by_unreliable_ways(seed, "PostgreSQL", &log, &["A", "B"], &runtime).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_on_sqlite_writes_one_history_by_a_way_that_fails() {
    let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
    for seed in seeds(&[1, 3], 2) {
        let folder = tempfile::tempdir().unwrap();
        let log = format!("sqlite:{}", folder.path().join("events.db").display());
        // Now and then a second one writes to the same file.
        let nodes = if seed % 3 == 0 { &["A", "B"][..] } else { &["A"][..] };
        by_unreliable_ways(seed, "SQLite", &log, nodes, &runtime).await;
    }
}

async fn by_unreliable_ways(seed: u64, place: &str, log: &str, names: &[&'static str], runtime: &Runtime) {
    let operations = operations(600);
    eprintln!("history: {} engines on {place}, {operations} operations, YADO_HISTORY_SEED={seed}", names.len());
    let plan = Plan::draw(seed, Size { operations, clients: 8, nodes: names.len(), disturbances: 0 });
    // Not the numbers that the plan has been drawn from.
    let mut random = Random::new(seed ^ 0x5eed);
    let traffic = watch::Sender::new(0);
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(Local::unreliable(name, log, runtime, random.split(), &traffic).await);
    }
    let run = Run::new(nodes.iter().map(|node| node.clone() as Arc<dyn Node>).collect(), &plan);
    run.clients(plan).await;
    for node in &nodes {
        node.calm();
        node.engine.shutdown().await;
    }
    verify(seed, &run.operations(), &entries(log).await);
}

/// Ends the test if something is wrong with a history, or if there is too little in it to find anything.
fn verify<'a>(seed: u64, history: &'a [Operation], log: &'a [Entry]) -> Accounts<'a> {
    let count = |is: fn(&Outcome) -> bool| history.iter().filter(|operation| is(&operation.outcome)).count();
    let told = [
        ("recorded", count(|outcome| matches!(outcome, Outcome::Recorded { .. }))),
        ("rejected", count(|outcome| matches!(outcome, Outcome::Rejected { .. }))),
        ("not found", count(|outcome| *outcome == Outcome::NotFound)),
        ("conflicts", count(|outcome| matches!(outcome, Outcome::Conflict { .. }))),
        ("keys reused", count(|outcome| *outcome == Outcome::KeyReused)),
    ];
    let (failed, unknown) = (
        count(|outcome| matches!(outcome, Outcome::Failed(_))),
        count(|outcome| matches!(outcome, Outcome::Unknown(_))),
    );
    eprintln!("history: {} events; {told:?}, {failed} failed, {unknown} unknown", log.len());
    let accounts = check(history, log)
        .unwrap_or_else(|violations| panic!("{violations}YADO_HISTORY_SEED={seed} replays the plan of this run"));
    assert!(told.iter().all(|(_, count)| *count > 0), "a run that meets nothing finds nothing: {told:?}, seed {seed}");
    assert!((failed + unknown) * 2 < history.len(), "most requests are answered: {failed} and {unknown}, seed {seed}");
    accounts
}

/// The whole log.
async fn entries(url: &str) -> Vec<Entry> {
    let store = open_events(url, &patient_options()).await.unwrap();
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let after = entries.last().map_or(Position::ZERO, |entry| Position::new(entry.position));
        let page = store.read_log(after, 1_000).await.unwrap();
        if page.is_empty() {
            store.close().await;
            return entries;
        }
        entries.extend(page.iter().map(Entry::of));
    }
}

/// The rows that a history comes to: accounts that are open, with their owners.
fn balances(accounts: &Accounts<'_>, log: &[Entry]) -> BTreeMap<String, Value> {
    let opened = log.iter().filter(|entry| entry.name == "Opened" && !accounts[entry.account.as_str()].closed);
    let row = |entry: &Entry| {
        let account = accounts[entry.account.as_str()];
        let (owner, balance, movements) = (&entry.payload["owner"], account.holds, account.movements);
        let row = json!({ "id": entry.account, "owner": owner, "balance": balance, "movements": movements });
        (entry.account.clone(), row)
    };
    opened.map(row).collect()
}

/// The rows that a server shows; none if it can't at present, because sessions that have been cut are still among those
/// that it keeps.
async fn shown(client: &Client) -> Option<BTreeMap<String, Value>> {
    let document = "query($o: Int!) { balances(limit: 100, offset: $o, orderBy: [{ id: ASC }]) \
                    { id owner balance movements } }";
    let mut rows = BTreeMap::new();
    loop {
        let answer = client.send(document, json!({ "o": rows.len() })).await;
        let page = answer["data"]["balances"].as_array()?.clone();
        if page.is_empty() {
            return Some(rows);
        }
        rows.extend(page.into_iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row)));
    }
}
