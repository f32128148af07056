//! How many statements a query costs, and how many rows it reads.

use serde_json::{Value, json};

use crate::reads::fill;
use crate::support::{Server, component};

#[tokio::test(flavor = "multi_thread")]
async fn products_with_their_categories_cost_two_statements_however_many_there_are() {
    let server = Server::start_with(&["--log", "warn,sqlx::query=debug"], &[("catalog", &component("catalog"))]).await;
    let client = server.client();
    for number in 0..20 {
        client.product(&format!("Number {number}")).await;
    }
    let before = rows_read(&server).await.len();
    let all = client.ask("{ products { name category { name products { name } } } }", json!({})).await;
    assert_eq!(all["products"].as_array().unwrap().len(), 20);
    assert_eq!(all["products"][7]["category"]["products"][0]["name"], all["products"][7]["name"]);
    // The products, their categories, and the products of those.
    assert_eq!(rows_read(&server).await.len() - before, 3, "{}", server.log());
    assert_eq!(cost(&server, "{ products { name category { name } } }").await, 2, "{}", server.log());
}

/// How many statements on read models a document costs.
async fn cost(server: &Server, document: &str) -> usize {
    let before = rows_read(server).await.len();
    server.client().ask(document, json!({})).await;
    rows_read(server).await.len() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_ask_costs_one_statement_and_one_for_each_relation() {
    let server = Server::start_with(&["--log", "warn,sqlx::query=debug"], &[("catalog", &component("catalog"))]).await;
    fill(&server.client()).await;
    for (document, expected) in [
        ("{ products(limit: 100) { name category { name } } }", 2),
        ("{ products(limit: 100, where: { category: { name: { contains: \"1\" } } }, search: \"1\") { name } }", 1),
        ("{ productsConnection(first: 100) { nodes { name category { name } } pageInfo { endCursor } } }", 2),
        ("{ productsConnection(first: 100) { edges { cursor node { category { name } } } totalCount } }", 3),
        ("{ productsConnection { totalCount } }", 1),
        ("{ productsAggregate { count sum { price } avg { price } min { price } max { price name } } }", 1),
        ("{ productsAggregate { groups(by: categoryId) { key { category { name } } count } } }", 2),
        ("{ categories { name products(limit: 3) { name } productsAggregate { count max { price } } } }", 3),
        ("{ categories { productsAggregate(where: { category: { name: { startsWith: \"C\" } } }) { count } } }", 2),
    ] {
        assert_eq!(cost(&server, document).await, expected, "{document}:\n{}", server.log());
    }
}

/// The rows that statements on read models have returned, one by one.
async fn rows_read(server: &Server) -> Vec<u64> {
    let log = server.whole_log().await;
    let lines = log.lines().filter(|line| line.to_lowercase().contains("from \\\"rm_"));
    let returned = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let rows = line.get("rows_returned");
        rows.and_then(Value::as_u64).unwrap_or_else(|| panic!("no rows in {line}"))
    };
    lines.map(returned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_each_categorys_products_is_one_statement_that_reads_no_more_than_the_pages() {
    let server = Server::start_with(&["--log", "warn,sqlx::query=debug"], &[("catalog", &component("catalog"))]).await;
    let client = server.client();
    for _ in 0..3 {
        let (category, _) = client.product("Number 0").await;
        let create = |n: u32| {
            format!("a{n}: createProduct(input: {{ name: \"Number {n}\", price: {n}, categoryId: $c }}) {{ id }} ")
        };
        let creations: String = (1..40).map(create).collect();
        client.ask(&format!("mutation($c: ID!) {{ {creations} }}"), json!({ "c": category })).await;
    }
    let before = rows_read(&server).await.len();
    let all = client.ask("{ categories { products(limit: 2, orderBy: { price: DESC }) { price } } }", json!({})).await;
    let page = json!({ "products": [{ "price": 39 }, { "price": 38 }] });
    assert_eq!(all["categories"], json!([page, page, page]));
    // The categories, and two products of each of the three.
    assert_eq!(rows_read(&server).await[before..], [3, 6]);
}
