//! What a stream is known by in memory.
//!
//! A command meets half a dozen maps by the key of its stream, so the key is hashed once, when it is made.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use yado_model::{StreamId, TenantId};

/// Another one in each process: callers choose ids, and none may choose those that meet in a map.
static SECRET: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A stream of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamKey {
    // It stands first, because it is compared first and nearly always tells two of them apart.
    hash: u64,
    pub(crate) tenant: TenantId,
    pub(crate) stream: StreamId,
}

impl StreamKey {
    pub(crate) fn new(tenant: TenantId, stream: StreamId) -> Self {
        Self { hash: SECRET.hash_one((tenant.as_str(), stream.as_str())), tenant, stream }
    }

    /// A number by which streams are spread over shards. It is of other bits than those by which a map finds its places:
    /// otherwise the streams of one shard would share a few places.
    pub(super) const fn spread(&self) -> usize {
        (self.hash >> 32) as u16 as usize
    }
}

impl Hash for StreamKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Streams, found by the hash that their keys bring along.
pub(super) type StreamMap<V> = HashMap<StreamKey, V, BroughtAlong>;

pub(super) type BroughtAlong = BuildHasherDefault<Brought>;

/// Takes the hash of a key for what it is.
#[derive(Default)]
pub(super) struct Brought(u64);

impl Hasher for Brought {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // A stream's key writes none. Whatever does is mixed in, so that other keys are not all one.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tenant: &str, id: usize) -> StreamKey {
        StreamKey::new(TenantId::parse(tenant).unwrap(), StreamId::parse(&format!("Counter-{id}")).unwrap())
    }

    #[test]
    fn a_stream_is_found_under_a_key_made_anew_and_under_no_other() {
        let streams: StreamMap<usize> = (0..10_000).map(|id| (key("one", id), id)).collect();
        assert!((0..10_000).all(|id| streams.get(&key("one", id)) == Some(&id)));
        assert!((0..10_000).all(|id| !streams.contains_key(&key("other", id))));
    }

    #[test]
    fn streams_are_spread_over_all_shards() {
        for shards in 2..=16 {
            let mut counts = vec![0; shards];
            (0..16_000).for_each(|id| counts[key("one", id).spread() % shards] += 1);
            assert!(counts.iter().all(|count| *count > 8_000 / shards), "{counts:?}");
        }
    }
}
