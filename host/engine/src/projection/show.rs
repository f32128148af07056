//! Shows events to a projection's guest.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use yado_model::{Name, RecordedEvent, TenantId};
use yado_store::ReadStore;

use super::journal::Telling;
use super::memory::Memory;
use super::overlay::{Left, Overlay};
use super::quarantine::Quarantine;
use super::reader::Chunk;
use super::{Definition, Failure};
use crate::Error;
use crate::catalogue::{AggregateType, ProjectionType};
use crate::stream::upcast;

/// Shows events to the guest, tenant by tenant, but for those of streams that are held back, and gathers what it writes.
/// After a failure, what was gathered is of no use any more; still it is all in memory, so that nobody takes what was shown
/// for what left nothing behind.
///
/// The guest may compute for seconds, and may read the database on the way: this blocks.
pub(super) fn show(
    definition: &Definition,
    chunk: &Chunk,
    held: &Quarantine,
    telling: Telling,
    memory: &mut Memory,
    reads: &Arc<dyn ReadStore>,
    runtime: &Handle,
) -> Result<(), Failure> {
    let projection = &definition.projection;
    let mut tenants: BTreeMap<&TenantId, Vec<&RecordedEvent>> = BTreeMap::new();
    for event in chunk.iter().filter(|event| projection.listens_to(event) && !held.holds(event)) {
        tenants.entry(&event.tenant).or_default().push(event);
    }
    let mut changes = Vec::new();
    for (tenant, events) in tenants {
        let events = bring_up_to_date(definition, events)?;
        // What has become of one old event is shown in one call however many events it is: the log has no place between
        // them to which the tables could be brought. A guest that searches finds the rows as they were before the old one.
        let together =
            |a: &Cow<'_, RecordedEvent>, b: &Cow<'_, RecordedEvent>| !telling.apart || a.position == b.position;
        let mut soon = events.as_slice();
        for events in events.chunk_by(together) {
            let (models, reads, runtime) = (&projection.models, reads.clone(), runtime.clone());
            let positions = events.iter().map(|event| event.position).collect();
            let rows = memory.take(tenant);
            let overlay = Overlay::new(models, tenant.clone(), rows, reads, runtime, positions, telling.told);
            let (overlay, outcome) = call(projection, tenant, events, std::mem::take(&mut soon), overlay);
            let Left { rows, changes: mut of_call, strokes } = overlay.finish();
            memory.put(rows);
            memory.strike(strokes);
            outcome?;
            changes.append(&mut of_call);
        }
    }
    memory.tell(changes);
    Ok(())
}

/// One call of the guest. What is to be shown soon is for fetching rows that it is likely to ask for.
fn call(
    projection: &ProjectionType,
    tenant: &TenantId,
    events: &[Cow<'_, RecordedEvent>],
    soon: &[Cow<'_, RecordedEvent>],
    mut overlay: Overlay,
) -> (Overlay, Result<(), Failure>) {
    if let Err(error) = overlay.prefetch(soon.iter().map(|event| event.stream.id())) {
        return (overlay, Err(error.into()));
    }
    let plugin = &projection.deployed.plugin;
    let (overlay, outcome) = plugin.project(tenant, projection.manifest.name.as_str(), events, overlay);
    let outcome = match outcome {
        Ok(()) => Ok(()),
        Err(_) if overlay.wants_single_events() => Err(Failure::OneByOne),
        Err(_) if overlay.is_unattributed() => Err(Failure::Unattributed),
        Err(fault) if fault.is_host() => {
            let reason = fault.source.as_deref().map_or_else(|| fault.to_string(), ToString::to_string);
            Err(Failure::Database(yado_store::Error::Unavailable(reason)))
        }
        Err(fault) => Err(Failure::guest(fault.to_string()).exactly(overlay.at())),
    };
    (overlay, outcome)
}

/// Brings old events to the versions that are current, each by the code of its own aggregate.
fn bring_up_to_date<'a>(
    definition: &Definition,
    events: Vec<&'a RecordedEvent>,
) -> Result<Vec<Cow<'a, RecordedEvent>>, Failure> {
    let mut brought = Vec::with_capacity(events.len());
    for run in events.chunk_by(|a, b| a.stream.aggregate() == b.stream.aggregate()) {
        let name = run.first().and_then(|first| Name::parse(first.stream.aggregate()).ok());
        match name.and_then(|name| definition.catalogue.aggregate(&name)) {
            Some(aggregate) if !run.iter().all(|event| aggregate.is_current(&event.event)) => {
                let run = run.iter().map(|event| (*event).clone()).collect();
                let today = upcast(aggregate, run).map_err(|error| not_brought(error, aggregate))?;
                // An old event may have become one that the projection does not want to see.
                let wanted = today.into_iter().filter(|event| definition.projection.listens_to(event));
                brought.extend(wanted.map(Cow::Owned));
            }
            _ => brought.extend(run.iter().copied().map(Cow::Borrowed)),
        }
    }
    Ok(brought)
}

/// Why events could not be brought up to date. Code that fails is told from a log that newer code has gone on with.
fn not_brought(error: Error, aggregate: &AggregateType) -> Failure {
    match error {
        Error::PluginFault { .. } => {
            let by = Some(aggregate.deployed.clone());
            Failure::Guest { at: None, exact: false, reason: error.to_string(), by }
        }
        error => Failure::Host(error.to_string()),
    }
}
