//! Shows events to a projection's guest.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use yado_model::{Name, RecordedEvent, TenantId};
use yado_store::ReadStore;

use super::memory::Memory;
use super::overlay::Overlay;
use super::reader::Chunk;
use super::{Definition, Failure};
use crate::stream::upcast;

/// Shows events to the guest, tenant by tenant, and gathers what it writes. After a failure, what was gathered is of no
/// use any more.
///
/// The guest may compute for seconds, and may read the database on the way: this blocks.
pub(super) fn show(
    definition: &Definition,
    chunk: &Chunk,
    memory: &mut Memory,
    reads: &Arc<dyn ReadStore>,
    runtime: &Handle,
) -> Result<(), Failure> {
    let projection = &definition.projection;
    let mut tenants: BTreeMap<&TenantId, Vec<&RecordedEvent>> = BTreeMap::new();
    for event in chunk.iter().filter(|event| projection.listens_to(event)) {
        tenants.entry(&event.tenant).or_default().push(event);
    }
    for (tenant, events) in tenants {
        let single = events.len() == 1;
        let events = bring_up_to_date(definition, events)?;
        if events.is_empty() {
            continue;
        }
        let (reads, runtime) = (reads.clone(), runtime.clone());
        let mut overlay = Overlay::new(&projection.models, tenant.clone(), memory.take(tenant), reads, runtime, single);
        overlay.prefetch(events.iter().map(|event| event.stream.id()))?;
        let plugin = &projection.deployed.plugin;
        let (overlay, outcome) = plugin.project(tenant, projection.manifest.name.as_str(), &events, overlay);
        let early = overlay.wants_single_events();
        memory.put(overlay.finish());
        match outcome {
            Ok(()) => {}
            Err(_) if early => return Err(Failure::OneByOne),
            Err(fault) if fault.is_host() => {
                let reason = fault.source.as_deref().map_or_else(|| fault.to_string(), ToString::to_string);
                return Err(Failure::Database(yado_store::Error::Unavailable(reason)));
            }
            Err(fault) => return Err(Failure::Guest(fault.to_string())),
        }
    }
    Ok(())
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
                let today = upcast(aggregate, run).map_err(|error| Failure::Guest(error.to_string()))?;
                // An old event may have become one that the projection does not want to see.
                let wanted = today.into_iter().filter(|event| definition.projection.listens_to(event));
                brought.extend(wanted.map(Cow::Owned));
            }
            _ => brought.extend(run.iter().copied().map(Cow::Borrowed)),
        }
    }
    Ok(brought)
}
