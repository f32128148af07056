//! What a cohort is to tell and has not brought into form yet.
//!
//! Whoever brings it waits for nobody. Where a cohort is behind by more than is kept here, what comes then is left out and
//! only its places are noted: the cohort reads it for itself, and takes from here again once it has come to where that ends.
//! So a cohort whose subscribers are slow, or whose answers take statements, holds up no other, and what it costs is bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use yado_engine::{Cursor, Error};

use super::happening::Happened;
use super::source::Bound;

/// What there is for a cohort.
#[derive(Debug)]
pub(super) enum Arrived {
    /// This has happened.
    Happened(Vec<Arc<Happened>>),
    /// What has happened between two places has been left out.
    Missed(Missed),
    /// Nothing comes any more.
    Failed(Error),
}

/// What has been left out: all behind one place and up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) after: Cursor,
    pub(super) until: Cursor,
}

/// What a cohort is to tell.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
    /// How much is kept.
    most: Bound,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Arc<Happened>>,
    bytes: usize,
    /// What comes behind that, and is not kept.
    missed: Option<Missed>,
    /// Why nothing comes behind that.
    failed: Option<Error>,
    /// Whether what was handed out last may still be on its way to subscribers.
    is_busy: bool,
}

impl Inbox {
    pub(super) fn new(most: Bound) -> Self {
        Self { state: Mutex::default(), arrived: Notify::new(), most }
    }

    /// Brings what has happened. What comes before it is known, so that it can be left out.
    pub(super) fn offer(&self, happened: &Arc<Happened>, before: Cursor) {
        let mut state = self.state();
        if state.missed.is_some() || self.most.is_reached(state.waiting.len(), state.bytes) {
            state.miss(before, happened.cursor);
        } else {
            state.bytes += happened.bytes;
            state.waiting.push_back(happened.clone());
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// Leaves out what has happened.
    pub(super) fn miss(&self, before: Cursor, cursor: Cursor) {
        self.state().miss(before, cursor);
        self.arrived.notify_one();
    }

    /// Brings nothing any more.
    pub(super) fn fail(&self, error: Error) {
        self.state().failed.get_or_insert(error);
        self.arrived.notify_one();
    }

    /// What comes next, as much of it as is brought into form at once. Only one may ask for it. What it was given before has
    /// been dealt with by the time that it asks; and whoever stops waiting misses nothing.
    pub(super) async fn next(&self, bound: Bound) -> Arrived {
        loop {
            if let Some(arrived) = self.state().next(bound) {
                return arrived;
            }
            self.arrived.notified().await;
        }
    }

    /// What was left out has been read, up to here. From where that ended what comes is kept again.
    pub(super) fn has_read(&self, until: Cursor) {
        let mut state = self.state();
        state.missed =
            state.missed.filter(|missed| missed.until > until).map(|missed| Missed { after: until, ..missed });
    }

    /// Whether everything that has been brought has been dealt with.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        !state.is_busy && state.waiting.is_empty() && state.missed.is_none()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn miss(&mut self, after: Cursor, until: Cursor) {
        self.missed = Some(Missed { after: self.missed.map_or(after, |missed| missed.after), until });
    }

    fn next(&mut self, bound: Bound) -> Option<Arrived> {
        let mut happened = Vec::new();
        let mut bytes = 0;
        while !bound.is_reached(happened.len(), bytes)
            && let Some(next) = self.waiting.pop_front()
        {
            bytes += next.bytes;
            happened.push(next);
        }
        self.bytes -= bytes;
        if self.waiting.is_empty() {
            // What a burst has taken is given back.
            self.waiting = VecDeque::new();
        }
        let arrived = match (happened.is_empty(), self.missed, &self.failed) {
            (false, ..) => Some(Arrived::Happened(happened)),
            (true, Some(missed), _) => Some(Arrived::Missed(missed)),
            (true, None, Some(error)) => Some(Arrived::Failed(error.clone())),
            (true, None, None) => None,
        };
        self.is_busy = arrived.is_some();
        arrived
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::json;
    use yado_model::Position;

    use super::super::happening::happened;
    use super::*;

    const ALL: Bound = Bound { most: 100, bytes: 1_000 };

    fn at(position: u64) -> Cursor {
        Cursor::all_of(Position::new(position))
    }

    fn offer(inbox: &Inbox, position: u64, bytes: usize) {
        inbox.offer(&happened(at(position), json!(null), bytes), at(position - 1));
    }

    fn next(inbox: &Inbox, bound: Bound) -> Option<Arrived> {
        inbox.next(bound).now_or_never()
    }

    fn positions(arrived: Option<Arrived>) -> Vec<u64> {
        match arrived {
            Some(Arrived::Happened(all)) => all.iter().map(|happened| happened.cursor.position.get()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_brought_is_handed_out_in_order_and_as_much_as_is_asked_for() {
        let inbox = Inbox::new(ALL);
        assert!(inbox.is_idle() && next(&inbox, ALL).is_none());
        for position in 1..=5 {
            offer(&inbox, position, 10);
        }
        assert_eq!(positions(next(&inbox, Bound { most: 2, ..ALL })), [1, 2]);
        assert_eq!(positions(next(&inbox, Bound { bytes: 15, ..ALL })), [3, 4]);
        assert_eq!(positions(next(&inbox, ALL)), [5]);
        // It is on its way until more is asked for.
        assert!(!inbox.is_idle());
        assert!(next(&inbox, ALL).is_none() && inbox.is_idle());
    }

    #[test]
    fn what_finds_no_room_is_left_out_until_it_has_been_read() {
        for most in [Bound { most: 2, ..ALL }, Bound { bytes: 20, ..ALL }] {
            let inbox = Inbox::new(most);
            for position in 1..=4 {
                offer(&inbox, position, 10);
            }
            assert_eq!(positions(next(&inbox, ALL)), [1, 2]);
            let Some(Arrived::Missed(missed)) = next(&inbox, ALL) else { panic!("nothing is missed") };
            assert_eq!(missed, Missed { after: at(2), until: at(4) });
            // There is room by now, but what comes next is behind what is missed.
            offer(&inbox, 6, 10);
            inbox.has_read(at(4));
            let Some(Arrived::Missed(missed)) = next(&inbox, ALL) else { panic!("nothing is missed") };
            assert_eq!(missed, Missed { after: at(4), until: at(6) });
            assert!(!inbox.is_idle());
            inbox.has_read(at(6));
            offer(&inbox, 7, 10);
            assert_eq!(positions(next(&inbox, ALL)), [7]);
        }
    }

    #[test]
    fn why_nothing_comes_any_more_is_told_behind_all_that_came() {
        let inbox = Inbox::new(Bound { most: 1, ..ALL });
        offer(&inbox, 1, 1);
        offer(&inbox, 2, 1);
        inbox.fail(Error::SchemaChanged { model: "Ticket".into() });
        inbox.fail(Error::SchemaChanged { model: "Venue".into() });
        assert_eq!(positions(next(&inbox, ALL)), [1]);
        assert!(matches!(next(&inbox, ALL), Some(Arrived::Missed(_))));
        inbox.has_read(at(2));
        let Some(Arrived::Failed(error)) = next(&inbox, ALL) else { panic!("it goes on") };
        assert!(error.to_string().contains("Ticket"), "{error}");
    }
}
