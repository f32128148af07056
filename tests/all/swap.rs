//! New code goes live while the old code serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::support::{Client, Server, component, eventually, variant};

/// How often the code changes under load.
const SWAPS: u32 = 50;
/// How many clients write at once.
const CLIENTS: u32 = 4;

/// The digest of the plugin that runs.
async fn digest(client: &Client, plugin: &str) -> Option<String> {
    let answer = client.ask("{ yado { plugins { name digest } } }", json!({})).await;
    let plugins = answer["yado"]["plugins"].as_array().unwrap().clone();
    let found = plugins.into_iter().find(|known| known["name"] == plugin)?;
    Some(found["digest"].as_str().unwrap().to_owned())
}

/// Waits until this code runs.
async fn live(client: &Client, plugin: &str, component: &[u8]) {
    let wanted = yado_model::Digest::of(component).to_string();
    let is_live = async || digest(client, plugin).await.as_deref() == Some(&wanted);
    eventually(&format!("{plugin} {wanted} is live"), is_live).await;
}

/// Creates and renames until it is told to stop. Every single request must succeed.
async fn work(client: Client, number: u32, stop: Arc<AtomicBool>, done: Arc<AtomicU32>) -> Vec<String> {
    let mut ids = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let name = format!("{number}-{}", ids.len());
        let created = client
            .ask("mutation($n: String!) { createCategory(input: { name: $n }) { id name } }", json!({ "n": name }))
            .await;
        let id = created["createCategory"]["id"].clone();
        let renamed = client
            .ask(
                "mutation($i: ID!, $n: String!) { updateCategory(input: { id: $i, name: $n }) { id name } }",
                json!({ "i": id, "n": format!("{name} renamed") }),
            )
            .await;
        assert_eq!(renamed["updateCategory"]["name"], format!("{name} renamed"));
        ids.push(id.as_str().unwrap().to_owned());
        done.fetch_add(1, Ordering::Relaxed);
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_swaps_under_load_fail_and_lose_no_request() {
    let original = component("catalog");
    let server = Server::start(&[("catalog", &original)]).await;
    let client = server.client();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let workers: Vec<_> =
        (0..CLIENTS).map(|n| tokio::spawn(work(server.client(), n, stop.clone(), done.clone()))).collect();
    for swap in 0..SWAPS {
        let next = variant(&original, swap);
        server.put_plugin("catalog", &next);
        live(&client, "catalog", &next).await;
        // Each version does some of the work.
        let before = done.load(Ordering::Relaxed);
        eventually("the clients go on", async || {
            assert!(workers.iter().all(|worker| !worker.is_finished()), "a request failed");
            done.load(Ordering::Relaxed) > before
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut ids = Vec::new();
    for worker in workers {
        ids.extend(worker.await.unwrap());
    }
    for id in ids {
        let found = client.ask("query($i: ID!) { category(id: $i) { name } }", json!({ "i": id })).await;
        assert!(found["category"]["name"].as_str().unwrap().ends_with("renamed"), "{id}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_refused_with_its_reason_and_the_old_code_goes_on() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let (category, _) = client.product("Pen").await;
    let before = digest(&client, "catalog").await;
    let token = std::fs::read_to_string(server.data().join("admin-token")).unwrap();
    let (http, url) = (reqwest::Client::new(), format!("{}/admin/plugins", server.url()));
    let deploy = async |body: Vec<u8>, token: &str| {
        let answer = http.post(&url).bearer_auth(token.trim()).body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (status, refused) = deploy(b"no plugin at all".to_vec(), &token).await;
    assert_eq!(status, 422, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("WebAssembly"), "{refused}");
    let mut torn = component("catalog");
    torn.truncate(torn.len() / 2);
    assert_eq!(deploy(torn.clone(), &token).await.0, 422);
    assert_eq!(deploy(component("catalog"), "a guess").await.0, 401);

    // The same by the folder: the log tells of it.
    server.put_plugin("catalog", &torn);
    eventually("the log tells of the refusal", async || server.log().contains("was refused")).await;
    assert_eq!(digest(&client, "catalog").await, before);
    let renamed = "mutation($i: ID!) { updateCategory(input: { id: $i, name: \"Still here\" }) { name } }";
    assert_eq!(client.ask(renamed, json!({ "i": category })).await["updateCategory"]["name"], "Still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_changes_with_the_plugins_and_a_deployment_survives_a_restart() {
    let mut server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let provoke = "mutation { provokePanic { id } }";
    let unknown = client.send(provoke, json!({})).await;
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    let token = std::fs::read_to_string(server.data().join("admin-token")).unwrap();
    let http = reqwest::Client::new();
    let deployed = http
        .post(format!("{}/admin/plugins", server.url()))
        .bearer_auth(token.trim())
        .body(component("rogue"))
        .send()
        .await
        .unwrap();
    assert!(deployed.status().is_success(), "{}", deployed.text().await.unwrap());
    for _ in 0..2 {
        let known = client.send(provoke, json!({})).await;
        assert_eq!(known["errors"][0]["extensions"]["code"], "PLUGIN_FAULT", "{known}");
        assert!(server.stop(), "{}", server.log());
        server.start_again().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_changes_is_filled_before_the_swap_and_there_is_a_way_back() {
    let (now, next) = (component("rogue"), component("rogue-next"));
    let server = Server::start(&[("rogue", &now)]).await;
    let client = server.client();
    for _ in 0..5 {
        client.ask("mutation { behave { id } }", json!({})).await;
    }
    // There and back again, and once more: each time the rows are whole, and have grown by what came in between.
    for round in 0..3_usize {
        server.put_plugin("rogue", &next);
        live(&client, "rogue", &next).await;
        let shown = client.ask("{ sayings { length } }", json!({})).await;
        assert_eq!(shown["sayings"].as_array().unwrap().len(), 5 + round, "{shown}");
        let said = client.ask("mutation { behave { length } }", json!({})).await;
        assert_eq!(said["behave"]["length"], 16);
        server.put_plugin("rogue", &now);
        live(&client, "rogue", &now).await;
        // The old code's projection has gone on meanwhile, or is filled again; it may have the last event still to see.
        let all = async || client.ask("{ sayings { before } }", json!({})).await["sayings"].as_array().unwrap().len();
        eventually("all that was said is shown", async || all().await >= 6 + round).await;
    }
}
