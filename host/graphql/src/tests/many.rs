//! Many who follow different things, and what that costs.

use std::time::Duration;

use serde_json::json;
use yado_engine::ChangeKind;

use super::fixture::{fixture, limited};
use super::patience::patient;
use crate::Limits;

#[tokio::test]
async fn what_happens_is_followed_once_however_many_different_things_are_asked_for() {
    let fixture = fixture();
    let mut all = Vec::new();
    for at in 0..100 {
        let query = format!("subscription {{ it: events(names: [\"N{at}\"]) {{ position }} }}");
        all.push(fixture.follow(&query, json!({})).await);
    }
    let mut tickets = Vec::new();
    for at in 0..100 {
        let query = format!("subscription {{ it: ticketUpdated(where: {{ venueId: {{ eq: \"v{at}\" }} }}) {{ id }} }}");
        tickets.push(fixture.follow(&query, json!({})).await);
    }
    assert_eq!(fixture.graphql.live().count(), (200, 200));
    // One follows the log, and one the read model.
    assert_eq!((fixture.memory.past.followed(), fixture.memory.past.begun()), (2, 2));
    for at in (0..100).rev() {
        fixture.memory.past.record("a", &format!("N{at}"), json!({}));
        let row = json!({ "id": format!("t{at}"), "venueId": format!("v{at}"), "price": "1" });
        fixture.memory.past.change("Ticket", ChangeKind::Updated, row);
    }
    for (at, (events, tickets)) in all.iter_mut().zip(&mut tickets).enumerate() {
        assert_eq!(events.next().await["data"]["it"]["position"], 2 * (99 - at) + 1);
        assert_eq!(tickets.next().await["data"]["it"]["id"], format!("t{at}"));
        assert!(events.is_quiet() && tickets.is_quiet());
    }
    drop((all, tickets));
    // Nobody asks for anything any more.
    let ended = async {
        while fixture.memory.past.followed() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
}

#[tokio::test]
async fn whoever_comes_in_late_reads_for_himself_and_misses_nothing() {
    let fixture = limited(Limits { live_buffer: 4, ..patient() });
    let mut odd = fixture.follow("subscription { it: events(names: [\"Odd\"]) { position } }", json!({})).await;
    let mut all = fixture.follow("subscription { it: events { position } }", json!({})).await;
    for position in 1..=200 {
        fixture.memory.past.record("a", if position % 2 == 1 { "Odd" } else { "Even" }, json!({}));
    }
    let told = async {
        for position in 1..=200 {
            assert_eq!(all.next().await["data"]["it"]["position"], position);
            if position % 2 == 1 {
                assert_eq!(odd.next().await["data"]["it"]["position"], position);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
    assert!(fixture.memory.past.begun() > 1, "both have read what found no room");
    // From there on it is brought to them again.
    let begun = fixture.memory.past.begun();
    for position in 201..=210 {
        fixture.memory.past.record("a", "Odd", json!({}));
        assert_eq!(all.next().await["data"]["it"]["position"], position);
        assert_eq!(odd.next().await["data"]["it"]["position"], position);
    }
    assert_eq!(fixture.memory.past.begun(), begun);
}

#[tokio::test]
async fn a_filter_that_fails_ends_only_those_who_have_it() {
    let fixture = fixture();
    let mut fails =
        fixture.follow("subscription { ticketCreated(where: { price: { lt: 5 } }) { id } }", json!({})).await;
    let mut goes_on = fixture.follow("subscription { ticketCreated { id } }", json!({})).await;
    let row = json!({ "id": "t", "venueId": "v", "price": "cheap" });
    fixture.memory.past.change("Ticket", ChangeKind::Created, row);
    assert_eq!(goes_on.next().await["data"]["ticketCreated"]["id"], "t");
    let over = fails.over().await;
    assert!(over.starts_with("BAD_USER_INPUT: "), "{over}");
    fixture.memory.past.change("Ticket", ChangeKind::Created, json!({ "id": "u", "venueId": "v", "price": "1" }));
    assert_eq!(goes_on.next().await["data"]["ticketCreated"]["id"], "u");
}
