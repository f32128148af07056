//! Requests that nobody would send, made up from the schema by Schemathesis.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use yado_store::testing::Postgres;

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

/// What is asked for again and again, whatever else there is: the run is worth nothing where all of it is refused.
const ASKED: [&str; 10] = [
    "Mutation.createProduct",
    "Mutation.updateProduct",
    "Mutation.deleteProduct",
    "Query.product",
    "Query.products",
    "Query.productsConnection",
    "Query.productsAggregate",
    "Query.searchProducts",
    "Query.getUserAccounts",
    "Query.userAccountsAggregate",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_the_server_answers_as_documented_on_sqlite() {
    ask_whatever("SQLite", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_the_server_answers_as_documented_on_postgresql() {
    ask_whatever("PostgreSQL", &["--database-url", &Postgres::shared().database().await]).await;
}

/// The same requests in each run. `YADO_FUZZ_SECONDS=600` makes up others, for so long.
async fn ask_whatever(engine: &str, database: &[&str]) {
    let Some(schemathesis) = schemathesis() else {
        eprintln!("left out: Schemathesis is not there; `cargo xtask test` brings it where there is Python");
        return;
    };
    let plugins = ["catalog", "accounts"].map(|name| (name, component(name)));
    let plugins = plugins.each_ref().map(|(name, component)| (*name, &component[..]));
    let mut server = Server::start_with(database, &plugins).await;
    let client = server.client();
    let (category, product) = client.product("Pen").await;
    let person = json!({ "firstName": "Ada", "lastName": "Lovelace", "emailAddress": "ada@example.com" });
    let account = client.ask(Documents::ACCOUNTS.operation("Create"), json!({ "input": person })).await;
    let known = json!({ "Category": category, "Product": product, "UserAccount": account["createUserAccount"]["id"] });
    // Positions are made up as well, and few of them will ever be reached.
    assert!(server.stop());
    server.start_again_with(&["--limits-caught-up-ms", "50"]).await;
    let (hooks, told) = (concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"), server.data().join("told.json"));
    let mut run = Command::new(schemathesis);
    run.args(["run", &format!("{}/graphql", server.url()), "--no-color", "--continue-on-failure"])
        .args(["--checks", "answers_are_whole,content_type_conformance,response_schema_conformance"])
        .args(["--suppress-health-check", "all", "--request-timeout", "120", "--generation-database", "none"])
        .env("SCHEMATHESIS_HOOKS", format!("{hooks}/hooks.py"))
        .env("PYTHONPATH", hooks)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("YADO_FUZZ_IDS", known.to_string())
        .env("YADO_FUZZ_TOLD", &told)
        .current_dir(server.data());
    match std::env::var("YADO_FUZZ_SECONDS") {
        Ok(seconds) => run.args(["--max-time", &seconds]),
        Err(_) => run.args(["--max-examples", "50", "--seed", "4"]),
    };
    let run = tokio::task::spawn_blocking(move || run.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    // What a caller may bring about is no matter for the operator: nothing panics, stands or waits for other code.
    let log = server.whole_log().await;
    let is_bad = |line: &&str| line.contains("panicked") || line.contains("\"level\":\"ERROR\"");
    assert_eq!(log.lines().find(is_bad), None);
    let told: Value = serde_json::from_slice(&std::fs::read(told).unwrap()).unwrap();
    let counts = |name: &str| told[name].as_object().unwrap();
    for asked in counts("refused").keys().map(String::as_str).chain(ASKED) {
        assert!(counts("answered").contains_key(asked), "{asked} has never been answered: all of it was refused");
    }
    let [answered, refused] =
        ["answered", "refused"].map(|name| counts(name).values().filter_map(Value::as_u64).sum::<u64>());
    // It is told past what keeps the output of tests that succeed from being seen: whoever has asked for a long run wants to
    // know what it came to.
    let _ = writeln!(io::stderr(), "asked of {engine}: {answered} requests were answered, and {refused} were refused");
}
