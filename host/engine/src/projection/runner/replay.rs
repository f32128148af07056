//! Streams that were put aside are taken up again: because an operator says so, or because other code has come.
//!
//! What waits of a stream is shown in its order, one event after the other, up to where the rest of the projection stands;
//! from there on the stream goes along with the others. Rows, and what is told of the stream, go down together and leave
//! the checkpoint where it is, but for the count of replays: whoever else has the projection's rows in memory finds by it
//! that they have changed. A long stream is taken up in portions, and its dead letter moves on with them; between two of
//! them all other streams go on.
//!
//! A tenant that was put aside as a whole is taken up in the same way, with what the log has of it from where it waits on,
//! in the log's order. Streams of it that wait by themselves go on doing so. Where its code still fails at a few streams, these
//! are put aside each by itself, and the tenant goes on.
//!
//! Whatever fails because of a stream, be it only when its rows go down, or the host itself, ends in its dead letter: all
//! others have nothing to do with it.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use yado_model::{Position, RecordedEvent, Revision, Timestamp};
use yado_store::{Checkpoint, Error, Held, Parked, Scope};

use super::{Runner, Work};
use crate::projection::control::Replayed;
use crate::projection::journal::Telling;
use crate::projection::quarantine::{Letters, Quarantine};
use crate::projection::reader::Chunk;
use crate::projection::{Definition, Failure};

/// So long the log is looked through at once for events of a tenant, beyond the page that is always read, before others
/// have their turn.
const LOOKED_AT_ONCE: Duration = Duration::from_millis(10);

/// What an operator wants to be taken up again.
pub(super) struct Asked {
    pub(super) held: Held,
    pub(super) reply: oneshot::Sender<Replayed>,
}

/// Events of a stream that wait.
struct Portion {
    events: Vec<RecordedEvent>,
    /// The letter of what waits behind them.
    rest: Option<Parked>,
    /// Whether others must know that the letter has moved on: there were events that concern the projection.
    counts: bool,
}

/// Why a portion of a stream can't be shown.
struct Stuck {
    events: Vec<RecordedEvent>,
    /// How many of them could be shown. Where it is not known, all of them could, and their rows could not be kept.
    shown: Option<usize>,
    failure: Failure,
}

impl Runner {
    /// Takes up a stream again, if one is to be. Returns whether there was one.
    pub(super) async fn take_up(&mut self, definition: &Definition, work: &mut Work) -> Result<bool, Failure> {
        let Some(asked) = self.asked.first() else { return self.take_up_with_other_code(definition, work).await };
        if work.quarantine.get(&asked.held).is_none() {
            // Another process may have put it aside.
            work.knows(Quarantine::load(&*self.surroundings.reads, &definition.projection.key).await?);
        }
        let is_parked = work.quarantine.get(&asked.held).is_some();
        if is_parked && !self.replay(definition, work, &asked.held).await? {
            return Ok(true);
        }
        let Asked { held, reply } = self.asked.remove(0);
        let still = work.quarantine.get(&held).cloned();
        // Whoever asked may have gone.
        let _ = reply.send(still.map_or(Replayed::Shown, |parked| Replayed::Parked(Box::new(parked))));
        Ok(true)
    }

    /// Code that has not failed at a stream may get on with it.
    async fn take_up_with_other_code(&self, definition: &Definition, work: &mut Work) -> Result<bool, Failure> {
        let Some(held) = work.again.next(definition, &work.quarantine) else { return Ok(false) };
        if !self.replay(definition, work, &held).await? {
            work.again.turn();
        }
        Ok(true)
    }

    /// Shows a portion of what waits of a stream. Returns whether it has come to an end with it, be it a good one or not.
    async fn replay(&self, definition: &Definition, work: &mut Work, held: &Held) -> Result<bool, Failure> {
        self.settle_all(definition, work).await?;
        // Another process may have been there, which is known by now.
        let Some(parked) = work.quarantine.get(held).cloned() else { return Ok(true) };
        let mut most = work.again.portion(self.surroundings.settings.batch);
        loop {
            let stuck = match self.show_portion(definition, work, &parked, most).await {
                Ok(is_end) => {
                    work.again.has_shown(most);
                    return Ok(is_end);
                }
                Err(stuck) => stuck,
            };
            work.begin_at(work.settled);
            match stuck.sound(most) {
                Some(less) => most = less,
                None => return self.stays_parked(definition, work, &parked, stuck).await,
            }
        }
    }

    /// Shows so many events of a stream at most, and keeps what becomes of them. Returns whether nothing waits any more.
    async fn show_portion(
        &self,
        definition: &Definition,
        work: &mut Work,
        parked: &Parked,
        most: u32,
    ) -> Result<bool, Stuck> {
        let stuck = |events, shown| move |failure| Stuck { events, shown, failure };
        let place = work.committed;
        let portion = match parked.scope {
            Scope::Stream => self.portion_of_stream(definition, work, parked, most).await,
            Scope::Tenant => self.portion_of_tenant(definition, work, parked, most).await,
        };
        let Portion { events, rest, counts } = portion.map_err(stuck(Vec::new(), None))?;
        if let Err((shown, failure)) = self.show_again(definition, work, &events).await {
            return Err(Stuck { events, shown: Some(shown), failure });
        }
        let is_last = rest.is_none();
        let again = (!events.is_empty()).then(|| parked.tenant.clone());
        // Where no row has changed, nobody has to forget any, nor to read anew.
        let to = Checkpoint { replays: place.replays + u64::from(counts || is_last), ..place };
        self.send(definition, work, to, Letters { again, ..moves(parked, rest) });
        self.settle(work).await.map_err(stuck(events, None))?;
        // Or another process has been there, and what is still to be done is known by now.
        let is_end = work.committed == to && is_last;
        if is_end {
            let Held { tenant, stream } = parked.held();
            let projection = &definition.projection.manifest.name;
            tracing::info!(%projection, %tenant, stream = stream.map(tracing::field::display), "what was parked is shown again");
        }
        Ok(is_end)
    }

    /// Keeps why a stream can't be shown. Returns whether that has come to an end with it. A database that fails in passing
    /// is nobody's fault, and the host itself has a few attempts.
    async fn stays_parked(
        &self,
        definition: &Definition,
        work: &mut Work,
        parked: &Parked,
        Stuck { events, failure, .. }: Stuck,
    ) -> Result<bool, Failure> {
        let at = events.first().map_or_else(|| parked.clone(), |event| moved_on(parked, event));
        let (reason, by) = match failure {
            Failure::Guest { reason, by, .. } => (reason, by),
            failure => {
                let Some(reason) = lasting(&failure) else { return Err(failure) };
                if work.again.host_failed_at(at.position) < self.surroundings.settings.poison_attempts {
                    return Err(failure);
                }
                (reason, None)
            }
        };
        let code = by.as_ref().unwrap_or(&definition.projection.deployed);
        let letter = Parked {
            error: reason,
            plugin: code.manifest().name.clone(),
            plugin_version: code.manifest().version.clone(),
            digest: code.digest(),
            attempts: parked.attempts.saturating_add(1),
            at: Timestamp::now(),
            ..at
        };
        let place = work.committed;
        let (letters, letter) = self.apart(work, parked, letter, events.first());
        let is_end = letter.scope == parked.scope;
        // No row has changed, so that nobody has to forget any; but what waits where must be known to all.
        let to = Checkpoint { replays: place.replays + u64::from(!is_end), ..place };
        self.send(definition, work, to, letters);
        self.settle(work).await?;
        work.again.failed_at(&letter);
        if work.committed != to {
            return Ok(false);
        }
        let Parked { tenant, stream, position, error, .. } = &letter;
        let projection = &definition.projection.manifest.name;
        tracing::warn!(%projection, %tenant, %stream, %position, error, waits = %letter.id(), "what is parked stays so");
        Ok(is_end)
    }

    /// What is kept of a letter. Where it is that of a whole tenant, and there is room for one more stream of it, the stream
    /// of the event at which the code fails is put aside, and the tenant may go on behind that event.
    fn apart(&self, work: &Work, parked: &Parked, letter: Parked, event: Option<&RecordedEvent>) -> (Letters, Parked) {
        let is_apart = letter.scope == Scope::Tenant
            && event.is_some_and(|event| self.scope(event, work) == Scope::Stream)
            && work.quarantine.len() < self.surroundings.settings.parked_letters as usize;
        if !is_apart {
            return (Letters { parked: vec![letter.clone()], ..Letters::default() }, letter);
        }
        let behind = letter.position.plus(1);
        let rest = (letter.position < work.committed.position).then(|| Parked { position: behind, ..parked.clone() });
        let of_stream = Parked { scope: Scope::Stream, ..letter };
        let mut letters = moves(parked, rest);
        letters.parked.push(of_stream.clone());
        (letters, of_stream)
    }

    /// What waits of a stream up to where the projection stands, or where all of its tenant waits: some of it, as far as it
    /// concerns the projection, and what comes behind that.
    async fn portion_of_stream(
        &self,
        definition: &Definition,
        work: &Work,
        parked: &Parked,
        most: u32,
    ) -> Result<Portion, Failure> {
        let Parked { tenant, stream, revision, .. } = parked;
        let of_tenant = work.quarantine.waits_from(tenant).map(before);
        let end = of_tenant.map_or(work.committed.position, |end| end.min(work.committed.position));
        let from = Revision::new(revision.get().saturating_sub(1));
        let log = &self.surroundings.events;
        let mut page = log.read_stream(tenant, stream, from, most).await?;
        let read = page.events.len();
        page.events.retain(|event| event.position <= end);
        let rest = match page.events.last() {
            Some(last) if page.more && page.events.len() == read => {
                let behind = log.read_stream(tenant, stream, last.revision, 1).await?.events.into_iter().next();
                behind.filter(|event| event.position <= end)
            }
            _ => None,
        };
        page.events.retain(|event| definition.projection.listens_to(event));
        let counts = !page.events.is_empty();
        Ok(Portion { events: page.events, rest: rest.map(|event| moved_on(parked, &event)), counts })
    }

    /// The same of a tenant, but for its streams that wait by themselves. It is looked for among so many events of the log,
    /// and where the tenant has none there, among those that follow, for as long as nobody else waits for an event.
    async fn portion_of_tenant(
        &self,
        definition: &Definition,
        work: &Work,
        parked: &Parked,
        most: u32,
    ) -> Result<Portion, Failure> {
        let (end, mut from) = (work.committed.position, before(parked.position));
        let (began, head) = (Instant::now(), self.surroundings.feed.head());
        let others_wait = || *head.borrow() > work.shown.position || began.elapsed() >= LOOKED_AT_ONCE;
        let (mut events, last) = loop {
            let mut events = self.surroundings.events.read_log(from, most).await?;
            events.retain(|event| event.position <= end);
            let last = events.last().map_or(end, |event| event.position);
            events.retain(|event| event.tenant == parked.tenant && definition.projection.listens_to(event));
            if !events.is_empty() || last >= end || others_wait() {
                break (events, last);
            }
            from = last;
        };
        // A stream that waits by itself is shown up to where its tenant waits. Whoever takes it up elsewhere must know that
        // the tenant has gone past events of it.
        let counts = !events.is_empty();
        events.retain(|event| !work.quarantine.holds_stream(event));
        // The event at which it failed is what the letter tells of, wherever it has come to since.
        let rest = (last < end).then(|| Parked { position: last.plus(1), ..parked.clone() });
        Ok(Portion { events, rest, counts })
    }

    /// Shows events one by one. If one can't be shown, says how many can, and why that one can't.
    async fn show_again(
        &self,
        definition: &Definition,
        work: &mut Work,
        events: &[RecordedEvent],
    ) -> Result<(), (usize, Failure)> {
        for (shown, event) in events.iter().enumerate() {
            let chunk = Chunk::of(vec![event.clone()]);
            // Whoever listens is past these events, and is told to read anew.
            let asked = self.ask(definition, chunk, work, Quarantine::default(), Telling::default()).await;
            asked.map_err(|failure| (shown, failure))?;
        }
        Ok(())
    }
}

impl Stuck {
    /// How many events to try in place of so many; none, if the first of them is to blame.
    fn sound(&self, most: u32) -> Option<u32> {
        let less = match (&self.failure, self.shown) {
            // What can be shown is kept, and then this one comes first.
            (Failure::Guest { .. } | Failure::Host(_) | Failure::OneByOne, Some(shown)) if shown > 0 => shown,
            (Failure::OneByOne, _) if most > 1 => 1,
            // Which of them the rows are of that can't be kept is not known.
            (Failure::Guest { .. }, None) if self.events.len() > 1 => self.events.len() / 2,
            _ => return None,
        };
        u32::try_from(less).ok()
    }
}

/// Why a failure lasts that is not the guest's, if it does.
fn lasting(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Host(reason) => Some(reason.clone()),
        Failure::Database(error @ (Error::Corrupt { .. } | Error::Engine(_))) => Some(error.to_string()),
        _ => None,
    }
}

/// What becomes of a letter when some of what it is about has been shown.
fn moves(parked: &Parked, rest: Option<Parked>) -> Letters {
    match rest {
        Some(rest) => Letters { parked: vec![rest], ..Letters::default() },
        None => Letters { released: vec![parked.held()], ..Letters::default() },
    }
}

/// The place before a position.
fn before(position: Position) -> Position {
    Position::new(position.get().saturating_sub(1))
}

/// The dead letter of what has been taken up in part, and goes on at an event.
fn moved_on(parked: &Parked, event: &RecordedEvent) -> Parked {
    Parked {
        stream: event.stream.clone(),
        position: event.position,
        revision: event.revision,
        event: event.event.name.clone(),
        version: event.event.version,
        ..parked.clone()
    }
}
