//! The read model: one row an account.

use yado_sdk::prelude::*;

use crate::account::Account;

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
    pub movements: i64,
    /// When something last happened to it.
    pub updated_at: Timestamp,
}
