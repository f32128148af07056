//! The calls that the catalog's users make, as its documentation has them.

use serde_json::{Value, json};
use yado_store::testing::Postgres;

use crate::support::{Client, Server, component};

const CREATE_CATEGORY: &str =
    "mutation CreateCategory($name: String!) { createCategory(input: { name: $name }) { id name } }";
const RENAME_CATEGORY: &str =
    "mutation RenameCategory($id: ID!, $name: String!) { updateCategory(input: { id: $id, name: $name }) { id name } }";
const DELETE_CATEGORY: &str = "mutation DeleteCategory($id: ID!) { deleteCategory(input: { id: $id }) { id } }";
const CREATE_PRODUCT: &str = r#"mutation CreateProduct($categoryId: ID!) {
  createProduct(input: { name: "MacBook Pro", price: 999.99, categoryId: $categoryId }) {
    id name price category { name }
  }
}"#;
const PRODUCTS: &str = "query Products { products { id name price category { id name } } }";
const PRODUCTS_OF_CATEGORY: &str = "query ProductsOfCategory($categoryId: ID!) { products(categoryId: $categoryId) { id name price category { name } } }";
const SEARCH_PRODUCTS: &str = r#"query SearchProducts {
  searchProducts(name: "book", priceRange: { min: 500, max: 2000 }, pagination: { page: 1, limit: 10 }) {
    products { id name price }
    totalCount
  }
}"#;

/// Walks through all of it.
async fn walk(client: &Client) {
    let created = client.ask(CREATE_CATEGORY, json!({ "name": "Laptops" })).await;
    let category = created["createCategory"]["id"].clone();
    assert_eq!(created["createCategory"]["name"], "Laptops");
    let renamed = client.ask(RENAME_CATEGORY, json!({ "id": category, "name": "Computers" })).await;
    assert_eq!(renamed["updateCategory"], json!({ "id": category, "name": "Computers" }));

    let created = client.ask(CREATE_PRODUCT, json!({ "categoryId": category })).await;
    let product = created["createProduct"]["id"].clone();
    let expected =
        json!({ "id": product, "name": "MacBook Pro", "price": 999.99, "category": { "name": "Computers" } });
    assert_eq!(created["createProduct"].to_string(), expected.to_string());

    let other = client.ask(CREATE_CATEGORY, json!({ "name": "Phones" })).await["createCategory"]["id"].clone();
    let all = client.ask(PRODUCTS, json!({})).await;
    assert_eq!(all["products"][0]["category"], json!({ "id": category, "name": "Computers" }));
    let of_category = client.ask(PRODUCTS_OF_CATEGORY, json!({ "categoryId": category })).await;
    assert_eq!(of_category["products"].as_array().unwrap().len(), 1);
    let of_other = client.ask(PRODUCTS_OF_CATEGORY, json!({ "categoryId": other })).await;
    assert_eq!(of_other["products"], json!([]));

    let found = client.ask(SEARCH_PRODUCTS, json!({})).await;
    let expected = json!({ "products": [{ "id": product, "name": "MacBook Pro", "price": 999.99 }], "totalCount": 1 });
    assert_eq!(found["searchProducts"].to_string(), expected.to_string());
    search(client, &category).await;

    let one = client.ask("query($id: ID!) { product(id: $id) { name categoryId } }", json!({ "id": product })).await;
    assert_eq!(one["product"], json!({ "name": "MacBook Pro", "categoryId": category }));
    let deleted = client.ask(DELETE_CATEGORY, json!({ "id": other })).await;
    assert_eq!(deleted["deleteCategory"]["id"], other);
    let gone = client.send(RENAME_CATEGORY, json!({ "id": other, "name": "Again" })).await;
    assert_eq!(gone["errors"][0]["extensions"]["code"], "NOT_FOUND");
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
