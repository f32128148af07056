//! From the log to a state.

use std::sync::Arc;

use yado_model::{NewEvent, Position, RecordedEvent, Revision};
use yado_store::EventStore;

use super::StreamKey;
use crate::catalogue::AggregateType;
use crate::error::fault;
use crate::{Error, Result};

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

/// Folds what the log has of a stream after a tip, page by page.
pub(super) async fn load(
    store: Arc<dyn EventStore>,
    aggregate: Arc<AggregateType>,
    key: StreamKey,
    from: Tip,
    page: u32,
) -> Result<Tip> {
    let mut tip = from;
    loop {
        let recorded = store.read_stream(&key.tenant, &key.stream, tip.revision, page).await?;
        let Some(last) = recorded.last() else { return Ok(tip) };
        let (revision, position, full) = (last.revision, last.position, recorded.len() >= page as usize);
        let events = upcast(&aggregate, recorded)?.into_iter().map(|recorded| recorded.event).collect::<Vec<_>>();
        let plugin = &aggregate.deployed.plugin;
        let state = plugin
            .evolve(&key.tenant, aggregate.manifest.name.as_str(), tip.state.as_deref(), &events)
            .map_err(|error| fault(&error))?;
        tip = Tip { state: state.map(Into::into), revision, position };
        if !full {
            return Ok(tip);
        }
    }
}

/// Brings events of older versions to those that the code reads. One event may become several, or none.
pub(crate) fn upcast(aggregate: &AggregateType, recorded: Vec<RecordedEvent>) -> Result<Vec<RecordedEvent>> {
    let current = |event: &NewEvent| aggregate.event_version(&event.name) == Some(event.version);
    if recorded.iter().all(|recorded| current(&recorded.event)) {
        return Ok(recorded);
    }
    let mut brought = Vec::with_capacity(recorded.len());
    for recorded in recorded {
        if current(&recorded.event) {
            brought.push(recorded);
            continue;
        }
        if aggregate.event_version(&recorded.event.name).is_some_and(|version| version < recorded.event.version) {
            tracing::error!(
                stream = %recorded.stream, revision = %recorded.revision, event = recorded.event.name,
                version = recorded.event.version, plugin = aggregate.deployed.manifest().name,
                "an event was written by a newer version of the plugin than the one that runs: deploy that one again"
            );
            return Err(Error::PluginFault {
                plugin: aggregate.deployed.manifest().name.clone(),
                function: "upcast".into(),
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
