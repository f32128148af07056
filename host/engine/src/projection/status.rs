//! How a projection stands.

use yado_model::Position;

use super::quarantine::Quarantine;

/// How a projection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// Its name.
    pub(crate) name: String,
    /// Everything up to here is shown.
    pub(crate) position: Position,
    /// Its checkpoint is there, or was: what came after it did not concern the projection.
    pub(crate) kept: Position,
    /// Whether what is shown is of the log that there is.
    pub(crate) stage: Stage,
    /// What waits, because it fails at an event of it.
    pub(crate) parked: Quarantine,
    /// Whether it stands still because it was told to.
    pub(crate) paused: bool,
    /// Why it does not get on, if it does not.
    pub(crate) trouble: Option<Trouble>,
}

/// How what a projection shows came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It may be of another log: it has not been held against the one that there is.
    Unknown,
    /// It was of a history that is no more, or was dropped, and is filled anew. Before it has come to where the log ended when that
    /// began, nobody is to take it for what has happened.
    Anew {
        /// Where the log ended.
        until: Position,
    },
    /// It is of the log that there is.
    Following,
}

/// Why a projection does not get on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The code fails at an event. It is tried again, and goes on by itself with code that does not fail.
    Poisoned {
        /// At which one, or at one soon after it.
        at: Position,
        /// What the operator should know.
        reason: String,
    },
    /// The database fails. It is tried again until it does not.
    Database(String),
    /// The host itself fails, or can't go on with this code. It is tried again as well.
    Host(String),
    /// It is filled, and kept from taking the place of what serves.
    Held(String),
}

impl Status {
    pub(crate) fn begin(name: String) -> Self {
        Self {
            name,
            position: Position::ZERO,
            kept: Position::ZERO,
            stage: Stage::Unknown,
            parked: Quarantine::default(),
            paused: false,
            trouble: None,
        }
    }

    /// Whether everything up to a position can be seen.
    pub(crate) fn shows(&self, position: Position) -> bool {
        self.stage == Stage::Following && self.position >= position
    }

    /// Takes note of a position.
    pub(super) fn reach(&mut self, position: Position) {
        self.position = position;
        let done = match self.stage {
            Stage::Unknown => true,
            Stage::Anew { until } => position >= until,
            Stage::Following => false,
        };
        if done {
            self.stage = Stage::Following;
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Poisoned { at, reason } => write!(f, "it stands at position {at}: {reason}"),
            Self::Database(reason) => write!(f, "the database fails: {reason}"),
            Self::Host(reason) => write!(f, "the host can't go on: {reason}"),
            Self::Held(reason) => write!(f, "it does not take the place of what serves: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_before_it_is_known_to_be_of_this_log() {
        let at = Position::new;
        let mut status = Status::begin("counts".into());
        assert!(!status.shows(at(0)));
        status.reach(at(3));
        assert!(status.shows(at(3)) && !status.shows(at(4)));
        status.stage = Stage::Anew { until: at(5) };
        for position in [0, 4] {
            status.reach(at(position));
            assert!(!status.shows(at(0)));
        }
        status.reach(at(6));
        assert!(status.shows(at(6)));
    }

    #[test]
    fn what_is_filled_anew_from_a_log_without_events_is_done_at_once() {
        let mut status = Status { stage: Stage::Anew { until: Position::ZERO }, ..Status::begin("counts".into()) };
        status.reach(Position::ZERO);
        assert!(status.shows(Position::ZERO));
    }
}
