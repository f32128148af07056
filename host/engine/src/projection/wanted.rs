//! Who waits for a projection, and for which positions.
//!
//! Rows gather for a moment before they go down, and whoever waits must not wait for that moment. So waiting is told
//! before it begins, and the loop makes haste for those positions only. A wait that ends takes its position back, so that
//! one for what never happens does not hurry the loop for good.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use yado_model::Position;

/// The positions that are waited for. A copy is of the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How many wait for each.
    positions: Mutex<BTreeMap<Position, usize>>,
    more: Notify,
}

/// One who waits, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Waiting {
    wanted: Wanted,
    position: Position,
}

impl Wanted {
    /// Says that somebody is going to wait for a position.
    pub(crate) fn wait_for(&self, position: Position) -> Waiting {
        *self.positions().entry(position).or_default() += 1;
        self.0.more.notify_one();
        Waiting { wanted: self.clone(), position }
    }

    /// Whether anybody waits for a position after the one and up to the other.
    pub(super) fn within(&self, after: Position, to: Position) -> bool {
        after < to && self.positions().range((Excluded(after), Included(to))).next().is_some()
    }

    /// Waits until somebody begins to wait, or has begun since the last time.
    pub(super) async fn more(&self) {
        self.0.more.notified().await;
    }

    fn positions(&self) -> MutexGuard<'_, BTreeMap<Position, usize>> {
        self.0.positions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut positions = self.wanted.positions();
        if let Some(count) = positions.get_mut(&self.position) {
            *count -= 1;
            if *count == 0 {
                positions.remove(&self.position);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_wanted_for_as_long_as_anybody_waits_for_it() {
        let wanted = Wanted::default();
        let within = |after, to| wanted.within(Position::new(after), Position::new(to));
        let first = wanted.wait_for(Position::new(5));
        let second = wanted.wait_for(Position::new(5));
        let _far = wanted.wait_for(Position::new(90));
        assert!(within(4, 5) && within(0, 8));
        assert!(!within(5, 89) && !within(0, 4) && !within(5, 5) && !within(8, 2));
        drop(first);
        assert!(within(4, 5));
        drop(second);
        assert!(!within(0, 89) && within(0, 90));
    }
}
