//! What a cohort has said and not everybody has taken yet.
//!
//! Each message is there once, and goes when the last one that is to have it has taken it. It takes memory only as long as
//! somebody is behind, and there are bounds to how many messages and bytes that may be: whoever is further behind has
//! missed something, and holds nothing back any more.
//!
//! What comes in a burst is not to make everybody miss something. So whoever fills it waits where it is full until half of it
//! has been taken, and looks from time to time at who is waited for. Where no more than half of those to whom the first half
//! was said have not taken it, a quarter of the bounds is given up, with those that have not taken that: one who takes a
//! message now and then makes no room by it, and the others go at least so much further with each look. Where most are behind
//! they are not the ones who are slow, since it is the server that sends to all of them, and nobody is given up as long as
//! anything is taken, for as long as a socket may take. Where nothing is taken, or that is over, half of it is given up.
//!
//! Whoever is still told what was before has entered for what comes, and has no say in who is slow: he takes nothing for now,
//! and where he is given up he goes on by himself and has lost nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use yado_engine::Cursor;

use super::memory::Memory;
use super::subscriber::Message;

/// Which message a subscriber is to take next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    /// Counted from the cohort's first.
    number: u64,
    /// Whether it is still told what was before.
    is_late: bool,
}

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
    /// How many of them are still told what was before.
    late: usize,
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
    /// How many it was said to, without those that have gone.
    to: usize,
    /// How many of them are still to take it.
    left: usize,
    /// How many of those are still told what was before.
    late: usize,
}

impl Kept {
    /// Whether only a few are waited for, of those to whom it was said and who have come as far.
    const fn is_taken_by_most(&self) -> bool {
        self.left.saturating_sub(self.late) <= self.to.saturating_sub(self.late) / 2
    }

    fn goes_without(&mut self, missed: &Self) {
        self.to = self.to.saturating_sub(missed.left);
        self.left = self.left.saturating_sub(missed.left);
        self.late = self.late.saturating_sub(missed.late);
    }
}

impl Buffer {
    pub(super) const fn new(reached: Option<Cursor>, most: usize, most_bytes: usize, memory: Memory) -> Self {
        Self {
            messages: VecDeque::new(),
            first: 0,
            bytes: 0,
            subscribers: 0,
            late: 0,
            taken: 0,
            reached,
            most,
            most_bytes,
            memory,
        }
    }

    /// Lets a subscriber in. It is told everything after the place that is returned; late, if it has to be told first what was
    /// before.
    pub(super) fn enter(&mut self, is_late: bool) -> (Next, Option<Cursor>) {
        self.subscribers += 1;
        self.late += usize::from(is_late);
        (Next { number: self.first + self.messages.len() as u64, is_late }, self.reached)
    }

    /// Lets a subscriber go, with what it has not taken.
    pub(super) fn leave(&mut self, mut next: Next) {
        // Whoever has missed something is not counted any more.
        let Some(from) = self.at(next) else { return };
        self.comes_along(&mut next);
        self.subscribers = self.subscribers.saturating_sub(1);
        for kept in self.messages.iter_mut().skip(from) {
            kept.to = kept.to.saturating_sub(1);
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
        self.messages.push_back(Kept { message, to: self.subscribers, left: self.subscribers, late: self.late });
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
        if !self.messages.get(self.half()).is_some_and(Kept::is_taken_by_most) {
            return;
        }
        let most_bytes = self.memory.room(self.most_bytes);
        let messages = self.messages.len().saturating_sub(self.most.div_ceil(4)).max(self.most / 2);
        let left = self.bytes.saturating_sub(self.bytes.max(most_bytes).div_ceil(4));
        let left = left.max((most_bytes / 2).min(most_bytes.saturating_sub(bytes)));
        while !self.messages.is_empty() && (self.messages.len() > messages || self.bytes > left) {
            self.drop_first();
        }
    }

    /// The last message of the first half of what is here, by what there is more of in proportion to what may be.
    fn half(&self) -> usize {
        let most_bytes = self.memory.room(self.most_bytes).max(1);
        let [by_bytes, by_count] = [(self.bytes, self.most), (self.messages.len(), most_bytes)]
            .map(|(taken, other)| (taken as u128) * (other as u128));
        if by_bytes <= by_count {
            return self.messages.len().div_ceil(2).saturating_sub(1);
        }
        let mut left = self.bytes.div_ceil(2);
        let passes = |kept: &Kept| {
            left = left.saturating_sub(kept.message.payload.len());
            left == 0
        };
        self.messages.iter().position(passes).unwrap_or_default()
    }

    /// All that has happened up to here has been told, if it was to be.
    pub(super) fn settle(&mut self, reached: Option<Cursor>) {
        self.reached = self.reached.max(reached);
    }

    /// The next message for a subscriber.
    pub(super) fn take(&mut self, next: &mut Next) -> Taken {
        let Some(at) = self.at(*next) else { return Taken::Missed };
        // From here on it is as quick as it is.
        self.comes_along(next);
        let Some(kept) = self.messages.get_mut(at) else { return Taken::Nothing };
        next.number += 1;
        self.taken += 1;
        kept.left = kept.left.saturating_sub(1);
        let message = kept.message.clone();
        self.drop_taken();
        Taken::Message(message)
    }

    /// Where the next message of a subscriber is, or will be; nothing, if it has missed something.
    fn at(&self, next: Next) -> Option<usize> {
        Some(usize::try_from(next.number.checked_sub(self.first)?).unwrap_or(usize::MAX))
    }

    /// A subscriber that has missed nothing is not told any more what was before.
    fn comes_along(&mut self, next: &mut Next) {
        let Some(from) = self.at(*next).filter(|_| next.is_late) else { return };
        next.is_late = false;
        self.late = self.late.saturating_sub(1);
        self.messages.iter_mut().skip(from).for_each(|kept| kept.late = kept.late.saturating_sub(1));
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
        let Some(missed) = self.pop() else { return };
        self.subscribers = self.subscribers.saturating_sub(missed.left);
        self.late = self.late.saturating_sub(missed.late);
        self.messages.iter_mut().for_each(|kept| kept.goes_without(&missed));
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
        let (mut one, _) = buffer.enter(false);
        buffer.push(message(1, 1));
        let (mut other, from) = buffer.enter(false);
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
        let (mut one, _) = buffer.enter(false);
        let (other, _) = buffer.enter(false);
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
            let (mut slow, _) = buffer.enter(false);
            let (mut quick, _) = buffer.enter(false);
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
            let (mut slow, _) = buffer.enter(false);
            let (mut quick, _) = buffer.enter(false);
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
            let (mut slow, _) = buffer.enter(false);
            let mut quick = [buffer.enter(false).0, buffer.enter(false).0];
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
        let [mut last, mut slow] = [buffer.enter(false).0, buffer.enter(false).0];
        let quick = [buffer.enter(false).0, buffer.enter(false).0];
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
    fn those_who_come_later_have_no_say_in_what_was_said_before() {
        let mut buffer = buffer(8, 1_000);
        let mut all = [buffer.enter(false).0, buffer.enter(false).0];
        (1..=8).for_each(|at| buffer.push(message(at, 1)));
        let later: Vec<Next> = (0..10).map(|_| buffer.enter(false).0).collect();
        let taken = buffer.taken();
        all.iter_mut().for_each(|one| assert_eq!(number(&buffer.take(one)), Some(1)));
        buffer.look(1, taken);
        all.iter_mut().for_each(|one| assert_eq!(number(&buffer.take(one)), Some(2)));
        // Neither have those who have gone.
        later.into_iter().for_each(|later| buffer.leave(later));
        let [mut one, gone] = all;
        buffer.leave(gone);
        let taken = buffer.taken();
        assert_eq!(number(&buffer.take(&mut one)), Some(3));
        buffer.look(1, taken);
        assert_eq!(number(&buffer.take(&mut one)), Some(4));
    }

    #[test]
    fn those_who_are_still_told_what_was_before_hold_up_nobody() {
        let mut buffer = buffer(8, 1_000);
        let mut live = [buffer.enter(false).0, buffer.enter(false).0];
        let mut late: Vec<Next> = (0..10).map(|_| buffer.enter(true).0).collect();
        (1..=8).for_each(|at| buffer.push(message(at, 1)));
        let taken = buffer.taken();
        // One of them is done with that, and is as quick as the others.
        let mut quick = late.pop().unwrap();
        for one in live.iter_mut().chain([&mut quick]) {
            (1..=8).for_each(|at| assert_eq!(number(&buffer.take(one)), Some(at)));
        }
        assert_eq!((buffer.late, buffer.messages[0].late), (9, 9));
        buffer.look(1, taken);
        assert!(late.iter_mut().all(|late| matches!(buffer.take(late), Taken::Missed)));
        assert_eq!((buffer.subscribers, buffer.late, buffer.messages.len()), (3, 0, 0));
        late.into_iter().for_each(|late| buffer.leave(late));
        assert_eq!((buffer.subscribers, buffer.late), (3, 0));
    }

    #[test]
    fn two_looks_make_room_whatever_takes_it() {
        for (most, most_bytes, messages) in [
            (1_000, 1_000, vec![(100, 0), (10, 100)]),
            (1_000, 100_000, vec![(1_000, 1)]),
            (1_000, 100_000, vec![(10, 5_000), (50, 1_000)]),
            (1_000, 100_000, vec![(50, 1_000), (10, 5_000)]),
        ] {
            let mut buffer = buffer(most, most_bytes);
            let mut slow: Vec<Next> = (0..40).map(|_| buffer.enter(false).0).collect();
            let mut quick: Vec<Next> = (0..50).map(|_| buffer.enter(false).0).collect();
            let sizes = messages.iter().flat_map(|&(count, bytes)| std::iter::repeat_n(bytes, count));
            (1..).zip(sizes).for_each(|(at, bytes)| buffer.push(message(at, bytes)));
            assert!(!buffer.has_room(10), "{messages:?}");
            quick.iter_mut().for_each(|one| while number(&buffer.take(one)).is_some() {});
            // Each of the others is somewhere else.
            let all = buffer.messages.len();
            for (place, one) in slow.iter_mut().enumerate() {
                (0..place * all / 40).for_each(|_| assert!(number(&buffer.take(one)).is_some()));
            }
            for _ in 0..2 {
                assert!(!buffer.is_eased(10), "{messages:?}");
                // Something has been taken meanwhile.
                buffer.look(10, buffer.taken() - 1);
            }
            assert!(buffer.is_eased(10), "{messages:?}");
            // No more are given up than have to be.
            assert!(!buffer.messages.is_empty() && buffer.subscribers > 50, "{messages:?}");
        }
    }

    #[test]
    fn however_little_is_kept_nobody_holds_up_the_others() {
        for most in 1..=5 {
            let mut buffer = buffer(most, 1_000);
            let mut slow = buffer.enter(false).0;
            let mut quick = [buffer.enter(false).0, buffer.enter(false).0];
            (1..=most as u64).for_each(|at| buffer.push(message(at, 1)));
            quick.iter_mut().for_each(|one| while number(&buffer.take(one)).is_some() {});
            buffer.look(1, buffer.taken() - 1);
            assert!(buffer.is_eased(1), "{most}");
            assert!(matches!(buffer.take(&mut slow), Taken::Missed));
        }
    }

    #[test]
    fn nobody_is_given_up_where_all_are_slow() {
        for mut buffer in [buffer(8, 1_000), buffer(1_000, 8)] {
            let mut all = [buffer.enter(false).0, buffer.enter(false).0, buffer.enter(false).0];
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
        let (mut one, _) = buffer.enter(false);
        let (mut other, _) = buffer.enter(false);
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
        let (mut one, _) = buffer.enter(false);
        assert!(buffer.has_room(100) && buffer.is_eased(100));
        buffer.push(message(1, 100));
        assert!(!buffer.has_room(1) && !buffer.is_eased(0));
        assert_eq!(number(&buffer.take(&mut one)), Some(1));
    }

    #[test]
    fn there_is_little_room_where_others_have_taken_all_of_the_memory() {
        let mut buffer = buffer(1_000, 1_000_000);
        let (mut slow, _) = buffer.enter(false);
        (1..=10).for_each(|at| buffer.push(message(at, 20_000)));
        assert!(buffer.has_room(20_000));
        let others = buffer.memory.fill();
        assert!(!buffer.has_room(20_000));
        buffer.make_room(20_000);
        assert!(matches!(buffer.take(&mut slow), Taken::Missed) && buffer.messages.is_empty());
        let (_next, _) = buffer.enter(false);
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
