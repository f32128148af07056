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

/// Which part of a long answer.
#[derive(Value)]
pub struct Part {
    /// Which page, counted from 1.
    #[schema(min = 1, max = 1_000)]
    page: u32,
    /// How many to a page.
    #[schema(min = 1, max = 100)]
    size: u32,
}

/// A page of notes.
#[derive(Value)]
pub struct NotePage {
    /// The notes of this page.
    notes: Vec<NoteRow>,
    /// The first note of all.
    first: Option<NoteRow>,
    /// How many there are on all pages.
    total: u32,
}

/// Notes whose words lie in a range, a page at a time: a guest that pages and counts by itself.
#[query]
pub fn notes_by_page(
    /// No words that come before these.
    #[schema(length(..=100))]
    from: Option<String>,
    /// A part of the words.
    containing: Option<String>,
    /// Which part of the answer; the first two unless it says otherwise.
    part: Option<Part>,
    rows: &Rows<NoteRow>,
) -> Result<NotePage, Rejection> {
    let Part { page, size } = part.unwrap_or(Part { page: 1, size: 2 });
    let found = || {
        rows.find(|row| {
            let from = from.as_deref().map(|from| row.words.at_least(from));
            from.into_iter().chain(containing.as_deref().map(|part| row.words.contains(part)))
        })
    };
    let total = u32::try_from(found().count()).unwrap_or(u32::MAX);
    ensure(page == 1 || (page - 1) * size < total, "no_such_page", "There are not so many notes.")?;
    let notes = found().by(|row| &row.words).skip((page - 1) * size).limit(size).list();
    let first = found().by(|row| &row.words).limit(1).list().into_iter().next();
    Ok(NotePage { notes, first, total })
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
        notes_that_say, how_many, notes_by_page, ask_for_ever, read_for_ever, ask_for_a_trap, ask_for_a_hoard, ask_for_babble,
        ask_for_a_lie, NotesInOrder, NotesThatAre, NotesLike,
    ],
}

#[cfg(test)]
mod tests {
    use yado_sdk::test_kit::{Given, plugin as asking};

    use super::*;

    fn id(words: &str) -> Id<Note> {
        Id::new(words)
    }

    fn row(words: &str) -> NoteRow {
        NoteRow { id: id(words), words: words.into() }
    }

    fn notes() -> Given<'static> {
        let written = |words: &str| [NoteEvent::NoteWritten { words: words.into() }];
        let given = asking().given(&id("cherry"), written("cherry")).given(&id("apple"), written("apple"));
        given.given(&id("banana"), written("banana"))
    }

    #[test]
    fn a_page_is_part_of_what_is_counted() {
        let page = |notes: &[&str], total| NotePage {
            notes: notes.iter().map(|words| row(words)).collect(),
            first: Some(row("apple")),
            total,
        };
        let given = notes().ask(notes_by_page::with(None, None, None)).then_answer(&page(&["apple", "banana"], 3));
        let second = Some(Part { page: 2, size: 2 });
        let given = given.ask(notes_by_page::with(None, None, second)).then_answer(&page(&["cherry"], 3));
        let some = notes_by_page::with(Some("b".into()), Some("an".into()), None);
        given.ask(some).then_answer(&NotePage { notes: vec![row("banana")], first: Some(row("banana")), total: 1 });
    }

    #[test]
    fn a_page_that_there_is_not_is_rejected() {
        let tenth = Some(Part { page: 10, size: 2 });
        notes().ask(notes_by_page::with(None, None, tenth)).then_rejected("no_such_page");
    }

    #[test]
    fn texts_are_found_as_they_are_where_no_search_looks() {
        let found =
            |words: &str| NotePage { notes: Vec::from_iter(Some(row(words))), first: Some(row(words)), total: 1 };
        notes().ask(notes_by_page::with(None, Some("rr".into()), None)).then_answer(&found("cherry"));
        let nothing = NotePage { notes: Vec::new(), first: None, total: 0 };
        notes().ask(notes_by_page::with(None, Some("RR".into()), None)).then_answer(&nothing);
    }
}
