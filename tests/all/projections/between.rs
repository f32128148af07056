//! A projection's step is several statements where it has many rows. Whoever is cut off between two of them, which is what the
//! death of a process is to the database, leaves nothing of it, and what comes next makes the same rows.

use serde_json::json;
use yado_model::{EntityId, StreamId};
use yado_store::testing;

use super::*;

/// Rows of which more than one statement is made, each of an event.
const ROWS: u64 = 4_500;

/// After so many statements that keep something, the database ends the session that sends it the next one. Numbers of a
/// sequence are not taken back with a transaction, so that it does so once.
async fn end_after(url: &str, table: &str, statements: u64) {
    let made = format!(
        "create sequence statements; \
         create function counted() returns trigger language plpgsql as $$ begin \
             if nextval('statements') = {statements} + 1 then perform pg_terminate_backend(pg_backend_pid()); end if; \
             return null; end $$;"
    );
    testing::execute(url, &made).await;
    for table in [table, "checkpoints", "model_changes", "change_floors"] {
        let made = format!(
            "create trigger counted before insert or update or delete on \"{table}\" \
             for each statement execute function counted()"
        );
        testing::execute(url, &made).await;
    }
}

/// How many statements there were since.
async fn statements(url: &str) -> u64 {
    let told = testing::told(url, "select (last_value - (not is_called)::int)::text from statements").await;
    told[0].parse().unwrap()
}

/// The rows of a projection that is cut off after so many statements, and how many there were in all.
async fn rows_after(databases: &Databases, end: u64) -> (Shown, u64) {
    let (url, log) = (databases.another().await, databases.log().await);
    let settings = || Settings { projection_retry_ms: 1, ..patient() };
    // The tables are there, and nothing is in them yet.
    let empty = Databases::new(true, 0).await;
    let reads = async || open_reads(&url, &patient_options()).await.unwrap();
    let engine = start(empty.log().await, reads().await, settings()).await;
    engine.deploy(component("bank")).await.unwrap();
    let table = model(&engine).table.name.clone();
    engine.shutdown().await;
    end_after(&url, &table, end).await;
    let head = log.head().await.unwrap();
    let engine = start(log, reads().await, settings()).await;
    engine.deploy(component("bank")).await.unwrap();
    let rows = shown(&engine, head).await;
    engine.shutdown().await;
    (rows, statements(&url).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_between_two_statements_of_a_step_leaves_nothing_of_it_on_postgresql() {
    let databases = Databases::new(true, 0).await;
    let log = databases.log().await;
    let opened = |number: u64| {
        let id = EntityId::parse(&format!("account-{number}")).unwrap();
        let stream = StreamId::new(&Name::parse("Account").unwrap(), &id);
        let payload = json!({ "owner": format!("owner {number}") });
        history::happened(&TenantId::default(), &stream, 1, ("Opened", 1, &payload), 1_769_851_800_000_000)
    };
    log.append(&(0..ROWS).map(opened).collect::<Vec<_>>()).await.unwrap();
    let (right, whole) = rows_after(&databases, u64::MAX >> 2).await;
    assert_eq!(right.len() as u64, ROWS);
    assert!(whole > 4, "{whole} statements");
    for end in 0..whole {
        let (rows, statements) = rows_after(&databases, end).await;
        assert!(rows == right, "after {end} statements");
        assert!(statements > end + 1, "nothing ended after {end} of {statements} statements");
    }
}
