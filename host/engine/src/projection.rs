//! The projections: loops that follow the log and bring read models up to date.
//!
//! Each projection has a loop of its own. Rows and progress are committed together, so a projection that is killed at
//! any point goes on where it was, and shows every event once.

mod commit;
mod memory;
mod overlay;
mod reader;
mod room;
mod row;
mod runner;
mod show;
mod status;
mod wanted;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use yado_model::Position;
use yado_store::{EventStore, ReadStore};

use crate::Settings;
use crate::catalogue::{Catalogue, ProjectionType};
use crate::feed::Feed;
use crate::vigil::Vigil;

pub(crate) use room::Room;
pub(crate) use status::{Stage, Status, Trouble};
pub(crate) use wanted::Wanted;

/// What a projection's loop works with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) reads: Arc<dyn ReadStore>,
    pub(crate) settings: Arc<Settings>,
    /// The log, its newest events from memory.
    pub(crate) feed: Feed,
    /// The room for rows in memory, for all projections together.
    pub(crate) room: Room,
    pub(crate) vigil: Vigil,
    /// Whether the engine is going down.
    pub(crate) stopped: watch::Receiver<bool>,
}

/// A running projection.
pub(crate) struct Running {
    definition: watch::Sender<Definition>,
    status: watch::Receiver<Status>,
    wanted: Wanted,
    task: JoinHandle<()>,
}

/// What a projection does, and with whose events. A new version of the same plugin may take over in mid-run.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) projection: Arc<ProjectionType>,
    /// For the aggregates of other plugins, whose old events their own code brings up to date.
    pub(crate) catalogue: Arc<Catalogue>,
}

/// Why a projection does not get on.
enum Failure {
    /// The guest failed.
    Guest {
        /// The first event that may be to blame, where that is known: it fails at this one or at a later one.
        at: Option<Position>,
        reason: String,
    },
    /// The guest wants its events one by one.
    OneByOne,
    Database(yado_store::Error),
    /// The host itself failed, or can't go on with this code.
    Host(String),
}

impl Failure {
    const fn guest(reason: String) -> Self {
        Self::Guest { at: None, reason }
    }

    /// The failure, with the first event that may be to blame.
    fn at(self, first: Option<Position>) -> Self {
        match self {
            Self::Guest { at: None, reason } => Self::Guest { at: first, reason },
            other => other,
        }
    }
}

impl From<yado_store::Error> for Failure {
    fn from(error: yado_store::Error) -> Self {
        match error {
            // What no engine can keep is what the guest has written, and another attempt would fail the same way.
            yado_store::Error::Invalid(reason) => Self::guest(reason),
            other => Self::Database(other),
        }
    }
}

impl Running {
    /// Starts the loop; the tables must be there.
    pub(crate) fn start(definition: Definition, surroundings: Surroundings) -> Self {
        let name = definition.projection.manifest.name.to_string();
        let (definition, watched) = watch::channel(definition);
        let (report, status) = watch::channel(Status::begin(name));
        let (vigil, wanted) = (surroundings.vigil.clone(), Wanted::default());
        let runner = runner::Runner::new(watched, surroundings, report, wanted.clone());
        let task = tokio::spawn(vigil.watch("a projection", runner.run()));
        Self { definition, status, wanted, task }
    }

    /// Gives the loop other code to go on with.
    pub(crate) fn replace(&self, definition: Definition) {
        self.definition.send_replace(definition);
    }

    /// How the loop stands, and news of it.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
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
