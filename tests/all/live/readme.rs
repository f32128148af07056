//! What the README says of going on behind a broken connection, done by hand: its programs, as they stand there, follow a
//! server through connections that break again and again.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::watch;

use super::Random;
use crate::support::{Client, PATIENCE, Server, component, packages};

const README: &str = include_str!("../../../README.md");

/// Where the README has its server.
const ADDRESS: &str = "127.0.0.1:4000";

/// A way to a server that can be cut off.
struct Wire {
    address: String,
    cut: watch::Sender<()>,
}

impl Wire {
    async fn to(server: &Server) -> Self {
        let target = server.url().strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cut = watch::Sender::new(());
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut here, _)) = listener.accept().await {
                let (target, mut cut) = (target.clone(), cuts.subscribe());
                tokio::spawn(async move {
                    let Ok(mut there) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut here, &mut there) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, cut }
    }
}

/// The README's programs in a language, by what they have in them.
fn program(language: &str, has: &str) -> String {
    let begin = format!("```{language}\n");
    let mut examples = README.split(&begin).skip(1).filter_map(|rest| rest.split_once("```"));
    let (program, _) = examples.find(|(program, _)| program.contains(has)).unwrap();
    assert!(program.contains(ADDRESS), "{program}");
    program.to_owned()
}

/// Records a product.
async fn create(client: &Client, category: &Value, name: &str) {
    let document =
        "mutation($n: String!, $c: ID!) { createProduct(input: { name: $n, price: 1, categoryId: $c }) { id } }";
    client.ask(document, json!({ "n": name, "c": category })).await;
}

/// Follows the products by a program while they are recorded and its connections are cut.
async fn through_cuts(has: &str, seed: u64) {
    const PRODUCTS: usize = 60;
    let Some(packages) = packages() else {
        eprintln!("left out: npm's packages are not there; `cargo xtask test` brings them where there is Node");
        return;
    };
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let category = client.ask("mutation { createCategory(input: { name: \"All\" }) { id } }", json!({})).await;
    let category = category["createCategory"]["id"].clone();
    let wire = Wire::to(&server).await;
    // Programs find packages beside themselves.
    let file = packages.join(format!("readme-{seed}-{}.mjs", std::process::id()));
    std::fs::write(&file, program("js", has).replace(ADDRESS, &wire.address)).unwrap();
    let mut command = Command::new("node");
    command.arg(&file).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut random = Random(seed);
    let (mut told, mut recorded) = (Vec::new(), 0);
    while told.len() < PRODUCTS {
        for _ in 0..=random.below(4) {
            if recorded < PRODUCTS {
                create(&client, &category, &format!("P{recorded}")).await;
                recorded += 1;
            }
        }
        while told.len() < recorded {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            told.push(line.expect("no more is told").unwrap().expect("the program has ended"));
            if random.below(5) == 0 {
                wire.cut.send_replace(());
            }
        }
    }
    drop(child);
    std::fs::remove_file(&file).unwrap();
    for (at, line) in told.iter().enumerate() {
        // Each is told with its place, which is where the program goes on from.
        let (cursor, name) = line.split_once(' ').unwrap();
        assert_eq!(name, format!("P{at}"), "{told:?}");
        assert!(cursor.split_once('.').is_some(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_program_over_web_sockets_is_told_everything_once_however_often_it_is_cut_off() {
    through_cuts("graphql-ws", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_program_over_streams_of_events_is_told_everything_once_however_often_it_is_cut_off() {
    through_cuts("graphql-sse", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_lines_for_curl_go_on_where_they_were_broken_off() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let category = client.ask("mutation { createCategory(input: { name: \"All\" }) { id } }", json!({})).await;
    let category = category["createCategory"]["id"].clone();
    for name in ["first", "second"] {
        create(&client, &category, name).await;
    }
    let line = program("sh", "text/event-stream").replace(ADDRESS, server.url().strip_prefix("http://").unwrap());
    let mut after = "0".to_owned();
    for name in ["first", "second", "third"] {
        if name == "third" {
            create(&client, &category, name).await;
        }
        // What stands in the README is run by the shell, from the place that was told last.
        let mut shell = Command::new("sh");
        let line = line.replace("\\\"0\\\"", &format!("\\\"{after}\\\""));
        let mut child = shell.args(["-c", &line]).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = loop {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("no more is told");
            let line = line.unwrap().expect("the stream has ended");
            if let Some(data) = line.strip_prefix("data: ") {
                break serde_json::from_str::<Value>(data).unwrap();
            }
        };
        assert_eq!(told["data"]["productCreated"]["name"], name, "{told}");
        after = told["extensions"]["cursor"].as_str().unwrap().to_owned();
    }
}
