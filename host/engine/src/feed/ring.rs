//! The newest events in memory: contiguous, bounded in number and in bytes, the oldest first to go.

use std::collections::VecDeque;
use std::sync::Arc;

use yado_model::{Position, RecordedEvent};
use yado_store::Checkpoint;

use super::page::{Page, fitting};

/// The newest events in memory, without gaps.
#[derive(Debug)]
pub(super) struct Ring {
    chunks: VecDeque<Chunk>,
    /// The position right behind the newest that was taken in; none yet if it is zero.
    next: u64,
    events: usize,
    bytes: usize,
    most_events: usize,
    most_bytes: usize,
}

/// What was recorded at once. It comes and goes as a whole.
#[derive(Debug)]
pub(super) struct Chunk {
    first: u64,
    events: Arc<Vec<RecordedEvent>>,
    /// What it takes in memory.
    bytes: usize,
    /// How much of that is payload.
    payload: usize,
}

impl Ring {
    pub(super) const fn new(most_events: usize, most_bytes: usize) -> Self {
        Self { chunks: VecDeque::new(), next: 0, events: 0, bytes: 0, most_events, most_bytes }
    }

    /// Takes in what has been recorded, in the order of positions, and returns what had to make room. Where others have
    /// recorded something in between, the ring starts anew behind it.
    pub(super) fn push(&mut self, events: Vec<RecordedEvent>) -> Vec<Chunk> {
        let mut evicted = Vec::new();
        for chunk in Chunk::without_gaps(events) {
            self.add(chunk, true, &mut evicted);
        }
        self.make_room(&mut evicted);
        evicted
    }

    /// Takes in what has been read of the log after an event, and returns what had to make room. If that event is not the
    /// one that is here, the ring starts anew: the log has gone back in between.
    pub(super) fn share(&mut self, after: Checkpoint, events: Arc<Vec<RecordedEvent>>) -> Vec<Chunk> {
        let mut evicted = Vec::new();
        if let Some(first) = events.first().map(|event| event.position.get()) {
            let newest = self.chunks.back().and_then(|chunk| chunk.events.last());
            let follows = newest.is_some_and(|newest| after.is_at(newest));
            self.add(Chunk::new(first, events), follows, &mut evicted);
        }
        self.make_room(&mut evicted);
        evicted
    }

    /// Adds what lies behind the newest; right behind it, if it `follows`.
    fn add(&mut self, chunk: Chunk, follows: bool, evicted: &mut Vec<Chunk>) {
        if chunk.next() <= self.next {
            // What is older than the newest is in the log, and that is good enough.
            evicted.push(chunk);
            return;
        }
        if chunk.first != self.next || !follows {
            (self.events, self.bytes) = (0, 0);
            evicted.extend(self.chunks.drain(..));
        }
        self.next = chunk.next();
        self.events += chunk.events.len();
        self.bytes += chunk.bytes;
        self.chunks.push_back(chunk);
    }

    /// The oldest go until the rest is within bounds.
    fn make_room(&mut self, evicted: &mut Vec<Chunk>) {
        while self.events > self.most_events || self.bytes > self.most_bytes {
            let Some(oldest) = self.chunks.pop_front() else { break };
            self.events -= oldest.events.len();
            self.bytes -= oldest.bytes;
            evicted.push(oldest);
        }
    }

    /// The events after a position, if the first of them is here: at most so many, and at most so many bytes of payload
    /// unless the first alone has more.
    pub(super) fn read(&self, after: Position, limit: usize, bytes: usize) -> Option<Page> {
        let wanted = after.get().checked_add(1)?;
        let at = self.chunks.partition_point(|chunk| chunk.first <= wanted).checked_sub(1)?;
        let begun = self.chunks.get(at)?;
        let mut from = usize::try_from(wanted - begun.first).ok()?;
        if from >= begun.events.len() {
            return None;
        }
        let (mut page, mut bytes) = (Page::default(), bytes);
        for chunk in self.chunks.range(at..) {
            let rest = chunk.events.get(from..).unwrap_or_default();
            let rest = rest.get(..limit - page.len()).unwrap_or(rest);
            let (fits, payload) = if rest.len() == chunk.events.len() && chunk.payload <= bytes {
                // A chunk that fits as a whole need not be looked into.
                (rest.len(), chunk.payload)
            } else {
                fitting(rest, bytes, page.is_empty())
            };
            bytes = bytes.saturating_sub(payload);
            page.push(chunk.events.clone(), from..from + fits);
            if from + fits < chunk.events.len() || page.len() >= limit {
                break;
            }
            from = 0;
        }
        Some(page)
    }
}

impl Chunk {
    /// Takes events apart where others lie between them.
    fn without_gaps(mut events: Vec<RecordedEvent>) -> Vec<Self> {
        let mut chunks = Vec::with_capacity(1);
        while let Some(first) = events.first().map(|event| event.position.get()) {
            let run = (first..).zip(&events).take_while(|(expected, event)| event.position.get() == *expected).count();
            let behind = events.split_off(run);
            chunks.push(Self::new(first, Arc::new(std::mem::replace(&mut events, behind))));
        }
        chunks
    }

    fn new(first: u64, events: Arc<Vec<RecordedEvent>>) -> Self {
        let payload = events.iter().map(|event| event.event.payload.len()).sum();
        let rest = events.iter().map(|event| {
            let tags: usize = event.event.tags.iter().map(|tag| size_of::<String>() + tag.len()).sum();
            size_of::<RecordedEvent>() + event.stream.as_str().len() + event.event.name.len() + tags
        });
        Self { first, bytes: rest.sum::<usize>() + payload, payload, events }
    }

    /// The position right behind it.
    fn next(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use yado_model::CommandId;

    use super::super::testing::{Random, event};
    use super::*;

    /// What a read must give: as much of the log as is asked for, up to the end of what is in memory.
    fn expected(log: &[RecordedEvent], held: u64, after: u64, limit: usize, bytes: usize) -> usize {
        let from = usize::try_from(after).unwrap();
        let rest = &log[from..usize::try_from(held).unwrap()];
        fitting(&rest[..limit.min(rest.len())], bytes, true).0
    }

    #[test]
    fn what_it_gives_is_the_log_whatever_happens() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let (most_events, most_bytes) = (random.below(60), 20_000 + random.below(20_000));
            let mut ring = Ring::new(most_events, most_bytes);
            let mut log: Vec<RecordedEvent> = Vec::new();
            // The position of the newest event that this process has recorded.
            let mut held = 0;
            for _ in 0..200 {
                match random.below(10) {
                    // Others record.
                    0 => (0..=random.below(5)).for_each(|_| log.push(event(log.len() + 1, random.below(900)))),
                    // This process records, and others may in between: one transaction's news got lost.
                    1..=5 => {
                        let mut own = Vec::new();
                        for _ in 0..=random.below(20) {
                            log.push(event(log.len() + 1, random.below(900)));
                            if random.below(30) > 0 {
                                own.extend(log.last().cloned());
                            }
                        }
                        held = own.last().map_or(held, |last| last.position.get());
                        ring.push(own);
                    }
                    // Something old comes late.
                    6 if held > 0 => {
                        let at = random.below(usize::try_from(held).unwrap());
                        ring.push(vec![log[at].clone()]);
                    }
                    // What others have recorded is read by somebody.
                    7 => {
                        let from = random.below(log.len());
                        let Some(before) = log.get(from) else { continue };
                        let read: Vec<_> = log.iter().skip(from + 1).take(1 + random.below(40)).cloned().collect();
                        held = read.last().map_or(held, |last| held.max(last.position.get()));
                        ring.share(before.into(), Arc::new(read));
                    }
                    _ => {
                        let after = random.below(log.len() + 2) as u64;
                        let (limit, bytes) = (1 + random.below(40), random.below(8_000));
                        let Some(page) = ring.read(Position::new(after), limit, bytes) else { continue };
                        let from = usize::try_from(after).unwrap();
                        let count = expected(&log, held, after, limit, bytes);
                        assert!(page.iter().eq(&log[from..from + count]), "seed {seed}");
                        assert_eq!((page.len(), page.last()), (count, page.iter().last().map(|event| event.position)));
                    }
                }
                assert!(ring.events <= most_events && ring.bytes <= most_bytes, "seed {seed}");
                let (events, bytes) = ring
                    .chunks
                    .iter()
                    .fold((0, 0), |(events, bytes), chunk| (events + chunk.events.len(), bytes + chunk.bytes));
                assert_eq!((ring.events, ring.bytes), (events, bytes), "seed {seed}");
            }
        }
    }

    #[test]
    fn what_has_just_been_recorded_is_there() {
        let mut ring = Ring::new(10, 1 << 20);
        ring.push((1..=4).map(|position| event(position, 10)).collect());
        ring.push((5..=8).map(|position| event(position, 10)).collect());
        assert_eq!(ring.read(Position::ZERO, 100, 1_000).unwrap().len(), 8);
        assert_eq!(ring.read(Position::new(2), 4, 1_000).unwrap().last(), Some(Position::new(6)));
        assert_eq!(ring.read(Position::new(2), 100, 35).unwrap().len(), 3);
        assert_eq!(ring.read(Position::new(2), 100, 0).unwrap().len(), 1);
        // The oldest go as they came.
        assert_eq!(ring.push((9..=12).map(|position| event(position, 10)).collect()).len(), 1);
        assert!(ring.read(Position::new(3), 100, 1_000).is_none());
        assert_eq!(ring.read(Position::new(4), 100, 1_000).unwrap().len(), 8);
        assert!(ring.read(Position::new(12), 100, 1_000).is_none());
        // Others have recorded the thirteenth.
        ring.push(vec![event(14, 10)]);
        assert!(ring.read(Position::new(11), 100, 1_000).is_none());
        assert_eq!(ring.read(Position::new(13), 100, 1_000).unwrap().len(), 1);
    }

    #[test]
    fn what_was_read_is_taken_in_if_it_follows_on_what_is_there() {
        let mut ring = Ring::new(10, 1 << 20);
        let events = |positions: std::ops::RangeInclusive<usize>| {
            positions.map(|position| event(position, 10)).collect::<Vec<_>>()
        };
        ring.push(events(1..=4));
        ring.share((&event(4, 10)).into(), Arc::new(events(5..=6)));
        assert_eq!(ring.read(Position::ZERO, 100, 1_000).unwrap().len(), 6);
        // The sixth was another one.
        let other = Checkpoint { command: Some(CommandId(uuid::Uuid::from_u128(7))), ..(&event(6, 10)).into() };
        ring.share(other, Arc::new(events(7..=8)));
        assert!(ring.read(Position::ZERO, 100, 1_000).is_none());
        assert_eq!(ring.read(Position::new(6), 100, 1_000).unwrap().len(), 2);
        // Nothing comes of what is older, or of nothing.
        ring.share((&event(1, 10)).into(), Arc::new(events(2..=3)));
        ring.share((&event(8, 10)).into(), Arc::default());
        assert_eq!(ring.read(Position::new(6), 100, 1_000).unwrap().len(), 2);
    }
}
