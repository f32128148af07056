//! What a cohort has said and not everybody has taken yet.
//!
//! Each message is there once, and goes when the last one that is to have it has taken it. It takes memory only as long as
//! somebody is behind, and there are bounds to how many messages and bytes that may be: whoever is further behind has
//! missed something, and holds nothing back any more.
//!
//! What comes in a burst is not to make everybody miss something. So whoever fills it waits where it is full until half of it
//! has been taken, and looks from time to time at who is waited for. Where that is no more than half of those who are in, the
//! first quarter is given up, with those that have not taken it: one who takes a message now and then makes no room by that,
//! and the others go at least a quarter of the bounds further with each look. Where most are behind they are not the ones who
//! are slow, since it is the server that sends to all of them, and nobody is given up as long as anything is taken, for as
//! long as a socket may take. Where nothing is taken, or that is over, half of it is given up.

use std::collections::VecDeque;
use std::sync::Arc;

use yado_engine::Cursor;

use super::memory::Memory;
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
    /// How often a message has been taken.
    taken: u64,
    /// How far the cohort has come, be it told or not; nothing, if what it follows has not begun yet.
    reached: Option<Cursor>,
    most: usize,
    most_bytes: usize,
    /// What all of them take.
    memory: Memory,
}

#[derive(Debug)]
struct Kept {
    message: Arc<Message>,
    /// How many are still to take it.
    left: usize,
}

impl Buffer {
    pub(super) const fn new(reached: Option<Cursor>, most: usize, most_bytes: usize, memory: Memory) -> Self {
        Self {
            messages: VecDeque::new(),
            first: 0,
            bytes: 0,
            subscribers: 0,
            taken: 0,
            reached,
            most,
            most_bytes,
            memory,
        }
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

    /// Takes in a message for all who are in. Whoever has one sees to it that there is room.
    pub(super) fn push(&mut self, message: Arc<Message>) {
        self.reached = Some(message.cursor);
        if self.subscribers == 0 {
            return;
        }
        self.bytes += message.payload.len();
        self.messages.push_back(Kept { message, left: self.subscribers });
    }

    /// Whether there is room for a message of so many bytes. One alone may be as large as it likes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let most_bytes = self.memory.room(self.most_bytes);
        self.messages.is_empty() || (self.messages.len() < self.most && self.bytes + bytes <= most_bytes)
    }

    /// Whether there is room, and half of what may be here has been taken.
    pub(super) fn is_eased(&self, bytes: usize) -> bool {
        let most_bytes = self.memory.room(self.most_bytes);
        let is_half_empty = self.messages.len() <= self.most / 2 && self.bytes <= most_bytes / 2;
        self.messages.is_empty() || (is_half_empty && self.has_room(bytes))
    }

    /// Makes as much room, and goes on without those that are furthest behind.
    pub(super) fn make_room(&mut self, bytes: usize) {
        while !self.is_eased(bytes) {
            self.drop_first();
        }
    }

    /// How often a message has been taken.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Looks at who is waited for since so much had been taken. Where nothing has been taken since then there is room for a
    /// message of so many bytes afterwards. Where only a few have not taken half of what is here, it is gone on without those
    /// of them that are furthest behind.
    pub(super) fn look(&mut self, bytes: usize, taken: u64) {
        if self.taken == taken {
            return self.make_room(bytes);
        }
        let kept = self.messages.len();
        let half = kept.div_ceil(2).saturating_sub(1);
        if self.messages.get(half).is_none_or(|kept| kept.left > self.subscribers / 2) {
            return;
        }
        // What nobody waits for any more may go along with that.
        let quarter = self.first + kept.div_ceil(4) as u64;
        while self.first < quarter && !self.messages.is_empty() {
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
        self.taken += 1;
        kept.left = kept.left.saturating_sub(1);
        let message = kept.message.clone();
        self.drop_taken();
        Taken::Message(message)
    }

    /// How far the cohort has come.
    pub(super) const fn reached(&self) -> Option<Cursor> {
        self.reached
    }

    /// How many messages are here.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.messages.len()
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
        Arc::new(Message::new(cursor, "x".repeat(bytes), &Memory::default()))
    }

    fn buffer(most: usize, most_bytes: usize) -> Buffer {
        Buffer::new(None, most, most_bytes, Memory::default())
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
                assert_eq!(buffer.has_room(10), at != 4, "there is room for just three");
                if !buffer.has_room(10) {
                    buffer.make_room(10);
                }
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
        for mut buffer in [buffer(8, 1_000), buffer(1_000, 8)] {
            let (mut slow, _) = buffer.enter();
            let (mut quick, _) = buffer.enter();
            for at in 1..=8 {
                assert!(buffer.has_room(1));
                buffer.push(message(at, 1));
            }
            assert!(!buffer.has_room(1));
            for at in 1..=4 {
                assert_eq!(number(&buffer.take(&mut quick)), Some(at));
            }
            // One who takes a little has eased nothing.
            assert_eq!(number(&buffer.take(&mut slow)), Some(1));
            assert!(buffer.has_room(1) && !buffer.is_eased(1));
            buffer.make_room(1);
            assert!(buffer.is_eased(1));
            assert!(matches!(buffer.take(&mut slow), Taken::Missed));
            for at in 5..=8 {
                assert_eq!(number(&buffer.take(&mut quick)), Some(at));
            }
            assert!(buffer.messages.is_empty());
        }
    }

    #[test]
    fn one_who_takes_little_is_given_up_when_most_others_wait_for_more() {
        for mut buffer in [buffer(8, 1_000), buffer(1_000, 8)] {
            let (mut slow, _) = buffer.enter();
            let mut quick = [buffer.enter().0, buffer.enter().0];
            for at in 1..=8 {
                buffer.push(message(at, 1));
            }
            for at in 1..=8 {
                quick.iter_mut().for_each(|quick| assert_eq!(number(&buffer.take(quick)), Some(at)));
            }
            let taken = buffer.taken();
            assert_eq!(number(&buffer.take(&mut slow)), Some(1));
            assert!(!buffer.is_eased(1));
            buffer.look(1, taken);
            assert!(buffer.is_eased(1));
            assert!(matches!(buffer.take(&mut slow), Taken::Missed));
            buffer.push(message(9, 1));
            quick.iter_mut().for_each(|quick| assert_eq!(number(&buffer.take(quick)), Some(9)));
        }
    }

    #[test]
    fn of_a_few_who_are_behind_those_go_first_that_are_furthest() {
        let mut buffer = buffer(8, 1_000);
        let [mut last, mut slow] = [buffer.enter().0, buffer.enter().0];
        let quick = [buffer.enter().0, buffer.enter().0];
        (1..=8).for_each(|at| buffer.push(message(at, 1)));
        let taken = buffer.taken();
        for mut quick in quick {
            (1..=8).for_each(|at| assert_eq!(number(&buffer.take(&mut quick)), Some(at)));
        }
        (1..=3).for_each(|at| assert_eq!(number(&buffer.take(&mut slow)), Some(at)));
        assert_eq!(number(&buffer.take(&mut last)), Some(1));
        buffer.look(1, taken);
        assert!(matches!(buffer.take(&mut last), Taken::Missed));
        (4..=8).for_each(|at| assert_eq!(number(&buffer.take(&mut slow)), Some(at)));
        assert!(buffer.messages.is_empty());
    }

    #[test]
    fn nobody_is_given_up_where_all_are_slow() {
        for mut buffer in [buffer(8, 1_000), buffer(1_000, 8)] {
            let mut all = [buffer.enter().0, buffer.enter().0, buffer.enter().0];
            for at in 1..=8 {
                buffer.push(message(at, 1));
            }
            for at in 1..=4 {
                assert!(!buffer.is_eased(1));
                let taken = buffer.taken();
                // One of them is always a little further.
                for one in &mut all {
                    assert_eq!(number(&buffer.take(one)), Some(at));
                    buffer.look(1, taken);
                }
            }
            assert!(buffer.is_eased(1));
            // Where they take nothing any more they are not waited for.
            (9..=12).for_each(|at| buffer.push(message(at, 1)));
            buffer.look(1, buffer.taken());
            assert!(buffer.is_eased(1));
            assert!(all.iter_mut().all(|one| matches!(buffer.take(one), Taken::Missed)));
        }
    }

    #[test]
    fn what_is_taken_in_time_makes_room_for_all() {
        let mut buffer = buffer(4, 1_000);
        let (mut one, _) = buffer.enter();
        let (mut other, _) = buffer.enter();
        for at in 1..=4 {
            buffer.push(message(at, 1));
        }
        for at in 1..=2 {
            assert!(!buffer.is_eased(1));
            assert_eq!(number(&buffer.take(&mut one)), Some(at));
            assert_eq!(number(&buffer.take(&mut other)), Some(at));
        }
        assert!(buffer.is_eased(1) && !buffer.is_eased(999), "what is larger takes more room");
    }

    #[test]
    fn a_message_that_is_larger_than_all_of_the_room_is_told_alone() {
        let mut buffer = buffer(10, 5);
        let (mut one, _) = buffer.enter();
        assert!(buffer.has_room(100) && buffer.is_eased(100));
        buffer.push(message(1, 100));
        assert!(!buffer.has_room(1) && !buffer.is_eased(0));
        assert_eq!(number(&buffer.take(&mut one)), Some(1));
    }

    #[test]
    fn there_is_little_room_where_others_have_taken_all_of_the_memory() {
        let mut buffer = buffer(1_000, 1_000_000);
        let (mut slow, _) = buffer.enter();
        (1..=10).for_each(|at| buffer.push(message(at, 20_000)));
        assert!(buffer.has_room(20_000));
        let others = buffer.memory.fill();
        assert!(!buffer.has_room(20_000));
        buffer.make_room(20_000);
        assert!(matches!(buffer.take(&mut slow), Taken::Missed) && buffer.messages.is_empty());
        let (_next, _) = buffer.enter();
        for at in 11..=13 {
            assert!(buffer.has_room(20_000));
            buffer.push(message(at, 20_000));
        }
        assert!(!buffer.has_room(20_000));
        drop(others);
        assert!(buffer.has_room(20_000));
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
