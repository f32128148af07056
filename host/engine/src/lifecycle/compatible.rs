//! Whether new code can take the place of old code.

use yado_model::Manifest;
use yado_model::manifest::Aggregate;

use super::narrower::narrowing;

/// Finds what the old code may record, up to the moment in which the new code takes its place, and the new code can't read.
/// The log is for ever. So code may learn new events and new versions of events, and may not forget any; and what it says of
/// an event under the same version must hold for all that has been recorded under it.
///
/// # Errors
/// Says what the new code has forgotten, or reads otherwise.
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
        payloads(aggregate, successor)?;
    }
    Ok(())
}

fn payloads(old: &Aggregate, new: &Aggregate) -> Result<(), String> {
    for event in &old.events {
        let same = new.events.iter().find(|same| same.name == event.name && same.version == event.version);
        let Some(reason) = same.and_then(|same| narrowing(event.payload.document(), same.payload.document())) else {
            continue;
        };
        let (name, version) = (&event.name, event.version);
        return Err(format!(
            "the event {name} of {} is still at version {version}, and does not fit what has been recorded under it: \
             {reason}. Count its version up, and say how version {version} is read",
            new.name
        ));
    }
    Ok(())
}

fn events(old: &Aggregate, new: &Aggregate) -> Result<(), String> {
    let current = old.events.iter().map(|event| (&event.name, event.version));
    let past = old.past_events.iter().map(|event| (&event.name, event.version));
    for (event, version) in current.chain(past) {
        let Some(latest) = new.latest(event.as_str()) else {
            return Err(format!(
                "{} has forgotten the event {event}: events of this name are in the log and must stay readable",
                new.name
            ));
        };
        if latest < version {
            return Err(format!(
                "{} knows version {latest} of the event {event}, and version {version} may be in the log: a newer \
                 version of the plugin has run here",
                new.name
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn manifest(version: u32, fields: &Value, required: &[&str]) -> Manifest {
        let payload = json!({ "type": "object", "properties": fields, "required": required });
        let manifest = json!({
            "contract": yado_model::manifest::CONTRACT, "name": "shop", "version": "1.2.0",
            "aggregates": [{
                "name": "Basket", "commands": [],
                "events": [{ "name": "BasketFilled", "version": version, "payload": payload }],
            }],
        });
        Manifest::parse(&manifest.to_string()).unwrap()
    }

    #[test]
    fn an_event_that_asks_for_more_than_has_been_recorded_counts_its_version_up() {
        let (text, number) = (json!({ "type": "string" }), json!({ "type": "integer" }));
        let old = manifest(1, &json!({ "what": text }), &["what"]);
        let more = json!({ "what": text, "count": number });
        assert_eq!(can_follow(&old, &manifest(1, &more, &["what"])), Ok(()));
        assert_eq!(can_follow(&old, &manifest(2, &more, &["what", "count"])), Ok(()));
        assert_eq!(
            can_follow(&old, &manifest(1, &more, &["what", "count"])).unwrap_err(),
            "the event BasketFilled of Basket is still at version 1, and does not fit what has been recorded under it: its \
             field /count must be there now, and need not before. Count its version up, and say how version 1 is read"
        );
    }
}
