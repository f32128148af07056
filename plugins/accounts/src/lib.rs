//! Who uses a system: user accounts, looked up by id or by part of what they are called.

#![allow(
    missing_docs,
    reason = "no crate builds on this one, and the fields of events say what they are by their names"
)]

mod account;
mod queries;

pub use account::{UserAccount, UserAccountCommand, UserAccountEvent, UserAccountRow};
pub use queries::{GetUserAccount, GetUserAccounts, SearchUserAccounts};

yado_sdk::plugin! {
    name: "accounts",
    aggregates: [UserAccount],
    models: [UserAccountRow],
    queries: [GetUserAccount, GetUserAccounts, SearchUserAccounts],
}

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::plugin as accounts;

    #[test]
    fn the_manifest_says_what_the_page_says() {
        // Whoever changes this snapshot changes the API that callers see.
        insta::assert_snapshot!(serde_json::to_string_pretty(accounts().manifest().as_ref()).unwrap());
    }
}
