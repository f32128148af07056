//! Clients that read a page of rows and one more row, at an even pace, and know what every answer has to be. They run on a
//! thread of their own, so that nobody but the server keeps them waiting.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::chance::Chance;
use crate::histogram::Histogram;
use crate::http::{Connection, Url};
use crate::{Result, bank};

/// Clients.
pub(super) const READERS: u32 = 4;
/// From one question of a client to its next one. It leaves the machine to those who are measured.
const PACE: Duration = Duration::from_millis(10);
/// Rows of the page.
const PAGE: u32 = 20;
/// Pages begin among so many rows: to skip more of them would be most of the work.
const FIRST: u32 = 500;
/// A client that is kept waiting longer than this is not answered any more.
const PATIENCE: Duration = Duration::from_secs(30);

const DOCUMENT: &str = "query Q($id: ID!, $offset: Int!, $limit: Int!) { balance(id: $id) { id movements } \
                        balances(limit: $limit, offset: $offset) { movements } }";

/// What is asked, and how an answer is told to be right: nothing is deposited meanwhile, and every account has had as many
/// deposits as any other. A table that is being filled shows fewer, or lacks rows.
#[derive(Debug, Clone)]
pub(super) struct Question {
    url: Url,
    accounts: u32,
    movements: u64,
}

/// What clients have seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How long right answers took.
    pub(super) took: Histogram,
    /// Wrong answers, and requests that failed.
    pub(super) errors: u64,
    /// What the first of those was.
    pub(super) first_error: Option<String>,
    /// The longest that a client was without a right answer.
    pub(super) longest_pause: Duration,
}

/// Clients that read until they are told to stop.
#[derive(Debug)]
pub(super) struct Readers {
    stop: watch::Sender<bool>,
    reading: JoinHandle<Result<Seen>>,
}

impl Question {
    pub(super) fn new(url: Url, accounts: u32, movements: u64) -> Self {
        Self { url, accounts, movements }
    }

    /// Asks for all accounts, a page after the other.
    pub(super) async fn ask_all(&self) -> Result<()> {
        let mut connection = Connection::open(&self.url, "POST").await?;
        for account in (0..self.accounts).step_by(PAGE as usize) {
            self.ask(&mut connection, account, account).await?;
        }
        Ok(())
    }

    /// Asks for an account, and for the page with so many rows before it.
    async fn ask(&self, connection: &mut Connection, account: u32, offset: u32) -> Result<()> {
        let rows = PAGE.min(self.accounts - offset);
        let variables = json!({ "id": bank::account(account), "offset": offset, "limit": PAGE });
        let body = json!({ "query": DOCUMENT, "variables": variables }).to_string();
        let answer = tokio::time::timeout(PATIENCE, connection.send(body.as_bytes())).await;
        let (status, answer) = answer.map_err(|_| format!("there was no answer for {PATIENCE:?}"))??;
        if status == 200 && self.is_right(answer, account, rows) {
            return Ok(());
        }
        let said: String = String::from_utf8_lossy(answer).chars().take(500).collect();
        Err(format!("status {status}, where {rows} rows with {} movements each are right: {said}", self.movements))
    }

    fn is_right(&self, answer: &[u8], account: u32, rows: u32) -> bool {
        let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return false };
        let (one, page) = (&answer["data"]["balance"], answer["data"]["balances"].as_array());
        let is_whole = |row: &Value| row["movements"] == self.movements;
        answer.get("errors").is_none()
            && one["id"] == bank::account(account)
            && is_whole(one)
            && page.is_some_and(|page| page.len() == rows as usize && page.iter().all(is_whole))
    }
}

impl Readers {
    /// Lets them begin.
    pub(super) async fn start(question: &Question, seed: u64) -> Result<Self> {
        let stop = watch::Sender::new(false);
        let (question, stopped) = (question.clone(), stop.subscribe());
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let reading = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| format!("no clients can be run: {error}"))?;
            runtime.block_on(async {
                let mut seeds = Chance::new(seed);
                let mut running = JoinSet::new();
                for _ in 0..READERS {
                    let connection = Connection::open(&question.url, "POST").await?;
                    running.spawn(read(question.clone(), connection, Chance::new(seeds.bits()), stopped.clone()));
                }
                // Whoever waits for it may have been given up.
                let _ = begun.send(());
                let mut all = Seen::default();
                while let Some(seen) = running.join_next().await {
                    all.add(seen.map_err(|error| format!("a client broke: {error}"))?);
                }
                Ok(all)
            })
        });
        // If they could not begin, to stop them says why.
        let _ = has_begun.await;
        Ok(Self { stop, reading })
    }

    /// Stops them, and gives what they have seen.
    pub(super) async fn stop(self) -> Result<Seen> {
        self.stop.send_replace(true);
        self.reading.await.map_err(|error| format!("the clients broke: {error}"))?
    }
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.took.add(&other.took);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.longest_pause = self.longest_pause.max(other.longest_pause);
    }
}

async fn read(question: Question, connection: Connection, mut chance: Chance, mut stop: watch::Receiver<bool>) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Some(connection);
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = Instant::now();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            _ = pace.tick() => {}
        }
        let asked = Instant::now();
        match once(&question, connection.take(), &mut chance).await {
            Ok(again) => {
                let now = Instant::now();
                seen.took.record(now - asked);
                seen.longest_pause = seen.longest_pause.max(now - answered);
                (connection, answered) = (Some(again), now);
            }
            Err(error) => {
                seen.errors += 1;
                seen.first_error.get_or_insert(error);
            }
        }
    }
    seen.longest_pause = seen.longest_pause.max(answered.elapsed());
    seen
}

/// Asks once, over a new connection if the one before has broken.
async fn once(question: &Question, connection: Option<Connection>, chance: &mut Chance) -> Result<Connection> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => Connection::open(&question.url, "POST").await?,
    };
    let offset = chance.below(question.accounts.min(FIRST));
    question.ask(&mut connection, chance.below(question.accounts), offset).await?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_right_only_if_every_row_of_it_is() {
        let question = Question::new(Url { host: "h".into(), path: "/".into() }, 100, 5);
        let answer = |one: Value, page: &[u64]| {
            let page: Vec<Value> = page.iter().map(|movements| json!({ "movements": movements })).collect();
            json!({ "data": { "balance": one, "balances": page } }).to_string()
        };
        let one = json!({ "id": "account-7", "movements": 5 });
        assert!(question.is_right(answer(one.clone(), &[5, 5]).as_bytes(), 7, 2));
        for wrong in [
            answer(one.clone(), &[5, 4]),
            answer(one.clone(), &[5]),
            answer(json!(null), &[5, 5]),
            answer(json!({ "id": "account-7", "movements": 4 }), &[5, 5]),
            answer(json!({ "id": "account-8", "movements": 5 }), &[5, 5]),
            json!({ "data": { "balance": one, "balances": null }, "errors": [] }).to_string(),
            "gone".into(),
        ] {
            assert!(!question.is_right(wrong.as_bytes(), 7, 2), "{wrong}");
        }
    }
}
