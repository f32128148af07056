//! A plugin that answers queries itself, and misbehaves at some of them in every way that safe code has. Whoever asks is
//! told so, and nobody else must notice.

use std::hint::black_box;

use yado_sdk::prelude::*;

/// Something written down.
#[derive(State)]
pub struct Note;

/// What can be done with it.
#[derive(Command)]
pub enum NoteCommand {
    /// Writes something down.
    #[command(creates)]
    WriteNote {
        /// What to write.
        #[schema(length(1..=100))]
        words: String,
    },
}

/// What can happen to it.
#[derive(Event)]
pub enum NoteEvent {
    /// Something was written down.
    NoteWritten {
        /// What was written.
        #[schema(length(1..=100))]
        words: String,
    },
}

impl Aggregate for Note {
    type Command = NoteCommand;
    type Event = NoteEvent;

    fn decide(_: Option<&Self>, command: NoteCommand, _: &Context) -> Decision<NoteEvent> {
        let NoteCommand::WriteNote { words } = command;
        record(NoteEvent::NoteWritten { words })
    }

    fn evolve(_: Option<Self>, _: NoteEvent) -> Option<Self> {
        Some(Self)
    }
}

/// What is written down.
#[derive(ReadModel)]
#[model(name = "Note")]
pub struct NoteRow {
    /// Names the note.
    #[key]
    id: Id<Note>,
    /// What is written.
    words: String,
}

impl Projection for NoteRow {
    type Event = Recorded<NoteEvent>;

    fn project(event: &Recorded<NoteEvent>, rows: &mut Rows<Self>) {
        let NoteEvent::NoteWritten { words } = &event.event;
        rows.put(Self { id: event.id(), words: words.clone() });
    }
}

/// The notes with these words.
#[query]
pub fn notes_that_say(
    /// What they say.
    words: String,
    rows: &Rows<NoteRow>,
) -> Result<Vec<NoteRow>, Rejection> {
    Ok(rows.find(|row| [row.words.is(words.as_str())]).list())
}

/// How many notes there are.
#[query]
pub fn how_many(rows: &Rows<NoteRow>) -> Result<u32, Rejection> {
    Ok(u32::try_from(rows.find(|_| []).count()).unwrap_or(u32::MAX))
}

/// Never comes back.
#[query]
pub fn ask_for_ever() -> Result<u32, Rejection> {
    loop {
        black_box(());
    }
}

/// Reads again and again, and never has enough.
#[query]
pub fn read_for_ever(rows: &Rows<NoteRow>) -> Result<u32, Rejection> {
    loop {
        black_box(rows.find(|_| []).limit(1_000).list());
    }
}

/// Reaches beyond the end of a list.
#[query]
pub fn ask_for_a_trap() -> Result<u32, Rejection> {
    let numbers: Vec<u32> = Vec::new();
    Ok(numbers[black_box(7)])
}

/// Takes all the memory that there is.
#[query]
pub fn ask_for_a_hoard() -> Result<u32, Rejection> {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Answers a hundred megabytes.
#[query]
pub fn ask_for_babble() -> Result<String, Rejection> {
    Ok("blah ".repeat(20 << 20))
}

/// Answers what its own schema rules out: something that no note can be.
#[query]
pub fn ask_for_a_lie() -> Result<Said, Rejection> {
    Ok(Said { words: "never ".repeat(100) })
}

/// Something said.
#[derive(Value)]
pub struct Said {
    /// The words.
    #[schema(length(1..=100))]
    words: String,
}

/// The notes in the order of their words, which no index has.
#[derive(Query)]
#[query(of = NoteRow, list, order(words))]
pub struct NotesInOrder {}

/// The notes that say exactly this, which no index leads to.
#[derive(Query)]
#[query(of = NoteRow, list)]
pub struct NotesThatAre {
    /// What they say.
    #[filter(words)]
    words: String,
}

/// The notes that say something like this, among which no search was asked for.
#[derive(Query)]
#[query(of = NoteRow, list)]
pub struct NotesLike {
    /// A part of what they say.
    #[filter(words, contains)]
    part: String,
}

plugin! {
    name: "asking",
    aggregates: [Note],
    models: [NoteRow],
    queries: [
        notes_that_say, how_many, ask_for_ever, read_for_ever, ask_for_a_trap, ask_for_a_hoard, ask_for_babble,
        ask_for_a_lie, NotesInOrder, NotesThatAre, NotesLike,
    ],
}
