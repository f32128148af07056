//! What a projection tells of the rows that it changes is kept with its steps, and handed out without gaps.

use std::sync::Arc;

use yado_model::{CommandId, Name, Position, TenantId};

use super::fixtures::{discard, tickets};
use crate::{ChangeKind, ChangePage, ChangeQuery, Changed, Checkpoint, Committed, Error, Progress, ReadStore, Step};

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
    store.changes("tickets", &ChangeQuery::of_all((Position::new(after.0), after.1), limit)).await.unwrap()
}

fn places(page: &ChangePage) -> Vec<(u64, u32)> {
    page.changes.iter().map(|changed| (changed.position.get(), changed.place)).collect()
}

fn floor(page: &ChangePage) -> Option<u64> {
    page.floor.map(Position::get)
}

pub async fn changes_are_handed_out_as_they_were_told(store: &dyn ReadStore) {
    let nothing = page(store, (0, ANY), 10).await;
    assert_eq!(nothing, ChangePage { floor: None, settled: Position::ZERO, changes: Vec::new(), more_after: None });
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
    assert_eq!(store.changes("others", &ChangeQuery::of_all((Position::ZERO, 0), 10)).await.unwrap().floor, None);
}

pub async fn a_page_of_changes_ends_at_its_limits_and_says_so(store: &dyn ReadStore) {
    const ROW: usize = 1_000;
    const LAST: u64 = 12;
    let (model, tenant) = (Name::parse("Ticket").unwrap(), TenantId::parse("acme").unwrap());
    let is_wanted = |position: u64| matches!(position, 2 | 3 | 5 | 8 | 9 | 10);
    let change = |position: u64| {
        let mut changed = (*change(position, 0)).clone();
        changed.row = format!("{{\"id\":\"{}\"}}", "é".repeat(ROW / 2)).into();
        match position {
            _ if is_wanted(position) => {}
            1 | 6 | 11 => changed.model = Name::parse("Basket").unwrap(),
            // However large it is, it takes no room on the page of another.
            _ => (changed.tenant, changed.row) = (TenantId::parse("other").unwrap(), "x".repeat(100 * ROW).into()),
        }
        Arc::new(changed)
    };
    let changes: Vec<_> = (1..=LAST).map(change).collect();
    let step = Step::new(progress(0, LAST), &[]).telling(Position::ZERO, &changes);
    assert_eq!(store.commit(&step).await.unwrap(), Committed::Yes);
    let page = async |after: u64, limit, most_bytes| {
        let (after, of) = ((Position::new(after), ANY), Some((&model, &tenant)));
        store.changes("tickets", &ChangeQuery { after, of, limit, most_bytes }).await.unwrap()
    };
    let positions = |page: &ChangePage| places(page).iter().map(|(position, _)| *position).collect::<Vec<_>>();
    let end = |page: &ChangePage| page.more_after.map(|(position, _)| position.get());
    for (after, limit, most_bytes, found, more_after) in [
        (0, 100, 1 << 20, &[2, 3, 5, 8, 9, 10][..], None),
        // The last that was gone through says where it ends, whosever it is.
        (0, 7, 1 << 20, &[2, 3, 5], Some(7)),
        (0, 12, 1 << 20, &[2, 3, 5, 8, 9, 10], Some(12)),
        (10, 1, 1 << 20, &[], Some(11)),
        (11, 2, 1 << 20, &[], None),
        (0, 100, 2 * ROW, &[2, 3], Some(3)),
        (3, 100, 1, &[5], Some(5)),
        (3, 0, 0, &[], Some(4)),
    ] {
        let page = page(after, limit, most_bytes).await;
        let what = format!("after {after}, {limit} of {most_bytes} bytes");
        assert_eq!((positions(&page), end(&page)), (found.to_vec(), more_after), "{what}");
        assert_eq!((floor(&page), page.settled.get()), (Some(0), LAST), "{what}");
    }
    // Whoever goes on where a page ends is told everything, and nothing twice.
    for limit in 1..=13 {
        for most_bytes in [1, ROW + 1, 2 * ROW + 100, 1 << 20] {
            let (mut told, mut after) = (Vec::new(), 0);
            loop {
                let page = page(after, limit, most_bytes).await;
                let bytes: usize = page.changes.iter().rev().skip(1).map(|changed| changed.row.len()).sum();
                assert!(bytes < most_bytes && page.changes.len() <= limit as usize, "{limit}, {most_bytes}");
                told.extend(page.changes);
                match page.more_after {
                    Some((position, 0)) if position.get() > after => after = position.get(),
                    more_after => break assert_eq!(more_after, None, "{limit}, {most_bytes}"),
                }
            }
            let expected: Vec<_> = changes.iter().filter(|change| is_wanted(change.position.get())).collect();
            assert_eq!(told.iter().collect::<Vec<_>>(), expected.iter().map(|change| &***change).collect::<Vec<_>>());
        }
    }
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
        let nothing = ChangePage { floor: None, settled: Position::ZERO, changes: Vec::new(), more_after: None };
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
