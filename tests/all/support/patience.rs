//! Waiting for something to become true, within bounds.
//!
//! The times that a server or an engine allows by itself are for people who wait for an answer. On a machine that runs many
//! tests at once, what is right may take longer than that. So tests give all of it more time than it could ever need, but
//! where such a time is what they are about.

use std::time::{Duration, Instant};

use yado_engine::Settings;
use yado_store::Options;

/// How long anything may take. It is a limit for when something is broken; what is waited for takes a fraction of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// How long a server may take to answer, as its flags have it. It is less than whoever asks waits: what comes too late is to
/// be told by whoever knows why.
const ANSWERED_MS: u64 = 90_000;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// The times that one who asks a server for something meets, or who follows something there, and the one that the server has
/// to reach its databases: they are all that a server by itself is short of.
const TIMES: [&str; 8] = [
    "--limits-command-ms",
    "--limits-query-ms",
    "--limits-caught-up-ms",
    "--graphql-timeout-ms",
    "--graphql-socket-init-ms",
    "--graphql-keep-alive-ms",
    "--graphql-slow-ms",
    "--database-acquire-timeout-ms",
];

/// Waits until a condition holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "still not so after {PATIENCE:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Settings of an engine that takes as long as it needs.
pub(crate) fn patient() -> Settings {
    Settings { command_ms: ANSWERED_MS, query_ms: ANSWERED_MS, caught_up_ms: ANSWERED_MS, ..Settings::default() }
}

/// Options of a store that waits for its database as long as it needs.
pub(crate) fn patient_options() -> Options {
    Options { acquire_timeout_ms: ANSWERED_MS, ..Options::default() }
}

/// The arguments that give a server as much time as it needs, but for those times that a test has an opinion on.
pub(super) fn patiently(arguments: &[String]) -> Vec<String> {
    let left_open = TIMES.into_iter().filter(|time| !arguments.iter().any(|argument| argument == time));
    left_open.flat_map(|time| [time.to_owned(), ANSWERED_MS.to_string()]).collect()
}
