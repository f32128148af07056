//! Streams wait and go on together with the rows and the checkpoint of a step.

use serde_json::json;
use yado_model::{Digest, Position, Revision, TenantId, Timestamp};

use super::fixtures::{discard, row, stream, tenant, tickets};
use crate::{
    Checkpoint, Committed, Held, LetterId, Parked, Progress, ProjectionState, ReadStore, Scope, Step, Table,
    TableWrites, Write,
};

fn letter(of: &str, to: &str, position: u64) -> Parked {
    Parked {
        scope: Scope::Stream,
        tenant: tenant(of),
        stream: stream(to),
        position: Position::new(position),
        revision: Revision::new(2),
        event: "Counted".into(),
        version: 3,
        error: "it panicked: \"no\" é".into(),
        plugin: "counters".into(),
        plugin_version: "1.2.3".into(),
        digest: Digest::of(b"code"),
        attempts: 5,
        at: Timestamp::from_micros(1_769_851_800_000_007),
    }
}

fn step(from: Checkpoint, to: u64) -> Progress<'static> {
    Progress { projection: "tickets", from, to: Checkpoint { replays: from.replays, ..Position::new(to).into() } }
}

fn one_row<'a>(table: &'a Table, key: &str) -> TableWrites<'a> {
    TableWrites { table, writes: vec![(TenantId::default(), Write::Put(row(json!({ "id": key }))))] }
}

async fn parked(store: &dyn ReadStore) -> Vec<Parked> {
    let found = store.parked(Some("tickets"), 100).await.unwrap();
    found.into_iter().map(|(projection, parked)| (projection == "tickets").then_some(parked).unwrap()).collect()
}

pub async fn a_stream_is_parked_by_the_step_that_passes_its_event(store: &dyn ReadStore) {
    let table = tickets();
    store.ensure_table(&table).await.unwrap();
    let start = Checkpoint::START;
    // From the beginning and from later on, in an order that is not that of the events.
    let (first, second) = (letter("default", "Counter-a", 3), letter("acme", "Counter-a", 2));
    let writes = [one_row(&table, "a")];
    let both = [first.clone(), second.clone()];
    let passed = Step::new(step(start, 4), &writes).parking(&both, &[]);
    assert_eq!(store.commit(&passed).await.unwrap(), Committed::Yes);
    assert_eq!(parked(store).await, [second.clone(), first.clone()]);
    // Whoever stands elsewhere parks nothing and lets nothing go.
    let third = [letter("default", "Counter-c", 5)];
    let gone = [first.held()];
    let lost = Step::new(step(start, 5), &[]).parking(&third, &gone);
    assert!(matches!(store.commit(&lost).await.unwrap(), Committed::Elsewhere(_)));
    assert_eq!(parked(store).await, [second.clone(), first]);
    let from = store.checkpoint("tickets").await.unwrap();
    let next = Step::new(step(from, 5), &[]).parking(&third, &gone);
    assert_eq!(store.commit(&next).await.unwrap(), Committed::Yes);
    assert_eq!(parked(store).await, [second, third[0].clone()]);
    // Those of one projection are its own.
    assert_eq!(store.parked(Some("others"), 100).await.unwrap(), []);
    assert_eq!(store.parked(None, 1).await.unwrap().len(), 1);
}

pub async fn a_replay_tells_others_that_rows_have_changed_where_the_checkpoint_stands(store: &dyn ReadStore) {
    let table = tickets();
    store.ensure_table(&table).await.unwrap();
    let letters = [letter("default", "Counter-a", 3)];
    store.commit(&Step::new(step(Checkpoint::START, 4), &[]).parking(&letters, &[])).await.unwrap();
    let from = store.checkpoint("tickets").await.unwrap();
    let to = Checkpoint { replays: from.replays + 1, ..from };
    let (writes, released) = ([one_row(&table, "a")], [letters[0].held()]);
    let replay = Step::new(Progress { projection: "tickets", from, to }, &writes).parking(&[], &released);
    assert_eq!(store.commit(&replay).await.unwrap(), Committed::Yes);
    assert_eq!(parked(store).await, []);
    assert_eq!(store.checkpoint("tickets").await.unwrap(), to);
    // Whoever has done the same, or goes on without knowing of it, stands elsewhere.
    assert_eq!(store.commit(&replay).await.unwrap(), Committed::Elsewhere(to));
    for rows in [&[one_row(&table, "b")][..], &[]] {
        assert_eq!(store.commit(&Step::new(step(from, 5), rows)).await.unwrap(), Committed::Elsewhere(to));
    }
    assert_eq!(store.begin_anew("tickets", from, &[]).await.unwrap(), Committed::Elsewhere(to));
    assert_eq!(store.commit(&Step::new(step(to, 5), &writes)).await.unwrap(), Committed::Yes);
    assert!(store.commit(&Step::new(Progress { projection: "tickets", from: to, to: from }, &[])).await.is_err());
}

pub async fn a_stream_that_fails_again_stays_parked_with_the_new_reason(store: &dyn ReadStore) {
    let first = letter("default", "Counter-a", 3);
    store.commit(&Step::new(step(Checkpoint::START, 4), &[]).parking(std::slice::from_ref(&first), &[])).await.unwrap();
    let from = store.checkpoint("tickets").await.unwrap();
    let again = Parked {
        position: Position::new(4),
        revision: Revision::new(3),
        event: "Ended".into(),
        version: 1,
        error: format!("{}\0{}", "é".repeat(2_000), "x".repeat(1_000)),
        plugin_version: "2.0.0".into(),
        digest: Digest::of(b"other code"),
        attempts: 6,
        at: Timestamp::from_micros(1_769_851_900_000_000),
        ..first
    };
    let to = Checkpoint { replays: from.replays + 1, ..from };
    let step = Step::new(Progress { projection: "tickets", from, to }, &[]);
    assert_eq!(store.commit(&step.parking(std::slice::from_ref(&again), &[])).await.unwrap(), Committed::Yes);
    // What was said is cut where it is too long, and has no character that an engine can't hold.
    let error = format!("{}\u{fffd}{}", "é".repeat(2_000), "x".repeat(93));
    assert_eq!(parked(store).await, [Parked { error, ..again }]);
}

pub async fn a_tenant_that_waits_as_a_whole_is_told_from_its_streams(store: &dyn ReadStore) {
    let of_stream = letter("acme", "Counter-a", 3);
    // The event at which the projection failed may be of a stream that waits by itself by now.
    let whole = Parked { scope: Scope::Tenant, position: Position::new(5), ..of_stream.clone() };
    let other = letter("default", "Counter-a", 5);
    let letters = [whole.clone(), other.clone(), of_stream.clone()];
    store.commit(&Step::new(step(Checkpoint::START, 6), &[]).parking(&letters, &[])).await.unwrap();
    assert_eq!(parked(store).await, [of_stream.clone(), whole.clone(), other.clone()]);
    let found = async |id: LetterId| store.letter("tickets", &id).await.unwrap();
    for letter in &letters {
        assert_eq!(found(letter.id()).await.as_ref(), Some(letter));
    }
    for nobody in [LetterId::Event(Position::new(4)), LetterId::Tenant(tenant("default"))] {
        assert_eq!(found(nobody).await, None);
    }
    assert_eq!(store.letter("others", &whole.id()).await.unwrap(), None);
    // It moves on and goes, and its streams stay.
    let from = store.checkpoint("tickets").await.unwrap();
    let moved = Parked { position: Position::new(6), ..whole };
    let to = Checkpoint { replays: 1, ..from };
    let on = Progress { projection: "tickets", from, to };
    store.commit(&Step::new(on, &[]).parking(std::slice::from_ref(&moved), &[])).await.unwrap();
    assert_eq!(parked(store).await, [of_stream.clone(), other.clone(), moved.clone()]);
    let held = Held { tenant: tenant("acme"), stream: None };
    assert_eq!(moved.held(), held);
    let gone = Progress { projection: "tickets", from: to, to: Checkpoint { replays: 2, ..to } };
    store.commit(&Step::new(gone, &[]).parking(&[], &[held])).await.unwrap();
    assert_eq!(parked(store).await, [of_stream, other]);
}

pub async fn what_is_parked_goes_with_what_a_projection_has_left(store: &dyn ReadStore) {
    let letters = [letter("default", "Counter-a", 3)];
    for anew in [true, false] {
        store.commit(&Step::new(step(Checkpoint::START, 4), &[]).parking(&letters, &[])).await.unwrap();
        let from = store.checkpoint("tickets").await.unwrap();
        assert_eq!(parked(store).await.len(), 1);
        if anew {
            let elsewhere = store.begin_anew("tickets", Position::new(9).into(), &[]).await.unwrap();
            assert_eq!(elsewhere, Committed::Elsewhere(from));
            assert_eq!(parked(store).await.len(), 1);
            assert_eq!(store.begin_anew("tickets", from, &[]).await.unwrap(), Committed::Yes);
        } else {
            assert!(discard(store, "tickets", &[]).await.unwrap());
        }
        assert_eq!(parked(store).await, []);
        assert_eq!(store.checkpoint("tickets").await.unwrap(), Checkpoint::START);
    }
}

pub async fn the_state_of_a_projection_is_kept_by_its_name(store: &dyn ReadStore) {
    let state = |epoch, pending, paused| ProjectionState { epoch, pending, begun: pending.unwrap_or(3), paused };
    assert_eq!(store.projection_state("counters", "Counts").await.unwrap(), ProjectionState::default());
    let mut from = ProjectionState::default();
    for to in [state(0, Some(1), false), state(1, None, true), state(7, Some(8), true)] {
        assert!(store.set_projection_state("counters", "Counts", &from, &to).await.unwrap());
        assert_eq!(store.projection_state("counters", "Counts").await.unwrap(), to);
        // Whoever has seen what it was before changes nothing.
        assert!(!store.set_projection_state("counters", "Counts", &from, &state(9, None, false)).await.unwrap());
        assert_eq!(store.projection_state("counters", "Counts").await.unwrap(), to);
        from = to;
    }
    assert_eq!(store.projection_state("others", "Counts").await.unwrap(), ProjectionState::default());
    assert!(!store.set_projection_state("others", "Counts", &from, &state(9, None, false)).await.unwrap());
    let (long, any) = ("x".repeat(300), state(0, None, false));
    assert!(store.set_projection_state("counters", &long, &any, &any).await.is_err());
}
