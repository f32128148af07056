//! State that stays in memory: bounded in bytes, least recently used first to go.
//!
//! A state is only good for code that reads its encoding. That is the build that made it, or any build that gives the
//! same name to the encoding; what other code has left is a miss, and makes room when the stream is put back.

use std::mem::size_of;
use std::sync::Arc;

use lru::LruCache;

use super::StreamKey;
use super::figures::Counted;
use super::key::BroughtAlong;
use super::load::Tip;

/// What the map takes for an entry: a pointer and a byte of its table, which is between half and almost full.
const SLOT: usize = 16;
/// The counts that stand before what is shared.
const COUNTS: usize = 2 * size_of::<usize>();

/// The states of streams at rest.
pub(super) struct Resident {
    entries: LruCache<StreamKey, Entry, BroughtAlong>,
    bytes: usize,
    most: usize,
    counted: Counted,
}

struct Entry {
    encoding: Arc<str>,
    tip: Tip,
}

impl Resident {
    pub(super) fn new(most: usize) -> Self {
        Self {
            entries: LruCache::unbounded_with_hasher(BroughtAlong::default()),
            bytes: 0,
            most,
            counted: Counted::default(),
        }
    }

    /// Takes a state out, because its stream is at work again.
    pub(super) fn take(&mut self, key: &StreamKey, encoding: &Arc<str>) -> Option<Tip> {
        if self.entries.peek(key).is_none_or(|entry| entry.encoding != *encoding) {
            self.counted.misses += 1;
            return None;
        }
        self.counted.hits += 1;
        let (key, entry) = self.entries.pop_entry(key)?;
        self.shrink(weight(&key, &entry.tip));
        Some(entry.tip)
    }

    /// A command has met its stream at work, and the state in memory with it.
    pub(super) fn met(&mut self) {
        self.counted.hits += 1;
    }

    /// Puts a state in, and makes room for it.
    pub(super) fn put(&mut self, key: StreamKey, encoding: Arc<str>, tip: Tip) {
        let bytes = weight(&key, &tip);
        self.bytes += bytes;
        self.counted.bytes += bytes as i64;
        self.counted.entries += 1;
        if let Some((key, old)) = self.entries.push(key, Entry { encoding, tip }) {
            self.shrink(weight(&key, &old.tip));
        }
        while self.bytes > self.most && self.entries.len() > 1 {
            let Some((key, old)) = self.entries.pop_lru() else { break };
            self.shrink(weight(&key, &old.tip));
            self.counted.evictions += 1;
        }
    }

    fn shrink(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.counted.bytes -= bytes as i64;
        self.counted.entries -= 1;
    }

    /// Whether anything has been counted that was not told yet.
    pub(super) fn has_news(&self) -> bool {
        self.counted != Counted::default()
    }

    /// What has been counted since the last time.
    pub(super) fn news(&mut self) -> Counted {
        std::mem::take(&mut self.counted)
    }
}

/// What the process grows by for an entry: its place in the map, its node with two links, the texts of its key, and the
/// state. A stream's key is its own as a rule: each request brings its texts along.
fn weight(key: &StreamKey, tip: &Tip) -> usize {
    let node = size_of::<(StreamKey, Entry)>() + 2 * size_of::<usize>();
    let texts = [key.tenant.as_str(), key.stream.as_str()].map(|text| allocated(COUNTS + text.len()));
    let state = tip.state.as_ref().map_or(0, |state| allocated(COUNTS + state.len()));
    SLOT + allocated(node) + texts.iter().sum::<usize>() + state
}

/// What an allocator takes for so many bytes: its own note beside them, in steps of 16.
const fn allocated(bytes: usize) -> usize {
    (bytes + size_of::<usize>()).next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use yado_model::{Position, Revision, StreamId, TenantId};

    use super::*;

    fn key(id: &str) -> StreamKey {
        StreamKey::new(TenantId::default(), StreamId::parse(&format!("Basket-{id}")).unwrap())
    }

    fn tip(bytes: usize) -> Tip {
        let state = Some(vec![0; bytes].into());
        Tip { state, revision: Revision::new(1), position: Position::new(1), ..Tip::default() }
    }

    fn encoding(name: &str) -> Arc<str> {
        name.into()
    }

    #[test]
    fn the_least_recently_used_state_makes_room() {
        let code = encoding("code");
        let one = weight(&key("a"), &tip(1_000));
        let mut resident = Resident::new(2 * one);
        resident.put(key("a"), code.clone(), tip(1_000));
        resident.put(key("b"), code.clone(), tip(1_000));
        let used = resident.take(&key("a"), &code).unwrap();
        resident.put(key("a"), code.clone(), used);
        resident.put(key("c"), code.clone(), tip(1_000));
        assert!(resident.take(&key("b"), &code).is_none());
        assert!(resident.take(&key("a"), &code).is_some());
        assert_eq!(resident.bytes, one);
        let counted = resident.news();
        assert_eq!((counted.hits, counted.misses, counted.evictions, counted.entries), (2, 1, 1, 1));
        assert_eq!(counted.bytes, one as i64);
        assert!(!resident.has_news());
    }

    #[test]
    fn a_state_is_only_for_code_that_reads_its_encoding() {
        let mut resident = Resident::new(10_000);
        resident.put(key("a"), encoding("one"), tip(10));
        assert!(resident.take(&key("a"), &encoding("other")).is_none());
        assert!(resident.take(&key("a"), &encoding("one")).is_some());
        resident.put(key("a"), encoding("one"), tip(10));
        resident.put(key("a"), encoding("other"), tip(20));
        assert_eq!(resident.bytes, weight(&key("a"), &tip(20)));
        assert_eq!(resident.entries.len(), 1);
    }

    #[test]
    fn long_ids_weigh_more() {
        let grown = weight(&key(&"x".repeat(100)), &tip(0)) - weight(&key("x"), &tip(0));
        assert!((96..=112).contains(&grown), "{grown}");
    }
}
