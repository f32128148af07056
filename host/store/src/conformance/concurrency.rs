//! Several stores write into one log at once, as several processes do, while a reader follows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use yado_model::{Claim, ClaimValue, Digest, IdempotencyKey, Position, Revision, StreamId, TenantId};

use super::fixtures::{counted, record, stream};
use crate::{Appended, Draft, EventStore, Idempotency};

/// How many batches each writer appends.
const BATCHES: u64 = 40;

/// Every store writes to a stream of its own and fights with the others for a shared one. A reader, in the meantime,
/// goes from page to page. It must see every event that was acknowledged, once, in the order of positions, and never
/// learn later of one that it has passed. The last store is the reader's.
///
pub async fn a_reader_misses_nothing_while_many_write(stores: Vec<Arc<dyn EventStore>>) {
    let (reader, writers) = stores.split_last().expect("a store for the reader, and some for writers");
    let writing: Vec<_> =
        writers.iter().cloned().enumerate().map(|(at, store)| tokio::spawn(write(store, at))).collect();
    let finished = tokio::spawn(async move {
        let mut acknowledged = BTreeMap::new();
        for writer in writing {
            for (position, event) in writer.await.expect("a writer ends") {
                assert_eq!(acknowledged.insert(position, event), None, "position {position} was given twice");
            }
        }
        acknowledged
    });

    let mut seen: BTreeMap<Position, (StreamId, Revision)> = BTreeMap::new();
    let mut at = Position::ZERO;
    loop {
        // Asked before the page is read: what was acknowledged by then is in it.
        let last_page = finished.is_finished();
        // A page of an odd size, so that pages end within batches.
        let page = reader.read_log(at, 7).await.expect("the log can be read");
        for event in &page {
            assert_eq!(event.position, at.plus(1), "a position was passed over, or came again");
            at = event.position;
            seen.insert(at, (event.stream.clone(), event.revision));
        }
        if page.is_empty() {
            if last_page {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let acknowledged = finished.await.expect("the writers end");
    assert_eq!(seen, acknowledged);
    assert_eq!(reader.head().await.expect("the log has a head"), at);
    // The shared stream is without gaps as well, whoever has won.
    let shared = reader.read_stream(&TenantId::default(), &stream("Counter-shared"), Revision::ZERO, 10_000).await;
    let won = acknowledged.values().filter(|(stream, _)| stream.as_str() == "Counter-shared").count();
    assert_eq!(shared.expect("the stream can be read").events.len(), won);
    assert!(won > 0);
}

/// How often each of two nodes tries for everything that the other tries for as well.
const CONTESTS: u64 = 30;

/// Two nodes fight for streams, keys and values at once, in batches that also have what nobody else wants. Of each thing
/// that only one can have, one has it; what nobody else wants is recorded whatever becomes of the rest.
pub async fn of_two_nodes_one_wins(stores: [Arc<dyn EventStore>; 2]) {
    let nodes = stores.clone().into_iter().enumerate().map(|(node, store)| {
        tokio::spawn(async move {
            let mut outcomes = Vec::new();
            for round in 0..CONTESTS {
                let contested = |kind: &str| counted(&format!("Counter-{kind}-{round}"), 0, 1);
                let own = |kind: &str| counted(&format!("Counter-{kind}-{round}-{node}"), 0, 1);
                let name = IdempotencyKey::parse(&format!("key {round}")).expect("a key");
                let key = Idempotency { key: name, request: Digest::of(b"request") };
                let value = ClaimValue { constraint: "unique_label".into(), value: round.to_string() };
                let mut batch = vec![
                    own("own"),
                    contested("stream"),
                    Draft { idempotency: Some(key), ..own("key") },
                    Draft { claims: vec![Claim::Take(value)], ..own("value") },
                ];
                // Without claims every other time, so that both ways of an append meet each other.
                if round % 2 == 0 {
                    batch.pop();
                }
                outcomes.push(record(&*store, &batch).await.expect("a batch goes down"));
            }
            outcomes
        })
    });
    let mut told = Vec::new();
    for node in nodes.collect::<Vec<_>>() {
        told.push(node.await.expect("a node ends"));
    }
    let won = |outcome: &Appended| matches!(outcome, Appended::Recorded { .. });
    for (ours, theirs) in told[0].iter().zip(&told[1]) {
        assert!(won(&ours[0]) && won(&theirs[0]), "nobody else wanted it");
        for (ours, theirs) in ours.iter().zip(theirs).skip(1) {
            let (winner, loser) = if won(ours) { (ours, theirs) } else { (theirs, ours) };
            assert!(won(winner) && !won(loser), "{ours:?} and {theirs:?}");
            if let (Appended::Recorded { position, .. }, Appended::Repeated(answer)) = (winner, loser) {
                assert_eq!(answer.position, *position);
            }
        }
    }
    let recorded = told.iter().flatten().flatten().filter(|outcome| won(outcome)).count();
    let log = stores[0].read_log(Position::ZERO, 10_000).await.expect("the log can be read");
    assert_eq!(log.len(), recorded);
    let report = stores[1].rebuild_claims(false).await.expect("claims can be compared");
    assert_eq!((report.held, report.different), (CONTESTS / 2, 0));
}

/// Gives what was acknowledged.
async fn write(store: Arc<dyn EventStore>, writer: usize) -> Vec<(Position, (StreamId, Revision))> {
    let own = format!("Counter-{writer}");
    let mut shared = Revision::ZERO;
    let mut acknowledged = Vec::new();
    for round in 0..BATCHES {
        let batch = [counted(&own, round * 2, 2), counted("Counter-shared", shared.get(), 1)];
        let outcomes = record(&*store, &batch).await.expect("a batch goes down");
        for (append, outcome) in batch.iter().zip(outcomes) {
            match outcome {
                Appended::Recorded { revision, position } => {
                    let events = append.events.len() as u64;
                    for back in (0..events).rev() {
                        let revision = Revision::new(revision.get() - back);
                        let position = Position::new(position.get() - back);
                        acknowledged.push((position, (append.stream.clone(), revision)));
                    }
                    if append.stream.as_str() == "Counter-shared" {
                        shared = revision;
                    }
                }
                Appended::Conflict { actual } => {
                    assert_eq!(append.stream.as_str(), "Counter-shared", "nobody else writes to {own}");
                    shared = actual;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    acknowledged
}
