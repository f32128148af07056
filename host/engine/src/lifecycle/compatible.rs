//! Whether new code can take the place of old code.

use yado_model::Manifest;
use yado_model::manifest::Aggregate;

/// Finds what the old code may have recorded and the new code does not know. The log is for ever, so code may learn new
/// events and new versions of events, and may not forget any.
///
/// # Errors
/// Says what the new code has forgotten.
pub(super) fn can_follow(old: &Manifest, new: &Manifest) -> Result<(), String> {
    for aggregate in &old.aggregates {
        let Some(successor) = new.aggregate(aggregate.name.as_str()) else {
            return Err(format!(
                "version {} has no aggregate {}, and version {}, which is running, has: its events are in the log and must \
                 stay readable",
                new.version, aggregate.name, old.version
            ));
        };
        events(aggregate, successor)?;
    }
    Ok(())
}

fn events(old: &Aggregate, new: &Aggregate) -> Result<(), String> {
    for event in &old.events {
        let Some(successor) = new.events.iter().find(|known| known.name == event.name) else {
            return Err(format!(
                "{} has forgotten the event {}: events of this name are in the log and must stay readable",
                new.name, event.name
            ));
        };
        if successor.version < event.version {
            return Err(format!(
                "{} knows version {} of the event {}, and version {} may be in the log: a newer version of the plugin \
                 has run here",
                new.name, successor.version, event.name, event.version
            ));
        }
    }
    Ok(())
}
