//! What a projection could not be shown, and what an operator has decided about a projection.

use uuid::Uuid;
use yado_model::{CommandId, Digest, Position, Revision, StreamId, TenantId, Timestamp};

use super::Checkpoint;
use crate::limits::{self, LONGEST_NAME};
use crate::number::loaded;
use crate::{Error, Result, recorded};

/// What the operator is told of a failure has at most so many bytes.
const LONGEST_REASON: usize = 4_096;

/// A stream that waits, because a projection fails at one of its events: the dead letter of that event. Everything of the
/// stream from that event on is still to be shown; the rest of the log is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Whose stream it is.
    pub tenant: TenantId,
    /// Which stream.
    pub stream: StreamId,
    /// Where the event stands in the log.
    pub position: Position,
    /// Its number in the stream.
    pub revision: Revision,
    /// Its name.
    pub event: String,
    /// The version of its payload.
    pub version: u32,
    /// What went wrong, for the operator.
    pub error: String,
    /// The plugin whose code failed.
    pub plugin: String,
    /// Its version, for people.
    pub plugin_version: String,
    /// The code that failed.
    pub digest: Digest,
    /// How often the event has been tried.
    pub attempts: u32,
    /// When it was tried for the last time.
    pub at: Timestamp,
}

/// What stands of a projection beside its progress, under the name that it keeps whatever becomes of its tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectionState {
    /// How often its tables have been made anew because an operator wanted them to be.
    pub epoch: u32,
    /// The epoch whose tables are being filled, while there is one.
    pub pending: Option<u32>,
    /// Whether it stands still until it is told to go on.
    pub paused: bool,
}

impl Parked {
    /// Whether every engine can hold it. A reason that is too long is cut.
    pub(crate) fn check(mut self) -> Result<Self> {
        for (what, text) in [
            ("the name of an event", &self.event),
            ("the name of a plugin", &self.plugin),
            ("the version of a plugin", &self.plugin_version),
        ] {
            limits::text(what, text, LONGEST_NAME)?;
        }
        self.error = self.error.replace('\0', "\u{fffd}");
        self.error.truncate(self.error.floor_char_boundary(LONGEST_REASON));
        Ok(self)
    }
}

/// A row of parked streams as an engine gives it: what they call a time is their own.
#[derive(sqlx::FromRow)]
pub(crate) struct Stored<T> {
    pub(crate) projection: String,
    pub(crate) tenant: String,
    pub(crate) stream: String,
    pub(crate) position: i64,
    pub(crate) revision: i64,
    pub(crate) event: String,
    pub(crate) version: i64,
    pub(crate) error: String,
    pub(crate) plugin: String,
    pub(crate) plugin_version: String,
    pub(crate) digest: Vec<u8>,
    pub(crate) attempts: i64,
    pub(crate) parked_at: T,
}

impl<T> Stored<T> {
    const PLACE: &str = "the parked streams";

    pub(crate) fn parked(self, time: impl FnOnce(T) -> Timestamp) -> Result<(String, Parked)> {
        let broken = |reason: &dyn ToString| Error::corrupt(Self::PLACE, reason.to_string());
        let parked = Parked {
            tenant: TenantId::parse(&self.tenant).map_err(|error| broken(&error))?,
            stream: StreamId::parse(&self.stream).map_err(|error| broken(&error))?,
            position: Position::new(loaded(self.position, Self::PLACE)?),
            revision: Revision::new(loaded(self.revision, Self::PLACE)?),
            event: self.event,
            version: u32::try_from(self.version).map_err(|error| broken(&error))?,
            error: self.error,
            plugin: self.plugin,
            plugin_version: self.plugin_version,
            digest: recorded::digest(&self.digest, Self::PLACE)?,
            attempts: u32::try_from(self.attempts).map_err(|error| broken(&error))?,
            at: time(self.parked_at),
        };
        Ok((self.projection, parked))
    }
}

impl ProjectionState {
    /// Whether it can be kept.
    pub(crate) fn check(&self, plugin: &str, projection: &str) -> Result<()> {
        limits::text("the name of a plugin", plugin, LONGEST_NAME)?;
        limits::text("the name of a projection", projection, LONGEST_NAME)
    }

    /// From what is stored.
    pub(crate) fn loaded(epoch: i64, pending: Option<i64>, paused: bool) -> Result<Self> {
        let number = |number: i64| {
            u32::try_from(number).map_err(|error| Error::corrupt("the states of projections", error.to_string()))
        };
        Ok(Self { epoch: number(epoch)?, pending: pending.map(number).transpose()?, paused })
    }
}

impl Checkpoint {
    /// From what is stored.
    pub(crate) fn loaded(position: i64, command: Option<Uuid>, replays: i64) -> Result<Self> {
        Ok(Self {
            position: Position::new(loaded(position, "the checkpoints")?),
            command: command.map(CommandId),
            replays: loaded(replays, "the checkpoints")?,
        })
    }
}
