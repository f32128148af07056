//! The feed: the log for those who follow it, its newest events from memory.
//!
//! After a commit the lane hands over what it has recorded, and every reader of this process gets it from here without
//! asking the database. Whoever is too far behind for that, or wants events that another process has recorded, is given
//! them from the log; those at its end stay here for the next who wants them. So readers can't tell the two apart but by
//! speed, and falling behind never means to miss something.
//!
//! Invariants: what a read returns is durable, begins right after the position that was asked for, and has no gaps. The
//! head is where the log has been seen to end, never what somebody says of it; so a log that ends before it has gone back,
//! and whoever finds that out says so instead of asking again. A reader holds no lock while it looks at what it got, and
//! nothing is copied for it.

mod news;
mod page;
mod ring;
#[cfg(test)]
mod testing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use yado_model::{Position, RecordedEvent};
use yado_store::{Checkpoint, Error, EventStore, Result as Stored};

use crate::Settings;
use crate::figures::Figures;

pub(crate) use news::start as follow;
pub(crate) use page::Page;
use ring::Ring;

/// A handle to the feed.
#[derive(Clone)]
pub(crate) struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn EventStore>,
    ring: Mutex<Ring>,
    head: watch::Sender<Position>,
    figures: Figures,
}

impl Feed {
    /// A feed that has nothing in memory yet. `head` is where the log ends.
    pub(crate) fn new(store: Arc<dyn EventStore>, head: Position, settings: &Settings, figures: Figures) -> Self {
        let ring = Mutex::new(Ring::new(settings.feed_events, settings.feed_bytes));
        Self { shared: Arc::new(Shared { store, ring, head: watch::Sender::new(head), figures }) }
    }

    /// The position of the last event, as far as this process knows: from its own commits, and from a look at the log when
    /// another process has announced something, and now and then. A reader waits for it to rise, and need not look by itself.
    pub(crate) fn head(&self) -> watch::Receiver<Position> {
        self.shared.head.subscribe()
    }

    /// The events after a position: at most `limit`, and at most so many bytes of payload unless the first alone has
    /// more. None if the log is not known to have any.
    ///
    /// # Errors
    /// When the events are not in memory, and the log can't be read; or when it does not have them any more, or not the
    /// one that the reader says is there.
    pub(crate) async fn read(&self, after: impl Into<Checkpoint>, limit: u32, bytes: usize) -> Stored<Page> {
        let after = after.into();
        let head = *self.shared.head.borrow();
        if head <= after.position {
            return Ok(Page::default());
        }
        let limit = limit.max(1);
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(page) = self.ring().read(after.position, most, bytes) {
            self.shared.figures.feed_memory.increment(page.len() as u64);
            return Ok(page);
        }
        let events = Arc::new(self.read_log(after, limit).await?);
        let page = Page::of(events.clone(), bytes);
        self.shared.figures.feed_log.increment(page.len() as u64);
        // A reader that was given nothing would ask again at once, because the head says that there is something.
        let last = page.last().ok_or(Error::Rewound { seen: head })?;
        self.heard(last);
        // What reaches to the log's end is what others who follow it want next, and another process has recorded it. They
        // need not read it again; but they must know that it follows on what they have seen, and only one who says what
        // that was has had it compared.
        if after.command.is_some() && events.last().is_some_and(|newest| newest.position >= head) {
            let evicted = self.ring().share(after, events);
            drop(evicted);
        }
        Ok(page)
    }

    /// The events after a position, as far as they are in memory; none if they are not, or if there are none.
    pub(crate) fn recent(&self, after: Position, limit: u32, bytes: usize) -> Option<Page> {
        let page = self.ring().read(after, usize::try_from(limit.max(1)).unwrap_or(usize::MAX), bytes)?;
        self.shared.figures.feed_memory.increment(page.len() as u64);
        Some(page)
    }

    /// Reads the log itself, beginning with the event that the reader has come to, if it says which one that is: what follows
    /// on it in a log that went back and has grown again is not what follows on what the reader has seen.
    async fn read_log(&self, after: Checkpoint, limit: u32) -> Stored<Vec<RecordedEvent>> {
        let store = &self.shared.store;
        let (Some(_), Some(before)) = (after.command, after.position.get().checked_sub(1)) else {
            return store.read_log(after.position, limit).await;
        };
        let mut events = store.read_log(Position::new(before), limit.saturating_add(1)).await?;
        if !events.first().is_some_and(|event| after.is_at(event)) {
            return Err(Error::Rewound { seen: after.position });
        }
        events.remove(0);
        if events.is_empty() {
            // It may be so large that it is a page by itself.
            return store.read_log(after.position, limit).await;
        }
        Ok(events)
    }

    /// Looks where the log ends, and tells all readers. For those who can't wait for the next look.
    ///
    /// # Errors
    /// When the log can't be read, or has gone back.
    pub(crate) async fn look(&self) -> Stored<Position> {
        let seen = *self.shared.head.borrow();
        let head = self.shared.store.head().await?;
        if head < seen {
            return Err(Error::Rewound { seen });
        }
        self.heard(head);
        Ok(head)
    }

    /// Takes in what this process has recorded, in the order of positions.
    pub(crate) fn publish(&self, events: Vec<RecordedEvent>) {
        let Some(last) = events.last().map(|event| event.position) else { return };
        // Those that make room are freed when the lock is not held any more.
        let evicted = self.ring().push(events);
        self.heard(last);
        drop(evicted);
    }

    /// The log has been seen to reach to a position.
    pub(crate) fn heard(&self, position: Position) {
        if *self.shared.head.borrow() < position {
            self.shared.head.send_if_modified(|head| std::mem::replace(head, position.max(*head)) < position);
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
