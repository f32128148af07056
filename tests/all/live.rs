//! Those who follow what happens are told everything, once and in order, whatever happens to them and to the server.

mod readme;
mod slow;
mod stream;
mod swap;

use std::collections::HashSet;

use serde_json::{Value, json};
use yado_store::testing::Postgres;

use stream::{Event, Stream};

use crate::support::{Client, Heard, Server, Socket, component};

const CREATED: &str = "subscription($c: String) { categoryCreated(after: $c) { name } }";

/// Records a category of this name.
async fn create(client: &Client, name: &str) {
    let document = "mutation($n: String!) { createCategory(input: { name: $n }) { id } }";
    client.ask(document, json!({ "n": name })).await;
}

fn name(message: &Value) -> String {
    message["data"]["categoryCreated"]["name"].as_str().unwrap_or_else(|| panic!("{message}")).to_owned()
}

fn cursor(message: &Value) -> String {
    message["extensions"]["cursor"].as_str().unwrap_or_else(|| panic!("{message}")).to_owned()
}

/// Numbers that are the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Follows the categories until so many have been told, and is cut off after a few messages each time. Each time it goes
/// on at one of the servers.
async fn follow(servers: Vec<String>, count: usize, seed: u64) -> Vec<String> {
    let mut random = Random(seed);
    let (mut told, mut place) = (Vec::new(), "0".to_owned());
    while told.len() < count {
        let server = &servers[usize::try_from(random.below(servers.len() as u64)).unwrap()];
        let mut socket = Socket::open(server).await;
        let mut messages = socket.subscribe(CREATED, &json!({ "c": place })).await;
        for _ in 0..=random.below(12) {
            if told.len() + messages.len() >= count {
                break;
            }
            messages.push(socket.next().await);
        }
        place = messages.last().map_or(place, cursor);
        told.extend(messages.iter().map(name));
    }
    told
}

/// Clients record categories at all servers while others follow them and are cut off again and again.
async fn cut_at_random(servers: &[&Server]) {
    const WRITERS: usize = 4;
    const EACH: usize = 40;
    const FOLLOWERS: u64 = 6;
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    let followers: Vec<_> =
        (0..FOLLOWERS).map(|seed| tokio::spawn(follow(urls.clone(), WRITERS * EACH, seed))).collect();
    let writers = (0..WRITERS).map(|writer| {
        let client = servers[writer % servers.len()].client();
        tokio::spawn(async move {
            for at in 0..EACH {
                create(&client, &format!("{writer}-{at}")).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut all = Vec::new();
    for follower in followers {
        all.push(follower.await.unwrap());
    }
    let once: HashSet<&String> = all[0].iter().collect();
    assert_eq!((all[0].len(), once.len()), (WRITERS * EACH, WRITERS * EACH), "{:?}", all[0]);
    for (seed, told) in all.iter().enumerate() {
        assert_eq!(*told, all[0], "seed {seed}: all are told the same, in one order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_once_while_sockets_are_cut_at_random_on_sqlite() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    cut_at_random(&[&server]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_once_while_sockets_are_cut_at_random_between_two_servers_on_postgresql() {
    let log = Postgres::shared().database().await;
    let catalog = component("catalog");
    let plugins = [("catalog", catalog.as_slice())];
    let one = Server::start_with(&["--database-url", &log], &plugins).await;
    let other = Server::start_with(&["--database-url", &log], &plugins).await;
    cut_at_random(&[&one, &other]).await;
}

/// What was told before a server ended goes on behind it, with what was recorded by others meanwhile.
async fn across_a_restart(mut server: Server, end: fn(&mut Server)) {
    let client = server.client();
    create(&client, "before").await;
    let mut socket = Socket::open(&server.url()).await;
    assert!(socket.subscribe(CREATED, &json!({})).await.is_empty(), "what was before is not asked for");
    create(&client, "first").await;
    let first = socket.next().await;
    assert_eq!(name(&first), "first");
    create(&client, "second").await;
    end(&mut server);
    server.start_again().await;
    let client = server.client();
    create(&client, "third").await;

    let mut socket = Socket::open(&server.url()).await;
    let mut told = socket.subscribe(CREATED, &json!({ "c": cursor(&first) })).await;
    create(&client, "fourth").await;
    while told.len() < 3 {
        told.push(socket.next().await);
    }
    assert_eq!(told.iter().map(name).collect::<Vec<_>>(), ["second", "third", "fourth"]);
    // A position is a place as well: that of the message, or of an answer.
    let position = first["extensions"]["position"].to_string();
    let mut socket = Socket::open(&server.url()).await;
    let mut again = socket.subscribe(CREATED, &json!({ "c": position })).await;
    while again.len() < 3 {
        again.push(socket.next().await);
    }
    assert_eq!(again, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_on_behind_a_restart_on_sqlite() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    across_a_restart(server, |server| assert!(server.stop(), "{}", server.log())).await;
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    across_a_restart(server, Server::kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_goes_on_behind_a_restart_on_postgresql() {
    let catalog = component("catalog");
    let plugins = [("catalog", catalog.as_slice())];
    for end in [Server::kill, |server: &mut Server| assert!(server.stop(), "{}", server.log())] {
        let log = Postgres::shared().database().await;
        across_a_restart(Server::start_with(&["--database-url", &log], &plugins).await, end).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_from_any_position_on() {
    let mut server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    for at in 1..=5 {
        create(&client, &at.to_string()).await;
    }
    let document = "subscription($a: BigInt) { events(after: $a, names: [\"CategoryCreated\"]) { position payload } }";
    for round in 0..2 {
        let mut socket = Socket::open(&server.url()).await;
        let mut told = socket.subscribe(document, &json!({ "a": 2 })).await;
        create(&client, "more").await;
        while told.len() < 4 + round {
            told.push(socket.next().await);
        }
        for (message, position) in told.iter().zip(3..) {
            assert_eq!(message["data"]["events"]["position"], position);
            assert_eq!(message["extensions"], json!({ "position": position, "cursor": position.to_string() }));
        }
        assert_eq!(told[0]["data"]["events"]["payload"]["name"], "3");
        assert!(server.stop(), "{}", server.log());
        server.start_again().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_sockets_are_told_everything_and_leave_in_order() {
    const SOCKETS: usize = 300;
    let mut server = Server::start_with(&["--http-connections", "16"], &[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        let mut socket = Socket::open(&server.url()).await;
        assert!(socket.subscribe(CREATED, &json!({})).await.is_empty());
        sockets.push(socket);
    }
    for at in 0..10 {
        create(&client, &at.to_string()).await;
    }
    for socket in &mut sockets {
        for at in 0..10 {
            assert_eq!(name(&socket.next().await), at.to_string());
        }
    }
    assert!(server.stop(), "{}", server.log());
    for mut socket in sockets {
        assert!(matches!(socket.heard().await, Heard::Closed(Some(1001))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_takes_no_place_among_the_connections() {
    let mut server = Server::start_with(&["--http-connections", "4"], &[("catalog", &component("catalog"))]).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(Stream::open(&server.url(), CREATED, &json!({})).await);
    }
    create(&server.client(), "Pens").await;
    for stream in &mut streams {
        assert_eq!(name(&stream.next().await), "Pens");
    }
    assert!(server.stop(), "{}", server.log());
    for mut stream in streams {
        // A client whose stream ends without a word comes back.
        assert_eq!(stream.event().await, Event::BrokenOff);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_get_no_socket_unless_they_may() {
    let ours = "http://localhost:5173";
    let server = Server::start_with(&["--cors-origins", ours], &[("catalog", &component("catalog"))]).await;
    for allowed in [ours, &server.url()] {
        assert!(Socket::try_open(&server.url(), Some(allowed)).await.is_ok(), "{allowed}");
    }
    for refused in ["http://elsewhere.example", "null", "http://localhost:4000"] {
        let why = Socket::try_open(&server.url(), Some(refused)).await.err().unwrap();
        assert!(why.contains("403"), "{refused}: {why}");
    }
    assert_eq!(server.client().ask("{ __typename }", json!({})).await["__typename"], "Query");
}
