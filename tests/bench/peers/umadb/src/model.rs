//! What is decided on: accounts as of the last of their events that is known.
//!
//! They may be kept between decisions, because an append is refused if there are later events: whoever decides on what is
//! out of date learns of it, reads the rest, and decides again. It is what an application does that wants UmaDB to be as
//! fast as it can be: one request a deposit in place of two, and none that grows with an account's history.

use std::sync::{Mutex, PoisonError};

use peer::{Deposit, Refused};
use umadb_dcb::DcbSequencedEvent;

/// The most that an account may hold.
const MOST: i64 = 1_000_000_000_000;

/// An account as of an event.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) open: bool,
    pub(crate) closed: bool,
    pub(crate) balance: i64,
    /// Where that event is; 0 before the first.
    pub(crate) position: u64,
}

impl Account {
    /// Whether money can be put in.
    pub(crate) fn check(&self, deposit: &Deposit) -> Result<(), Refused> {
        match self {
            Self { open: false, .. } => Err(Refused::because("there is no such account")),
            Self { closed: true, .. } => Err(Refused::because("the account is closed")),
            now if deposit.amount > MOST - now.balance => Err(Refused::because("the account can't hold so much")),
            _ => Ok(()),
        }
    }

    /// The account after an event.
    pub(crate) fn evolve(&mut self, recorded: &DcbSequencedEvent) -> Result<(), Refused> {
        self.position = recorded.position;
        match recorded.event.event_type.as_str() {
            "Opened" => self.open = true,
            "Deposited" => {
                let deposit: Deposit = serde_json::from_slice(&recorded.event.data).map_err(Refused::because)?;
                self.balance += deposit.amount;
            }
            "Closed" => self.closed = true,
            other => return Err(Refused::because(format!("an event {other} was not expected"))),
        }
        Ok(())
    }
}

/// The accounts that all clients of this process know of.
pub(crate) struct Accounts {
    known: Vec<Mutex<Option<Account>>>,
}

impl Accounts {
    /// None of so many is known yet.
    pub(crate) fn new(accounts: u32) -> Self {
        Self { known: (0..accounts).map(|_| Mutex::new(None)).collect() }
    }

    pub(crate) fn known(&self, number: u32) -> Option<Account> {
        *self.known.get(number as usize)?.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an account, unless a later state of it is known.
    pub(crate) fn learn(&self, number: u32, account: Account) {
        let Some(known) = self.known.get(number as usize) else { return };
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| known.position < account.position) {
            *known = Some(account);
        }
    }
}

#[cfg(test)]
mod tests {
    use umadb_dcb::DcbEvent;

    use super::*;

    fn recorded(position: u64, name: &str, data: &str) -> DcbSequencedEvent {
        DcbSequencedEvent { position, event: DcbEvent::new().event_type(name).data(data), tracking_info: None }
    }

    #[test]
    fn an_account_takes_money_between_its_first_event_and_its_last() {
        let deposit = Deposit { amount: 7, reference: String::new() };
        let mut account = Account::default();
        assert!(account.check(&deposit).is_err());
        account.evolve(&recorded(3, "Opened", r#"{"owner":"somebody"}"#)).unwrap();
        account.evolve(&recorded(9, "Deposited", &deposit.document())).unwrap();
        assert_eq!((account.balance, account.position), (7, 9));
        account.check(&deposit).unwrap();
        assert!(account.check(&Deposit { amount: MOST - 6, ..deposit.clone() }).is_err());
        account.evolve(&recorded(10, "Closed", "{}")).unwrap();
        assert!(account.check(&deposit).is_err());
    }

    #[test]
    fn what_is_known_never_grows_older() {
        let accounts = Accounts::new(1);
        assert!(accounts.known(0).is_none());
        accounts.learn(0, Account { position: 5, balance: 50, ..Account::default() });
        accounts.learn(0, Account { position: 4, balance: 40, ..Account::default() });
        assert_eq!(accounts.known(0).unwrap().balance, 50);
    }
}
