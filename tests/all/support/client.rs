//! An ordinary GraphQL client.

use std::time::Duration;

use serde_json::{Value, json};

/// An ordinary GraphQL client.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, url: format!("{base}/graphql") }
    }

    /// Sends a document; fails only if there is no answer in JSON.
    pub(crate) async fn try_send(&self, document: &str, variables: Value) -> Result<Value, reqwest::Error> {
        let body = json!({ "query": document, "variables": variables });
        self.http.post(&self.url).json(&body).send().await?.json().await
    }

    /// Sends a document, and returns the whole answer.
    pub(crate) async fn send(&self, document: &str, variables: Value) -> Value {
        self.try_send(document, variables).await.unwrap()
    }

    /// Sends a document that must succeed, and returns its data.
    pub(crate) async fn ask(&self, document: &str, variables: Value) -> Value {
        data(self.send(document, variables).await)
    }

    /// Sends a body as it is, and returns status and answer.
    pub(crate) async fn post(&self, content_type: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let sent = self.http.post(&self.url).header("content-type", content_type).body(body).send().await.unwrap();
        let status = sent.status().as_u16();
        let text = sent.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A category and a product in it.
    pub(crate) async fn product(&self, name: &str) -> (String, String) {
        let category = self
            .ask("mutation($n: String!) { createCategory(input: { name: $n }) { id } }", json!({ "n": name }))
            .await;
        let category = category["createCategory"]["id"].as_str().unwrap().to_owned();
        let product = self
            .ask(
                "mutation($n: String!, $c: ID!) { createProduct(input: { name: $n, price: 1.50, categoryId: $c }) { id } }",
                json!({ "n": name, "c": category }),
            )
            .await;
        (category, product["createProduct"]["id"].as_str().unwrap().to_owned())
    }
}

/// The data of an answer without errors.
fn data(answer: Value) -> Value {
    assert!(answer.get("errors").is_none(), "{answer:#}");
    answer["data"].clone()
}
