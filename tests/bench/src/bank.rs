//! The bank: the plugin that is measured, its commands, and the sizes of what they carry.

use serde_json::{Value, json};
use yado_model::{EntityId, Name, NewEvent, StreamId, TenantId};

use crate::Result;

/// The two forms in which the bank is built. They have the same name, and decide the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// The accounts alone. A command does what any event store does for it, and nothing more.
    Accounts,
    /// With the read model of balances, in which every deposit changes a row.
    WithBalances,
}

impl Plugin {
    /// The name of the guest, and of its file.
    #[must_use]
    pub fn guest(self) -> &'static str {
        match self {
            Self::Accounts => "bank-accounts",
            Self::WithBalances => "bank",
        }
    }

    /// Whether it has a read model, which follows what is recorded.
    #[must_use]
    pub fn keeps_rows(self) -> bool {
        self == Self::WithBalances
    }
}

/// More than any account holds here, and no more than one can hold.
const TOO_MUCH: i64 = 1_000_000_000_000;

/// How much every deposit is, in cents. Balances stay far below what an account can hold.
pub const AMOUNT: i64 = 5;

/// The id of an account.
#[must_use]
pub fn account(number: u32) -> String {
    format!("account-{number}")
}

/// The text that makes the payload of `Deposited` so many bytes.
#[must_use]
pub fn reference(payload_bytes: u32) -> String {
    let bare = deposited("").len();
    "r".repeat((payload_bytes as usize).saturating_sub(bare))
}

/// The payload of `Deposited`.
#[must_use]
pub fn deposited(reference: &str) -> String {
    format!(r#"{{"amount":{AMOUNT},"reference":"{reference}"}}"#)
}

/// The arguments of `Open`.
#[must_use]
pub fn open(account: &str) -> Value {
    json!({ "id": account, "owner": "the bench" })
}

/// The arguments of `Deposit`.
#[must_use]
pub fn deposit(account: &str, reference: &str) -> Value {
    json!({ "id": account, "amount": AMOUNT, "reference": reference })
}

/// The arguments of a `Withdraw` that is refused, whatever the account holds.
#[must_use]
pub fn overdraw(account: &str, reference: &str) -> Value {
    json!({ "id": account, "amount": TOO_MUCH, "reference": reference })
}

/// The body of a GraphQL request that deposits, as the contract has it. The account must need no escape, and neither the
/// reference.
pub fn deposit_document(body: &mut Vec<u8>, account: u32, reference: &str) {
    use std::io::Write as _;
    // Writing into memory can't fail.
    let _ = write!(
        body,
        r#"{{"query":"mutation D($i:DepositInput!){{deposit(input:$i){{id revision position}}}}","variables":{{"i":{{"id":"account-{account}","amount":{AMOUNT},"reference":"{reference}"}}}}}}"#
    );
}

/// What the host calls the bank's things.
#[derive(Debug, Clone)]
pub struct Names {
    /// Whose accounts they are.
    pub tenant: TenantId,
    /// The command `Open`.
    pub open: Name,
    /// The command `Deposit`.
    pub deposit: Name,
    /// The command `Withdraw`.
    pub withdraw: Name,
    /// The aggregate.
    pub aggregate: Name,
    /// The read model.
    pub model: Name,
}

impl Names {
    /// The names that the plugin gives.
    ///
    /// # Errors
    /// Never, as long as they are names.
    pub fn new() -> Result<Self> {
        let name = |text| Name::parse(text).map_err(|invalid| invalid.to_string());
        Ok(Self {
            tenant: TenantId::default(),
            open: name("Open")?,
            deposit: name("Deposit")?,
            withdraw: name("Withdraw")?,
            aggregate: name("Account")?,
            model: name("Balance")?,
        })
    }

    /// The stream of an account.
    ///
    /// # Errors
    /// Never, as long as accounts have ids.
    pub fn stream(&self, number: u32) -> Result<StreamId> {
        let id = EntityId::parse(&account(number)).map_err(|invalid| invalid.to_string())?;
        Ok(StreamId::new(&self.aggregate, &id))
    }
}

/// An event as the plugin would decide it.
#[must_use]
pub fn event(name: &str, payload: String) -> NewEvent {
    NewEvent { name: name.to_owned(), version: 1, payload, tags: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_the_bytes_that_are_asked_for() {
        assert_eq!(deposited(&reference(200)).len(), 200);
        assert_eq!(deposited(&reference(0)), deposited(""));
    }

    #[test]
    fn the_document_says_what_the_command_says() {
        let mut body = Vec::new();
        deposit_document(&mut body, 17, "abc");
        let sent: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(sent["variables"]["i"], deposit(&account(17), "abc"));
        let contract = include_str!("../CONTRACT.md").replace(['\n', ' '], "");
        let shown = String::from_utf8(body).unwrap().replace("abc", "…").replace(' ', "");
        assert!(contract.contains(&shown), "{shown}");
    }
}
