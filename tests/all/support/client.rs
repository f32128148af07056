//! An ordinary GraphQL client.

use std::sync::Arc;

use serde_json::{Value, json};

use super::bridge::{Answers, Bridge, Curl, Said, curl};
use super::patience::PATIENCE;

/// An ordinary GraphQL client.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    through: Through,
}

/// By what documents are sent.
#[derive(Clone)]
enum Through {
    /// By this process.
    Http,
    /// By curl.
    Curl,
    /// By a client of npm's.
    Bridge(Arc<Bridge>),
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { http, url: format!("{base}/graphql"), through: Through::Http }
    }

    /// The same, but that curl sends the documents.
    pub(crate) fn by_curl(mut self) -> Self {
        self.through = Through::Curl;
        self
    }

    /// The same, but that a client of npm's sends the documents.
    pub(crate) fn by_npm(mut self, packages: &std::path::Path, client: &str) -> Self {
        self.through = Through::Bridge(Arc::new(Bridge::start(packages, client, &self.url)));
        self
    }

    /// The same, but that this process sends the documents.
    pub(crate) fn here(&self) -> Self {
        Self { through: Through::Http, ..self.clone() }
    }

    /// Sends a document; fails only if there is no answer in JSON.
    pub(crate) async fn try_send(&self, document: &str, variables: Value) -> Result<Value, reqwest::Error> {
        if !matches!(self.through, Through::Http) {
            let mut operation = self.start(document, &variables);
            return Ok(match operation.said().await {
                Said::Next(answer) => answer,
                // What a document is refused for never is an answer over WebSocket, but errors alone.
                Said::Failed(errors) if errors["errors"].is_array() => errors,
                said => panic!("{said:?}"),
            });
        }
        let body = json!({ "query": document, "variables": variables });
        self.http.post(&self.url).json(&body).send().await?.json().await
    }

    /// Starts an operation of which there may be many answers, or which is sent by another client than this process.
    pub(crate) fn start(&self, document: &str, variables: &Value) -> Operation {
        match &self.through {
            Through::Bridge(bridge) => Operation::Lent(bridge.run(document, variables)),
            Through::Http | Through::Curl => Operation::Curl(curl(&self.url, document, variables)),
        }
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

/// An operation that is under way. It ends when this is dropped, if it is curl's.
pub(crate) enum Operation {
    Lent(Answers),
    Curl(Curl),
}

impl Operation {
    const fn answers(&mut self) -> &mut Answers {
        match self {
            Self::Lent(answers) => answers,
            Self::Curl(curl) => &mut curl.answers,
        }
    }

    /// What the client says next, within the time that anything may take.
    pub(crate) async fn said(&mut self) -> Said {
        let said = tokio::time::timeout(PATIENCE, self.answers().recv()).await;
        said.expect("the client says nothing").expect("the client has ended")
    }

    /// The next answer's data.
    pub(crate) async fn next(&mut self) -> Value {
        match self.said().await {
            Said::Next(answer) => data(answer),
            said => panic!("{said:?}"),
        }
    }

    /// The next answer's data, if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<Value> {
        match self.answers().try_recv().ok()? {
            Said::Next(answer) => Some(data(answer)),
            said => panic!("{said:?}"),
        }
    }
}

/// The data of an answer without errors.
fn data(answer: Value) -> Value {
    assert!(answer.get("errors").is_none(), "{answer:#}");
    answer["data"].clone()
}
