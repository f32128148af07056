//! Carries out a plan, and keeps the record of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::watch;

use super::plan::{Intent, Plan, Step};
use super::record::{Moment, NEVER, Operation, Outcome, Request};

/// Somebody who takes requests.
#[async_trait]
pub(crate) trait Node: Send + Sync {
    fn name(&self) -> &'static str;

    /// Waits until it can be expected to answer.
    async fn up(&self) {}

    /// Sends a request, under the number by which the attempt is recognised in the log. None if it has certainly not been
    /// received.
    async fn send(&self, request: &Request, attempt: u64) -> Option<Outcome>;
}

/// How far a run is.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Progress {
    /// Operations that are done, one way or another.
    pub(crate) done: u64,
    /// Those that the first node has acknowledged.
    pub(crate) acknowledged: u64,
    /// Clients that speak to the first node alone, and have not finished.
    pub(crate) steady: usize,
}

/// A run under way.
pub(crate) struct Run {
    nodes: Vec<Arc<dyn Node>>,
    moments: AtomicU64,
    attempts: AtomicU64,
    operations: Mutex<Vec<Operation>>,
    /// The latest revision of each account that anybody has been told of.
    known: Mutex<HashMap<String, u64>>,
    progress: watch::Sender<Progress>,
}

impl Run {
    pub(crate) fn new(nodes: Vec<Arc<dyn Node>>, plan: &Plan) -> Arc<Self> {
        let steady = (0..plan.clients.len()).filter(|client| Plan::is_steady(*client)).count();
        Arc::new(Self {
            nodes,
            moments: AtomicU64::new(1),
            attempts: AtomicU64::new(1),
            operations: Mutex::default(),
            known: Mutex::default(),
            progress: watch::Sender::new(Progress { steady, ..Progress::default() }),
        })
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Has all clients do all of their steps.
    pub(crate) async fn clients(self: &Arc<Self>, plan: Plan) {
        let clients = plan.clients.into_iter().enumerate().map(|(client, steps)| {
            let run = self.clone();
            tokio::spawn(async move { run.client(client, steps).await })
        });
        for client in join_all(clients.collect::<Vec<_>>()).await {
            client.unwrap();
        }
    }

    /// All that has been done.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.operations.lock().unwrap().clone()
    }

    async fn client(&self, client: usize, steps: Vec<Step>) {
        for Step { intent, nodes } in steps {
            join_all(nodes.into_iter().map(|node| self.operation(&intent, node))).await;
        }
        if Plan::is_steady(client) {
            self.progress.send_modify(|progress| progress.steady -= 1);
        }
    }

    async fn operation(&self, intent: &Intent, node: usize) {
        let known = self.known.lock().unwrap().get(intent.account()).copied().unwrap_or_default();
        let request = intent.settle(known);
        // A node that is not there has not heard of the request, and then the first one is asked.
        for node in [&self.nodes[node], &self.nodes[0]] {
            let attempt = self.attempts.fetch_add(1, Ordering::SeqCst);
            let invoked = self.moment();
            let Some(outcome) = node.send(&request, attempt).await else { continue };
            let completed = if matches!(outcome, Outcome::Unknown(_)) { NEVER } else { self.moment() };
            self.learn(&request.account, node.name(), &outcome);
            let operation = Operation { attempt, node: node.name(), request, invoked, completed, outcome };
            let is_unknown = operation.completed == NEVER;
            self.operations.lock().unwrap().push(operation);
            if is_unknown {
                // Whoever went on at once would have nothing but failures from a node that is just starting.
                node.up().await;
            }
            return;
        }
        panic!("the first node takes no connections, and nobody has disturbed it");
    }

    fn learn(&self, account: &str, node: &'static str, outcome: &Outcome) {
        let acknowledged = matches!(outcome, Outcome::Recorded { .. });
        if let Outcome::Recorded { revision: told, .. } | Outcome::Conflict { actual: told, .. } = outcome {
            let mut known = self.known.lock().unwrap();
            let latest = known.entry(account.to_owned()).or_default();
            *latest = (*latest).max(*told);
        }
        self.progress.send_modify(|progress| {
            progress.done += 1;
            progress.acknowledged += u64::from(acknowledged && node == self.nodes[0].name());
        });
    }

    fn moment(&self) -> Moment {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }
}
