//! A look at streams before an append, for when other nodes write to the same streams.
//!
//! The short way ([`super::short`]) takes a batch down as a whole or not at all. An append that has lost before it was sent,
//! because another node has gone on with its stream, has its batch mates written and undone, and written again step by step
//! under the lock of the log's head. Once in a while that is the best there is, because nothing is asked for. But where
//! two nodes write to the same streams in turn, nearly every batch has such an append, and a node alone would do several
//! times as much as both do together.
//!
//! So for as long as a node has [rivals](super::witnessed), it looks where streams stand before it takes the log's lock. A
//! stream that has more events than expected never has fewer again: whoever expects fewer is told so, and the others go on
//! without them. Nothing else follows from a look. A stream on which nothing new was seen may have got it by the time that
//! the lock is there, and one that seems to have too few is for those to judge who know what this node has witnessed.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::locked;
use crate::append::settle::Asked;
use crate::{Append, Appended, Result};

/// What has come of those appends that have lost already, each in its place.
pub(super) async fn lost(connection: &mut PgConnection, batch: &[Append]) -> Result<Vec<Option<Appended>>> {
    let asked = Asked::of(batch);
    let revisions = locked::revisions(&mut *connection, &asked).await?;
    // Of each stream where it stands, if the first append to it has lost; those behind it may be built on that.
    let mut overtaken = HashMap::with_capacity(revisions.len());
    for append in batch {
        let stream = (&append.tenant, &append.stream);
        let actual = asked.streams.at(&stream).and_then(|at| revisions.get(at)).copied();
        overtaken.entry(stream).or_insert(actual.filter(|actual| *actual > append.expected));
    }
    let of = |append: &Append| overtaken.get(&(&append.tenant, &append.stream)).copied().flatten();
    let losers: Vec<Append> = batch.iter().filter(|append| of(append).is_some()).cloned().collect();
    if losers.is_empty() {
        return Ok(vec![None; batch.len()]);
    }
    // A repetition is meant to find the stream changed, by its own first attempt.
    let asked = Asked::of(&losers);
    let answers = locked::answers(connection, &asked).await?;
    let lost = batch.iter().map(|append| {
        let actual = of(append)?;
        let key = append.idempotency.as_ref().map(|named| (&append.tenant, &named.key));
        let earlier = key.and_then(|key| asked.answers.at(&key)).and_then(|at| answers.get(at)).cloned().flatten();
        Some(earlier.map_or(Appended::Conflict { actual }, Appended::Repeated))
    });
    Ok(lost.collect())
}

#[cfg(test)]
mod tests {
    use yado_model::{Digest, IdempotencyKey, Position, Revision};

    use super::super::super::Database;
    use super::super::{Witnessed, append, carefully};
    use crate::conformance::counted;
    use crate::kinds::Noted;
    use crate::open::Promise;
    use crate::testing::{Postgres, patient};
    use crate::{Answer, Append, Appended, Draft, Idempotency};

    struct Node {
        database: Database,
        noted: Noted,
        witnessed: Witnessed,
    }

    impl Node {
        async fn new(url: &str) -> Self {
            let database = Database::open(url, &patient(), Promise::Durable).await.unwrap();
            Self { database, noted: Noted::default(), witnessed: Witnessed::default() }
        }

        /// As it is done by itself.
        async fn append<const N: usize>(&self, drafts: [Draft; N]) -> Vec<Appended> {
            append(&self.database.appending, &self.noted, &self.witnessed, &batch(drafts)).await.unwrap()
        }

        async fn carefully<const N: usize>(&self, drafts: [Draft; N]) -> Vec<Appended> {
            let mut connection = self.database.appending.lend().await.unwrap();
            carefully(&mut connection, &self.noted, &self.witnessed, &batch(drafts)).await.unwrap()
        }

        /// How many rows have been written and undone.
        async fn undone(&self) -> i64 {
            let lines = "select coalesce(max((ctid::text::point)[1]), 0)::bigint - count(*) from events";
            sqlx::query_scalar(lines).fetch_one(&self.database.pool).await.unwrap()
        }
    }

    async fn two_nodes() -> [Node; 2] {
        let url = Postgres::shared().database().await;
        [Node::new(&url).await, Node::new(&url).await]
    }

    fn batch<const N: usize>(drafts: [Draft; N]) -> Vec<Append> {
        drafts.map(|draft| draft.check().unwrap()).into()
    }

    fn recorded(revision: u64, position: u64) -> Appended {
        Appended::Recorded { revision: Revision::new(revision), position: Position::new(position) }
    }

    fn conflict(actual: u64) -> Appended {
        Appended::Conflict { actual: Revision::new(actual) }
    }

    #[tokio::test]
    async fn whoever_has_lost_already_is_told_so_and_the_others_go_on_without_them() {
        let [one, other] = two_nodes().await;
        one.append([counted("Counter-a", 0, 1), counted("Counter-b", 0, 1)]).await;
        other.append([counted("Counter-a", 1, 2)]).await;
        let outcomes = one
            .carefully([
                counted("Counter-b", 1, 1),
                counted("Counter-a", 1, 1),
                counted("Counter-a", 2, 1),
                counted("Counter-c", 0, 1),
            ])
            .await;
        assert_eq!(outcomes, [recorded(2, 5), conflict(3), conflict(3), recorded(1, 6)]);
        assert_eq!(one.carefully([counted("Counter-a", 1, 1)]).await, [conflict(3)]);
        assert_eq!(one.undone().await, 0);
        // What has come later than the look, and what is missing, is found out by those who write.
        assert_eq!(
            one.carefully([counted("Counter-a", 4, 1), counted("Counter-b", 2, 1)]).await,
            [conflict(3), recorded(3, 7)]
        );
    }

    #[tokio::test]
    async fn a_repetition_finds_its_answer_although_its_stream_has_gone_on() {
        let [one, other] = two_nodes().await;
        let (key, request) = (IdempotencyKey::parse("k").unwrap(), Digest::of(b"request"));
        let first = Draft { idempotency: Some(Idempotency { key, request }), ..counted("Counter-a", 0, 1) };
        one.append([first.clone()]).await;
        other.append([counted("Counter-a", 1, 1)]).await;
        let answer =
            Answer { request, stream: first.stream.clone(), revision: Revision::new(1), position: Position::new(1) };
        let outcomes = one.carefully([first, counted("Counter-a", 1, 1), counted("Counter-b", 0, 1)]).await;
        assert_eq!(outcomes, [Appended::Repeated(answer), conflict(2), recorded(1, 3)]);
    }

    #[tokio::test]
    async fn a_node_looks_when_it_has_met_another_one() {
        let [one, other] = two_nodes().await;
        one.append([counted("Counter-a", 0, 1)]).await;
        // Whoever expects more events than there are has met nobody.
        assert_eq!(one.append([counted("Counter-a", 5, 1), counted("Counter-b", 0, 1)]).await[0], conflict(1));
        assert_eq!(one.witnessed.rivals_until(), None);
        other.append([counted("Counter-a", 1, 1)]).await;
        assert_eq!(one.append([counted("Counter-a", 1, 1)]).await, [conflict(2)]);
        let met = one.witnessed.rivals_until().unwrap();
        // Each time that it sees them it reckons with them for longer.
        assert_eq!(one.carefully([counted("Counter-a", 1, 1)]).await, [conflict(2)]);
        assert!(one.witnessed.rivals_until().unwrap() > met);
        assert_eq!(other.witnessed.rivals_until(), None);
    }
}
