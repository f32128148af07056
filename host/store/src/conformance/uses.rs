//! Tables of which nobody says any more that they are used are found, and dropped by whoever finds them.

use serde_json::json;
use yado_model::{Position, TenantId};

use super::fixtures::{row, tickets};
use crate::{Checkpoint, Progress, ReadStore, Step, TableWrites, TablesInUse, Write};

/// For ever, as far as a test goes.
const LONG: u64 = u64::MAX;

fn used(projection: &str, tables: &[&str]) -> TablesInUse {
    TablesInUse { projection: projection.into(), tables: tables.iter().map(ToString::to_string).collect() }
}

/// What nobody has said to use at this very moment.
async fn unused(store: &dyn ReadStore) -> Vec<TablesInUse> {
    loop {
        // The clock may not have moved since.
        let found = store.unused_tables(0).await.unwrap();
        if !found.is_empty() {
            return found;
        }
    }
}

pub async fn tables_that_nobody_uses_are_found_and_dropped(store: &dyn ReadStore) {
    let table = tickets();
    store.ensure_table(&table).await.unwrap();
    let (of_tickets, others) = (used("tickets", &[&table.name]), used("others", &["rm_one", "rm_two"]));
    store.use_tables("first", &[of_tickets.clone(), others.clone()], LONG).await.unwrap();
    let writes =
        [TableWrites { table: &table, writes: vec![(TenantId::default(), Write::Put(row(json!({ "id": "a" }))))] }];
    let progress = Progress { projection: "tickets", from: Checkpoint::START, to: Position::new(3).into() };
    store.commit(&Step::new(progress, &writes)).await.unwrap();
    assert_eq!(store.unused_tables(LONG).await.unwrap(), []);
    // Another process uses them, so that the first one leaves them alone.
    store.use_tables("second", std::slice::from_ref(&of_tickets), LONG).await.unwrap();
    assert!(!store.discard_unused("first", &of_tickets, LONG).await.unwrap());
    assert_eq!(store.tables().await.unwrap(), std::slice::from_ref(&table.name));
    assert_eq!(store.checkpoint("tickets").await.unwrap(), Position::new(3).into());
    // The last one to leave drops them; and they are on the list no more.
    assert!(store.discard_unused("second", &of_tickets, LONG).await.unwrap());
    assert_eq!(store.tables().await.unwrap(), [""; 0]);
    assert_eq!(store.checkpoint("tickets").await.unwrap(), Checkpoint::START);
    assert_eq!(unused(store).await, std::slice::from_ref(&others));
    // What a process that has ended has used, others find, and may drop.
    assert_eq!(store.unused_tables(LONG).await.unwrap(), []);
    // It counts from then on for how long nobody has used them.
    store.leave_tables("first", 60_000).await.unwrap();
    assert_eq!(store.unused_tables(60_000).await.unwrap(), std::slice::from_ref(&others));
    assert_eq!(store.unused_tables(24 * 60 * 60 * 1_000).await.unwrap(), []);
    assert!(store.discard_unused("third", &others, 60_000).await.unwrap());
    assert_eq!(store.unused_tables(0).await.unwrap(), []);
    // Whatever is on the list, nothing but tables of read models is dropped.
    assert!(store.use_tables("first", &[used("tickets", &["checkpoints"])], LONG).await.is_err());
    assert!(store.discard_unused("first", &used("tickets", &["checkpoints"]), LONG).await.is_err());
}

pub async fn what_a_process_has_said_that_is_gone_is_forgotten(store: &dyn ReadStore) {
    let of_tickets = used("tickets", &["rm_tickets"]);
    store.use_tables("gone", std::slice::from_ref(&of_tickets), LONG).await.unwrap();
    while unused(store).await.is_empty() {}
    store.use_tables("first", std::slice::from_ref(&of_tickets), 0).await.unwrap();
    // It would keep the tables otherwise.
    assert!(store.discard_unused("first", &of_tickets, LONG).await.unwrap());
}
