//! A value of a constraint has one holder, whatever happens.

use std::process::Output;

use futures::future::join_all;
use serde_json::{Value, json};
use yado_store::testing::{self, Postgres};

use crate::support::{Client, Server, component, eventually, yado};

/// How many want the same value at once.
const RIVALS: usize = 16;
/// How often they do.
const ROUNDS: usize = 20;

const REGISTER: &str = "mutation($a: String!) { register(input: { address: $a }) { id address } }";
const MOVE: &str = "mutation($i: ID!, $a: String!) { move(input: { id: $i, address: $a }) { address } }";
const LEAVE: &str = "mutation($i: ID!) { leave(input: { id: $i }) { revision } }";

async fn on_sqlite() -> (Server, String) {
    let server = Server::start(&[("registry", &component("registry"))]).await;
    let log = format!("sqlite:{}", server.data().join("events.db").display());
    (server, log)
}

async fn on_postgresql() -> (Server, String) {
    let log = Postgres::shared().database().await;
    let server = Server::start_with(&["--database-url", &log], &[("registry", &component("registry"))]).await;
    (server, log)
}

async fn register(client: &Client, address: &str) -> String {
    let registered = client.ask(REGISTER, json!({ "a": address })).await;
    registered["register"]["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_taken(answer: &Value) {
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "REJECTED", "{answer}");
    assert_eq!(error["extensions"]["reason"], "address", "{answer}");
    assert_eq!(error["message"], "Somebody else is registered with this address.", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_value_is_rejected_with_the_name_of_its_constraint_until_it_is_let_go() {
    for (server, _) in [on_sqlite().await, on_postgresql().await] {
        let client = server.client();
        let ada = register(&client, "ada@example.org").await;
        assert_taken(&client.send(REGISTER, json!({ "a": "ADA@example.org" })).await);
        let bob = register(&client, "bob@example.org").await;
        assert_taken(&client.send(MOVE, json!({ "i": bob, "a": "ada@example.org" })).await);
        // Nothing was recorded of what was rejected.
        let entries = client.ask("{ entries(orderBy: [{ address: ASC }]) { address } }", json!({})).await;
        assert_eq!(entries["entries"], json!([{ "address": "ada@example.org" }, { "address": "bob@example.org" }]));
        // What one lets go another takes, whether the one goes or moves; and what is one's own can be had again.
        client.ask(MOVE, json!({ "i": ada, "a": "ada@example.com" })).await;
        client.ask(MOVE, json!({ "i": ada, "a": "Ada@example.com" })).await;
        client.ask(MOVE, json!({ "i": bob, "a": "ada@example.org" })).await;
        client.ask(LEAVE, json!({ "i": ada })).await;
        register(&client, "ada@example.com").await;
        assert_taken(&client.send(REGISTER, json!({ "a": "ada@example.org" })).await);
        register(&client, "bob@example.org").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_want_the_same_value_at_once_exactly_one_gets_it() {
    for (server, _) in [on_sqlite().await, on_postgresql().await] {
        let client = server.client();
        for round in 0..ROUNDS {
            let address = format!("{round}@example.org");
            let rivals = (0..RIVALS).map(|_| client.send(REGISTER, json!({ "a": address })));
            let answers = join_all(rivals).await;
            let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.get("errors").is_none());
            assert_eq!(won.len(), 1, "round {round}: {won:?}");
            lost.iter().for_each(assert_taken);
            // The holder lets go while others try: at most one of them comes in its place.
            let holder = won[0]["data"]["register"]["id"].clone();
            let moved = format!("{round}@example.com");
            let (gone, answers) = tokio::join!(
                client.send(MOVE, json!({ "i": holder, "a": moved })),
                join_all((0..RIVALS).map(|_| client.send(REGISTER, json!({ "a": address })))),
            );
            assert!(gone.get("errors").is_none(), "{gone}");
            let won = answers.iter().filter(|answer| answer.get("errors").is_none()).count();
            assert!(won <= 1, "round {round}: {answers:?}");
            if won == 0 {
                register(&client, &address).await;
            }
        }
        let entries = client.ask("{ entries(limit: 100) { id } }", json!({})).await;
        assert_eq!(entries["entries"].as_array().unwrap().len(), 2 * ROUNDS);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_survive_a_kill_and_read_models_that_are_made_anew() {
    let (mut server, _) = on_sqlite().await;
    let client = server.client();
    register(&client, "ada@example.org").await;
    server.kill();
    for file in std::fs::read_dir(server.data()).unwrap().map(|file| file.unwrap().path()) {
        if file.file_name().unwrap().to_string_lossy().starts_with("reads.db") {
            std::fs::remove_file(file).unwrap();
        }
    }
    server.start_again().await;
    assert_taken(&client.send(REGISTER, json!({ "a": "ada@example.org" })).await);
    let shown = async || client.ask("{ entries { address } }", json!({})).await["entries"].clone();
    eventually("the entry is shown again", async || shown().await == json!([{ "address": "ada@example.org" }])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_too_long_is_the_callers_mistake_and_names_its_constraint() {
    for (server, _) in [on_sqlite().await, on_postgresql().await] {
        let client = server.client();
        for (address, path, wrong) in [
            ("a".repeat(1_025), "", "the value for address has 1025 bytes, and 1024 is the most"),
            // That is so in all arguments, before anything is decided.
            ("a\0b".to_owned(), "address", "must not contain the character NUL, which no row has"),
        ] {
            let answer = client.send(REGISTER, json!({ "a": address })).await;
            let error = &answer["errors"][0];
            assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
            assert_eq!(error["extensions"]["fields"], json!([{ "path": path, "message": wrong }]), "{answer}");
        }
        // The longest that there may be is none, and nothing was recorded of the others.
        let longest = "a".repeat(1_024);
        register(&client, &longest).await;
        let entries = client.ask("{ entries { address } }", json!({})).await;
        assert_eq!(entries["entries"], json!([{ "address": longest }]));
    }
}

/// Runs `yado claims …` on a server's log, whether it runs or not.
fn claims(server: &Server, what: &str, log: &str) -> (bool, String) {
    let Output { status, stdout, stderr } =
        yado().args(["claims", what, "--database-url", log, "--data"]).arg(server.data()).output().unwrap();
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_table_of_claims_is_found_out_and_made_again_from_the_log_while_the_server_runs() {
    for (server, log) in [on_sqlite().await, on_postgresql().await] {
        let client = server.client();
        let ada = register(&client, "ada@example.org").await;
        let bob = register(&client, "bob@example.org").await;
        let cy = register(&client, "cy@example.org").await;
        client.ask(LEAVE, json!({ "i": cy })).await;
        assert_eq!(
            claims(&server, "check", &log),
            (true, "2 values are held, as the log says up to position 4\n".into())
        );

        for damage in [
            "delete from claims where value = 'ada@example.org'".to_owned(),
            "update claims set value = 'cy@example.org' where value = 'bob@example.org'".to_owned(),
        ] {
            testing::execute(&log, &damage).await;
        }
        let (sound, told) = claims(&server, "check", &log);
        assert!(!sound, "{told}");
        for line in [
            format!("address \"ada@example.org\" (tenant default): Member-{ada} holds it, and the table says nobody"),
            format!("address \"bob@example.org\" (tenant default): Member-{bob} holds it, and the table says nobody"),
            format!("address \"cy@example.org\" (tenant default): nobody holds it, and the table says Member-{bob}"),
            "yado claims rebuild".to_owned(),
        ] {
            assert!(told.contains(&line), "{line} is not in {told}");
        }
        // A check changes nothing.
        assert!(!claims(&server, "check", &log).0);
        let (done, told) = claims(&server, "rebuild", &log);
        assert!(done && told.contains("3 differences are repaired"), "{told}");
        assert!(claims(&server, "check", &log).0);
        for address in ["ada@example.org", "bob@example.org"] {
            assert_taken(&client.send(REGISTER, json!({ "a": address })).await);
        }
        register(&client, "cy@example.org").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_while_the_table_of_claims_is_wrong_is_right_once_it_is_made_again() {
    for (server, log) in [on_sqlite().await, on_postgresql().await] {
        let client = server.client();
        let ada = register(&client, "ada@example.org").await;
        let bob = register(&client, "bob@example.org").await;
        let cy = register(&client, "cy@example.org").await;
        for damage in [
            // One is lost, another is under somebody else, and one was never taken.
            "delete from claims where value = 'bob@example.org'".to_owned(),
            format!("update claims set stream = 'Member-{ada}' where value = 'cy@example.org'"),
            format!(
                "insert into claims (tenant, \"constraint\", value, stream) \
                    values ('default', 'address', 'ada@example.com', 'Member-{ada}')"
            ),
        ] {
            testing::execute(&log, &damage).await;
        }
        // They go on in the meantime.
        client.ask(LEAVE, json!({ "i": bob })).await;
        client.ask(LEAVE, json!({ "i": cy })).await;
        client.ask(MOVE, json!({ "i": ada, "a": "ada@example.com" })).await;
        let (done, told) = claims(&server, "rebuild", &log);
        assert!(done && told.contains("cy@example.org") && told.contains("1 difference is repaired"), "{told}");
        // Nobody who has gone holds anything, and who has moved has what it has moved to.
        for address in ["ada@example.org", "bob@example.org", "cy@example.org"] {
            register(&client, address).await;
        }
        assert_taken(&client.send(REGISTER, json!({ "a": "ada@example.com" })).await);
        let checked = (true, "4 values are held, as the log says up to position 9\n".to_owned());
        assert_eq!(claims(&server, "check", &log), checked);
    }
}

#[test]
fn claims_of_a_log_that_is_not_there_are_not_made_up() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let Output { status, stderr, .. } = yado().args(["claims", "check", "--data"]).arg(&nowhere).output().unwrap();
    assert!(!status.success());
    let told = String::from_utf8_lossy(&stderr);
    assert!(told.contains("there is no event log") && !nowhere.exists(), "{told}");
}
