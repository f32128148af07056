//! What a guest does to rows, event by event: the changes that are told to those who listen.
//!
//! An event may touch a row in several strokes. What counts is how the row was before the first and how it is after the
//! last of them. Rows are in their normal form, so that two texts are the same exactly if the rows are.

use std::collections::HashSet;
use std::sync::Arc;

use yado_model::{Name, Position, TenantId};
use yado_store::{ChangeKind, Changed};

use super::row::Text;

/// What a change takes beside its texts.
const OVERHEAD: usize = 160;

/// How it is found which event changes what, while events are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Telling {
    /// Whether changes are told.
    pub(super) told: bool,
    /// Whether the guest does not say which event it is at, and is shown one at a time.
    pub(super) apart: bool,
}

/// The rows that an event has touched so far, and the changes of the events before it.
#[derive(Debug, Default)]
pub(super) struct Journal {
    touched: Vec<Touched>,
    known: HashSet<(usize, Box<str>)>,
    changes: Vec<Arc<Changed>>,
}

/// A row that an event has touched.
#[derive(Debug)]
pub(super) struct Touched {
    /// The place of its read model.
    pub(super) model: usize,
    pub(super) key: Box<str>,
    /// As it was before the event, if it was there.
    pub(super) before: Option<Text>,
}

/// The changes that have been gathered since the last commit was begun.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    changes: Vec<Arc<Changed>>,
    bytes: usize,
}

impl Journal {
    /// Whether the event has touched a row already.
    pub(super) fn knows(&self, model: usize, key: &str) -> bool {
        !self.touched.is_empty() && self.known.contains(&(model, key.into()))
    }

    /// The event touches a row for the first time.
    pub(super) fn touch(&mut self, model: usize, key: &str, before: Option<Text>) {
        self.known.insert((model, key.into()));
        self.touched.push(Touched { model, key: key.into(), before });
    }

    /// The event is over. Returns what it has touched, in the order in which it did.
    pub(super) fn end(&mut self) -> Vec<Touched> {
        self.known.clear();
        std::mem::take(&mut self.touched)
    }

    /// Takes in what has become of a row. Returns whether anything has.
    pub(super) fn tell(&mut self, place: u32, at: Position, tenant: &TenantId, model: &Name, change: Change) -> bool {
        let Change { key, before, after } = change;
        let (kind, row) = match (before, after) {
            (None, Some(after)) => (ChangeKind::Created, after),
            (Some(before), Some(after)) if before != after => (ChangeKind::Updated, after),
            (Some(before), None) => (ChangeKind::Deleted, before),
            (None | Some(_), _) => return false,
        };
        let (tenant, model, key) = (tenant.clone(), model.clone(), key.into());
        self.changes.push(Arc::new(Changed { position: at, place, tenant, model, key, kind, row }));
        true
    }

    /// All changes, in the order of their events.
    pub(super) fn finish(self) -> Vec<Arc<Changed>> {
        self.changes
    }
}

/// A row before and after an event.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) key: Box<str>,
    pub(super) before: Option<Text>,
    pub(super) after: Option<Text>,
}

impl Gathered {
    /// Takes in the changes of events that come after those before, whatever order they are in.
    pub(super) fn add(&mut self, mut changes: Vec<Arc<Changed>>) {
        changes.sort_unstable_by_key(|changed| (changed.position, changed.place));
        self.bytes += changes.iter().map(|changed| OVERHEAD + changed.key.len() + changed.row.len()).sum::<usize>();
        self.changes.append(&mut changes);
    }

    /// How much they take.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes them out.
    pub(super) fn take(&mut self) -> Vec<Arc<Changed>> {
        self.bytes = 0;
        std::mem::take(&mut self.changes)
    }
}
