//! Whoever is still told what was before while the cohort that he has entered goes on.

use serde_json::{Value as Json, json};
use yado_engine::Cursor;
use yado_model::Position;

use super::super::fixture::{Fixture, limited};
use super::super::patience::patient;
use super::turns::soon;
use super::{EVENTS, Followed};
use crate::Limits;

/// Little is kept for those who do not take it.
fn fixture() -> Fixture {
    limited(Limits { live_buffer: 4, ..patient() })
}

fn record(fixture: &Fixture, count: usize, name: &str) {
    (0..count).for_each(|_| _ = fixture.memory.past.record("a", name, json!({})));
}

/// Is told of all these without time passing.
async fn is_told(followed: &mut Followed, positions: std::ops::RangeInclusive<u64>) {
    for position in positions {
        let told = soon(followed).await.map(|data| data["events"]["position"].clone());
        assert_eq!(told, Some(Json::from(position)));
    }
}

#[tokio::test]
async fn those_who_are_live_wait_at_no_time_for_one_who_is_told_what_was_before() {
    let fixture = fixture();
    record(&fixture, 10, "A");
    let mut live = fixture.follow(EVENTS, json!({})).await;
    let mut late = fixture.follow(EVENTS, json!({ "after": 0 })).await;
    is_told(&mut late, 1..=10).await;
    record(&fixture, 2, "A");
    is_told(&mut live, 11..=12).await;
    // He has entered behind these, and takes none of what is said from here on.
    is_told(&mut late, 11..=11).await;
    record(&fixture, 20, "A");
    is_told(&mut live, 13..=32).await;
    is_told(&mut late, 12..=32).await;
    assert!(late.is_quiet() && live.is_quiet());
}

#[tokio::test]
async fn whoever_is_given_up_on_the_last_stretch_does_not_go_all_of_the_way_again() {
    let fixture = fixture();
    let rare = "subscription ($after: BigInt) { events(names: [\"Rare\"], after: $after) { position } }";
    record(&fixture, 100, "A");
    let mut live = fixture.follow(rare, json!({})).await;
    let mut late = fixture.follow(rare, json!({ "after": 0 })).await;
    // He goes up to 100, and the cohort is at 110 by then: for this stretch he enters it.
    assert!(late.is_quiet());
    record(&fixture, 10, "A");
    assert_eq!(soon(&mut live).await, None);
    assert!(late.is_quiet());
    // So many are not kept for him.
    record(&fixture, 10, "Rare");
    is_told(&mut live, 111..=120).await;
    is_told(&mut late, 111..=120).await;
    assert_eq!(fixture.memory.past.begun_last(), Some(Cursor::all_of(Position::new(110))));
    assert!(late.is_quiet() && live.is_quiet());
}
