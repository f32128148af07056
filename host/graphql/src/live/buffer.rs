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
//! Whoever is still told what was before has entered for what comes, and has no say in who is slow: he takes nothing meanwhile,
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

    /// Makes as much room where only those are waited for who are still told what was before.
    pub(super) fn pass_late(&mut self, bytes: usize) {
        while !self.is_eased(bytes) && self.messages.front().is_some_and(|kept| kept.left == kept.late) {
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
mod tests;
