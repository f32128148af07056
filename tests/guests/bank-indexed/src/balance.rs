//! The bank's read model with one more index. All else is as there, to the letter: only then their tables are the same.

use yado_sdk::prelude::*;

use crate::account::AccountEvent::{Closed, Deposited, Opened, Withdrawn};
use crate::account::{Account, AccountEvent};

/// What an account holds.
#[derive(ReadModel)]
pub struct Balance {
    /// Names the account.
    #[key]
    pub id: Id<Account>,
    /// Whose it is.
    pub owner: String,
    /// How much it holds, in cents.
    #[index]
    pub balance: i64,
    /// How often money came in or went out.
    #[index]
    pub movements: i64,
    /// When something last happened to it.
    pub updated_at: Timestamp,
}

impl Projection for Balance {
    type Event = Recorded<AccountEvent>;

    fn project(recorded: &Recorded<AccountEvent>, rows: &mut Rows<Self>) {
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
