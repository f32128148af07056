//! What is decided and not on its way yet, in order: the next group of a stream, and what goes after it.
//!
//! Each decision leads to a state, and a state may be large. Where a group goes down together only the last one counts:
//! it is the one that will be durable. So a large state is let go as soon as the group goes on behind it.

use yado_model::Revision;
use yado_store::Append;

use super::load::Tip;
use super::room::Place;
use crate::lane::Size;
use crate::{Result, Settings};

/// A state that is no larger is kept after each command of a group. It spares a read of what has won if something in the
/// middle of the group loses.
const SMALL_STATE: usize = 4 * 1024;

/// Decisions, each with what it was made for.
pub(super) struct Held<J> {
    decisions: Vec<Decision<J>>,
    /// How much of a transaction they take.
    size: Size,
    /// What a transaction holds.
    most: Size,
}

struct Decision<J> {
    job: J,
    came_to: CameTo,
}

enum CameTo {
    Append {
        append: Box<Append>,
        /// What the stream comes to by it, if that is kept.
        after: Option<Tip>,
        /// The room that both take.
        place: Place,
    },
    Answer(Result<()>),
}

/// A decision on its way to the log, or one that waits for others which are.
pub(super) struct Flight<J> {
    pub(super) job: J,
    pub(super) expects: Expects,
}

pub(super) enum Expects {
    /// To be recorded on top of this revision; and what the stream comes to by that, if it is kept.
    Record { expected: Revision, after: Option<Tip>, _place: Place },
    /// That what it was built on is recorded; or, if it comes before all that is, that it has been durable all along.
    Answer(Result<()>),
}

impl<J> Held<J> {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { decisions: Vec::new(), size: Size::default(), most: Size::most(settings) }
    }

    pub(super) fn len(&self) -> usize {
        self.decisions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }

    /// Whether a transaction would hold no more.
    pub(super) fn fills_a_transaction(&self) -> bool {
        self.size.fills(self.most)
    }

    /// Whether any of it is to be recorded.
    pub(super) fn records(&self) -> bool {
        self.decisions.iter().any(|decision| !decision.came_to.is_answer())
    }

    /// Adds a decision that records nothing.
    pub(super) fn answer(&mut self, job: J, result: Result<()>) {
        self.decisions.push(Decision { job, came_to: CameTo::Answer(result) });
    }

    /// Adds one that records something.
    pub(super) fn append(&mut self, job: J, append: Box<Append>, after: Tip, place: Place) {
        self.size = self.size + Size::of(&append);
        // A group that holds no more ends before this one, and the state where it ends is needed.
        if !self.size.is_over(self.most) {
            self.let_go();
        }
        self.decisions.push(Decision { job, came_to: CameTo::Append { append, after: Some(after), place } });
    }

    /// Lets go of the state that the last append leads to, if it is large.
    fn let_go(&mut self) {
        let mut last = self.decisions.iter_mut().rev().map(|decision| &mut decision.came_to);
        if let Some(CameTo::Append { after, place, .. }) = last.find(|came_to| !came_to.is_answer())
            && let Some(tip) = after.take_if(|tip| tip.size() > SMALL_STATE)
        {
            place.shrink(tip.size());
        }
    }

    /// Takes out the answers that come first, for as long as they are of this kind.
    pub(super) fn first_answers(&mut self, is: impl Fn(&J) -> bool) -> impl Iterator<Item = (J, Result<()>)> {
        let such = |decision: &&Decision<J>| decision.came_to.is_answer() && is(&decision.job);
        let count = self.decisions.iter().take_while(such).count();
        self.decisions.drain(..count).filter_map(|Decision { job, came_to }| match came_to {
            CameTo::Answer(result) => Some((job, result)),
            CameTo::Append { .. } => None,
        })
    }

    /// Takes out as much as one transaction holds. The rest has been decided on top of it, and goes next.
    pub(super) fn take_off(&mut self) -> (Vec<Append>, Vec<Flight<J>>) {
        let fitting = if self.size.is_over(self.most) { self.fitting() } else { self.decisions.len() };
        let rest = self.decisions.split_off(fitting);
        self.size = rest.iter().map(|decision| decision.came_to.size()).sum();
        let first = std::mem::replace(&mut self.decisions, rest);
        let mut appends = Vec::with_capacity(first.len());
        let flights = first.into_iter().map(|Decision { job, came_to }| {
            let expects = match came_to {
                CameTo::Append { append, after, place } => {
                    let expected = append.expected;
                    appends.push(*append);
                    Expects::Record { expected, after, _place: place }
                }
                CameTo::Answer(result) => Expects::Answer(result),
            };
            Flight { job, expects }
        });
        let flights = flights.collect();
        (appends, flights)
    }

    /// How many of the first decisions one transaction holds: at least one append.
    fn fitting(&self) -> usize {
        let mut size = Size::default();
        let over = self.decisions.iter().position(|decision| {
            let larger = size + decision.came_to.size();
            let over = size != Size::default() && larger.is_over(self.most);
            size = larger;
            over
        });
        over.unwrap_or(self.decisions.len())
    }

    /// Leaves those that meet a condition. It is for answers alone, because nothing is built on those.
    pub(super) fn retain_answers(&mut self, is: impl Fn(&J) -> bool) {
        self.decisions.retain(|decision| !decision.came_to.is_answer() || is(&decision.job));
    }

    /// Forgets all decisions, and gives back what they were made for.
    pub(super) fn undecided(&mut self) -> impl Iterator<Item = J> + use<J> {
        self.size = Size::default();
        std::mem::take(&mut self.decisions).into_iter().map(|decision| decision.job)
    }
}

impl CameTo {
    const fn is_answer(&self) -> bool {
        matches!(self, Self::Answer(_))
    }

    /// What it takes of a transaction.
    fn size(&self) -> Size {
        match self {
            Self::Append { append, .. } => Size::of(append),
            Self::Answer(_) => Size::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;
    use yado_model::{CommandId, CommandMeta, NewEvent, StreamId, TenantId, Timestamp};
    use yado_store::{Draft, PluginVersion};

    use super::super::room::Room;
    use super::*;

    const LARGE: usize = SMALL_STATE + 1;

    struct Bench {
        held: Held<u64>,
        room: Arc<Room>,
    }

    impl Bench {
        /// Where so many events make a transaction.
        fn new(lane_events: usize) -> Self {
            let settings = Settings { lane_events, ..Settings::default() };
            Self { held: Held::new(&settings), room: Room::new(1_000_000) }
        }

        /// Adds the decision that makes a revision, with a state of so many bytes.
        fn append(&mut self, revision: u64, state: usize) {
            let event = NewEvent { name: "Counted".into(), version: 1, payload: "{}".into(), tags: Vec::new() };
            let (id, nobody) = (Uuid::nil(), None);
            let draft = Draft {
                tenant: TenantId::default(),
                stream: StreamId::parse("Counter-a").unwrap(),
                expected: Revision::new(revision - 1),
                events: vec![event],
                claims: Vec::new(),
                recorded_at: Timestamp::from_micros(0),
                command: CommandMeta {
                    command_id: CommandId(id),
                    correlation_id: id,
                    causation_id: None,
                    actor: nobody,
                },
                plugin: PluginVersion(1),
                idempotency: None,
            };
            let state = Some(vec![0; state].into());
            let after = Tip { state, revision: Revision::new(revision), ..Tip::default() };
            let place = self.room.take(100 + after.size()).unwrap();
            self.held.append(revision, Box::new(draft.check().unwrap()), after, place);
        }

        /// What takes off: for each decision the revision that it makes, and whether the state is there.
        fn take_off(&mut self) -> Vec<(u64, bool)> {
            let (appends, flights) = self.held.take_off();
            let kept = flights.into_iter().filter_map(|flight| match flight.expects {
                Expects::Record { after, .. } => Some((flight.job, after.is_some())),
                Expects::Answer(_) => None,
            });
            let kept: Vec<_> = kept.collect();
            assert_eq!(kept.len(), appends.len());
            kept
        }
    }

    #[test]
    fn of_a_group_only_the_last_large_state_is_kept_and_takes_room() {
        let mut bench = Bench::new(100);
        for revision in 1..=50 {
            bench.append(revision, LARGE);
            bench.held.answer(revision, Ok(()));
        }
        assert_eq!(bench.room.taken(), 50 * 100 + LARGE);
        let kept = bench.take_off();
        assert_eq!(kept.iter().filter(|(_, kept)| *kept).collect::<Vec<_>>(), [&(50, true)]);
        assert_eq!(bench.room.taken(), 0);
    }

    #[test]
    fn small_states_are_kept_after_each_command() {
        let mut bench = Bench::new(100);
        (1..=3).for_each(|revision| bench.append(revision, SMALL_STATE));
        assert_eq!(bench.take_off(), [(1, true), (2, true), (3, true)]);
    }

    #[test]
    fn the_state_at_which_a_group_ends_is_kept_also_if_more_is_held() {
        let mut bench = Bench::new(3);
        (1..=4).for_each(|revision| bench.append(revision, LARGE));
        assert_eq!(bench.take_off(), [(1, false), (2, false), (3, true)]);
        bench.append(5, LARGE);
        assert_eq!(bench.take_off(), [(4, false), (5, true)]);
    }

    #[test]
    fn answers_that_come_first_go_along_with_the_append_behind_them() {
        let mut bench = Bench::new(2);
        bench.held.answer(0, Ok(()));
        assert!(!bench.held.records());
        (1..=3).for_each(|revision| bench.append(revision, 1));
        assert!(bench.held.records());
        let (appends, flights) = bench.held.take_off();
        assert_eq!(appends.len(), 2);
        assert_eq!(flights.iter().map(|flight| flight.job).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(bench.held.undecided().collect::<Vec<_>>(), [3]);
    }
}
