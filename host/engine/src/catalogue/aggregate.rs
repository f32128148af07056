//! An aggregate that is running, and what may come out of it.

use std::collections::HashMap;
use std::sync::Arc;

use yado_model::NewEvent;
use yado_model::manifest::Aggregate;
use yado_model::schema::{Broken, Checker};

use super::Deployed;
use super::breaker::Breaker;

/// An aggregate that is running.
#[derive(Debug)]
pub struct AggregateType {
    /// What the manifest says of it.
    pub manifest: Aggregate,
    /// Whose it is.
    pub deployed: Arc<Deployed>,
    pub(crate) breaker: Breaker,
    events: HashMap<String, (u32, Checker)>,
    encoding: Arc<str>,
}

impl AggregateType {
    pub(super) fn new(manifest: Aggregate, deployed: Arc<Deployed>) -> Result<Self, Broken> {
        let events = manifest
            .events
            .iter()
            .map(|event| Ok((event.name.to_string(), (event.version, Checker::new(&event.payload)?))))
            .collect::<Result<_, Broken>>()?;
        let encoding = match &manifest.state_encoding {
            Some(name) => format!("{}:{name}", deployed.manifest().name).into(),
            None => deployed.digest().to_string().into(),
        };
        Ok(Self { manifest, deployed, breaker: Breaker::default(), events, encoding })
    }

    /// Who can read its states, in memory and as snapshots: this build alone, or all builds that give the same name to
    /// their encoding.
    #[must_use]
    pub const fn state_encoding(&self) -> &Arc<str> {
        &self.encoding
    }

    /// The version of an event that the code reads and writes; none if it does not know the event.
    #[must_use]
    pub fn event_version(&self, name: &str) -> Option<u32> {
        self.events.get(name).map(|(version, _)| *version)
    }

    /// Whether an event is one that the code reads as it is.
    #[must_use]
    pub fn is_current(&self, event: &NewEvent) -> bool {
        self.event_version(&event.name) == Some(event.version)
    }

    /// Holds an event that the guest has decided against what its manifest promises. The log keeps it for ever, so
    /// what is wrong with it must be found now.
    ///
    /// # Errors
    /// Says what is wrong, for the operator.
    pub fn check_event(&self, event: &NewEvent) -> Result<(), String> {
        let Some((version, checker)) = self.events.get(&event.name) else {
            return Err(format!("the manifest declares no event {:?}", event.name));
        };
        if event.version != *version {
            return Err(format!(
                "event {} has version {}, and the manifest declares {version}",
                event.name, event.version
            ));
        }
        checker.read(&event.payload).map_err(|unsound| format!("the payload of event {} {unsound}", event.name))
    }
}
