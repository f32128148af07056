//! From the log to a state.
//!
//! What a load reads is bounded by the distance between snapshots, however long the stream is: the snapshot is looked for
//! before any event is read. It is never trusted blindly. The log must have the very event that it was taken at, and the
//! guest must be able to read the state; if either is not so, the stream is folded from its first event.

use std::sync::Arc;

use uuid::Uuid;
use yado_model::{CommandId, NewEvent, Position, RecordedEvent, Revision, TenantId};
use yado_store::{EventStore, Snapshot, StreamPage};

use super::StreamKey;
use super::figures::Figures;
use super::pieces::{self, Failed};
use super::upcast::upcast;
use crate::catalogue::AggregateType;
use crate::error::fault;
use crate::{Error, Result};

/// Where a stream stands: the state after an event, and which event that was.
#[derive(Debug, Clone)]
pub(crate) struct Tip {
    /// The state; none if there is no such thing, or none any more.
    pub(crate) state: Option<Arc<[u8]>>,
    /// How many events the stream has.
    pub(crate) revision: Revision,
    /// The position of the last one.
    pub(crate) position: Position,
    /// The command that the last one came of. A history that is no more may have had another event there.
    pub(crate) command: CommandId,
}

/// Before the first event.
impl Default for Tip {
    fn default() -> Self {
        Self { state: None, revision: Revision::ZERO, position: Position::ZERO, command: CommandId(Uuid::nil()) }
    }
}

impl Tip {
    /// The tip at an event.
    fn at(event: &RecordedEvent, state: Option<Arc<[u8]>>) -> Self {
        Self { state, revision: event.revision, position: event.position, command: event.command.command_id }
    }

    /// Bytes of the state.
    pub(super) fn size(&self) -> usize {
        self.state.as_ref().map_or(0, |state| state.len())
    }
}

/// A stream that was read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) tip: Tip,
    /// How many events were folded to come to it.
    pub(super) folded: u64,
}

/// What a load works with.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) store: Arc<dyn EventStore>,
    pub(super) figures: Figures,
    /// Events that are read at once.
    pub(super) page: u32,
}

impl Loader {
    /// Brings a stream from a tip to where the log has it. Nothing is known of a stream whose tip is that before its first
    /// event; of one that another process has moved on, the tail is read.
    pub(super) async fn load(&self, aggregate: &AggregateType, key: &StreamKey, from: Tip) -> Result<Loaded> {
        if from.revision == Revision::ZERO
            && let Some(loaded) = self.snapshot(aggregate, key, Revision::ZERO).await?
        {
            return Ok(loaded);
        }
        let (tip, more) = self.page(aggregate, key, &from).await?;
        // A tail that is longer than a page may have a snapshot in it.
        if more
            && from.revision > Revision::ZERO
            && let Some(loaded) = self.snapshot(aggregate, key, tip.revision).await?
        {
            return Ok(loaded);
        }
        self.rest(aggregate, key, from.revision, tip, more).await
    }

    /// Starts from the latest snapshot that this code can read, if there is a sound one that is later than what is known.
    async fn snapshot(&self, aggregate: &AggregateType, key: &StreamKey, known: Revision) -> Result<Option<Loaded>> {
        let found = self.store.snapshot(&key.tenant, &key.stream, aggregate.state_encoding()).await?;
        let Some(snapshot) = found.filter(|snapshot| snapshot.revision > known) else { return Ok(None) };
        let revision = snapshot.revision;
        let reason = match self.on_top(aggregate, key, snapshot).await {
            Ok(Ok(loaded)) => {
                self.figures.loaded(0, true);
                return Ok(Some(loaded));
            }
            Ok(Err(reason)) => reason,
            // If it is not the snapshot that is to blame, the fold from the first event fails as well.
            Err(Error::PluginFault { .. }) => "the plugin failed on it",
            Err(error) => return Err(error),
        };
        tracing::warn!(
            tenant = %key.tenant, stream = %key.stream, %revision,
            "a snapshot is left aside, and the stream is folded from its first event: {reason}"
        );
        Ok(None)
    }

    /// Folds what the log has after a snapshot. The event that it was taken at is read along with those behind it: that
    /// it is there, and came of the same command, shows that the snapshot is one of this log; and it says where in the log
    /// the state stands.
    async fn on_top(
        &self,
        aggregate: &AggregateType,
        key: &StreamKey,
        snapshot: Snapshot,
    ) -> Result<Result<Loaded, &'static str>> {
        let before = Revision::new(snapshot.revision.get() - 1);
        let StreamPage { events: mut recorded, more } =
            self.store.read_stream(&key.tenant, &key.stream, before, self.page).await?;
        self.figures.loaded(recorded.len(), false);
        if recorded.is_empty() {
            return Ok(Err("the log does not have the event that it was taken at"));
        }
        let at = recorded.remove(0);
        if at.command.command_id != snapshot.command {
            return Ok(Err("the log has another event than the one that it was taken at"));
        }
        let state = snapshot.state.as_deref();
        let tip = match recorded.last().map(|last| Tip::at(last, None)) {
            Some(last) => Tip { state: fold(aggregate, &key.tenant, state, &events(aggregate, recorded)?)?, ..last },
            // Nothing to fold: then this call is the one that shows whether the guest can read the state.
            None => {
                let read = reread(aggregate, &key.tenant, state)?;
                if read.is_some() != state.is_some() {
                    return Ok(Err("the plugin makes nothing of its state"));
                }
                Tip::at(&at, read)
            }
        };
        self.rest(aggregate, key, snapshot.revision, tip, more).await.map(Ok)
    }

    /// Folds pages for as long as there are more.
    async fn rest(
        &self,
        aggregate: &AggregateType,
        key: &StreamKey,
        from: Revision,
        mut tip: Tip,
        mut more: bool,
    ) -> Result<Loaded> {
        while more {
            (tip, more) = self.page(aggregate, key, &tip).await?;
        }
        let folded = tip.revision.get().saturating_sub(from.get());
        Ok(Loaded { tip, folded })
    }

    /// Folds one page, and says whether there may be more behind it.
    async fn page(&self, aggregate: &AggregateType, key: &StreamKey, from: &Tip) -> Result<(Tip, bool)> {
        let StreamPage { events: recorded, more } =
            self.store.read_stream(&key.tenant, &key.stream, from.revision, self.page).await?;
        self.figures.loaded(recorded.len(), false);
        let Some(last) = recorded.last().map(|last| Tip::at(last, None)) else {
            return Ok((from.clone(), false));
        };
        let state = fold(aggregate, &key.tenant, from.state.as_deref(), &events(aggregate, recorded)?)?;
        Ok((Tip { state, ..last }, more))
    }
}

/// What the events of a page are to this code.
fn events(aggregate: &AggregateType, recorded: Vec<RecordedEvent>) -> Result<Vec<NewEvent>> {
    Ok(upcast(aggregate, recorded)?.into_iter().map(|recorded| recorded.event).collect())
}

/// Folds events, in pieces that fit a call.
fn fold(
    aggregate: &AggregateType,
    tenant: &TenantId,
    state: Option<&[u8]>,
    events: &[NewEvent],
) -> Result<Option<Arc<[u8]>>> {
    let (plugin, name) = (&aggregate.deployed.plugin, aggregate.manifest.name.as_str());
    let mut state: Option<Vec<u8>> = state.map(<[u8]>::to_vec);
    let folded = pieces::each(events, |piece| {
        state = plugin.evolve(tenant, name, state.as_deref(), piece)?;
        Ok(())
    });
    folded.map_err(|Failed { fault: broken, .. }| fault(&broken))?;
    Ok(state.map(Into::into))
}

/// Has a state read and written by the guest.
fn reread(aggregate: &AggregateType, tenant: &TenantId, state: Option<&[u8]>) -> Result<Option<Arc<[u8]>>> {
    let (plugin, name) = (&aggregate.deployed.plugin, aggregate.manifest.name.as_str());
    let Some(state) = state else { return Ok(None) };
    let read = plugin.evolve(tenant, name, Some(state), &[]).map_err(|broken| fault(&broken))?;
    Ok(read.map(Into::into))
}
