//! Nodes that are processes: the server that ships, asked over GraphQL, and disturbed by the operating system.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::watch;
use yado_store::testing::Postgres;

use super::drive::{Node, Progress};
use super::plan::{Disturbance, Kind};
use super::record::{Outcome, Request, is_certain};
use crate::support::Server;

/// How long a client waits for an answer. Much longer than a pause lasts: whoever gives up learns nothing.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a disturbance may take to begin, or to end.
const DISTURBED: Duration = Duration::from_secs(180);

/// A server as a client sees it.
pub(crate) struct Remote {
    name: &'static str,
    url: String,
    http: reqwest::Client,
    is_up: watch::Receiver<bool>,
}

impl Remote {
    pub(crate) fn of(name: &'static str, server: &Server, is_up: &watch::Sender<bool>) -> Arc<dyn Node> {
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Arc::new(Self { name, url: format!("{}/graphql", server.url()), http, is_up: is_up.subscribe() })
    }
}

#[async_trait]
impl Node for Remote {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn up(&self) {
        let mut is_up = self.is_up.clone();
        // Whoever disturbs it has ended, and has left it running.
        let _ = is_up.wait_for(|is_up| *is_up).await;
    }

    async fn send(&self, request: &Request, attempt: u64) -> Option<Outcome> {
        let (document, mutation) = document(request, attempt);
        let mut post = self.http.post(&self.url).json(&json!({ "query": document }));
        // A UUID, as the header wants it, which is the attempt's number.
        post = post.header("x-correlation-id", format!("{attempt:032x}"));
        if let Some(key) = request.key.as_ref().filter(|_| by_header(attempt)) {
            post = post.header("idempotency-key", key);
        }
        let answered = match post.send().await {
            Ok(answered) => answered.json::<Value>().await,
            Err(error) if error.is_connect() => return None,
            Err(error) => Err(error),
        };
        Some(match answered {
            Ok(answer) => outcome(&mutation, request, &answer),
            Err(error) => Outcome::Unknown(error.to_string()),
        })
    }
}

/// Whether an attempt says its key in a header, and not as an argument: half of them do.
const fn by_header(attempt: u64) -> bool {
    attempt.is_multiple_of(2)
}

/// The document of a request, and the name of its mutation.
fn document(request: &Request, attempt: u64) -> (String, String) {
    let mutation = request.name().to_lowercase();
    let fields = request.payload().as_object().unwrap().clone();
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let mut arguments = vec![format!("input: {{ {} }}", fields.join(", "))];
    if let Some(key) = request.key.as_ref().filter(|_| !by_header(attempt)) {
        arguments.push(format!("idempotencyKey: {key:?}"));
    }
    arguments.extend(request.expected.map(|expected| format!("expectedRevision: {expected}")));
    (format!("mutation {{ {mutation}({}) {{ id revision position }} }}", arguments.join(", ")), mutation)
}

/// What an answer says.
fn outcome(mutation: &str, request: &Request, answer: &Value) -> Outcome {
    let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} of {answer} is a number"));
    let receipt = &answer["extensions"]["receipts"][mutation];
    if !receipt.is_null() {
        assert_eq!((receipt, &receipt["id"]), (&answer["data"][mutation], &json!(request.account)), "{answer}");
        let (revision, position) = (number(&receipt["revision"]), number(&receipt["position"]));
        return Outcome::Recorded { revision, position, repeated: None };
    }
    let (error, extensions) = (&answer["errors"][0], &answer["errors"][0]["extensions"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match extensions["code"].as_str() {
        Some("REJECTED") => Outcome::Rejected { code: text(&extensions["reason"]), message: text(&error["message"]) },
        Some("NOT_FOUND") => Outcome::NotFound,
        Some("CONFLICT") => Outcome::Conflict {
            expected: number(&extensions["expectedRevision"]),
            actual: number(&extensions["actualRevision"]),
        },
        Some("IDEMPOTENCY_KEY_REUSED") => Outcome::KeyReused,
        // A guest that got no time for as long as its process got none has overrun.
        Some("PLUGIN_FAULT") => Outcome::Failed(answer.to_string()),
        Some("UNAVAILABLE") if is_certain(&text(&error["message"])) => Outcome::Failed(answer.to_string()),
        Some("TIMEOUT" | "UNAVAILABLE") => Outcome::Unknown(answer.to_string()),
        _ => panic!("{} is a request that a server understands: {answer}", request.payload()),
    }
}

/// Does to a server what the plan says, as the run goes on.
pub(crate) async fn disturb(
    mut server: Server,
    disturbances: Vec<Disturbance>,
    log: &str,
    mut progress: watch::Receiver<Progress>,
    is_up: watch::Sender<bool>,
) -> Server {
    for Disturbance { after, lasts, kind } in disturbances {
        within(progress.wait_for(|progress| progress.done >= after)).await;
        match kind {
            Kind::Pause | Kind::PauseAndKill => server.pause(),
            Kind::Kill => server.kill(),
            Kind::Cut => Postgres::shared().cut(log).await,
        }
        is_up.send_replace(kind != Kind::Kill);
        // Whatever the other node was waiting for when this one stopped: it goes on.
        let until = progress.borrow().acknowledged + lasts;
        within(progress.wait_for(|progress| progress.acknowledged >= until || progress.steady == 0)).await;
        match kind {
            Kind::Pause => server.resume(),
            Kind::Kill => server.start_again().await,
            Kind::PauseAndKill => {
                is_up.send_replace(false);
                server.kill();
                server.start_again().await;
            }
            Kind::Cut => {}
        }
        is_up.send_replace(true);
    }
    server
}

async fn within<T, E: std::fmt::Debug>(what: impl Future<Output = Result<T, E>>) {
    let waited = tokio::time::timeout(DISTURBED, what).await;
    waited.expect("while one node is disturbed the other one goes on").expect("the run is under way");
}
