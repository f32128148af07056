//! What is told to those who follow something, and who is told what.

mod busy;
mod late;
mod lookups;
mod turns;

use std::time::Duration;

use futures::FutureExt as _;
use futures::stream::{BoxStream, StreamExt as _};
use serde_json::{Value as Json, json};
use yado_engine::{ChangeKind, Error};

use super::fixture::{Fixture, fixture, limited, manifest, venues};
use super::patience::patient;
use crate::api::Source;
use crate::graphql::Begun;
use crate::live::Told;
use crate::{Limits, Request};

/// A subscription, and what it is told.
pub(super) struct Followed(BoxStream<'static, Told>);

impl Fixture {
    /// Begins a subscription; or says why it has not begun.
    pub(super) async fn try_follow(&self, query: &str, variables: Json) -> Result<Followed, Json> {
        let Json::Object(variables) = variables else { panic!("variables are an object") };
        let request = Request { query: query.to_owned(), variables, ..Request::default() };
        match self.graphql.begin(request).await {
            Ok(Begun::Live(subscriber)) => Ok(Followed(subscriber.told().boxed())),
            Ok(Begun::Once(_)) => panic!("{query} is no subscription"),
            Err(response) => Err(serde_json::from_slice(&response.to_json()).unwrap()),
        }
    }

    pub(super) async fn follow(&self, query: &str, variables: Json) -> Followed {
        self.try_follow(query, variables).await.unwrap_or_else(|why| panic!("{query}: {why}"))
    }

    /// The first error of a subscription that does not begin, as "code: message".
    async fn not_followed(&self, query: &str, variables: Json) -> String {
        match self.try_follow(query, variables).await {
            Ok(_) => panic!("{query} is followed"),
            Err(answer) => told(&answer["errors"][0]),
        }
    }
}

impl Followed {
    pub(super) async fn told(&mut self) -> Option<Told> {
        self.0.next().await
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Json {
        match self.told().await.unwrap() {
            Told::Next(message) => serde_json::from_str(&message.payload).unwrap(),
            other => panic!("it is over: {other:?}"),
        }
    }

    /// The data of the next messages.
    async fn data(&mut self, count: usize) -> Vec<Json> {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(self.next().await["data"].take());
        }
        all
    }

    /// Why it is over.
    pub(super) async fn over(&mut self) -> String {
        match self.told().await.unwrap() {
            Told::Failed(errors) => told(&serde_json::from_slice::<Json>(&errors).unwrap()[0]),
            Told::Slow => "slow".to_owned(),
            Told::Next(message) => panic!("{}", message.payload),
        }
    }

    async fn is_over(&mut self) -> bool {
        self.told().await.is_none()
    }

    /// Whether there is nothing to tell at this moment.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.0.next().now_or_never().is_none()
    }
}

fn told(error: &Json) -> String {
    format!("{}: {}", error["extensions"]["code"].as_str().unwrap(), error["message"].as_str().unwrap())
}

const EVENTS: &str = "subscription ($after: BigInt) { events(after: $after) { position name payload } }";

fn event(position: u64, name: &str) -> Json {
    json!({ "events": { "position": position, "name": name, "payload": {} } })
}

#[tokio::test]
async fn events_are_told_from_now_on_or_from_a_position_on() {
    let fixture = fixture();
    fixture.memory.past.record("a", "TicketAdded", json!({}));
    fixture.memory.past.record("a", "TicketAdded", json!({}));
    let mut from_now = fixture.follow(EVENTS, json!({})).await;
    let mut from_one = fixture.follow(EVENTS, json!({ "after": 1 })).await;
    let mut from_none = fixture.follow(EVENTS, json!({ "after": "0" })).await;
    let mut from_two = fixture.follow(EVENTS, json!({ "after": 2 })).await;
    assert_eq!(fixture.graphql.live().count(), (4, 1), "they differ in nothing but where they begin");
    fixture.memory.past.record("a", "TicketDropped", json!({}));
    fixture.memory.past.record("a", "TicketAdded", json!({}));
    let all = [event(1, "TicketAdded"), event(2, "TicketAdded"), event(3, "TicketDropped"), event(4, "TicketAdded")];
    assert_eq!(from_none.data(4).await, all);
    assert_eq!(from_one.data(3).await, all[1..]);
    assert_eq!(from_now.data(2).await, all[2..]);
    assert_eq!(from_two.data(2).await, all[2..]);
    for followed in [&mut from_now, &mut from_one, &mut from_none, &mut from_two] {
        assert!(followed.is_quiet());
    }
}

#[tokio::test]
async fn a_place_that_the_log_has_not_come_to_is_refused() {
    let fixture = fixture();
    fixture.memory.past.record("a", "TicketAdded", json!({}));
    let tickets = "subscription { ticketUpdated(after: \"2.0\") { id } }";
    for (query, variables, place) in [(EVENTS, json!({ "after": 2 }), "2"), (tickets, json!({}), "2.0")] {
        let refused = fixture.not_followed(query, variables).await;
        assert!(refused.starts_with(&format!("RESUME_EXPIRED: the log has not come to {place} yet")), "{refused}");
    }
    assert_eq!(fixture.graphql.live().count(), (0, 0));
}

#[tokio::test]
async fn what_lies_behind_is_told_as_soon_as_what_is_followed_begins() {
    let fixture = fixture();
    for _ in 0..2 {
        fixture.memory.past.record("a", "TicketAdded", json!({}));
    }
    fixture.memory.past.hold_back(true);
    let mut followed = fixture.follow(EVENTS, json!({ "after": 0 })).await;
    let mut from_now = fixture.follow(EVENTS, json!({})).await;
    assert!(followed.is_quiet() && from_now.is_quiet());
    // The loop of the cohort waits as well.
    tokio::task::yield_now().await;
    fixture.memory.past.hold_back(false);
    let told = tokio::time::timeout(Duration::from_secs(60), followed.data(2)).await.unwrap();
    assert_eq!(told, [event(1, "TicketAdded"), event(2, "TicketAdded")]);
    assert!(from_now.is_quiet());
    fixture.memory.past.record("a", "TicketDropped", json!({}));
    assert_eq!(followed.data(1).await, from_now.data(1).await);
}

#[tokio::test]
async fn nothing_is_kept_open_for_whoever_is_told_what_lies_behind() {
    let fixture = fixture();
    for _ in 0..300 {
        fixture.memory.past.record("a", "A", json!({}));
    }
    let mut followed = fixture.follow(EVENTS, json!({ "after": 0 })).await;
    for position in 1..=300 {
        assert_eq!(followed.data(1).await, [event(position, "A")]);
        assert_eq!(fixture.memory.past.followed(), 1, "only the cohort follows what happens");
    }
}

#[tokio::test]
async fn large_changes_are_made_ready_a_few_at_a_time() {
    let fixture = fixture();
    fixture.memory.put("Venue", json!({ "id": "v", "name": "Hall" }));
    let label = "x".repeat(300_000);
    for id in 0..20 {
        let row = json!({ "id": id.to_string(), "venueId": "v", "price": "1", "label": label });
        fixture.memory.past.change("Ticket", ChangeKind::Created, row);
    }
    let query = "subscription { ticketCreated(after: \"0\") { id label venue { name } } }";
    let mut followed = fixture.follow(query, json!({})).await;
    let mut looked_up = Vec::new();
    for id in 0..20 {
        assert_eq!(followed.next().await["data"]["ticketCreated"]["id"], id.to_string());
        looked_up.push(fixture.memory.statements().iter().filter(|asked| asked.starts_with("rows")).count());
    }
    assert_eq!(looked_up, [1, 0, 0].repeat(7)[..20]);
    assert!(followed.is_quiet());
}

#[tokio::test]
async fn a_loop_that_fails_is_told_to_those_who_follow_it_and_begun_anew() {
    let fixture = fixture();
    let mut followed = fixture.follow(EVENTS, json!({})).await;
    let mut behind = fixture.follow(EVENTS, json!({ "after": 0 })).await;
    fixture.memory.past.panic(true);
    for followed in [&mut followed, &mut behind] {
        assert_eq!(
            followed.over().await,
            "UNAVAILABLE: what tells this subscription has stopped; try again in 1000 ms"
        );
    }
    assert_eq!(fixture.graphql.live().count(), (2, 0));
    fixture.memory.past.panic(false);
    let mut again = fixture.follow(EVENTS, json!({})).await;
    fixture.memory.past.record("a", "A", json!({}));
    assert_eq!(again.data(1).await, [event(1, "A")]);
}

#[tokio::test]
async fn a_message_says_where_to_go_on_from() {
    let fixture = fixture();
    let mut events = fixture.follow("subscription { e: events { name } }", json!({})).await;
    fixture.memory.past.record("a", "TicketAdded", json!({}));
    let message = events.next().await;
    let expected =
        json!({ "data": { "e": { "name": "TicketAdded" } }, "extensions": { "position": 1, "cursor": "1" } });
    assert_eq!(message, expected);
    let mut tickets = fixture.follow("subscription { ticketCreated { id } }", json!({})).await;
    fixture.memory.past.change("Ticket", ChangeKind::Created, json!({ "id": "t", "venueId": "v", "price": "1" }));
    let message = tickets.next().await;
    assert_eq!(message["extensions"], json!({ "position": 2, "cursor": "2.0" }));
}

#[tokio::test]
async fn events_are_chosen_by_what_they_are_of() {
    let fixture = fixture();
    for (arguments, expected) in [
        ("names: [\"B\"]", vec![2, 4]),
        ("names: []", vec![]),
        ("id: \"y\"", vec![3, 4]),
        ("id: \"y\", names: [\"A\", \"C\"]", vec![3]),
        ("aggregates: [\"Ticket\"]", vec![1, 2, 3, 4]),
        ("aggregates: [\"Venue\"], id: null, names: null", vec![]),
    ] {
        let after = fixture.memory.past.head();
        let query = format!("subscription {{ events({arguments}, after: {after}) {{ position }} }}");
        let mut followed = fixture.follow(&query, json!({})).await;
        for (id, name) in [("x", "A"), ("x", "B"), ("y", "A"), ("y", "B")] {
            fixture.memory.past.record(id, name, json!({}));
        }
        let found = followed.data(expected.len()).await;
        let found: Vec<u64> = found.iter().map(|data| data["events"]["position"].as_u64().unwrap() - after).collect();
        assert_eq!(found, expected, "{arguments}");
        assert!(followed.is_quiet());
    }
}

#[tokio::test]
async fn changes_are_told_by_their_kind_key_and_what_holds_of_the_row() {
    let fixture = fixture();
    let mut all = Vec::new();
    for query in [
        "subscription { it: ticketCreated { id price } }",
        "subscription { it: ticketUpdated { id price } }",
        "subscription { it: ticketDeleted { id price } }",
        "subscription { it: ticketUpdated(id: \"u\") { id price } }",
        "subscription { it: ticketUpdated(where: { venueId: { eq: \"w\" } }) { id price } }",
        "subscription { it: venueCreated { id } }",
    ] {
        all.push(fixture.follow(query, json!({})).await);
    }
    let row = |id: &str, venue: &str, price: &str| json!({ "id": id, "venueId": venue, "price": price });
    for (kind, row) in [
        (ChangeKind::Created, row("t", "v", "1")),
        (ChangeKind::Created, row("u", "w", "2")),
        (ChangeKind::Updated, row("t", "v", "3")),
        (ChangeKind::Updated, row("u", "w", "4")),
        (ChangeKind::Updated, row("t", "w", "5")),
        (ChangeKind::Deleted, row("t", "w", "5")),
    ] {
        fixture.memory.past.change("Ticket", kind, row);
    }
    fixture.memory.past.change("Venue", ChangeKind::Created, json!({ "id": "v", "name": "Hall" }));
    let expected = [&["t1", "u2"][..], &["t3", "u4", "t5"], &["t5"], &["u4"], &["u4", "t5"], &["vnull"]];
    for (followed, expected) in all.iter_mut().zip(expected) {
        let found = followed.data(expected.len()).await;
        let text = |data: &Json| format!("{}{}", data["it"]["id"].as_str().unwrap(), data["it"]["price"]);
        assert_eq!(found.iter().map(text).collect::<Vec<_>>(), expected);
        assert!(followed.is_quiet());
    }
}

#[tokio::test]
async fn what_a_changed_row_is_related_to_is_told_with_it() {
    let fixture = fixture();
    fixture.memory.put("Venue", json!({ "id": "v", "name": "Hall" }));
    let mut followed = fixture.follow("subscription { ticketUpdated { id venue { name } } }", json!({})).await;
    fixture.memory.past.change("Ticket", ChangeKind::Updated, json!({ "id": "t", "venueId": "v", "price": "1" }));
    assert_eq!(followed.data(1).await, [json!({ "ticketUpdated": { "id": "t", "venue": { "name": "Hall" } } })]);
}

#[tokio::test]
async fn what_many_ask_for_is_made_once() {
    let fixture = fixture();
    let query = "subscription ($n: Boolean!) { ticketUpdated { id @skip(if: $n) venue { name } } }";
    let mut all = Vec::new();
    for at in 0..20 {
        all.push(fixture.follow(query, json!({ "n": at % 2 == 0 })).await);
    }
    assert_eq!(fixture.graphql.live().count(), (20, 2));
    fixture.memory.statements();
    fixture.memory.past.change("Ticket", ChangeKind::Updated, json!({ "id": "t", "venueId": "v", "price": "1" }));
    for (at, followed) in all.iter_mut().enumerate() {
        let expected = if at % 2 == 0 { json!({ "venue": null }) } else { json!({ "id": "t", "venue": null }) };
        assert_eq!(followed.data(1).await, [json!({ "ticketUpdated": expected })]);
    }
    let mut asked = fixture.memory.statements();
    asked.sort();
    // Rows are told together with what they were related to by then.
    assert_eq!(asked, ["rows Venue 1", "rows Venue 1", "wait Venue 1", "wait Venue 1"]);
    all.truncate(1);
    assert_eq!(fixture.graphql.live().count(), (1, 1));
    drop(all);
    assert_eq!(fixture.graphql.live().count(), (0, 0));
}

#[tokio::test]
async fn what_several_changes_lead_to_is_looked_up_once() {
    let fixture = fixture();
    fixture.memory.put("Venue", json!({ "id": "v", "name": "Hall" }));
    let mut followed = fixture.follow("subscription { ticketCreated { id venue { name } } }", json!({})).await;
    let ticket = |id: usize| json!({ "id": id.to_string(), "venueId": "v", "price": if id == 77 { "?" } else { "1" } });
    for id in 0..250 {
        fixture.memory.past.change("Ticket", ChangeKind::Created, ticket(id));
    }
    for id in 0..250 {
        let expected = json!({ "ticketCreated": { "id": id.to_string(), "venue": { "name": "Hall" } } });
        assert_eq!(followed.data(1).await, [expected]);
    }
    let looked_up = fixture.memory.statements().into_iter().filter(|asked| asked.starts_with("rows")).count();
    assert_eq!(looked_up, 3);
    // One that can't be told keeps none of the others from being told.
    let mut prices = fixture.follow("subscription { ticketCreated(after: \"0\") { id price } }", json!({})).await;
    for id in 0..250 {
        let message = prices.next().await;
        let broken = id == 77;
        assert_eq!(message["data"].is_null(), broken, "{message}");
        assert_eq!(message.get("errors").is_some(), broken, "{message}");
        assert_eq!(message["extensions"]["position"], id + 1);
    }
}

#[tokio::test]
async fn a_place_that_decides_more_than_where_to_begin_keeps_subscriptions_apart() {
    let fixture = fixture();
    for _ in 0..2 {
        fixture.memory.past.record("a", "TicketAdded", json!({}));
    }
    let query = "subscription ($s: String) { ticketUpdated(after: $s, where: { label: { eq: $s } }) { id } }";
    let _one = fixture.follow(query, json!({ "s": "1" })).await;
    let _other = fixture.follow(query, json!({ "s": "2" })).await;
    assert_eq!(fixture.graphql.live().count(), (2, 2));
}

#[tokio::test]
async fn whoever_does_not_take_what_is_told_is_told_so_and_the_others_go_on() {
    let fixture = limited(Limits { live_buffer: 5, ..patient() });
    let mut slow = fixture.follow(EVENTS, json!({})).await;
    let mut quick = fixture.follow(EVENTS, json!({})).await;
    for position in 1..=20 {
        fixture.memory.past.record("a", "A", json!({}));
        assert_eq!(quick.data(1).await, [event(position, "A")]);
    }
    assert_eq!(slow.over().await, "slow");
    assert!(slow.is_over().await);
    // It goes on from where it was, and has missed nothing.
    let mut again = fixture.follow(EVENTS, json!({ "after": 0 })).await;
    let expected: Vec<Json> = (1..=20).map(|position| event(position, "A")).collect();
    assert_eq!(again.data(20).await, expected);
}

#[tokio::test]
async fn a_burst_is_told_to_all_who_take_it() {
    let fixture = limited(Limits { live_buffer: 8, ..patient() });
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(fixture.follow(EVENTS, json!({})).await);
    }
    for _ in 0..1_000 {
        fixture.memory.past.record("a", "A", json!({}));
    }
    for position in 1..=1_000 {
        for followed in &mut all {
            assert_eq!(followed.data(1).await, [event(position, "A")]);
        }
    }
}

#[tokio::test]
async fn whoever_takes_nothing_holds_up_the_others_once() {
    let fixture = limited(Limits { live_buffer: 8, ..patient() });
    let mut slow = fixture.follow(EVENTS, json!({})).await;
    let mut quick = fixture.follow(EVENTS, json!({})).await;
    for _ in 0..1_000 {
        fixture.memory.past.record("a", "A", json!({}));
    }
    // If it did so each time, this would take a quarter of an hour.
    let told = tokio::time::timeout(Duration::from_secs(60), quick.data(1_000)).await.unwrap();
    for (at, told) in told.iter().enumerate() {
        assert_eq!(*told, event(at as u64 + 1, "A"));
    }
    assert_eq!(slow.over().await, "slow");
}

#[tokio::test]
async fn whoever_has_a_long_way_to_catch_up_is_not_taken_for_slow() {
    let fixture = limited(Limits { live_buffer: 2, ..patient() });
    for _ in 0..50 {
        fixture.memory.past.record("a", "A", json!({}));
    }
    let mut late = fixture.follow(EVENTS, json!({ "after": 0 })).await;
    let mut quick = fixture.follow(EVENTS, json!({})).await;
    for position in 1..=50 {
        assert_eq!(late.data(1).await, [event(position, "A")]);
        fixture.memory.past.record("a", "A", json!({}));
        assert_eq!(quick.data(1).await, [event(position + 50, "A")]);
    }
    for position in 51..=100 {
        assert_eq!(late.data(1).await, [event(position, "A")]);
    }
    assert!(late.is_quiet());
}

#[tokio::test]
async fn a_failure_that_passes_costs_nothing_and_one_that_stays_is_told() {
    let fixture = fixture();
    let mut followed = fixture.follow(EVENTS, json!({})).await;
    fixture.memory.past.fail(Some(Error::Unavailable { reason: "the database is away".into(), retry_after_ms: 1 }));
    fixture.memory.past.record("a", "A", json!({}));
    assert!(followed.is_quiet());
    fixture.memory.past.fail(None);
    assert_eq!(followed.data(1).await, [event(1, "A")]);
    fixture.memory.past.fail(Some(Error::Unknown { kind: "read model", name: "Ticket".into() }));
    assert!(followed.over().await.starts_with("BAD_USER_INPUT: there is no read model"));
    assert!(followed.is_over().await);
}

#[tokio::test]
async fn what_can_not_be_followed_is_refused_with_the_reason() {
    let fixture = fixture();
    let mut texts = Vec::new();
    for query in [
        "subscription { events { name } ticketUpdated { id } }",
        "subscription { __typename }",
        "subscription { nothing { id } }",
        "subscription { events { colour } }",
        "subscription { events }",
        "subscription { events(after: -1) { name } }",
        "subscription { events(after: \"now\") { name } }",
        "subscription { ticketUpdated(after: \"now\") { id } }",
        "subscription { ticketUpdated(after: 5) { id } }",
        "subscription { ticketUpdated(where: { venue: { name: { eq: \"Hall\" } } }) { id } }",
        "subscription { ticketUpdated(where: { price: { eq: \"cheap\" } }) { id } }",
        "subscription ($id: ID!) { ticketUpdated(id: $id) { id } }",
        "subscription { tickets { id } }",
        "subscription A { events { name } } subscription B { events { name } }",
        "subscription {",
    ] {
        texts.push(format!("{query}\n    {}", fixture.not_followed(query, json!({})).await));
    }
    insta::assert_snapshot!(texts.join("\n"));
    assert_eq!(fixture.graphql.live().count(), (0, 0));
}

#[tokio::test]
async fn there_are_bounds_to_how_many_there_are() {
    let fixture = limited(Limits { subscriptions_max: 3, cohorts_max: 2, ..patient() });
    let _a = fixture.follow("subscription { events { name } }", json!({})).await;
    let _b = fixture.follow("subscription { venueUpdated { id } }", json!({})).await;
    let third = "subscription { venueCreated { id } }";
    let refused = fixture.not_followed(third, json!({})).await;
    let text = "UNAVAILABLE: there are already 2 different subscriptions, and no more are allowed at a time: end some, or \
                try again later";
    assert_eq!(refused, text);
    let c = fixture.follow("subscription { events { name } }", json!({})).await;
    let refused = fixture.not_followed("subscription { events { name } }", json!({})).await;
    assert!(refused.starts_with("UNAVAILABLE: there are already 3 subscriptions"), "{refused}");
    drop((c, _b));
    fixture.follow(third, json!({})).await;
}

#[tokio::test]
async fn a_subscription_outlives_a_deployment_that_it_still_fits() {
    let fixture = fixture();
    let mut stays = fixture.follow("subscription { ticketUpdated { id price } }", json!({})).await;
    let mut ends = fixture.follow("subscription { ticketUpdated { id grade } }", json!({})).await;
    let ticket = |price: &str| json!({ "id": "t", "venueId": "v", "price": price, "grade": "1st" });
    fixture.memory.past.change("Ticket", ChangeKind::Updated, ticket("1"));
    assert_eq!(stays.data(1).await, [json!({ "ticketUpdated": { "id": "t", "price": 1 } })]);
    assert_eq!(ends.data(1).await, [json!({ "ticketUpdated": { "id": "t", "grade": "1st" } })]);

    let mut next = venues();
    next["readModels"][1]["row"]["properties"].as_object_mut().unwrap().remove("grade");
    next["version"] = json!("2.0.0");
    let manifest = manifest(&next);
    let digest = yado_model::Digest::of(b"next");
    fixture.graphql.redeploy(&[Source { manifest: &manifest, digest }]);
    // Whoever is told so finds the next schema.
    let over = ends.over().await;
    assert!(over.starts_with("SCHEMA_CHANGED: what is deployed has changed"), "{over}");
    assert!(over.contains("grade") && !fixture.graphql.sdl().contains("grade: TicketGrade"), "{over}");
    assert!(ends.is_over().await);
    fixture.memory.past.change("Ticket", ChangeKind::Updated, ticket("2"));
    assert_eq!(stays.data(1).await, [json!({ "ticketUpdated": { "id": "t", "price": 2 } })]);
    assert_eq!(fixture.graphql.live().count(), (1, 1));
    let again = fixture.follow("subscription { ticketUpdated { id price } }", json!({})).await;
    assert_eq!(fixture.graphql.live().count(), (2, 1), "the same document is the same, whatever it began with");
    drop(again);
}

#[tokio::test]
async fn a_subscription_ends_with_a_deployment_by_which_its_asker_may_not_have_it() {
    let fixture = fixture();
    let mut followed = fixture.follow("subscription { ticketUpdated { id } }", json!({})).await;
    let mut behind = fixture.follow("subscription { ticketUpdated(after: \"0\") { id } }", json!({})).await;
    *fixture.memory.barred.lock().unwrap() = Some(Error::Forbidden { what: "the read model Ticket".into() });
    assert!(followed.is_quiet() && behind.is_quiet());
    let (manifest, digest) = (manifest(&venues()), yado_model::Digest::of(b"next"));
    fixture.graphql.redeploy(&[Source { manifest: &manifest, digest }]);
    for followed in [&mut followed, &mut behind] {
        let over = tokio::time::timeout(Duration::from_secs(60), followed.over()).await.unwrap();
        assert!(over.starts_with("FORBIDDEN: the read model Ticket is not allowed"), "{over}");
    }
    assert_eq!(fixture.graphql.live().count(), (2, 0));
}

#[tokio::test]
async fn a_subscription_is_not_answered_where_one_answer_is_awaited() {
    let refused = fixture().refused("subscription { events { name } }").await;
    assert!(refused.starts_with("BAD_USER_INPUT: a subscription is not answered at once: send it with"), "{refused}");
}

/// Whoever cuts himself off again and again, and goes on from what he was told last, is told everything once.
#[tokio::test]
async fn nothing_is_lost_or_told_twice_however_often_one_goes_on() {
    for seed in 0..20_u64 {
        let fixture = limited(Limits { live_buffer: 4, ..patient() });
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = move |most: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % most
        };
        let query = "subscription ($c: String) { ticketUpdated(after: $c) { id } }";
        let (mut seen, mut cursor, mut recorded) = (Vec::new(), "0".to_owned(), 0_u64);
        // Somebody who stays, so that the cohort does.
        let mut other = fixture.follow(query, json!({})).await;
        let mut followed = fixture.follow(query, json!({ "c": cursor })).await;
        while seen.len() < 60 {
            while let Some(Some(_)) = other.0.next().now_or_never() {}
            match below(4) {
                0 => followed = fixture.follow(query, json!({ "c": cursor })).await,
                1 if recorded < 60 => {
                    for _ in 0..=below(8) {
                        let row = json!({ "id": recorded.to_string(), "venueId": "v", "price": "1" });
                        fixture.memory.past.change("Ticket", ChangeKind::Updated, row);
                        recorded += 1;
                    }
                }
                _ if seen.len() as u64 == recorded => tokio::task::yield_now().await,
                _ => match followed.told().await.unwrap() {
                    Told::Next(message) => {
                        let message: Json = serde_json::from_str(&message.payload).unwrap();
                        seen.push(message["data"]["ticketUpdated"]["id"].as_str().unwrap().to_owned());
                        cursor = message["extensions"]["cursor"].as_str().unwrap().to_owned();
                    }
                    Told::Slow => followed = fixture.follow(query, json!({ "c": cursor })).await,
                    Told::Failed(why) => panic!("{}", String::from_utf8_lossy(&why)),
                },
            }
        }
        let expected: Vec<String> = (0..seen.len()).map(|id| id.to_string()).collect();
        assert_eq!(seen, expected, "seed {seed}");
    }
}

#[tokio::test]
async fn nothing_begins_any_more_when_the_server_is_about_to_stop() {
    let fixture = fixture();
    fixture.graphql.close().await;
    let refused = fixture.not_followed("subscription { events { name } }", json!({})).await;
    assert_eq!(refused, "UNAVAILABLE: the server is about to stop: try again, and another one answers");
}
