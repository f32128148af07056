//! What a projection tells of the rows that it changes is kept with its steps, and handed out without gaps.

use std::sync::Arc;

use yado_model::{CommandId, Name, Position, TenantId};

use super::fixtures::{discard, tickets};
use crate::{ChangeKind, ChangePage, Changed, Checkpoint, Committed, Error, Progress, ReadStore, Step};

const ANY: u32 = u32::MAX;

fn change(position: u64, place: u32) -> Arc<Changed> {
    Arc::new(Changed {
        position: Position::new(position),
        place,
        tenant: TenantId::parse("acme").unwrap(),
        model: Name::parse("Ticket").unwrap(),
        key: format!("k{position}é'\""),
        kind: [ChangeKind::Created, ChangeKind::Updated, ChangeKind::Deleted][place as usize % 3],
        row: format!("{{\"id\":\"k{position}\",\"place\":{place}}}").into(),
    })
}

fn progress(from: u64, to: u64) -> Progress<'static> {
    Progress { projection: "tickets", from: Position::new(from).into(), to: Position::new(to).into() }
}

/// Takes a step that tells of changes at these places.
async fn tell(store: &dyn ReadStore, (from, to): (u64, u64), since: u64, places: &[(u64, u32)]) {
    let changes: Vec<_> = places.iter().map(|(position, place)| change(*position, *place)).collect();
    let step = Step::new(progress(from, to), &[]).telling(Position::new(since), &changes);
    assert_eq!(store.commit(&step).await.unwrap(), Committed::Yes);
}

async fn page(store: &dyn ReadStore, after: (u64, u32), limit: u32) -> ChangePage {
    store.changes("tickets", (Position::new(after.0), after.1), limit).await.unwrap()
}

fn places(page: &ChangePage) -> Vec<(u64, u32)> {
    page.changes.iter().map(|changed| (changed.position.get(), changed.place)).collect()
}

fn floor(page: &ChangePage) -> Option<u64> {
    page.floor.map(Position::get)
}

pub async fn changes_are_handed_out_as_they_were_told(store: &dyn ReadStore) {
    let nothing = page(store, (0, ANY), 10).await;
    assert_eq!(nothing, ChangePage { floor: None, settled: Position::ZERO, changes: Vec::new() });
    tell(store, (0, 5), 0, &[(2, 0), (2, 1), (4, 0)]).await;
    tell(store, (5, 9), 5, &[(7, 0), (7, 1), (7, 2)]).await;
    tell(store, (9, 12), 9, &[]).await;
    let all = page(store, (0, ANY), 100).await;
    assert_eq!((floor(&all), all.settled), (Some(0), Position::new(12)));
    let told = [(2, 0), (2, 1), (4, 0), (7, 0), (7, 1), (7, 2)];
    let told: Vec<_> = told.iter().map(|(position, place)| (*change(*position, *place)).clone()).collect();
    assert_eq!(all.changes, told);
    // From any place on, at most so many, in order.
    assert_eq!(places(&page(store, (2, 0), 3).await), [(2, 1), (4, 0), (7, 0)]);
    assert_eq!(places(&page(store, (2, ANY), 1).await), [(4, 0)]);
    assert_eq!(places(&page(store, (7, 2), 10).await), []);
    // Others have told nothing.
    assert_eq!(store.changes("others", (Position::ZERO, 0), 10).await.unwrap().floor, None);
}

pub async fn changes_of_a_step_that_is_not_taken_are_not_told(store: &dyn ReadStore) {
    let table = tickets();
    store.ensure_table(&table).await.unwrap();
    tell(store, (0, 5), 0, &[(3, 0)]).await;
    let changes = [change(8, 0)];
    for from in [0, 4, 6] {
        let step = Step::new(progress(from, 9), &[]).telling(Position::new(5).max(Position::new(from)), &changes);
        assert!(matches!(store.commit(&step).await.unwrap(), Committed::Elsewhere(_)));
    }
    let page = page(store, (0, ANY), 10).await;
    assert_eq!((floor(&page), page.settled, places(&page)), (Some(0), Position::new(5), vec![(3, 0)]));
}

pub async fn a_journal_begins_anew_where_it_was_left_off(store: &dyn ReadStore) {
    // It begins in the middle of a step.
    tell(store, (0, 5), 3, &[(4, 0)]).await;
    assert_eq!(floor(&page(store, (3, ANY), 10).await), Some(3));
    tell(store, (5, 6), 5, &[(6, 0)]).await;
    assert_eq!(floor(&page(store, (3, ANY), 10).await), Some(3));
    // Whoever tells nothing of a step leaves a gap, and nothing is handed out across it.
    store.commit(&Step::new(progress(6, 8), &[])).await.unwrap();
    assert_eq!(floor(&page(store, (3, ANY), 10).await), None);
    tell(store, (8, 9), 8, &[(9, 0)]).await;
    let after = page(store, (8, ANY), 10).await;
    assert_eq!((floor(&after), places(&after)), (Some(8), vec![(9, 0)]));
    // The same for one that begins to tell in the middle of a step.
    tell(store, (9, 14), 12, &[(13, 0)]).await;
    assert_eq!(floor(&page(store, (8, ANY), 10).await), Some(12));
}

pub async fn a_replay_leaves_a_gap_although_the_position_stays(store: &dyn ReadStore) {
    let at = |position: u64, replays| Checkpoint { replays, ..Position::new(position).into() };
    let step = |from, to| Step::new(Progress { projection: "tickets", from, to }, &[]);
    let first = [change(4, 0)];
    store.commit(&step(at(0, 0), at(5, 0)).telling(Position::ZERO, &first)).await.unwrap();
    store.commit(&step(at(5, 0), at(5, 1))).await.unwrap();
    assert_eq!(floor(&page(store, (0, ANY), 10).await), None);
    let next = [change(7, 0)];
    store.commit(&step(at(5, 1), at(8, 1)).telling(Position::new(5), &next)).await.unwrap();
    let page = page(store, (5, ANY), 10).await;
    // Who has seen all of position 5 may have done so before the replay, and is not given what comes next as if it were all.
    assert_eq!((floor(&page), places(&page)), (Some(6), vec![(7, 0)]));
    store.commit(&step(at(8, 1), at(9, 1)).telling(Position::new(8), &[])).await.unwrap();
    assert_eq!(floor(&self::page(store, (6, ANY), 10).await), Some(6));
}

pub async fn changes_out_of_order_are_refused(store: &dyn ReadStore) {
    let refused = async |from: u64, places: &[(u64, u32)]| {
        let changes: Vec<_> = places.iter().map(|(position, place)| change(*position, *place)).collect();
        let step = Step::new(progress(0, 5), &[]).telling(Position::new(from), &changes);
        matches!(store.commit(&step).await, Err(Error::Invalid(_)))
    };
    for (from, places) in [
        (0, &[(2, 1), (2, 0)][..]),
        (0, &[(3, 0), (2, 0)]),
        (0, &[(2, 0), (2, 0)]),
        (0, &[(6, 0)]),
        (2, &[(2, 0)]),
        (6, &[]),
    ] {
        assert!(refused(from, places).await, "{from} {places:?}");
    }
    assert_eq!(store.checkpoint("tickets").await.unwrap(), Checkpoint::START);
    assert_eq!(page(store, (0, 0), 10).await.changes, []);
}

pub async fn old_changes_are_forgotten_piece_by_piece(store: &dyn ReadStore) {
    let places: Vec<_> = (1..=7_000).map(|position| (position, 0)).collect();
    tell(store, (0, 7_000), 0, &places).await;
    let up_to = Position::new(6_000);
    let first = store.forget_changes("tickets", up_to).await.unwrap();
    assert!(first.more && first.count < 6_000, "{first:?}");
    // What is left of them is not handed out as if it were all that there was.
    assert_eq!(floor(&page(store, (0, ANY), 1).await), Some(6_000));
    let mut count = first.count;
    loop {
        let piece = store.forget_changes("tickets", up_to).await.unwrap();
        count += piece.count;
        if !piece.more {
            break;
        }
    }
    assert_eq!(count, 6_000);
    let left = page(store, (6_000, ANY), 10_000).await;
    assert_eq!((left.changes.len(), floor(&left)), (1_000, Some(6_000)));
    // The floor does not sink.
    store.forget_changes("tickets", Position::new(10)).await.unwrap();
    assert_eq!(floor(&page(store, (0, ANY), 1).await), Some(6_000));
    // What comes next is told as before.
    tell(store, (7_000, 7_001), 7_000, &[(7_001, 0)]).await;
    assert_eq!(places_len(&page(store, (7_000, ANY), 10).await), (1, Some(6_000)));
}

fn places_len(page: &ChangePage) -> (usize, Option<u64>) {
    (page.changes.len(), floor(page))
}

pub async fn whoever_begins_anew_has_told_nothing(store: &dyn ReadStore) {
    let command = CommandId::generate();
    let there = Checkpoint { command: Some(command), ..Position::new(5).into() };
    for round in 0..3 {
        let changes = [change(3, 0)];
        let step = Step::new(Progress { projection: "tickets", from: Checkpoint::START, to: there }, &[]);
        store.commit(&step.telling(Position::ZERO, &changes)).await.unwrap();
        assert_eq!(floor(&page(store, (0, ANY), 10).await), Some(0));
        match round {
            0 => store.forget_checkpoint("tickets").await.unwrap(),
            1 => assert!(discard(store, "tickets", &[]).await.unwrap()),
            _ => assert_eq!(store.begin_anew("tickets", there, &[]).await.unwrap(), Committed::Yes),
        }
        let nothing = ChangePage { floor: None, settled: Position::ZERO, changes: Vec::new() };
        assert_eq!(page(store, (0, 0), 10).await, nothing);
    }
}

pub async fn many_changes_go_down_in_one_step(store: &dyn ReadStore) {
    let places: Vec<_> = (1..=3_000).flat_map(|position| [(position, 0), (position, 1)]).collect();
    // The first step of a projection takes a longer way than the second.
    tell(store, (0, 3_000), 0, &places).await;
    let places: Vec<_> = places.iter().map(|(position, place)| (position + 3_000, *place)).collect();
    tell(store, (3_000, 6_000), 3_000, &places).await;
    let mut seen = Vec::new();
    let mut after = (0, ANY);
    loop {
        let page = page(store, after, 10_000).await;
        let Some(last) = page.changes.last() else { break };
        after = (last.position.get(), last.place);
        seen.extend(self::places(&page));
    }
    assert_eq!(seen.len(), 12_000);
    assert!(seen.is_sorted_by(|a, b| a < b));
}
