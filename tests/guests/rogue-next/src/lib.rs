//! The next version of the plugin `rogue`: reformed, and with a read model that shows more.

use yado_sdk::prelude::*;

/// Nothing to provoke any more.
#[derive(State)]
pub struct Rogue;

/// What it can be asked.
#[derive(Command)]
pub enum RogueCommand {
    /// Does nothing wrong.
    #[command(creates, returns = Saying)]
    Behave {},
    /// Says what is wanted.
    #[command(creates, returns = Saying)]
    Say {
        /// What is wanted.
        #[schema(length(1..=100))]
        words: String,
    },
}

/// What can happen to it.
#[derive(Event)]
pub enum RogueEvent {
    /// Something was said.
    Said {
        /// What was said.
        #[schema(length(1..=100))]
        words: String,
    },
}

impl Aggregate for Rogue {
    type Command = RogueCommand;
    type Event = RogueEvent;

    fn decide(_: Option<&Self>, command: RogueCommand, _: &Context) -> Decision<RogueEvent> {
        record(RogueEvent::Said {
            words: match command {
                RogueCommand::Behave {} => "A very good day.".into(),
                RogueCommand::Say { words } => words,
            },
        })
    }

    fn evolve(_: Option<Self>, _: RogueEvent) -> Option<Self> {
        Some(Self)
    }
}

/// What was said, and at what length.
#[derive(ReadModel)]
#[model(name = "Saying")]
pub struct Saying {
    /// Names the saying.
    #[key]
    id: Id<Rogue>,
    /// What was said.
    words: String,
    /// How long it is.
    length: u32,
}

impl Projection for Saying {
    type Event = Recorded<RogueEvent>;

    fn project(event: &Recorded<RogueEvent>, rows: &mut Rows<Self>) {
        let RogueEvent::Said { words } = &event.event;
        let length = u32::try_from(words.len()).unwrap_or(u32::MAX);
        rows.put(Self { id: event.id(), words: words.clone(), length });
    }
}

plugin! { name: "rogue", aggregates: [Rogue], models: [Saying] }
