//! The closed loop: so many clients, each with one operation under way at a time.

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Result;
use crate::chance::{Accounts, Chance};
use crate::histogram::Histogram;
use crate::http::{Connection, Url};
use crate::work::{Outcome, Spec};

/// What a client pauses after a failure, so that one that fails at once does not take the processor from the others.
const PAUSE: Duration = Duration::from_millis(10);

/// A client.
pub trait Client: Send + 'static {
    /// Carries out one operation on an account, a deposit as a rule; returns when that is durable.
    fn operate(&mut self, account: u32) -> impl Future<Output = Result<()>> + Send;
}

/// Lets clients of an API run on a thread and a runtime of their own: nothing else waits for that thread, and no client for
/// another one's.
///
/// # Errors
/// When the API can't be reached.
pub async fn apart<C: Client>(
    url: &Url,
    spec: &Spec,
    client: impl Fn(Connection) -> C + Send + 'static,
) -> Result<Outcome> {
    let (url, spec) = (url.clone(), spec.clone());
    let driving = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no clients can be run: {error}"))?;
        runtime.block_on(async {
            let mut clients = Vec::new();
            for _ in 0..spec.clients {
                clients.push(client(Connection::open(&url, "POST").await?));
            }
            Ok(run(&spec, clients).await)
        })
    });
    driving.await.map_err(|error| format!("the clients broke: {error}"))?
}

/// What one client has seen.
#[derive(Default)]
struct Seen {
    took: Histogram,
    errors: u64,
    first_error: Option<String>,
}

/// Lets clients run through warm-up and measurement.
pub async fn run<C: Client>(spec: &Spec, clients: Vec<C>) -> Outcome {
    let accounts = Accounts::new(spec.accounts, spec.distribution);
    let mut seeds = Chance::new(spec.seed);
    let from = Instant::now() + Duration::from_secs_f64(spec.warm_up_seconds);
    let until = from + Duration::from_secs_f64(spec.seconds);
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(work(client, accounts.clone(), Chance::new(seeds.bits()), from..until));
    }
    let mut all = Seen::default();
    while let Some(done) = running.join_next().await {
        match done {
            Ok(seen) => {
                all.took.add(&seen.took);
                all.errors += seen.errors;
                all.first_error = all.first_error.or(seen.first_error);
            }
            Err(error) => {
                all.errors += 1;
                all.first_error.get_or_insert_with(|| format!("a client broke: {error}"));
            }
        }
    }
    Outcome {
        operations: all.took.total(),
        errors: all.errors,
        first_error: all.first_error,
        elapsed_seconds: spec.seconds,
        p50_us: all.took.percentile(0.5),
        p99_us: all.took.percentile(0.99),
    }
}

impl Seen {
    /// Counts an operation, if it ended while it counts. A failure counts whenever it happens: nothing may fail.
    fn note(&mut self, outcome: Result<()>, begun: Instant, ended: Instant, counts: &Range<Instant>) {
        match outcome {
            Ok(()) if counts.contains(&ended) => self.took.record(ended - begun),
            Ok(()) => {}
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error);
            }
        }
    }
}

async fn work<C: Client>(mut client: C, accounts: Accounts, mut chance: Chance, counts: Range<Instant>) -> Seen {
    let mut seen = Seen::default();
    let mut begun = Instant::now();
    while begun < counts.end {
        let outcome = client.operate(accounts.pick(&mut chance)).await;
        let (ended, failed) = (Instant::now(), outcome.is_err());
        seen.note(outcome, begun, ended, &counts);
        if failed {
            tokio::time::sleep(PAUSE).await;
        }
        begun = Instant::now();
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_while_it_counts_is_counted_and_every_failure_is() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let counts = at(100)..at(200);
        let mut seen = Seen::default();
        seen.note(Ok(()), at(80), at(99), &counts);
        seen.note(Ok(()), at(95), at(100), &counts);
        seen.note(Ok(()), at(150), at(199), &counts);
        seen.note(Ok(()), at(199), at(200), &counts);
        seen.note(Err("early".into()), at(1), at(2), &counts);
        seen.note(Err("late".into()), at(198), at(201), &counts);
        assert_eq!((seen.took.total(), seen.errors, seen.first_error.as_deref()), (2, 2, Some("early")));
        assert!((4_900..=5_100).contains(&seen.took.percentile(0.5)), "it took five milliseconds");
    }
}
