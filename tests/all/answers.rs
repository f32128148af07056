//! What one answer may take up in memory is a setting, and whoever asks for more is told so with a code.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Server, component, eventually, yado};

/// Sixty categories take up more in one answer, and forty do not.
const LITTLE_ROOM: [&str; 2] = ["--database-answer-bytes", "13000"];

const COUNT: usize = 60;

/// A name of two hundred bytes.
fn name(beginning: &str, number: usize) -> String {
    format!("{beginning}{number:02}{}", "é".repeat(95))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_would_take_up_too_much_is_refused_and_rows_are_shown_all_the_same() {
    let mut server = Server::start_with(&LITTLE_ROOM, &[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let create = "mutation($n: String!) { createCategory(input: { name: $n }) { id } }";
    let created = (0..COUNT).map(|number| client.ask(create, json!({ "n": name("old", number) })));
    let created = join_all(created).await;

    let answer = client.send("{ categories(limit: 100) { id name } }", json!({})).await;
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"], json!({ "code": "TOO_COMPLEX", "limit": 13_000 }), "{answer}");
    let message = "what one request reads may take up 13000 bytes (answer_bytes of [database]), and would take up more with \
        the answer from Category: ask for fewer rows, for fewer of their fields, or for less beside them, at a time";
    assert_eq!((&error["message"], &error["path"]), (&json!(message), &json!(["categories"])), "{answer}");
    for fits in ["{ categories(limit: 100) { id } }", "{ categories(limit: 40) { id name } }"] {
        client.ask(fits, json!({})).await;
    }

    // All fields of a request share it: there is room for one of these and not for both. The next request has as much again.
    for _ in 0..2 {
        let twice = "{ a: categories(limit: 40) { name } b: categories(limit: 40, offset: 20) { name } }";
        let answer = client.send(twice, json!({})).await;
        assert_eq!(answer["errors"].as_array().map(Vec::len), Some(1), "{answer}");
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"], json!({ "code": "TOO_COMPLEX", "limit": 13_000 }), "{answer}");
        assert!([json!(["a"]), json!(["b"])].contains(&error["path"]), "{answer}");
        client.ask("{ categories(limit: 40) { id name } }", json!({})).await;
    }

    // A projection that needs them all at once gets them piece by piece.
    let token = std::fs::read_to_string(server.data().join("admin-token")).unwrap();
    let operate = |url: &str, what: &str| {
        let arguments = ["projection", what, "Category", "--server", url, "--token", token.trim()];
        assert!(yado().args(arguments).output().unwrap().status.success(), "{what}");
    };
    operate(&server.url(), "pause");
    assert!(server.stop(), "{}", server.log());
    server.start_again_with(&["--limits-caught-up-ms", "50"]).await;
    let client = server.client();
    let rename = "mutation($i: ID!, $n: String!) { updateCategory(input: { id: $i, name: $n }) { id } }";
    let renamed = created.iter().enumerate().map(|(number, created)| {
        client.send(rename, json!({ "i": created["createCategory"]["id"], "n": name("new", number) }))
    });
    for answer in join_all(renamed).await {
        assert_eq!(answer["errors"][0]["extensions"]["code"], "LAGGING", "{answer}");
    }
    operate(&server.url(), "resume");
    let new = "{ categories(limit: 100, where: { name: { startsWith: \"new\" } }) { id } }";
    let shown = async || client.ask(new, json!({})).await["categories"].as_array().map(Vec::len);
    eventually("all of them have other names", async || shown().await == Some(COUNT)).await;
    let old: Value = client.ask("{ categories(limit: 40) { name } }", json!({})).await;
    assert!(!old.to_string().contains("old"), "{old}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_guest_read_too_much_at_once_is_told_so_as_of_any_answer() {
    let server = Server::start_with(&LITTLE_ROOM, &[("asking", &component("asking"))]).await;
    let client = server.client();
    let write = "mutation($w: String!) { writeNote(input: { words: $w }) { id position } }";
    let page = "query($p: BigInt, $s: Int!) { notesByPage(minPosition: $p, part: { page: 1, size: $s }) { total } }";
    let mut position = Value::Null;
    for number in 0..COUNT {
        let written = client.ask(write, json!({ "w": name("", number) })).await;
        position = written["writeNote"]["position"].clone();
    }
    let answer = client.send(page, json!({ "p": position, "s": 100 })).await;
    assert_eq!(answer["errors"][0]["extensions"], json!({ "code": "TOO_COMPLEX", "limit": 13_000 }), "{answer}");
    assert_eq!(client.ask(page, json!({ "p": position, "s": 10 })).await["notesByPage"]["total"], COUNT);
}
