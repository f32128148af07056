//! Entries in euros: the next version of the plugin `ledger`. What was `Posted` is `Booked` by now and has changed twice;
//! what was `Struck` is told by other events.

use yado_sdk::prelude::*;

use EntryCommand::{Book, Reopen};
use EntryEvent::{Booked, Closed, Remarked};

/// An entry.
#[derive(State)]
pub struct Entry {
    amount: Decimal,
    closed: bool,
}

/// What can be asked of an entry.
#[derive(Command)]
pub enum EntryCommand {
    /// Makes an entry, or changes its amount.
    #[command(upserts)]
    Book {
        /// Which entry.
        #[id]
        id: Id<Entry>,
        /// How much.
        #[schema(places = 2)]
        amount: Decimal,
    },
    /// Brings a closed entry back.
    Reopen {
        /// Which entry.
        id: Id<Entry>,
    },
}

/// What can happen to an entry.
#[derive(Event)]
#[event(retired(Struck, from_v1 = struck))]
pub enum EntryEvent {
    /// It was made, or its amount has changed.
    #[event(version = 3, from_v1 = in_euros, from_v2 = in_a_currency, was = "Posted")]
    Booked {
        /// How much.
        #[schema(places = 2)]
        amount: Decimal,
        /// Of what.
        #[schema(length(3..=3))]
        currency: String,
        /// What for.
        memo: String,
    },
    /// Something was said of it.
    Remarked {
        /// What.
        text: String,
    },
    /// It counts no more.
    Closed,
}

/// Version 1: cents.
#[derive(Value)]
struct InCents {
    cents: i64,
    memo: String,
}

/// Version 2: euros. It never was in a log; the chain goes through it all the same.
#[derive(Value)]
struct InEuros {
    #[schema(min = -1_000_000_000, max = 1_000_000_000, places = 2)]
    amount: Decimal,
    memo: String,
}

fn in_euros(old: InCents) -> InEuros {
    assert!(old.memo != UNREADABLE, "I can't read this memo");
    InEuros { amount: Decimal::new(old.cents, 2), memo: old.memo }
}

fn in_a_currency(old: InEuros) -> EntryEvent {
    Booked { amount: old.amount, currency: "EUR".into(), memo: old.memo }
}

/// What the first step can't stand.
const UNREADABLE: &str = "unreadable";

#[derive(Value)]
struct Nothing {}

fn struck(_: Nothing) -> [EntryEvent; 2] {
    [Remarked { text: "struck".into() }, Closed]
}

impl Aggregate for Entry {
    type Command = EntryCommand;
    type Event = EntryEvent;

    fn decide(entry: Option<&Self>, command: EntryCommand, _: &Context) -> Decision<EntryEvent> {
        match (entry, command) {
            (Some(Self { closed: true, .. }), Book { .. }) => reject("entry_closed", "The entry is closed."),
            (Some(now), Book { amount, .. }) if amount == now.amount => nothing(),
            (_, Book { amount, .. }) => record(Booked { amount, currency: "EUR".into(), memo: "booked".into() }),
            (Some(Self { amount, closed: true }), Reopen { .. }) => {
                record(Booked { amount: *amount, currency: "EUR".into(), memo: "reopened".into() })
            }
            (_, Reopen { .. }) => reject("entry_open", "The entry is not closed."),
        }
    }

    fn evolve(entry: Option<Self>, event: EntryEvent) -> Option<Self> {
        match (entry, event) {
            (_, Booked { amount, .. }) => Some(Self { amount, closed: false }),
            (entry, Remarked { .. }) => entry,
            // Only what was made before can be closed, so this is never folded onto nothing.
            (Some(entry), Closed) => Some(Self { closed: true, ..entry }),
            (None, Closed) => panic!("an entry was closed that was never made"),
        }
    }
}

/// An entry as the ledger shows it.
#[derive(ReadModel)]
pub struct Line {
    /// Names the entry.
    #[key]
    id: Id<Entry>,
    /// How much.
    amount: Decimal,
    /// What was said of it.
    remark: Option<String>,
    /// Whether it counts no more.
    closed: bool,
}

impl Projection for Line {
    type Event = Recorded<EntryEvent>;

    fn project(recorded: &Recorded<EntryEvent>, rows: &mut Rows<Self>) {
        let id = recorded.id();
        match &recorded.event {
            Booked { amount, .. } => rows.put(Self { id, amount: *amount, remark: None, closed: false }),
            Remarked { text } => rows.patch(&id, |row| [row.remark.to(Some(text.clone()))]),
            Closed => rows.patch(&id, |row| [row.closed.to(true)]),
        }
    }
}

plugin! { name: "ledger", version: "2.0.0", aggregates: [Entry], models: [Line] }

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::plugin as ledger;

    use super::*;

    fn booked(amount: i64) -> EntryEvent {
        Booked { amount: Decimal::new(amount, 2), currency: "EUR".into(), memo: String::new() }
    }

    #[test]
    fn whatever_was_ever_recorded_can_be_read() {
        let id = Id::new("entry");
        ledger().given(&id, [booked(1)]).upcasts::<EntryEvent>();
    }

    #[test]
    #[should_panic(expected = "an entry was closed that was never made")]
    fn what_can_not_be_folded_is_shown() {
        ledger().upcasts::<EntryEvent>();
    }

    #[test]
    fn an_entry_that_was_struck_is_closed_and_comes_back_with_its_amount() {
        let id = Id::new("entry");
        let given = ledger().given_old::<EntryEvent>(&id, "Posted", 1, &InCents { cents: 250, memo: "pens".into() });
        let given = given.given_old::<EntryEvent>(&id, "Struck", 1, &Nothing {});
        let struck = Line { id: id.clone(), amount: Decimal::new(250, 2), remark: Some("struck".into()), closed: true };
        let memo = "reopened".into();
        let reopened = Booked { amount: Decimal::new(250, 2), currency: "EUR".into(), memo };
        given.then_rows([struck]).when(Reopen { id }).then([reopened]);
    }
}
