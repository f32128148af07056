//! State that stays in memory: bounded in bytes, least recently used first to go.

use std::num::NonZeroUsize;

use lru::LruCache;
use yado_model::Digest;

use super::StreamKey;
use super::load::Tip;

/// What an entry takes beside its state: key, links, reference counts. Measured generously.
const OVERHEAD: usize = 256;

/// The states of streams at rest. A state is only good for the code that made it, so the code is part of the key.
pub(super) struct Resident {
    entries: LruCache<(StreamKey, Digest), Tip>,
    bytes: usize,
    most: usize,
}

impl Resident {
    pub(super) fn new(most: usize) -> Self {
        Self { entries: LruCache::unbounded(), bytes: 0, most }
    }

    /// Takes a state out, because its stream is at work again.
    pub(super) fn take(&mut self, key: &StreamKey, digest: Digest) -> Option<Tip> {
        let tip = self.entries.pop(&(key.clone(), digest))?;
        self.bytes -= weight(&tip);
        Some(tip)
    }

    /// Puts a state in, and makes room for it.
    pub(super) fn put(&mut self, key: StreamKey, digest: Digest, tip: Tip) {
        self.bytes += weight(&tip);
        if let Some((_, old)) = self.entries.push((key, digest), tip) {
            self.bytes -= weight(&old);
        }
        while self.bytes > self.most && self.entries.len() > NonZeroUsize::MIN.get() {
            let Some((_, old)) = self.entries.pop_lru() else { break };
            self.bytes -= weight(&old);
        }
    }
}

fn weight(tip: &Tip) -> usize {
    OVERHEAD + tip.state.as_ref().map_or(0, |state| state.len())
}

#[cfg(test)]
mod tests {
    use yado_model::{Position, Revision, StreamId, TenantId};

    use super::*;

    fn key(id: &str) -> StreamKey {
        StreamKey { tenant: TenantId::default(), stream: StreamId::parse(&format!("Basket-{id}")).unwrap() }
    }

    fn tip(bytes: usize) -> Tip {
        Tip { state: Some(vec![0; bytes].into()), revision: Revision::new(1), position: Position::new(1) }
    }

    #[test]
    fn the_least_recently_used_state_makes_room() {
        let digest = Digest::of(b"code");
        let mut resident = Resident::new(2 * (OVERHEAD + 1_000));
        resident.put(key("a"), digest, tip(1_000));
        resident.put(key("b"), digest, tip(1_000));
        let used = resident.take(&key("a"), digest).unwrap();
        resident.put(key("a"), digest, used);
        resident.put(key("c"), digest, tip(1_000));
        assert!(resident.take(&key("b"), digest).is_none());
        assert!(resident.take(&key("a"), digest).is_some());
        assert!(resident.take(&key("a"), Digest::of(b"other code")).is_none());
        assert_eq!(resident.bytes, OVERHEAD + 1_000);
    }
}
