//! The checker is exact: of small histories it says the same as trying every order.

use std::collections::HashMap;
use std::sync::Arc;

use super::bank::{Account, Verdict};
use super::check::check;
use super::random::Random;
use super::record::{Command, Entry, NEVER, Operation, Outcome, Request};

/// So many are tried.
const HISTORIES: u64 = 10_000;

#[test]
fn a_history_is_sound_if_and_only_if_there_is_an_order_of_its_operations() {
    let mut random = Random::new(7);
    let mut sound = 0;
    for number in 0..HISTORIES {
        let (operations, log) = history(&mut random);
        let (found, there_is) =
            (check(&operations, &log), Bank::default().can_tell(&operations, &log, &mut Vec::new()));
        let told = operations.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert_eq!(found.is_ok(), there_is, "history {number}:\n{told}\n{log:#?}\n{:?}", found.err());
        sound += u64::from(there_is);
    }
    // Neither answer is always right.
    assert!(sound > HISTORIES / 5 && sound < HISTORIES / 5 * 4, "{sound} of {HISTORIES} are sound");
}

/// A bank that is asked one request after another, and the log as far as it has come.
#[derive(Default, Clone)]
struct Bank {
    accounts: HashMap<String, Account>,
    /// Who has recorded something under which key, and what they were told.
    keys: HashMap<String, (Arc<Request>, u64, u64)>,
    position: u64,
}

impl Bank {
    /// What it says to a request, which it records if it comes to that.
    fn ask(&mut self, request: &Arc<Request>) -> Outcome {
        if let Some((first, revision, position)) = request.key.as_ref().and_then(|key| self.keys.get(key)) {
            let (revision, position) = (*revision, *position);
            let is_same = first.is_same_as(request);
            return if is_same { Outcome::Recorded { revision, position, repeated: None } } else { Outcome::KeyReused };
        }
        let account = self.accounts.entry(request.account.clone()).or_default();
        match account.decide(request) {
            Verdict::Record => {}
            Verdict::NotFound => return Outcome::NotFound,
            Verdict::Conflict => {
                return Outcome::Conflict { expected: request.expected.unwrap(), actual: account.revision };
            }
            Verdict::Rejected(code) => {
                let message = format!("The account holds {}, and so on.", account.holds.unwrap());
                return Outcome::Rejected { code: code.into(), message };
            }
        }
        *account = account.after(request.command);
        self.position += 1;
        let (revision, position) = (account.revision, self.position);
        if let Some(key) = &request.key {
            self.keys.insert(key.clone(), (request.clone(), revision, position));
        }
        Outcome::Recorded { revision, position, repeated: None }
    }

    /// Whether there is an order in which it gives all the answers that are still to be given, and leaves the log.
    fn can_tell(&self, operations: &[Operation], log: &[Entry], told: &mut Vec<u64>) -> bool {
        let has_event = |one: &Operation| log.iter().any(|entry| entry.attempt == one.attempt);
        let is_due = |one: &Operation| match one.outcome {
            Outcome::Unknown(_) => has_event(one),
            Outcome::Failed(_) => false,
            _ => true,
        };
        let due: Vec<&Operation> =
            operations.iter().filter(|one| is_due(one) && !told.contains(&one.attempt)).collect();
        if due.is_empty() {
            return self.position == log.len() as u64;
        }
        due.iter().any(|next| {
            if due.iter().any(|other| other.completed < next.invoked) {
                return false;
            }
            let mut bank = self.clone();
            let outcome = bank.ask(&next.request);
            let recorded = bank.position > self.position;
            let event_fits = !recorded
                || usize::try_from(self.position)
                    .is_ok_and(|at| log.get(at).is_some_and(|e| e.attempt == next.attempt));
            let answer_fits = match &next.outcome {
                Outcome::Unknown(_) => recorded,
                // Only one refusal tells what it saw.
                Outcome::Rejected { code, .. } if code != "overdrawn" => {
                    matches!(&outcome, Outcome::Rejected { code: told, .. } if told == code)
                }
                other => *other == outcome,
            };
            if !event_fits || !answer_fits {
                return false;
            }
            told.push(next.attempt);
            let can = bank.can_tell(operations, log, told);
            told.pop();
            can
        })
    }
}

/// A history of a few operations, which one bank has told, and which then may have been falsified.
fn history(random: &mut Random) -> (Vec<Operation>, Vec<Entry>) {
    let (mut bank, mut operations, mut log) = (Bank::default(), Vec::<Operation>::new(), Vec::new());
    for attempt in 1..=random.within(2..7) {
        let repeated =
            operations.iter().find(|one: &&Operation| one.request.key.is_some()).map(|one| one.request.clone());
        let request = match repeated {
            Some(request) if random.percent(25) => request,
            _ => Arc::new(request(random, attempt)),
        };
        let outcome = bank.ask(&request);
        if let Outcome::Recorded { revision, position, .. } = outcome
            && position > log.len() as u64
        {
            let (name, payload) = request.event();
            let (account, name) = (request.account.clone(), name.to_owned());
            log.push(Entry { position, account, revision, name, payload, attempt });
        }
        // It happens at a hundred times its number, and its time reaches into that of its neighbours.
        let (invoked, completed) =
            (attempt * 100 + 900 - random.within(0..250), attempt * 100 + 900 + random.within(0..250));
        operations.push(Operation { attempt, node: "A", request, invoked, completed, outcome });
    }
    falsify(random, &mut operations);
    // No two moments are the same.
    let mut moments: Vec<(u64, bool, usize)> =
        operations.iter().enumerate().map(|(at, one)| (one.invoked, false, at)).collect();
    moments.extend(operations.iter().enumerate().map(|(at, one)| (one.completed, true, at)));
    moments.sort_unstable();
    for ((_, completes, at), moment) in moments.into_iter().zip(1..) {
        let one = &mut operations[at];
        if !completes {
            one.invoked = moment;
        } else if matches!(one.outcome, Outcome::Unknown(_)) {
            one.completed = NEVER;
        } else {
            one.completed = moment;
        }
    }
    (operations, log)
}

fn request(random: &mut Random, attempt: u64) -> Request {
    let amount = random.within(1..4).cast_signed();
    let command = random.weighted(&[
        (3, Command::Open),
        (3, Command::Deposit(amount)),
        (3, Command::Withdraw(amount)),
        (1, Command::Close),
    ]);
    Request {
        account: random.weighted(&[(4, "a"), (1, "b")]).to_owned(),
        command,
        reference: format!("request {attempt}"),
        key: random.percent(35).then(|| random.weighted(&[(3, "k"), (1, "l")]).to_owned()),
        expected: random.percent(20).then(|| random.within(0..3)),
    }
}

/// Changes an answer or a time, more often than not.
fn falsify(random: &mut Random, operations: &mut [Operation]) {
    let at = random.index(operations.len());
    let one = &mut operations[at];
    match random.within(0..10) {
        0..3 => {}
        3 => one.outcome = Outcome::Unknown(String::new()),
        4 => one.outcome = Outcome::KeyReused,
        5 => one.outcome = Outcome::NotFound,
        6 => {
            let message = format!("The account holds {}, and so on.", random.within(0..3));
            let code = random.weighted(&[(1, "overdrawn"), (1, "account_exists"), (1, "not_empty")]).to_owned();
            one.outcome = Outcome::Rejected { code, message };
        }
        7 => {
            let (revision, position) = (random.within(1..3), random.within(1..4));
            one.outcome = Outcome::Recorded { revision, position, repeated: None };
        }
        8 => (one.invoked, one.completed) = (one.invoked + 150, one.completed + 150),
        _ => {
            let other = random.index(operations.len());
            let (mine, others) = (operations[at].invoked, operations[other].invoked);
            let moved =
                |one: &mut Operation, to: u64| (one.invoked, one.completed) = (to, to + one.completed - one.invoked);
            moved(&mut operations[at], others);
            moved(&mut operations[other], mine);
        }
    }
}
