//! Reads ahead: the next page of the log is on its way while the guest is shown this one.

use std::sync::Arc;

use tokio::task::JoinHandle;
use yado_model::{Position, RecordedEvent};
use yado_store::{Checkpoint, Result as Stored};

use crate::feed::{Feed, Page};

/// Events of one page at most. Guest calls have a limit of their own; this one is for few round trips.
const LONGEST_PAGE: u32 = 4_000;
/// The shortest page, where events are large.
const SHORTEST_PAGE: u32 = 16;
/// Bytes of payload of one page at most, unless its first event alone has more.
const LARGEST_PAGE: usize = 4 * 1024 * 1024;

/// Hands out the log piece by piece.
pub(super) struct Reader {
    feed: Feed,
    page: Page,
    /// How many events of the page have been handed out.
    used: usize,
    /// Everything up to here has been handed out.
    after: Checkpoint,
    /// How many events to ask for. Where they are large, fewer of them make a page.
    limit: u32,
    ahead: Option<JoinHandle<Stored<Page>>>,
}

/// Some events of the log, one after the other. A copy shares them.
#[derive(Clone)]
pub(super) struct Chunk {
    page: Page,
    from: usize,
    count: usize,
}

impl Reader {
    /// A reader that begins after a position.
    pub(super) fn new(feed: Feed, after: Checkpoint) -> Self {
        Self { feed, page: Page::default(), used: 0, after, limit: LONGEST_PAGE, ahead: None }
    }

    /// The next events, at most so many; none, if the log is not known to have any.
    pub(super) async fn next(&mut self, most: usize) -> Stored<Option<Chunk>> {
        if self.used >= self.page.len() && !self.turn().await? {
            return Ok(None);
        }
        let count = most.max(1).min(self.page.len() - self.used);
        let chunk = Chunk { page: self.page.clone(), from: self.used, count };
        self.used += count;
        self.after = chunk.end().unwrap_or(self.after);
        Ok(Some(chunk))
    }

    /// Whether events have been read that are still to be handed out.
    pub(super) fn has_rest(&self) -> bool {
        self.used < self.page.len()
    }

    /// Whether so many events wait behind those that have been handed out that it takes pages to show them.
    pub(super) fn is_far_behind(&self) -> bool {
        self.would_be_far_behind(*self.feed.head().borrow())
    }

    /// The same, if the log ended at a position.
    pub(super) fn would_be_far_behind(&self, head: Position) -> bool {
        self.behind(head) >= u64::from(LONGEST_PAGE)
    }

    /// How many events wait behind those that have been handed out.
    pub(super) fn waiting(&self) -> u64 {
        self.behind(*self.feed.head().borrow())
    }

    const fn behind(&self, head: Position) -> u64 {
        head.get().saturating_sub(self.after.position.get())
    }

    /// Goes on after another position.
    pub(super) fn go_to(&mut self, after: Checkpoint) {
        if let Some(ahead) = self.ahead.take() {
            ahead.abort();
        }
        (self.page, self.used, self.after) = (Page::default(), 0, after);
    }

    /// Turns to the next page. Returns whether there is one.
    async fn turn(&mut self) -> Stored<bool> {
        let read = match self.ahead.take() {
            Some(ahead) => ahead.await.unwrap_or_else(|error| {
                Err(yado_store::Error::Unavailable(format!("the log could not be read ahead: {error}")))
            }),
            None => self.feed.read(self.after, self.limit, LARGEST_PAGE).await,
        };
        let page = read?;
        let Some(last) = page.iter().last().map(Checkpoint::from) else { return Ok(false) };
        if *self.feed.head().borrow() > last.position {
            let len = u32::try_from(page.len()).unwrap_or(u32::MAX);
            let cut = len < self.limit;
            self.limit = if cut { len.max(SHORTEST_PAGE) } else { self.limit.saturating_mul(2).min(LONGEST_PAGE) };
            let (feed, limit) = (self.feed.clone(), self.limit);
            self.ahead = Some(tokio::spawn(async move { feed.read(last, limit, LARGEST_PAGE).await }));
        }
        (self.page, self.used) = (page, 0);
        Ok(true)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}

impl Chunk {
    /// Some events on their own.
    pub(super) fn of(events: Vec<RecordedEvent>) -> Self {
        let page = Page::of(Arc::new(events), usize::MAX);
        Self { from: 0, count: page.len(), page }
    }

    /// The events, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &RecordedEvent> {
        self.page.iter().skip(self.from).take(self.count)
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Where whoever has been shown all of them stands.
    pub(super) fn end(&self) -> Option<Checkpoint> {
        self.iter().last().map(Checkpoint::from)
    }
}
