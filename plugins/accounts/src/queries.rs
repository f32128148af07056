//! Looking accounts up.

use std::collections::BTreeMap;

use yado_sdk::prelude::*;

use crate::UserAccountRow;

/// How many accounts an answer has at most. `userAccounts` of the API has the rest, page by page.
const MOST: u32 = 1000;

/// The account with this id, or null where there is none.
#[query]
pub fn get_user_account(
    /// Which account.
    #[schema(length(..=200))]
    user_account_id: String,
    rows: &Rows<UserAccountRow>,
) -> Result<Option<UserAccountRow>, Rejection> {
    Ok(rows.get(&Id::new(user_account_id)))
}

/// The accounts that were opened first, at most 1,000 of them, in that order.
#[query]
pub fn get_user_accounts(rows: &Rows<UserAccountRow>) -> Result<Vec<UserAccountRow>, Rejection> {
    Ok(rows.find(|_| []).limit(MOST).list())
}

/// Accounts with a text in their holder's full name or address, at most 1,000 of them, those opened first coming first.
#[query]
pub fn search_user_accounts(
    /// The text, in upper or lower case.
    #[schema(length(1..=200))]
    search_term: String,
    rows: &Rows<UserAccountRow>,
) -> Result<Vec<UserAccountRow>, Rejection> {
    // Either name is part of the full one.
    let by_name = rows.find(|row| [row.full_name.contains(&search_term)]).limit(MOST).list();
    let by_address = rows.find(|row| [row.email_address.contains(&search_term)]).limit(MOST).list();
    // Conditions hold all together or not at all, so there are two searches, and some accounts are found by both.
    let found = by_name.into_iter().chain(by_address).map(|row| (row.id.clone(), row));
    Ok(BTreeMap::from_iter(found).into_values().take(MOST as usize).collect())
}

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::{Given, at, plugin as accounts};

    use super::*;
    use crate::{UserAccount, UserAccountEvent};

    /// First name, last name and address of each account, in the order of ids.
    const PEOPLE: [[&str; 3]; 3] = [
        ["太郎", "山田", "taro@example.com"],
        ["Ada", "Lovelace", "ada@yamada.example"],
        ["ジロウ", "ＹＡＭＡＤＡ", "jiro@example.com"],
    ];

    fn id(number: usize) -> Id<UserAccount> {
        Id::new(format!("account-{number}"))
    }

    /// All of them, and one that has been deleted.
    fn people() -> Given<'static> {
        let created = |[first, last, email]: [&str; 3]| UserAccountEvent::UserAccountCreated {
            first_name: first.into(),
            last_name: last.into(),
            email_address: email.into(),
        };
        let gone = [created(["花子", "山田", "hanako@example.com"]), UserAccountEvent::UserAccountDeleted];
        let given = accounts().given(&id(9), gone);
        let people = PEOPLE.into_iter().enumerate().rev();
        people.fold(given, |given, (number, person)| given.given(&id(number), [created(person)]))
    }

    /// The row of the account with this number. The deleted one's events came first, and the last account's next.
    fn row(number: usize) -> UserAccountRow {
        let [first, last, email] = PEOPLE[number];
        let time = at(2 + (PEOPLE.len() - number) as u64);
        UserAccountRow {
            id: id(number),
            first_name: first.into(),
            last_name: last.into(),
            full_name: format!("{first} {last}"),
            email_address: email.into(),
            created_at: time,
            updated_at: time,
        }
    }

    #[track_caller]
    fn assert_found(term: &str, numbers: &[usize]) {
        let expected = numbers.iter().map(|number| row(*number)).collect();
        people().ask(search_user_accounts::with(term.into())).then_answer(&expected);
    }

    #[test]
    fn an_account_is_got_by_its_id_unless_it_is_deleted() {
        let given = people().ask(get_user_account::with("account-1".into())).then_answer(&Some(row(1)));
        let given = given.ask(get_user_account::with("account-9".into())).then_answer(&None);
        given.ask(get_user_account::with(String::new())).then_answer(&None);
    }

    #[test]
    fn all_accounts_come_in_the_order_of_their_ids() {
        people().ask(get_user_accounts::with()).then_answer(&vec![row(0), row(1), row(2)]);
    }

    #[test]
    fn accounts_are_found_by_a_part_of_either_name_or_of_the_address() {
        assert_found("郎", &[0]);
        assert_found("山", &[0]);
        assert_found("太郎 山", &[0]);
        assert_found("ジロ", &[2]);
        assert_found("yamada.ex", &[1]);
        assert_found("example.com", &[0, 2]);
        assert_found("花子", &[]);
    }

    #[test]
    fn a_search_takes_upper_and_lower_case_for_the_same() {
        assert_found("LOVE", &[1]);
        assert_found("ｙａｍａｄａ", &[2]);
    }

    #[test]
    fn an_account_that_is_found_twice_is_shown_once() {
        assert_found("ADA", &[1]);
        assert_found("a", &[0, 1, 2]);
    }
}
