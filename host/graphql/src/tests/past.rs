//! What has happened, in memory: subscriptions of these tests follow it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Value as Json;
use tokio::sync::watch;
use uuid::Uuid;
use yado_engine::{ChangeKind, Changed, Cursor, Error, Result};
use yado_model::{
    CommandId, CommandMeta, Name, NewEvent, Position, RecordedEvent, Revision, StreamId, TenantId, Timestamp,
};

use super::fixture::InMemory;
use crate::live::{Failure, Followed, Occurred, Source, Subject};

/// What has happened. Copies of it are the same.
#[derive(Clone)]
pub(super) struct Past {
    entries: Arc<Mutex<Vec<Entry>>>,
    head: watch::Sender<usize>,
    /// What is answered to whoever asks what happens next.
    failure: Arc<Mutex<Option<Error>>>,
    /// Whether following from now on is to begin only later.
    is_held_back: Arc<AtomicBool>,
    /// How far those who follow a read model have come, if not to the last thing that has happened.
    stands_at: Arc<Mutex<Option<(Subject, u64)>>>,
    /// So many things of the log are at hand after each reading of it.
    piece: Arc<AtomicU64>,
    /// Whether whoever asks what happens next panics.
    panics: Arc<AtomicBool>,
    /// How many follow what happens.
    followed: Arc<()>,
    /// Behind which places somebody has begun to.
    begun: Arc<Mutex<Vec<Option<Cursor>>>>,
    /// How many pieces of the log have been read.
    pieces: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Entry {
    Event(Box<RecordedEvent>),
    Changed(Arc<Changed>),
}

impl Default for Past {
    fn default() -> Self {
        Self {
            entries: Arc::default(),
            head: watch::Sender::new(0),
            failure: Arc::default(),
            is_held_back: Arc::default(),
            stands_at: Arc::default(),
            piece: Arc::new(AtomicU64::new(u64::MAX)),
            panics: Arc::default(),
            followed: Arc::default(),
            begun: Arc::default(),
            pieces: Arc::default(),
        }
    }
}

impl Past {
    /// An event is recorded of a ticket. Returns its position.
    pub(super) fn record(&self, id: &str, name: &str, payload: Json) -> u64 {
        self.add(|position| {
            let command_id = Uuid::from_u128(u128::from(position.get()));
            Entry::Event(Box::new(RecordedEvent {
                tenant: TenantId::default(),
                stream: StreamId::parse(&format!("Ticket-{id}")).unwrap(),
                revision: Revision::new(1),
                position,
                recorded_at: Timestamp::from_micros(0),
                event: NewEvent { name: name.into(), version: 1, payload: payload.to_string(), tags: Vec::new() },
                command: CommandMeta {
                    command_id: CommandId(command_id),
                    correlation_id: command_id,
                    causation_id: None,
                    actor: None,
                },
            }))
        })
    }

    /// A row changes. Returns the position.
    pub(super) fn change(&self, model: &str, kind: ChangeKind, row: Json) -> u64 {
        let text: Arc<str> = row.to_string().into();
        self.change_to(model, kind, row["id"].as_str().unwrap(), text)
    }

    /// The same, where what is kept of the row may be anything.
    pub(super) fn change_to(&self, model: &str, kind: ChangeKind, key: &str, row: Arc<str>) -> u64 {
        self.add(|position| {
            let (tenant, model) = (TenantId::default(), Name::parse(model).unwrap());
            Entry::Changed(Arc::new(Changed { position, place: 0, tenant, model, key: key.to_owned(), kind, row }))
        })
    }

    /// What is followed fails from now on, or again does not.
    pub(super) fn fail(&self, failure: Option<Error>) {
        *self.failure.lock().unwrap() = failure;
        self.head.send_modify(|_| {});
    }

    /// Whoever follows what happens from now on does not begin yet, or begins now.
    pub(super) fn hold_back(&self, is_held_back: bool) {
        self.is_held_back.store(is_held_back, Ordering::SeqCst);
        self.head.send_modify(|_| {});
    }

    /// What happens to a read model behind a position is not shown from now on.
    pub(super) fn stand_at(&self, model: &str, position: u64) {
        *self.stands_at.lock().unwrap() = Some((Subject::Changes(Name::parse(model).unwrap()), position));
        self.head.send_modify(|_| {});
    }

    /// So much of the log is at hand after each reading of it, for those who follow it from now on.
    pub(super) fn is_read_in_pieces_of(&self, count: u64) {
        self.piece.store(count, Ordering::SeqCst);
    }

    /// Everything is shown again.
    pub(super) fn go_on(&self) {
        *self.stands_at.lock().unwrap() = None;
        self.head.send_modify(|_| {});
    }

    /// The position of the last thing that is shown to those who follow something.
    fn shown(&self, subject: &Subject) -> u64 {
        let stands_at = self.stands_at.lock().unwrap();
        stands_at.as_ref().filter(|(still, _)| still == subject).map_or(self.head(), |(_, at)| self.head().min(*at))
    }

    /// Whoever asks what happens next panics from now on, or again does not.
    pub(super) fn panic(&self, panics: bool) {
        self.panics.store(panics, Ordering::SeqCst);
        self.head.send_modify(|_| {});
    }

    /// How many follow what happens at this moment.
    pub(super) fn followed(&self) -> usize {
        Arc::strong_count(&self.followed) - 1
    }

    /// How often somebody has begun to follow it.
    pub(super) fn begun(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    /// Behind which place somebody has begun to follow it last.
    pub(super) fn begun_last(&self) -> Option<Cursor> {
        self.begun.lock().unwrap().last().copied().flatten()
    }

    /// How many pieces of the log have been read.
    pub(super) fn pieces(&self) -> u64 {
        self.pieces.load(Ordering::SeqCst)
    }

    /// The position of the last thing that has happened.
    pub(super) fn head(&self) -> u64 {
        *self.head.borrow() as u64
    }

    fn add(&self, entry: impl FnOnce(Position) -> Entry) -> u64 {
        let mut entries = self.entries.lock().unwrap();
        let position = entries.len() as u64 + 1;
        entries.push(entry(Position::new(position)));
        self.head.send_replace(entries.len());
        position
    }
}

impl Entry {
    fn cursor(&self) -> Cursor {
        match self {
            Self::Event(event) => Cursor::all_of(event.position),
            Self::Changed(changed) => Cursor::from(&**changed),
        }
    }

    fn is_of(&self, subject: &Subject) -> bool {
        match (subject, self) {
            (Subject::Events, Self::Event(_)) => true,
            (Subject::Changes(model), Self::Changed(changed)) => changed.model == *model,
            _ => false,
        }
    }
}

struct Following {
    past: Past,
    subject: Subject,
    head: watch::Receiver<usize>,
    /// Everything up to here has been taken; nothing, if it has not begun yet.
    seen: Option<Cursor>,
    /// What has been taken last.
    taken: Option<Entry>,
    /// Everything up to this position is at hand.
    at_hand: u64,
}

#[async_trait]
impl Source for InMemory {
    fn follow(&self, subject: &Subject, _: &TenantId, after: Option<Cursor>) -> Result<Box<dyn Followed>> {
        let past = self.0.past.clone();
        past.begun.lock().unwrap().push(after);
        let head = past.head.subscribe();
        let at_hand = match (subject, past.piece.load(Ordering::SeqCst)) {
            (Subject::Events, piece) if piece < u64::MAX => 0,
            _ => u64::MAX,
        };
        let mut following = Following { past, subject: subject.clone(), head, seen: after, taken: None, at_hand };
        following.begin();
        Ok(Box::new(following))
    }

    async fn has_come_to(&self, position: Position) -> Result<bool> {
        Ok(position.get() <= self.0.past.head())
    }
}

#[async_trait]
impl Followed for Following {
    async fn more(&mut self, until: Option<Cursor>) -> Result<(), Failure> {
        self.wait(until).await?;
        if self.at_hand < u64::MAX {
            tokio::task::yield_now().await;
            self.past.pieces.fetch_add(1, Ordering::SeqCst);
            let seen = self.seen.map_or(0, |seen| seen.position.get());
            self.at_hand =
                seen.saturating_add(self.past.piece.load(Ordering::SeqCst)).min(self.past.shown(&self.subject));
        }
        Ok(())
    }

    async fn wait(&mut self, until: Option<Cursor>) -> Result<(), Failure> {
        loop {
            self.head.mark_unchanged();
            let head = self.past.shown(&self.subject);
            assert!(!self.past.panics.load(Ordering::SeqCst), "what is followed is made to fail by a test");
            if self.begin() {
                return Ok(());
            }
            if let Some(failure) = self.past.failure.lock().unwrap().clone() {
                return Err(failure.into());
            }
            if self.next(head).is_some() {
                return Ok(());
            }
            if self.seen.is_some() {
                self.seen = self.seen.max(Some(Cursor::all_of(Position::new(head))));
            }
            if self.seen.zip(until).is_some_and(|(seen, until)| seen >= until) {
                return Ok(());
            }
            self.head.changed().await.unwrap();
        }
    }

    fn take(&mut self) -> Option<Occurred<'_>> {
        let at_hand = self.at_hand.min(self.past.shown(&self.subject));
        self.taken = Some(self.next(at_hand)?);
        self.seen = self.taken.as_ref().map(Entry::cursor);
        self.taken.as_ref().map(|entry| match entry {
            Entry::Event(event) => Occurred::Event(event),
            Entry::Changed(changed) => Occurred::Changed(changed.clone()),
        })
    }

    fn reached(&self) -> Option<Cursor> {
        self.seen
    }
}

impl Following {
    /// Begins, if it has not and is not held back; says whether it has done so.
    fn begin(&mut self) -> bool {
        let begins = self.seen.is_none() && !self.past.is_held_back.load(Ordering::SeqCst);
        if begins {
            self.seen = Some(Cursor::all_of(Position::new(self.past.shown(&self.subject))));
        }
        begins
    }

    /// What has happened next, up to a position.
    fn next(&self, shown: u64) -> Option<Entry> {
        let (seen, shown) = (self.seen?, Position::new(shown));
        let entries = self.past.entries.lock().unwrap();
        let behind = usize::try_from(seen.position.get()).unwrap().saturating_sub(1);
        let mut left = entries.iter().skip(behind);
        left.find(|entry| entry.cursor() > seen && entry.is_of(&self.subject))
            .filter(|entry| entry.cursor().position <= shown)
            .cloned()
    }
}
