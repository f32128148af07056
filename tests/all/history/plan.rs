//! What a run is to do, all of it drawn from one seed: who asks what of which node, and when a node is disturbed.
//!
//! The plan is the same for the same seed. How it interleaves is the machine's, so a replay repeats what was asked and
//! not what came of it. It took place on the same accounts, in the same mixture, with the same disturbances, and that is
//! nearly always enough to meet the same fault again.

use std::sync::{Arc, OnceLock};

use super::random::Random;
use super::record::{Command, Request};

/// How large a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) operations: usize,
    pub(crate) clients: usize,
    pub(crate) nodes: usize,
    pub(crate) disturbances: usize,
}

/// What a run is to do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What each client does, one step after another.
    pub(crate) clients: Vec<Vec<Step>>,
    /// What happens to the last of the nodes, one after another.
    pub(crate) disturbances: Vec<Disturbance>,
}

/// A request that is sent to one node, or to several at once.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) intent: Arc<Intent>,
    pub(crate) nodes: Vec<usize>,
}

/// A request, but for what is known only when it is sent for the first time.
#[derive(Debug)]
pub(crate) struct Intent {
    request: Request,
    expects: Option<Expects>,
    settled: OnceLock<Arc<Request>>,
}

/// Which revision a client expects.
#[derive(Debug, Clone, Copy)]
struct Expects {
    /// So many before the latest that anybody has been told of.
    behind: u64,
}

/// A disturbance of a node. It begins when so many operations of the whole run are done, and lasts until another node has
/// acknowledged so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disturbance {
    pub(crate) after: u64,
    pub(crate) lasts: u64,
    pub(crate) kind: Kind,
}

/// What happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It gets no time, and then goes on as if nothing had been.
    Pause,
    /// It ends without a word, and is started again.
    Kill,
    /// It gets no time, ends without ever getting any, and is started again.
    PauseAndKill,
    /// Its sessions with the database end, and those of all others, as when that fails over. It may have new ones.
    Cut,
}

impl Intent {
    /// The request as it is sent. `known` is the latest revision of its account that anybody has been told of; what is
    /// expected is settled when it is sent for the first time, because a repetition is the same request.
    pub(crate) fn settle(&self, known: u64) -> Arc<Request> {
        let settled = self.settled.get_or_init(|| {
            let expected = self.expects.map(|expects| known.saturating_sub(expects.behind));
            Arc::new(Request { expected, ..self.request.clone() })
        });
        settled.clone()
    }

    pub(crate) fn account(&self) -> &str {
        &self.request.account
    }
}

/// How many steps of one client a season has. Each season has accounts of its own: there is always a stream that is just
/// being opened, and one that is closed for good does not end the run's contention.
const SEASON: usize = 40;
/// Repetitions are of one of so many requests before.
const REMEMBERED: usize = 40;

impl Plan {
    pub(crate) fn draw(seed: u64, size: Size) -> Self {
        let mut random = Random::new(seed);
        let disturbances = disturbances(random.split(), size);
        let mut author = Author { random, nodes: size.nodes, requests: 0, under_keys: Vec::new() };
        let mut clients: Vec<Vec<Step>> = (0..size.clients).map(|_| Vec::new()).collect();
        // All clients are drawn side by side, so that a repetition comes near what it repeats.
        for number in 0..size.operations.div_ceil(size.clients) {
            for (client, steps) in clients.iter_mut().enumerate() {
                steps.push(author.step(number, client));
            }
        }
        Self { clients, disturbances }
    }

    /// Whether a client speaks to the first node alone, whatever becomes of the others.
    pub(crate) const fn is_steady(client: usize) -> bool {
        client.is_multiple_of(2)
    }
}

/// Disturbances, evenly spread over the run but for where chance moves them.
fn disturbances(mut random: Random, size: Size) -> Vec<Disturbance> {
    let every = size.operations as u64 / (size.disturbances as u64 + 1).max(1);
    let one = |number: u64| {
        let kinds = [(5, Kind::Pause), (3, Kind::Kill), (2, Kind::PauseAndKill), (3, Kind::Cut)];
        Disturbance {
            after: every * (number + 1) + random.within(0..every / 2 + 1),
            lasts: random.within(1..every / 3 + 2),
            kind: random.weighted(&kinds),
        }
    };
    (0..size.disturbances as u64).map(one).collect()
}

struct Author {
    random: Random,
    nodes: usize,
    requests: u64,
    /// The latest requests under keys.
    under_keys: Vec<Arc<Intent>>,
}

impl Author {
    fn step(&mut self, number: usize, client: usize) -> Step {
        if !self.under_keys.is_empty() && self.random.percent(12) {
            let repeated = self.under_keys[self.random.index(self.under_keys.len())].clone();
            return Step { intent: repeated, nodes: vec![self.node(client)] };
        }
        let key = match self.random.within(0..100) {
            0..40 => Some(format!("key-{}", self.requests)),
            // A client's mistake: the key belongs to another request, or will.
            40..46 if !self.under_keys.is_empty() => {
                self.under_keys[self.random.index(self.under_keys.len())].request.key.clone()
            }
            _ => None,
        };
        let intent = Arc::new(self.intent(number, key));
        let mut nodes = vec![self.node(client)];
        if intent.request.key.is_some() {
            if self.random.percent(20) {
                // Twice at once, as an impatient client does.
                nodes.push(self.node(client));
            }
            self.under_keys.push(intent.clone());
            let forgotten = self.under_keys.len().saturating_sub(REMEMBERED);
            self.under_keys.drain(..forgotten);
        }
        Step { intent, nodes }
    }

    fn node(&mut self, client: usize) -> usize {
        match Plan::is_steady(client) {
            true => 0,
            false if self.random.percent(70) => self.nodes - 1,
            false => self.random.index(self.nodes),
        }
    }

    fn intent(&mut self, number: usize, key: Option<String>) -> Intent {
        let season = match self.random.percent(5) {
            true => self.random.index(number / SEASON + 1),
            false => number / SEASON,
        };
        let account = self.random.weighted(&[(55, 0), (20, 1), (9, 2), (8, 3), (8, 4)]);
        self.requests += 1;
        let (deposit, withdrawal) = (self.random.within(1..100), self.random.within(1..130));
        let (deposit, withdrawal) = (deposit.cast_signed(), withdrawal.cast_signed());
        let hot = account < 2;
        let weights = match (hot, number % SEASON) {
            (_, 0..2) => [60, 30, 10, 0],
            (true, _) => [3, 46, 50, 1],
            (false, _) => [20, 30, 30, 20],
        };
        let command = self.random.weighted(&[
            (weights[0], Command::Open),
            (weights[1], Command::Deposit(deposit)),
            (weights[2], Command::Withdraw(withdrawal)),
            (weights[3], Command::Close),
        ]);
        let expects = self.random.percent(25).then(|| {
            let behind = self.random.weighted(&[(7, 0), (2, 1), (1, 2)]);
            Expects { behind }
        });
        let request = Request {
            account: format!("{season}-{account}"),
            command,
            reference: format!("request {}", self.requests),
            key,
            expected: None,
        };
        Intent { request, expects, settled: OnceLock::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_plan_and_another_one_draws_another() {
        let size = Size { operations: 500, clients: 4, nodes: 2, disturbances: 5 };
        let drawn = |seed| format!("{:?}", Plan::draw(seed, size));
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
