//! Clients from outside: what others have written to hold servers against specifications.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Server, component};

/// Where `cargo xtask test` has put npm's packages; none where they can't be had. If it says where they are, they have to
/// be there.
fn packages() -> Option<PathBuf> {
    // npm writes this file last.
    let is_whole = |folder: &PathBuf| folder.join("node_modules/.package-lock.json").is_file();
    if let Some(folder) = std::env::var_os("YADO_TEST_CLIENTS").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        assert!(is_whole(&folder), "YADO_TEST_CLIENTS is {}, and npm's packages are not there", folder.display());
        return Some(folder);
    }
    let beside = std::env::current_exe().ok()?.ancestors().nth(3)?.join("node");
    is_whole(&beside).then_some(beside)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_audits_of_graphql_over_http_pass() {
    let Some(folder) = packages() else {
        eprintln!("left out: npm's packages are not there; `cargo xtask test` brings them where there is Node");
        return;
    };
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let script = folder.join("run-audits.mjs");
    let audits = Command::new("node").arg(script).arg(format!("{}/graphql", server.url())).output().unwrap();
    let said = String::from_utf8_lossy(&audits.stdout);
    assert!(audits.status.success(), "{said}\n{}", String::from_utf8_lossy(&audits.stderr));
    assert!(said.contains("61 of 61 audits passed"), "{said}");
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
