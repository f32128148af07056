//! What one projection of this process has told: its newest changes, and news of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use yado_model::{Position, TenantId};
use yado_store::Changed;

use super::Cursor;
use super::ring::{Piece, Ring, Wanted};

/// What a projection has told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(super) projection: Arc<str>,
    ring: Mutex<Ring>,
    standing: watch::Sender<Standing>,
    /// Changes in the table, as of when they were last counted, and those that have been told here since.
    kept: AtomicU64,
    /// Changes that this process has forgotten.
    forgotten: AtomicU64,
}

/// How the telling stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// How far the projection has come, as soon as that is known.
    pub(super) settled: Option<Position>,
    /// It keeps its journal from here on, in this process, if it does.
    pub(super) since: Option<Position>,
    /// How often rows of whichever tenant have changed without anything being told of it, at a position that was told already.
    pub(super) breaks: u64,
    /// Nothing will be told any more.
    pub(super) ended: bool,
}

impl Told {
    pub(super) fn new(projection: Arc<str>) -> Self {
        let (kept, forgotten) = (AtomicU64::default(), AtomicU64::default());
        Self { projection, ring: Mutex::default(), standing: watch::Sender::default(), kept, forgotten }
    }

    pub(super) fn set_room(&self, bytes: usize) {
        let gone = self.ring().set_room(bytes);
        drop(gone);
    }

    /// The projection is at a position, and what came before it was not told here.
    pub(crate) fn at(&self, position: Position) {
        let gone = self.ring().begin_at(position);
        drop(gone);
        self.standing.send_modify(|standing| standing.settled = Some(position));
    }

    /// The journal is kept from a position on; or it is not kept any more.
    pub(crate) fn keeps(&self, since: Option<Position>) {
        self.standing.send_if_modified(|standing| std::mem::replace(&mut standing.since, since) != since);
    }

    /// All changes after one position and up to another have become durable.
    pub(crate) fn tell(&self, from: Position, to: Position, changes: &[Arc<Changed>]) {
        self.kept.fetch_add(changes.len() as u64, Relaxed);
        let gone = self.ring().push(from, to, changes);
        drop(gone);
        self.standing.send_modify(|standing| standing.settled = Some(to));
    }

    /// Rows of a tenant, or of any, have changed because of events that were passed long ago. Whoever listens to them has to
    /// read anew, and so has whoever goes on later from a place before.
    pub(crate) fn breaks(&self, tenant: Option<&TenantId>) {
        let count = {
            let mut ring = self.ring();
            ring.break_off(tenant);
            ring.breaks().count()
        };
        self.standing.send_modify(|standing| standing.breaks = count);
    }

    /// Whether rows of a tenant have done so since it had been so often.
    pub(super) fn has_broken(&self, tenant: &TenantId, since: u64) -> bool {
        self.ring().breaks().last(tenant).number > since
    }

    /// So many changes are in the table.
    pub(super) fn counted(&self, kept: u64) {
        self.kept.store(kept, Relaxed);
    }

    /// So many changes have been forgotten.
    pub(super) fn forgot(&self, count: u64) {
        self.forgotten.fetch_add(count, Relaxed);
    }

    /// How many changes are kept, and how many this process has forgotten.
    pub(super) fn figures(&self) -> (u64, u64) {
        (self.kept.load(Relaxed), self.forgotten.load(Relaxed))
    }

    pub(super) fn end(&self) {
        self.standing.send_modify(|standing| standing.ended = true);
    }

    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Whether everything after a place has been told here, or will be.
    pub(super) fn covers(&self, cursor: Cursor) -> bool {
        self.standing.borrow().since.is_some_and(|since| cursor >= Cursor::all_of(since))
    }

    pub(super) fn read(&self, wanted: &Wanted<'_>) -> Option<Piece> {
        self.ring().read(wanted)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
