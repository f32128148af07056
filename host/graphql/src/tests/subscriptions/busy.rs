//! Whoever goes on from a place while what he follows is busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::time::timeout;
use yado_engine::{ChangeKind, Error};

use super::super::fixture::{fixture, limited};
use super::super::patience::patient;
use super::EVENTS;
use crate::Limits;
use crate::live::Told;

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
    let fixture = fixture();
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
    fixture.memory.slow.send_replace(true);
    change("b");
    soon().await;
    assert_eq!(fixture.memory.past.followed(), 1);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    assert!(followed.0.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(woken.0.load(Ordering::Relaxed), 0, "it goes round without anything to do");
    fixture.memory.slow.send_replace(false);
    change("c");
    for id in ["a", "b", "c"] {
        assert_eq!(followed.next().await["data"]["ticketUpdated"]["id"], id);
    }
    assert!(followed.is_quiet());
}

#[tokio::test]
async fn nothing_is_kept_for_whoever_has_a_long_way_to_catch_up() {
    let fixture = limited(Limits { live_buffer: 200, ..patient() });
    let record = |count| (0..count).for_each(|_| _ = fixture.memory.past.record("a", "A", json!({})));
    record(5_000);
    let mut quick = fixture.follow(EVENTS, json!({})).await;
    let mut late = fixture.follow(EVENTS, json!({ "after": 0 })).await;
    for position in 1..=5_000 {
        assert_eq!(late.next().await["data"]["events"]["position"], position);
        if position % 500 == 1 {
            record(150);
            for _ in 0..150 {
                quick.next().await;
            }
            assert_eq!(fixture.graphql.live().kept(), 0, "the others wait for whoever is at {position}");
        }
    }
    // He comes to where the others are, and is told what happens with them.
    for position in 5_001..=6_500 {
        assert_eq!(late.next().await["data"]["events"]["position"], position);
    }
    for _ in 0..10 {
        assert!(late.is_quiet() && quick.is_quiet());
        tokio::task::yield_now().await;
    }
    let begun = fixture.memory.past.begun();
    record(1);
    for followed in [&mut late, &mut quick] {
        assert_eq!(followed.next().await["data"]["events"]["position"], 6_501);
    }
    assert_eq!(fixture.memory.past.begun(), begun, "he still reads for himself");
}

/// Tickets that are shown with their venues.
const TICKETS: &str = "subscription { ticketUpdated(after: \"0\") { id label venue { name } } }";

#[tokio::test]
async fn little_is_made_ready_where_others_have_taken_all_of_the_memory() {
    let fixture = fixture();
    let label = "x".repeat(50_000);
    for id in 0..20 {
        let row = json!({ "id": id.to_string(), "venueId": "v", "price": "1", "label": label });
        fixture.memory.past.change("Ticket", ChangeKind::Updated, row);
    }
    let _filled = fixture.graphql.live().fill_behind();
    let mut followed = fixture.follow(TICKETS, json!({})).await;
    let mut looked_up = Vec::new();
    for id in 0..20 {
        assert_eq!(followed.next().await["data"]["ticketUpdated"]["id"], id.to_string());
        looked_up.push(fixture.memory.statements().iter().filter(|asked| asked.starts_with("rows")).count());
    }
    assert_eq!(looked_up, [1; 20]);
}

#[tokio::test]
async fn those_who_are_live_have_room_whatever_those_take_who_catch_up() {
    let fixture = fixture();
    let _filled = fixture.graphql.live().fill_behind();
    let query = "subscription { ticketUpdated { id label } }";
    let mut live = fixture.follow(query, json!({})).await;
    let mut quick = fixture.follow(query, json!({})).await;
    let label = "x".repeat(50_000);
    for id in 0..5 {
        let row = json!({ "id": id.to_string(), "venueId": "v", "price": "1", "label": label });
        fixture.memory.past.change("Ticket", ChangeKind::Updated, row);
    }
    for _ in 0..5 {
        quick.next().await;
    }
    assert_eq!(fixture.graphql.live().kept(), 5, "they are kept for the one who has not taken them");
    for id in 0..5 {
        assert_eq!(live.next().await["data"]["ticketUpdated"]["id"], id.to_string());
    }
}

#[tokio::test]
async fn what_is_ready_is_bounded_however_long_it_gets_when_it_is_formed() {
    let fixture = fixture();
    fixture.memory.put("Venue", json!({ "id": "v", "name": "x".repeat(300_000) }));
    for id in 0..100 {
        let row = json!({ "id": id.to_string(), "venueId": "v", "price": "1" });
        fixture.memory.past.change("Ticket", ChangeKind::Updated, row);
    }
    let mut followed = fixture.follow(TICKETS, json!({})).await;
    for id in 0..100 {
        let taken = fixture.graphql.live().behind_taken();
        assert!(taken <= 1024 * 1024, "{taken} before {id}");
        assert_eq!(followed.next().await["data"]["ticketUpdated"]["id"], id.to_string());
    }
    assert!(followed.is_quiet());
    let looked_up = fixture.memory.statements().into_iter().filter(|asked| asked.starts_with("rows")).count();
    // Three at a time, as the first attempt has shown, which was for more.
    assert_eq!(looked_up, 34);
}

#[tokio::test]
async fn nothing_is_told_again_where_what_is_followed_begins_before_the_place_that_was_asked_for() {
    let fixture = fixture();
    let past = &fixture.memory.past;
    for id in 1..=6 {
        past.change("Ticket", ChangeKind::Updated, json!({ "id": id.to_string(), "venueId": "v", "price": "1" }));
    }
    past.hold_back(true);
    past.stand_at("Ticket", 2);
    let query = "subscription ($c: String) { ticketUpdated(after: $c) { id } }";
    let mut others = fixture.follow(query, json!({})).await;
    let mut followed = fixture.follow(query, json!({ "c": "4.0" })).await;
    let turns = fixture.graphql.live().take_turns();
    past.hold_back(false);
    for _ in 0..20 {
        tokio::task::yield_now().await;
        assert!(followed.is_quiet());
    }
    // What is followed has begun, and goes on before it is his turn.
    past.go_on();
    for id in 3..=6 {
        assert_eq!(others.next().await["data"]["ticketUpdated"]["id"], id.to_string());
    }
    drop(turns);
    for id in 5..=6 {
        assert_eq!(followed.next().await["data"]["ticketUpdated"]["id"], id.to_string());
    }
    assert!(followed.is_quiet());
}

#[tokio::test]
async fn whoever_asks_while_a_cohort_lags_is_told_nothing_that_happened_before() {
    let fixture = fixture();
    let change = |id: &str| {
        let row = json!({ "id": id, "venueId": "v", "price": "1" });
        fixture.memory.past.change("Ticket", ChangeKind::Updated, row);
    };
    let query = "subscription { ticketUpdated { id venue { name } } }";
    let mut before = fixture.follow(query, json!({})).await;
    let away = Error::Unavailable { reason: "the database is away".into(), retry_after_ms: 1 };
    *fixture.memory.failure.lock().unwrap() = Some(away);
    change("a");
    while fixture.memory.statements().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut since = fixture.follow(query, json!({})).await;
    *fixture.memory.failure.lock().unwrap() = None;
    change("b");
    for (followed, expected) in [(&mut before, ["a", "b"].as_slice()), (&mut since, &["b"])] {
        for id in expected {
            assert_eq!(followed.next().await["data"]["ticketUpdated"]["id"], *id);
        }
        assert!(followed.is_quiet());
    }
}

/// Whoever takes one message whenever the others have to wait for him is no quicker than one who takes none.
#[tokio::test]
async fn whoever_takes_little_does_not_set_the_pace_of_the_others() {
    let fixture = limited(Limits { live_buffer: 8, slow_ms: 200, ..patient() });
    let mut slow = fixture.follow(EVENTS, json!({})).await;
    let mut quick = fixture.follow(EVENTS, json!({})).await;
    for _ in 0..200 {
        fixture.memory.past.record("a", "A", json!({}));
    }
    for position in 1..=200 {
        let message = loop {
            match timeout(Duration::from_millis(80), quick.next()).await {
                Ok(message) => break message,
                Err(_) => slow.0.next().now_or_never(),
            };
        };
        assert_eq!(message["data"]["events"]["position"], position);
    }
    let last = loop {
        match timeout(Duration::from_secs(60), slow.told()).await.unwrap() {
            Some(Told::Next(_)) => {}
            last => break last,
        }
    };
    assert!(matches!(last, Some(Told::Slow)), "{last:?}");
}
