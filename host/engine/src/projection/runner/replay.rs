//! Streams that were put aside are taken up again: because an operator says so, or because other code has come.
//!
//! What waits of a stream is shown in its order, one event after the other, up to where the rest of the projection stands;
//! from there on the stream goes along with the others. Rows, and what is told of the stream, go down together and leave
//! the checkpoint where it is, but for the count of replays: whoever else has the projection's rows in memory finds by it
//! that they have changed. A long stream is taken up in portions, and its dead letter moves on with them.

use tokio::sync::oneshot;
use yado_model::{RecordedEvent, StreamId, TenantId, Timestamp};
use yado_store::{Checkpoint, Parked};

use super::{Runner, Work};
use crate::projection::control::Replayed;
use crate::projection::journal::Telling;
use crate::projection::quarantine::{Letters, Quarantine};
use crate::projection::reader::Chunk;
use crate::projection::{Definition, Failure};

/// A stream that an operator wants to be taken up again.
pub(super) struct Asked {
    pub(super) tenant: TenantId,
    pub(super) stream: StreamId,
    pub(super) reply: oneshot::Sender<Replayed>,
}

/// Events of a stream that wait.
struct Portion {
    events: Vec<RecordedEvent>,
    /// What waits behind them.
    rest: Option<RecordedEvent>,
}

impl Runner {
    /// Takes up a stream again, if one is to be. Returns whether there was one.
    pub(super) async fn take_up(&mut self, definition: &Definition, work: &mut Work) -> Result<bool, Failure> {
        let Some(asked) = self.asked.first() else { return self.take_up_with_other_code(definition, work).await };
        if work.quarantine.get(&asked.tenant, &asked.stream).is_none() {
            // Another process may have put it aside.
            work.quarantine = Quarantine::load(&*self.surroundings.reads, &definition.projection.key).await?;
        }
        if let Some(parked) = work.quarantine.get(&asked.tenant, &asked.stream).cloned()
            && !self.replay(definition, work, parked).await?
        {
            return Ok(true);
        }
        let Asked { tenant, stream, reply } = self.asked.remove(0);
        let still = work.quarantine.get(&tenant, &stream).cloned();
        // Whoever asked may have gone.
        let _ = reply.send(still.map_or(Replayed::Shown, |parked| Replayed::Parked(Box::new(parked))));
        Ok(true)
    }

    /// Code that has not failed at a stream may get on with it.
    async fn take_up_with_other_code(&self, definition: &Definition, work: &mut Work) -> Result<bool, Failure> {
        if !definition.parks {
            return Ok(false);
        }
        let is_other = |parked: &Parked| {
            definition.catalogue.plugin(&parked.plugin).is_some_and(|code| code.digest() != parked.digest)
        };
        let Some(parked) = work.quarantine.first(is_other).cloned() else { return Ok(false) };
        self.replay(definition, work, parked).await?;
        Ok(true)
    }

    /// Shows what waits of a stream. Returns whether it has come to an end with it, be it a good one or not.
    async fn replay(&self, definition: &Definition, work: &mut Work, mut parked: Parked) -> Result<bool, Failure> {
        self.settle_all(definition, work).await?;
        let mut most = self.surroundings.settings.batch.max(1);
        while !self.definition.has_changed().unwrap_or(true) {
            let place = work.committed;
            let Portion { events, rest } = self.portion(definition, &parked, place, most).await?;
            let (letter, is_end) = match self.show_again(definition, work, &events).await {
                Ok(()) => (rest.as_ref().map(|event| moved_on(&parked, event)), rest.is_none()),
                Err((shown, failure)) => {
                    work.begin_at(work.settled);
                    match (events.get(shown), failure) {
                        (_, Failure::OneByOne) if most > 1 => {
                            most = 1;
                            continue;
                        }
                        // What can be shown is kept, and then this one comes first.
                        (Some(_), Failure::Guest { .. }) if shown > 0 => {
                            most = u32::try_from(shown).unwrap_or(1);
                            continue;
                        }
                        (Some(event), failure @ Failure::Guest { .. }) => {
                            (Some(failed_again(definition, &parked, event, failure)), true)
                        }
                        (_, failure) => return Err(failure),
                    }
                }
            };
            let to = Checkpoint { replays: place.replays + 1, ..place };
            let released = (parked.tenant.clone(), parked.stream.clone());
            let letters = match &letter {
                Some(letter) => Letters { parked: vec![letter.clone()], ..Letters::default() },
                None => Letters { released: vec![released], ..Letters::default() },
            };
            self.send(definition, work, to, letters);
            self.settle(work).await?;
            if work.committed != to {
                // Another process has been there, and what is still to be done is known by now.
                return Ok(false);
            }
            let (projection, tenant, stream) = (&definition.projection.manifest.name, &parked.tenant, &parked.stream);
            match letter {
                Some(letter) if is_end => {
                    let (position, error) = (letter.position, &letter.error);
                    tracing::warn!(%projection, %tenant, %stream, %position, error, "a stream stays parked");
                    return Ok(true);
                }
                Some(letter) => parked = letter,
                None => {
                    tracing::info!(%projection, %tenant, %stream, "a stream that was parked is shown again");
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What waits of a stream up to a place: some of it, as far as it concerns the projection, and what comes behind that.
    async fn portion(
        &self,
        definition: &Definition,
        parked: &Parked,
        place: Checkpoint,
        most: u32,
    ) -> Result<Portion, Failure> {
        let Parked { tenant, stream, revision, .. } = parked;
        let before = yado_model::Revision::new(revision.get().saturating_sub(1));
        let log = &self.surroundings.events;
        let mut page = log.read_stream(tenant, stream, before, most).await?;
        let read = page.events.len();
        page.events.retain(|event| event.position <= place.position);
        let rest = match page.events.last() {
            Some(last) if page.more && page.events.len() == read => {
                let behind = log.read_stream(tenant, stream, last.revision, 1).await?.events.into_iter().next();
                behind.filter(|event| event.position <= place.position)
            }
            _ => None,
        };
        page.events.retain(|event| definition.projection.listens_to(event));
        Ok(Portion { events: page.events, rest })
    }

    /// Shows events one by one. If one can't be shown, says how many can, and why that one can't.
    async fn show_again(
        &self,
        definition: &Definition,
        work: &mut Work,
        events: &[RecordedEvent],
    ) -> Result<(), (usize, Failure)> {
        for (shown, event) in events.iter().enumerate() {
            let chunk = Chunk::of(vec![event.clone()]);
            // Whoever listens is past these events, and is told to read anew.
            let asked = self.ask(definition, chunk, work, Quarantine::default(), Telling::Off).await;
            asked.map_err(|failure| (shown, failure))?;
        }
        Ok(())
    }
}

/// The dead letter of a stream that has been taken up in part.
fn moved_on(parked: &Parked, event: &RecordedEvent) -> Parked {
    Parked {
        position: event.position,
        revision: event.revision,
        event: event.event.name.clone(),
        version: event.event.version,
        ..parked.clone()
    }
}

/// The dead letter of a stream that can't be shown by this code either.
fn failed_again(definition: &Definition, parked: &Parked, event: &RecordedEvent, failure: Failure) -> Parked {
    let (reason, by) = match failure {
        Failure::Guest { reason, by, .. } => (reason, by),
        _ => (parked.error.clone(), None),
    };
    let code = by.as_ref().unwrap_or(&definition.projection.deployed);
    Parked {
        error: reason,
        plugin: code.manifest().name.clone(),
        plugin_version: code.manifest().version.clone(),
        digest: code.digest(),
        attempts: parked.attempts.saturating_add(1),
        at: Timestamp::now(),
        ..moved_on(parked, event)
    }
}
