//! How large a transaction is. What a store takes at once is bounded in events, in claims and in bytes.

use std::iter::Sum;
use std::ops::Add;

use yado_model::{Claim, NewEvent};
use yado_store::Append;

use crate::Settings;

/// What an append takes of a transaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Size {
    events: usize,
    claims: usize,
    bytes: usize,
}

impl Size {
    pub(super) const NOTHING: Self = Self { events: 0, claims: 0, bytes: 0 };

    /// What one transaction holds, unless one append alone is larger.
    pub(crate) const fn most(settings: &Settings) -> Self {
        // A claim is a row as an event is.
        Self { events: settings.lane_events, claims: settings.lane_events, bytes: settings.lane_bytes }
    }

    /// That of one append.
    pub(crate) fn of(append: &Append) -> Self {
        let actor = append.command.actor.as_ref().map_or(0, |actor| actor.as_str().len());
        let of_event = |event: &NewEvent| {
            let tags: usize = event.tags.iter().map(String::len).sum();
            event.payload.len() + event.name.len() + tags + actor
        };
        let of_claim = |claim: &Claim| {
            let (Claim::Take(value) | Claim::Release(value)) = claim;
            value.constraint.len() + value.value.len()
        };
        Self {
            events: append.events.len(),
            claims: append.claims.len(),
            bytes: append.events.iter().map(of_event).sum::<usize>()
                + append.claims.iter().map(of_claim).sum::<usize>(),
        }
    }

    /// Whether it is more than another one in any way.
    pub(crate) const fn is_over(self, most: Self) -> bool {
        self.events > most.events || self.claims > most.claims || self.bytes > most.bytes
    }

    /// Whether it leaves no room for more.
    pub(crate) const fn fills(self, most: Self) -> bool {
        self.events >= most.events || self.claims >= most.claims || self.bytes >= most.bytes
    }
}

impl Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { events: self.events + other.events, claims: self.claims + other.claims, bytes: self.bytes + other.bytes }
    }
}

impl Sum for Size {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), Self::add)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use yado_model::{ClaimValue, CommandId, CommandMeta, Revision, StreamId, TenantId, Timestamp};
    use yado_store::{Draft, PluginVersion};

    use super::*;

    fn append(claims: usize, tag: &str) -> Append {
        let event = NewEvent { name: "Sold".into(), version: 1, payload: "{}".into(), tags: vec![tag.into()] };
        let claim = |number: usize| ClaimValue { constraint: "seat".into(), value: number.to_string() };
        let draft = Draft {
            tenant: TenantId::default(),
            stream: StreamId::parse("Ticket-a").unwrap(),
            expected: Revision::ZERO,
            events: vec![event],
            claims: (0..claims).map(|number| Claim::Take(claim(number))).collect(),
            recorded_at: Timestamp::from_micros(0),
            command: CommandMeta {
                command_id: CommandId(Uuid::nil()),
                correlation_id: Uuid::nil(),
                causation_id: None,
                actor: None,
            },
            plugin: PluginVersion(1),
            idempotency: None,
        };
        draft.check().unwrap()
    }

    #[test]
    fn claims_fill_a_transaction_as_events_do() {
        let most = Size::most(&Settings::default());
        let twenty: Size = (0..20).map(|_| Size::of(&append(100, ""))).sum();
        assert!(twenty.fills(most) && !twenty.is_over(most));
        assert!((twenty + Size::of(&append(1, ""))).is_over(most));
    }

    #[test]
    fn tags_take_room_as_payloads_do() {
        assert_eq!(Size::of(&append(0, "")).bytes + 500, Size::of(&append(0, &"x".repeat(500))).bytes);
    }
}
