//! What a projection could not be shown, and what an operator has decided about a projection.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;
use yado_model::{CommandId, Digest, Position, Revision, StreamId, TenantId, Timestamp};

use super::Checkpoint;
use crate::limits::{self, LONGEST_NAME};
use crate::number::{bound, loaded};
use crate::{Error, Result, recorded};

/// The stream that stands for all of a tenant's. None is called so.
const WHOLE: &str = "";

/// What the name of a tenant's dead letter begins with.
const OF_TENANT: &str = "tenant:";

/// What the operator is told of a failure has at most so many bytes.
const LONGEST_REASON: usize = 4_096;

/// A stream that waits, because a projection fails at one of its events: the dead letter of that event. Everything of the
/// stream from that event on is still to be shown; the rest of the log is not. Or a tenant of which too many streams wait:
/// then it is all of the tenant's from some event on, but for what waits with its own stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// What waits.
    pub scope: Scope,
    /// Whose stream it is.
    pub tenant: TenantId,
    /// Which stream.
    pub stream: StreamId,
    /// Where the event stands in the log. A tenant that has been taken up in part waits from here on, and the event at which
    /// the projection failed is one before.
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

/// How much waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The stream.
    Stream,
    /// All of the tenant's.
    Tenant,
}

/// What waits: a stream of a tenant, or all of the tenant's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Held {
    /// Whose it is.
    pub tenant: TenantId,
    /// The stream; none, if it is all of them.
    pub stream: Option<StreamId>,
}

/// What a dead letter of a projection is called by: the position of its event, `17`, or the tenant that waits as a whole,
/// `tenant:acme`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LetterId {
    /// That of a stream, by the event at which the projection fails.
    Event(Position),
    /// That of a tenant.
    Tenant(TenantId),
}

/// A text that names no dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be the position of an event, as in 17, or a tenant, as in tenant:acme")]
pub struct NoLetter;

/// What stands of a projection beside its progress, under the name that it keeps whatever becomes of its tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectionState {
    /// How often its tables have been made anew because an operator wanted them to be.
    pub epoch: u32,
    /// The epoch whose tables are being filled, while there is one.
    pub pending: Option<u32>,
    /// The greatest epoch that was ever begun to be filled. What was given up of it is not gone on with.
    pub begun: u32,
    /// Whether it stands still until it is told to go on.
    pub paused: bool,
}

impl Parked {
    /// What waits.
    #[must_use]
    pub fn held(&self) -> Held {
        let stream = match self.scope {
            Scope::Stream => Some(self.stream.clone()),
            Scope::Tenant => None,
        };
        Held { tenant: self.tenant.clone(), stream }
    }

    /// What it is called by.
    #[must_use]
    pub fn id(&self) -> LetterId {
        match self.scope {
            Scope::Stream => LetterId::Event(self.position),
            Scope::Tenant => LetterId::Tenant(self.tenant.clone()),
        }
    }

    /// The stream by which it is stored, and that of the event, where it is another one.
    pub(crate) fn stored(&self) -> (&str, Option<&str>) {
        match self.scope {
            Scope::Stream => (self.stream.as_str(), None),
            Scope::Tenant => (WHOLE, Some(self.stream.as_str())),
        }
    }

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

impl Held {
    /// The stream by which it is stored.
    pub(crate) fn stored(&self) -> &str {
        self.stream.as_ref().map_or(WHOLE, StreamId::as_str)
    }
}

impl LetterId {
    /// The position or the tenant by which it is found.
    pub(crate) fn stored(&self) -> (Option<i64>, Option<&str>) {
        match self {
            Self::Event(position) => (Some(bound(position.get())), None),
            Self::Tenant(tenant) => (None, Some(tenant.as_str())),
        }
    }
}

impl From<Position> for LetterId {
    fn from(position: Position) -> Self {
        Self::Event(position)
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(position) => position.fmt(f),
            Self::Tenant(tenant) => write!(f, "{OF_TENANT}{tenant}"),
        }
    }
}

impl FromStr for LetterId {
    type Err = NoLetter;

    fn from_str(text: &str) -> Result<Self, NoLetter> {
        match text.strip_prefix(OF_TENANT) {
            Some(tenant) => TenantId::parse(tenant).map(Self::Tenant).map_err(|_| NoLetter),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                let position = text.parse().ok().filter(|position| i64::try_from(*position).is_ok());
                position.map(|position| Self::Event(Position::new(position))).ok_or(NoLetter)
            }
            None => Err(NoLetter),
        }
    }
}

/// A row of parked streams as an engine gives it: what they call a time is their own.
#[derive(sqlx::FromRow)]
pub(crate) struct Stored<T> {
    pub(crate) projection: String,
    pub(crate) tenant: String,
    pub(crate) stream: String,
    pub(crate) event_stream: Option<String>,
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
        let (scope, stream) = match self.event_stream {
            Some(of_event) if self.stream == WHOLE => (Scope::Tenant, of_event),
            _ => (Scope::Stream, self.stream),
        };
        let parked = Parked {
            scope,
            tenant: TenantId::parse(&self.tenant).map_err(|error| broken(&error))?,
            stream: StreamId::parse(&stream).map_err(|error| broken(&error))?,
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
    pub(crate) fn loaded((epoch, pending, paused, begun): (i64, Option<i64>, bool, i64)) -> Result<Self> {
        let number = |number: i64| {
            u32::try_from(number).map_err(|error| Error::corrupt("the states of projections", error.to_string()))
        };
        Ok(Self { epoch: number(epoch)?, pending: pending.map(number).transpose()?, begun: number(begun)?, paused })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_called_as_it_is_found() {
        let acme = TenantId::parse("acme").unwrap();
        for (text, id) in [("17", LetterId::Event(Position::new(17))), ("tenant:acme", LetterId::Tenant(acme))] {
            assert_eq!(text.parse::<LetterId>().unwrap(), id);
            assert_eq!(id.to_string(), text);
        }
        for text in ["", "x", "-1", "+1", "1.2", "tenant:", "tenant", "acme", "9223372036854775808"] {
            assert_eq!(text.parse::<LetterId>(), Err(NoLetter), "{text}");
        }
    }
}
