//! Requests that nobody would send, made up from the schema by Schemathesis.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::support::{Documents, Server, component};

/// Where `cargo xtask test` has put it; none where it can't be had. If it says where it is, it has to be there.
fn schemathesis() -> Option<PathBuf> {
    let program = |folder: PathBuf| folder.join("bin/schemathesis");
    if let Some(folder) = std::env::var_os("YADO_TEST_FUZZER").filter(|folder| !folder.is_empty()) {
        let program = program(PathBuf::from(folder));
        assert!(program.is_file(), "{} is not there", program.display());
        return Some(program);
    }
    let beside = program(std::env::current_exe().ok()?.ancestors().nth(3)?.join("fuzzer"));
    beside.is_file().then_some(beside)
}

/// The same requests in each run. `YADO_FUZZ_SECONDS=600` makes up others, for so long.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_the_server_answers_as_documented() {
    let Some(schemathesis) = schemathesis() else {
        eprintln!("left out: Schemathesis is not there; `cargo xtask test` brings it where there is Python");
        return;
    };
    let plugins = ["catalog", "accounts"].map(|name| (name, component(name)));
    let plugins = plugins.each_ref().map(|(name, component)| (*name, &component[..]));
    // Positions are made up as well, and few of them will ever be reached.
    let server = Server::start_with(&["--limits-caught-up-ms", "20"], &plugins).await;
    let client = server.client();
    let (category, product) = client.product("Pen").await;
    let person = json!({ "firstName": "Ada", "lastName": "Lovelace", "emailAddress": "ada@example.com" });
    let account = client.ask(Documents::ACCOUNTS.operation("Create"), json!({ "input": person })).await;
    let account = account["createUserAccount"]["id"].as_str().unwrap();
    let mut run = Command::new(schemathesis);
    run.args(["run", &format!("{}/graphql", server.url()), "--no-color", "--continue-on-failure"])
        .args(["--checks", "answers_are_whole,content_type_conformance,response_schema_conformance"])
        .args(["--suppress-health-check", "all", "--request-timeout", "20", "--generation-database", "none"])
        .env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/hooks.py"))
        .env("YADO_FUZZ_IDS", [&category, &product, account].join(","))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(server.data());
    match std::env::var("YADO_FUZZ_SECONDS") {
        Ok(seconds) => run.args(["--max-time", &seconds]),
        Err(_) => run.args(["--max-examples", "50", "--seed", "4"]),
    };
    let run = tokio::task::spawn_blocking(move || run.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}
