//! Whether new code can read what has been recorded.
//!
//! The log is for ever. An event that code can't read would be met by some user's command, long after the deployment and
//! one stream at a time. So the code is held against the log before it goes live: against all kinds of events that the
//! log has, and against samples of each kind.
//!
//! Samples show much and prove little. They are the first streams of a kind and some from all over the log, and there is a
//! limit to the events that are read and to the time that it takes. What no sample shows is met later.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use yado_model::manifest::Reading;
use yado_model::{Manifest, Name, NewEvent, Position, RecordedEvent, Revision, StreamId, TenantId};
use yado_store::{EventKind, EventStore};

use super::Refusal;
use crate::catalogue::{AggregateType, Catalogue};
use crate::stream::pieces::{self, Failed};

/// Events of a kind that are tried from its first one on. So many more come from the rest of the log.
const SAMPLES: usize = 16;
/// Events that are read from the log at a time.
const PAGE: u32 = 500;
/// Pages that are searched for events of a kind, from the first one on.
const PAGES: u32 = 4;
/// Pages that are searched for events of all kinds, at equal distances from the first event to the end of the log.
const STRIDES: u64 = 16;
/// An event is folded together with those before it in its stream, unless there are more of them than this.
const LONGEST_FOLD: u64 = 5_000;
/// Events that are read from streams in one trial. With more of them a deployment would take as long as it takes to read
/// the log.
const MOST_EVENTS: u64 = 100_000;
/// How long one trial goes on to other streams.
const LONGEST: Duration = Duration::from_secs(30);
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

/// What code is tried with.
pub(super) struct Trial<'a> {
    pub(super) events: &'a Arc<dyn EventStore>,
    /// What is about to go live.
    pub(super) next: &'a Catalogue,
    /// What runs now. What it does not stand either is no reason against new code.
    pub(super) live: &'a Catalogue,
    /// Whether the engine is going down.
    pub(super) stopped: watch::Receiver<bool>,
}

/// What a trial may still take.
struct Budget {
    until: Instant,
    events: u64,
}

/// Samples that have been found.
#[derive(Default)]
struct Found {
    samples: Vec<RecordedEvent>,
    /// How many there are of each kind, in the order of the kinds.
    counts: Vec<usize>,
    streams: HashSet<(TenantId, StreamId, usize)>,
}

/// Events that are tried together.
struct Stretch {
    tenant: TenantId,
    stream: StreamId,
    /// Everything after the one, up to the other.
    after: Revision,
    last: Revision,
    /// Whether they are folded as well.
    fold: bool,
}

/// What code does not stand.
struct Stumble {
    /// At which revision; none, where that is not known.
    at: Option<Revision>,
    refusal: Refusal,
}

/// Lets the code read samples of all kinds of events that the log has of its aggregates: those of today are held against
/// what the manifest says of their payloads, older ones are brought up to date, and the streams in which they stand are
/// folded.
///
/// # Errors
/// Says which event the code does not stand, and in the guest's words why.
pub(super) async fn stands(trial: &Trial<'_>, manifest: &Manifest, kinds: &[EventKind]) -> Result<(), Refusal> {
    let mut stopped = trial.stopped.clone();
    tokio::select! {
        outcome = trial.run(manifest, kinds) => outcome,
        _ = stopped.wait_for(|stopped| *stopped) => Err(Refusal::Unavailable("the server is shutting down".into())),
    }
}

impl Trial<'_> {
    async fn run(&self, manifest: &Manifest, kinds: &[EventKind]) -> Result<(), Refusal> {
        let mut budget = Budget { until: Instant::now() + LONGEST, events: MOST_EVENTS };
        let own: Vec<&EventKind> = kinds.iter().filter(|kind| manifest.aggregate(&kind.aggregate).is_some()).collect();
        let stretches = stretches(self.samples(&own, &mut budget).await?);
        for (tried, stretch) in stretches.iter().enumerate() {
            let length = stretch.last.get() - stretch.after.get();
            if budget.is_spent() || budget.events < length {
                let (plugin, all) = (&manifest.name, stretches.len());
                tracing::info!(plugin, tried, all, "new code was tried on a part of the samples of the log");
                break;
            }
            budget.events -= length;
            self.try_stretch(stretch).await?;
        }
        Ok(())
    }

    /// Looks for events of each kind: from its first one on, and then all over the log, up to its end. There is one of a
    /// kind and a stream.
    async fn samples(&self, kinds: &[&EventKind], budget: &mut Budget) -> Result<Vec<RecordedEvent>, Refusal> {
        let mut found = Found { counts: vec![0; kinds.len()], ..Found::default() };
        let Some(first) = kinds.iter().map(|kind| kind.first.get()).min() else { return Ok(found.samples) };
        for (at, kind) in kinds.iter().enumerate() {
            let mut after = Position::new(kind.first.get().saturating_sub(1));
            for _ in 0..PAGES {
                if found.counts[at] >= SAMPLES || budget.is_spent() {
                    break;
                }
                let page = self.events.read_log(after, PAGE).await.map_err(unavailable)?;
                let Some(last) = page.last() else { break };
                after = last.position;
                found.take(kinds, page, SAMPLES);
            }
        }
        let head = self.events.head().await.map_err(unavailable)?.get();
        let length = head.saturating_sub(first);
        for stride in 1..=STRIDES {
            if budget.is_spent() {
                break;
            }
            let end = first + length / STRIDES * stride + length % STRIDES * stride / STRIDES;
            let after = Position::new(end.saturating_sub(u64::from(PAGE)));
            let page = self.events.read_log(after, PAGE).await.map_err(unavailable)?;
            found.take(kinds, page, SAMPLES + usize::try_from(stride).unwrap_or(SAMPLES));
        }
        Ok(found.samples)
    }

    /// Tries events. Where what runs now fails at them as well, the new code is no worse.
    async fn try_stretch(&self, stretch: &Stretch) -> Result<(), Refusal> {
        let Ok(name) = Name::parse(stretch.stream.aggregate()) else { return Ok(()) };
        let Some(code) = self.next.aggregate(&name) else { return Ok(()) };
        let Err(Stumble { at, refusal }) = self.try_code(code, stretch, stretch.last).await else { return Ok(()) };
        if let (Refusal::History(reason), Some(predecessor)) = (&refusal, self.live.aggregate(&name)) {
            let as_far = self.try_code(predecessor, stretch, at.unwrap_or(stretch.last)).await;
            if let Err(Stumble { refusal: Refusal::History(_), .. }) = as_far {
                tracing::warn!(aggregate = %name, reason, "neither new code nor the code that runs can read an event");
                return Ok(());
            }
        }
        Err(refusal)
    }

    /// Tries events page by page.
    async fn try_code(&self, code: &Arc<AggregateType>, stretch: &Stretch, last: Revision) -> Result<(), Stumble> {
        let Stretch { tenant, stream, fold, .. } = stretch;
        let (mut after, mut state, fold) = (stretch.after, None, *fold);
        while after < last {
            let limit = u32::try_from(last.get() - after.get()).unwrap_or(PAGE).min(PAGE);
            let read = self.events.read_stream(tenant, stream, after, limit).await;
            let page = read.map_err(|error| Stumble { at: None, refusal: unavailable(error) })?.events;
            let Some(end) = page.last() else { return Ok(()) };
            after = end.revision;
            let (code, before) = (code.clone(), state.take());
            // A guest computes for as long as it is allowed to, and that is no work for a thread that serves others.
            let tried = tokio::task::spawn_blocking(move || try_page(&code, &page, before, fold));
            let lost = |error: tokio::task::JoinError| Refusal::Unavailable(error.to_string());
            state = tried.await.map_err(|error| Stumble { at: None, refusal: lost(error) })??;
        }
        Ok(())
    }
}

impl Budget {
    fn is_spent(&self) -> bool {
        self.events == 0 || Instant::now() >= self.until
    }
}

impl Found {
    /// Takes events, until there are so many of a kind.
    fn take(&mut self, kinds: &[&EventKind], page: Vec<RecordedEvent>, most: usize) {
        for event in page {
            let is_of = |kind: &&EventKind| {
                event.stream.aggregate() == kind.aggregate
                    && event.event.name == kind.name
                    && event.event.version == kind.version
            };
            let Some(kind) = kinds.iter().position(is_of) else { continue };
            let Some(count) = self.counts.get_mut(kind).filter(|count| **count < most) else { continue };
            if self.streams.insert((event.tenant.clone(), event.stream.clone(), kind)) {
                *count += 1;
                self.samples.push(event);
            }
        }
    }
}

/// What is tried for the sake of samples. Each stream is folded once, up to the furthest of its samples. What comes before
/// an event is what it was folded on when it was recorded; of a long stream it is only read, because the state that it
/// would be folded on is not at hand.
fn stretches(samples: Vec<RecordedEvent>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut folded: HashMap<(TenantId, StreamId), usize> = HashMap::new();
    for RecordedEvent { tenant, stream, revision: last, .. } in samples {
        if last.get() > LONGEST_FOLD {
            let after = Revision::new(last.get() - 1);
            stretches.push(Stretch { tenant, stream, after, last, fold: false });
            continue;
        }
        let at = *folded.entry((tenant.clone(), stream.clone())).or_insert(stretches.len());
        match stretches.get_mut(at) {
            Some(known) => known.last = known.last.max(last),
            None => stretches.push(Stretch { tenant, stream, after: Revision::ZERO, last, fold: true }),
        }
    }
    stretches
}

/// Reads a page of a stream, brings what is old of it up to date, and folds it.
fn try_page(
    code: &AggregateType,
    page: &[RecordedEvent],
    mut state: Option<Vec<u8>>,
    fold: bool,
) -> Result<Option<Vec<u8>>, Stumble> {
    let (plugin, name) = (&code.deployed.plugin, code.manifest.name.as_str());
    let Some(tenant) = page.first().map(|first| &first.tenant) else { return Ok(state) };
    for recorded in page {
        check(code, recorded)?;
    }
    let old: Vec<&RecordedEvent> = page.iter().filter(|recorded| !code.is_current(&recorded.event)).collect();
    let asked: Vec<&NewEvent> = old.iter().map(|recorded| &recorded.event).collect();
    let mut brought = Vec::with_capacity(old.len());
    pieces::each_to_the_event(&asked, |piece| {
        brought.extend(plugin.upcast(tenant, name, piece)?);
        Ok(())
    })
    .map_err(|failed| stumble(old.get(failed.at).copied(), &failed))?;
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
        let (name, version) = (&strange.name, strange.version);
        return Err(unread(
            recorded,
            &format!("it has become {name} version {version}, which the manifest does not declare"),
        ));
    }
    if fold {
        let (events, origins): (Vec<NewEvent>, Vec<&RecordedEvent>) = today.into_iter().unzip();
        pieces::each_to_the_event(&events, |piece| {
            state = plugin.evolve(tenant, name, state.as_deref(), piece)?;
            Ok(())
        })
        .map_err(|failed| stumble(origins.get(failed.at).copied(), &failed))?;
    }
    Ok(state)
}

/// Holds an event against the manifest.
fn check(code: &AggregateType, recorded: &RecordedEvent) -> Result<(), Stumble> {
    let NewEvent { name, version, .. } = &recorded.event;
    match code.manifest.reads(name, *version) {
        Reading::AsItIs => code.check_event(&recorded.event).map_err(|reason| {
            let remedy = format!("count the event's version up, and say how version {version} is read");
            unread(recorded, &format!("{reason}; if the event has changed, {remedy}"))
        }),
        Reading::Upcast => Ok(()),
        Reading::NotAtAll => Err(unread(recorded, "the manifest declares no such event")),
    }
}

fn unread(recorded: &RecordedEvent, reason: &str) -> Stumble {
    let refusal = Refusal::History(format!("{} can't be read: {reason}", place(recorded)));
    Stumble { at: Some(recorded.revision), refusal }
}

fn stumble(recorded: Option<&RecordedEvent>, Failed { fault, .. }: &Failed) -> Stumble {
    match recorded {
        Some(recorded) if !fault.is_host() => unread(recorded, &fault.to_string()),
        _ => Stumble { at: None, refusal: Refusal::Unavailable(fault.to_string()) },
    }
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

    fn event(stream: &str, revision: u64) -> RecordedEvent {
        let command_id = yado_model::CommandId::generate();
        RecordedEvent {
            tenant: TenantId::default(),
            stream: StreamId::parse(stream).unwrap(),
            revision: Revision::new(revision),
            position: Position::new(1),
            recorded_at: yado_model::Timestamp::from_micros(0),
            event: NewEvent { name: "BasketFilled".into(), version: 1, payload: "{}".into(), tags: Vec::new() },
            command: yado_model::CommandMeta {
                command_id,
                correlation_id: command_id.0,
                causation_id: None,
                actor: None,
            },
        }
    }

    #[test]
    fn a_stream_is_folded_once_however_many_of_its_events_are_tried() {
        let long = LONGEST_FOLD + 1;
        let found = [("Basket-a", 2), ("Basket-b", 1), ("Basket-a", 7), ("Basket-a", 3), ("Basket-b", long)];
        let tried = stretches(found.into_iter().map(|(stream, revision)| event(stream, revision)).collect());
        let tried: Vec<_> = tried
            .iter()
            .map(|stretch| (stretch.stream.to_string(), stretch.after.get(), stretch.last.get(), stretch.fold))
            .collect();
        let (a, b) = ("Basket-a".to_owned(), "Basket-b".to_owned());
        assert_eq!(tried, [(a, 0, 7, true), (b.clone(), 0, 1, true), (b, LONGEST_FOLD, long, false)]);
    }

    #[test]
    fn a_stream_is_one_sample_of_a_kind_and_there_are_no_more_than_are_wanted() {
        let filled = kind("Basket", "BasketFilled", 1, 1);
        let mut found = Found { counts: vec![0], ..Found::default() };
        found.take(&[&filled], vec![event("Basket-a", 1), event("Basket-a", 2), event("Ticket-a", 1)], 2);
        found.take(&[&filled], vec![event("Basket-b", 1), event("Basket-c", 1)], 2);
        let streams: Vec<_> = found.samples.iter().map(|sample| sample.stream.to_string()).collect();
        assert_eq!(streams, ["Basket-a", "Basket-b"]);
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
