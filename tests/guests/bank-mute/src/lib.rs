//! The bank with a read model that is written past the SDK, as a plugin of another language might do it: it never says
//! because of which event it writes. All else is the bank's own, its tables included.

#[path = "../../bank/src/account.rs"]
mod account;
#[path = "../../bank/src/balance.rs"]
mod balance;
/// What the component exports; natively there is nobody to call it.
#[cfg(target_family = "wasm")]
mod plugin;
#[path = "../../bank/src/showing.rs"]
mod showing;

pub use account::{Account, AccountCommand, AccountEvent};
pub use balance::Balance;

/// What the bank's own projection asks for, which is not what runs here.
const fn heed(_: &AccountEvent) {}
