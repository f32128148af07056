//! How long what can't be looked up is tried again before it is told as it is.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::cohort::PAUSES;

/// The attempts at one thing. They begin with the first that is in vain.
#[derive(Debug)]
pub(super) struct Patience {
    /// When there is to be no more of them; nothing, if none has been in vain yet.
    longest: Option<Instant>,
    pause: Duration,
}

impl Patience {
    pub(super) const fn new() -> Self {
        Self { longest: None, pause: PAUSES.0 }
    }

    /// Whether no attempt has been in vain yet.
    pub(super) const fn is_new(&self) -> bool {
        self.longest.is_none()
    }

    /// An attempt has been in vain: whether there is to be another one, if all of them may take so long.
    pub(super) fn is_left(&mut self, most: Duration) -> bool {
        let now = Instant::now();
        now < *self.longest.get_or_insert(now + most)
    }

    /// Waits before the next attempt, each time longer.
    pub(super) async fn rest(&mut self) {
        let next = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSES.1);
        sleep_until(self.longest.map_or(next, |longest| longest.min(next))).await;
    }
}
