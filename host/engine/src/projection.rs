//! The projections: loops that follow the log and bring read models up to date.
//!
//! Each projection has a loop of its own. Rows and progress are committed together, so a projection that is killed at
//! any point goes on where it was, and shows every event once.

mod overlay;
mod runner;
mod status;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use yado_model::Position;
use yado_store::{EventStore, ReadStore};

use crate::Settings;
use crate::catalogue::{Catalogue, ProjectionType};
use crate::vigil::Vigil;

pub(crate) use status::{Status, Trouble};

/// What a projection's loop works with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) events: Arc<dyn EventStore>,
    pub(crate) reads: Arc<dyn ReadStore>,
    pub(crate) settings: Arc<Settings>,
    /// The position of the last event, as far as this process knows.
    pub(crate) head: watch::Receiver<Position>,
    pub(crate) vigil: Vigil,
    /// Whether the engine is going down.
    pub(crate) stopped: watch::Receiver<bool>,
}

/// A running projection.
pub(crate) struct Running {
    definition: watch::Sender<Definition>,
    status: watch::Receiver<Status>,
    task: JoinHandle<()>,
}

/// What a projection does, and with whose events. A new version of the same plugin may take over in mid-run.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) projection: Arc<ProjectionType>,
    /// For the aggregates of other plugins, whose old events their own code brings up to date.
    pub(crate) catalogue: Arc<Catalogue>,
}

impl Running {
    /// Starts the loop; the tables must be there.
    pub(crate) fn start(definition: Definition, surroundings: Surroundings) -> Self {
        let name = definition.projection.manifest.name.to_string();
        let (definition, watched) = watch::channel(definition);
        let (report, status) = watch::channel(Status::begin(name));
        let vigil = surroundings.vigil.clone();
        let task = tokio::spawn(vigil.watch("a projection", runner::Runner::new(watched, surroundings, report).run()));
        Self { definition, status, task }
    }

    /// Gives the loop other code to go on with.
    pub(crate) fn replace(&self, definition: Definition) {
        self.definition.send_replace(definition);
    }

    /// How the loop stands, and news of it.
    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Ends the loop after the step that it is at.
    pub(crate) async fn stop(self) {
        drop(self.definition);
        // A loop that broke has been noticed already.
        let _ = self.task.await;
    }
}
