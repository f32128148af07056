//! Clients from outside: what others have written to hold servers against specifications.

use std::process::Command;

use crate::support::{Client, Server, component, packages};
use crate::{acceptance, accounts};

#[tokio::test(flavor = "multi_thread")]
async fn all_audits_of_graphql_over_http_pass() {
    let Some(folder) = packages() else {
        return left_out();
    };
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let script = folder.join("run-audits.mjs");
    let audits = Command::new("node").arg(script).arg(format!("{}/graphql", server.url())).output().unwrap();
    let said = String::from_utf8_lossy(&audits.stdout);
    assert!(audits.status.success(), "{said}\n{}", String::from_utf8_lossy(&audits.stderr));
    assert!(said.contains("61 of 61 audits passed"), "{said}");
}

/// Makes every documented call of both example plugins by another client than this process.
async fn every_documented_call(by: impl FnOnce(Client) -> Client) {
    let plugins = ["catalog", "accounts"].map(|name| (name, component(name)));
    let server = Server::start(&plugins.each_ref().map(|(name, component)| (*name, &component[..]))).await;
    let client = by(server.client());
    acceptance::walk(&client).await;
    accounts::walk(&client).await;
}

async fn every_documented_call_by_npm(name: &str) {
    match packages() {
        Some(packages) => every_documented_call(|client| client.by_npm(&packages, name)).await,
        None => left_out(),
    }
}

fn left_out() {
    eprintln!("left out: npm's packages are not there; `cargo xtask test` brings them where there is Node");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_call_runs_by_curl() {
    every_documented_call(Client::by_curl).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_call_runs_by_urql() {
    every_documented_call_by_npm("urql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_call_runs_by_graphql_ws() {
    every_documented_call_by_npm("graphql-ws").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_call_runs_by_graphql_sse() {
    every_documented_call_by_npm("graphql-sse").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ide_is_served_without_anything_from_elsewhere() {
    let server = Server::start(&[]).await;
    let page = reqwest::get(format!("{}/graphiql", server.url())).await.unwrap();
    assert!(page.status().is_success());
    let page = page.text().await.unwrap();
    // It is the page itself, or what says how to get it; neither loads anything over the network.
    assert!(page.to_lowercase().contains("graphiql"), "{page}");
    for attribute in ["src=\"http", "href=\"http", "src=\"//", "href=\"//"] {
        assert!(!page.contains(attribute), "{page}");
    }
}
