//! Which kinds of events the log has, so that a plugin that can't read one of them is found out when it is deployed.
//!
//! An append notes what is new, in its own transaction. New kinds are rare and appends are not: each adapter remembers
//! what it has seen noted, and asks the database only about the rest.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use yado_model::Position;

use crate::append::settle::EventRow;

/// More kinds than this are not remembered. What is forgotten costs a look at the database, and nothing else.
const MOST_REMEMBERED: usize = 10_000;

/// A kind of events that the log has, of any tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKind {
    /// The aggregate of their streams.
    pub aggregate: String,
    /// Their name.
    pub name: String,
    /// The version of their payload's shape.
    pub version: u32,
    /// The position of the first of them.
    pub first: Position,
}

/// What tells one kind from another: aggregate, name, version.
pub(crate) type Kind<'a> = (&'a str, &'a str, u32);

/// The kinds that are known to be in the database.
#[derive(Debug, Default)]
pub(crate) struct Noted(RwLock<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    /// By aggregate and name. Two steps, because a key of two texts could not be looked up without copying them.
    versions: HashMap<String, HashMap<String, Vec<u32>>>,
    count: usize,
}

impl Noted {
    /// The kinds among these that may be missing in the database, each with the place of its first event.
    pub(crate) fn missing<'a>(&self, kinds: impl Iterator<Item = Kind<'a>>) -> BTreeMap<Kind<'a>, usize> {
        let noted = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut missing = BTreeMap::new();
        for (at, kind) in kinds.enumerate() {
            if !noted.has(kind) {
                missing.entry(kind).or_insert(at);
            }
        }
        missing
    }

    /// Remembers kinds that a transaction has noted, once it is durable.
    pub(crate) fn remember<'a>(&self, kinds: impl Iterator<Item = Kind<'a>>) {
        for (aggregate, name, version) in kinds {
            let mut noted = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if noted.has((aggregate, name, version)) {
                continue;
            }
            if noted.count == MOST_REMEMBERED {
                *noted = Kinds::default();
            }
            let names = noted.versions.entry(aggregate.to_owned()).or_default();
            names.entry(name.to_owned()).or_default().push(version);
            noted.count += 1;
        }
    }
}

impl Kinds {
    fn has(&self, (aggregate, name, version): Kind<'_>) -> bool {
        let versions = self.versions.get(aggregate).and_then(|names| names.get(name));
        versions.is_some_and(|versions| versions.contains(&version))
    }
}

impl<'a> EventRow<'a> {
    /// Which kind of event it is.
    pub(crate) fn kind(&self) -> Kind<'a> {
        self.append.kind(self.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_missing_until_it_is_remembered() {
        let noted = Noted::default();
        let kinds = [("Counter", "Counted", 1), ("Counter", "Counted", 2), ("Counter", "Counted", 1)];
        let missing = noted.missing(kinds.into_iter());
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), [(kinds[0], 0), (kinds[1], 1)]);
        noted.remember(kinds[..1].iter().copied());
        assert_eq!(noted.missing(kinds.into_iter()).into_iter().collect::<Vec<_>>(), [(kinds[1], 1)]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let noted = Noted::default();
        let names: Vec<_> = (0..=MOST_REMEMBERED).map(|number| format!("N{number}")).collect();
        noted.remember(names.iter().map(|name| ("Counter", name.as_str(), 1)));
        assert_eq!(noted.0.read().unwrap().count, 1);
    }
}
