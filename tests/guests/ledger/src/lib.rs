//! Entries in cents: the first version of a plugin whose events change.

use yado_sdk::prelude::*;

use EntryCommand::{Correct, Post, Strike};
use EntryEvent::{Posted, Struck};

/// An entry.
#[derive(State)]
pub struct Entry {
    cents: i64,
}

/// What can be asked of an entry.
#[derive(Command)]
pub enum EntryCommand {
    /// Makes an entry.
    #[command(creates)]
    Post {
        /// How much.
        cents: i64,
        /// What for.
        #[schema(length(..=100))]
        memo: String,
    },
    /// Changes the amount.
    Correct {
        /// Which entry.
        id: Id<Entry>,
        /// How much it is from now on.
        cents: i64,
    },
    /// Takes an entry out.
    Strike {
        /// Which entry.
        id: Id<Entry>,
    },
}

/// What can happen to an entry.
#[derive(Event)]
pub enum EntryEvent {
    /// It was made, or its amount has changed.
    Posted {
        /// How much.
        cents: i64,
        /// What for.
        memo: String,
    },
    /// It was taken out.
    Struck,
}

impl Aggregate for Entry {
    type Command = EntryCommand;
    type Event = EntryEvent;

    fn decide(entry: Option<&Self>, command: EntryCommand, _: &Context) -> Decision<EntryEvent> {
        match (entry, command) {
            (None, Post { cents, memo }) => record(Posted { cents, memo }),
            (Some(now), Correct { cents, .. }) if cents == now.cents => nothing(),
            (Some(_), Correct { cents, .. }) => record(Posted { cents, memo: "corrected".into() }),
            (Some(_), Strike { .. }) => record(Struck),
            (None, _) => reject("entry_unknown", "There is no such entry."),
            (Some(_), Post { .. }) => reject("entry_exists", "The entry is made already."),
        }
    }

    fn evolve(_: Option<Self>, event: EntryEvent) -> Option<Self> {
        match event {
            Posted { cents, .. } => Some(Self { cents }),
            Struck => None,
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
    cents: i64,
}

impl Projection for Line {
    type Event = Recorded<EntryEvent>;

    fn project(recorded: &Recorded<EntryEvent>, rows: &mut Rows<Self>) {
        match &recorded.event {
            Posted { cents, .. } => rows.put(Self { id: recorded.id(), cents: *cents }),
            Struck => rows.delete(&recorded.id()),
        }
    }
}

plugin! { name: "ledger", aggregates: [Entry], models: [Line] }
