//! What this node has itself written, so that it need not ask the database whether it is there.
//!
//! To look up the event before a new one costs the server as much as a third of inserting it, and most streams that are
//! written to were written to by the same node before. What speaks against remembering is that a log may go back: a
//! restored backup, or a standby that had not heard of everything when it took over. So there is an *anchor*: the last
//! event that this node has written, by its position and its command. As long as the log has just that event at just that
//! place, it has everything before it, because positions have no gaps and events never change. Each append asks for the
//! anchor, once for all its streams. When it is gone, nothing is recorded any more: what an append was decided on may be
//! gone as well, and only a process that begins anew knows no more than the log does.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use uuid::Uuid;
use yado_model::{Position, Revision, StreamId, TenantId};

use crate::append::settle::StreamKey;

/// So many streams are remembered, some 150 bytes each.
const MOST_STREAMS: NonZeroUsize = NonZeroUsize::new(100_000).expect("it is not zero");

/// For how long after another node was faster on a stream it is reckoned with on all of them.
const REMEMBERED: Duration = Duration::from_secs(1);

/// An event by its position and its command.
pub(super) type Anchor = (Position, Uuid);

/// The streams that this node has written to.
#[derive(Debug)]
pub(in crate::postgres) struct Witnessed(Mutex<Memory>);

#[derive(Debug)]
struct Memory {
    anchor: Option<Anchor>,
    /// Until when other nodes are reckoned with that write to the same streams.
    rivals_until: Option<Instant>,
    revisions: LruCache<(TenantId, StreamId), Revision>,
}

/// What an append may rely on.
pub(super) struct Witness<'a> {
    /// What the log must still have.
    pub(super) anchor: Option<Anchor>,
    /// Revisions that have to be looked up.
    pub(super) unseen: Vec<(StreamKey<'a>, Revision)>,
}

impl Default for Witnessed {
    fn default() -> Self {
        Self(Mutex::new(Memory { anchor: None, rivals_until: None, revisions: LruCache::new(MOST_STREAMS) }))
    }
}

impl Witnessed {
    /// Which of these revisions are not known to be there.
    pub(super) fn of<'a>(&self, expected: impl Iterator<Item = (StreamKey<'a>, Revision)>) -> Witness<'a> {
        let mut memory = self.memory();
        let unseen = expected
            .filter(|((tenant, stream), revision)| {
                let seen = memory.revisions.get(&((*tenant).clone(), (*stream).clone()));
                seen.is_none_or(|seen| seen < revision)
            })
            .collect();
        Witness { anchor: memory.anchor, unseen }
    }

    /// What the log must still have.
    pub(super) fn anchor(&self) -> Option<Anchor> {
        self.memory().anchor
    }

    /// Remembers what an append has left, once it is durable.
    pub(super) fn witness<'a>(
        &self,
        last: Anchor,
        revisions: impl Iterator<Item = (&'a TenantId, &'a StreamId, Revision)>,
    ) {
        let mut memory = self.memory();
        memory.anchor = memory.anchor.max(Some(last));
        for (tenant, stream, revision) in revisions {
            let seen = memory.revisions.get_or_insert_mut((tenant.clone(), stream.clone()), || revision);
            *seen = revision.max(*seen);
        }
    }

    /// Another node was faster on a stream.
    pub(super) fn rivals_met(&self) {
        self.memory().rivals_until = Some(Instant::now() + REMEMBERED);
    }

    /// Until when that is reckoned with, if it has come up.
    pub(super) fn rivals_until(&self) -> Option<Instant> {
        self.memory().rivals_until
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_witnessed_need_not_be_looked_up() {
        let witnessed = Witnessed::default();
        let (tenant, stream) = (TenantId::default(), StreamId::parse("Counter-a").unwrap());
        let unseen = |revision: u64| {
            let of = witnessed.of([((&tenant, &stream), Revision::new(revision))].into_iter());
            (of.anchor.map(|(position, _)| position.get()), of.unseen.len())
        };
        assert_eq!(unseen(3), (None, 1));
        witnessed.witness((Position::new(10), Uuid::nil()), [(&tenant, &stream, Revision::new(3))].into_iter());
        assert_eq!((unseen(2), unseen(3), unseen(4)), ((Some(10), 0), (Some(10), 0), (Some(10), 1)));
        // News of an older append that comes late takes nothing back.
        witnessed.witness((Position::new(9), Uuid::nil()), [(&tenant, &stream, Revision::new(2))].into_iter());
        assert_eq!(unseen(3), (Some(10), 0));
        assert_eq!(witnessed.anchor().map(|(position, _)| position.get()), Some(10));
    }
}
