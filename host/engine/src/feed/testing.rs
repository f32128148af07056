//! What the tests of the feed have in common.

use uuid::Uuid;
use yado_model::{CommandId, CommandMeta, NewEvent, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp};

/// Numbers that are the same for the same seed (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below another one, which must not be zero.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap()
    }
}

/// The event at a position, with so many bytes of payload.
pub(super) fn event(position: usize, bytes: usize) -> RecordedEvent {
    let command_id = Uuid::from_u128(position as u128);
    RecordedEvent {
        tenant: TenantId::default(),
        stream: StreamId::parse("Counter-a").unwrap(),
        revision: Revision::new(position as u64),
        position: Position::new(position as u64),
        recorded_at: Timestamp::from_micros(0),
        event: NewEvent { name: "Counted".into(), version: 1, payload: "x".repeat(bytes), tags: Vec::new() },
        command: CommandMeta {
            command_id: CommandId(command_id),
            correlation_id: command_id,
            causation_id: None,
            actor: None,
        },
    }
}
