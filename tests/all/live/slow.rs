//! Those who take nothing: they are told so, and go on later without a loss.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{CREATED, create, cursor, name};
use crate::support::{Heard, Server, Socket, component};

/// Few messages are kept for whoever is behind, and not for long.
const IMPATIENT: [&str; 4] = ["--graphql-live-buffer", "16", "--graphql-slow-ms", "200"];

/// What has the same in it a hundred times, so that the buffers between here and there are soon full.
fn much() -> String {
    let again: Vec<String> = (0..100).map(|at| format!("a{at}: name")).collect();
    format!("subscription($c: String) {{ categoryCreated(after: $c) {{ name {} }} }}", again.join(" "))
}

/// Whether the server has had enough of somebody: its log says so, or it has told him so, and counts those.
async fn has_had_enough(server: &Server) -> bool {
    let log = server.log();
    if ["did not take", "was not taken"].iter().any(|said| log.contains(said)) {
        return true;
    }
    let figures = reqwest::get(format!("{}/metrics", server.url())).await.unwrap().text().await.unwrap();
    let told = figures.lines().find_map(|line| line.strip_prefix("yado_slow_readers_total "));
    told.is_some_and(|told| told != "0")
}

/// Records categories, of which somebody quick is told each, until the server has had enough of somebody slow. Returns how
/// many.
async fn until_it_is_closed(server: &Server) -> usize {
    let client = server.client();
    let mut quick = Socket::open(&server.url()).await;
    quick.subscribe(CREATED, &json!({})).await;
    let long = "x".repeat(90);
    let mut recorded = 0;
    while !has_had_enough(server).await {
        let name_of = format!("{recorded:06}{long}");
        create(&client, &name_of).await;
        assert_eq!(name(&quick.next().await), name_of);
        recorded += 1;
        assert!(recorded < 50_000, "it is never closed");
    }
    recorded
}

/// Goes on behind what was told, until everything is.
async fn goes_on(server: &Server, mut told: Vec<Value>, recorded: usize) {
    let mut again = Socket::open(&server.url()).await;
    let place = told.last().map_or("0".to_owned(), cursor);
    told.extend(again.subscribe(CREATED, &json!({ "c": place })).await);
    while told.len() < recorded {
        told.push(again.next().await);
    }
    for (at, message) in told.iter().enumerate() {
        assert!(name(message).starts_with(&format!("{at:06}")), "{at}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_nothing_is_closed_and_goes_on_later_without_a_loss() {
    let server = Server::start_with(&IMPATIENT, &[("catalog", &component("catalog"))]).await;
    let mut slow = Socket::open(&server.url()).await;
    slow.subscribe(&much(), &json!({})).await;
    let recorded = until_it_is_closed(&server).await;
    let mut told: Vec<Value> = Vec::new();
    let code = loop {
        match slow.heard().await {
            Heard::Next(message) => told.push(message),
            Heard::Closed(code) => break code,
            Heard::Failed(errors) => panic!("{errors}"),
        }
    };
    assert!(code.is_none_or(|code| code == 4290), "{code:?}");
    goes_on(&server, told, recorded).await;
}

/// A connection that takes next to nothing by itself, over which a subscription has been asked for.
async fn unread(server: &Server) -> TcpStream {
    let address = server.url().strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let body = json!({ "query": much() }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    // It is in force once there is an answer.
    stream.peek(&mut [0]).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_nothing_of_a_stream_of_events_finds_at_its_end_why_there_is_no_more() {
    let server = Server::start_with(&IMPATIENT, &[("catalog", &component("catalog"))]).await;
    let mut slow = unread(&server).await;
    let recorded = until_it_is_closed(&server).await;
    let mut text = Vec::new();
    slow.read_to_end(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| !data.is_empty());
    let mut told: Vec<Value> = events.map(|data| serde_json::from_str(data).unwrap()).collect();
    let last = told.pop().unwrap();
    assert_eq!(last["errors"][0]["extensions"]["code"], "SLOW_READER", "{last}");
    assert!(!text.contains("event: complete"), "a client that is told so comes back");
    assert!(told.len() < recorded, "{} of {recorded}", told.len());
    goes_on(&server, told, recorded).await;
}
