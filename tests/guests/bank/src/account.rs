//! The account: what can be asked of it, what can happen to it, and what it decides. It knows of no read model.

use yado_sdk::prelude::*;

use AccountCommand::{Close, Deposit, Open, Withdraw};
use AccountEvent::{Closed, Deposited, Opened, Withdrawn};

/// The most that an account may hold, in cents.
const MOST: i64 = 1_000_000_000_000;

/// An account.
#[derive(State)]
pub struct Account {
    balance: i64,
    closed: bool,
}

/// What can be asked of an account.
#[derive(Command)]
pub enum AccountCommand {
    /// Opens an account under an id that the caller chooses.
    #[command(upserts)]
    Open {
        /// Which account.
        #[id]
        id: Id<Account>,
        /// Whose it is.
        #[schema(length(1..=100))]
        owner: String,
    },
    /// Puts money in.
    Deposit {
        /// Which account.
        id: Id<Account>,
        /// How much, in cents.
        #[schema(min = 1)]
        amount: i64,
        /// What for.
        #[schema(length(..=500))]
        reference: String,
    },
    /// Takes money out, as far as there is any.
    Withdraw {
        /// Which account.
        id: Id<Account>,
        /// How much, in cents.
        #[schema(min = 1)]
        amount: i64,
        /// What for.
        #[schema(length(..=500))]
        reference: String,
    },
    /// Ends an empty account.
    Close {
        /// Which account.
        id: Id<Account>,
    },
}

/// What can happen to an account.
#[derive(Event)]
pub enum AccountEvent {
    /// It was opened.
    Opened {
        /// For whom.
        owner: String,
    },
    /// Money came in.
    Deposited {
        /// How much.
        amount: i64,
        /// What for.
        reference: String,
    },
    /// Money went out.
    Withdrawn {
        /// How much.
        amount: i64,
        /// What for.
        reference: String,
    },
    /// It was closed.
    Closed,
}

impl Aggregate for Account {
    type Command = AccountCommand;
    type Event = AccountEvent;

    fn decide(account: Option<&Self>, command: AccountCommand, _: &Context) -> Decision<AccountEvent> {
        match (account, command) {
            (None, Open { owner, .. }) => record(Opened { owner }),
            (None, _) => reject("account_unknown", "There is no such account."),
            (Some(_), Open { .. }) => reject("account_exists", "The account is open, or was."),
            (Some(Self { closed: true, .. }), _) => reject("account_closed", "The account is closed."),
            (Some(now), Deposit { amount, .. }) if amount > MOST - now.balance => {
                reject("account_full", "The account can't hold so much.")
            }
            (Some(_), Deposit { amount, reference, .. }) => record(Deposited { amount, reference }),
            (Some(now), Withdraw { amount, .. }) if amount > now.balance => {
                reject("overdrawn", format!("The account holds {}, and {amount} is asked for.", now.balance))
            }
            (Some(_), Withdraw { amount, reference, .. }) => record(Withdrawn { amount, reference }),
            (Some(now), Close { .. }) if now.balance > 0 => reject("not_empty", "The account still holds money."),
            (Some(_), Close { .. }) => record(Closed),
        }
    }

    fn evolve(account: Option<Self>, event: AccountEvent) -> Option<Self> {
        let Self { balance, closed } = account.unwrap_or(Self { balance: 0, closed: false });
        Some(match event {
            Opened { .. } => Self { balance: 0, closed: false },
            Deposited { amount, .. } => Self { balance: balance + amount, closed },
            Withdrawn { amount, .. } => Self { balance: balance - amount, closed },
            Closed => Self { balance, closed: true },
        })
    }
}
