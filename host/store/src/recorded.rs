//! From the columns of an event's row to the event. Whatever has been done to the database by other hands, this gives an
//! event or says what is wrong with it; it never panics, and never passes over a gap.

use uuid::Uuid;
use yado_model::{
    Actor, CommandId, CommandMeta, Digest, NewEvent, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp,
};

use crate::number::loaded;
use crate::{Answer, Error, Result};

/// An event's row as the engines give it. A log of millions comes through here, so what is parsed is not copied before.
pub(crate) struct Stored<'a> {
    pub(crate) position: i64,
    pub(crate) tenant: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) revision: i64,
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) payload: String,
    pub(crate) tags: Vec<String>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) command_id: Uuid,
    pub(crate) correlation_id: Option<Uuid>,
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) actor: Option<&'a str>,
}

impl Stored<'_> {
    /// The event.
    pub(crate) fn event(self) -> Result<RecordedEvent> {
        let place = format_args!("the event at position {}", self.position);
        let broken = |reason: &dyn ToString| Error::corrupt(place.to_string(), reason.to_string());
        Ok(RecordedEvent {
            tenant: TenantId::parse(self.tenant).map_err(|error| broken(&error))?,
            stream: StreamId::parse(self.stream).map_err(|error| broken(&error))?,
            revision: Revision::new(loaded(self.revision, place)?),
            position: Position::new(loaded(self.position, place)?),
            recorded_at: self.recorded_at,
            event: NewEvent {
                name: self.name,
                version: u32::try_from(self.version).map_err(|error| broken(&error))?,
                payload: self.payload,
                tags: self.tags,
            },
            command: CommandMeta {
                command_id: CommandId(self.command_id),
                correlation_id: self.correlation_id.unwrap_or(self.command_id),
                causation_id: self.causation_id,
                actor: self.actor.map(Actor::parse).transpose().map_err(|error| broken(&error))?,
            },
        })
    }
}

impl Answer {
    /// The answer that a row holds.
    pub(crate) fn stored(request: &[u8], stream: &str, revision: i64, position: i64) -> Result<Self> {
        const PLACE: &str = "the answers";
        Ok(Self {
            request: digest(request, PLACE)?,
            stream: self::stream(stream, PLACE)?,
            revision: Revision::new(loaded(revision, PLACE)?),
            position: Position::new(loaded(position, PLACE)?),
        })
    }
}

/// A stream's name that was stored.
pub(crate) fn stream(text: &str, place: &str) -> Result<StreamId> {
    StreamId::parse(text).map_err(|error| Error::corrupt(place, error))
}

/// A digest that was stored.
pub(crate) fn digest(bytes: &[u8], place: &str) -> Result<Digest> {
    let bytes = bytes.try_into().map_err(|_| Error::corrupt(place, format!("a digest of {} bytes", bytes.len())))?;
    Ok(Digest::from_bytes(bytes))
}

/// Puts what was found where it was asked for.
pub(crate) fn place<T>(list: &mut [T], at: i64, found: T) -> Result<()> {
    let place = usize::try_from(at).ok().and_then(|at| list.get_mut(at));
    *place.ok_or_else(|| Error::Engine(format!("an answer to question {at}, which was not asked")))? = found;
    Ok(())
}

/// Whether a page of the log goes on right after a position and has no gaps. A reader takes a page's last position for
/// its own; it would never hear of an event that was missing.
pub(crate) fn log_without_gaps(after: Position, page: &[RecordedEvent]) -> Result<()> {
    without_gaps("the log", after.get(), page.iter().map(|event| event.position.get()))
}

/// Whether a page of a stream goes on right after a revision and has no gaps: a fold over it would give a wrong state.
pub(crate) fn stream_without_gaps(stream: &StreamId, after: Revision, page: &[RecordedEvent]) -> Result<()> {
    without_gaps(stream.as_str(), after.get(), page.iter().map(|event| event.revision.get()))
}

fn without_gaps(place: &str, after: u64, numbers: impl Iterator<Item = u64>) -> Result<()> {
    let mut last = after;
    for number in numbers {
        if number != last.saturating_add(1) {
            return Err(Error::corrupt(place, format!("{number} follows {last}: events are missing")));
        }
        last = number;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored<'static> {
        Stored {
            position: 7,
            tenant: "default",
            stream: "Counter-a",
            revision: 1,
            name: "Counted".into(),
            version: 1,
            payload: "{}".into(),
            tags: vec![],
            recorded_at: Timestamp::from_micros(0),
            command_id: Uuid::nil(),
            correlation_id: None,
            causation_id: None,
            actor: None,
        }
    }

    #[test]
    fn a_correlation_that_is_not_stored_is_the_command() {
        let event = Stored { command_id: Uuid::from_u128(5), ..stored() }.event().unwrap();
        assert_eq!(event.command.correlation_id, Uuid::from_u128(5));
    }

    #[test]
    fn damage_is_reported_with_its_place() {
        for damaged in [
            Stored { tenant: "NOT A TENANT", ..stored() },
            Stored { stream: "nodash", ..stored() },
            Stored { revision: -1, ..stored() },
            Stored { version: -1, ..stored() },
            Stored { actor: Some(""), ..stored() },
        ] {
            let error = damaged.event().unwrap_err();
            assert!(error.to_string().contains("position 7"), "{error}");
        }
    }

    #[test]
    fn a_gap_is_reported() {
        assert!(without_gaps("the log", 4, [5, 6, 7].into_iter()).is_ok());
        assert!(without_gaps("the log", 4, [6].into_iter()).is_err());
        assert!(without_gaps("the log", 4, [5, 5].into_iter()).is_err());
        assert!(without_gaps("the log", u64::MAX, [].into_iter()).is_ok());
    }
}
