//! Lists in the order of what their rows lead to, over the databases as they are.

use serde_json::{Value, json};
use yado_store::testing::Postgres;

use crate::reads::fill;
use crate::support::{Client, Server, component};

fn names(rows: &Value) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

/// Products by their categories: in lists, in relations, and page by page in both directions.
async fn walk(client: &Client) {
    fill(client).await;
    let product = |number: usize| format!("Ｐroduct {number:02}");
    // Of each category there are ten products, whose numbers end alike.
    let expected: Vec<String> =
        (0..10).rev().flat_map(|last| (0..10).map(move |first| product(first * 10 + last))).collect();
    let order = json!([{ "category": { "name": "DESC" } }, { "price": "ASC" }]);
    let all = "query($o: [ProductOrder!]) { products(orderBy: $o, limit: 100) { name category { name } } }";
    let all = client.ask(all, json!({ "o": order })).await;
    assert_eq!(names(&all["products"]), expected);

    let below = "query($o: [ProductOrder!]) { \
                 categories(orderBy: { name: ASC }, limit: 2) { products(orderBy: $o, limit: 2) { name } } }";
    let below = client.ask(below, json!({ "o": [{ "category": { "name": "ASC" } }, { "price": "DESC" }] })).await;
    for (at, category) in below["categories"].as_array().unwrap().iter().enumerate() {
        assert_eq!(names(&category["products"]), [product(90 + at), product(80 + at)]);
    }

    let page = "query($o: [ProductOrder!], $f: Int, $a: String, $l: Int, $b: String) { \
                productsConnection(orderBy: $o, first: $f, after: $a, last: $l, before: $b) { \
                nodes { name } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    let (mut after, mut before) = (Value::Null, Value::Null);
    loop {
        let next = client.ask(page, json!({ "o": order, "f": 30, "a": after })).await["productsConnection"].take();
        let previous = client.ask(page, json!({ "o": order, "l": 30, "b": before })).await["productsConnection"].take();
        forward.extend(names(&next["nodes"]));
        backward = [names(&previous["nodes"]), backward].concat();
        after = next["pageInfo"]["endCursor"].clone();
        before = previous["pageInfo"]["startCursor"].clone();
        assert_eq!(next["pageInfo"]["hasNextPage"], previous["pageInfo"]["hasPreviousPage"]);
        if next["pageInfo"]["hasNextPage"] == false {
            break;
        }
    }
    assert_eq!((&forward, &backward), (&expected, &expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_in_the_order_of_what_their_rows_lead_to() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    walk(&server.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_in_the_order_of_what_their_rows_lead_to_on_postgresql() {
    let url = Postgres::shared().database().await;
    let server = Server::start_with(&["--database-url", &url], &[("catalog", &component("catalog"))]).await;
    walk(&server.client()).await;
}
