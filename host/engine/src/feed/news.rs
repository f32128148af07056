//! News of the log between processes: what this one has recorded is announced, and what others announce is heard.
//!
//! News only saves waiting. Nobody relies on it: a look at the log now and then finds whatever no news has told. Nor does
//! anybody believe it. Whoever may connect to the database can announce what he likes, and so may a process with another
//! log there; an announcement is a reason to look, and what a look finds counts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use yado_model::Position;
use yado_store::{Error, EventStore};

use super::Feed;
use crate::Settings;
use crate::vigil::Vigil;

/// The pauses between attempts to listen grow from the first of these to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Starts the loops. `committed` is where this process's own commits end; the loop that announces them ends with its
/// sender. The others end when the engine stops.
pub(crate) fn start(
    feed: &Feed,
    settings: &Settings,
    committed: watch::Receiver<Position>,
    stopped: &watch::Receiver<bool>,
    vigil: &Vigil,
) {
    let store = feed.shared.store.clone();
    let pause = Duration::from_millis(settings.announce_ms);
    tokio::spawn(vigil.watch("the loop that announces commits", announce(store, committed, pause)));
    let mut until = stopped.clone();
    let listening = listen(feed.clone());
    tokio::spawn(vigil.watch("the loop that hears of commits", async move {
        tokio::select! {
            _ = until.wait_for(|stopped| *stopped) => {}
            () = listening => {}
        }
    }));
    let mut until = stopped.clone();
    let looking = look(feed.clone(), vigil.clone(), Duration::from_millis(settings.poll_ms.max(1)));
    tokio::spawn(vigil.watch("the loop that looks where the log ends", async move {
        tokio::select! {
            _ = until.wait_for(|stopped| *stopped) => {}
            () = looking => {}
        }
    }));
}

/// Announces the latest commit, one at a time and with a pause in between, so that any number of commits costs no more
/// than a few announcements. It goes beside the lane, and nobody waits for it.
async fn announce(store: Arc<dyn EventStore>, mut committed: watch::Receiver<Position>, pause: Duration) {
    let mut well = true;
    while committed.changed().await.is_ok() {
        let head = *committed.borrow_and_update();
        match store.announce(head).await {
            Ok(()) => well = true,
            Err(error) => {
                // Others find out by themselves, only later. One line for a series of failures is enough.
                if std::mem::replace(&mut well, false) {
                    tracing::warn!(%error, "commits can't be announced to other processes; they have to look for them");
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

/// Listens to what other processes announce, and begins again when the connection breaks.
async fn listen(feed: Feed) {
    let (first, longest) = PAUSES;
    let mut pause = first;
    loop {
        let before = *feed.shared.head.borrow();
        // The store looks where the log ends when it hears of something new. What this process has announced itself is not
        // new, and wakes nobody.
        if let Err(error) = feed.shared.store.listen(feed.shared.head.clone()).await {
            if *feed.shared.head.borrow() > before {
                pause = first;
            }
            tracing::warn!(%error, "news of other processes' commits can't be heard; it is tried again");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// Looks where the log ends, again and again.
async fn look(feed: Feed, vigil: Vigil, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        match feed.look().await {
            Ok(_) => {}
            Err(Error::Rewound { seen }) => vigil.rewound(seen),
            Err(error) => tracing::debug!(%error, "the log's end could not be read; the next look tries again"),
        }
    }
}
