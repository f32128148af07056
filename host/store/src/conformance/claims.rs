//! A value of a constraint has one holder.

use yado_model::{Claim, ClaimValue, Position};

use super::fixtures::{append, conflict, counted, record, recorded, tenant};
use crate::limits::LONGEST_CLAIM;
use crate::{Appended, Draft, Error, EventStore};

fn value(text: &str) -> ClaimValue {
    ClaimValue { constraint: "unique_label".into(), value: text.into() }
}

pub(super) fn take(text: &str) -> Claim {
    Claim::Take(value(text))
}

pub(super) fn release(text: &str) -> Claim {
    Claim::Release(value(text))
}

pub(super) fn claiming(append: Draft, claims: &[Claim]) -> Draft {
    Draft { claims: claims.to_vec(), ..append }
}

fn taken(text: &str) -> Appended {
    Appended::Taken { constraint: "unique_label".into(), value: text.into() }
}

pub async fn a_value_is_held_by_one_stream(store: &dyn EventStore) {
    assert_eq!(append(store, claiming(counted("Counter-a", 0, 1), &[take("x")])).await, recorded(1, 1));
    assert_eq!(append(store, claiming(counted("Counter-b", 0, 1), &[take("y"), take("x")])).await, taken("x"));
    // Values are texts as they are, to the byte.
    assert_eq!(append(store, claiming(counted("Counter-c", 0, 1), &[take("X"), take("x ")])).await, recorded(1, 2));
    // What the loser took along the way is free, and the holder may take what it has.
    assert_eq!(append(store, claiming(counted("Counter-a", 1, 1), &[take("x"), take("y")])).await, recorded(2, 3));
}

pub async fn a_value_can_be_let_go_and_taken_by_another(store: &dyn EventStore) {
    append(store, claiming(counted("Counter-a", 0, 1), &[take("x"), take("y")])).await;
    // Another stream can't let go of it.
    append(store, claiming(counted("Counter-b", 0, 1), &[release("x")])).await;
    assert_eq!(append(store, claiming(counted("Counter-b", 1, 1), &[take("x")])).await, taken("x"));
    append(store, claiming(counted("Counter-a", 1, 1), &[release("x")])).await;
    assert_eq!(append(store, claiming(counted("Counter-b", 1, 1), &[take("x")])).await, recorded(2, 4));
    assert_eq!(append(store, claiming(counted("Counter-c", 0, 1), &[take("y")])).await, taken("y"));
}

pub async fn a_value_passes_on_within_one_batch(store: &dyn EventStore) {
    append(store, claiming(counted("Counter-a", 0, 1), &[take("x"), take("z")])).await;
    let batch = [
        claiming(counted("Counter-b", 0, 1), &[take("x")]),
        claiming(counted("Counter-a", 1, 1), &[release("x"), take("y"), release("z")]),
        claiming(counted("Counter-c", 0, 1), &[take("x"), take("w"), release("w")]),
        claiming(counted("Counter-d", 0, 1), &[take("y")]),
    ];
    assert_eq!(record(store, &batch).await.unwrap(), [taken("x"), recorded(2, 2), recorded(1, 3), taken("y")]);
    let batch = [
        claiming(counted("Counter-a", 2, 1), &[take("x")]),
        claiming(counted("Counter-e", 0, 1), &[take("z"), take("w")]),
    ];
    assert_eq!(record(store, &batch).await.unwrap(), [taken("x"), recorded(1, 4)]);
}

pub async fn claims_of_a_losing_append_do_not_count(store: &dyn EventStore) {
    append(store, claiming(counted("Counter-a", 0, 1), &[take("x")])).await;
    let loser = claiming(counted("Counter-a", 0, 1), &[release("x"), take("y")]);
    assert_eq!(append(store, loser).await, conflict(1));
    assert_eq!(append(store, claiming(counted("Counter-b", 0, 1), &[take("x")])).await, taken("x"));
    assert_eq!(append(store, claiming(counted("Counter-b", 0, 1), &[take("y")])).await, recorded(1, 2));
}

pub async fn claims_belong_to_their_tenant_and_constraint(store: &dyn EventStore) {
    let other = Claim::Take(ClaimValue { constraint: "unique_code".into(), value: "x".into() });
    let batch = [
        claiming(counted("Counter-a", 0, 1), &[take("x")]),
        Draft { tenant: tenant("acme"), ..claiming(counted("Counter-b", 0, 1), &[take("x")]) },
        claiming(counted("Counter-c", 0, 1), &[other]),
    ];
    assert_eq!(record(store, &batch).await.unwrap(), [recorded(1, 1), recorded(1, 2), recorded(1, 3)]);
}

pub async fn a_claim_over_the_limit_is_refused(store: &dyn EventStore) {
    // The longest that is allowed must fit into the engine's index even if it can't be compressed.
    let longest: String = (0..LONGEST_CLAIM).map(|at| char::from(b'!' + (at * at * 7 % 90) as u8)).collect();
    assert_eq!(append(store, claiming(counted("Counter-a", 0, 1), &[take(&longest)])).await, recorded(1, 1));
    let error = record(store, &[claiming(counted("Counter-b", 0, 1), &[take(&format!("{longest}!"))])]).await;
    assert!(matches!(error, Err(Error::Invalid(_))), "{error:?}");
    assert_eq!(store.head().await.unwrap(), Position::new(1));
}
