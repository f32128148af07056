//! A plugin that misbehaves when it is provoked, in every way that safe code has. The host must not care.

use std::hint::black_box;

use yado_sdk::prelude::*;

/// Something to provoke.
#[derive(State)]
pub struct Rogue;

/// What it can be provoked to.
#[derive(Command)]
pub enum RogueCommand {
    /// Does nothing wrong.
    #[command(creates)]
    Behave {},
    /// Never comes back.
    #[command(creates)]
    ProvokeLoop {},
    /// Divides by zero, as the machine sees it.
    #[command(creates)]
    ProvokeTrap {},
    /// Gives up with a reason.
    #[command(creates)]
    ProvokePanic {},
    /// Takes all the memory that there is.
    #[command(creates)]
    ProvokeHoard {},
    /// Calls itself for ever.
    #[command(creates)]
    ProvokeRecursion {},
    /// Decides a hundred megabytes.
    #[command(creates)]
    ProvokeBabble {},
    /// Decides an event that breaks its own schema.
    #[command(creates)]
    ProvokeLie {},
    /// Decides an event that its own projection can't stand.
    #[command(creates)]
    ProvokePoison {},
    /// Decides an event from which its own projection never comes back.
    #[command(creates)]
    ProvokeSpell {},
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
        match command {
            RogueCommand::Behave {} => record(RogueEvent::Said { words: "Good day.".into() }),
            RogueCommand::ProvokeLoop {} => loop {
                black_box(());
            },
            RogueCommand::ProvokeTrap {} => {
                let numbers: Vec<u8> = Vec::new();
                record(RogueEvent::Said { words: numbers[black_box(7)].to_string() })
            }
            RogueCommand::ProvokePanic {} => panic!("I was provoked"),
            RogueCommand::ProvokeHoard {} => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            RogueCommand::ProvokeRecursion {} => record(RogueEvent::Said { words: sink(black_box(1)).to_string() }),
            RogueCommand::ProvokeBabble {} => record(RogueEvent::Said { words: "blah ".repeat(20 << 20) }),
            RogueCommand::ProvokePoison {} => record(RogueEvent::Said { words: POISON.into() }),
            RogueCommand::ProvokeSpell {} => record(RogueEvent::Said { words: SPELL.into() }),
            RogueCommand::ProvokeLie {} => record(RogueEvent::Said { words: "never ".repeat(100) }),
        }
    }

    fn evolve(_: Option<Self>, _: RogueEvent) -> Option<Self> {
        Some(Self)
    }
}

/// What the projection can't stand.
const POISON: &str = "poison";

/// What keeps the projection for ever.
const SPELL: &str = "spell";

/// What was said, and how much had been said before.
#[derive(ReadModel)]
#[model(name = "Saying")]
pub struct Saying {
    /// Names the saying.
    #[key]
    id: Id<Rogue>,
    /// What was said.
    words: String,
    /// How many sayings there were before it.
    before: u32,
}

impl Projection for Saying {
    type Event = Recorded<RogueEvent>;

    fn project(event: &Recorded<RogueEvent>, rows: &mut Rows<Self>) {
        let RogueEvent::Said { words } = &event.event;
        assert!(words != POISON, "I can't stand this");
        if words == SPELL {
            loop {
                black_box(());
            }
        }
        // What a search finds must not depend on how the host batches events.
        let before = u32::try_from(rows.find(|_| []).count()).unwrap_or(u32::MAX);
        rows.put(Self { id: event.id(), words: words.clone(), before });
    }
}

/// Goes down until the stack ends. What it returns depends on every level, so that no level can be left out.
fn sink(depth: u64) -> u64 {
    let ballast = black_box([depth; 32]);
    if depth == 0 { 0 } else { sink(black_box(depth + 1)) ^ ballast[(depth % 32) as usize] }
}

plugin! { name: "rogue", aggregates: [Rogue], models: [Saying] }
