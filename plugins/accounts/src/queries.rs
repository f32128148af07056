//! Looking accounts up.

use yado_sdk::prelude::*;

use crate::UserAccountRow;

/// The account with this id, or null where there is none.
#[derive(Query)]
#[query(of = UserAccountRow, one)]
pub struct GetUserAccount {
    /// Which account.
    #[schema(length(..=200))]
    #[filter(id)]
    user_account_id: String,
}

/// The accounts, those that were opened first coming first.
#[derive(Query)]
#[query(of = UserAccountRow, list)]
pub struct GetUserAccounts {}

/// Accounts with all words of a text in their holder's names or address, those that were opened first coming first.
#[derive(Query)]
#[query(of = UserAccountRow, list)]
pub struct SearchUserAccounts {
    /// The text, whatever the case and the width of its letters.
    #[schema(length(1..=200))]
    #[search]
    search_term: String,
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
        people().ask(SearchUserAccounts { search_term: term.into() }).then_answer(&expected);
    }

    #[test]
    fn an_account_is_got_by_its_id_unless_it_is_deleted() {
        let get = |id: &str| GetUserAccount { user_account_id: id.into() };
        let given = people().ask(get("account-1")).then_answer(&Some(row(1)));
        let given = given.ask(get("account-9")).then_answer(&None);
        given.ask(get("")).then_answer(&None);
    }

    #[test]
    fn all_accounts_come_in_the_order_of_their_ids() {
        people().ask(GetUserAccounts {}).then_answer(&vec![row(0), row(1), row(2)]);
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
    fn a_search_takes_letters_of_any_case_and_width_for_the_same() {
        assert_found("LOVE", &[1]);
        assert_found("ＹａＭａＤａ", &[1, 2]);
        assert_found("ｼﾞﾛｳ", &[2]);
    }

    #[test]
    fn every_word_of_a_search_is_found_wherever_it_stands() {
        assert_found("山田 太", &[0]);
        assert_found("yamada example", &[1, 2]);
        assert_found("yamada 太郎", &[]);
    }

    #[test]
    fn an_account_that_is_found_twice_is_shown_once() {
        assert_found("ADA", &[1, 2]);
        assert_found("a", &[0, 1, 2]);
    }
}
