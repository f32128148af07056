//! What has happened, in memory: subscriptions of these tests follow it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use tokio::sync::watch;
use yado_engine::{ChangeKind, Cursor, Error, Result};
use yado_model::{Position, TenantId};

use super::fixture::InMemory;
use crate::live::{Failure, Followed, Happened, Source, Topic};

/// What has happened. Copies of it are the same.
#[derive(Clone)]
pub(super) struct Past {
    entries: Arc<Mutex<Vec<Entry>>>,
    head: watch::Sender<usize>,
    /// What is answered to whoever asks what happens next.
    failure: Arc<Mutex<Option<Error>>>,
    /// Whether following from now on is to begin only later.
    is_held_back: Arc<AtomicBool>,
    /// Whether whoever asks what happens next panics.
    panics: Arc<AtomicBool>,
    /// How many follow what happens.
    followed: Arc<()>,
}

#[derive(Clone)]
struct Entry {
    /// The read model and what has become of its row; nothing for an event of the log.
    change: Option<(String, ChangeKind)>,
    happened: Happened,
}

impl Default for Past {
    fn default() -> Self {
        Self {
            entries: Arc::default(),
            head: watch::Sender::new(0),
            failure: Arc::default(),
            is_held_back: Arc::default(),
            panics: Arc::default(),
            followed: Arc::default(),
        }
    }
}

impl Past {
    /// An event is recorded. Returns its position.
    pub(super) fn record(&self, id: &str, name: &str, payload: Json) -> u64 {
        self.add(None, |position| {
            json!({
                "position": position, "aggregate": "Ticket", "id": id, "revision": 1, "name": name, "version": 1,
                "payload": payload, "recordedAt": "2026-01-31T09:30:00.000000Z", "commandId": "c", "correlationId": "r",
            })
        })
    }

    /// A row changes. Returns the position.
    pub(super) fn change(&self, model: &str, kind: ChangeKind, row: Json) -> u64 {
        self.add(Some((model.to_owned(), kind)), |_| row)
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

    /// Whoever asks what happens next panics from now on, or again does not.
    pub(super) fn panic(&self, panics: bool) {
        self.panics.store(panics, Ordering::SeqCst);
        self.head.send_modify(|_| {});
    }

    /// How many follow what happens at this moment.
    pub(super) fn followed(&self) -> usize {
        Arc::strong_count(&self.followed) - 1
    }

    /// The position of the last thing that has happened.
    pub(super) fn head(&self) -> u64 {
        *self.head.borrow() as u64
    }

    fn add(&self, change: Option<(String, ChangeKind)>, value: impl FnOnce(u64) -> Json) -> u64 {
        let mut entries = self.entries.lock().unwrap();
        let position = entries.len() as u64 + 1;
        let place = if change.is_some() { 0 } else { u32::MAX };
        let cursor = Cursor { position: Position::new(position), place };
        let value = value(position);
        let bytes = value.to_string().len();
        entries.push(Entry { change, happened: Happened { cursor, value, bytes } });
        self.head.send_replace(entries.len());
        position
    }
}

struct Following {
    past: Past,
    head: watch::Receiver<usize>,
    /// Everything up to here has been looked at; nothing, if it has not begun yet.
    seen: Option<Cursor>,
}

#[async_trait]
impl Source for InMemory {
    fn follow(&self, _: &Topic, _: &TenantId, after: Option<Cursor>) -> Result<Box<dyn Followed>> {
        let past = self.0.past.clone();
        let head = past.head.subscribe();
        let mut following = Following { past, head, seen: after };
        following.begin();
        Ok(Box::new(following))
    }

    async fn has_come_to(&self, position: Position) -> Result<bool> {
        Ok(position.get() <= self.0.past.head())
    }
}

#[async_trait]
impl Followed for Following {
    async fn next(&mut self, topic: &Topic, until: Option<Cursor>) -> Result<Option<Happened>, Failure> {
        loop {
            self.head.borrow_and_update();
            assert!(!self.past.panics.load(Ordering::SeqCst), "what is followed is made to fail by a test");
            if self.begin() {
                return Ok(None);
            }
            if let Some(failure) = self.past.failure.lock().unwrap().clone() {
                return Err(failure.into());
            }
            if let Some(happened) = self.at_hand(topic)? {
                return Ok(Some(happened));
            }
            if self.seen.zip(until).is_some_and(|(seen, until)| seen.position >= until.position) {
                return Ok(None);
            }
            self.head.changed().await.unwrap();
        }
    }

    fn at_hand(&mut self, topic: &Topic) -> Result<Option<Happened>, Failure> {
        let entries = self.past.entries.lock().unwrap();
        let Some(seen) = self.seen else { return Ok(None) };
        for entry in entries.iter().filter(|entry| entry.happened.cursor > seen) {
            self.seen = Some(entry.happened.cursor);
            if is_told(topic, entry) {
                return Ok(Some(entry.happened.clone()));
            }
        }
        Ok(None)
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
            self.seen = Some(Cursor::all_of(Position::new(self.past.head())));
        }
        begins
    }
}

fn is_told(topic: &Topic, entry: &Entry) -> bool {
    let value = &entry.happened.value;
    match (topic, &entry.change) {
        (Topic::Events { aggregates, names, id }, None) => {
            let among = |wanted: &Option<Vec<String>>, known: &Json| {
                wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| known == wanted.as_str()))
            };
            among(aggregates, &value["aggregate"])
                && among(names, &value["name"])
                && id.as_ref().is_none_or(|id| value["id"] == id.as_str())
        }
        (Topic::Changes { model, kind, key, filter, .. }, Some((changed, what))) => {
            let row = value.as_object().unwrap();
            model.as_str() == changed
                && kind == what
                && key.as_ref().is_none_or(|key| value["id"] == key.as_str())
                && filter.as_ref().is_none_or(|filter| super::fixture::holds(filter, row, &HashMap::new()))
        }
        _ => false,
    }
}
