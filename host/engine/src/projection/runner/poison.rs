//! An event that a projection can't be shown is put aside with its stream, so that the others go on.
//!
//! Guests are pure, and most that fail once fail again; what differs from one attempt to the next is the time that is left
//! to them, and what other code an event passes through. So an event has a few attempts with growing pauses between them.
//! Then the step that passes it keeps its dead letter, in the same transaction: at no time is an event neither shown nor
//! told of. Failures of the host or of a database are nobody's poison.
//!
//! All tenants wait for those attempts. So a tenant has them once: where the same code has put aside a stream of it
//! already, the next one follows at the first failure, and however many of them fail, the others hardly notice.
//!
//! Code that fails at everything must not put everything aside one by one. A tenant has so many streams, and with the next one
//! all of it is put aside, by one letter: nothing of it is lost, and no other tenant waits for it. Beyond a number of letters
//! of all tenants the projection stands: then it is the code that is broken.

use std::sync::Arc;

use yado_model::{Position, RecordedEvent, Timestamp};
use yado_store::{Checkpoint, Parked, Scope};

use super::{Runner, Work};
use crate::catalogue::Deployed;
use crate::projection::quarantine::Letters;
use crate::projection::{Definition, Failure};

/// An event that fails alone.
pub(super) struct Poison {
    pub(super) at: Position,
    pub(super) reason: String,
    /// Whose code failed, where it is not the projection's own.
    pub(super) by: Option<Arc<Deployed>>,
    pub(super) attempts: u32,
}

impl Runner {
    /// Whether more may be put aside. What is tried beside older code that serves is refused instead.
    pub(super) fn may_park(&self, definition: &Definition, work: &Work) -> bool {
        definition.parks && work.quarantine.len() < self.surroundings.settings.parked_letters as usize
    }

    /// What is put aside because of an event.
    pub(super) fn scope(&self, event: &RecordedEvent, work: &Work) -> Scope {
        let streams = work.quarantine.streams_of(&event.tenant);
        if streams < self.surroundings.settings.parked_streams as usize { Scope::Stream } else { Scope::Tenant }
    }

    /// Puts an event aside, with its stream, unless it is to be tried again. Nothing may be under way, and everything before
    /// it must be settled. Returns whether the loop may go on at once.
    pub(super) async fn park(
        &self,
        definition: &Definition,
        work: &mut Work,
        poison: &Poison,
    ) -> Result<bool, Failure> {
        let Some(chunk) = work.reader.next(1).await? else { return Ok(true) };
        let (Some(event), Some(end)) = (chunk.iter().next(), chunk.end()) else { return Ok(true) };
        if event.position != poison.at {
            // Another process has gone on meanwhile, or more has to be settled first.
            work.begin_at(work.settled);
            return Ok(true);
        }
        let code = poison.by.as_ref().unwrap_or(&definition.projection.deployed);
        if poison.attempts < self.surroundings.settings.poison_attempts
            && !work.quarantine.has_failed(code.digest(), &event.tenant)
        {
            work.begin_at(work.settled);
            return Ok(false);
        }
        let scope = self.scope(event, work);
        let parked = Parked {
            scope,
            tenant: event.tenant.clone(),
            stream: event.stream.clone(),
            position: event.position,
            revision: event.revision,
            event: event.event.name.clone(),
            version: event.event.version,
            error: poison.reason.clone(),
            plugin: code.manifest().name.clone(),
            plugin_version: code.manifest().version.clone(),
            digest: code.digest(),
            attempts: poison.attempts,
            at: Timestamp::now(),
        };
        tracing::error!(
            projection = %definition.projection.manifest.name, tenant = %parked.tenant, stream = %parked.stream,
            position = %parked.position, event = parked.event, plugin = parked.plugin, error = parked.error,
            waits = match scope {
                Scope::Stream => "its stream",
                Scope::Tenant => "all of its tenant, of which too many streams are parked",
            },
            "a projection can't be shown an event: what waits is parked until there is other code or \
             `yado dead-letters replay`, and all else goes on"
        );
        work.again.failed_at(&parked);
        work.shown = end;
        let to = Checkpoint { replays: work.committed.replays, ..end };
        self.send(definition, work, to, Letters { parked: vec![parked], ..Letters::default() });
        self.settle(work).await.map(|()| true)
    }
}
