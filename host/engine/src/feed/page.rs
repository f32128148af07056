//! Some events of the log, in order and without gaps, shared with everybody who reads them.

use std::ops::Range;
use std::sync::Arc;

use yado_model::{Position, RecordedEvent};

/// Some events of the log, in order and without gaps. A copy of it shares the events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pieces: Vec<Piece>,
    len: usize,
}

/// A part of what was recorded, or read, at once.
#[derive(Debug, Clone)]
struct Piece {
    events: Arc<Vec<RecordedEvent>>,
    range: Range<usize>,
}

impl Page {
    /// The first of some events, as many as have at most so many bytes of payload; at least one.
    pub(crate) fn of(events: Arc<Vec<RecordedEvent>>, bytes: usize) -> Self {
        let mut page = Self::default();
        let (fitting, _) = fitting(&events, bytes, true);
        page.push(events, 0..fitting);
        page
    }

    /// Adds what lies right behind. The range must be one of the events.
    pub(super) fn push(&mut self, events: Arc<Vec<RecordedEvent>>, range: Range<usize>) {
        if !range.is_empty() {
            self.len += range.len();
            self.pieces.push(Piece { events, range });
        }
    }

    /// The events, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &RecordedEvent> {
        self.pieces.iter().flat_map(Piece::events)
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The position of the last one.
    pub(crate) fn last(&self) -> Option<Position> {
        self.pieces.last().and_then(|piece| piece.events().last()).map(|event| event.position)
    }
}

impl Piece {
    fn events(&self) -> &[RecordedEvent] {
        self.events.get(self.range.clone()).unwrap_or_default()
    }
}

/// How many of the first events have at most so many bytes of payload, at least one if that is asked for; and how many
/// bytes those have.
pub(super) fn fitting(events: &[RecordedEvent], most: usize, at_least_one: bool) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    for event in events {
        let next = bytes + event.event.payload.len();
        if next > most && !(at_least_one && count == 0) {
            break;
        }
        (count, bytes) = (count + 1, next);
    }
    (count, bytes)
}
