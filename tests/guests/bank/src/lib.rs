//! Accounts that money is put into and taken out of: small enough that a bench of it measures the host, and real enough
//! that every command has something to check.

mod account;
mod balance;
mod showing;

use yado_sdk::prelude::*;

pub use account::{Account, AccountCommand, AccountEvent};
pub use balance::Balance;

/// What the read model has to say about an event before it shows it: nothing here.
const fn heed(_: &AccountEvent) {}

plugin! { name: "bank", description: "Accounts, deposits, withdrawals.", aggregates: [Account], models: [Balance] }
