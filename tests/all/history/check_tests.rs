//! The checker can fail: each kind of fault is found, and named by the operation that suffers it.

use std::sync::Arc;

use super::check::{check, defeats};
use super::record::{Command, Entry, Moment, NEVER, Operation, Outcome, Request};

/// A history that is being written: operations as clients saw them, and a log.
#[derive(Clone, Default)]
struct Story {
    operations: Vec<Operation>,
    log: Vec<Entry>,
}

impl Story {
    /// A request, with the number of its attempt as its reference.
    fn tell(&mut self, sent: Moment, answered: Moment, request: Request, outcome: Outcome) -> &mut Operation {
        let attempt = self.operations.len() as u64 + 1;
        let reference =
            if request.reference.is_empty() { format!("request {attempt}") } else { request.reference.clone() };
        let request = Arc::new(Request { reference, ..request });
        self.operations.push(Operation { attempt, node: "A", request, invoked: sent, completed: answered, outcome });
        self.operations.last_mut().unwrap()
    }

    /// The event of the last operation, at the end of the log.
    fn event(&mut self) {
        let operation = self.operations.last().unwrap();
        let (name, payload) = operation.request.event();
        let account = operation.request.account.clone();
        let revision = self.log.iter().filter(|entry| entry.account == account).count() as u64 + 1;
        let (position, name, attempt) = (self.log.len() as u64 + 1, name.to_owned(), operation.attempt);
        self.log.push(Entry { position, account, revision, name, payload, attempt });
    }

    /// A request that is recorded, and acknowledged as such.
    fn records(&mut self, sent: Moment, answered: Moment, request: Request) {
        self.tell(sent, answered, request, Outcome::Unknown(String::new()));
        self.event();
        let Entry { revision, position, .. } = *self.log.last().unwrap();
        self.operations.last_mut().unwrap().outcome = Outcome::Recorded { revision, position, repeated: None };
    }

    /// What the checker says.
    fn violations(&self) -> String {
        check(&self.operations, &self.log).map_or_else(|violations| violations.to_string(), |_| String::new())
    }

    #[track_caller]
    fn is_sound(&self) {
        assert_eq!(self.violations(), "");
    }

    #[track_caller]
    fn is_refused_for(&self, operation: u64, why: &str) {
        let told = self.violations();
        let named = told.lines().any(|line| line.contains(&format!("operation {operation} ")) && line.contains(why));
        assert!(named, "{operation}, {why:?}:\n{told}");
    }
}

fn ask(account: &str, command: Command) -> Request {
    Request { account: account.into(), command, reference: String::new(), key: None, expected: None }
}

fn under(key: &str, request: Request) -> Request {
    Request { key: Some(key.into()), ..request }
}

fn expecting(expected: u64, request: Request) -> Request {
    Request { expected: Some(expected), ..request }
}

fn rejected(code: &str, message: &str) -> Outcome {
    Outcome::Rejected { code: code.into(), message: message.into() }
}

fn overdrawn(holds: i64) -> Outcome {
    rejected("overdrawn", &format!("The account holds {holds}, and more is asked for."))
}

fn recorded(revision: u64, position: u64) -> Outcome {
    Outcome::Recorded { revision, position, repeated: None }
}

/// An account that is opened and holds 100, by the moments 1 to 4.
fn a_hundred() -> Story {
    let mut story = Story::default();
    story.records(1, 2, ask("a", Command::Open));
    story.records(3, 4, ask("a", Command::Deposit(100)));
    story
}

#[test]
fn a_history_that_one_bank_could_have_told_is_sound() {
    let mut story = a_hundred();
    // At the same time: one takes all, and another is told that there is nothing left, or still enough.
    story.records(10, 20, under("k", ask("a", Command::Withdraw(100))));
    story.tell(11, 19, ask("a", Command::Withdraw(1)), overdrawn(0));
    story.tell(12, 18, ask("a", Command::Withdraw(101)), overdrawn(100));
    story.tell(13, 17, expecting(1, ask("a", Command::Deposit(1))), Outcome::Conflict { expected: 1, actual: 3 });
    // A repetition, to another node perhaps, and a mistake.
    let again = story.operations[2].request.as_ref().clone();
    story.tell(14, 30, again, recorded(3, 3));
    story.tell(15, 31, under("k", ask("b", Command::Open)), Outcome::KeyReused);
    // Nobody knows of the first whether it is recorded, and of the second neither; it is.
    story.tell(32, NEVER, ask("a", Command::Deposit(7)), Outcome::Unknown("the connection broke".into()));
    story.tell(33, NEVER, ask("a", Command::Deposit(8)), Outcome::Unknown("the connection broke".into()));
    story.event();
    story.tell(40, 41, ask("a", Command::Close), rejected("not_empty", ""));
    story.tell(42, 43, ask("b", Command::Close), Outcome::NotFound);
    story.is_sound();
}

#[test]
fn a_write_that_is_acknowledged_and_lost_is_found() {
    let mut story = a_hundred();
    story.tell(5, 6, ask("a", Command::Deposit(1)), recorded(3, 3));
    story.is_refused_for(3, "acknowledged, and is lost");
}

#[test]
fn a_doubled_event_is_found() {
    let mut story = a_hundred();
    story.event();
    story.is_refused_for(2, "recorded twice");
}

#[test]
fn a_key_under_which_two_attempts_are_recorded_is_found() {
    let mut story = a_hundred();
    story.records(5, 6, under("k", ask("a", Command::Deposit(1))));
    let again = story.operations[2].request.as_ref().clone();
    story.records(7, 8, again);
    story.is_refused_for(4, "used twice");
}

#[test]
fn an_event_that_nobody_asked_for_is_found() {
    let mut story = a_hundred();
    story.event();
    story.log[2].attempt = 77;
    assert!(story.violations().contains("nobody has asked for the event at position 3"), "{}", story.violations());
}

#[test]
fn an_event_that_is_not_what_was_asked_for_is_found() {
    let mut story = a_hundred();
    story.log[1].payload["amount"] = 101.into();
    story.is_refused_for(2, "did not ask for");
}

#[test]
fn gaps_are_found() {
    let mut story = a_hundred();
    story.records(5, 6, ask("a", Command::Deposit(1)));
    story.log[2].position = 4;
    assert!(story.violations().contains("where position 3 is due"), "{}", story.violations());
    story.log[2].position = 3;
    story.log[2].revision = 4;
    assert!(story.violations().contains("where revision 3 is due"), "{}", story.violations());
}

#[test]
fn a_stale_refusal_is_found() {
    let mut story = Story::default();
    story.records(1, 2, ask("a", Command::Open));
    story.records(3, 6, ask("a", Command::Deposit(100)));
    // While the deposit is under way it may be either.
    story.tell(4, 5, ask("a", Command::Withdraw(1)), overdrawn(0));
    story.is_sound();
    story.tell(7, 8, ask("a", Command::Withdraw(1)), overdrawn(0));
    story.is_refused_for(4, "can't have got this answer between the positions 2 and 2");
}

#[test]
fn a_refusal_that_tells_of_another_balance_than_there_was_is_found() {
    let mut story = a_hundred();
    story.tell(5, 6, ask("a", Command::Withdraw(200)), overdrawn(99));
    story.is_refused_for(3, "can't have got this answer");
}

#[test]
fn a_refusal_because_of_what_had_not_been_sent_is_found() {
    let mut story = Story::default();
    story.tell(1, 2, ask("a", Command::Open), rejected("account_exists", ""));
    story.records(3, 4, ask("a", Command::Open));
    story.is_refused_for(1, "between the positions 0 and 0");
}

#[test]
fn a_log_in_another_order_than_time_is_found() {
    let mut story = Story::default();
    story.records(5, 6, ask("b", Command::Open));
    story.records(1, 2, ask("a", Command::Open));
    story.is_refused_for(1, "sent after operation 2");
}

#[test]
fn two_answers_that_contradict_each_other_are_found() {
    let mut story = a_hundred();
    story.records(5, 20, ask("a", Command::Withdraw(50)));
    story.tell(6, 7, ask("a", Command::Withdraw(200)), overdrawn(50));
    story.is_sound();
    // Whoever asks after that must not be told what was before.
    story.tell(8, 9, ask("a", Command::Withdraw(200)), overdrawn(100));
    story.is_refused_for(5, "comes after operation 4");
}

#[test]
fn what_was_seen_of_one_account_binds_what_is_seen_of_another() {
    let mut story = Story::default();
    story.records(1, 20, ask("a", Command::Open));
    story.records(2, 19, ask("b", Command::Open));
    story.tell(3, 4, ask("b", Command::Open), rejected("account_exists", ""));
    story.is_sound();
    // Account b is seen open, at position 2, and what is at position 1 is not.
    story.tell(5, 6, ask("a", Command::Close), Outcome::NotFound);
    story.is_refused_for(4, "between the positions 2 and 2");
}

#[test]
fn a_refused_request_that_is_recorded_is_found() {
    let mut story = a_hundred();
    story.records(5, 6, ask("a", Command::Withdraw(1)));
    for refused in [overdrawn(100), Outcome::Failed(String::new()), Outcome::KeyReused] {
        story.operations[2].outcome = refused;
        story.is_refused_for(3, "was refused, and is recorded at position 3");
    }
}

#[test]
fn an_event_that_the_account_does_not_allow_is_found() {
    let mut story = a_hundred();
    story.records(5, 6, ask("a", Command::Withdraw(101)));
    story.is_refused_for(3, "had to be refused");
    let mut story = a_hundred();
    story.records(5, 6, expecting(1, ask("a", Command::Deposit(1))));
    story.is_refused_for(3, "had to be refused");
}

#[test]
fn a_receipt_of_another_place_is_found() {
    let mut story = a_hundred();
    story.operations[1].outcome = recorded(2, 1);
    story.is_refused_for(2, "another place");
}

#[test]
fn a_repetition_that_gets_another_answer_is_found() {
    let mut story = a_hundred();
    story.records(5, 6, under("k", ask("a", Command::Withdraw(100))));
    let again = story.operations[2].request.as_ref().clone();
    story.tell(7, 8, again, overdrawn(0));
    story.is_refused_for(4, "its key belongs to the event at position 3");
}

#[test]
fn a_key_of_another_request_that_goes_unnoticed_is_found() {
    let mut story = a_hundred();
    story.records(5, 10, under("k", ask("a", Command::Deposit(1))));
    // As long as the first is under way, the second may be refused for what it asks. Not later.
    story.tell(6, 7, under("k", ask("a", Command::Withdraw(500))), overdrawn(100));
    story.is_sound();
    story.tell(11, 12, under("k", ask("a", Command::Withdraw(500))), overdrawn(101));
    story.is_refused_for(5, "its key belongs to");
    // And it must not get the other's answer.
    story.operations[4].outcome = recorded(3, 3);
    story.is_refused_for(5, "got the answer to another request");
}

#[test]
fn a_key_that_is_called_used_and_is_not_is_found() {
    let mut story = a_hundred();
    story.tell(5, 6, under("k", ask("a", Command::Deposit(1))), Outcome::KeyReused);
    story.is_refused_for(3, "can't have got this answer");
}

#[test]
fn a_conflict_without_others_being_faster_is_found() {
    let mut story = a_hundred();
    story.tell(5, 6, ask("a", Command::Deposit(1)), Outcome::Conflict { expected: 1, actual: 2 });
    story.is_refused_for(3, "can't have got this answer");
    // Others were faster, once less than it takes and then once more.
    let mut story = a_hundred();
    for moment in 0..defeats() - 1 {
        story.records(10 + moment, 1_000 + moment, ask("a", Command::Deposit(1)));
    }
    let beaten = |revision| Outcome::Conflict { expected: revision - 1, actual: revision };
    let mut too_early = story.clone();
    let told = too_early.tell(5, 3_000, ask("a", Command::Deposit(1)), beaten(defeats() + 1)).attempt;
    too_early.is_refused_for(told, "can't have got this answer");
    story.records(9 + defeats(), 999 + defeats(), ask("a", Command::Deposit(1)));
    story.tell(5, 3_000, ask("a", Command::Deposit(1)), beaten(defeats() + 2));
    story.is_sound();
}

#[test]
fn a_conflict_with_a_revision_that_the_account_did_not_have_is_found() {
    let mut story = a_hundred();
    story.tell(5, 6, expecting(1, ask("a", Command::Deposit(1))), Outcome::Conflict { expected: 1, actual: 3 });
    story.is_refused_for(3, "can't have got this answer");
}
