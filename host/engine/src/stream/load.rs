//! From the log to a state.

use std::sync::Arc;

use yado_model::{NewEvent, Position, RecordedEvent, Revision, TenantId};
use yado_runtime::FaultKind;
use yado_store::EventStore;

use super::StreamKey;
use crate::catalogue::AggregateType;
use crate::error::fault;
use crate::{Error, Result};

/// Events of one call to fold. A guest has a deadline for a call, and a stream may be of any length.
const FOLDED_EVENTS: usize = 250;
/// Bytes of payload of one call to fold, unless one event alone has more.
const FOLDED_BYTES: usize = 512 * 1024;

/// Where a stream stands: the state after an event, and which event that was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tip {
    /// The state; none if there is no such thing, or none any more.
    pub(crate) state: Option<Arc<[u8]>>,
    /// How many events the stream has.
    pub(crate) revision: Revision,
    /// The position of the last one.
    pub(crate) position: Position,
}

/// Folds what the log has of a stream after a tip, page by page. A stream that has more than a page to fold is looked for
/// among the snapshots first.
pub(super) async fn load(
    store: Arc<dyn EventStore>,
    aggregate: Arc<AggregateType>,
    key: StreamKey,
    from: Tip,
    page: u32,
) -> Result<Tip> {
    let mut tip = from;
    let mut looked_for_snapshot = false;
    loop {
        let mut recorded = store.read_stream(&key.tenant, &key.stream, tip.revision, page).await?;
        let full = recorded.len() >= page as usize;
        if full && !looked_for_snapshot {
            looked_for_snapshot = true;
            if let Some(later) = snapshot(&store, &aggregate, &key, tip.revision).await? {
                tip = later;
                continue;
            }
        }
        let Some(last) = recorded.last() else { return Ok(tip) };
        let (revision, position) = (last.revision, last.position);
        if !recorded.iter().all(|recorded| is_current(&aggregate, &recorded.event)) {
            recorded = upcast(&aggregate, recorded)?;
        }
        let events: Vec<NewEvent> = recorded.into_iter().map(|recorded| recorded.event).collect();
        let state = fold(&aggregate, &key.tenant, tip.state.as_deref(), &events)?;
        tip = Tip { state, revision, position };
        if !full {
            return Ok(tip);
        }
    }
}

/// The latest snapshot that this code can read, if it is later than what is known.
async fn snapshot(
    store: &Arc<dyn EventStore>,
    aggregate: &AggregateType,
    key: &StreamKey,
    known: Revision,
) -> Result<Option<Tip>> {
    let found = store.snapshot(&key.tenant, &key.stream, &aggregate.state_encoding()).await?;
    let Some(snapshot) = found.filter(|snapshot| snapshot.revision > known) else { return Ok(None) };
    // The event that it was taken at says where in the log it stands. A snapshot of a revision that the log does not
    // have is not one of this log.
    let before = Revision::new(snapshot.revision.get() - 1);
    let event = store.read_stream(&key.tenant, &key.stream, before, 1).await?.pop();
    Ok(event.map(|event| Tip {
        state: snapshot.state.map(Into::into),
        revision: snapshot.revision,
        position: event.position,
    }))
}

/// Folds events in pieces that fit a call. A piece that does not is halved, for as long as that is possible.
fn fold(
    aggregate: &AggregateType,
    tenant: &TenantId,
    state: Option<&[u8]>,
    events: &[NewEvent],
) -> Result<Option<Arc<[u8]>>> {
    let (plugin, name) = (&aggregate.deployed.plugin, aggregate.manifest.name.as_str());
    let mut state: Option<Vec<u8>> = state.map(<[u8]>::to_vec);
    let mut rest = events;
    let mut most = FOLDED_EVENTS;
    while !rest.is_empty() {
        let piece = piece(rest, most);
        match plugin.evolve(tenant, name, state.as_deref(), &rest[..piece]) {
            Ok(next) => {
                state = next;
                rest = &rest[piece..];
            }
            Err(error) if piece > 1 && is_overrun(error.kind) => most = piece / 2,
            Err(error) => return Err(fault(&error)),
        }
    }
    Ok(state.map(Into::into))
}

/// How many of the first events make one call.
fn piece(events: &[NewEvent], most: usize) -> usize {
    let mut bytes = 0;
    let fitting = events.iter().take(most).take_while(|event| {
        bytes += event.payload.len();
        bytes <= FOLDED_BYTES
    });
    fitting.count().max(1)
}

/// Whether fewer events might have done.
const fn is_overrun(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Deadline | FaultKind::Memory | FaultKind::Fuel | FaultKind::Output)
}

fn is_current(aggregate: &AggregateType, event: &NewEvent) -> bool {
    aggregate.event_version(&event.name) == Some(event.version)
}

/// Brings events of older versions to those that the code reads. One event may become several, or none.
///
/// # Errors
/// When an event is newer than the code: another version of the plugin runs by now, or has run.
pub(crate) fn upcast(aggregate: &AggregateType, recorded: Vec<RecordedEvent>) -> Result<Vec<RecordedEvent>> {
    let mut brought = Vec::with_capacity(recorded.len());
    for recorded in recorded {
        if is_current(aggregate, &recorded.event) {
            brought.push(recorded);
            continue;
        }
        // What replaces a version of a plugin knows all its events. So one that is not known here is a newer one's.
        if aggregate.event_version(&recorded.event.name).is_none_or(|version| version < recorded.event.version) {
            return Err(Error::Superseded {
                plugin: aggregate.deployed.manifest().name.clone(),
                event: format!("{} version {}", recorded.event.name, recorded.event.version),
                position: recorded.position,
            });
        }
        let events = aggregate
            .deployed
            .plugin
            .upcast(&recorded.tenant, aggregate.manifest.name.as_str(), &recorded.event)
            .map_err(|error| fault(&error))?;
        brought.extend(events.into_iter().map(|event| RecordedEvent { event, ..recorded.clone() }));
    }
    Ok(brought)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: usize) -> NewEvent {
        NewEvent { name: "Counted".into(), version: 1, payload: "x".repeat(bytes), tags: Vec::new() }
    }

    #[test]
    fn a_piece_has_as_many_events_as_fit_and_at_least_one() {
        assert_eq!(piece(&vec![event(10); 1_000], FOLDED_EVENTS), FOLDED_EVENTS);
        assert_eq!(piece(&vec![event(FOLDED_BYTES / 4); 10], FOLDED_EVENTS), 4);
        assert_eq!(piece(&[event(FOLDED_BYTES * 2), event(1)], FOLDED_EVENTS), 1);
        assert_eq!(piece(&vec![event(10); 10], 3), 3);
    }
}
