//! What takes the place of tables that serve must show as much as those do.
//!
//! To fill tables takes long, and those that serve go on meanwhile. So before the new ones are put in place, they are held
//! against the old ones: whoever has read a row must not find an older one in its place, and no stream may be missing of
//! which rows can be read.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use yado_model::Position;
use yado_store::limits::LONGEST_PAGE;
use yado_store::{Held, Parked};

use super::Owner;
use crate::catalogue::ProjectionType;
use crate::projection::{Running, Stage};

/// A gap below so many events is waited for on the spot, since it is closed in no time.
const NEAR: u64 = 1_000;

/// So long is waited on the spot. A projection that takes longer is waited for beside everything else.
const SOON: Duration = Duration::from_secs(1);

impl Owner {
    /// How far a projection has come whose place another one is to take, if there is one that can be read.
    fn shown_by_predecessor(&self, next: &ProjectionType) -> Option<Position> {
        let live = self.live.load();
        let predecessor = live.projection(&next.manifest.name).filter(|live| live.key != next.key)?;
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let status = running.get(&predecessor.key)?.status();
        let status = status.borrow();
        (status.stage == Stage::Following).then_some(status.position)
    }

    /// Holds a projection against the one whose place it is to take. A gap that is small is waited for. Returns what is to
    /// be shown first, if the gap is not.
    pub(super) async fn behind(&self, next: &ProjectionType, running: &Running) -> Option<Position> {
        let until = self.shown_by_predecessor(next)?;
        let mut status = running.status();
        let is_near = {
            let status = status.borrow();
            if status.shows(until) {
                return None;
            }
            until.get().saturating_sub(status.position.get()) < NEAR
        };
        if !is_near {
            return Some(until);
        }
        let _waiting = running.wanted().wait_for(until);
        let there = status.wait_for(|status| status.shows(until) || status.paused || status.trouble.is_some());
        let there = tokio::time::timeout(SOON, there).await;
        let shows = there.is_ok_and(|known| known.is_ok_and(|status| status.shows(until)));
        (!shows).then_some(until)
    }

    /// What speaks against a projection that is to take the place of another one with the same code: streams that it has put
    /// aside, and that the other one shows.
    pub(super) async fn lacks(
        &self,
        next: &ProjectionType,
        predecessor: &ProjectionType,
    ) -> yado_store::Result<Option<String>> {
        let reads = &self.surroundings.reads;
        let parked = reads.parked(Some(&next.key), LONGEST_PAGE).await?;
        if parked.is_empty() {
            return Ok(None);
        }
        let known = reads.parked(Some(&predecessor.key), LONGEST_PAGE).await?;
        let known: HashMap<Held, Position> = known.iter().map(|(_, known)| (known.held(), known.position)).collect();
        // What waits there as well, by itself or with all of its tenant, has no rows to be missed.
        let waits = |held: &Held, at| known.get(held).is_some_and(|from| *from <= at);
        let is_lacking = |parked: &&Parked| {
            let whole = Held { tenant: parked.tenant.clone(), stream: None };
            !waits(&parked.held(), parked.position) && !waits(&whole, parked.position)
        };
        let lacks: Vec<_> = parked.iter().map(|(_, parked)| parked).filter(is_lacking).collect();
        Ok(lacks.first().map(|first| {
            format!(
                "its code can't be shown {} streams of which the tables that serve have rows, first of all {} of tenant {} at \
                 position {}: {}. Deploy code that can be shown them: they are taken up again then, and the new tables take \
                 the place of the old ones by themselves",
                lacks.len(), first.stream, first.tenant, first.position, first.error
            )
        }))
    }
}
