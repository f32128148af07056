//! Whoever goes on from a place while what he follows is busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use futures::StreamExt as _;
use serde_json::json;
use yado_engine::ChangeKind;

use super::super::fixture::limited;
use crate::Limits;

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn whoever_goes_on_while_a_cohort_is_busy_with_what_it_began_with_waits_and_misses_nothing() {
    let fixture = limited(Limits { timeout_ms: 200, ..Limits::default() });
    let past = &fixture.memory.past;
    let change = |id: &str| {
        past.change("Ticket", ChangeKind::Updated, json!({ "id": id, "venueId": "v", "price": "1" }));
    };
    let soon = || async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };
    change("a");
    past.hold_back(true);
    let query = "subscription ($c: String) { ticketUpdated(after: $c) { id venue { name } } }";
    let mut followed = fixture.follow(query, json!({ "c": "0" })).await;
    past.hold_back(false);
    // It begins, and the cohort can't tell what comes then.
    soon().await;
    fixture.memory.slow.store(true, Ordering::Relaxed);
    change("b");
    soon().await;
    assert_eq!(fixture.memory.past.followed(), 1);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    assert!(followed.0.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(woken.0.load(Ordering::Relaxed), 0, "it goes round without anything to do");
    fixture.memory.slow.store(false, Ordering::Relaxed);
    change("c");
    for id in ["a", "b", "c"] {
        assert_eq!(followed.next().await["data"]["ticketUpdated"]["id"], id);
    }
    assert!(followed.is_quiet());
}
