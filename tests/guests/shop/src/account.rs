//! Values that only one thing may hold at a time.

use yado_sdk::prelude::*;

use AccountCommand::{ChangeEmail, CloseAccount, OpenAccount};
use AccountEvent::{AccountClosed, AccountOpened, EmailChanged};

#[derive(Command)]
pub enum AccountCommand {
    /// Opens an account under an address that nobody else has.
    #[command(creates)]
    OpenAccount {
        #[schema(length(..=254), email)]
        email: String,
    },
    /// Gives an account another address.
    ChangeEmail {
        id: Id<Account>,
        #[schema(length(..=254), email)]
        email: String,
    },
    /// Closes an account, so that others may have its address.
    CloseAccount { id: Id<Account> },
}

#[derive(Event)]
pub enum AccountEvent {
    AccountOpened { email: String },
    EmailChanged { email: String },
    AccountClosed,
}

#[derive(State)]
#[state(unique(email = "This address belongs to another account."))]
pub struct Account {
    email: String,
}

impl Aggregate for Account {
    type Command = AccountCommand;
    type Event = AccountEvent;

    fn decide(account: Option<&Self>, command: AccountCommand, _: &Context) -> Decision<AccountEvent> {
        match (account, command) {
            (None, OpenAccount { email }) => record(AccountOpened { email: email.clone() }).take(Self::EMAIL, email),
            (Some(now), ChangeEmail { email, .. }) => {
                record(EmailChanged { email: email.clone() }).exchange(Self::EMAIL, &now.email, email)
            }
            (Some(now), CloseAccount { .. }) => record(AccountClosed).release(Self::EMAIL, &now.email),
            (None, _) => reject("no_account", "There is no such account."),
            (Some(_), OpenAccount { .. }) => reject("account_exists", "The account is open already."),
        }
    }

    fn evolve(_: Option<Self>, event: AccountEvent) -> Option<Self> {
        match event {
            AccountOpened { email } | EmailChanged { email } => Some(Self { email }),
            AccountClosed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::{plugin as shop, released, taken};

    use super::*;

    #[test]
    fn an_account_holds_one_address_until_it_is_closed() {
        let id = Id::new("new");
        let open = OpenAccount { email: "ada@example.org".into() };
        let opened = shop().when(open).then_claims([taken(Account::EMAIL, "ada@example.org")]).recorded();
        let change = ChangeEmail { id: id.clone(), email: "lovelace@example.org".into() };
        let exchanged = [released(Account::EMAIL, "ada@example.org"), taken(Account::EMAIL, "lovelace@example.org")];
        let changed = opened.when(change).then_claims(exchanged).recorded();
        changed.when(CloseAccount { id }).then_claims([released(Account::EMAIL, "lovelace@example.org")]);
    }
}
