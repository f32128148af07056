//! What has happened, and how it is told: what is kept of it is text, and is read once for all who are told of it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value as Json, json};
use yado_engine::{Changed, Cursor, Error};
use yado_model::{Position, RecordedEvent};

use super::source::Failure;

/// So much may be on its way to cohorts, in bytes of the text that it was read from. Where there is more, they read for
/// themselves what is meant for them.
const ON_THE_WAY_BYTES: usize = 32 * 1024 * 1024;

/// So much of it each hub may have in any case, so that a few whose cohorts are slow don't take the room of all.
const OF_ONE_BYTES: usize = 1024 * 1024;

/// Beyond this no hub has room, however many they are and however little each of them has.
const ON_THE_WAY_MOST: usize = 256 * 1024 * 1024;

/// Something that has happened, as it is kept.
#[derive(Debug)]
pub(crate) enum Occurred<'a> {
    /// An event of the log.
    Event(&'a RecordedEvent),
    /// A change of a row.
    Changed(Arc<Changed>),
}

/// Something that has happened, as it is told.
#[derive(Debug)]
pub(crate) struct Happened {
    /// Its place.
    pub(crate) cursor: Cursor,
    /// What is told of it.
    pub(crate) value: Json,
    /// The length of the text that this was read from.
    pub(crate) bytes: usize,
    _share: Option<Share>,
}

/// How much is on its way to cohorts: of all hubs, and of one of them. Copies of it count together.
#[derive(Debug, Clone, Default)]
pub(super) struct OnTheWay {
    of_all: Arc<AtomicUsize>,
    of_one: Arc<AtomicUsize>,
}

/// A part of what is on its way, until this is dropped.
#[derive(Debug)]
struct Share {
    of: OnTheWay,
    bytes: usize,
}

impl OnTheWay {
    /// The same for another hub.
    pub(super) fn of_another(&self) -> Self {
        Self { of_all: self.of_all.clone(), of_one: Arc::default() }
    }

    /// Whether there is room for more.
    pub(super) fn has_room(&self) -> bool {
        let (all, one) = (self.of_all.load(Ordering::Relaxed), self.of_one.load(Ordering::Relaxed));
        all < ON_THE_WAY_BYTES || (one < OF_ONE_BYTES && all < ON_THE_WAY_MOST)
    }

    fn share(&self, bytes: usize) -> Share {
        self.of_all.fetch_add(bytes, Ordering::Relaxed);
        self.of_one.fetch_add(bytes, Ordering::Relaxed);
        Share { of: self.clone(), bytes }
    }

    /// How much that is.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.of_all.load(Ordering::Relaxed)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.of_all.fetch_sub(self.bytes, Ordering::Relaxed);
        self.of.of_one.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Occurred<'_> {
    /// Its place.
    pub(super) fn cursor(&self) -> Cursor {
        match self {
            Self::Event(event) => Cursor::all_of(event.position),
            Self::Changed(changed) => Cursor::from(&**changed),
        }
    }

    /// A place right before it: whoever goes on from there is told this, and nothing else that was before it.
    pub(super) fn before(&self) -> Cursor {
        let cursor = self.cursor();
        match (self, cursor.place.checked_sub(1)) {
            (Self::Changed(_), Some(place)) => Cursor { place, ..cursor },
            _ => Cursor::all_of(Position::new(cursor.position.get().saturating_sub(1))),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Event(event) => &event.event.payload,
            Self::Changed(changed) => &changed.row,
        }
    }

    /// What is told of it.
    fn value(&self) -> Result<Json, Failure> {
        match self {
            Self::Event(event) => {
                let payload = serde_json::from_str(&event.event.payload).map_err(|error| {
                    tracing::error!(%error, position = %event.position, "the payload of an event in the log is not JSON");
                    unreadable()
                })?;
                Ok(shown(event, payload))
            }
            Self::Changed(changed) => serde_json::from_str(&changed.row).map(Json::Object).map_err(|error| {
                let Changed { model, position, .. } = &**changed;
                tracing::error!(%error, %model, %position, "a row in a journal is not JSON");
                unreadable()
            }),
        }
    }
}

/// Something that has happened, and is read when that is first needed.
pub(super) struct Happening<'a> {
    pub(super) occurred: Occurred<'a>,
    on_the_way: Option<&'a OnTheWay>,
    happened: OnceCell<Arc<Happened>>,
}

impl<'a> Happening<'a> {
    /// For one who reads for himself.
    pub(super) const fn new(occurred: Occurred<'a>) -> Self {
        Self { occurred, on_the_way: None, happened: OnceCell::new() }
    }

    /// For all whom it is brought to.
    pub(super) const fn on_the_way(occurred: Occurred<'a>, on_the_way: &'a OnTheWay) -> Self {
        Self { occurred, on_the_way: Some(on_the_way), happened: OnceCell::new() }
    }

    /// What is told of it.
    ///
    /// # Errors
    /// If what is kept of it can't be read.
    pub(super) fn told(&self) -> Result<&Arc<Happened>, Failure> {
        if let Some(happened) = self.happened.get() {
            return Ok(happened);
        }
        let (cursor, bytes) = (self.occurred.cursor(), self.occurred.text().len());
        let _share = self.on_the_way.map(|on_the_way| on_the_way.share(bytes));
        let happened = Happened { cursor, value: self.occurred.value()?, bytes, _share };
        Ok(self.happened.get_or_init(|| Arc::new(happened)))
    }

    /// The row that has changed.
    ///
    /// # Errors
    /// If what is kept of it can't be read.
    pub(super) fn row(&self) -> Result<Cow<'_, Map<String, Json>>, Failure> {
        match &self.told()?.value {
            Json::Object(row) => Ok(Cow::Borrowed(row)),
            _ => Ok(Cow::Owned(Map::new())),
        }
    }
}

/// An event as it is told.
fn shown(event: &RecordedEvent, payload: Json) -> Json {
    json!({
        "position": event.position.get(),
        "aggregate": event.stream.aggregate(),
        "id": event.stream.id(),
        "revision": event.revision.get(),
        "name": event.event.name,
        "version": event.event.version,
        "payload": payload,
        "recordedAt": event.recorded_at.to_string(),
        "commandId": event.command.command_id.0.to_string(),
        "correlationId": event.command.correlation_id.to_string(),
        "causationId": event.command.causation_id.map(|id| id.to_string()),
        "actor": event.command.actor.as_ref().map(ToString::to_string),
    })
}

/// What is not what it was when it was written does not become so by another attempt.
fn unreadable() -> Failure {
    let reason = "what is kept of the changes can't be read; the server's log says why".into();
    Failure { error: Error::Unavailable { reason, retry_after_ms: 10_000 }, passes: false }
}

/// Something that has happened, for tests.
#[cfg(test)]
pub(super) fn happened(cursor: Cursor, value: Json, bytes: usize) -> Arc<Happened> {
    Arc::new(Happened { cursor, value, bytes, _share: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_that_has_little_on_its_way_has_room_when_others_have_taken_it() {
        let slow = OnTheWay::default();
        let (other, third) = (slow.of_another(), slow.of_another());
        let taken = slow.share(ON_THE_WAY_BYTES);
        assert!(!slow.has_room() && other.has_room());
        let own = other.share(OF_ONE_BYTES);
        assert!(!other.has_room() && third.has_room());
        let rest = slow.share(ON_THE_WAY_MOST - slow.bytes());
        assert!(!third.has_room(), "there is a bound for all of them");
        drop((rest, own));
        assert!(!slow.has_room() && other.has_room());
        drop(taken);
        assert_eq!((slow.has_room(), slow.bytes()), (true, 0));
    }
}
