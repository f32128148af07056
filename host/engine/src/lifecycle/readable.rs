//! Whether new code can read what has been recorded.
//!
//! The log is for ever. An event that code can't read would be met by some user's command, long after the deployment and
//! one stream at a time. So the code is held against the log before it goes live: against all kinds of events that the
//! log has, and, where it reads a kind by bringing it up to date, against events of that kind.

use std::sync::Arc;

use yado_model::manifest::{Aggregate, Reading};
use yado_model::{Manifest, NewEvent, Position, RecordedEvent, Revision, StreamId, TenantId};
use yado_runtime::Fault;
use yado_store::{EventKind, EventStore};

use super::Refusal;
use crate::catalogue::{AggregateType, Catalogue};
use crate::stream::pieces::{self, Failed};

/// Events of a kind that are tried.
const SAMPLES: usize = 16;
/// Events that are read from the log at a time.
const PAGE: u32 = 500;
/// Pages that are searched for events of a kind, from the first one on.
const PAGES: u32 = 4;
/// An event is folded together with those before it in its stream, unless there are more of them than this.
const LONGEST: u64 = 5_000;
/// So many kinds are told one by one. Nobody reads more.
const MOST_TOLD: usize = 5;

/// Finds kinds of events that the log has and a plugin does not know. Whose aggregate it does not bring is not its
/// business.
///
/// # Errors
/// Says which, where the first of them stands, and what to do.
pub(super) fn knows(manifest: &Manifest, kinds: &[EventKind]) -> Result<(), Refusal> {
    let unknown = |kind: &&EventKind| {
        let aggregate = manifest.aggregate(&kind.aggregate);
        aggregate.is_some_and(|aggregate| aggregate.reads(&kind.name, kind.version) == Reading::NotAtAll)
    };
    let unknown: Vec<&EventKind> = kinds.iter().filter(unknown).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let told = unknown.iter().take(MOST_TOLD).map(|kind| {
        let EventKind { aggregate, name, version, first } = kind;
        let latest = manifest.aggregate(aggregate).and_then(|aggregate| aggregate.latest(name));
        let known = match latest {
            Some(latest) => format!("it reads versions up to {latest}"),
            None => "it knows no event of this name".to_owned(),
        };
        format!("{name} version {version} of {aggregate}, the first at position {first} ({known})")
    });
    let told = told.collect::<Vec<_>>().join("; ");
    let more = unknown.len().saturating_sub(MOST_TOLD);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Err(Refusal::Incompatible(format!(
        "the log has events that version {} of {} can't read: {told}{more}. If a newer version of the plugin has run here, \
         deploy that one or a later one; otherwise let the plugin say what has become of these events",
        manifest.version, manifest.name
    )))
}

/// Lets the code bring old events up to date, and fold the streams in which they stand: of each kind that it does not read
/// as it is, the first few that the log has.
///
/// # Errors
/// Says which event the code does not stand, and in the guest's words why.
pub(super) async fn stands(
    events: &Arc<dyn EventStore>,
    catalogue: &Catalogue,
    manifest: &Manifest,
    kinds: &[EventKind],
) -> Result<(), Refusal> {
    for aggregate in &manifest.aggregates {
        let Some(code) = catalogue.aggregate(&aggregate.name) else { continue };
        for kind in kinds.iter().filter(|kind| is_old(aggregate, kind)) {
            for sample in samples(events, kind).await? {
                let beginning = Revision::new(sample.revision.get().saturating_sub(1));
                // What comes before it is what it was folded on when it was recorded. Of a long stream it is only brought
                // up to date: the state that it would be folded on is not at hand.
                let (after, fold) =
                    if sample.revision.get() <= LONGEST { (Revision::ZERO, true) } else { (beginning, false) };
                try_stream(events, code, &sample.tenant, &sample.stream, (after, sample.revision), fold).await?;
            }
        }
    }
    Ok(())
}

fn is_old(aggregate: &Aggregate, kind: &EventKind) -> bool {
    aggregate.name.as_str() == kind.aggregate && aggregate.reads(&kind.name, kind.version) == Reading::Upcast
}

/// The first events of a kind, one of each stream.
async fn samples(events: &Arc<dyn EventStore>, kind: &EventKind) -> Result<Vec<RecordedEvent>, Refusal> {
    let mut found: Vec<RecordedEvent> = Vec::new();
    let mut after = Position::new(kind.first.get().saturating_sub(1));
    for _ in 0..PAGES {
        let page = events.read_log(after, PAGE).await.map_err(unavailable)?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for event in page {
            let is_one = event.stream.aggregate() == kind.aggregate
                && event.event.name == kind.name
                && event.event.version == kind.version;
            let known = |known: &RecordedEvent| known.tenant == event.tenant && known.stream == event.stream;
            if is_one && !found.iter().any(known) {
                found.push(event);
            }
            if found.len() == SAMPLES {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// Tries a stretch of a stream, page by page.
async fn try_stream(
    events: &Arc<dyn EventStore>,
    code: &Arc<AggregateType>,
    tenant: &TenantId,
    stream: &StreamId,
    (mut after, last): (Revision, Revision),
    fold: bool,
) -> Result<(), Refusal> {
    let mut state = None;
    while after < last {
        let limit = u32::try_from(last.get() - after.get()).unwrap_or(PAGE).min(PAGE);
        let page = events.read_stream(tenant, stream, after, limit).await.map_err(unavailable)?.events;
        let Some(end) = page.last() else { return Ok(()) };
        after = end.revision;
        let (code, before) = (code.clone(), state.take());
        // A guest computes for as long as it is allowed to, and that is no work for a thread that serves others.
        let tried = tokio::task::spawn_blocking(move || try_page(&code, &page, before, fold));
        state = tried.await.map_err(|error| Refusal::Unavailable(error.to_string()))??;
    }
    Ok(())
}

/// Brings a page of a stream up to date, and folds it.
fn try_page(
    code: &AggregateType,
    page: &[RecordedEvent],
    mut state: Option<Vec<u8>>,
    fold: bool,
) -> Result<Option<Vec<u8>>, Refusal> {
    let (plugin, name) = (&code.deployed.plugin, code.manifest.name.as_str());
    let Some(tenant) = page.first().map(|first| &first.tenant) else { return Ok(state) };
    let old: Vec<&RecordedEvent> = page.iter().filter(|recorded| !code.is_current(&recorded.event)).collect();
    let asked: Vec<&NewEvent> = old.iter().map(|recorded| &recorded.event).collect();
    let mut brought = Vec::with_capacity(old.len());
    pieces::each_to_the_event(&asked, |piece| {
        brought.extend(plugin.upcast(tenant, name, piece)?);
        Ok(())
    })
    .map_err(|failed| refused(old.get(failed.at).copied(), failed))?;
    let mut brought = brought.into_iter();
    let mut today: Vec<(NewEvent, &RecordedEvent)> = Vec::with_capacity(page.len());
    for recorded in page {
        if code.is_current(&recorded.event) {
            today.push((recorded.event.clone(), recorded));
        } else {
            today.extend(brought.next().unwrap_or_default().into_iter().map(|event| (event, recorded)));
        }
    }
    if let Some((strange, recorded)) = today.iter().find(|(event, _)| !code.is_current(event)) {
        return Err(Refusal::History(format!(
            "{} has become {} version {}, which the manifest does not declare",
            place(recorded),
            strange.name,
            strange.version
        )));
    }
    if fold {
        let (events, origins): (Vec<NewEvent>, Vec<&RecordedEvent>) = today.into_iter().unzip();
        pieces::each_to_the_event(&events, |piece| {
            state = plugin.evolve(tenant, name, state.as_deref(), piece)?;
            Ok(())
        })
        .map_err(|failed| refused(origins.get(failed.at).copied(), failed))?;
    }
    Ok(state)
}

fn refused(recorded: Option<&RecordedEvent>, Failed { fault, .. }: Failed) -> Refusal {
    let place = recorded.map_or_else(|| "an event".to_owned(), place);
    refusal(&place, &fault)
}

fn refusal(place: &str, fault: &Fault) -> Refusal {
    if fault.is_host() {
        return Refusal::Unavailable(fault.to_string());
    }
    Refusal::History(format!("{place} can't be read: {fault}"))
}

/// An event, for people.
fn place(recorded: &RecordedEvent) -> String {
    let RecordedEvent { tenant, stream, position, event: NewEvent { name, version, .. }, .. } = recorded;
    format!("{name} version {version} at position {position} (stream {stream} of tenant {tenant})")
}

fn unavailable(error: yado_store::Error) -> Refusal {
    Refusal::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(aggregate: &str, name: &str, version: u32, first: u64) -> EventKind {
        EventKind { aggregate: aggregate.into(), name: name.into(), version, first: Position::new(first) }
    }

    #[test]
    fn code_is_told_what_the_log_has_that_it_does_not_know() {
        let empty = json!({ "type": "object", "properties": {} });
        let manifest = json!({
            "contract": yado_model::manifest::CONTRACT, "name": "shop", "version": "1.2.0",
            "aggregates": [{
                "name": "Basket", "commands": [],
                "events": [{ "name": "BasketFilled", "version": 2, "payload": empty }],
                "pastEvents": [{ "name": "BasketStuffed", "version": 1 }],
            }],
        });
        let manifest = Manifest::parse(&manifest.to_string()).unwrap();
        let readable = [
            kind("Basket", "BasketFilled", 1, 1),
            kind("Basket", "BasketFilled", 2, 2),
            kind("Basket", "BasketStuffed", 1, 3),
            kind("Ticket", "TicketSold", 9, 4),
        ];
        assert!(knows(&manifest, &readable).is_ok());
        let unreadable = [kind("Basket", "BasketFilled", 3, 17), kind("Basket", "BasketBurnt", 1, 40)];
        assert_eq!(
            knows(&manifest, &unreadable).unwrap_err().to_string(),
            "the log has events that version 1.2.0 of shop can't read: BasketFilled version 3 of Basket, the first at \
             position 17 (it reads versions up to 2); BasketBurnt version 1 of Basket, the first at position 40 (it knows no \
             event of this name). If a newer version of the plugin has run here, deploy that one or a later one; otherwise \
             let the plugin say what has become of these events"
        );
    }
}
