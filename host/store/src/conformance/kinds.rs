//! What the log tells about itself: which kinds of events it has, and who holds what.

use yado_model::{Claim, ClaimValue, Position, Revision, TenantId};

use super::claims::{claiming, release, take};
use super::fixtures::{append, counted, record, stream, tenant};
use crate::{ClaimDifference, Draft, EventKind, EventStore};

fn kind(name: &str, version: u32, first: u64) -> EventKind {
    EventKind { aggregate: "Counter".into(), name: name.into(), version, first: Position::new(first) }
}

/// An append of one event of a kind.
fn of(to: &str, expected: u64, name: &str, version: u32) -> Draft {
    let mut draft = counted(to, expected, 1);
    name.clone_into(&mut draft.events[0].name);
    draft.events[0].version = version;
    draft
}

pub async fn the_kinds_of_events_are_noted_with_their_first_positions(store: &dyn EventStore) {
    assert_eq!(store.event_kinds().await.unwrap(), []);
    append(store, counted("Counter-a", 0, 2)).await;
    let elsewhere = Draft { tenant: tenant("acme"), ..of("Counter-a", 0, "Counted", 2) };
    // One that loses is not in the log.
    let batch = [of("Counter-b", 0, "Counted", 1), elsewhere, of("Counter-c", 7, "Lost", 1)];
    record(store, &batch).await.unwrap();
    record(store, &[of("Counter-d", 0, "Ended", 1), of("Counter-d", 1, "Counted", 2)]).await.unwrap();
    let expected = [kind("Counted", 1, 1), kind("Counted", 2, 4), kind("Ended", 1, 5)];
    assert_eq!(store.event_kinds().await.unwrap(), expected);
    let mut other = of("Counter-e", 0, "Counted", 1);
    other.stream = super::stream("Basket-e");
    append(store, other).await;
    let basket = EventKind { aggregate: "Basket".into(), ..kind("Counted", 1, 7) };
    assert_eq!(store.event_kinds().await.unwrap(), [&[basket], &expected[..]].concat());
}

pub async fn claims_are_the_fold_of_the_log(store: &dyn EventStore) {
    let report = store.rebuild_claims(true).await.unwrap();
    assert_eq!((report.head, report.held, report.different, report.repaired), (Position::ZERO, 0, 0, false));
    append(store, claiming(counted("Counter-a", 0, 2), &[take("x"), take("y"), take("z"), release("z")])).await;
    // What is not one's own to let go of stays where it is, by the log as by the table.
    append(store, claiming(counted("Counter-b", 0, 1), &[release("x"), take("z")])).await;
    append(store, claiming(counted("Counter-c", 0, 1), &[take("x"), take("w")])).await;
    append(store, claiming(counted("Counter-a", 2, 1), &[release("y"), take("x")])).await;
    let other = Claim::Take(ClaimValue { constraint: "unique_code".into(), value: "x \"\\ é".into() });
    append(store, Draft { tenant: tenant("acme"), ..claiming(counted("Counter-c", 0, 1), &[other]) }).await;
    let report = store.rebuild_claims(false).await.unwrap();
    assert_eq!((report.head, report.held), (Position::new(5), 3));
    assert_eq!(report.differences, [] as [ClaimDifference; 0]);
    assert_eq!((report.different, report.repaired), (0, false));
    // It goes on as before.
    assert_eq!(
        append(store, claiming(counted("Counter-d", 0, 1), &[take("y")])).await,
        super::fixtures::recorded(1, 6)
    );
}

pub async fn claims_of_a_long_log_are_folded_page_by_page(store: &dyn EventStore) {
    // More events than are read at once, ...
    let of = |n: usize| claiming(counted(&format!("Counter-{n}"), 0, 1), &[take(&format!("value {n}"))]);
    record(store, &(0..2_500).map(of).collect::<Vec<_>>()).await.unwrap();
    // ... and one that tells more than that.
    let large: Vec<_> = (0..9_000).map(|n| take(&format!("{n:01000}"))).collect();
    append(store, claiming(counted("Counter-large", 0, 1), &large)).await;
    append(store, claiming(counted("Counter-0", 1, 1), &[release("value 0"), take("last")])).await;
    let report = store.rebuild_claims(false).await.unwrap();
    assert_eq!((report.head, report.held), (Position::new(2_502), 11_500));
    assert_eq!((report.different, report.differences), (0, vec![]));
}

pub async fn a_large_event_ends_its_page(store: &dyn EventStore) {
    let mut large = counted("Counter-a", 0, 3);
    for event in &mut large.events {
        event.payload = format!("\"{}\"", "x".repeat(5_000_000));
    }
    append(store, large).await;
    append(store, counted("Counter-b", 0, 3)).await;
    let mut at = Position::ZERO;
    let mut pages = Vec::new();
    loop {
        let page = store.read_log(at, 100).await.unwrap();
        let Some(last) = page.last() else { break };
        at = last.position;
        pages.push(page.len());
    }
    assert_eq!(at, Position::new(6));
    assert_eq!(pages.first(), Some(&2), "{pages:?}");
    let mut read = 0;
    let mut more = true;
    while more {
        let page =
            store.read_stream(&TenantId::default(), &stream("Counter-a"), Revision::new(read), 100).await.unwrap();
        assert!((1..=2).contains(&page.events.len()) || read == 3, "{}", page.events.len());
        read += page.events.len() as u64;
        more = page.more;
    }
    assert_eq!(read, 3);
}
