//! What is unique is so at each event: which stream is put aside for it does not depend on where batches end, nor on what
//! fails on the way.

use std::collections::HashSet;

use super::*;

/// Members of each history, and addresses of which there are too few.
const MEMBERS: u64 = 12;
const ADDRESSES: u64 = 8;

/// A history in which members come, move and leave, and now and then have an address that another one has.
async fn people(log: Arc<dyn EventStore>, seed: u64, events: u64) -> Position {
    let (mut random, mut told) = (Random(seed), Told::new(log));
    let mut head = Position::ZERO;
    for _ in 0..events {
        let (member, address) = (random.below(MEMBERS).to_string(), format!("address {}", random.below(ADDRESSES)));
        head = match random.below(6) {
            0 | 1 => told.happens(&format!("Member-{member}"), "Left", json!({})).await,
            2 => told.address(&member, "Registered", &address).await,
            _ => told.address(&member, "Moved", &address).await,
        };
    }
    head
}

/// What the register shows, and which streams are put aside at which events, found by going through the events one by one.
/// It shares nothing with what is tested.
async fn naive(log: &dyn EventStore) -> (Vec<String>, Vec<(StreamId, Position)>) {
    let (mut rows, mut parked, mut waits) = (BTreeMap::<String, String>::new(), Vec::new(), HashSet::new());
    for event in log.read_log(Position::ZERO, 10_000).await.unwrap() {
        if waits.contains(&event.stream) {
            continue;
        }
        let member = event.stream.id().to_owned();
        let payload: Value = serde_json::from_str(&event.event.payload).unwrap();
        match payload["address"].as_str() {
            None => drop(rows.remove(&member)),
            Some(address) if rows.iter().any(|(other, taken)| *other != member && taken == address) => {
                parked.push((event.stream.clone(), event.position));
                waits.insert(event.stream);
            }
            Some(address) => drop(rows.insert(member, address.to_owned())),
        }
    }
    (rows.iter().map(|(member, address)| format!("{member}: {address}")).collect(), parked)
}

async fn parked_where(engine: &Engine) -> Vec<(StreamId, Position)> {
    letters(engine).await.into_iter().map(|letter| (letter.parked.stream, letter.parked.position)).collect()
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort_unstable();
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_aside_for_uniqueness_does_not_depend_on_batches_on_sqlite() {
    for seed in 1..=6 {
        does_not_depend_on_batches(seed, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_aside_for_uniqueness_does_not_depend_on_batches_on_postgresql() {
    for seed in 7..=9 {
        does_not_depend_on_batches(seed, true).await;
    }
}

async fn does_not_depend_on_batches(seed: u64, postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let log = databases.log().await;
    let head = people(log.clone(), seed, 120).await;
    let (rows, parked) = naive(&*log).await;
    assert!(parked.len() > 2 && !rows.is_empty(), "{rows:?} {parked:?}");
    let reads = Arc::new(Failing::new(databases.reads(0).await, seed, 8));
    let engine = start(databases.log().await, reads, batches(seed)).await;
    engine.deploy(component("registry")).await.unwrap();
    assert_eq!(addresses(&engine, head).await, sorted(rows), "seed {seed}");
    assert_eq!(parked_where(&engine).await, parked, "seed {seed}");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_write_puts_aside_the_same_for_uniqueness_on_sqlite() {
    dies_at_any_write(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_write_puts_aside_the_same_for_uniqueness_on_postgresql() {
    dies_at_any_write(true).await;
}

async fn dies_at_any_write(postgres: bool) {
    const COMMITS: usize = 8;
    let databases = Databases::new(postgres, 0).await;
    let log = databases.log().await;
    let head = people(log.clone(), 3, 60).await;
    let (rows, parked) = naive(&*log).await;
    assert!(parked.len() > 2, "{parked:?}");
    let rows = sorted(rows);
    let settings = || Settings { batch: 15, gathered_events: 20, ..quick() };
    for commit in 0..COMMITS {
        for fate in [Fate::Lost, Fate::Unheard] {
            let url = databases.another().await;
            let died = dies(&databases, &url, "registry", commit, fate, settings()).await;
            assert!(died || commit >= parked.len(), "{commit} commits are all");
            let reads = open_reads(&url, &patient_options()).await.unwrap();
            let next = start(databases.log().await, reads, settings()).await;
            next.deploy(component("registry")).await.unwrap();
            assert_eq!(addresses(&next, head).await, rows, "commit {commit}, {fate:?}");
            assert_eq!(parked_where(&next).await, parked, "commit {commit}, {fate:?}");
            next.shutdown().await;
        }
    }
}

/// Within one batch, an address passes from one member to another and back: at no event two have it.
#[tokio::test(flavor = "multi_thread")]
async fn what_passes_from_one_row_to_another_within_a_batch_is_put_aside_by_nobody() {
    let databases = Databases::new(false, 1).await;
    let mut log = Told::new(databases.log().await);
    for round in 0..20 {
        log.address("x", "Registered", "one").await;
        log.happens("Member-x", "Left", json!({})).await;
        log.address("y", "Registered", "one").await;
        log.address("y", "Moved", &format!("other {round}")).await;
    }
    let head = log.address("x", "Registered", "one").await;
    let engine = start(log.log.clone(), databases.reads(0).await, quick()).await;
    engine.deploy(component("registry")).await.unwrap();
    assert_eq!(addresses(&engine, head).await, ["x: one", "y: other 19"]);
    assert_eq!(letters(&engine).await, []);
    engine.shutdown().await;
}
