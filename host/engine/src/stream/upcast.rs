//! From events of older versions to those that the code reads.

use yado_model::manifest::Reading;
use yado_model::{NewEvent, RecordedEvent};

use super::pieces::{self, Failed};
use crate::catalogue::AggregateType;
use crate::error::{fault, misbehaved};
use crate::{Error, Result};

/// Brings events of one aggregate to what its code reads. One event may become several, or none; what has become of it
/// stands where it stood. The guest is asked for many at a time.
///
/// # Errors
/// When an event is newer than the code: another version of the plugin runs by now, or has run.
pub(crate) fn upcast(aggregate: &AggregateType, recorded: Vec<RecordedEvent>) -> Result<Vec<RecordedEvent>> {
    let old: Vec<&RecordedEvent> = recorded.iter().filter(|one| !aggregate.is_current(&one.event)).collect();
    if old.is_empty() {
        return Ok(recorded);
    }
    // What replaces a version of a plugin knows all its events, and what is deployed knows all that the log has. So one
    // that is not known here has been recorded since, by newer code.
    let unknown =
        old.iter().find(|one| aggregate.manifest.reads(&one.event.name, one.event.version) == Reading::NotAtAll);
    if let Some(unknown) = unknown {
        return Err(Error::Superseded {
            plugin: aggregate.deployed.manifest().name.clone(),
            event: format!("{} version {}", unknown.event.name, unknown.event.version),
            position: unknown.position,
        });
    }
    let mut today = Vec::with_capacity(old.len());
    for of_tenant in old.chunk_by(|one, next| one.tenant == next.tenant) {
        let Some(first) = of_tenant.first() else { continue };
        let events: Vec<&NewEvent> = of_tenant.iter().map(|one| &one.event).collect();
        let (plugin, name) = (&aggregate.deployed.plugin, aggregate.manifest.name.as_str());
        let asked = pieces::each(&events, |piece| {
            today.extend(plugin.upcast(&first.tenant, name, piece)?);
            Ok(())
        });
        asked.map_err(|Failed { fault: broken, .. }| fault(&broken))?;
    }
    let strange = |event: &&NewEvent| !aggregate.is_current(event);
    if let Some(event) = today.iter().flatten().find(strange) {
        let NewEvent { name, version, .. } = event;
        let reason =
            format!("it made {name} version {version} of an old event, and the manifest declares no such event");
        return Err(misbehaved(&aggregate.deployed, "upcast", &reason));
    }
    let mut today = today.into_iter();
    let mut brought = Vec::with_capacity(recorded.len());
    for one in recorded {
        if aggregate.is_current(&one.event) {
            brought.push(one);
        } else {
            let events = today.next().unwrap_or_default();
            brought.extend(events.into_iter().map(|event| RecordedEvent { event, ..one.clone() }));
        }
    }
    Ok(brought)
}
