//! Leaves alone for a moment what runs past its deadline again and again.
//!
//! A guest that loops costs its whole deadline each time. Many such commands at once would take the time that its
//! neighbours need, so after a few in a row they are refused without being decided, but for one now and then that finds
//! out whether things have changed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use yado_model::TenantId;

/// So many in a row are bad luck.
const TOLERATED: u32 = 4;
/// How long to wait before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts overruns by tenant and command.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    overruns: Mutex<HashMap<(TenantId, String), Overruns>>,
    /// How many entries there are: nearly always none, and then nobody need look.
    entries: AtomicUsize,
}

#[derive(Debug)]
struct Overruns {
    in_a_row: u32,
    next_attempt: Instant,
}

impl Breaker {
    /// Whether a command may be decided now; if not, when it is worth another attempt, in milliseconds.
    pub(crate) fn admit(&self, tenant: &TenantId, command: &str, now: Instant) -> Result<(), u64> {
        if self.entries.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let mut overruns = self.overruns.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = overruns.get_mut(&(tenant.clone(), command.to_owned())) else { return Ok(()) };
        if known.in_a_row <= TOLERATED {
            return Ok(());
        }
        let wait = known.next_attempt.saturating_duration_since(now);
        if wait.is_zero() {
            // This one finds out, and the others wait for what it finds.
            known.next_attempt = now + PAUSE;
            return Ok(());
        }
        Err(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1))
    }

    /// A command has run past its deadline.
    pub(crate) fn overran(&self, tenant: &TenantId, command: &str, now: Instant) {
        let mut overruns = self.overruns.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            overruns.entry((tenant.clone(), command.to_owned())).or_insert(Overruns { in_a_row: 0, next_attempt: now });
        known.in_a_row = known.in_a_row.saturating_add(1);
        known.next_attempt = now + PAUSE;
        self.entries.store(overruns.len(), Ordering::Relaxed);
    }

    /// A command has ended in time.
    pub(crate) fn ended(&self, tenant: &TenantId, command: &str) {
        if self.entries.load(Ordering::Relaxed) > 0 {
            let mut overruns = self.overruns.lock().unwrap_or_else(PoisonError::into_inner);
            overruns.remove(&(tenant.clone(), command.to_owned()));
            self.entries.store(overruns.len(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overruns_again_and_again_is_left_alone_until_it_does_not() {
        let (breaker, tenant, now) = (Breaker::default(), TenantId::default(), Instant::now());
        for _ in 0..=TOLERATED {
            assert_eq!(breaker.admit(&tenant, "Count", now), Ok(()));
            breaker.overran(&tenant, "Count", now);
        }
        assert!(breaker.admit(&tenant, "Count", now).is_err());
        assert_eq!(breaker.admit(&tenant, "Rest", now), Ok(()));
        assert_eq!(breaker.admit(&TenantId::parse("other").unwrap(), "Count", now), Ok(()));
        let later = now + PAUSE;
        assert_eq!(breaker.admit(&tenant, "Count", later), Ok(()));
        assert!(breaker.admit(&tenant, "Count", later).is_err());
        breaker.ended(&tenant, "Count");
        assert_eq!(breaker.admit(&tenant, "Count", later), Ok(()));
    }
}
