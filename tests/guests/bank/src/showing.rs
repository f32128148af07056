//! How the read model follows the accounts: every event but the last changes a row.

use yado_sdk::prelude::*;

use crate::account::AccountEvent;
use crate::account::AccountEvent::{Closed, Deposited, Opened, Withdrawn};
use crate::balance::Balance;

impl Projection for Balance {
    type Event = Recorded<AccountEvent>;

    fn project(recorded: &Recorded<AccountEvent>, rows: &mut Rows<Self>) {
        crate::heed(&recorded.event);
        let (id, at) = (recorded.id(), recorded.at);
        let moved = |amount: i64, rows: &mut Rows<Self>| {
            if let Some(row) = rows.get(&id) {
                let (balance, movements) = (row.balance + amount, row.movements + 1);
                rows.put(Self { balance, movements, updated_at: at, ..row });
            }
        };
        match &recorded.event {
            Opened { owner } => {
                rows.put(Self { id: id.clone(), owner: owner.clone(), balance: 0, movements: 0, updated_at: at });
            }
            Deposited { amount, .. } => moved(*amount, rows),
            Withdrawn { amount, .. } => moved(-amount, rows),
            Closed => rows.delete(&id),
        }
    }
}
