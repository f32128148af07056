//! Whoever holds the position of a change reads it, on both engines and from whichever process.

use serde_json::{Value, json};
use yado_store::testing::Postgres;

use crate::support::{Server, component, eventually};

/// An answer, and the position that its header tells.
struct Answer {
    status: u16,
    position: Option<u64>,
    body: Value,
}

/// Asks a server; what is read is to show at least a position, if the header is given.
async fn ask(server: &Server, document: &str, variables: Value, min_position: Option<&str>) -> Answer {
    let post = reqwest::Client::new().post(format!("{}/graphql", server.url()));
    let post = match min_position {
        Some(position) => post.header("yado-min-position", position),
        None => post,
    };
    let answer = post.json(&json!({ "query": document, "variables": variables })).send().await.unwrap();
    let position = answer.headers().get("yado-position").map(|told| told.to_str().unwrap().parse().unwrap());
    Answer { status: answer.status().as_u16(), position, body: answer.json().await.unwrap() }
}

/// Changes things on one server, and looks for them on another one at once.
async fn walk(writer: &Server, reader: &Server) {
    let client = writer.client();
    for round in 0..10 {
        let (category, product) = client.product(&format!("Pen {round}")).await;
        // It is answered with a receipt, and so has waited for no read model.
        let delete = "mutation($i: ID!) { deleteProduct(input: { id: $i }) { position } }";
        let deleted = ask(writer, delete, json!({ "i": product }), None).await;
        let position = deleted.body["data"]["deleteProduct"]["position"].as_u64().unwrap();
        assert_eq!((deleted.position, &deleted.body["extensions"]["position"]), (Some(position), &json!(position)));

        let variables = |position| json!({ "i": product, "c": category, "p": position });
        let document = "query($i: ID!, $c: ID!, $p: BigInt) \
                        { product(id: $i, minPosition: $p) { id } category(id: $c, minPosition: $p) { products { id } } }";
        let by_argument = ask(reader, document, variables(json!(position)), None);
        let header = position.to_string();
        let by_header = ask(reader, document, variables(Value::Null), Some(&header));
        let read = if round % 2 == 0 { by_argument.await } else { by_header.await };
        let expected = json!({ "product": null, "category": { "products": [] } });
        assert_eq!(read.body["data"], expected, "{}", read.body);
        let told = read.position.unwrap();
        assert!(told >= position, "{told} is before {position}");
        assert_eq!(read.body["extensions"], json!({ "position": told }));

        // One comes and another goes: whoever is behind finds too few or too many.
        let quills = [client.product("Quill").await, client.product("Quill").await];
        let position = ask(writer, delete, json!({ "i": quills[0].1 }), None).await.position.unwrap();
        let search = "query($n: String) { searchProducts(name: $n) { products { id } totalCount } }";
        let found = ask(reader, search, json!({ "n": "Quill" }), Some(&position.to_string())).await;
        let expected = json!({ "products": [{ "id": quills[1].1 }], "totalCount": 1 });
        assert_eq!(found.body["data"]["searchProducts"], expected, "{}", found.body);
        assert!(found.position.unwrap() >= position);
        // The next round begins as this one did.
        ask(writer, delete, json!({ "i": quills[1].1 }), None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_shows_the_change_whose_position_it_names_on_sqlite() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    walk(&server, &server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_shows_the_change_whose_position_it_names_from_another_process_on_postgresql() {
    let (log, reads) = (Postgres::shared().database().await, Postgres::shared().database().await);
    let catalog = component("catalog");
    let plugins = [("catalog", catalog.as_slice())];
    let writer = Server::start_with(&["--database-url", &log], &plugins).await;
    walk(&writer, &writer).await;
    // One shares the tables with it, and the other one has tables of its own.
    for arguments in [&["--database-url", &log][..], &["--database-url", &log, "--read-database-url", &reads]] {
        let reader = Server::start_with(arguments, &plugins).await;
        walk(&writer, &reader).await;
        walk(&reader, &writer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_for_what_has_not_happened_is_told_how_far_its_read_model_is() {
    let mut server = Server::start(&[("catalog", &component("catalog"))]).await;
    server.client().product("Pen").await;
    assert!(server.stop(), "{}", server.log());
    server.start_again_with(&["--limits-caught-up-ms", "50"]).await;
    eventually("all that has happened is shown", async || {
        let shown = ask(&server, "{ products { name } }", json!({}), Some("2")).await;
        shown.body["data"]["products"] == json!([{ "name": "Pen" }])
    })
    .await;
    let answer = ask(&server, "{ products(minPosition: 3) { name } a: categories { name } }", json!({}), None).await;
    assert_eq!(answer.body["data"], Value::Null, "a list is never null: {}", answer.body);
    let error = &answer.body["errors"][0];
    assert_eq!((&error["path"], error["extensions"]["code"].as_str()), (&json!(["products"]), Some("LAGGING")));
    assert_eq!((&error["extensions"]["position"], &error["extensions"]["reachedPosition"]), (&json!(3), &json!(2)));
    let text = "Product has not come to position 3 within 50 ms, and is at 2: ask again later, or without a position for \
                what it shows by now";
    assert_eq!(error["message"], text);

    let one = ask(&server, "{ product(id: \"x\") { name } }", json!({}), Some("3")).await;
    assert_eq!((one.status, one.body["data"].to_string().as_str()), (200, r#"{"product":null}"#));
    assert_eq!(one.body["errors"][0]["extensions"]["code"], "LAGGING", "{}", one.body);
    // The argument wins over the header, and no position is before the first.
    let now = ask(&server, "{ products(minPosition: 0) { name } }", json!({}), Some("3")).await;
    assert_eq!(now.body["data"]["products"], json!([{ "name": "Pen" }]), "{}", now.body);
    let wrong = ask(&server, "{ products { name } }", json!({}), Some("soon")).await;
    assert_eq!((wrong.status, &wrong.body["errors"][0]["extensions"]["code"]), (400, &json!("BAD_USER_INPUT")));
}
