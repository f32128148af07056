//! The circumstances of a decision.

use std::cell::Cell;

use crate::bindings::types;
use crate::{Id, Timestamp};

/// Everything that a decision may depend on besides the state and the command. It is the same however often the decision
/// is made, entropy included.
#[derive(Debug)]
pub struct Context {
    tenant: String,
    id: String,
    now: Timestamp,
    actor: Option<String>,
    command_id: String,
    correlation_id: String,
    entropy: Cell<(u64, u64)>,
}

impl Context {
    pub(crate) fn new(context: types::Context) -> Self {
        Self {
            tenant: context.tenant,
            id: context.id,
            now: crate::recorded::instant(context.now),
            actor: context.actor,
            command_id: context.command_id,
            correlation_id: context.correlation_id,
            entropy: Cell::new(context.seed),
        }
    }

    /// The id of the instance that the command is for, also when the command creates it.
    #[must_use]
    pub fn id<T>(&self) -> Id<T> {
        Id::new(self.id.as_str())
    }

    /// The time of the decision.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Who asks, where that is known.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.actor.as_deref()
    }

    /// Whose data this is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The id of this command.
    #[must_use]
    pub fn command_id(&self) -> &str {
        &self.command_id
    }

    /// What ties together everything that one request sets off.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        &self.correlation_id
    }

    /// The next number out of this command's entropy. It is good for picking and shuffling, not for secrets.
    pub fn random(&self) -> u64 {
        // SplitMix64 with a stride of its own: all 128 bits of the seed count, and it is small.
        let (state, stride) = self.entropy.get();
        let state = state.wrapping_add(mix(stride) | 1);
        self.entropy.set((state, stride));
        mix(state)
    }

    /// A new id, for a part of an aggregate or for an instance that another command will create. Ids sort by time.
    pub fn new_id<T>(&self) -> Id<T> {
        let millis = self.now.micros().max(0).unsigned_abs() / 1000;
        Id::new(uuid_v7(millis, self.random(), self.random()))
    }
}

/// Spreads every bit over all of them.
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn uuid_v7(millis: u64, a: u64, b: u64) -> String {
    let (time_high, time_low) = (millis >> 16 & 0xffff_ffff, millis & 0xffff);
    let (version, variant) = (0x7000 | a & 0x0fff, 0x8000 | a >> 12 & 0x3fff);
    format!("{time_high:08x}-{time_low:04x}-{version:04x}-{variant:04x}-{:012x}", b & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        Context::new(types::Context {
            tenant: "default".into(),
            id: "1".into(),
            now: 1_769_851_800_500_000,
            actor: None,
            command_id: "c".into(),
            correlation_id: "c".into(),
            seed: (1, 2),
        })
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers_in_the_same_order() {
        let (one, other) = (context(), context());
        let numbers: Vec<u64> = (0..100).map(|_| one.random()).collect();
        assert_eq!(numbers, (0..100).map(|_| other.random()).collect::<Vec<_>>());
        let different: std::collections::HashSet<_> = numbers.iter().collect();
        assert_eq!(different.len(), numbers.len());
    }

    #[test]
    fn a_new_id_is_a_uuid_that_holds_the_time_of_the_decision() {
        let context = context();
        let id: Id<()> = context.new_id();
        assert!(id.as_str().starts_with("019c1363-4bb4-7"), "{id}");
        assert_eq!(id.as_str().len(), 36);
        assert!(matches!(id.as_str().as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        assert_ne!(id, context.new_id());
    }
}
