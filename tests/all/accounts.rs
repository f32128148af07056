//! The calls that the users of accounts make, from the file in which they are written.

use serde_json::{Value, json};
use yado_store::testing::Postgres;

use crate::support::{Client, Documents, Server, component, eventually};

const CALLS: Documents = Documents::ACCOUNTS;

/// Runs a mutation with the variables that are written below it, and returns the id that it answers with.
async fn change(client: &Client, name: &str, id: &str) -> String {
    let answer = client.ask(CALLS.operation(name), CALLS.variables(name, id)).await;
    let answer = answer.as_object().unwrap().values().next().unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

async fn all(client: &Client) -> Value {
    client.ask(CALLS.operation("All"), json!({})).await["getUserAccounts"].clone()
}

async fn one(client: &Client, id: &str) -> Value {
    client.ask(CALLS.operation("One"), json!({ "id": id })).await["getUserAccount"].clone()
}

async fn found(client: &Client, term: &str) -> Value {
    client.ask(CALLS.operation("Search"), json!({ "term": term })).await["searchUserAccounts"].clone()
}

/// Walks through all of it.
pub(crate) async fn walk(client: &Client) {
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
    let again = client.send(CALLS.operation("Delete"), CALLS.variables("Delete", &id)).await;
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
    let third = client.ask(CALLS.operation("Create"), wide).await["createUserAccount"]["id"].clone();
    assert_eq!(json!(ids("ｔＡＲＯ やま").await), json!([third]));
    let empty = client.send(CALLS.operation("Search"), json!({ "term": "" })).await;
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
