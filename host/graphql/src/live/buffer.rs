//! What a cohort has said and not everybody has taken yet.
//!
//! Each message is there once, and goes when the last one that is to have it has taken it. It takes memory only as long as
//! somebody is behind, and there are bounds to how many messages and bytes that may be: whoever is further behind has
//! missed something, and holds nothing back any more.
//!
//! What comes in a burst is not to make everybody miss something. So there is room for as long as no more than half of what
//! may be is there, and whoever fills it waits a while where there is none, and then goes on without those that are furthest
//! behind.

use std::collections::VecDeque;
use std::sync::Arc;

use yado_engine::Cursor;

use super::subscriber::Message;

/// Which message a subscriber is to take next, counted from the cohort's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next(u64);

/// What there is for a subscriber.
#[derive(Debug)]
pub(super) enum Taken {
    /// A message.
    Message(Arc<Message>),
    /// Nothing yet.
    Nothing,
    /// It has missed something.
    Missed,
}

#[derive(Debug)]
pub(super) struct Buffer {
    messages: VecDeque<Kept>,
    /// The number of the first of them.
    first: u64,
    bytes: usize,
    subscribers: usize,
    /// How far the cohort has come, be it told or not; nothing, if what it follows has not begun yet.
    reached: Option<Cursor>,
    most: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Kept {
    message: Arc<Message>,
    /// How many are still to take it.
    left: usize,
}

impl Buffer {
    pub(super) const fn new(reached: Option<Cursor>, most: usize, most_bytes: usize) -> Self {
        Self { messages: VecDeque::new(), first: 0, bytes: 0, subscribers: 0, reached, most, most_bytes }
    }

    /// Lets a subscriber in. It is told everything after the place that is returned.
    pub(super) fn enter(&mut self) -> (Next, Option<Cursor>) {
        self.subscribers += 1;
        (Next(self.first + self.messages.len() as u64), self.reached)
    }

    /// Lets a subscriber go, with what it has not taken.
    pub(super) fn leave(&mut self, next: Next) {
        // Whoever has missed something is not counted any more.
        let Some(from) = next.0.checked_sub(self.first) else { return };
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        self.subscribers = self.subscribers.saturating_sub(1);
        for kept in self.messages.iter_mut().skip(from) {
            kept.left = kept.left.saturating_sub(1);
        }
        self.drop_taken();
    }

    /// Takes in a message for all who are in.
    pub(super) fn push(&mut self, message: Arc<Message>) {
        self.reached = Some(message.cursor);
        if self.subscribers == 0 {
            return;
        }
        self.bytes += message.payload.len();
        self.messages.push_back(Kept { message, left: self.subscribers });
        // One message alone may be as large as it likes.
        while self.messages.len() > self.most || (self.bytes > self.most_bytes && self.messages.len() > 1) {
            self.drop_first();
        }
    }

    /// Whether it need not be waited for those who are to take what is here.
    pub(super) fn has_room(&self) -> bool {
        self.messages.len() < (self.most / 2).max(1) && self.bytes <= self.most_bytes / 2
    }

    /// Makes room, and goes on without those that are furthest behind.
    pub(super) fn make_room(&mut self) {
        while !self.messages.is_empty() && !self.has_room() {
            self.drop_first();
        }
    }

    /// All that has happened up to here has been told, if it was to be.
    pub(super) fn settle(&mut self, reached: Option<Cursor>) {
        self.reached = self.reached.max(reached);
    }

    /// The next message for a subscriber.
    pub(super) fn take(&mut self, next: &mut Next) -> Taken {
        let Some(at) = next.0.checked_sub(self.first) else { return Taken::Missed };
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let Some(kept) = self.messages.get_mut(at) else { return Taken::Nothing };
        next.0 += 1;
        kept.left = kept.left.saturating_sub(1);
        let message = kept.message.clone();
        self.drop_taken();
        Taken::Message(message)
    }

    /// How far the cohort has come.
    pub(super) const fn reached(&self) -> Option<Cursor> {
        self.reached
    }

    fn drop_taken(&mut self) {
        while self.messages.front().is_some_and(|kept| kept.left == 0) {
            self.pop();
        }
        if self.messages.is_empty() {
            // What a burst has taken is given back.
            self.messages = VecDeque::new();
        }
    }

    fn pop(&mut self) -> Option<Kept> {
        let kept = self.messages.pop_front()?;
        self.first += 1;
        self.bytes -= kept.message.payload.len();
        Some(kept)
    }

    /// Removes the first message. Those that have not taken it have missed something, and what came after it, which they
    /// were to take as well, is not kept for them.
    fn drop_first(&mut self) {
        let missed = self.pop().map_or(0, |kept| kept.left);
        self.subscribers = self.subscribers.saturating_sub(missed);
        for kept in &mut self.messages {
            kept.left = kept.left.saturating_sub(missed);
        }
        self.drop_taken();
    }
}

#[cfg(test)]
mod tests {
    use yado_model::Position;

    use super::*;

    fn message(number: u64, bytes: usize) -> Arc<Message> {
        let cursor = Cursor::all_of(Position::new(number));
        Arc::new(Message { cursor, payload: "x".repeat(bytes).into() })
    }

    fn buffer(most: usize, most_bytes: usize) -> Buffer {
        Buffer::new(None, most, most_bytes)
    }

    fn number(taken: &Taken) -> Option<u64> {
        match taken {
            Taken::Message(message) => Some(message.cursor.position.get()),
            Taken::Nothing => None,
            Taken::Missed => panic!("it has missed something"),
        }
    }

    #[test]
    fn everybody_takes_everything_once_and_then_it_is_gone() {
        let mut buffer = buffer(10, 1_000);
        let (mut one, _) = buffer.enter();
        buffer.push(message(1, 1));
        let (mut other, from) = buffer.enter();
        assert_eq!(from, Some(Cursor::all_of(Position::new(1))));
        buffer.push(message(2, 1));
        assert_eq!(number(&buffer.take(&mut other)), Some(2));
        assert_eq!(number(&buffer.take(&mut other)), None);
        assert_eq!(buffer.messages.len(), 2);
        assert_eq!(number(&buffer.take(&mut one)), Some(1));
        assert_eq!(number(&buffer.take(&mut one)), Some(2));
        assert_eq!(number(&buffer.take(&mut one)), None);
        assert_eq!((buffer.messages.capacity(), buffer.bytes), (0, 0));
    }

    #[test]
    fn whoever_leaves_leaves_nothing_behind() {
        let mut buffer = buffer(10, 1_000);
        let (mut one, _) = buffer.enter();
        let (other, _) = buffer.enter();
        for at in 1..=3 {
            buffer.push(message(at, 1));
        }
        assert_eq!(number(&buffer.take(&mut one)), Some(1));
        buffer.leave(other);
        assert_eq!(buffer.messages.len(), 2);
        buffer.leave(one);
        assert!(buffer.messages.is_empty() && buffer.subscribers == 0);
        buffer.push(message(4, 1));
        assert!(buffer.messages.is_empty(), "nobody is there to take it");
    }

    #[test]
    fn whoever_is_too_far_behind_has_missed_something_and_the_others_have_not() {
        for mut buffer in [buffer(3, 1_000), buffer(100, 30)] {
            let (mut slow, _) = buffer.enter();
            let (mut quick, _) = buffer.enter();
            for at in 1..=10 {
                buffer.push(message(at, 10));
                assert_eq!(number(&buffer.take(&mut quick)), Some(at));
            }
            // What the slow one has not taken in time is kept for nobody.
            assert_eq!((buffer.messages.len(), buffer.bytes, buffer.subscribers), (0, 0, 1));
            assert!(matches!(buffer.take(&mut slow), Taken::Missed));
            buffer.leave(slow);
            assert_eq!(buffer.subscribers, 1);
            buffer.leave(quick);
            assert_eq!(buffer.subscribers, 0);
        }
    }

    #[test]
    fn there_is_room_again_without_those_that_are_furthest_behind() {
        let mut buffer = buffer(8, 1_000);
        let (mut slow, _) = buffer.enter();
        let (mut quick, _) = buffer.enter();
        for at in 1..=4 {
            assert!(buffer.has_room());
            buffer.push(message(at, 1));
        }
        assert_eq!(number(&buffer.take(&mut quick)), Some(1));
        assert!(!buffer.has_room());
        buffer.make_room();
        assert!(buffer.has_room());
        assert!(matches!(buffer.take(&mut slow), Taken::Missed));
        for at in 2..=4 {
            assert_eq!(number(&buffer.take(&mut quick)), Some(at));
        }
        assert!(buffer.messages.is_empty());
    }

    #[test]
    fn a_message_that_is_larger_than_all_of_the_room_is_told_alone() {
        let mut buffer = buffer(10, 5);
        let (mut one, _) = buffer.enter();
        buffer.push(message(1, 100));
        assert_eq!(number(&buffer.take(&mut one)), Some(1));
    }

    #[test]
    fn a_place_is_known_once_what_is_followed_has_begun_and_never_goes_back() {
        let mut buffer = buffer(10, 100);
        let at = |position| Some(Cursor::all_of(Position::new(position)));
        buffer.settle(None);
        assert_eq!(buffer.reached(), None);
        for (settled, reached) in [(at(7), at(7)), (at(5), at(7)), (None, at(7)), (at(8), at(8))] {
            buffer.settle(settled);
            assert_eq!(buffer.reached(), reached);
        }
    }
}
