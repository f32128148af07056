//! The bank without its read model: the same accounts under the same names, and nothing that shows them. What is left of a
//! command is what any event store does for it, so this is what the bench lets systems be compared with that keep no read
//! model either.

/// The bank's own file: both plugins decide the same.
#[path = "../../bank/src/account.rs"]
mod account;

use yado_sdk::prelude::*;

pub use account::{Account, AccountCommand, AccountEvent};

plugin! { name: "bank", description: "Accounts, deposits, withdrawals.", aggregates: [Account] }
