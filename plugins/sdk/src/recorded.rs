//! Events of the log, as projections are shown them.

use crate::bindings::types;
use crate::json::Unreadable;
use crate::{Entity, Event, Id, Timestamp, manifest};

/// An event together with what the host knows about it.
#[derive(Debug)]
pub struct Recorded<E> {
    /// What happened.
    pub event: E,
    /// When it was recorded.
    pub at: Timestamp,
    /// Its number in its stream, counted from 1.
    pub revision: u64,
    /// Its number in the log, counted from 1.
    pub position: u64,
    /// Who asked for it, where that is known.
    pub actor: Option<String>,
    /// The command whose decision it is.
    pub command_id: String,
    /// What ties together everything that one request set off.
    pub correlation_id: String,
    /// The event or command that caused the command, where something other than a caller did.
    pub causation_id: Option<String>,
    id: String,
}

impl<E: Event> Recorded<E> {
    /// To what it happened.
    #[must_use]
    pub fn id(&self) -> Id<E::Of> {
        Id::new(self.id.as_str())
    }
}

/// What a projection is shown: recorded events of one aggregate, `Recorded<ProductEvent>`, or of several, by an enum that
/// derives `Events`:
///
/// ```
/// # use yado_sdk::prelude::*;
/// # #[derive(State)] pub struct Room { beds: u32 }
/// # #[derive(Event)] pub enum RoomEvent { RoomBuilt { beds: u32 } }
/// # #[derive(State)] pub struct Stay { nights: u32 }
/// # #[derive(Event)] pub enum StayEvent { StayBooked { nights: u32 } }
/// /// Everything that changes what a room shows.
/// #[derive(Events)]
/// pub enum RoomChange { Room(Recorded<RoomEvent>), Stay(Recorded<StayEvent>) }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that a projection can be shown",
    note = "it is shown `Recorded<…Event>`, or an enum of several of those that derives `Events`"
)]
pub trait Source: Sized {
    #[doc(hidden)]
    fn sources() -> Vec<manifest::EventSource>;
    #[doc(hidden)]
    fn hears(recorded: &types::RecordedEvent) -> bool;
    #[doc(hidden)]
    fn read(recorded: types::RecordedEvent) -> Result<Self, Unreadable>;
}

impl<E: Event> Source for Recorded<E> {
    fn sources() -> Vec<manifest::EventSource> {
        vec![manifest::EventSource { aggregate: E::Of::NAME, events: E::NAMES }]
    }

    fn hears(recorded: &types::RecordedEvent) -> bool {
        recorded.stream.aggregate == E::Of::NAME && E::NAMES.contains(&recorded.event.name.as_str())
    }

    fn read(recorded: types::RecordedEvent) -> Result<Self, Unreadable> {
        Ok(Self {
            event: E::decode(&recorded.event.name, &recorded.event.payload)?,
            at: instant(recorded.recorded_at),
            revision: recorded.revision,
            position: recorded.position,
            actor: recorded.actor,
            command_id: recorded.command_id,
            correlation_id: recorded.correlation_id,
            causation_id: recorded.causation_id,
            id: recorded.stream.id,
        })
    }
}

/// A point in time as the contract counts it. Years beyond the two hundred thousandth are brought to the last one.
pub(crate) fn instant(micros: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}
