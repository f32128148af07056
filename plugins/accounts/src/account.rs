//! User accounts.

use yado_sdk::prelude::*;

use UserAccountCommand::{CreateUserAccount, DeleteUserAccount, RenameUserAccount};
use UserAccountEvent::{UserAccountCreated, UserAccountDeleted, UserAccountRenamed};

/// Somebody who uses a system.
#[derive(State)]
#[state(id = "ulid")]
pub struct UserAccount {
    first_name: String,
    last_name: String,
}

/// What can be asked of a user account.
#[derive(Command)]
pub enum UserAccountCommand {
    /// Opens an account.
    #[command(creates, returns = UserAccountRow)]
    CreateUserAccount {
        /// The given name.
        #[schema(length(1..=100))]
        first_name: String,
        /// The family name.
        #[schema(length(1..=100))]
        last_name: String,
        /// Where mail reaches its holder. Several accounts may have the same address.
        #[schema(length(..=254), email)]
        email_address: String,
    },
    /// Gives the holder of an account other names.
    #[command(returns = UserAccountRow)]
    RenameUserAccount {
        /// Which account.
        #[id]
        user_account_id: Id<UserAccount>,
        /// The given name from now on.
        #[schema(length(1..=100))]
        first_name: String,
        /// The family name from now on.
        #[schema(length(1..=100))]
        last_name: String,
    },
    /// Closes an account.
    DeleteUserAccount {
        /// Which account.
        #[id]
        user_account_id: Id<UserAccount>,
    },
}

/// What can happen to a user account.
#[derive(Event)]
pub enum UserAccountEvent {
    /// It was opened.
    UserAccountCreated { first_name: String, last_name: String, email_address: String },
    /// Its holder got other names.
    UserAccountRenamed { first_name: String, last_name: String },
    /// It was closed.
    UserAccountDeleted,
}

impl Aggregate for UserAccount {
    type Command = UserAccountCommand;
    type Event = UserAccountEvent;

    fn decide(account: Option<&Self>, command: UserAccountCommand, _: &Context) -> Decision<UserAccountEvent> {
        match (account, command) {
            (None, CreateUserAccount { first_name, last_name, email_address }) => {
                record(UserAccountCreated { first_name, last_name, email_address })
            }
            (Some(_), CreateUserAccount { .. }) => reject("account_exists", "The account exists already."),
            (None, _) => reject("account_deleted", "The account has been deleted."),
            (Some(now), RenameUserAccount { first_name, last_name, .. }) => {
                let differs = first_name != now.first_name || last_name != now.last_name;
                record(differs.then_some(UserAccountRenamed { first_name, last_name }))
            }
            (Some(_), DeleteUserAccount { .. }) => record(UserAccountDeleted),
        }
    }

    fn evolve(_: Option<Self>, event: UserAccountEvent) -> Option<Self> {
        match event {
            UserAccountCreated { first_name, last_name, .. } | UserAccountRenamed { first_name, last_name } => {
                Some(Self { first_name, last_name })
            }
            UserAccountDeleted => None,
        }
    }
}

/// A user account as others see it.
#[derive(ReadModel)]
pub struct UserAccountRow {
    /// Names the account. Ids sort by the time at which accounts were opened.
    #[key]
    pub id: Id<UserAccount>,
    /// The given name.
    #[search]
    pub first_name: String,
    /// The family name.
    #[search]
    pub last_name: String,
    /// Given name and family name, with a space between them.
    #[search]
    pub full_name: String,
    /// Where mail reaches its holder.
    #[search]
    pub email_address: String,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Projection for UserAccountRow {
    type Event = Recorded<UserAccountEvent>;

    fn project(recorded: &Recorded<UserAccountEvent>, rows: &mut Rows<Self>) {
        let (id, at) = (recorded.id(), recorded.at);
        match &recorded.event {
            UserAccountCreated { first_name, last_name, email_address } => rows.put(Self {
                id,
                first_name: first_name.clone(),
                last_name: last_name.clone(),
                full_name: full_name(first_name, last_name),
                email_address: email_address.clone(),
                created_at: at,
                updated_at: at,
            }),
            UserAccountRenamed { first_name, last_name } => rows.patch(&id, |row| {
                [
                    row.first_name.to(first_name),
                    row.last_name.to(last_name),
                    row.full_name.to(full_name(first_name, last_name)),
                    row.updated_at.to(at),
                ]
            }),
            UserAccountDeleted => rows.delete(&id),
        }
    }
}

fn full_name(first: &str, last: &str) -> String {
    format!("{first} {last}")
}

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::{at, plugin as accounts};

    use super::*;

    fn yamada() -> Id<UserAccount> {
        Id::new("yamada")
    }

    fn create(first: &str, email: &str) -> UserAccountCommand {
        CreateUserAccount { first_name: first.into(), last_name: "山田".into(), email_address: email.into() }
    }

    fn created() -> UserAccountEvent {
        let (first_name, last_name) = ("太郎".into(), "山田".into());
        UserAccountCreated { first_name, last_name, email_address: "yamada@example.com".into() }
    }

    fn rename(first: &str, last: &str) -> UserAccountCommand {
        RenameUserAccount { user_account_id: yamada(), first_name: first.into(), last_name: last.into() }
    }

    fn renamed(first: &str, last: &str) -> UserAccountEvent {
        UserAccountRenamed { first_name: first.into(), last_name: last.into() }
    }

    #[test]
    fn an_account_is_opened_as_it_was_asked_for() {
        accounts().when(create("太郎", "yamada@example.com")).then([created()]);
    }

    #[test]
    fn an_account_needs_names_and_an_address() {
        accounts().when(create("", "yamada@example.com")).then_invalid("/firstName", "must not be empty");
        accounts().when(create("太郎", "yamada")).then_invalid("/emailAddress", "must be a valid e-mail address");
        accounts()
            .given(&yamada(), [created()])
            .when(rename("次郎", ""))
            .then_invalid("/lastName", "must not be empty");
    }

    #[test]
    fn a_rename_is_recorded_if_either_name_changes() {
        let given = || accounts().given(&yamada(), [created()]);
        given().when(rename("次郎", "山田")).then([renamed("次郎", "山田")]);
        given().when(rename("太郎", "田中")).then([renamed("太郎", "田中")]);
        given().when(rename("太郎", "山田")).then_nothing();
    }

    #[test]
    fn a_deleted_account_can_neither_be_renamed_nor_deleted_again() {
        let given = || accounts().given(&yamada(), [created(), UserAccountDeleted]);
        given().when(rename("次郎", "田中")).then_rejected("account_deleted");
        given().when(DeleteUserAccount { user_account_id: yamada() }).then_rejected("account_deleted");
    }

    #[test]
    fn an_account_shows_its_holders_last_names_until_it_is_deleted() {
        let row = |first: &str, last: &str, full: &str, updated| UserAccountRow {
            id: yamada(),
            first_name: first.into(),
            last_name: last.into(),
            full_name: full.into(),
            email_address: "yamada@example.com".into(),
            created_at: at(1),
            updated_at: at(updated),
        };
        let given = accounts().given(&yamada(), [created()]).then_rows([row("太郎", "山田", "太郎 山田", 1)]);
        let renamed = given.when(rename("次郎", "田中")).then_rows([row("次郎", "田中", "次郎 田中", 2)]);
        renamed.when(DeleteUserAccount { user_account_id: yamada() }).then_rows::<UserAccountRow>([]);
    }
}
