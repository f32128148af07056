//! What becomes of subscriptions when something else is deployed, and when a read model is filled anew.

use serde_json::{Value, json};
use yado_store::testing::Postgres;

use super::stream::{Event, Stream};
use super::{CREATED, create, cut_at_random, name};
use crate::support::{Heard, Server, Socket, component, eventually, variant};

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_keeps_what_still_fits_and_ends_the_rest_with_the_next_schema_in_place() {
    let (catalog, now, next) = (component("catalog"), component("rogue"), component("rogue-next"));
    let server = Server::start(&[("catalog", &catalog), ("rogue", &now)]).await;
    let client = server.client();
    let mut stays = Socket::open(&server.url()).await;
    stays.subscribe(CREATED, &json!({})).await;
    let mut ends = Socket::open(&server.url()).await;
    ends.subscribe("subscription { sayingCreated { before } }", &json!({})).await;
    for round in 0..3 {
        server.put_plugin("catalog", &variant(&catalog, round));
        create(&client, &round.to_string()).await;
        assert_eq!(name(&stays.next().await), round.to_string());
    }
    client.ask("mutation { behave { id } }", json!({})).await;
    ends.next().await;
    server.put_plugin("rogue", &next);
    let Heard::Failed(errors) = ends.heard().await else { panic!("it goes on") };
    assert_eq!(errors[0]["extensions"]["code"], "SCHEMA_CHANGED", "{errors}");
    // Whoever fetches the schema because of that finds the next one.
    let known = client.ask("{ __type(name: \"Saying\") { fields { name } } }", json!({})).await;
    assert!(known["__type"]["fields"].as_array().unwrap().contains(&json!({ "name": "length" })), "{known}");
    create(&client, "last").await;
    assert_eq!(name(&stays.next().await), "last");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_a_read_model_that_goes_is_told_so_over_either_transport() {
    let server = Server::start(&[("bank", &component("bank"))]).await;
    let client = server.client();
    let open = async |id: &str| {
        let document = "mutation($id: ID!) { open(input: { id: $id, owner: \"Ada\" }) { position } }";
        client.ask(document, json!({ "id": id })).await;
    };
    let created = "subscription($c: String) { balanceCreated(after: $c) { id } }";
    let (mut socket, mut events) = (Socket::open(&server.url()).await, Socket::open(&server.url()).await);
    socket.subscribe(created, &json!({})).await;
    events.subscribe("subscription { events { id } }", &json!({})).await;
    let mut stream = Stream::open(&server.url(), created, &json!({})).await;
    open("a").await;
    for answer in [socket.next().await, stream.next().await] {
        assert_eq!(answer["data"]["balanceCreated"]["id"], "a");
    }
    // The same plugin, but that it has no read model any more.
    server.put_plugin("bank", &component("bank-accounts"));
    let Heard::Failed(errors) = socket.heard().await else { panic!("it goes on") };
    assert_eq!(errors[0]["extensions"]["code"], "SCHEMA_CHANGED", "{errors}");
    let answer = stream.next().await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "SCHEMA_CHANGED", "{answer}");
    assert_eq!(stream.event().await, Event::Complete);
    assert_eq!(client.ask("{ __type(name: \"Balance\") { name } }", json!({})).await["__type"], Value::Null);
    // What is of no read model goes on.
    open("b").await;
    for id in ["a", "b"] {
        assert_eq!(events.next().await["data"]["events"]["id"], id);
    }
}

/// A rebuild makes the rows that are there already, so there is nothing to tell of it, and nothing to miss.
async fn while_it_is_filled_anew(arguments: &[&str]) {
    let server = Server::start_with(arguments, &[("catalog", &component("catalog"))]).await;
    let token = std::fs::read_to_string(server.data().join("admin-token")).unwrap();
    let http = reqwest::Client::new();
    let key = async || {
        let all = http.get(format!("{}/admin/projections", server.url())).bearer_auth(token.trim());
        let all: Value = all.send().await.unwrap().json().await.unwrap();
        let mut known = all["projections"].as_array().unwrap().iter();
        let live = known.find(|one| one["name"] == "Category" && one["state"] == "live");
        live.map(|live| live["key"].as_str().unwrap().to_owned())
    };
    let rebuilds = async {
        for _ in 0..3 {
            let before = key().await;
            let rebuild = http.post(format!("{}/admin/projections/Category/rebuild", server.url()));
            let answer = rebuild.bearer_auth(token.trim()).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
            eventually("other tables serve", async || key().await.is_some_and(|key| Some(key) != before)).await;
        }
    };
    let servers = [&server];
    let ((), ()) = tokio::join!(cut_at_random(&servers), rebuilds);
    // All that was told before can be told again, in the same order.
    let mut socket = Socket::open(&server.url()).await;
    create(&server.client(), "last").await;
    let mut told = socket.subscribe(CREATED, &json!({ "c": "0" })).await;
    while told.last().is_none_or(|last| name(last) != "last") {
        told.push(socket.next().await);
    }
    let places: Vec<u64> = told.iter().map(|told| told["extensions"]["position"].as_u64().unwrap()).collect();
    assert!(places.is_sorted_by(|one, next| one < next), "{places:?}");
    assert_eq!(Some(places.len() as u64), places.last().copied(), "every event has made a category");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_tells_nothing_again_and_loses_nothing_on_sqlite() {
    while_it_is_filled_anew(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_tells_nothing_again_and_loses_nothing_on_postgresql() {
    let log = Postgres::shared().database().await;
    while_it_is_filled_anew(&["--database-url", &log]).await;
}
