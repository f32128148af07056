//! What goes into the log comes out of it, and losers leave nothing behind.

use uuid::Uuid;
use yado_model::{Actor, CommandMeta, NewEvent, Position, RecordedEvent, Revision, TenantId};

use super::fixtures::{append, conflict, counted, log, record, recorded, stream, tenant};
use crate::{Draft, Error, EventStore};

pub async fn an_empty_batch_records_nothing(store: &dyn EventStore) {
    assert_eq!(record(store, &[]).await.unwrap(), []);
    assert_eq!(store.head().await.unwrap(), Position::ZERO);
}

pub async fn what_is_appended_is_read_back_as_it_was(store: &dyn EventStore) {
    let plain = counted("Counter-a", 0, 1);
    let mut rich = counted("Counter-b c-d/é", 0, 1);
    rich.events = vec![NewEvent {
        name: "Counted".into(),
        version: 7,
        payload: r#"{"text": "a \"b\" \u0000 \\ é 😀", "list": [null, true, {}]}"#.into(),
        tags: vec!["counter:b".into(), "a,\"b\" {c}".into()],
    }];
    rich.command = CommandMeta {
        correlation_id: Uuid::from_u128(1),
        causation_id: Some(Uuid::from_u128(2)),
        actor: Some(Actor::parse("jo@example.org").unwrap()),
        ..rich.command
    };
    record(store, &[plain.clone(), rich.clone()]).await.unwrap();

    let event = |from: &Draft, position: u64| RecordedEvent {
        tenant: from.tenant.clone(),
        stream: from.stream.clone(),
        revision: Revision::new(1),
        position: Position::new(position),
        recorded_at: from.recorded_at,
        event: from.events[0].clone(),
        command: from.command.clone(),
    };
    assert_eq!(log(store).await, [event(&plain, 1), event(&rich, 2)]);
    let page = store.read_stream(&rich.tenant, &rich.stream, Revision::ZERO, 10).await.unwrap().events;
    assert_eq!(page, [event(&rich, 2)]);
}

pub async fn a_payload_keeps_every_digit(store: &dyn EventStore) {
    let payload = r#"{"z":1.10,"a":123456789012345678901234567890.123456789,"e":1E+2,"a":-0}"#;
    let mut exact = counted("Counter-a", 0, 1);
    exact.events[0].payload = payload.into();
    append(store, exact).await;
    assert_eq!(log(store).await[0].event.payload, payload);
}

pub async fn revisions_and_positions_are_counted_from_one(store: &dyn EventStore) {
    assert_eq!(append(store, counted("Counter-a", 0, 2)).await, recorded(2, 2));
    assert_eq!(append(store, counted("Counter-b", 0, 1)).await, recorded(1, 3));
    assert_eq!(append(store, counted("Counter-a", 2, 1)).await, recorded(3, 4));
    assert_eq!(store.head().await.unwrap(), Position::new(4));
    let numbers: Vec<_> = log(store).await.iter().map(|event| (event.position.get(), event.revision.get())).collect();
    assert_eq!(numbers, [(1, 1), (2, 2), (3, 1), (4, 3)]);
}

pub async fn an_append_that_expects_another_revision_loses(store: &dyn EventStore) {
    append(store, counted("Counter-a", 0, 2)).await;
    assert_eq!(append(store, counted("Counter-a", 1, 1)).await, conflict(2));
    assert_eq!(append(store, counted("Counter-a", 3, 1)).await, conflict(2));
    assert_eq!(append(store, counted("Counter-a", u64::MAX, 1)).await, conflict(2));
    assert_eq!(append(store, counted("Counter-new", 1, 1)).await, conflict(0));
    assert_eq!(store.head().await.unwrap(), Position::new(2));
}

pub async fn a_losing_append_leaves_no_trace_and_its_batch_mates_commit(store: &dyn EventStore) {
    let batch = [counted("Counter-a", 0, 1), counted("Counter-b", 4, 3), counted("Counter-c", 0, 2)];
    assert_eq!(record(store, &batch).await.unwrap(), [recorded(1, 1), conflict(0), recorded(2, 3)]);
    let page = store.read_stream(&TenantId::default(), &stream("Counter-b"), Revision::ZERO, 10).await.unwrap().events;
    assert_eq!(page, []);
    assert_eq!(log(store).await.len(), 3);
}

pub async fn two_appends_of_a_batch_go_to_one_stream_in_order(store: &dyn EventStore) {
    let batch = [counted("Counter-a", 0, 2), counted("Counter-a", 2, 1), counted("Counter-a", 2, 1)];
    assert_eq!(record(store, &batch).await.unwrap(), [recorded(2, 2), recorded(3, 3), conflict(3)]);
}

pub async fn what_is_built_on_a_losing_append_loses_with_it(store: &dyn EventStore) {
    append(store, counted("Counter-a", 0, 2)).await;
    // The first was decided at revision 1 and would have left the stream at 2, where it is by now for another reason.
    let batch = [counted("Counter-a", 1, 1), counted("Counter-a", 2, 1), counted("Counter-b", 0, 1)];
    assert_eq!(record(store, &batch).await.unwrap(), [conflict(2), conflict(2), recorded(1, 3)]);
}

pub async fn a_batch_of_many_events_goes_down_whole(store: &dyn EventStore) {
    let batch: Vec<_> = (0..70).map(|number| counted(&format!("Counter-{number}"), 0, 3)).collect();
    record(store, &batch).await.unwrap();
    let events = log(store).await;
    assert_eq!(events.len(), 210);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.stream, stream(&format!("Counter-{}", at / 3)));
        assert_eq!(event.revision.get() as usize, at % 3 + 1);
    }
}

pub async fn an_append_without_events_is_refused(store: &dyn EventStore) {
    let error = record(store, &[counted("Counter-a", 0, 0)]).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

pub async fn a_payload_that_is_no_json_is_refused_and_nothing_is_recorded(store: &dyn EventStore) {
    let mut broken = counted("Counter-b", 0, 1);
    broken.events[0].payload = "{".into();
    assert!(broken.clone().check().is_err());
    let error = record(store, &[counted("Counter-a", 0, 1), broken]).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(store.head().await.unwrap(), Position::ZERO);
}

pub async fn streams_of_one_name_in_two_tenants_are_two(store: &dyn EventStore) {
    let ours = counted("Counter-a", 0, 1);
    let theirs = Draft { tenant: tenant("acme"), ..counted("Counter-a", 0, 2) };
    assert_eq!(record(store, &[ours.clone(), theirs.clone()]).await.unwrap(), [recorded(1, 1), recorded(2, 3)]);
    let page = store.read_stream(&theirs.tenant, &theirs.stream, Revision::ZERO, 10).await.unwrap().events;
    assert_eq!(page.len(), 2);
    assert!(page.iter().all(|event| event.tenant == theirs.tenant));
    assert_eq!(store.read_stream(&ours.tenant, &ours.stream, Revision::ZERO, 10).await.unwrap().events.len(), 1);
}

pub async fn an_expectation_ahead_of_the_log_loses_whoever_wrote_before(store: &dyn EventStore) {
    // The store has just written to this stream itself, and must not take that for more than it was.
    append(store, counted("Counter-a", 0, 2)).await;
    assert_eq!(append(store, counted("Counter-a", 3, 1)).await, conflict(2));
    let batch = [counted("Counter-b", 0, 1), counted("Counter-a", 2, 1), counted("Counter-a", 4, 1)];
    assert_eq!(record(store, &batch).await.unwrap(), [recorded(1, 3), recorded(3, 4), conflict(3)]);
    assert_eq!(append(store, counted("Counter-a", 3, 1)).await, recorded(4, 5));
}
