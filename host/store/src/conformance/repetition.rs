//! A request with an idempotency key counts once.

use yado_model::{Digest, IdempotencyKey, Position, Revision, TenantId};

use super::fixtures::{append, conflict, counted, log, record, recorded, stream, tenant};
use crate::{Answer, Appended, Draft, EventStore, Forgotten, Idempotency};

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text).expect("a key")
}

fn named(append: Draft, name: &str) -> Draft {
    Draft { idempotency: Some(Idempotency { key: key(name), request: Digest::of(name.as_bytes()) }), ..append }
}

fn answered(name: &str, to: &str, revision: u64, position: u64) -> Answer {
    Answer {
        request: Digest::of(name.as_bytes()),
        stream: stream(to),
        revision: Revision::new(revision),
        position: Position::new(position),
    }
}

pub async fn a_repeated_key_gets_the_first_answer(store: &dyn EventStore) {
    assert_eq!(append(store, named(counted("Counter-a", 0, 2), "once")).await, recorded(2, 2));
    let first = answered("once", "Counter-a", 2, 2);
    let again = named(counted("Counter-b", 0, 1), "once");
    assert_eq!(append(store, again).await, Appended::Repeated(first.clone()));
    assert_eq!(store.answer(&TenantId::default(), &key("once")).await.unwrap(), Some(first));
    assert_eq!(store.answer(&TenantId::default(), &key("never")).await.unwrap(), None);
    assert_eq!(log(store).await.len(), 2);
}

pub async fn a_key_used_twice_in_one_batch_counts_once(store: &dyn EventStore) {
    let batch = [
        named(counted("Counter-a", 0, 1), "once"),
        counted("Counter-b", 0, 1),
        named(counted("Counter-a", 0, 1), "once"),
    ];
    let repeated = Appended::Repeated(answered("once", "Counter-a", 1, 1));
    assert_eq!(record(store, &batch).await.unwrap(), [recorded(1, 1), recorded(1, 2), repeated]);
}

pub async fn keys_belong_to_their_tenant(store: &dyn EventStore) {
    let theirs = Draft { tenant: tenant("acme"), ..named(counted("Counter-a", 0, 1), "once") };
    let batch = [named(counted("Counter-a", 0, 1), "once"), theirs];
    assert_eq!(record(store, &batch).await.unwrap(), [recorded(1, 1), recorded(1, 2)]);
}

pub async fn a_key_of_a_lost_request_is_free(store: &dyn EventStore) {
    assert_eq!(append(store, named(counted("Counter-a", 3, 1), "once")).await, conflict(0));
    assert_eq!(append(store, named(counted("Counter-a", 0, 1), "once")).await, recorded(1, 1));
}

pub async fn old_answers_are_forgotten(store: &dyn EventStore) {
    let old = named(counted("Counter-a", 0, 1), "old");
    let time = old.recorded_at;
    let young = Draft { recorded_at: time.plus_ms(1_000), ..named(counted("Counter-b", 0, 1), "young") };
    record(store, &[old, young]).await.unwrap();
    assert_eq!(store.forget_answers(time).await.unwrap(), Forgotten { count: 0, more: false });
    assert_eq!(store.forget_answers(time.plus_ms(1_000)).await.unwrap(), Forgotten { count: 1, more: false });
    assert_eq!(store.answer(&TenantId::default(), &key("old")).await.unwrap(), None);
    assert!(store.answer(&TenantId::default(), &key("young")).await.unwrap().is_some());
}

pub async fn many_old_answers_are_forgotten_piece_by_piece(store: &dyn EventStore) {
    let batch: Vec<_> =
        (0..6_000).map(|n| named(counted(&format!("Counter-{n}"), 0, 1), &format!("key {n}"))).collect();
    let outcomes = record(store, &batch).await.unwrap();
    assert_eq!(outcomes.last(), Some(&recorded(1, 6_000)));
    let last = batch.iter().map(|draft| draft.recorded_at).max().expect("there are some");
    let first = store.forget_answers(last.plus_ms(1)).await.unwrap();
    assert!(first.more && (1..6_000).contains(&first.count), "{first:?}");
    assert!(store.answer(&TenantId::default(), &key("key 5999")).await.unwrap().is_some());
    let mut rest = 0;
    loop {
        let Forgotten { count, more } = store.forget_answers(last.plus_ms(1)).await.unwrap();
        rest += count;
        if !more {
            break;
        }
    }
    assert_eq!(first.count + rest, 6_000);
    assert_eq!(store.answer(&TenantId::default(), &key("key 5999")).await.unwrap(), None);
}
