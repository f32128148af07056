//! Those who catch up, more than there are turns at making ready what lies behind them.

use std::sync::atomic::Ordering;

use futures::FutureExt as _;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use yado_engine::{ChangeKind, Error};

use super::super::fixture::{Fixture, fixture};
use super::{EVENTS, Followed};

/// Tickets that are shown with their venues, from the beginning on.
const TICKETS: &str = "subscription { ticketUpdated(after: \"0\") { id venue { name } } }";

/// Venues, from the beginning on.
const VENUES: &str = "subscription { venueCreated(after: \"0\") { id } }";

/// More than there are turns.
const MANY: usize = 100;

/// What never happens, from the beginning on.
const NEVER: &str = "subscription { events(names: [\"Never\"], after: 0) { name } }";

/// Much has happened, and the log is read an event at a time.
fn long_way(fixture: &Fixture) {
    for _ in 0..10_000 {
        fixture.memory.past.record("t", "TicketRaised", json!({}));
    }
    fixture.memory.past.is_read_in_pieces_of(1);
}

fn ticket_changes(fixture: &Fixture, id: &str) -> u64 {
    fixture.memory.past.change("Ticket", ChangeKind::Updated, json!({ "id": id, "venueId": "v", "price": "1" }))
}

fn venue_opens(fixture: &Fixture) {
    fixture.memory.put("Venue", json!({ "id": "v", "name": "Hall" }));
    fixture.memory.past.change("Venue", ChangeKind::Created, json!({ "id": "v", "name": "Hall" }));
}

/// Many who follow tickets, each as far as it comes by itself.
async fn many(fixture: &Fixture) -> Vec<Followed> {
    let mut all = Vec::new();
    for _ in 0..MANY {
        let mut followed = fixture.follow(TICKETS, json!({})).await;
        come_along(&mut followed).await;
        all.push(followed);
    }
    all
}

/// Comes as far as it does by itself, without being told anything.
async fn come_along(followed: &mut Followed) {
    for _ in 0..10 {
        assert!(followed.is_quiet());
        tokio::task::yield_now().await;
    }
}

/// What one who comes later is told first, if nobody holds him up.
async fn at_once(fixture: &Fixture, query: &str) -> Option<Json> {
    soon(&mut fixture.follow(query, json!({ "after": 0 })).await).await
}

/// What somebody is told next, if it comes by itself.
pub(super) async fn soon(followed: &mut Followed) -> Option<Json> {
    for _ in 0..500 {
        if let Some(message) = followed.next().now_or_never() {
            return Some(message["data"].clone());
        }
        tokio::task::yield_now().await;
    }
    None
}

/// All of them are told of tickets, once and in order, with the venue.
async fn are_told(all: &mut [Followed], ids: &[&str]) {
    for followed in all {
        for id in ids {
            let told = json!({ "ticketUpdated": { "id": id, "venue": { "name": "Hall" } } });
            assert_eq!(followed.data(1).await, [told]);
        }
        assert!(followed.is_quiet());
    }
}

#[tokio::test]
async fn what_lies_behind_many_is_made_ready_for_a_few_at_a_time() {
    let fixture = fixture();
    let row = json!({ "id": "t", "venueId": "v", "price": "1" });
    fixture.memory.past.change("Ticket", ChangeKind::Updated, row);
    fixture.memory.slow.send_replace(true);
    let mut all = many(&fixture).await;
    assert_eq!(fixture.memory.past.followed(), 1 + 32, "those who are read for, and the one who reads for all");
    fixture.memory.slow.send_replace(false);
    // All of them come to their turn.
    let told = all.iter_mut().map(|followed| followed.next());
    for message in futures::future::join_all(told).await {
        assert_eq!(message["extensions"]["position"], 1);
    }
}

#[tokio::test]
async fn those_who_wait_for_what_is_related_hold_up_nobody() {
    let fixture = fixture();
    venue_opens(&fixture);
    ticket_changes(&fixture, "a");
    ticket_changes(&fixture, "b");
    fixture.memory.stands_still.send_replace(true);
    let mut all = many(&fixture).await;
    assert_eq!(fixture.memory.past.followed(), 1, "they keep what they have read");
    assert_eq!(at_once(&fixture, VENUES).await, Some(json!({ "venueCreated": { "id": "v" } })));
    fixture.memory.stands_still.send_replace(false);
    are_told(&mut all, &["a", "b"]).await;
}

#[tokio::test]
async fn those_who_wait_for_a_model_that_has_gone_back_hold_up_nobody() {
    let fixture = fixture();
    venue_opens(&fixture);
    ticket_changes(&fixture, "a");
    let end = ticket_changes(&fixture, "b");
    // What is followed has begun behind both of them.
    let _others = fixture.follow(TICKETS, json!({})).await;
    fixture.memory.past.stand_at("Ticket", end - 1);
    let mut all = Vec::new();
    for _ in 0..MANY {
        let mut followed = fixture.follow("subscription { ticketUpdated(after: \"0\") { id } }", json!({})).await;
        assert_eq!(soon(&mut followed).await, Some(json!({ "ticketUpdated": { "id": "a" } })));
        come_along(&mut followed).await;
        all.push(followed);
    }
    assert_eq!(at_once(&fixture, VENUES).await, Some(json!({ "venueCreated": { "id": "v" } })));
    fixture.memory.past.go_on();
    for followed in &mut all {
        assert_eq!(followed.data(1).await, [json!({ "ticketUpdated": { "id": "b" } })]);
        assert!(followed.is_quiet());
    }
}

#[tokio::test]
async fn those_who_wait_for_a_database_to_come_back_hold_up_nobody() {
    let fixture = fixture();
    fixture.memory.past.record("v", "VenueOpened", json!({}));
    venue_opens(&fixture);
    ticket_changes(&fixture, "a");
    let away = Error::Unavailable { reason: "the database is away".into(), retry_after_ms: 1 };
    *fixture.memory.failure.lock().unwrap() = Some(away);
    let mut all = many(&fixture).await;
    assert_eq!(fixture.memory.past.followed(), 1, "they keep what they have read");
    let event = json!({ "events": { "position": 1, "name": "VenueOpened", "payload": {} } });
    assert_eq!(at_once(&fixture, EVENTS).await, Some(event));
    *fixture.memory.failure.lock().unwrap() = None;
    are_told(&mut all, &["a"]).await;
}

#[tokio::test]
async fn those_who_are_looked_at_by_nobody_hold_up_nobody() {
    let fixture = fixture();
    venue_opens(&fixture);
    let end = ticket_changes(&fixture, "a");
    fixture.memory.positions.lock().unwrap().insert("Venue".to_owned(), end);
    fixture.memory.slow.send_replace(true);
    let mut all = Vec::new();
    for _ in 0..MANY {
        let mut followed = fixture.follow(TICKETS, json!({})).await;
        // As it is with a socket whose client takes nothing from here on.
        assert!(followed.is_quiet());
        all.push(followed);
    }
    let mut venues = fixture.follow(VENUES, json!({})).await;
    assert_eq!(soon(&mut venues).await, None, "all turns are taken");
    fixture.memory.slow.send_replace(false);
    assert_eq!(soon(&mut venues).await, Some(json!({ "venueCreated": { "id": "v" } })));
    are_told(&mut all, &["a"]).await;
}

#[tokio::test]
async fn those_who_have_a_long_way_on_which_there_is_nothing_for_them_hold_up_nobody() {
    let fixture = fixture();
    long_way(&fixture);
    venue_opens(&fixture);
    let mut all = Vec::new();
    for _ in 0..MANY {
        let mut followed = fixture.follow(NEVER, json!({})).await;
        assert!(followed.is_quiet());
        all.push(followed);
    }
    let mut venues = fixture.follow(VENUES, json!({})).await;
    assert_eq!(soon(&mut venues).await, Some(json!({ "venueCreated": { "id": "v" } })));
    assert!(fixture.memory.past.followed() > 32, "the others are still on their way");
}

#[tokio::test]
async fn those_who_have_a_long_way_queue_up_again_and_again_among_themselves() {
    let fixture = fixture();
    long_way(&fixture);
    let mut all = JoinSet::new();
    for _ in 0..MANY {
        let mut followed = fixture.follow(NEVER, json!({})).await;
        all.spawn(async move { followed.next().await });
    }
    // All of them have had their first turn.
    while fixture.memory.past.pieces() < 10_000 {
        tokio::task::yield_now().await;
    }
    // Each of these takes a turn.
    let _filled = fixture.graphql.live().fill_behind();
    let name = "x".repeat(70_000);
    for id in 0..20 {
        fixture.memory.past.change("Venue", ChangeKind::Created, json!({ "id": id.to_string(), "name": name }));
    }
    let mut venues = fixture.follow("subscription { venueCreated(after: \"0\") { id name } }", json!({})).await;
    let before = fixture.memory.past.pieces();
    for id in 0..20 {
        assert_eq!(venues.next().await["data"]["venueCreated"]["id"], id.to_string());
    }
    let read = fixture.memory.past.pieces() - before;
    assert!(read < 20 * 100, "{read} pieces have been read for others in 20 turns");
    assert!(all.try_join_next().is_none(), "the others are still on their way");
}

#[tokio::test]
async fn whoever_finds_something_is_again_among_those_for_whom_there_is_something() {
    let fixture = fixture();
    for others in [10, 1, 10] {
        (0..others).for_each(|_| _ = fixture.memory.past.record("t", "TicketRaised", json!({})));
        fixture.memory.past.record("t", "Rare", json!({}));
    }
    fixture.memory.past.is_read_in_pieces_of(1);
    let rare = "subscription { events(names: [\"Rare\"], after: 0) { position } }";
    let mut followed = fixture.follow(rare, json!({})).await;
    let at = |position: u64| Some(json!({ "events": { "position": position } }));
    let far = fixture.graphql.live().take_far_turns();
    assert_eq!(soon(&mut followed).await, None, "it is further than one turn");
    drop(far);
    assert_eq!(soon(&mut followed).await, at(11));
    let far = fixture.graphql.live().take_far_turns();
    assert_eq!(soon(&mut followed).await, at(13));
    assert_eq!(soon(&mut followed).await, None, "there is nothing again");
    drop(far);
    let turns = fixture.graphql.live().take_turns();
    assert_eq!(soon(&mut followed).await, at(24), "he does not wait for the others either");
    drop(turns);
}

#[tokio::test]
async fn the_first_who_waits_in_vain_has_waited_for_all_who_want_as_much() {
    let fixture = fixture();
    fixture.memory.lags.store(true, Ordering::Relaxed);
    let stands_at = |position| fixture.memory.positions.lock().unwrap().insert("Venue".to_owned(), position);
    let waited = || fixture.memory.statements().iter().filter(|asked| asked.starts_with("wait Venue")).count();
    let other = "subscription { ticketUpdated(after: \"0\") { venue { name } } }";
    ticket_changes(&fixture, "a");
    let second = ticket_changes(&fixture, "b");
    let mut later = fixture.follow("subscription { ticketUpdated { venue { id } } }", json!({})).await;
    for (query, waits) in [(TICKETS, 1), (TICKETS, 0), (other, 0)] {
        fixture.follow(query, json!({})).await.next().await;
        assert_eq!(waited(), waits, "{query}");
    }
    ticket_changes(&fixture, "c");
    later.next().await;
    assert_eq!(waited(), 0, "whoever is live wants more");
    // Where it has come to what was waited for, more is worth a try.
    stands_at(second);
    ticket_changes(&fixture, "d");
    later.next().await;
    assert_eq!(waited(), 1);
}
