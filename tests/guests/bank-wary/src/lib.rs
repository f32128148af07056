//! The bank before a mistake of its read model was mended: it fails at some withdrawals. All else is the bank's own, its
//! tables included, so that the bank can take over and show what waits.

/// The bank's own files: both plugins decide the same, and show the same.
#[path = "../../bank/src/account.rs"]
mod account;
#[path = "../../bank/src/balance.rs"]
mod balance;
#[path = "../../bank/src/showing.rs"]
mod showing;

use yado_sdk::prelude::*;

pub use account::{Account, AccountCommand, AccountEvent};
pub use balance::Balance;

/// One in so many amounts is one too many.
const DREAD: i64 = 20;

/// The mistake.
fn heed(event: &AccountEvent) {
    if let AccountEvent::Withdrawn { amount, .. } = event {
        assert!(amount % DREAD != 13, "{amount} is no amount to withdraw");
    }
}

plugin! { name: "bank", description: "Accounts, deposits, withdrawals.", aggregates: [Account], models: [Balance] }
