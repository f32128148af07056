//! The log as it goes on, for those outside of the engine who follow it.
//!
//! A follower says after which position it wants to hear, and is given everything behind that in order, page by page: from
//! memory as long as it keeps up, from the log otherwise. It holds nothing but its place, so any number of them may wait;
//! how many read the log at the same time is bounded, because each of those takes a connection of the database.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use yado_model::{Position, RecordedEvent};

use crate::Result;
use crate::feed::{Feed, Page};

/// Events in one page.
const PAGE_EVENTS: u32 = 500;
/// Payload in one page, in bytes, unless one event alone has more.
const PAGE_BYTES: usize = 1024 * 1024;
/// How many followers read the log at the same time. Others wait for one of them.
const BEHIND_MAX: usize = 16;

/// What all followers share.
#[derive(Clone)]
pub(crate) struct Following {
    feed: Feed,
    behind: Arc<Semaphore>,
}

impl Following {
    pub(crate) fn new(feed: Feed) -> Self {
        Self { feed, behind: Arc::new(Semaphore::new(BEHIND_MAX)) }
    }

    /// Begins right after a position, or with what is recorded from now on.
    pub(crate) fn after(&self, after: Option<Position>) -> Events {
        let head = self.feed.head();
        let after = after.unwrap_or_else(|| *head.borrow());
        Events { following: self.clone(), head, after }
    }
}

/// The events of all tenants after a position, as they are recorded.
pub struct Events {
    following: Following,
    head: watch::Receiver<Position>,
    after: Position,
}

/// Some events of the log, in order and without gaps. A copy of it shares the events.
#[derive(Debug, Clone)]
pub struct EventPage(Page);

impl Events {
    /// Everything up to here has been handed out, or was not asked for.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.after
    }

    /// Whether the log has come to where this begins. Another process may have recorded what this one has not heard of, so
    /// the log itself is looked at before it is said that it has not.
    ///
    /// # Errors
    /// When the log can't be read.
    pub async fn is_reached(&self) -> Result<bool> {
        let known = *self.head.borrow();
        Ok(self.after <= known || self.after <= self.following.feed.look().await?)
    }

    /// Waits until there are more events, without reading them: whoever waits for long takes up nothing that others may need
    /// meanwhile.
    pub async fn wait(&mut self) {
        // The feed that is held here is what tells, so that there is always one to tell.
        let _ = self.head.wait_for(|head| *head > self.after).await;
    }

    /// The next events, once there are any. Whoever stops waiting misses nothing.
    ///
    /// # Errors
    /// When the log can't be read. The next call tries again.
    pub async fn next(&mut self) -> Result<EventPage> {
        loop {
            self.wait().await;
            let Following { feed, behind } = &self.following;
            let page = match feed.recent(self.after, PAGE_EVENTS, PAGE_BYTES) {
                Some(page) => page,
                None => {
                    // Nobody closes the semaphore; if it were closed, there would be no limit, and nobody kept waiting.
                    let _turn = behind.acquire().await.ok();
                    feed.read(self.after, PAGE_EVENTS, PAGE_BYTES).await?
                }
            };
            if let Some(last) = page.last() {
                self.after = last;
                return Ok(EventPage(page));
            }
        }
    }
}

impl EventPage {
    /// The events, in order.
    pub fn iter(&self) -> impl Iterator<Item = &RecordedEvent> {
        self.0.iter()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("after", &self.after).finish_non_exhaustive()
    }
}
