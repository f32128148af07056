//! What an operator asks of the engine about its projections.

use std::sync::Arc;
use std::time::Duration;

use yado_model::schema::Problem;
use yado_model::{Name, Position, RecordedEvent, Revision};
use yado_store::limits::LONGEST_PAGE;
use yado_store::{self as store, LetterId, Parked};

use super::Engine;
use crate::catalogue::ProjectionType;
use crate::projection::{Count, Handle, Pace, Replayed, Stage, Status};
use crate::{Error, Result};

/// When it is worth asking again for what a projection has not come to.
const AGAIN_MS: u64 = 1_000;

/// An event that a projection can't be shown. Its stream waits, or all of its tenant, and all else goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The projection.
    pub projection: String,
    /// The event, and what went wrong.
    pub parked: Parked,
}

/// How a projection stands, for the operator.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectionStatus {
    /// Its name.
    pub name: String,
    /// The name under which its progress is kept: whose it is, and which of its tables it fills.
    pub key: String,
    /// What it is doing.
    pub state: ProjectionState,
    /// So many events of the log are done.
    pub position: Position,
    /// Of so many.
    pub target: Position,
    /// Events a second, of late.
    pub rate: f64,
    /// The time left at that rate. None, if it does not get on.
    pub left_ms: Option<u64>,
    /// Streams that wait.
    pub parked: usize,
    /// Tenants of which everything waits.
    pub parked_tenants: usize,
    /// Why it does not get on, in the words of whoever knows: they are for the operator alone.
    pub trouble: Option<String>,
}

/// What a projection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectionState {
    /// It serves, and follows the log.
    Live,
    /// It goes through the log, and serves when it is through.
    Filling,
    /// It stands still, because an operator has told it to.
    Paused,
    /// It fails, and goes on trying.
    Standing,
    /// It has events to show, and does not get on.
    Stalled,
}

impl ProjectionState {
    /// The state as programs know it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Filling => "filling",
            Self::Paused => "paused",
            Self::Standing => "standing",
            Self::Stalled => "stalled",
        }
    }
}

impl Engine {
    /// How the projections stand that serve, and those that are filled to serve in their place.
    #[must_use]
    pub fn projections(&self) -> Vec<ProjectionStatus> {
        let head = *self.feed.head().borrow();
        let live = self.lifecycle.live_statuses().into_iter().map(|known| (known, ProjectionState::Live));
        let filling = self.lifecycle.filling().into_iter().map(|known| (known, ProjectionState::Filling));
        let all = live.chain(filling).map(|((key, status), state)| self.stands(&key, status, state, head));
        let mut all: Vec<_> = all.collect();
        all.sort_by(|one, other| one.key.cmp(&other.key));
        all
    }

    fn stands(&self, key: &str, status: Status, state: ProjectionState, head: Position) -> ProjectionStatus {
        let Pace { stalled, rate } = self.watchdog.pace(key);
        let Status { name, position, stage, parked, paused, trouble, .. } = status;
        let target = head.max(position);
        let state = match stage {
            _ if paused => ProjectionState::Paused,
            _ if trouble.is_some() => ProjectionState::Standing,
            _ if stalled => ProjectionState::Stalled,
            Stage::Anew { .. } => ProjectionState::Filling,
            Stage::Unknown | Stage::Following => state,
        };
        let left = u32::try_from(target.get() - position.get()).unwrap_or(u32::MAX);
        let left = Duration::try_from_secs_f64(f64::from(left) / rate).ok().filter(|_| left == 0 || rate > 0.0);
        let left_ms = if target == position { Some(0) } else { left.map(|left| left.as_millis() as u64) };
        let trouble = trouble.map(|trouble| trouble.to_string());
        let Count { streams: parked, tenants: parked_tenants } = parked.count();
        let key = key.to_owned();
        ProjectionStatus { name, key, state, position, target, rate, left_ms, parked, parked_tenants, trouble }
    }

    /// Has a projection stand still until it is told to go on, also beyond a restart. While its tables are filled anew, it
    /// is that which stands still.
    ///
    /// # Errors
    /// When there is no such projection, or the database can't be used.
    pub async fn pause(&self, projection: &str) -> Result<()> {
        self.stand_still(projection, true).await
    }

    /// Has a projection go on that stands still.
    ///
    /// # Errors
    /// As [`Self::pause`].
    pub async fn resume(&self, projection: &str) -> Result<()> {
        self.stand_still(projection, false).await
    }

    /// Fills a projection's tables anew, beside those that serve, and puts them in their place when they show as much. It
    /// is noted for good when this returns: what can't be begun at once, because a database fails, is begun before long, and
    /// after a restart it goes on.
    ///
    /// Tables that lack streams which those that serve show do not take their place. The status says so.
    ///
    /// # Errors
    /// When there is no such projection, when it is paused or being rebuilt, or the database can't be used.
    pub async fn rebuild(&self, projection: &str) -> Result<()> {
        self.lifecycle.rebuild(self.known(projection)?.manifest.name.clone()).await
    }

    /// Gives up filling a projection's tables anew, for every process. The tables that serve go on, and the others are
    /// dropped. Where new code fills them that is to go live here, its deployment is given up.
    ///
    /// # Errors
    /// When there is no such projection, when its tables are not being filled, or the database can't be used.
    pub async fn cancel_rebuild(&self, projection: &str) -> Result<()> {
        // One that is filled for the first time is not in the catalogue yet.
        let name = Name::parse(projection);
        let name = name.map_err(|_| Error::Unknown { kind: "projection", name: projection.to_owned() })?;
        self.lifecycle.cancel(name).await
    }

    async fn stand_still(&self, name: &str, paused: bool) -> Result<()> {
        let projection = self.known(name)?;
        let plugin = &projection.deployed.manifest().name;
        let state = loop {
            let state = self.reads.projection_state(plugin, name).await?;
            let to = store::ProjectionState { paused, ..state };
            // Somebody else may have changed it since it was read.
            if state == to || self.reads.set_projection_state(plugin, name, &state, &to).await? {
                break to;
            }
        };
        let handle = match state.pending {
            Some(_) => self.lifecycle.rebuilt_by(name),
            None => self.projection(name).map(|(_, handle)| handle),
        };
        // Where it runs in another process alone, that one sees to it.
        let Some(handle) = handle else { return Ok(()) };
        let limit_ms = self.ground.settings.command_ms;
        let heeded = tokio::time::timeout(Duration::from_millis(limit_ms), handle.pause(paused)).await;
        heeded.map(|_| ()).map_err(|_| Error::Unavailable {
            reason: format!("projection {name} has not come to it within {limit_ms} ms, and still will"),
            retry_after_ms: AGAIN_MS,
        })
    }

    fn known(&self, name: &str) -> Result<Arc<ProjectionType>> {
        let catalogue = self.catalogue();
        let found = catalogue.projections().find(|projection| projection.manifest.name.as_str() == name);
        found.cloned().ok_or(Error::Unknown { kind: "projection", name: name.to_owned() })
    }

    /// The dead letters of the projections that are live, at most so many: those of each in the order of their events.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        let mut projections: Vec<_> = self.lifecycle.handles().into_iter().collect();
        projections.sort_by_cached_key(|(_, handle)| handle.name());
        for (key, handle) in projections {
            let rest = limit.saturating_sub(u32::try_from(letters.len()).unwrap_or(u32::MAX));
            if rest == 0 {
                break;
            }
            let parked = self.reads.parked(Some(&key), rest.min(LONGEST_PAGE)).await?;
            let projection = handle.name();
            letters.extend(parked.into_iter().map(|(_, parked)| DeadLetter { projection: projection.clone(), parked }));
        }
        Ok(letters)
    }

    /// A dead letter of a projection that is live, and the event at which that has failed.
    ///
    /// # Errors
    /// When there is no such dead letter, or a database can't be read.
    pub async fn dead_letter(&self, projection: &str, id: &LetterId) -> Result<(DeadLetter, RecordedEvent)> {
        let (_, parked) = self.parked(projection, id).await?;
        let before = Revision::new(parked.revision.get().saturating_sub(1));
        let page = self.events.read_stream(&parked.tenant, &parked.stream, before, 1).await?;
        let event = page.events.into_iter().next().ok_or_else(|| unknown(projection, id))?;
        Ok((DeadLetter { projection: projection.to_owned(), parked }, event))
    }

    /// Shows a projection again what waits with a dead letter, from the event that failed on.
    ///
    /// # Errors
    /// When there is no such dead letter, or the projection does not come to it in time.
    pub async fn replay(&self, projection: &str, id: &LetterId) -> Result<Replayed> {
        let (handle, parked) = self.parked(projection, id).await?;
        if handle.status().borrow().paused {
            let message = "is paused: resume it first".to_owned();
            let problems = vec![Problem { path: Vec::new(), message }];
            return Err(Error::BadInput { what: format!("projection {projection}"), problems });
        }
        let limit_ms = self.ground.settings.command_ms;
        let replayed = handle.replay(parked.held());
        let unavailable = |reason| Error::Unavailable { reason, retry_after_ms: AGAIN_MS };
        let replayed = tokio::time::timeout(Duration::from_millis(limit_ms), replayed).await.map_err(|_| {
            unavailable(format!(
                "projection {projection} has not come through it within {limit_ms} ms, and still will: look at the \
                 dead letters later"
            ))
        })?;
        replayed.ok_or_else(|| unavailable(format!("projection {projection} has ended: other code has come")))
    }

    async fn parked(&self, projection: &str, id: &LetterId) -> Result<(Handle, Parked)> {
        let found = self.projection(projection);
        let (key, handle) = found.ok_or(Error::Unknown { kind: "projection", name: projection.to_owned() })?;
        let found = self.reads.letter(&key, id).await?;
        Ok((handle, found.ok_or_else(|| unknown(projection, id))?))
    }

    /// A projection that is live, by its name.
    fn projection(&self, name: &str) -> Option<(Arc<str>, Handle)> {
        self.lifecycle.handles().into_iter().find(|(_, handle)| handle.name() == name)
    }
}

fn unknown(projection: &str, id: &LetterId) -> Error {
    Error::NotFound { kind: "dead letter".into(), id: format!("{projection}:{id}") }
}
