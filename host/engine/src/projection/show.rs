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
use crate::Error;
use crate::stream::upcast;

/// Shows events to the guest, tenant by tenant, and gathers what it writes. After a failure, what was gathered is of no
/// use any more; still it is all in memory, so that nobody takes what was shown for what left nothing behind.
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
        // What has become of one old event is shown in one call however many events it is: the log has no place between
        // them to which the tables could be brought. A guest that searches finds the rows as they were before the old one.
        let single = events.len() == 1;
        let events = bring_up_to_date(definition, events)?;
        if events.is_empty() {
            continue;
        }
        let (reads, runtime) = (reads.clone(), runtime.clone());
        let mut overlay = Overlay::new(&projection.models, tenant.clone(), memory.take(tenant), reads, runtime, single);
        if let Err(error) = overlay.prefetch(events.iter().map(|event| event.stream.id())) {
            memory.put(overlay.finish());
            return Err(error.into());
        }
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
            Err(fault) => return Err(Failure::guest(fault.to_string())),
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
                let today = upcast(aggregate, run).map_err(not_brought)?;
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
fn not_brought(error: Error) -> Failure {
    match error {
        Error::PluginFault { .. } => Failure::guest(error.to_string()),
        error => Failure::Host(error.to_string()),
    }
}
