//! A page of the log or of a stream, bounded by its bytes as well as by its events: one event may be as large as thousands of others.

use std::sync::atomic::{AtomicUsize, Ordering};

use yado_model::RecordedEvent;

use crate::StreamPage;
use crate::limits::LARGEST_PAGE;

/// A page as it is being read.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) events: Vec<RecordedEvent>,
    bytes: usize,
}

impl Page {
    pub(crate) fn push(&mut self, event: RecordedEvent) {
        self.bytes += event.event.payload.len();
        self.events.push(event);
    }

    /// As the page of a stream of which so many events were asked for.
    pub(crate) fn of_stream(self, asked: u32) -> StreamPage {
        let more = self.is_full() || self.events.len() >= asked as usize;
        StreamPage { events: self.events, more }
    }

    /// Whether it ends here.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= LARGEST_PAGE
    }
}

/// How large events have been of late. It is for an engine that can't be stopped in the middle of a page without harm,
/// and so is asked for no more events than will probably fit.
#[derive(Debug, Default)]
pub(crate) struct Size(AtomicUsize);

impl Size {
    /// How many events to ask for.
    pub(crate) fn events(&self, limit: u32) -> u32 {
        let fit = LARGEST_PAGE / self.0.load(Ordering::Relaxed).max(1);
        // One more, so that a page is always one event at least, and a full one is seen to be full.
        limit.min(u32::try_from(fit).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// Learns from a page that was read.
    pub(crate) fn learn(&self, page: &Page) {
        if let Some(average) = page.bytes.checked_div(page.events.len()) {
            self.0.store(average, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_events_are_asked_for_as_will_fit() {
        let size = Size::default();
        assert_eq!(size.events(2_000), 2_000);
        size.0.store(LARGEST_PAGE / 10, Ordering::Relaxed);
        assert_eq!((size.events(2_000), size.events(5)), (11, 5));
        size.0.store(usize::MAX, Ordering::Relaxed);
        assert_eq!((size.events(2_000), size.events(0)), (1, 0));
    }
}
