//! An aggregate that is running, and what may come out of it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
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
}

impl AggregateType {
    pub(super) fn new(manifest: Aggregate, deployed: Arc<Deployed>) -> Result<Self, Broken> {
        let events = manifest
            .events
            .iter()
            .map(|event| Ok((event.name.to_string(), (event.version, Checker::new(&event.payload)?))))
            .collect::<Result<_, Broken>>()?;
        Ok(Self { manifest, deployed, breaker: Breaker::default(), events })
    }

    /// Who can read a snapshot of its state.
    #[must_use]
    pub fn state_encoding(&self) -> String {
        match &self.manifest.state_encoding {
            Some(name) => format!("{}:{name}", self.deployed.manifest().name),
            None => self.deployed.digest().to_string(),
        }
    }

    /// The version of an event that the code reads and writes; none if it does not know the event.
    #[must_use]
    pub fn event_version(&self, name: &str) -> Option<u32> {
        self.events.get(name).map(|(version, _)| *version)
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
        let payload: Value = serde_json::from_str(&event.payload)
            .map_err(|error| format!("the payload of event {} is not JSON: {error}", event.name))?;
        match checker.check(&payload).first() {
            Some(problem) => Err(format!(
                "the payload of event {} breaks its schema at {:?}: {}",
                event.name,
                problem.pointer(),
                problem.message
            )),
            None => Ok(()),
        }
    }
}
