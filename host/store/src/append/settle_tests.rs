//! Every way to win or lose, without a database.

use yado_model::{CommandId, CommandMeta, Digest, Timestamp};

use super::*;
use crate::{Draft, Error, PluginVersion};

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn stream(text: &str) -> StreamId {
    StreamId::parse(text).unwrap()
}

fn append(to: &str, expected: u64, events: usize) -> Draft {
    let event = NewEvent { name: "Counted".into(), version: 1, payload: "{}".into(), tags: vec![] };
    let command_id = CommandId::generate();
    Draft {
        tenant: tenant("default"),
        stream: stream(to),
        expected: Revision::new(expected),
        events: vec![event; events],
        claims: vec![],
        recorded_at: Timestamp::from_micros(0),
        command: CommandMeta { command_id, correlation_id: command_id.0, causation_id: None, actor: None },
        plugin: PluginVersion(1),
        idempotency: None,
    }
}

fn claiming(mut append: Draft, claims: &[(&str, &str)]) -> Draft {
    append.claims = claims
        .iter()
        .map(|(change, value)| {
            let claimed = ClaimValue { constraint: "unique_label".into(), value: (*value).into() };
            if *change == "take" { Claim::Take(claimed) } else { Claim::Release(claimed) }
        })
        .collect();
    append
}

fn named(mut append: Draft, key: &str) -> Draft {
    append.idempotency =
        Some(Idempotency { key: IdempotencyKey::parse(key).unwrap(), request: Digest::of(key.as_bytes()) });
    append
}

fn checked<const N: usize>(batch: [Draft; N]) -> [Append; N] {
    batch.map(|draft| draft.check().unwrap())
}

/// Settles a batch over a log of ten events in which nothing of what the batch is about exists, but for `change`.
fn settled(batch: &[Append], change: impl FnOnce(&mut Known)) -> Settled<'_> {
    check(batch).unwrap();
    let asked = Asked::of(batch);
    let mut known = Known {
        head: Position::new(10),
        revisions: vec![Revision::ZERO; asked.streams.len()],
        answers: vec![None; asked.answers.len()],
        holders: vec![None; asked.claims.len()],
    };
    change(&mut known);
    settle(batch, &asked, known).unwrap()
}

fn recorded(revision: u64, position: u64) -> Appended {
    Appended::Recorded { revision: Revision::new(revision), position: Position::new(position) }
}

fn conflict(actual: u64) -> Appended {
    Appended::Conflict { actual: Revision::new(actual) }
}

fn taken(value: &str) -> Appended {
    Appended::Taken { constraint: "unique_label".into(), value: value.into() }
}

#[test]
fn positions_go_on_from_the_head_without_gaps_around_losers() {
    let batch = [append("Counter-a", 0, 2), append("Counter-b", 7, 3), append("Counter-c", 0, 1)];
    let batch = checked(batch);
    let settled = settled(&batch, |_| {});
    assert_eq!(settled.outcomes, [recorded(2, 12), conflict(0), recorded(1, 13)]);
    let positions: Vec<_> = settled.events.iter().map(|row| row.position.get()).collect();
    assert_eq!(positions, [11, 12, 13]);
    assert_eq!(settled.head, Position::new(13));
}

#[test]
fn an_expectation_loses_when_it_is_stale_and_when_it_is_ahead() {
    let batch = [append("Counter-a", 2, 1), append("Counter-b", 4, 1), append("Counter-c", 3, 1)];
    let batch = checked(batch);
    let settled = settled(&batch, |known| known.revisions = vec![Revision::new(3); 3]);
    assert_eq!(settled.outcomes, [conflict(3), conflict(3), recorded(4, 11)]);
}

#[test]
fn the_second_append_to_a_stream_expects_what_the_first_leaves() {
    let batch = [append("Counter-a", 0, 2), append("Counter-a", 2, 1), append("Counter-a", 2, 1)];
    let batch = checked(batch);
    let settled = settled(&batch, |_| {});
    assert_eq!(settled.outcomes, [recorded(2, 12), recorded(3, 13), conflict(3)]);
}

#[test]
fn streams_of_the_same_name_belong_to_their_tenants() {
    let mut other = append("Counter-a", 0, 1);
    other.tenant = tenant("other");
    let batch = [append("Counter-a", 0, 1), other];
    let batch = checked(batch);
    let settled = settled(&batch, |_| {});
    assert_eq!(settled.outcomes, [recorded(1, 11), recorded(1, 12)]);
}

#[test]
fn a_repetition_within_the_batch_gets_the_first_answer() {
    let batch = [named(append("Counter-a", 0, 1), "once"), named(append("Counter-a", 1, 1), "once")];
    let batch = checked(batch);
    let settled = settled(&batch, |_| {});
    let answer = settled.answers.first().unwrap().answer.clone();
    assert_eq!((answer.revision, answer.position), (Revision::new(1), Position::new(11)));
    assert_eq!(settled.outcomes, [recorded(1, 11), Appended::Repeated(answer)]);
    assert_eq!(settled.answers.len(), 1);
}

#[test]
fn a_key_whose_first_request_lost_is_still_free() {
    let batch = [named(append("Counter-a", 5, 1), "once"), named(append("Counter-b", 0, 1), "once")];
    let batch = checked(batch);
    let settled = settled(&batch, |_| {});
    assert_eq!(settled.outcomes, [conflict(0), recorded(1, 11)]);
}

#[test]
fn a_repetition_is_recognised_before_its_stale_expectation() {
    let batch = [named(append("Counter-a", 0, 1), "once")];
    let answer = Answer {
        request: Digest::of(b"once"),
        stream: stream("Counter-a"),
        revision: Revision::new(1),
        position: Position::new(4),
    };
    let batch = checked(batch);
    let settled = settled(&batch, |known| {
        known.revisions = vec![Revision::new(1)];
        known.answers = vec![Some(answer.clone())];
    });
    assert_eq!(settled.outcomes, [Appended::Repeated(answer)]);
    assert!(settled.events.is_empty());
    assert_eq!(settled.head, Position::new(10));
}

#[test]
fn a_value_goes_to_the_first_who_takes_it() {
    let batch = [
        claiming(append("Counter-a", 0, 1), &[("take", "x")]),
        claiming(append("Counter-b", 0, 1), &[("take", "y"), ("take", "x")]),
        claiming(append("Counter-c", 0, 1), &[("take", "y")]),
    ];
    let batch = checked(batch);
    let settled = settled(&batch, |_| {});
    assert_eq!(settled.outcomes, [recorded(1, 11), taken("x"), recorded(1, 12)]);
    let holders: Vec<_> = settled.taken.iter().map(|((_, _, value), holder)| (*value, holder.as_str())).collect();
    assert_eq!(holders, [("x", "Counter-a"), ("y", "Counter-c")]);
}

#[test]
fn a_value_let_go_in_the_batch_can_be_taken_in_the_batch() {
    let batch = [
        claiming(append("Counter-a", 1, 1), &[("release", "x")]),
        claiming(append("Counter-b", 0, 1), &[("take", "x")]),
    ];
    let batch = checked(batch);
    let settled = settled(&batch, |known| {
        known.revisions = vec![Revision::new(1), Revision::ZERO];
        known.holders = vec![Some(stream("Counter-a"))];
    });
    assert_eq!(settled.outcomes, [recorded(2, 11), recorded(1, 12)]);
    assert_eq!(settled.taken.len(), 1);
    assert!(settled.released.is_empty());
}

#[test]
fn a_loser_lets_go_of_nothing() {
    let batch = [
        claiming(append("Counter-a", 9, 1), &[("release", "x")]),
        claiming(append("Counter-b", 0, 1), &[("take", "x")]),
    ];
    let batch = checked(batch);
    let settled = settled(&batch, |known| {
        known.revisions = vec![Revision::new(1), Revision::ZERO];
        known.holders = vec![Some(stream("Counter-a"))];
    });
    assert_eq!(settled.outcomes, [conflict(1), taken("x")]);
    assert!(settled.taken.is_empty() && settled.released.is_empty());
}

#[test]
fn only_the_holder_lets_go() {
    let batch = [claiming(append("Counter-b", 0, 1), &[("release", "x")])];
    let batch = checked(batch);
    let settled = settled(&batch, |known| known.holders = vec![Some(stream("Counter-a"))]);
    assert_eq!(settled.outcomes, [recorded(1, 11)]);
    assert!(settled.released.is_empty());
}

#[test]
fn taken_and_let_go_again_is_as_if_nothing_had_been() {
    let batch = [claiming(append("Counter-a", 0, 1), &[("take", "x"), ("take", "x"), ("release", "x")])];
    let batch = checked(batch);
    let settled = settled(&batch, |_| {});
    assert_eq!(settled.outcomes, [recorded(1, 11)]);
    assert!(settled.taken.is_empty() && settled.released.is_empty());
}

#[test]
fn what_is_asked_for_is_told_even_where_the_table_has_it_already() {
    let claims = [("take", "own"), ("release", "free"), ("release", "other"), ("take", "own"), ("release", "own")];
    let batch = [claiming(append("Counter-a", 0, 2), &claims), append("Counter-b", 0, 1)];
    let batch = checked(batch);
    let settled = settled(&batch, |known| {
        known.holders = vec![Some(stream("Counter-a")), None, Some(stream("Counter-b"))];
    });
    let told: Vec<_> = settled.events.iter().map(|row| row.claims.as_deref()).collect();
    let change =
        |change: &str, value: &str| format!(r#"{{"{change}":{{"constraint":"unique_label","value":"{value}"}}}}"#);
    // Once is enough, and on the first event.
    let all = [("take", "own"), ("release", "free"), ("release", "other"), ("release", "own")];
    let all = format!("[{}]", all.map(|(kind, value)| change(kind, value)).join(","));
    assert_eq!(told, [Some(all.as_str()), None, None]);
    assert_eq!(settled.released.iter().map(|(_, _, value)| *value).collect::<Vec<_>>(), ["own"]);
    assert!(settled.taken.is_empty());
}

#[test]
fn an_append_that_cannot_be_recorded_is_refused_before_the_database_hears_of_it() {
    let refused = |change: fn(&mut Draft)| {
        let mut append = append("Counter-a", 0, 1);
        change(&mut append);
        match append.check() {
            Err(Error::Invalid(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(|append| append.events.clear()).contains("no events"));
    assert!(refused(|append| append.events[0].payload = "{".into()).contains("Counted is not JSON"));
    assert!(refused(|append| append.events[0].name = "a\0b".into()).contains("NUL"));
    assert!(refused(|append| append.events[0].version = u32::MAX).contains("limit"));
    assert!(refused(|append| *append = claiming(append.clone(), &[("take", &"x".repeat(5_000))])).contains("limit"));
    assert!(refused(|append| append.events = vec![append.events[0].clone(); LARGEST_BATCH + 1]).contains("limit"));
}

#[test]
fn what_is_built_on_a_lost_append_loses_even_if_the_stream_is_where_it_expects_it() {
    let batch = [append("Basket-1", 5, 1), append("Basket-1", 6, 1), append("Basket-2", 0, 1)];
    // Somebody else has recorded the sixth event.
    let batch = checked(batch);
    let settled = settled(&batch, |known| known.revisions[0] = Revision::new(6));
    let conflict = Appended::Conflict { actual: Revision::new(6) };
    assert_eq!(settled.outcomes[..2], [conflict.clone(), conflict]);
    assert!(matches!(settled.outcomes[2], Appended::Recorded { .. }));
    assert_eq!(settled.events.len(), 1);
}
