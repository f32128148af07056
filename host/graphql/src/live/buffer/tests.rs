//! Who is told what, who is waited for, and who is given up.

use yado_model::Position;

use super::*;

fn message(number: u64, bytes: usize) -> Arc<Message> {
    let cursor = Cursor::all_of(Position::new(number));
    Arc::new(Message::new(cursor, "x".repeat(bytes), &Memory::default()))
}

fn buffer(most: usize, most_bytes: usize) -> Buffer {
    Buffer::new(None, most, most_bytes, Memory::default())
}

fn number(taken: &Taken) -> Option<u64> {
    match taken {
        Taken::Message(message) => Some(message.cursor.position.get()),
        Taken::Nothing => None,
        Taken::Missed => panic!("it has missed something"),
    }
}

#[test]
fn everybody_takes_everything_once_and_then_it_is_gone() {
    let mut buffer = buffer(10, 1_000);
    let (mut one, _) = buffer.enter(false);
    buffer.push(message(1, 1));
    let (mut other, from) = buffer.enter(false);
    assert_eq!(from, Some(Cursor::all_of(Position::new(1))));
    buffer.push(message(2, 1));
    assert_eq!(number(&buffer.take(&mut other)), Some(2));
    assert_eq!(number(&buffer.take(&mut other)), None);
    assert_eq!(buffer.messages.len(), 2);
    assert_eq!(number(&buffer.take(&mut one)), Some(1));
    assert_eq!(number(&buffer.take(&mut one)), Some(2));
    assert_eq!(number(&buffer.take(&mut one)), None);
    assert_eq!((buffer.messages.capacity(), buffer.bytes), (0, 0));
}

#[test]
fn whoever_leaves_leaves_nothing_behind() {
    let mut buffer = buffer(10, 1_000);
    let (mut one, _) = buffer.enter(false);
    let (other, _) = buffer.enter(false);
    for at in 1..=3 {
        buffer.push(message(at, 1));
    }
    assert_eq!(number(&buffer.take(&mut one)), Some(1));
    buffer.leave(other);
    assert_eq!(buffer.messages.len(), 2);
    buffer.leave(one);
    assert!(buffer.messages.is_empty() && buffer.subscribers == 0);
    buffer.push(message(4, 1));
    assert!(buffer.messages.is_empty(), "nobody is there to take it");
}

#[test]
fn whoever_is_too_far_behind_has_missed_something_and_the_others_have_not() {
    for mut buffer in [buffer(3, 1_000), buffer(100, 30)] {
        let (mut slow, _) = buffer.enter(false);
        let (mut quick, _) = buffer.enter(false);
        for at in 1..=10 {
            assert_eq!(buffer.has_room(10), at != 4, "there is room for just three");
            if !buffer.has_room(10) {
                buffer.make_room(10);
            }
            buffer.push(message(at, 10));
            assert_eq!(number(&buffer.take(&mut quick)), Some(at));
        }
        // What the slow one has not taken in time is kept for nobody.
        assert_eq!((buffer.messages.len(), buffer.bytes, buffer.subscribers), (0, 0, 1));
        assert!(matches!(buffer.take(&mut slow), Taken::Missed));
        buffer.leave(slow);
        assert_eq!(buffer.subscribers, 1);
        buffer.leave(quick);
        assert_eq!(buffer.subscribers, 0);
    }
}

#[test]
fn there_is_room_again_without_those_that_are_furthest_behind() {
    for mut buffer in [buffer(8, 1_000), buffer(1_000, 8)] {
        let (mut slow, _) = buffer.enter(false);
        let (mut quick, _) = buffer.enter(false);
        for at in 1..=8 {
            assert!(buffer.has_room(1));
            buffer.push(message(at, 1));
        }
        assert!(!buffer.has_room(1));
        for at in 1..=4 {
            assert_eq!(number(&buffer.take(&mut quick)), Some(at));
        }
        // One who takes a little has eased nothing.
        assert_eq!(number(&buffer.take(&mut slow)), Some(1));
        assert!(buffer.has_room(1) && !buffer.is_eased(1));
        buffer.make_room(1);
        assert!(buffer.is_eased(1));
        assert!(matches!(buffer.take(&mut slow), Taken::Missed));
        for at in 5..=8 {
            assert_eq!(number(&buffer.take(&mut quick)), Some(at));
        }
        assert!(buffer.messages.is_empty());
    }
}

#[test]
fn one_who_takes_little_is_given_up_when_most_others_wait_for_more() {
    for mut buffer in [buffer(8, 1_000), buffer(1_000, 8)] {
        let (mut slow, _) = buffer.enter(false);
        let mut quick = [buffer.enter(false).0, buffer.enter(false).0];
        for at in 1..=8 {
            buffer.push(message(at, 1));
        }
        for at in 1..=8 {
            quick.iter_mut().for_each(|quick| assert_eq!(number(&buffer.take(quick)), Some(at)));
        }
        let taken = buffer.taken();
        assert_eq!(number(&buffer.take(&mut slow)), Some(1));
        assert!(!buffer.is_eased(1));
        buffer.look(1, taken);
        assert!(buffer.is_eased(1));
        assert!(matches!(buffer.take(&mut slow), Taken::Missed));
        buffer.push(message(9, 1));
        quick.iter_mut().for_each(|quick| assert_eq!(number(&buffer.take(quick)), Some(9)));
    }
}

#[test]
fn of_a_few_who_are_behind_those_go_first_that_are_furthest() {
    let mut buffer = buffer(8, 1_000);
    let [mut last, mut slow] = [buffer.enter(false).0, buffer.enter(false).0];
    let quick = [buffer.enter(false).0, buffer.enter(false).0];
    (1..=8).for_each(|at| buffer.push(message(at, 1)));
    let taken = buffer.taken();
    for mut quick in quick {
        (1..=8).for_each(|at| assert_eq!(number(&buffer.take(&mut quick)), Some(at)));
    }
    (1..=3).for_each(|at| assert_eq!(number(&buffer.take(&mut slow)), Some(at)));
    assert_eq!(number(&buffer.take(&mut last)), Some(1));
    buffer.look(1, taken);
    assert!(matches!(buffer.take(&mut last), Taken::Missed));
    (4..=8).for_each(|at| assert_eq!(number(&buffer.take(&mut slow)), Some(at)));
    assert!(buffer.messages.is_empty());
}

#[test]
fn those_who_come_later_have_no_say_in_what_was_said_before() {
    let mut buffer = buffer(8, 1_000);
    let mut all = [buffer.enter(false).0, buffer.enter(false).0];
    (1..=8).for_each(|at| buffer.push(message(at, 1)));
    let later: Vec<Next> = (0..10).map(|_| buffer.enter(false).0).collect();
    let taken = buffer.taken();
    all.iter_mut().for_each(|one| assert_eq!(number(&buffer.take(one)), Some(1)));
    buffer.look(1, taken);
    all.iter_mut().for_each(|one| assert_eq!(number(&buffer.take(one)), Some(2)));
    // Neither have those who have gone.
    later.into_iter().for_each(|later| buffer.leave(later));
    let [mut one, gone] = all;
    buffer.leave(gone);
    let taken = buffer.taken();
    assert_eq!(number(&buffer.take(&mut one)), Some(3));
    buffer.look(1, taken);
    assert_eq!(number(&buffer.take(&mut one)), Some(4));
}

#[test]
fn those_who_are_still_told_what_was_before_hold_up_nobody() {
    let mut buffer = buffer(8, 1_000);
    let mut live = [buffer.enter(false).0, buffer.enter(false).0];
    let mut late: Vec<Next> = (0..10).map(|_| buffer.enter(true).0).collect();
    (1..=8).for_each(|at| buffer.push(message(at, 1)));
    let taken = buffer.taken();
    // One of them is done with that, and is as quick as the others.
    let mut quick = late.pop().unwrap();
    for one in live.iter_mut().chain([&mut quick]) {
        (1..=8).for_each(|at| assert_eq!(number(&buffer.take(one)), Some(at)));
    }
    assert_eq!((buffer.late, buffer.messages[0].late), (9, 9));
    buffer.look(1, taken);
    assert!(late.iter_mut().all(|late| matches!(buffer.take(late), Taken::Missed)));
    assert_eq!((buffer.subscribers, buffer.late, buffer.messages.len()), (3, 0, 0));
    late.into_iter().for_each(|late| buffer.leave(late));
    assert_eq!((buffer.subscribers, buffer.late), (3, 0));
}

#[test]
fn two_looks_make_room_whatever_takes_it() {
    for (most, most_bytes, messages) in [
        (1_000, 1_000, vec![(100, 0), (10, 100)]),
        (1_000, 100_000, vec![(1_000, 1)]),
        (1_000, 100_000, vec![(10, 5_000), (50, 1_000)]),
        (1_000, 100_000, vec![(50, 1_000), (10, 5_000)]),
    ] {
        let mut buffer = buffer(most, most_bytes);
        let mut slow: Vec<Next> = (0..40).map(|_| buffer.enter(false).0).collect();
        let mut quick: Vec<Next> = (0..50).map(|_| buffer.enter(false).0).collect();
        let sizes = messages.iter().flat_map(|&(count, bytes)| std::iter::repeat_n(bytes, count));
        (1..).zip(sizes).for_each(|(at, bytes)| buffer.push(message(at, bytes)));
        assert!(!buffer.has_room(10), "{messages:?}");
        quick.iter_mut().for_each(|one| while number(&buffer.take(one)).is_some() {});
        // Each of the others is somewhere else.
        let all = buffer.messages.len();
        for (place, one) in slow.iter_mut().enumerate() {
            (0..place * all / 40).for_each(|_| assert!(number(&buffer.take(one)).is_some()));
        }
        for _ in 0..2 {
            assert!(!buffer.is_eased(10), "{messages:?}");
            // Something has been taken meanwhile.
            buffer.look(10, buffer.taken() - 1);
        }
        assert!(buffer.is_eased(10), "{messages:?}");
        // No more are given up than have to be.
        assert!(!buffer.messages.is_empty() && buffer.subscribers > 50, "{messages:?}");
    }
}

#[test]
fn however_little_is_kept_nobody_holds_up_the_others() {
    for most in 1..=5 {
        let mut buffer = buffer(most, 1_000);
        let mut slow = buffer.enter(false).0;
        let mut quick = [buffer.enter(false).0, buffer.enter(false).0];
        (1..=most as u64).for_each(|at| buffer.push(message(at, 1)));
        quick.iter_mut().for_each(|one| while number(&buffer.take(one)).is_some() {});
        buffer.look(1, buffer.taken() - 1);
        assert!(buffer.is_eased(1), "{most}");
        assert!(matches!(buffer.take(&mut slow), Taken::Missed));
    }
}

#[test]
fn nobody_is_given_up_where_all_are_slow() {
    for mut buffer in [buffer(8, 1_000), buffer(1_000, 8)] {
        let mut all = [buffer.enter(false).0, buffer.enter(false).0, buffer.enter(false).0];
        for at in 1..=8 {
            buffer.push(message(at, 1));
        }
        for at in 1..=4 {
            assert!(!buffer.is_eased(1));
            let taken = buffer.taken();
            // One of them is always a little further.
            for one in &mut all {
                assert_eq!(number(&buffer.take(one)), Some(at));
                buffer.look(1, taken);
            }
        }
        assert!(buffer.is_eased(1));
        // Where they take nothing any more they are not waited for.
        (9..=12).for_each(|at| buffer.push(message(at, 1)));
        buffer.look(1, buffer.taken());
        assert!(buffer.is_eased(1));
        assert!(all.iter_mut().all(|one| matches!(buffer.take(one), Taken::Missed)));
    }
}

#[test]
fn what_is_taken_in_time_makes_room_for_all() {
    let mut buffer = buffer(4, 1_000);
    let (mut one, _) = buffer.enter(false);
    let (mut other, _) = buffer.enter(false);
    for at in 1..=4 {
        buffer.push(message(at, 1));
    }
    for at in 1..=2 {
        assert!(!buffer.is_eased(1));
        assert_eq!(number(&buffer.take(&mut one)), Some(at));
        assert_eq!(number(&buffer.take(&mut other)), Some(at));
    }
    assert!(buffer.is_eased(1) && !buffer.is_eased(999), "what is larger takes more room");
}

#[test]
fn a_message_that_is_larger_than_all_of_the_room_is_told_alone() {
    let mut buffer = buffer(10, 5);
    let (mut one, _) = buffer.enter(false);
    assert!(buffer.has_room(100) && buffer.is_eased(100));
    buffer.push(message(1, 100));
    assert!(!buffer.has_room(1) && !buffer.is_eased(0));
    assert_eq!(number(&buffer.take(&mut one)), Some(1));
}

#[test]
fn there_is_little_room_where_others_have_taken_all_of_the_memory() {
    let mut buffer = buffer(1_000, 1_000_000);
    let (mut slow, _) = buffer.enter(false);
    (1..=10).for_each(|at| buffer.push(message(at, 20_000)));
    assert!(buffer.has_room(20_000));
    let others = buffer.memory.fill();
    assert!(!buffer.has_room(20_000));
    buffer.make_room(20_000);
    assert!(matches!(buffer.take(&mut slow), Taken::Missed) && buffer.messages.is_empty());
    let (_next, _) = buffer.enter(false);
    for at in 11..=13 {
        assert!(buffer.has_room(20_000));
        buffer.push(message(at, 20_000));
    }
    assert!(!buffer.has_room(20_000));
    drop(others);
    assert!(buffer.has_room(20_000));
}

#[test]
fn a_place_is_known_once_what_is_followed_has_begun_and_never_goes_back() {
    let mut buffer = buffer(10, 100);
    let at = |position| Some(Cursor::all_of(Position::new(position)));
    buffer.settle(None);
    assert_eq!(buffer.reached(), None);
    for (settled, reached) in [(at(7), at(7)), (at(5), at(7)), (None, at(7)), (at(8), at(8))] {
        buffer.settle(settled);
        assert_eq!(buffer.reached(), reached);
    }
}

#[test]
fn those_who_are_live_do_not_wait_for_those_who_are_told_what_was_before() {
    let mut buffer = buffer(8, 1_000);
    let (mut live, _) = buffer.enter(false);
    let (mut late, _) = buffer.enter(true);
    for at in 1..=8 {
        buffer.push(message(at, 1));
    }
    assert!(!buffer.has_room(1));
    buffer.pass_late(1);
    assert_eq!(buffer.kept(), 8, "the first is waited for by one who is live as well");
    for at in 1..=8 {
        assert_eq!(number(&buffer.take(&mut live)), Some(at));
    }
    assert!(!buffer.has_room(1));
    buffer.pass_late(1);
    assert!(buffer.is_eased(1));
    assert!(matches!(buffer.take(&mut late), Taken::Missed));
}
