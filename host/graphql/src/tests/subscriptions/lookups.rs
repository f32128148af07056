//! What a message shows beside what has happened, while that can't be looked up.

use std::sync::atomic::Ordering;

use serde_json::json;
use yado_engine::{ChangeKind, Error};

use super::super::fixture::{Fixture, fixture, limited};
use super::super::patience::patient;
use crate::Limits;

fn away() -> Error {
    Error::Unavailable { reason: "the database is away".into(), retry_after_ms: 1 }
}

/// Changes a ticket that is shown with its venue.
fn ticket_changes(fixture: &Fixture, id: &str) {
    fixture.memory.past.change("Ticket", ChangeKind::Updated, json!({ "id": id, "venueId": "v", "price": "1" }));
}

#[tokio::test]
async fn what_can_not_be_looked_up_for_a_while_is_told_when_it_can() {
    let fixture = fixture();
    fixture.memory.put("Venue", json!({ "id": "v", "name": "Hall" }));
    let query = "subscription ($c: String) { ticketUpdated(after: $c) { id venue { name } } }";
    *fixture.memory.failure.lock().unwrap() = Some(away());
    ticket_changes(&fixture, "t");
    let mut from_now = fixture.follow(query, json!({})).await;
    let mut behind = fixture.follow(query, json!({ "c": "0" })).await;
    ticket_changes(&fixture, "u");
    fixture.memory.statements();
    let mut tried = 0;
    while tried < 8 {
        tried += fixture.memory.statements().len();
        assert!(from_now.is_quiet() && behind.is_quiet(), "it is told what it is not");
        tokio::task::yield_now().await;
    }
    *fixture.memory.failure.lock().unwrap() = None;
    let told = |id: &str| json!({ "ticketUpdated": { "id": id, "venue": { "name": "Hall" } } });
    assert_eq!(from_now.data(1).await, [told("u")]);
    assert_eq!(behind.data(2).await, [told("t"), told("u")]);
}

#[tokio::test]
async fn what_can_not_be_looked_up_for_long_is_told_as_it_is_and_not_waited_for_again() {
    let fixture = limited(Limits { slow_ms: 150, ..patient() });
    let mut followed = fixture.follow("subscription { ticketUpdated { id venue { name } } }", json!({})).await;
    *fixture.memory.failure.lock().unwrap() = Some(away());
    for (id, is_patient) in [("t", true), ("u", false), ("v", false)] {
        ticket_changes(&fixture, id);
        let message = followed.next().await;
        assert_eq!(message["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{message}");
        let tried = fixture.memory.statements().iter().filter(|asked| asked.starts_with("rows")).count();
        assert!(if is_patient { tried > 1 } else { tried == 1 }, "{id}: {tried}");
    }
    // Once it has been there it is waited for again.
    *fixture.memory.failure.lock().unwrap() = None;
    ticket_changes(&fixture, "t");
    assert!(followed.next().await.get("errors").is_none());
    *fixture.memory.failure.lock().unwrap() = Some(away());
    fixture.memory.statements();
    ticket_changes(&fixture, "t");
    while fixture.memory.statements().is_empty() {
        assert!(followed.is_quiet());
        tokio::task::yield_now().await;
    }
    *fixture.memory.failure.lock().unwrap() = None;
    assert!(followed.next().await.get("errors").is_none());
}

#[tokio::test]
async fn what_takes_too_long_at_once_is_told_one_by_one() {
    let fixture = limited(Limits { slow_ms: 0, ..patient() });
    let query = "subscription ($c: String) { ticketUpdated(after: $c) { venue { name } } }";
    let changes = |id: &str| {
        fixture.memory.put("Venue", json!({ "id": id, "name": id }));
        let row = json!({ "id": id, "venueId": id, "price": "1" });
        fixture.memory.past.change("Ticket", ChangeKind::Updated, row);
    };
    changes("a");
    let mut from_now = fixture.follow(query, json!({})).await;
    ["b", "c", "d"].into_iter().for_each(changes);
    *fixture.memory.keys_in_time.lock().unwrap() = Some(1);
    let mut behind = fixture.follow(query, json!({ "c": "0" })).await;
    for (followed, ids) in [(&mut from_now, ["b", "c", "d"].as_slice()), (&mut behind, &["a", "b", "c", "d"])] {
        for id in ids {
            let message = followed.next().await;
            assert_eq!(message["data"], json!({ "ticketUpdated": { "venue": { "name": id } } }), "{message}");
            assert!(message.get("errors").is_none(), "{message}");
        }
    }
    assert_eq!(fixture.memory.used_up.lock().unwrap().len(), 2, "each has tried it once with all of them");
}

#[tokio::test]
async fn those_behind_one_that_can_not_be_looked_up_in_time_have_no_time_of_their_own() {
    let fixture = limited(Limits { slow_ms: 0, ..patient() });
    (0..8).for_each(|id| ticket_changes(&fixture, &id.to_string()));
    *fixture.memory.keys_in_time.lock().unwrap() = Some(0);
    let query = "subscription { ticketUpdated(after: \"0\") { id venue { name } } }";
    let mut followed = fixture.follow(query, json!({})).await;
    for id in 0..8 {
        let message = followed.next().await;
        assert_eq!(message["data"], json!({ "ticketUpdated": { "id": id.to_string(), "venue": null } }));
        assert_eq!(message["errors"][0]["extensions"]["code"], "TIMEOUT", "{message}");
    }
    assert_eq!(fixture.memory.used_up.lock().unwrap().len(), 2, "that of all of them, and that of the first alone");
}

#[tokio::test]
async fn what_is_related_and_stands_still_is_not_waited_for_each_time() {
    let fixture = fixture();
    let mut followed = fixture.follow("subscription { ticketUpdated { id venue { name } } }", json!({})).await;
    let waited = || fixture.memory.statements().iter().filter(|asked| asked.starts_with("wait Venue")).count();
    let stands_at = |position| fixture.memory.positions.lock().unwrap().insert("Venue".to_owned(), position);
    fixture.memory.lags.store(true, Ordering::Relaxed);
    // Where it has come to by the time of each event, and whether it is waited for.
    for (reached, waits) in [(0, 1), (0, 0), (0, 0), (0, 0), (3, 1), (3, 0), (5, 1), (8, 0), (9, 0)] {
        stands_at(reached);
        ticket_changes(&fixture, "t");
        followed.next().await;
        assert_eq!(waited(), waits, "{reached}");
    }
}
