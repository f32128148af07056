//! How many statements a query costs.

use serde_json::json;

use crate::support::{Server, component};

#[tokio::test(flavor = "multi_thread")]
async fn products_with_their_categories_cost_two_statements_however_many_there_are() {
    let server = Server::start_with(&["--log", "warn,sqlx::query=debug"], &[("catalog", &component("catalog"))]).await;
    let client = server.client();
    for number in 0..20 {
        client.product(&format!("Number {number}")).await;
    }
    let count = || server.log().lines().filter(|line| line.to_lowercase().contains("from \\\"rm_")).count();
    let before = count();
    let all = client.ask("{ products { name category { name products { name } } } }", json!({})).await;
    assert_eq!(all["products"].as_array().unwrap().len(), 20);
    assert_eq!(all["products"][7]["category"]["products"][0]["name"], all["products"][7]["name"]);
    // The products, their categories, and the products of those.
    assert_eq!(count() - before, 3, "{}", server.log());
    let before = count();
    client.ask("{ products { name category { name } } }", json!({})).await;
    assert_eq!(count() - before, 2);
}
