//! The calls that the users of accounts make, from the file in which they are written.

use serde_json::{Value, json};
use yado_store::testing::Postgres;

use crate::support::{Client, Server, component, eventually};

/// Operations with empty lines between them. Below some of them their variables stand as a comment.
const DOCUMENTS: &str = include_str!("../acceptance/accounts.graphql");

/// The operation of this name as it is written, comment and all.
#[track_caller]
fn document(name: &str) -> &'static str {
    let is_it = |paragraph: &&str| {
        let named = paragraph.strip_prefix("mutation ").or_else(|| paragraph.strip_prefix("query "));
        named.and_then(|rest| rest.split(['(', ' ']).next()) == Some(name)
    };
    DOCUMENTS.split("\n\n").find(is_it).unwrap_or_else(|| panic!("there is no operation {name}"))
}

/// The variables that are written below an operation; `…` is an id that only whoever runs it knows.
#[track_caller]
fn variables(document: &str, id: &str) -> Value {
    let written = document.lines().find_map(|line| line.strip_prefix("# ")).unwrap();
    serde_json::from_str(&written.replace('…', id)).unwrap()
}

/// Runs a mutation with the variables that are written below it, and returns the id that it answers with.
async fn change(client: &Client, name: &str, id: &str) -> String {
    let document = document(name);
    let answer = client.ask(document, variables(document, id)).await;
    let answer = answer.as_object().unwrap().values().next().unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

async fn all(client: &Client) -> Value {
    client.ask(document("All"), json!({})).await["getUserAccounts"].clone()
}

async fn one(client: &Client, id: &str) -> Value {
    client.ask(document("One"), json!({ "id": id })).await["getUserAccount"].clone()
}

async fn found(client: &Client, term: &str) -> Value {
    client.ask(document("Search"), json!({ "term": term })).await["searchUserAccounts"].clone()
}

/// Walks through all of it.
async fn walk(client: &Client) {
    let id = change(client, "Create", "").await;
    let created = one(client, &id).await;
    let at = created["createdAt"].clone();
    let expected = json!({
        "id": id, "firstName": "太郎", "lastName": "山田", "fullName": "太郎 山田", "createdAt": at, "updatedAt": at,
    });
    assert_eq!(created, expected);
    assert_eq!(all(client).await, json!([expected]));

    assert_eq!(change(client, "Rename", &id).await, id);
    let renamed = one(client, &id).await;
    assert_eq!(renamed["fullName"], "次郎 田中");
    assert_eq!(renamed["createdAt"], at);
    assert!(renamed["updatedAt"].as_str() > at.as_str(), "{renamed}");

    let second = change(client, "Create", "").await;
    assert_eq!((id.len(), second.len()), (26, 26), "ids are ULIDs");
    // The first ten digits of a ULID are the time.
    assert!(id[..10] <= second[..10], "{id} was made before {second}");
    assert_eq!(all(client).await, json!([renamed, one(client, &second).await]));

    searches(client, &id, &second).await;

    assert_eq!(change(client, "Delete", &id).await, id);
    eventually("the account is gone", async || one(client, &id).await.is_null()).await;
    assert_eq!(all(client).await[0]["id"], json!(second));
    let again = client.send(document("Delete"), variables(document("Delete"), &id)).await;
    assert_eq!(again["errors"][0]["extensions"]["code"], "NOT_FOUND", "{again}");
}

/// The first account is of 次郎 田中, the second of 太郎 山田; both have the address yamada@example.com.
async fn searches(client: &Client, first: &str, second: &str) {
    let expected = json!([{ "id": second, "firstName": "太郎", "lastName": "山田", "fullName": "太郎 山田" }]);
    assert_eq!(found(client, "山田").await, expected);
    let ids = async |term: &str| {
        let found = found(client, term).await;
        found.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("次").await, [first]);
    assert_eq!(ids("郎 山").await, [second]);
    assert_eq!(ids("YAMADA@").await, [first, second]);
    // A term is a text, and not a pattern of whatever database.
    for nothing in ["佐藤", "%", "_", "y.mada", "\\"] {
        assert!(ids(nothing).await.is_empty(), "{nothing}");
    }
    let wide =
        json!({ "input": { "firstName": "Ｔａｒｏ", "lastName": "やまだ", "emailAddress": "wide@example.com" } });
    let third = client.ask(document("Create"), wide).await["createUserAccount"]["id"].clone();
    assert_eq!(json!(ids("ｔＡＲＯ やま").await), json!([third]));
    let empty = client.send(document("Search"), json!({ "term": "" })).await;
    assert_eq!(empty["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{empty}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_calls_run_as_written_on_sqlite() {
    let server = Server::start(&[("accounts", &component("accounts"))]).await;
    walk(&server.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_calls_run_as_written_on_postgresql() {
    let url = Postgres::shared().database().await;
    let server = Server::start_with(&["--database-url", &url], &[("accounts", &component("accounts"))]).await;
    walk(&server.client()).await;
}
