//! The lane: the one way into the log.
//!
//! Groups of appends gather while the previous transaction is under way, and go down together in the next one. There is
//! no timer: when the log is idle a group goes down alone and at once, and when it is busy transactions are as large as
//! the load makes them.
//!
//! A second transaction may wait at the database while one is under way there, so that the disk need not wait for us
//! ([`rhythm`]). They don't depend on each other: a stream has one group on its way at a time.
//!
//! Invariants: a group is never split over two transactions; nobody hears of an append before it is durable.

mod attempts;
mod batch;
mod rhythm;
mod size;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use yado_model::{Position, RecordedEvent};
use yado_store::{Append, Appended, Draft, Error, EventStore, Result as Stored};

use crate::Settings;
use crate::feed::Feed;
use crate::figures::Figures;
use crate::vigil::Vigil;

use attempts::Attempts;
use batch::Batch;
use rhythm::Rhythm;
pub(crate) use size::Size;

/// The pauses between attempts at a transaction that fails in passing grow from the first of these to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How many transactions are at the database at once: one that is under way there, and one that waits for its turn.
const AT_ONCE: usize = 2;

/// Appends that depend on each other: all of them belong to one stream, and each expects what the one before it leaves.
struct Group {
    appends: Vec<Append>,
    reply: oneshot::Sender<Stored<Vec<Appended>>>,
}

/// A handle to the lane.
#[derive(Clone)]
pub(crate) struct Lane {
    groups: mpsc::Sender<Group>,
}

impl Lane {
    /// Starts the loop. It ends when all handles are gone and all groups are down. The feed gets what is recorded, and
    /// `committed` the position of the last event of each commit. Once the engine is `stopped`, what fails is not tried
    /// again.
    pub(crate) fn start(
        store: Arc<dyn EventStore>,
        settings: &Settings,
        feed: Feed,
        committed: watch::Sender<Position>,
        figures: Figures,
        stopped: watch::Receiver<bool>,
        vigil: &Vigil,
    ) -> Self {
        let (groups, received) = mpsc::channel(settings.lane_queue);
        let writer = Writer {
            store,
            feed,
            committed,
            figures,
            most: Size::most(settings),
            attempts: settings.lane_attempts.max(1),
            stopped,
            vigil: vigil.clone(),
        };
        tokio::spawn(vigil.watch("the lane", writer.run(received)));
        Self { groups }
    }

    /// How many groups wait, for whoever wants to know that without keeping the lane alive.
    pub(crate) fn depth(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let groups = self.groups.downgrade();
        move || groups.upgrade().map_or(0, |groups| groups.max_capacity() - groups.capacity())
    }

    /// Records a group. Waits for room in the lane, and then until the group is durable or has lost.
    ///
    /// # Errors
    /// When the database failed again and again. Whether the group is recorded may then be unknown.
    pub(crate) async fn append(&self, appends: Vec<Append>) -> Stored<Vec<Appended>> {
        let gone = || Error::Unavailable("the server is shutting down".into());
        let (reply, outcome) = oneshot::channel();
        self.groups.send(Group { appends, reply }).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| Error::Unheard("the lane broke off while this was in it".into()))?
    }
}

struct Writer {
    store: Arc<dyn EventStore>,
    feed: Feed,
    committed: watch::Sender<Position>,
    figures: Figures,
    /// What one transaction holds.
    most: Size,
    attempts: u32,
    stopped: watch::Receiver<bool>,
    vigil: Vigil,
}

impl Writer {
    async fn run(self, mut groups: mpsc::Receiver<Group>) {
        let (mut batch, mut rhythm) = (Batch::new(self.most), Rhythm::default());
        let (mut under_way, mut open) = (FuturesUnordered::new(), true);
        loop {
            while open && !batch.is_full() {
                match groups.try_recv() {
                    Ok(group) => batch.add(group),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => open = false,
                }
            }
            let worth_it = batch.is_full() || batch.len() >= rhythm.worth();
            if !batch.is_empty() && (under_way.is_empty() || under_way.len() < AT_ONCE && worth_it) {
                let (writer, groups) = (&self, batch.take());
                let count = groups.len();
                rhythm.begun(count);
                under_way.push(async move {
                    writer.flush(groups).await;
                    count
                });
                continue;
            }
            tokio::select! {
                biased;
                Some(count) = under_way.next() => rhythm.ended(count, batch.len() + groups.len()),
                group = groups.recv(), if open && !batch.is_full() && under_way.len() < AT_ONCE => match group {
                    Some(group) => batch.add(group),
                    None => open = false,
                },
                else => break,
            }
        }
    }

    /// Takes a batch down. One that the store refuses goes down group by group, so that what is wrong with one group
    /// is told to that one alone.
    async fn flush(&self, batch: Vec<Group>) {
        let alone = batch.len() == 1;
        let sizes: Vec<usize> = batch.iter().map(|group| group.appends.len()).collect();
        let (appends, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|group| (group.appends, group.reply)).unzip();
        let appends: Vec<Append> = appends.into_iter().flatten().collect();
        let began = Instant::now();
        let mut attempts = Attempts::default();
        match self.record(&appends, &mut attempts).await {
            Ok(outcomes) => {
                self.hand_over(appends, &outcomes, began);
                let mut outcomes = outcomes.into_iter();
                for (size, reply) in sizes.into_iter().zip(replies) {
                    // Whoever does not listen any more has given up waiting; the events are recorded all the same.
                    let _ = reply.send(outcomes.by_ref().take(size).collect());
                }
            }
            Err(error) if alone || error.is_general() => {
                match error {
                    // It has been said, and goes for all that follow.
                    Error::OutOfUse(_) => tracing::debug!(%error, appends = appends.len(), "a transaction was refused"),
                    _ => tracing::error!(%error, appends = appends.len(), "a transaction failed for good"),
                }
                replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
            }
            Err(error) => {
                tracing::warn!(%error, groups = sizes.len(), "a transaction was refused; its groups go down one by one");
                let mut appends = appends.into_iter();
                for (size, reply) in sizes.into_iter().zip(replies) {
                    let group: Vec<Append> = appends.by_ref().take(size).collect();
                    let began = Instant::now();
                    let outcomes = self.record(&group, &mut attempts.clone()).await;
                    if let Ok(outcomes) = &outcomes {
                        self.hand_over(group, outcomes, began);
                    }
                    let _ = reply.send(outcomes.and_then(|outcomes| outcomes.into_iter().collect()));
                }
            }
        }
    }

    /// Hands what has been recorded over to those who follow the log.
    fn hand_over(&self, appends: Vec<Append>, outcomes: &[Stored<Appended>], began: Instant) {
        let events = recorded(appends, outcomes);
        let Some(last) = events.last().map(|event| event.position) else { return };
        self.figures.flushed(events.len(), began.elapsed());
        self.feed.publish(events);
        // News of an earlier transaction that comes late takes nothing back.
        self.committed.send_if_modified(|committed| std::mem::replace(committed, last.max(*committed)) < last);
    }

    /// Records a batch, and repeats the attempt when the database fails in passing. A connection that breaks during a
    /// commit leaves open whether the events are recorded; the repetition finds out, because an append that was
    /// recorded then meets its own events, and one that meets others can't be recorded any more. Only a value that is
    /// taken says nothing of that.
    ///
    /// What stays unknown in the end is that of single appends, and the others are told what has come of them.
    async fn record(&self, appends: &[Append], attempts: &mut Attempts) -> Stored<Vec<Stored<Appended>>> {
        let outcomes = self.patiently("a transaction", attempts, || async {
            // What was decided on a log that is no more must not get into the one that there is.
            if let Some(seen) = self.vigil.has_rewound() {
                return Err(Error::Rewound { seen });
            }
            let outcomes = self.store.append(appends).await;
            if let Err(Error::Rewound { seen }) = outcomes {
                self.vigil.rewound(seen);
            }
            outcomes
        });
        let mut told: Vec<Stored<Appended>> = outcomes.await?.into_iter().map(Ok).collect();
        if attempts.have_failed() {
            let mut failed = None;
            for (append, outcome) in appends.iter().zip(&mut told) {
                let Ok(lost) = &*outcome else { continue };
                if let (Appended::Taken { .. }, Some(unheard)) = (lost, attempts.unheard()) {
                    *outcome = Err(unheard.clone());
                    continue;
                }
                if !is_suspicious(append, lost) {
                    continue;
                }
                let found = match &failed {
                    Some(error) => Err(Error::clone(error)),
                    None => {
                        let find = || self.find(append);
                        self.patiently("a look for what has been recorded", &mut Attempts::default(), find).await
                    }
                };
                match found {
                    Ok(Some(recorded)) => *outcome = Ok(recorded),
                    Ok(None) => {}
                    Err(error) => {
                        // Nothing was done by the look; but what it was to find may be there.
                        let unknown =
                            Error::Unheard(format!("an attempt may be recorded, and can't be looked for: {error}"));
                        *outcome = Err(failed.get_or_insert(unknown).clone());
                    }
                }
            }
        }
        Ok(told)
    }

    /// Asks the database, and again where it fails in passing; but not when the engine is to stop, which must not take as
    /// long as all of that.
    async fn patiently<T, F: Future<Output = Stored<T>>>(
        &self,
        what: &str,
        attempts: &mut Attempts,
        ask: impl Fn() -> F,
    ) -> Stored<T> {
        let (mut pause, longest) = PAUSES;
        let mut stopped = self.stopped.clone();
        let mut attempt = 1;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempts.failed(&error);
            if !error.is_transient() || attempt >= self.attempts || *stopped.borrow() {
                return Err(attempts.last_word(error));
            }
            tracing::warn!(%error, attempt, "{what} failed; it is tried again");
            // Whatever ends the pause, one more attempt is made: it may be what clears up the one before.
            let _ = tokio::time::timeout(pause, stopped.wait_for(|stopped| *stopped)).await;
            pause = (pause * 4).min(longest);
            attempt += 1;
        }
    }

    /// Finds an append in the log, if it is there.
    async fn find(&self, append: &Append) -> Stored<Option<Appended>> {
        let count = append.events.len();
        let limit = u32::try_from(count).unwrap_or(u32::MAX);
        let after = append.expected.plus(count as u64);
        let (mut from, mut found) = (append.expected, Vec::with_capacity(count));
        // Large events come in several pages.
        while from < after {
            let page = self.store.read_stream(&append.tenant, &append.stream, from, limit).await?.events;
            let Some(last) = page.last() else { break };
            from = last.revision;
            found.extend(page);
        }
        found.truncate(count);
        let own =
            found.len() == count && found.iter().all(|event| event.command.command_id == append.command.command_id);
        let recorded = |last: &RecordedEvent| Appended::Recorded { revision: last.revision, position: last.position };
        Ok(found.last().filter(|_| own).map(recorded))
    }
}

/// Whether an append may have been defeated by itself, which is a success whose news got lost. It shows as a conflict, or,
/// where it has an idempotency key, as a repetition.
fn is_suspicious(append: &Append, outcome: &Appended) -> bool {
    let after = append.expected.plus(append.events.len() as u64);
    match outcome {
        Appended::Conflict { actual } => *actual >= after,
        Appended::Repeated(answer) => answer.stream == append.stream && answer.revision == after,
        Appended::Recorded { .. } | Appended::Taken { .. } => false,
    }
}

/// The events of the appends that have won, in the order of their positions.
fn recorded(appends: Vec<Append>, outcomes: &[Stored<Appended>]) -> Vec<RecordedEvent> {
    let mut recorded = Vec::with_capacity(appends.iter().map(|append| append.events.len()).sum());
    for (append, outcome) in appends.into_iter().zip(outcomes) {
        let Ok(Appended::Recorded { position, .. }) = outcome else { continue };
        let Draft { tenant, stream, expected, events, recorded_at, command, .. } = append.into();
        // The events of one append lie right behind one another, and the outcome tells where the last one is.
        let first = position.get().saturating_sub(events.len() as u64);
        recorded.extend((1..).zip(events).map(|(number, event)| RecordedEvent {
            tenant: tenant.clone(),
            stream: stream.clone(),
            revision: expected.plus(number),
            position: Position::new(first).plus(number),
            recorded_at,
            event,
            command: command.clone(),
        }));
    }
    // One that was recorded by an attempt whose news got lost lies before those that this attempt has recorded.
    if !recorded.is_sorted_by_key(|event| event.position) {
        recorded.sort_by_key(|event| event.position);
    }
    recorded
}
