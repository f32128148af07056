//! What the loop tells others of itself.

use yado_model::Position;

use super::{Runner, Work};
use crate::projection::quarantine::Quarantine;
use crate::projection::{Definition, Failure, Stage, Trouble};

impl Runner {
    /// Tells how far the projection has come.
    pub(super) fn reached(&self, work: &Work) {
        self.stands_at(work.settled.position, work.committed.position, &work.quarantine);
    }

    /// Tells that everything up to a position is shown, but for what waits, and where the checkpoint is.
    pub(super) fn stands_at(&self, position: Position, kept: Position, parked: &Quarantine) {
        let (mut gets_on, mut filled) = (false, false);
        self.report.send_if_modified(|status| {
            let before = (status.position, status.stage);
            gets_on = status.trouble.take().is_some();
            status.reach(position);
            filled = matches!(before.1, Stage::Anew { .. }) && status.stage == Stage::Following;
            let parks = status.parked != *parked;
            if parks {
                status.parked = parked.clone();
            }
            // Nobody waits for news of it.
            status.kept = kept;
            gets_on || parks || before != (status.position, status.stage)
        });
        // Whoever asks how it stands need not wait for the log.
        if gets_on {
            tracing::info!(projection = self.name(), %position, "a projection gets on again");
        }
        if filled {
            tracing::info!(projection = self.name(), %position, "a projection has been filled anew");
        }
    }

    /// What people call it.
    fn name(&self) -> String {
        self.report.borrow().name.clone()
    }

    /// Tells why the projection does not get on.
    pub(super) fn trouble(&self, definition: &Definition, seen: Position, failure: Failure) {
        if let Failure::Database(yado_store::Error::Rewound { seen }) = failure {
            self.surroundings.vigil.rewound(seen);
        }
        let trouble = match failure {
            Failure::Guest { at, reason, .. } => Trouble::Poisoned { at: at.unwrap_or_else(|| seen.plus(1)), reason },
            // The loop answers this by itself.
            Failure::OneByOne | Failure::Unattributed => return,
            Failure::Database(error) => Trouble::Database(error.to_string()),
            Failure::Host(reason) => Trouble::Host(reason),
        };
        let news = self.report.send_if_modified(|status| {
            let news = status.trouble.as_ref() != Some(&trouble);
            if news {
                status.trouble = Some(trouble.clone());
            }
            news
        });
        if news {
            let plugin = &definition.projection.deployed.manifest().name;
            tracing::error!(projection = self.name(), plugin, %trouble, "a projection does not get on");
        }
    }
}
