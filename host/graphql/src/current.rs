//! The deployment that is served at present, and news of the next one.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::graphql::Served;

/// The deployment that is served at present.
pub(crate) struct Current {
    served: ArcSwap<Served>,
    /// Told after another deployment is in place, so that whoever hears of it finds it.
    changed: watch::Sender<()>,
}

impl Current {
    pub(crate) fn new(served: Served) -> Self {
        Self { served: ArcSwap::from_pointee(served), changed: watch::Sender::new(()) }
    }

    /// Serves this from now on.
    pub(crate) fn install(&self, next: Arc<Served>) {
        self.served.store(next);
        self.changed.send_replace(());
    }

    /// What is served at present, for as long as it takes to look at it.
    pub(crate) fn look(&self) -> arc_swap::Guard<Arc<Served>> {
        self.served.load()
    }

    /// What is served at present, to keep.
    pub(crate) fn get(&self) -> Arc<Served> {
        self.served.load_full()
    }

    /// Tells of every other deployment from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}
