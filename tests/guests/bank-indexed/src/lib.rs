//! The bank with one more index on its read model: code that differs in nothing that rows depend on.

/// The bank's own files: both plugins decide the same, and follow it in the same way.
#[path = "../../bank/src/account.rs"]
mod account;
mod balance;
#[path = "../../bank/src/showing.rs"]
mod showing;

use yado_sdk::prelude::*;

pub use account::{Account, AccountCommand, AccountEvent};
pub use balance::Balance;

/// What the read model has to say about an event before it shows it: nothing here.
const fn heed(_: &AccountEvent) {}

plugin! { name: "bank", description: "Accounts, deposits, withdrawals.", aggregates: [Account], models: [Balance] }
