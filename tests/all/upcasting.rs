//! Events that were recorded by older code, and code that can't read what was recorded.

use serde_json::{Value, json};

use crate::support::{Client, Server, component, eventually};

/// Hands a plugin to the server, and returns status and answer.
async fn deploy(server: &Server, plugin: &[u8]) -> (u16, Value) {
    let token = std::fs::read_to_string(server.data().join("admin-token")).unwrap();
    let http = reqwest::Client::new();
    let request = http.post(format!("{}/admin/plugins", server.url())).bearer_auth(token.trim());
    let answer = request.body(plugin.to_vec()).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Makes an entry by the first version of the ledger.
async fn post(client: &Client, cents: i64, memo: &str) -> String {
    let document = "mutation($c: Int!, $m: String!) { post(input: { cents: $c, memo: $m }) { id } }";
    let posted = client.ask(document, json!({ "c": cents, "m": memo })).await;
    posted["post"]["id"].as_str().unwrap().to_owned()
}

/// What the next version of the ledger shows of an entry.
async fn line(client: &Client, id: &str) -> Value {
    let shown = client.ask("query($i: ID!) { line(id: $i) { amount remark closed } }", json!({ "i": id })).await;
    shown["line"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_are_read_by_the_code_of_today_wherever_they_are_read() {
    let server = Server::start(&[("ledger", &component("ledger"))]).await;
    let client = server.client();
    let (kept, corrected, struck) =
        (post(&client, 1_05, "kept").await, post(&client, 2_00, "").await, post(&client, 3_00, "").await);
    // More than a page and more than a call of them.
    let correct = "mutation($i: ID!, $c: Int!) { correct(input: { id: $i, cents: $c }) { revision } }";
    for cents in 0..600 {
        client.ask(correct, json!({ "i": corrected, "c": cents })).await;
    }
    client.ask("mutation($i: ID!) { strike(input: { id: $i }) { revision } }", json!({ "i": struck })).await;

    let (status, answer) = deploy(&server, &component("ledger-next")).await;
    assert_eq!(status, 200, "{answer}");
    // The read model is made anew from what has become of the events: of each several, one, or another one.
    let shown = |amount: &str, remark: Option<&str>, closed: bool| {
        let amount: Value = serde_json::from_str(amount).unwrap();
        json!({ "amount": amount, "remark": remark, "closed": closed })
    };
    assert_eq!(line(&client, &kept).await, shown("1.05", None, false));
    assert_eq!(line(&client, &corrected).await, shown("5.99", None, false));
    assert_eq!(line(&client, &struck).await, shown("3.00", Some("struck"), true));
    // The write side decides on the same: nothing is to be recorded, then something, then the domain says no.
    let book = "mutation($i: ID!, $a: Decimal!) { book(input: { id: $i, amount: $a }) { revision } }";
    let booked = async |id: &str, amount: &str| {
        let amount: Value = serde_json::from_str(amount).unwrap();
        client.send(book, json!({ "i": id, "a": amount })).await
    };
    assert_eq!(booked(&corrected, "5.99").await["data"]["book"]["revision"], 601);
    assert_eq!(booked(&corrected, "6.00").await["data"]["book"]["revision"], 602);
    let closed = booked(&struck, "1").await;
    assert_eq!(closed["errors"][0]["extensions"]["reason"], "entry_closed", "{closed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_older_than_the_log_is_refused_also_when_it_is_found_at_the_start() {
    let catalog = component("catalog");
    let mut server = Server::start(&[("catalog", &catalog), ("ledger", &component("ledger-next"))]).await;
    let client = server.client();
    let book = "mutation { book(input: { id: \"one\", amount: 1 }) { position } }";
    assert_eq!(client.ask(book, json!({})).await["book"]["position"], 1);
    // While the newer code runs the older one can't take its place.
    let (status, refused) = deploy(&server, &component("ledger")).await;
    assert_eq!(status, 422, "{refused}");

    assert!(server.stop(), "{}", server.log());
    server.put_plugin("ledger", &component("ledger"));
    server.start_again().await;
    let log = server.log();
    let told = log.lines().rfind(|line| line.contains("was refused")).unwrap();
    for part in ["version 0.1.0 of ledger", "Booked version 3 of Entry", "position 1", "deploy that one"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    // Nobody's command meets it, and the neighbours serve.
    let unknown = client.send("mutation { post(input: { cents: 1, memo: \"\" }) { id } }", json!({})).await;
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{unknown}");
    client.product("Pen").await;
    server.put_plugin("ledger", &component("ledger-next"));
    let again = async || client.send(book, json!({})).await["data"]["book"]["position"] == 1;
    eventually("the code that can read the log is back", again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_new_code_fails_at_keeps_it_from_going_live() {
    let server = Server::start(&[("ledger", &component("ledger"))]).await;
    let client = server.client();
    post(&client, 1, "fine").await;
    let entry = post(&client, 2, "unreadable").await;
    let (status, refused) = deploy(&server, &component("ledger-next")).await;
    assert_eq!(status, 422, "{refused}");
    let told = refused["error"]["message"].as_str().unwrap();
    for part in ["Posted version 1", "position 2", &entry, "I can't read this memo"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    let lines = async || client.ask("{ lines(orderBy: [{ cents: ASC }]) { cents } }", json!({})).await["lines"].clone();
    let both = json!([{ "cents": 1 }, { "cents": 2 }]);
    eventually("the old code goes on", async || lines().await == both).await;
    post(&client, 3, "").await;
}
