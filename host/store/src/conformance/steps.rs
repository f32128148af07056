//! Rows and checkpoint move together, and only for whoever stands where they think.

use serde_json::json;
use yado_model::{CommandId, Position, TenantId};

use super::fixtures::{discard, row, tickets};
use crate::{Checkpoint, Committed, Error, Progress, ReadStore, Step, Table, TableWrites, Write};

fn progress(from: u64, to: u64) -> Progress<'static> {
    Progress { projection: "tickets", from: at(from), to: at(to) }
}

/// A checkpoint that does not say which event is there.
fn at(position: u64) -> Checkpoint {
    Position::new(position).into()
}

fn known(position: u64, command: CommandId) -> Checkpoint {
    Checkpoint { command: Some(command), ..at(position) }
}

fn one_row<'a>(table: &'a Table, key: &str) -> TableWrites<'a> {
    TableWrites { table, writes: vec![(TenantId::default(), Write::Put(row(json!({ "id": key }))))] }
}

async fn count(store: &dyn ReadStore, table: &Table) -> u64 {
    store.count(table, &TenantId::default(), None).await.unwrap()
}

pub async fn a_projection_begins_at_zero_and_goes_on_where_it_was(store: &dyn ReadStore) {
    let table = tickets();
    store.ensure_table(&table).await.unwrap();
    assert_eq!(store.checkpoint("tickets").await.unwrap(), Checkpoint::START);
    assert_eq!(store.commit(&Step::new(progress(0, 5), &[one_row(&table, "a")])).await.unwrap(), Committed::Yes);
    assert_eq!(store.commit(&Step::new(progress(5, 9), &[one_row(&table, "b")])).await.unwrap(), Committed::Yes);
    assert_eq!(store.checkpoint("tickets").await.unwrap(), at(9));
    assert_eq!(store.checkpoint("others").await.unwrap(), Checkpoint::START);
    assert_eq!(count(store, &table).await, 2);
}

pub async fn a_step_from_elsewhere_writes_nothing(store: &dyn ReadStore) {
    let table = tickets();
    store.ensure_table(&table).await.unwrap();
    let elsewhere = |position| Committed::Elsewhere(at(position));
    assert_eq!(store.commit(&Step::new(progress(3, 5), &[one_row(&table, "a")])).await.unwrap(), elsewhere(0));
    store.commit(&Step::new(progress(0, 5), &[])).await.unwrap();
    for from in [0, 4, 6] {
        assert_eq!(store.commit(&Step::new(progress(from, 9), &[one_row(&table, "a")])).await.unwrap(), elsewhere(5));
    }
    assert_eq!(count(store, &table).await, 0);
    assert!(matches!(store.commit(&Step::new(progress(5, 4), &[])).await, Err(Error::Invalid(_))));
    assert_eq!(store.checkpoint("tickets").await.unwrap(), at(5));
}

pub async fn a_step_without_rows_moves_the_checkpoint(store: &dyn ReadStore) {
    assert_eq!(store.commit(&Step::new(progress(0, 0), &[])).await.unwrap(), Committed::Yes);
    assert_eq!(store.commit(&Step::new(progress(0, 7), &[])).await.unwrap(), Committed::Yes);
    assert_eq!(store.checkpoint("tickets").await.unwrap(), at(7));
}

pub async fn a_step_goes_to_many_tables_or_to_none(store: &dyn ReadStore) {
    let (first, second) = (tickets(), Table { name: "rm_others".into(), ..tickets() });
    store.ensure_table(&first).await.unwrap();
    // The second table is not there yet: by then the first one's rows are written, in the same transaction.
    let writes = [one_row(&first, "a"), one_row(&second, "a")];
    assert!(store.commit(&Step::new(progress(0, 1), &writes)).await.is_err());
    assert_eq!(count(store, &first).await, 0);
    assert_eq!(store.checkpoint("tickets").await.unwrap(), Checkpoint::START);
    store.ensure_table(&second).await.unwrap();
    assert_eq!(store.commit(&Step::new(progress(0, 1), &writes)).await.unwrap(), Committed::Yes);
    assert_eq!((count(store, &first).await, count(store, &second).await), (1, 1));
}

pub async fn a_forgotten_checkpoint_is_at_zero(store: &dyn ReadStore) {
    store.commit(&Step::new(progress(0, 7), &[])).await.unwrap();
    store.forget_checkpoint("tickets").await.unwrap();
    store.forget_checkpoint("tickets").await.unwrap();
    assert_eq!(store.checkpoint("tickets").await.unwrap(), Checkpoint::START);
    assert_eq!(store.commit(&Step::new(progress(0, 3), &[])).await.unwrap(), Committed::Yes);
}

pub async fn checkpoints_are_found_in_the_order_in_which_they_are_asked_for(store: &dyn ReadStore) {
    let replayed = Checkpoint { replays: 2, ..known(9, CommandId::generate()) };
    for (projection, to) in [("tickets", at(7)), ("a \"'[]", replayed)] {
        let progress = Progress { projection, from: Checkpoint::START, to };
        assert_eq!(store.commit(&Step::new(progress, &[])).await.unwrap(), Committed::Yes);
    }
    assert_eq!(store.checkpoints(&[]).await.unwrap(), []);
    // Those that have not begun have a place as well, and each that is asked for twice has two.
    let asked: Vec<_> = (0..4).flat_map(|_| ["tickets", "others", "a \"'[]"]).collect();
    let expected: Vec<_> = (0..4).flat_map(|_| [at(7), Checkpoint::START, replayed]).collect();
    assert_eq!(store.checkpoints(&asked).await.unwrap(), expected);
}

pub async fn what_a_projection_has_left_goes_together_or_not_at_all(store: &dyn ReadStore) {
    let (first, second) = (tickets(), Table { name: "rm_others".into(), ..tickets() });
    store.ensure_table(&first).await.unwrap();
    store.ensure_table(&second).await.unwrap();
    let writes = [one_row(&first, "a"), one_row(&second, "a")];
    store.commit(&Step::new(progress(0, 7), &writes)).await.unwrap();
    assert!(discard(store, "tickets", &[&first.name, "checkpoints"]).await.is_err());
    assert_eq!(store.checkpoint("tickets").await.unwrap(), at(7));
    assert_eq!(count(store, &first).await, 1);
    for _ in 0..2 {
        assert!(discard(store, "tickets", &[&first.name, &second.name]).await.unwrap());
        assert_eq!(store.checkpoint("tickets").await.unwrap(), Checkpoint::START);
        assert!(store.tables().await.unwrap().is_empty());
    }
}

pub async fn a_checkpoint_knows_its_event(store: &dyn ReadStore) {
    let table = tickets();
    store.ensure_table(&table).await.unwrap();
    let [first, second, other] = [1, 2, 2].map(|position| known(position, CommandId::generate()));
    let step = |from, to| Progress { projection: "tickets", from, to };
    // From the beginning and from later on, with few rows and without.
    assert_eq!(
        store.commit(&Step::new(step(Checkpoint::START, first), &[one_row(&table, "a")])).await.unwrap(),
        Committed::Yes
    );
    assert_eq!(store.checkpoint("tickets").await.unwrap(), first);
    assert_eq!(store.commit(&Step::new(step(first, second), &[one_row(&table, "b")])).await.unwrap(), Committed::Yes);
    assert_eq!(store.checkpoint("tickets").await.unwrap(), second);
    // Who stands at the same position of another log, or does not know of which, stands elsewhere.
    for from in [other, at(2)] {
        let lost = store.commit(&Step::new(step(from, at(3)), &[one_row(&table, "c")])).await.unwrap();
        assert_eq!(lost, Committed::Elsewhere(second));
    }
    assert_eq!(count(store, &table).await, 2);
    assert_eq!(store.commit(&Step::new(step(second, at(3)), &[])).await.unwrap(), Committed::Yes);
    assert_eq!(store.checkpoint("tickets").await.unwrap(), at(3));
}

pub async fn a_projection_begins_anew_once(store: &dyn ReadStore) {
    let (first, second) = (tickets(), Table { name: "rm_others".into(), ..tickets() });
    store.ensure_table(&first).await.unwrap();
    store.ensure_table(&second).await.unwrap();
    let tables = [first.name.as_str(), second.name.as_str()];
    let (stale, right) = (known(7, CommandId::generate()), known(7, CommandId::generate()));
    let step = Progress { projection: "tickets", from: Checkpoint::START, to: right };
    store.commit(&Step::new(step, &[one_row(&first, "a"), one_row(&second, "a")])).await.unwrap();
    for from in [stale, at(7), at(6), Checkpoint::START] {
        assert_eq!(store.begin_anew("tickets", from, &tables).await.unwrap(), Committed::Elsewhere(right));
    }
    assert!(store.begin_anew("tickets", right, &[&first.name, "checkpoints"]).await.is_err());
    assert_eq!((count(store, &first).await, count(store, &second).await), (1, 1));
    assert_eq!(store.begin_anew("tickets", right, &tables).await.unwrap(), Committed::Yes);
    assert_eq!(store.checkpoint("tickets").await.unwrap(), Checkpoint::START);
    assert_eq!((count(store, &first).await, count(store, &second).await), (0, 0));
    // Whoever has found the same, and comes later, leaves alone what has been filled since.
    store.commit(&Step::new(progress(0, 3), &[one_row(&first, "b")])).await.unwrap();
    assert_eq!(store.begin_anew("tickets", right, &tables).await.unwrap(), Committed::Elsewhere(at(3)));
    assert_eq!(count(store, &first).await, 1);
}

pub async fn a_step_that_is_given_up_leaves_the_next_one_alone(store: &dyn ReadStore) {
    let table = tickets();
    store.ensure_table(&table).await.unwrap();
    let mut taken = 0;
    for polls in 0..40 {
        let key = format!("{polls}");
        let writes = [one_row(&table, &key)];
        let step = progress(taken, taken + 1);
        {
            let step = Step::new(step, &writes);
            let mut given_up = std::pin::pin!(store.commit(&step));
            for _ in 0..polls {
                if futures::poll!(&mut given_up).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // It was taken or not, and whoever goes on is told truly which.
        let next = match store.commit(&Step::new(step, &writes)).await.unwrap() {
            Committed::Yes => at(taken + 1),
            Committed::Elsewhere(checkpoint) => checkpoint,
        };
        assert_eq!(next, at(taken + 1));
        taken = next.position.get();
        assert_eq!(count(store, &table).await, taken);
    }
}

pub async fn two_who_take_the_same_step_are_told_apart(store: &dyn ReadStore) {
    let table = tickets();
    store.ensure_table(&table).await.unwrap();
    for from in 0..20 {
        let step = progress(from, from + 1);
        let (ours, theirs) = (format!("ours-{from}"), format!("theirs-{from}"));
        let (ours, theirs) = ([one_row(&table, &ours)], [one_row(&table, &theirs)]);
        let (ours, theirs) = (Step::new(step, &ours), Step::new(step, &theirs));
        let both = futures::join!(store.commit(&ours), store.commit(&theirs));
        let elsewhere = Committed::Elsewhere(at(from + 1));
        match (both.0.unwrap(), both.1.unwrap()) {
            (Committed::Yes, other) | (other, Committed::Yes) => assert_eq!(other, elsewhere),
            neither => panic!("{neither:?}"),
        }
    }
    assert_eq!(count(store, &table).await, 20);
}
