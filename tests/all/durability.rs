//! What is acknowledged stays, whatever happens to the process.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use yado_model::Position;
use yado_store::open_events;
use yado_store::testing::{Fsync, Postgres};

use crate::support::{Client, Server, component, eventually, patient_options};

/// How often the server is killed.
const KILLS: u32 = 20;
/// How many acknowledgements a round waits for before the kill.
const ACKNOWLEDGED: usize = 25;
/// How many clients write at once.
const CLIENTS: u32 = 8;

/// Creates products until it is told to stop or the server is gone. Reports each id that was acknowledged.
async fn write(
    client: Client,
    category: String,
    prefix: String,
    stop: Arc<AtomicBool>,
    ids: mpsc::UnboundedSender<String>,
) {
    let document =
        "mutation($n: String!, $c: ID!) { createProduct(input: { name: $n, price: 1, categoryId: $c }) { id } }";
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let variables = json!({ "n": format!("{prefix}-{number}"), "c": category });
        // No answer is no acknowledgement; what has become of the command is the server's secret.
        let Ok(answer) = client.try_send(document, variables).await else { return };
        if let Some(id) = answer["data"]["createProduct"]["id"].as_str() {
            ids.send(id.to_owned()).unwrap();
        }
    }
}

/// All products, page by page, as JSON by id.
async fn products(client: &Client) -> BTreeMap<String, Value> {
    let document = "query($o: Int!) { products(limit: 100, offset: $o, orderBy: [{ id: ASC }]) \
                    { id name price categoryId createdAt updatedAt } }";
    let mut all = BTreeMap::new();
    loop {
        let page = client.ask(document, json!({ "o": all.len() })).await;
        let page = page["products"].as_array().unwrap().clone();
        if page.is_empty() {
            return all;
        }
        all.extend(page.into_iter().map(|row| (row["id"].as_str().unwrap().to_owned(), row)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_survives_twenty_kills_and_is_there_once_on_sqlite() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let (log, anew) = (sqlite(&server, "events.db"), sqlite(&server, "reads-anew.db"));
    survive(server, &log, &anew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_survives_twenty_kills_and_is_there_once_on_postgresql() {
    let (log, anew) = (Postgres::shared().database().await, Postgres::shared().database().await);
    let server = Server::start_with(&["--database-url", &log], &[("catalog", &component("catalog"))]).await;
    survive(server, &log, &anew).await;
}

/// The URL of a file in a server's data folder.
fn sqlite(server: &Server, file: &str) -> String {
    format!("sqlite:{}", server.data().join(file).display())
}

/// Kills a server under load again and again, and looks at what is left. `log` is where its events are, and `anew` an
/// empty database for read models.
async fn survive(mut server: Server, log: &str, anew: &str) {
    let client = server.client();
    let (category, first) = client.product("First").await;
    let mut acknowledged = BTreeSet::from([first]);
    for round in 0..KILLS {
        let (ids, mut received) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..CLIENTS)
            .map(|writer| {
                let prefix = format!("{round}-{writer}");
                tokio::spawn(write(server.client(), category.clone(), prefix, stop.clone(), ids.clone()))
            })
            .collect();
        drop(ids);
        for _ in 0..ACKNOWLEDGED {
            assert!(acknowledged.insert(received.recv().await.unwrap()), "an id was given twice");
        }
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
        while let Some(id) = received.recv().await {
            assert!(acknowledged.insert(id), "an id was given twice");
        }
        server.start_again().await;
    }
    // The read model shows everything that the log has, once it has caught up with a write of this moment.
    let (_, last) = client.product("Last").await;
    acknowledged.insert(last);
    let shown = products(&client).await;
    assert!(server.stop(), "{}", server.log());

    let recorded = created(log).await;
    let lost: Vec<_> = acknowledged.iter().filter(|id| !recorded.contains_key(*id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    assert!(recorded.values().all(|count| *count == 1), "recorded twice: {recorded:?}");
    assert_eq!(shown.keys().collect::<Vec<_>>(), recorded.keys().collect::<Vec<_>>());

    // A read model made anew from the first event is the same.
    server.start_again_with(&["--read-database-url", anew]).await;
    assert_eq!(products(&client).await, shown);
}

/// How often each product was created, by the log; the log itself has no gaps.
async fn created(log: &str) -> BTreeMap<String, u32> {
    let store = open_events(log, &patient_options()).await.unwrap();
    let mut created = BTreeMap::new();
    let mut at = Position::ZERO;
    loop {
        let events = store.read_log(at, 1_000).await.unwrap();
        if events.is_empty() {
            store.close().await;
            return created;
        }
        for event in events {
            assert_eq!(event.position, at.plus(1), "the log has a gap");
            at = event.position;
            if event.event.name == "ProductCreated" {
                *created.entry(event.stream.id().to_owned()).or_insert(0) += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_finishes_what_is_under_way() {
    let mut server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let (category, _) = client.product("First").await;
    let (ids, mut received) = mpsc::unbounded_channel();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..CLIENTS)
        .map(|writer| {
            tokio::spawn(write(server.client(), category.clone(), writer.to_string(), stop.clone(), ids.clone()))
        })
        .collect();
    drop(ids);
    let mut acknowledged = Vec::new();
    while acknowledged.len() < ACKNOWLEDGED {
        acknowledged.push(received.recv().await.unwrap());
    }
    assert!(server.stop(), "{}", server.log());
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    while let Some(id) = received.recv().await {
        acknowledged.push(id);
    }
    let recorded = created(&sqlite(&server, "events.db")).await;
    assert!(acknowledged.iter().all(|id| recorded.get(id) == Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_projection_searched_for_are_the_same_when_they_are_made_anew() {
    let mut server = Server::start(&[("rogue", &component("rogue"))]).await;
    let client = server.client();
    for _ in 0..10 {
        client.ask("mutation { behave { position } }", json!({})).await;
    }
    let sayings = "{ sayings(orderBy: [{ before: ASC }]) { before words id } }";
    let count = async || client.ask(sayings, json!({})).await["sayings"].as_array().unwrap().len();
    eventually("all that was said is shown", async || count().await == 10).await;
    let shown = client.ask(sayings, json!({})).await;
    for (at, saying) in shown["sayings"].as_array().unwrap().iter().enumerate() {
        assert_eq!(saying["before"], at, "{shown}");
    }
    assert!(server.stop(), "{}", server.log());
    let anew = sqlite(&server, "reads-anew.db");
    server.start_again_with(&["--read-database-url", &anew]).await;
    assert_eq!(client.ask(sayings, json!({})).await, shown);
}

/// A database server whose processes get no time, until this goes away: it neither answers nor hangs up.
struct Silenced(Vec<String>);

impl Silenced {
    fn new(cluster: &Postgres) -> Self {
        let noted = std::fs::read_to_string(cluster.folder().join("data/postmaster.pid")).unwrap();
        let first = noted.lines().next().unwrap().to_owned();
        // It first, so that there are no more than there are.
        signal("-STOP", std::slice::from_ref(&first));
        let mut all = children(&first);
        all.push(first);
        signal("-STOP", &all);
        Self(all)
    }
}

impl Drop for Silenced {
    fn drop(&mut self) {
        signal("-CONT", &self.0);
    }
}

fn signal(signal: &str, processes: &[String]) {
    let sent = Command::new("kill").arg(signal).args(processes).status().unwrap();
    assert!(sent.success() || std::thread::panicking());
}

/// The processes that a process has started.
fn children(of: &str) -> Vec<String> {
    let all = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let parent = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets, and behind it the state and the parent.
        Some(stat.rsplit_once(") ")?.1.split(' ').nth(1)?.to_owned())
    };
    all.filter(|pid| parent(pid).is_some_and(|parent| parent == of)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_asked_to_stop_does_not_wait_for_a_database_that_has_gone_silent() {
    let cluster = Postgres::start(Fsync::Off);
    let (log, reads) = (cluster.database().await, cluster.database().await);
    let arguments = ["--database-url", &log, "--read-database-url", &reads, "--limits-command-ms", "1000"];
    let mut server = Server::start_with(&arguments, &[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let create = "mutation { createCategory(input: { name: \"Pens\" }) { id } }";
    // A second may be too short for the first command of a busy machine.
    eventually("it records", async || client.send(create, json!({})).await.get("errors").is_none()).await;
    let silenced = Silenced::new(&cluster);
    let asked = client.send(create, json!({})).await;
    assert_eq!(asked["errors"][0]["extensions"]["code"], "TIMEOUT", "{asked}");
    let stopping = tokio::task::spawn_blocking(move || (server.stop(), server.log()));
    eventually("the server has stopped", async || stopping.is_finished()).await;
    drop(silenced);
    let (well, log) = stopping.await.unwrap();
    assert!(well, "{log}");
}
