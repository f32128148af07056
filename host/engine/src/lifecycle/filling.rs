//! New code is filled before it goes live: its projections show what has happened so far, while those of the old code go on.
//!
//! Deployments are taken one after the other, so one that does not end would keep all others waiting. It ends when its
//! projections show everything, when they can't, when they have not got on for too long, and when an operator gives it up.

use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use yado_model::{Name, Position};

use super::deploy::{Fresh, Started};
use super::{Order, Owner, QUEUE, Refusal};
use crate::catalogue::ProjectionType;
use crate::projection::{Running, Status, Trouble, Waiting};

/// A projection that is filled before it goes live.
pub(super) struct Filling {
    name: Name,
    status: watch::Receiver<Status>,
    /// What it is to show.
    head: Position,
    /// Whether no older code serves in its place.
    first: bool,
    _waiting: Waiting,
}

impl Owner {
    /// Waits until all of them show what they are to. Meanwhile it does what can't wait as long: tables that another process
    /// has replaced are there for a while only. What is live may be something else afterwards.
    pub(super) async fn fill_all(&mut self, filling: Vec<Filling>) -> Result<(), Refusal> {
        let (limit, stopped) = (self.longest_stand(), self.surroundings.stopped.clone());
        let ends = filling.into_iter().map(|filling| filling.ends(limit, stopped.clone()));
        let mut filled = pin!(futures::future::try_join_all(ends));
        loop {
            let order = tokio::select! {
                biased;
                outcome = &mut filled => return outcome.map(|_| ()),
                Some(order) = self.received.recv(), if self.waiting.len() < QUEUE => order,
            };
            match order {
                Order::Cancel(name, reply) if self.is_replaced(&name) => {
                    tracing::info!(projection = %name, "the deployment that fills a projection is given up");
                    let _ = reply.send(Ok(()));
                    return Err(Refusal::GivenUp(name));
                }
                order => self.keep_house(order).await,
            }
        }
    }

    /// Waits until those that replace others show as much as these do, which went on meanwhile: the log has grown for as
    /// long as it took to fill them, and rows must not go back in time.
    pub(super) async fn draw_level(&mut self, started: &Started) -> Result<(), Refusal> {
        let mut chase = Chase::default();
        loop {
            let (mut filling, mut gap) = (Vec::new(), 0);
            for Fresh { projection, running, .. } in started.values() {
                if let Some(until) = self.behind(projection, running).await {
                    gap += until.get().saturating_sub(running.status().borrow().position.get());
                    filling.push(Filling::begin(projection, running, until, false));
                }
            }
            if filling.is_empty() {
                return Ok(());
            }
            if !chase.gains(gap, Instant::now(), self.longest_stand()) {
                return Err(Refusal::Unavailable(format!(
                    "what it fills does not catch up with what serves, because events are recorded as fast as it shows \
                     them: it is {gap} events behind, and comes no closer. What it has filled is kept; deploy it again when \
                     less is recorded"
                )));
            }
            self.fill_all(filling).await?;
        }
    }

    /// How long a deployment may take without getting on.
    fn longest_stand(&self) -> Duration {
        Duration::from_millis(self.surroundings.settings.deploy_stalled_ms)
    }
}

impl Filling {
    pub(super) fn begin(projection: &ProjectionType, running: &Running, head: Position, first: bool) -> Self {
        let (name, status) = (projection.manifest.name.clone(), running.status());
        Self { name, status, head, first, _waiting: running.wanted().wait_for(head) }
    }

    /// Waits until everything is shown, or can't be, or until it has not got on for so long.
    async fn ends(mut self, limit: Duration, mut stopped: watch::Receiver<bool>) -> Result<(), Refusal> {
        let Self { head, first, .. } = self;
        let stands = stands(self.status.clone(), limit);
        let settled = self.status.wait_for(|status| {
            let troubled = match &status.trouble {
                Some(Trouble::Poisoned { .. } | Trouble::Host(_) | Trouble::Held(_)) => true,
                Some(Trouble::Database(_)) => first,
                None => false,
            };
            status.shows(head) || troubled || (first && status.paused)
        });
        let trouble = tokio::select! {
            known = settled => known.map_err(|error| Refusal::Unavailable(error.to_string()))?.trouble.clone(),
            // A plugin whose read models lag is better than none.
            status = stands => return if first { Ok(()) } else { Err(stalled(&status, limit)) },
            _ = stopped.wait_for(|stopped| *stopped) => {
                return Err(Refusal::Unavailable("the server is shutting down".into()));
            }
        };
        match trouble {
            Some(trouble @ Trouble::Host(_)) if !first => {
                Err(Refusal::Unavailable(format!("projection {}: {trouble}", self.name)))
            }
            Some(trouble) if !first => Err(Refusal::History(format!("projection {}: {trouble}", self.name))),
            _ => Ok(()),
        }
    }
}

/// Waits until a projection has not got on for so long, and returns how it stands.
async fn stands(mut status: watch::Receiver<Status>, limit: Duration) -> Status {
    let mut position = status.borrow().position;
    loop {
        let moves = async { Some(status.wait_for(|status| status.position != position).await.ok()?.position) };
        match tokio::time::timeout(limit, moves).await {
            Ok(Some(moved)) => position = moved,
            // It has ended, which is told elsewhere.
            Ok(None) => std::future::pending().await,
            Err(_) => break,
        }
    }
    status.borrow().clone()
}

fn stalled(status: &Status, limit: Duration) -> Refusal {
    let Status { name, position, trouble, .. } = status;
    let reason = trouble.as_ref().map_or("nothing is known of why".to_owned(), ToString::to_string);
    Refusal::Unavailable(format!(
        "projection {name} has not got on for {} ms, at position {position}: {reason}. What it has filled is kept; deploy it \
         again when that has passed",
        limit.as_millis()
    ))
}

/// What is filled chases what serves, which goes on meanwhile.
#[derive(Default)]
struct Chase {
    /// The fewest events that have been between the two, at a look.
    least: Option<u64>,
    /// When there was a look that did not find fewer, the first one after the last that did.
    since: Option<Instant>,
}

impl Chase {
    /// One more look: whether the gap is smaller than it ever was, or has not been too large for too long.
    fn gains(&mut self, gap: u64, now: Instant, limit: Duration) -> bool {
        if self.least.is_none_or(|least| gap < least) {
            *self = Self { least: Some(gap), since: None };
            return true;
        }
        now.duration_since(*self.since.get_or_insert(now)) < limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chase_goes_on_for_as_long_as_the_gap_gets_smaller_now_and_then() {
        let (limit, begun, mut chase) = (Duration::from_secs(10), Instant::now(), Chase::default());
        let looks = [(0, 900), (30, 1_000), (39, 1_000), (60, 600), (80, 599), (90, 700), (99, 599)];
        for (seconds, gap) in looks {
            assert!(chase.gains(gap, begun + Duration::from_secs(seconds), limit), "{gap} after {seconds} s");
        }
        assert!(!chase.gains(600, begun + Duration::from_secs(100), limit));
    }
}
