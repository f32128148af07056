//! The time that requests and sockets of these tests have.

use crate::Limits;

/// More than anything takes.
const HOUR_MS: u64 = 3_600_000;

/// Limits under which everything may take as long as it does. Those that a server has by itself are for people who wait for an
/// answer; a machine that runs many tests at once may need more, and tests are given it where they have no opinion.
pub(super) fn patient() -> Limits {
    Limits {
        body_ms: HOUR_MS,
        timeout_ms: HOUR_MS,
        socket_init_ms: HOUR_MS,
        keep_alive_ms: HOUR_MS,
        slow_ms: HOUR_MS,
        ..Limits::default()
    }
}
