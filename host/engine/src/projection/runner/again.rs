//! What code takes up again by itself, streams and whole tenants, and at which of them it has failed.
//!
//! Several processes may follow one projection with different code, for as long as an upgrade takes. Each takes the letters
//! of the others for those of other code, so each tries a stream once, and remembers that it has: or they would try the
//! same one in turns for ever. What is remembered is of one set of plugins, and is forgotten when other plugins come.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use yado_model::Position;
use yado_store::{Held, Parked};

use crate::catalogue::Catalogue;
use crate::projection::Definition;
use crate::projection::quarantine::Quarantine;

/// Which streams are taken up again, and how.
#[derive(Default)]
pub(super) struct Again {
    /// The code that this is about, and whether it may put streams aside.
    code: Option<(Arc<Catalogue>, bool)>,
    /// Streams that this code may get on with, the next one first. None, if it has to be looked for them.
    waiting: Option<VecDeque<Held>>,
    /// Where this code has failed.
    failed: HashMap<Held, Position>,
    /// The event at which the host itself was the last to fail, and how often it has.
    host: Option<(Position, u32)>,
    /// How many events the next portion has at most; as many as a call has, if there is no number.
    portion: Option<u32>,
}

impl Again {
    /// Takes note of the code that is to go on.
    pub(super) fn follow(&mut self, definition: &Definition) {
        let same = |(catalogue, parks): &(Arc<Catalogue>, bool)| {
            Arc::ptr_eq(catalogue, &definition.catalogue) && *parks == definition.parks
        };
        if !self.code.as_ref().is_some_and(same) {
            *self = Self { code: Some((definition.catalogue.clone(), definition.parks)), ..Self::default() };
        }
    }

    /// Streams may have been put aside by others.
    pub(super) fn look_anew(&mut self) {
        self.waiting = None;
    }

    /// The stream that comes next among those that were put aside by other code.
    pub(super) fn next(&mut self, definition: &Definition, quarantine: &Quarantine) -> Option<Held> {
        if !definition.parks || quarantine.len() == 0 {
            return None;
        }
        let failed = &mut self.failed;
        let waiting = self.waiting.get_or_insert_with(|| {
            failed.retain(|held, _| quarantine.get(held).is_some());
            let those = quarantine.in_order(|parked| may_get_on(definition, failed, parked));
            those.into_iter().map(Parked::held).collect()
        });
        while let Some(held) = waiting.front() {
            if quarantine.get(held).is_some_and(|parked| may_get_on(definition, failed, parked)) {
                return Some(held.clone());
            }
            waiting.pop_front();
        }
        None
    }

    /// Some of the stream that came next has been shown, and others have their turn.
    pub(super) fn turn(&mut self) {
        if let Some(waiting) = &mut self.waiting
            && !waiting.is_empty()
        {
            waiting.rotate_left(1);
        }
    }

    /// This code has failed at what a letter is about.
    pub(super) fn failed_at(&mut self, letter: &Parked) {
        self.failed.insert(letter.held(), letter.position);
    }

    /// The host itself has failed at an event. Returns how often it has.
    pub(super) fn host_failed_at(&mut self, event: Position) -> u32 {
        let before = self.host.filter(|(failed, _)| *failed == event).map_or(0, |(_, attempts)| attempts);
        let attempts = before.saturating_add(1);
        self.host = Some((event, attempts));
        attempts
    }

    /// How many events the next portion has, where a call has so many at most.
    pub(super) fn portion(&self, batch: u32) -> u32 {
        self.portion.unwrap_or(batch).min(batch).max(1)
    }

    /// A portion of so many events has been shown. The next one may have twice as many.
    pub(super) const fn has_shown(&mut self, portion: u32) {
        self.portion = Some(portion.saturating_mul(2));
    }
}

/// Whether this code may get on with a stream: other code has put it aside, and this code has not been tried there.
fn may_get_on(definition: &Definition, failed: &HashMap<Held, Position>, parked: &Parked) -> bool {
    let code = definition.catalogue.plugin(&parked.plugin);
    code.is_some_and(|code| code.digest() != parked.digest) && failed.get(&parked.held()) != Some(&parked.position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_grow_again_after_one_that_had_to_be_small() {
        let mut again = Again::default();
        assert_eq!([again.portion(1_000), again.portion(0)], [1_000, 1]);
        again.has_shown(1);
        assert_eq!(again.portion(1_000), 2);
        again.has_shown(800);
        assert_eq!(again.portion(1_000), 1_000);
    }

    #[test]
    fn attempts_of_the_host_are_counted_for_the_event_at_which_it_fails() {
        let mut again = Again::default();
        let at = Position::new;
        assert_eq!([again.host_failed_at(at(7)), again.host_failed_at(at(7)), again.host_failed_at(at(8))], [1, 2, 1]);
    }
}
