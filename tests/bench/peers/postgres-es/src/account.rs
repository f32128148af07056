//! The account, as an aggregate of cqrs-es.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use peer::Deposit;
use serde::{Deserialize, Serialize};

/// The most that an account may hold.
const MOST: i64 = 1_000_000_000_000;

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    open: bool,
    closed: bool,
    balance: i64,
}

#[derive(Debug)]
pub(crate) enum AccountCommand {
    Open { owner: String },
    Deposit(Deposit),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum AccountEvent {
    Opened { owner: String },
    Deposited(Deposit),
    Closed,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("there is no such account")]
    Unknown,
    #[error("the account is open already")]
    Exists,
    #[error("the account is closed")]
    Closed,
    #[error("the account can't hold so much")]
    Full,
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Opened { .. } => "Opened".into(),
            Self::Deposited(_) => "Deposited".into(),
            Self::Closed => "Closed".into(),
        }
    }

    fn event_version(&self) -> String {
        "1".into()
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = AccountError;
    type Services = ();

    async fn handle(&mut self, command: AccountCommand, (): &(), sink: &EventSink<Self>) -> Result<(), AccountError> {
        let event = match command {
            AccountCommand::Open { .. } if self.open => return Err(AccountError::Exists),
            AccountCommand::Open { owner } => AccountEvent::Opened { owner },
            AccountCommand::Deposit(_) if !self.open => return Err(AccountError::Unknown),
            AccountCommand::Deposit(_) if self.closed => return Err(AccountError::Closed),
            AccountCommand::Deposit(deposit) if deposit.amount > MOST - self.balance => return Err(AccountError::Full),
            AccountCommand::Deposit(deposit) => AccountEvent::Deposited(deposit),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::Opened { .. } => self.open = true,
            AccountEvent::Deposited(deposit) => self.balance += deposit.amount,
            AccountEvent::Closed => self.closed = true,
        }
    }
}
