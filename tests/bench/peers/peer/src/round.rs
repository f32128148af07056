//! A round: clients that deposit one after another, and a clock beside them.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::Rng;
use tokio::task::JoinSet;

use crate::choice::{Choice, generator};
use crate::padding::Deposit;
use crate::processor;
use crate::protocol::{Outcome, Spec};

/// How often a deposit is tried that loses against others.
const ATTEMPTS: u32 = 100;

/// Why a deposit was not made.
#[derive(Debug)]
pub enum Refused {
    /// Another one of the same account was faster: load, and try again.
    Conflict,
    /// It can't be made.
    For(String),
}

impl Refused {
    /// For a reason that can be read.
    pub fn because(reason: impl Display) -> Self {
        Self::For(reason.to_string())
    }
}

/// Somebody who deposits, with connections of their own if that is best.
pub trait Client: Send + 'static {
    /// Loads an account, checks what there is to check, and puts money in. It is done when it is durable. One that loses
    /// against another is tried again.
    fn deposit(&mut self, account: u32, deposit: &Deposit) -> impl Future<Output = Result<(), Refused>> + Send;
}

/// Tries until nobody else is faster.
async fn deposit(client: &mut impl Client, account: u32, deposit: &Deposit) -> Result<(), String> {
    for _ in 0..ATTEMPTS {
        match client.deposit(account, deposit).await {
            Ok(()) => return Ok(()),
            Err(Refused::Conflict) => {}
            Err(Refused::For(reason)) => return Err(reason),
        }
    }
    Err(format!("given up: others were faster {ATTEMPTS} times"))
}

// Where the round is, for clients to see without asking the clock what it means.
const WARM_UP: u8 = 0;
const MEASURED: u8 = 1;
const OVER: u8 = 2;

/// What a client has seen within the measured time.
#[derive(Debug, Default)]
struct Seen {
    /// How long each deposit took, in microseconds.
    latencies: Vec<u32>,
    errors: u64,
    first_error: Option<String>,
}

/// Has the clients deposit for as long as the spec says, and gives them back.
pub(crate) async fn run<C: Client>(spec: &Spec, clients: Vec<C>, others: &[u32]) -> Result<(Outcome, Vec<C>)> {
    ensure!(spec.clients > 0 && spec.accounts > 0, "a round needs a client and an account at least");
    let warm_up = Duration::try_from_secs_f64(spec.warm_up_seconds)?;
    let duration = Duration::try_from_secs_f64(spec.seconds)?;
    let choice = Choice::new(spec.distribution, spec.accounts);
    let phase = Arc::new(AtomicU8::new(WARM_UP));
    let mut running = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        running.spawn(work(client, number, spec.clone(), choice.clone(), Arc::clone(&phase)));
    }

    tokio::time::sleep(warm_up).await;
    let before = processor::seconds(others);
    let begun = Instant::now();
    phase.store(MEASURED, Ordering::Release);
    tokio::time::sleep(duration).await;
    phase.store(OVER, Ordering::Release);
    let elapsed = begun.elapsed();
    let after = processor::seconds(others);

    let (mut all, mut clients) = (Seen::default(), Vec::with_capacity(spec.clients));
    while let Some(ended) = running.join_next().await {
        let (client, seen) = ended?;
        clients.push(client);
        all.latencies.extend(seen.latencies);
        all.errors += seen.errors;
        all.first_error = all.first_error.or(seen.first_error);
    }
    let outcome = Outcome {
        operations: all.latencies.len(),
        errors: all.errors,
        first_error: all.first_error,
        elapsed_seconds: elapsed.as_secs_f64(),
        p50_us: percentile(&mut all.latencies, 50),
        p99_us: percentile(&mut all.latencies, 99),
        cpu_seconds: before.zip(after).map(|(before, after)| after - before),
    };
    Ok((outcome, clients))
}

async fn work<C: Client>(mut client: C, number: usize, spec: Spec, choice: Choice, phase: Arc<AtomicU8>) -> (C, Seen) {
    let mut random = generator(spec.seed, number);
    let mut seen = Seen::default();
    while phase.load(Ordering::Acquire) != OVER {
        let account = choice.next(&mut random);
        let sum = Deposit::of_size(random.random_range(1..100), spec.payload_bytes);
        let begun = Instant::now();
        let done = deposit(&mut client, account, &sum).await;
        let latency = begun.elapsed();
        // What was acknowledged within the time counts, whenever it began.
        if phase.load(Ordering::Acquire) == MEASURED {
            match done {
                Ok(()) => seen.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX)),
                Err(reason) => {
                    seen.errors += 1;
                    seen.first_error.get_or_insert(reason);
                }
            }
        }
        // A client that never waits for anything would not let others run.
        tokio::task::yield_now().await;
    }
    (client, seen)
}

/// The smallest latency that so many in a hundred do not exceed.
fn percentile(latencies: &mut [u32], percent: usize) -> Option<u32> {
    let rank = (latencies.len() * percent).div_ceil(100).checked_sub(1)?;
    Some(*latencies.select_nth_unstable(rank).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_seen() {
        let mut latencies: Vec<u32> = (1..=200).rev().collect();
        assert_eq!(percentile(&mut latencies, 50), Some(100));
        assert_eq!(percentile(&mut latencies, 99), Some(198));
        assert_eq!(percentile(&mut [7], 99), Some(7));
        assert_eq!(percentile(&mut [], 50), None);
    }

    /// Loses so many times, and then deposits.
    struct Loser(u32);

    impl Client for Loser {
        async fn deposit(&mut self, _: u32, _: &Deposit) -> Result<(), Refused> {
            self.0 = self.0.saturating_sub(1);
            if self.0 > 0 { Err(Refused::Conflict) } else { Ok(()) }
        }
    }

    #[tokio::test]
    async fn a_deposit_that_loses_is_tried_again_until_it_is_given_up() {
        let sum = Deposit::of_size(1, 200);
        assert_eq!(deposit(&mut Loser(100), 0, &sum).await, Ok(()));
        assert!(deposit(&mut Loser(101), 0, &sum).await.unwrap_err().contains("100 times"));
    }
}
