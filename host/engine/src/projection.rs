//! The projections: loops that follow the log and bring read models up to date.
//!
//! Each projection has a loop of its own. Rows and progress are committed together, so a projection that is killed at
//! any point goes on where it was, and shows every event once.

mod commit;
mod control;
mod journal;
mod memory;
mod overlay;
mod progress;
mod quarantine;
mod reader;
mod room;
mod row;
mod runner;
mod show;
mod status;
mod unique;
mod uses;
mod wanted;
mod watchdog;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use yado_model::{Digest, Position};
use yado_store::{EventStore, ReadStore};

use crate::Settings;
use crate::catalogue::{Catalogue, Deployed, ProjectionType};
use crate::changes::Changes;
use crate::feed::Feed;
use crate::vigil::Vigil;

pub(crate) use control::Handle;
pub use control::Replayed;
pub(crate) use quarantine::Count;
pub(crate) use room::Room;
pub(crate) use status::{Stage, Status, Trouble};
pub(crate) use uses::{Uses, Using, tables};
pub(crate) use wanted::{Waiting, Wanted};
pub(crate) use watchdog::{Pace, Watchdog};

/// What a projection's loop works with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) reads: Arc<dyn ReadStore>,
    pub(crate) settings: Arc<Settings>,
    /// The log, its newest events from memory.
    pub(crate) feed: Feed,
    /// Where projections tell what they change.
    pub(crate) changes: Changes,
    /// The tables that this process uses.
    pub(crate) uses: Uses,
    /// The room for rows in memory, for all projections together.
    pub(crate) room: Room,
    pub(crate) vigil: Vigil,
    /// Whether the engine is going down.
    pub(crate) stopped: watch::Receiver<bool>,
}

/// A running projection.
pub(crate) struct Running {
    definition: watch::Sender<Definition>,
    handle: Handle,
    wanted: Wanted,
    task: JoinHandle<()>,
    _using: Using,
}

/// What a projection does, and with whose events. A new version of the same plugin may take over in mid-run.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) projection: Arc<ProjectionType>,
    /// For the aggregates of other plugins, whose old events their own code brings up to date.
    pub(crate) catalogue: Arc<Catalogue>,
    /// Whether it may put streams aside. Code that is filled in the place of other code that serves is refused instead.
    pub(crate) parks: bool,
}

/// Why a projection does not get on.
enum Failure {
    /// The guest failed.
    Guest {
        /// The first event that may be to blame, where that is known: it fails at this one or at a later one.
        at: Option<Position>,
        /// Whether it is that very event at which the guest was.
        exact: bool,
        reason: String,
        /// Whose code failed, where it is not the projection's own.
        by: Option<Arc<Deployed>>,
    },
    /// The guest wants its events one by one.
    OneByOne,
    /// The guest writes without saying because of which event, and changes are to be told.
    Unattributed,
    Database(yado_store::Error),
    /// The host itself failed, or can't go on with this code.
    Host(String),
}

impl Surroundings {
    /// Makes the tables that a projection is to fill. That it uses them is said first, and again for as long as it takes, or
    /// others might drop them.
    pub(crate) async fn make_tables(&self, projection: &ProjectionType) -> yado_store::Result<()> {
        let _using = self.uses.begin(projection);
        self.uses.announce(projection).await?;
        for model in &projection.models {
            self.reads.ensure_table(&model.table).await?;
        }
        Ok(())
    }
}

impl Definition {
    /// The code that shows events.
    fn digest(&self) -> Digest {
        self.projection.deployed.digest()
    }
}

impl Failure {
    const fn guest(reason: String) -> Self {
        Self::Guest { at: None, exact: false, reason, by: None }
    }

    /// The failure, with the event at which the guest was, if it has said so.
    fn exactly(self, at: Option<Position>) -> Self {
        match self {
            Self::Guest { reason, by, .. } if at.is_some() => Self::Guest { at, exact: true, reason, by },
            other => other,
        }
    }

    /// The failure, with the first event that may be to blame.
    fn at(self, first: Option<Position>) -> Self {
        match self {
            Self::Guest { at: None, exact, reason, by } => Self::Guest { at: first, exact, reason, by },
            other => other,
        }
    }
}

impl From<yado_store::Error> for Failure {
    fn from(error: yado_store::Error) -> Self {
        match error {
            // What no engine can keep is what the guest has written, and another attempt would fail the same way.
            yado_store::Error::Invalid(reason) => Self::guest(reason),
            duplicate @ yado_store::Error::Duplicate { .. } => Self::guest(duplicate.to_string()),
            other => Self::Database(other),
        }
    }
}

impl Running {
    /// Starts the loop; the tables must be there. One that is paused stands until it is told to go on.
    pub(crate) fn start(definition: Definition, surroundings: Surroundings, paused: bool) -> Self {
        let name = definition.projection.manifest.name.to_string();
        let key = definition.projection.key.clone();
        let (definition, watched) = watch::channel(definition);
        let (report, status) = watch::channel(Status::begin(name));
        let (orders, received) = mpsc::channel(control::QUEUE);
        let (vigil, wanted) = (surroundings.vigil.clone(), Wanted::default());
        let told = surroundings.changes.open(&key);
        let _using = surroundings.uses.begin(&definition.borrow().projection);
        let runner = runner::Runner::new(watched, surroundings, told, report, wanted.clone(), received).paused(paused);
        let task = tokio::spawn(vigil.watch("a projection", runner.run()));
        Self { definition, handle: Handle { orders, status }, wanted, task, _using }
    }

    /// Gives the loop other code to go on with.
    pub(crate) fn replace(&self, definition: Definition) {
        self.definition.send_replace(definition);
    }

    /// How the loop stands, and news of it.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.handle.status().clone()
    }

    /// The way to the loop.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Where those who wait for the loop say so.
    pub(crate) fn wanted(&self) -> Wanted {
        self.wanted.clone()
    }

    /// Ends the loop after the step that it is at.
    pub(crate) async fn stop(self) {
        drop(self.definition);
        // A loop that broke has been noticed already.
        let _ = self.task.await;
    }
}
