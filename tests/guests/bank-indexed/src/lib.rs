//! The bank with one more index on its read model: code that differs in nothing that rows depend on.

/// The bank's own file: both plugins decide the same.
#[path = "../../bank/src/account.rs"]
mod account;
mod balance;

use yado_sdk::prelude::*;

pub use account::{Account, AccountCommand, AccountEvent};
pub use balance::Balance;

plugin! { name: "bank", description: "Accounts, deposits, withdrawals.", aggregates: [Account], models: [Balance] }
