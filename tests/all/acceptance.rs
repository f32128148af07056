//! The calls that the catalog's users make, as its documentation has them.

use serde_json::{Value, json};
use yado_store::testing::Postgres;

use crate::support::{Client, Documents, Server, component, eventually};

const CALLS: Documents = Documents::CATALOG;

/// Walks through all of it.
pub(crate) async fn walk(client: &Client) {
    let created = client.ask(CALLS.operation("CreateCategory"), json!({ "name": "Laptops" })).await;
    let category = created["createCategory"]["id"].clone();
    assert_eq!(created["createCategory"]["name"], "Laptops");
    let renamed = client.ask(CALLS.operation("RenameCategory"), json!({ "id": category, "name": "Computers" })).await;
    assert_eq!(renamed["updateCategory"], json!({ "id": category, "name": "Computers" }));

    let created = client.ask(CALLS.operation("CreateProduct"), json!({ "categoryId": category })).await;
    let product = created["createProduct"]["id"].clone();
    let expected =
        json!({ "id": product, "name": "MacBook Pro", "price": 999.99, "category": { "name": "Computers" } });
    assert_eq!(created["createProduct"].to_string(), expected.to_string());

    let other =
        client.ask(CALLS.operation("CreateCategory"), json!({ "name": "Phones" })).await["createCategory"]["id"]
            .clone();
    let all = client.ask(CALLS.operation("Products"), json!({})).await;
    assert_eq!(all["products"][0]["category"], json!({ "id": category, "name": "Computers" }));
    let of_category = client.ask(CALLS.operation("ProductsOfCategory"), json!({ "categoryId": category })).await;
    assert_eq!(of_category["products"].as_array().unwrap().len(), 1);
    let of_other = client.ask(CALLS.operation("ProductsOfCategory"), json!({ "categoryId": other })).await;
    assert_eq!(of_other["products"], json!([]));

    let found = client.ask(CALLS.operation("SearchProducts"), json!({})).await;
    let expected = json!({ "products": [{ "id": product, "name": "MacBook Pro", "price": 999.99 }], "totalCount": 1 });
    assert_eq!(found["searchProducts"].to_string(), expected.to_string());
    search(client, &category).await;

    statistics(client).await;
    updates(client, &product).await;

    let one = client.ask("query($id: ID!) { product(id: $id) { name categoryId } }", json!({ "id": product })).await;
    assert_eq!(one["product"], json!({ "name": "MacBook Pro", "categoryId": category }));
    let deleted = client.ask(CALLS.operation("DeleteCategory"), json!({ "id": other })).await;
    assert_eq!(deleted["deleteCategory"]["id"], other);
    let gone = client.send(CALLS.operation("RenameCategory"), json!({ "id": other, "name": "Again" })).await;
    assert_eq!(gone["errors"][0]["extensions"]["code"], "NOT_FOUND");
}

/// What is computed of a laptop for 999.99 and three products for 3.50, 12 and 2.
async fn statistics(client: &Client) {
    let of = |price: &str| format!("{{\"price\":{price}}}");
    let found = client.ask(CALLS.operation("Statistics"), json!({})).await;
    let statistics = &found["productsAggregate"];
    assert_eq!(statistics["count"], 4);
    for (what, price) in [("sum", "1017.49"), ("avg", "254.3725"), ("min", "2"), ("max", "999.99")] {
        assert_eq!(statistics[what].to_string(), of(price), "{what}");
    }
}

/// What a subscriber is told while somebody else changes a product: everything, in order.
async fn updates(client: &Client, product: &Value) {
    let mut told = client.start(CALLS.operation("ProductUpdates"), &json!({}));
    let rename = "mutation($id: ID!, $n: String!) { updateProduct(input: { id: $id, name: $n }) { name } }";
    let changes = client.here();
    let mut count = 0;
    let mut change = async || {
        count += 1;
        changes.ask(rename, json!({ "id": product, "n": format!("MacBook Pro {count}") })).await;
        count
    };
    // A client does not say when its subscription has arrived, so changes are made until one is told.
    let mut first = None;
    eventually("the subscription is live", async || {
        change().await;
        first = told.try_next();
        first.is_some()
    })
    .await;
    let (first, last) = (first.unwrap(), change().await);
    let name = first["productUpdated"]["name"].as_str().unwrap();
    assert_eq!(first["productUpdated"]["price"].to_string(), "999.99");
    let begun: u32 = name.rsplit(' ').next().unwrap().parse().unwrap();
    let mut before = first["productUpdated"]["updatedAt"].clone();
    for number in begun + 1..=last {
        let update = told.next().await["productUpdated"].take();
        assert_eq!(update["name"], format!("MacBook Pro {number}"));
        assert_eq!(update["id"], *product);
        assert!(update["updatedAt"].as_str() > before.as_str(), "{update} after {before}");
        before = update["updatedAt"].clone();
    }
    let back = changes.ask(rename, json!({ "id": product, "n": "MacBook Pro" })).await;
    assert_eq!(back["updateProduct"]["name"], "MacBook Pro");
}

/// What a search finds among a laptop and what is put beside it here, and what it can't be asked.
async fn search(client: &Client, category: &Value) {
    let create = "mutation($n: String!, $p: Decimal!, $c: ID!) { createProduct(input: { name: $n, price: $p, categoryId: $c }) { id } }";
    for (name, price) in [("Notebook", "3.50"), ("Bookend", "12"), ("Pen", "2")] {
        client.ask(create, json!({ "n": name, "p": price, "c": category })).await;
    }
    let search = "query($n: String, $r: PriceRangeInput, $p: PaginationInput) { \
                  searchProducts(name: $n, priceRange: $r, pagination: $p) { products { name category { id name } } totalCount } }";
    let category = json!({ "id": category, "name": "Computers" });
    for (variables, names, count) in [
        (json!({ "n": "BOOK" }), vec!["Bookend", "MacBook Pro", "Notebook"], 3),
        (json!({ "n": "book", "p": { "page": 2, "limit": 2 } }), vec!["Notebook"], 3),
        (json!({ "r": { "min": 3.5, "max": "12" } }), vec!["Bookend", "Notebook"], 2),
        (json!({ "n": null, "r": null, "p": { "page": 1, "limit": 1 } }), vec!["Bookend"], 4),
        (json!({ "n": "chair" }), vec![], 0),
    ] {
        let found = client.ask(search, variables.clone()).await;
        let products: Vec<_> = names.iter().map(|name| json!({ "name": name, "category": category })).collect();
        assert_eq!(found["searchProducts"], json!({ "products": products, "totalCount": count }), "{variables}");
    }
    for (variables, path) in [
        (json!({ "n": "b".repeat(201) }), "name"),
        (json!({ "n": "a\u{0}b" }), "name"),
        (json!({ "r": { "min": -1 } }), "priceRange.min"),
        (json!({ "r": { "max": "dear" } }), "priceRange.max"),
        (json!({ "p": { "page": 0, "limit": 10 } }), "pagination.page"),
        (json!({ "p": { "page": 1 } }), "pagination.limit"),
    ] {
        let refused = client.send(search, variables).await;
        let extensions = &refused["errors"][0]["extensions"];
        assert_eq!(extensions["code"], "BAD_USER_INPUT", "{refused}");
        assert_eq!(extensions["fields"][0]["path"], path, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogs_calls_run_as_documented_on_sqlite() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    walk(&server.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogs_calls_run_as_documented_on_postgresql() {
    let url = Postgres::shared().database().await;
    let server = Server::start_with(&["--database-url", &url], &[("catalog", &component("catalog"))]).await;
    walk(&server.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_is_exact_however_it_is_given() {
    let server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let (category, _) = client.product("Pen").await;
    let document = |price: &str| {
        format!(
            "mutation($c: ID!, $p: Decimal) {{ createProduct(input: {{ name: \"Exact\", price: {price}, categoryId: $c }}) \
             {{ price __typename }} }}"
        )
    };
    for (literal, variable) in
        [("999.99", Value::Null), ("\"999.99\"", Value::Null), ("$p", json!(999.99)), ("$p", json!("999.99"))]
    {
        let document = if literal == "$p" {
            document(literal).replace("Decimal)", "Decimal!)")
        } else {
            document(literal).replace(", $p: Decimal", "")
        };
        let variables =
            if variable.is_null() { json!({ "c": category }) } else { json!({ "c": category, "p": variable }) };
        let answer = client.ask(&document, variables).await;
        assert_eq!(answer["createProduct"]["price"].to_string(), "999.99", "{document}");
    }
    let long = "12345678901234567.89";
    let answer = client.ask(&document(long).replace(", $p: Decimal", ""), json!({ "c": category })).await;
    assert_eq!(answer["createProduct"]["price"].to_string(), long);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_first_answer_and_changes_nothing() {
    let mut server = Server::start(&[("catalog", &component("catalog"))]).await;
    let client = server.client();
    let create = |name: &str| {
        format!("mutation {{ createCategory(input: {{ name: \"{name}\" }}, idempotencyKey: \"one\") {{ id name }} }}")
    };
    let first = client.ask(&create("Laptops"), json!({})).await;
    assert_eq!(client.ask(&create("Laptops"), json!({})).await, first);
    let other = client.send(&create("Phones"), json!({})).await;
    assert_eq!(other["errors"][0]["extensions"]["code"], "IDEMPOTENCY_KEY_REUSED");
    assert!(server.stop(), "{}", server.log());
    server.start_again().await;
    assert_eq!(client.ask(&create("Laptops"), json!({})).await, first);
    let all = client.ask("{ categories { id name } }", json!({})).await;
    assert_eq!(all["categories"], json!([first["createCategory"]]));
}
