//! Holds a history against the log: exact, and in about the time that it takes to sort it.
//!
//! The log is one sequence of events, and everything else that was answered recorded nothing. So the question whether
//! there is an order of all operations in which a single bank, asked one request after another, would have given the same
//! answers, is the question whether each answer that recorded nothing has a place between two events of the log (a *slot*:
//! slot 4 is after the event at position 4 and before the next) where
//!
//! - its account, and its idempotency key, are such that this is the answer;
//! - it is not before anything that had been answered when it was sent, nor after anything that was sent when it had been
//!   answered.
//!
//! Answers are given their slots in the order in which they were sent, each the first that it can have. What comes later
//! is bound from below only by what comes earlier, so if that fails, no choice would have done. Slots are of the whole log
//! and not of one account: whoever has seen a position has seen everything below it, of every account.

use std::collections::HashMap;
use std::fmt;

use yado_engine::Settings;

use super::bank::{Account, Verdict};
use super::record::{Entry, NEVER, Operation, Outcome};

/// At most so many violations are told: one seldom comes alone, and the first ones say most.
const TOLD: usize = 10;

/// How often others have to be faster before a request that expects nothing is told of a conflict: as often as the engine
/// repeats it by default, which all engines here do. It is told at one defeat more, and the first may be for what a node
/// remembered from before the request.
pub(super) fn defeats() -> u64 {
    Settings::default().conflict_retries.into()
}

/// What is wrong with a history.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<String>);

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the history has {} violations:", self.0.len())?;
        self.0.iter().take(TOLD).try_for_each(|violation| writeln!(f, "- {violation}"))
    }
}

impl Violations {
    fn add(&mut self, violation: String) {
        self.0.push(violation);
    }
}

/// The accounts as the log leaves them.
pub(crate) type Accounts<'a> = HashMap<&'a str, Account>;

/// Checks a history: the operations in any order, and the log in its own.
pub(crate) fn check<'a>(operations: &'a [Operation], log: &'a [Entry]) -> Result<Accounts<'a>, Violations> {
    let mut violations = Violations::default();
    without_gaps(log, &mut violations);
    if !violations.0.is_empty() {
        // Positions are places in a list from here on.
        return Err(violations);
    }
    let mut history = History::of(operations, log, &mut violations);
    history.acknowledged(&mut violations);
    history.place(&mut violations);
    if violations.0.is_empty() {
        Ok(history.accounts.into_iter().map(|(name, course)| (name, course.last().unwrap().1)).collect())
    } else {
        Err(violations)
    }
}

/// Positions are counted from 1, and so are the revisions of each account.
fn without_gaps(log: &[Entry], violations: &mut Violations) {
    let mut revisions: HashMap<&str, u64> = HashMap::new();
    for (entry, due) in log.iter().zip(1..) {
        if entry.position != due {
            violations.add(format!("the log has a gap: {entry} stands where position {due} is due"));
            return;
        }
        let revision = revisions.entry(&entry.account).or_insert(0);
        *revision += 1;
        if entry.revision != *revision {
            violations.add(format!("the account has a gap: {entry} stands where revision {revision} is due"));
        }
    }
}

struct History<'a> {
    operations: &'a [Operation],
    log: &'a [Entry],
    /// The operation that recorded the event at each position, from position 1 on; if there is one.
    writers: Vec<Option<&'a Operation>>,
    /// The position that each attempt recorded.
    recorded: HashMap<u64, u64>,
    /// The position of the event that was recorded under each key.
    keys: HashMap<&'a str, u64>,
    /// How each account stood from which slot on; the first is slot 0.
    accounts: HashMap<&'a str, Vec<(u64, Account)>>,
}

impl<'a> History<'a> {
    /// Finds out whose each event is, and what it made of its account.
    fn of(operations: &'a [Operation], log: &'a [Entry], violations: &mut Violations) -> Self {
        let by_attempt: HashMap<u64, &Operation> = operations.iter().map(|one| (one.attempt, one)).collect();
        assert_eq!(by_attempt.len(), operations.len(), "attempts have numbers of their own");
        let mut history = Self {
            operations,
            log,
            writers: Vec::with_capacity(log.len()),
            recorded: HashMap::new(),
            keys: HashMap::new(),
            accounts: HashMap::new(),
        };
        for entry in log {
            let writer = by_attempt.get(&entry.attempt).copied();
            history.writers.push(writer);
            match writer {
                Some(writer) => history.append(entry, writer, violations),
                None => violations.add(format!("nobody has asked for {entry}")),
            }
        }
        history
    }

    fn append(&mut self, entry: &'a Entry, writer: &'a Operation, violations: &mut Violations) {
        let request = &writer.request;
        let (name, payload) = request.event();
        if (entry.name.as_str(), &entry.payload, &entry.account) != (name, &payload, &request.account) {
            violations.add(format!("{writer} has left what it did not ask for: {entry}"));
            return;
        }
        if let Some(earlier) = self.recorded.insert(writer.attempt, entry.position) {
            violations.add(format!("{writer} is recorded twice: at position {earlier}, and {entry}"));
        }
        if let Some(key) = &request.key
            && let Some(earlier) = self.keys.insert(key, entry.position)
        {
            violations.add(format!("the key of {writer} is used twice: at position {earlier}, and {entry}"));
        }
        let course = self.accounts.entry(&request.account).or_insert_with(|| vec![(0, Account::default())]);
        let (_, before) = course[course.len() - 1];
        if before.decide(request) != Verdict::Record {
            let verdict = before.decide(request);
            violations.add(format!("{writer} is recorded, and had to be refused ({verdict:?}) by {before:?}: {entry}"));
        }
        course.push((entry.position, before.after(request.command)));
    }

    /// Holds what each operation was told against what it has left in the log.
    fn acknowledged(&self, violations: &mut Violations) {
        for operation in self.operations {
            let own = self.recorded.get(&operation.attempt);
            let Outcome::Recorded { revision, position, repeated } = operation.outcome else {
                if let Some(position) = own
                    && !matches!(operation.outcome, Outcome::Unknown(_))
                {
                    violations.add(format!("{operation} was refused, and is recorded at position {position}"));
                }
                continue;
            };
            let under_key = operation.request.key.as_deref().and_then(|key| self.keys.get(key));
            let Some(&recorded) = own.or(under_key) else {
                violations.add(format!("{operation} was acknowledged, and is lost"));
                continue;
            };
            let at = usize::try_from(recorded - 1).unwrap();
            let (entry, writer) = (&self.log[at], self.writers[at]);
            if writer.is_none_or(|writer| !writer.request.is_same_as(&operation.request)) {
                violations.add(format!("{operation} got the answer to another request, which left {entry}"));
            } else if (entry.position, entry.revision) != (position, revision) {
                violations.add(format!("{operation} was acknowledged with another place than it has: {entry}"));
            } else if own.is_none() && repeated == Some(false) {
                violations.add(format!("{operation} was told that it is the first under its key, and {entry} was"));
            }
        }
    }

    /// Gives each answer that recorded nothing a slot, and finds out whether the order of events is one in which they can
    /// have happened.
    fn place(&mut self, violations: &mut Violations) {
        let events: Vec<(u64, &Operation)> = self
            .recorded
            .values()
            .filter_map(|at| Some((*at, self.writers[usize::try_from(at - 1).unwrap()]?)))
            .collect();
        let ceilings = Ceilings::of(&events);
        let mut moments: Vec<(u64, Step<'_>)> = Vec::new();
        for &(position, writer) in &events {
            moments.push((writer.invoked, Step::Sent(position, writer)));
            moments.push((writer.completed, Step::Answered(position, writer)));
        }
        let answers: Vec<&Operation> = self.operations.iter().filter(|one| self.has_no_event(one)).collect();
        moments.extend(answers.iter().enumerate().map(|(at, one)| (one.invoked, Step::Place(at))));
        moments.extend(answers.iter().enumerate().map(|(at, one)| (one.completed, Step::Placed(at))));
        moments.sort_by_key(|(moment, _)| *moment);

        // The slot below which nothing can be that is sent now, and who says so.
        let mut floor: (u64, Option<&Operation>) = (0, None);
        // The last event that has been answered.
        let mut last: (u64, Option<&Operation>) = (0, None);
        let mut slots = vec![0; answers.len()];
        for (moment, step) in moments {
            if moment == NEVER {
                break;
            }
            match step {
                Step::Sent(position, writer) => {
                    if let (before, Some(earlier)) = last
                        && before > position
                    {
                        violations.add(format!(
                            "{writer} was sent after {earlier} had been answered, and stands before it in the log: at \
                             position {position}, and not after {before}"
                        ));
                    }
                }
                Step::Answered(position, writer) => {
                    last = last.max_by_slot((position, Some(writer)));
                    floor = floor.max_by_slot((position, Some(writer)));
                }
                Step::Place(at) => {
                    let answer = answers[at];
                    let ceiling = ceilings.above(answer.completed).unwrap_or(self.log.len() as u64);
                    slots[at] = self.first_slot(answer, floor.0, ceiling).unwrap_or_else(|| {
                        violations.add(self.homeless(answer, floor, ceiling));
                        floor.0
                    });
                }
                Step::Placed(at) => floor = floor.max_by_slot((slots[at], Some(answers[at]))),
            }
        }
    }

    /// Whether an operation was answered, and has recorded nothing that the answer would tell of.
    fn has_no_event(&self, operation: &Operation) -> bool {
        match operation.outcome {
            Outcome::Failed(_) | Outcome::Unknown(_) => false,
            _ => !self.recorded.contains_key(&operation.attempt),
        }
    }

    /// The first slot of a range, its end included, in which an operation would have got its answer.
    fn first_slot(&self, operation: &Operation, floor: u64, ceiling: u64) -> Option<u64> {
        let request = &operation.request;
        let recorded = request.key.as_deref().and_then(|key| self.keys.get(key)).copied();
        let is_own = |at: u64| {
            let writer = self.writers[usize::try_from(at - 1).unwrap()];
            writer.is_some_and(|writer| writer.request.is_same_as(request))
        };
        // Once something is recorded under the key there is one answer to it, and what the account is like is all the same.
        let (floor, ceiling) = match (&operation.outcome, recorded) {
            (Outcome::Recorded { .. }, Some(at)) => {
                return (at.max(floor) <= ceiling && is_own(at)).then_some(at.max(floor));
            }
            (Outcome::KeyReused, Some(at)) => {
                return (at.max(floor) <= ceiling && !is_own(at)).then_some(at.max(floor));
            }
            // What was acknowledged and is lost has been told already.
            (Outcome::Recorded { .. }, None) => return Some(floor),
            (Outcome::KeyReused, None) => return None,
            (_, Some(at)) => (floor, ceiling.min(at - 1)),
            (_, None) => (floor, ceiling),
        };
        let course = self.course(&request.account);
        let first = course.partition_point(|(from, _)| *from <= floor) - 1;
        let (_, begun) = course[first];
        let defeats = defeats();
        let reachable = course[first..].iter().take_while(|(from, _)| *from <= ceiling);
        let mut fitting = reachable.filter(|(_, account)| {
            // Whoever expects nothing is told of a conflict only after others were faster again and again.
            let crowded = request.expected.is_some() || account.revision >= begun.revision + defeats;
            account.answers(request, &operation.outcome)
                && (crowded || !matches!(operation.outcome, Outcome::Conflict { .. }))
        });
        fitting.next().map(|(from, _)| (*from).max(floor)).filter(|slot| *slot <= ceiling)
    }

    fn course(&self, account: &str) -> &[(u64, Account)] {
        const UNKNOWN: &[(u64, Account)] = &[(0, Account { revision: 0, holds: None, closed: false, movements: 0 })];
        self.accounts.get(account).map_or(UNKNOWN, Vec::as_slice)
    }

    /// Why an operation can't have got its answer.
    fn homeless(&self, operation: &Operation, (floor, by): (u64, Option<&Operation>), ceiling: u64) -> String {
        let course = self.course(&operation.request.account);
        let first = course.partition_point(|(from, _)| *from <= floor) - 1;
        let stood: Vec<String> = course[first..]
            .iter()
            .take_while(|(from, _)| *from <= ceiling)
            .map(|(from, account)| format!("from position {from} on {account:?}"))
            .collect();
        let mut told = format!(
            "{operation} can't have got this answer between the positions {floor} and {ceiling}, where its account was {}",
            stood.join(", ")
        );
        if let Some(at) = operation.request.key.as_deref().and_then(|key| self.keys.get(key)) {
            let entry = &self.log[usize::try_from(at - 1).unwrap()];
            told += &format!("; its key belongs to {entry}");
        }
        if let Some(by) = by {
            told += &format!("; it comes after {by}, which had been answered before it was sent");
        }
        told
    }
}

/// What happens at a moment.
#[derive(Clone, Copy)]
enum Step<'a> {
    /// Something is sent that records the event at a position.
    Sent(u64, &'a Operation),
    /// It is answered.
    Answered(u64, &'a Operation),
    /// Something is sent that is answered without an event, and is given a slot.
    Place(usize),
    /// It is answered.
    Placed(usize),
}

trait BySlot {
    fn max_by_slot(self, other: Self) -> Self;
}

impl BySlot for (u64, Option<&Operation>) {
    fn max_by_slot(self, other: Self) -> Self {
        if other.0 > self.0 { other } else { self }
    }
}

/// For each moment, the slot before the first of all events that were sent later.
struct Ceilings(Vec<(u64, u64)>);

impl Ceilings {
    fn of(events: &[(u64, &Operation)]) -> Self {
        let mut sent: Vec<(u64, u64)> =
            events.iter().map(|(position, writer)| (writer.invoked, position - 1)).collect();
        sent.sort_unstable();
        let mut least = u64::MAX;
        for (_, slot) in sent.iter_mut().rev() {
            least = least.min(*slot);
            *slot = least;
        }
        Self(sent)
    }

    fn above(&self, moment: u64) -> Option<u64> {
        let at = self.0.partition_point(|(sent, _)| *sent <= moment);
        self.0.get(at).map(|(_, slot)| *slot)
    }
}
