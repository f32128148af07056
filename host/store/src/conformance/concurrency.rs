//! Several stores write into one log at once, as several processes do, while a reader follows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use yado_model::{Position, Revision, StreamId, TenantId};

use super::fixtures::{counted, stream};
use crate::{Appended, EventStore};

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
    assert_eq!(shared.expect("the stream can be read").len(), won);
    assert!(won > 0);
}

/// Gives what was acknowledged.
async fn write(store: Arc<dyn EventStore>, writer: usize) -> Vec<(Position, (StreamId, Revision))> {
    let own = format!("Counter-{writer}");
    let mut shared = Revision::ZERO;
    let mut acknowledged = Vec::new();
    for round in 0..BATCHES {
        let batch = [counted(&own, round * 2, 2), counted("Counter-shared", shared.get(), 1)];
        let outcomes = store.append(&batch).await.expect("a batch goes down");
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
