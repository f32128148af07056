//! What an operator does to projections, over HTTP and on the command line.

use serde_json::{Value, json};

use crate::support::{Server, component, eventually, yado};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_pauses_and_rebuilds_projections() {
    let mut server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    client.product("Pen").await;
    let token = std::fs::read_to_string(server.data().join("admin-token")).unwrap();
    let run = |url: &str, arguments: &[&str]| {
        let arguments = ["projection"].iter().chain(arguments).copied();
        let done = yado().args(arguments).args(["--server", url, "--token", token.trim()]).output().unwrap();
        let text = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (done.status.success(), text)
    };
    let (listed, text) = run(&server.url(), &["list"]);
    assert!(listed && text.contains("Product (catalog/Product/") && text.contains(": live, 2 of 2 events"), "{text}");

    let (paused, text) = run(&server.url(), &["pause", "Product"]);
    assert!(paused && text.contains("Product stands still"), "{text}");
    assert!(run(&server.url(), &["list"]).1.contains(": paused, 2 of 2 events"));
    let (rebuilt, text) = run(&server.url(), &["rebuild", "Product"]);
    assert!(!rebuilt && text.contains("projection Product: is paused: resume it first"), "{text}");
    let (paused, text) = run(&server.url(), &["pause", "Nothing"]);
    assert!(!paused && text.contains("there is no projection \"Nothing\" here"), "{text}");

    // A restart does not make it go on, and what it would have shown is not lost.
    assert!(server.stop(), "{}", server.log());
    server.start_again_with(&["--limits-caught-up-ms", "100"]).await;
    let client = server.client();
    let category = client.ask("{ categories { id } }", json!({})).await["categories"][0]["id"].clone();
    let create = "mutation($c: ID!) { createProduct(input: { name: \"Ink\", price: 3, categoryId: $c }) { id } }";
    let lagging = client.send(create, json!({ "c": category })).await;
    assert_eq!(lagging["errors"][0]["extensions"]["code"], "LAGGING", "{lagging}");
    let (resumed, text) = run(&server.url(), &["resume", "Product"]);
    assert!(resumed && text.contains("Product goes on"), "{text}");
    let names =
        async || client.ask("{ products(orderBy: [{ name: ASC }]) { name } }", json!({})).await["products"].clone();
    let both = json!([{ "name": "Ink" }, { "name": "Pen" }]);
    eventually("both are shown", async || names().await == both).await;

    let key = async || -> Option<String> {
        let all = reqwest::Client::new().get(format!("{}/admin/projections", server.url())).bearer_auth(token.trim());
        let all: Value = all.send().await.unwrap().json().await.unwrap();
        let mut products = all["projections"].as_array().unwrap().iter();
        let live = products.find(|one| one["name"] == "Product" && one["state"] == "live")?;
        live["key"].as_str().map(str::to_owned)
    };
    let before = key().await;
    let (rebuilt, text) = run(&server.url(), &["rebuild", "Product"]);
    assert!(rebuilt && text.contains("is filled anew, beside the tables that serve"), "{text}");
    eventually("other tables serve", async || key().await.is_some_and(|key| Some(key) != before)).await;
    assert_eq!(names().await, both);
    let (cancelled, text) = run(&server.url(), &["rebuild", "Product", "--cancel"]);
    assert!(!cancelled && text.contains("projection Product: is not being rebuilt"), "{text}");
    let unasked = reqwest::Client::new().post(format!("{}/admin/projections/Product/pause", server.url()));
    assert_eq!(unasked.send().await.unwrap().status().as_u16(), 401);
}
