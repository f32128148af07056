//! Which position a caller wants to see, and which one it has seen.
//!
//! Read models follow the log, each at its own pace. Whoever has recorded something, or has been shown something, holds a
//! position, and may ask for what is not older. A field that is asked so waits before anything of it is read, for its own
//! read model and for all those of what is selected below it: a row and its relations then show at least as much.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_graphql::Positioned;
use async_graphql::parser::types::OperationDefinition;
use futures::future::join_all;
use serde_json::Value as Json;
use yado_engine as engine;
use yado_model::{Code, Name, Position};

use super::tree::Selected;
use super::{Execution, tree};
use crate::api::{Field, MIN_POSITION, Resolve};
use crate::backend::Session;
use crate::error::Error;
use crate::input::{self, Arguments};
use crate::select;

/// The position up to which everything was in what has been read, whichever read model it was of.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Option<Position>>);

impl Seen {
    fn note(&self, position: Position) {
        let mut least = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *least = Some(least.map_or(position, |least| least.min(position)));
    }

    /// The least of them; nothing, if nothing has been read.
    pub(super) fn least(self) -> Option<Position> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Read models that were waited for in vain, with the least positions that they were to come to. Until one has come there,
/// nobody waits for it to come there or further: one that stands still, or is far behind, would hold up each of those that are
/// told of rows beside it.
#[derive(Debug, Default)]
pub(crate) struct Lagged(Mutex<HashMap<Name, Position>>);

impl Lagged {
    /// Those of the read models that do not show a position yet, and are not known to be waited for in vain.
    pub(crate) fn behind<'m>(
        &self,
        session: &dyn Session,
        models: impl IntoIterator<Item = &'m Name>,
        wanted: Position,
    ) -> Vec<Name> {
        let is_behind = |model: &&Name| {
            let reached = session.position(model);
            reached < wanted && !self.is_in_vain(model, reached, wanted)
        };
        models.into_iter().filter(is_behind).cloned().collect()
    }

    /// Waits until read models show a position. What does not in time is told as it is: a subscriber is better off with a row
    /// and what was related to it a moment ago than with nothing. It is noted, and not waited for again before it has come
    /// that far.
    pub(crate) async fn wait(&self, session: &dyn Session, models: &[Name], wanted: Position) {
        let waits = models.iter().map(async |model| (model, session.caught_up(model, wanted).await));
        for (model, waited) in join_all(waits).await {
            if let Err(behind) = waited {
                tracing::debug!(%behind, "what is told does not show all that it is related to");
                // What can't be asked at present may have come there for all that is known.
                if behind.code() == Code::Lagging {
                    self.note(model, wanted);
                }
            }
        }
    }

    fn note(&self, model: &Name, wanted: Position) {
        let mut all = self.all();
        let least = all.get(model).map_or(wanted, |known| wanted.min(*known));
        all.insert(model.clone(), least);
    }

    /// Whether it is known that a read model is waited for in vain that has come to a position and is to come to another.
    fn is_in_vain(&self, model: &Name, reached: Position, wanted: Position) -> bool {
        let mut all = self.all();
        match all.get(model) {
            Some(known) if reached < *known => *known <= wanted,
            Some(_) => {
                all.remove(model);
                false
            }
            None => false,
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Name, Position>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Execution<'_> {
    /// Reads a read model, and takes note of what is seen: at least what it was known to show before that.
    pub(super) async fn read<T>(
        &self,
        model: &Name,
        rows: impl Future<Output = engine::Result<T>>,
    ) -> Result<T, Error> {
        self.read_all(std::iter::once(model), rows).await
    }

    /// The same with several read models, any of which may be read.
    pub(super) async fn read_all<'m, T>(
        &self,
        models: impl Iterator<Item = &'m Name>,
        read: impl Future<Output = engine::Result<T>>,
    ) -> Result<T, Error> {
        let position = models.map(|model| self.session.position(model)).min();
        let done = read.await?;
        if let Some(position) = position {
            self.seen.note(position);
        }
        Ok(done)
    }

    /// The read models that a guest may read to answer a named query.
    pub(super) fn models_of(&self, query: &Name) -> impl Iterator<Item = &Name> {
        let known = self.deployed.query(query);
        known.into_iter().flat_map(|known| &known.models).map(|model| &model.manifest.name)
    }

    /// Waits until a field shows what the caller wants to see, if it is one that can be asked to.
    pub(super) async fn wait_for_position(
        &self,
        field: &Field,
        arguments: &Arguments<'_>,
        one: &Selected<'_>,
    ) -> Result<(), Error> {
        let own = match &field.resolve {
            Resolve::Row { .. }
            | Resolve::Unique { .. }
            | Resolve::Rows { .. }
            | Resolve::Connection { .. }
            | Resolve::Aggregate { .. }
            | Resolve::Query { waits: true, .. } => position(arguments.get(MIN_POSITION))?,
            // An argument of that name is its author's.
            Resolve::Query { .. } => None,
            _ => return Ok(()),
        };
        let Some(wanted) = own.or(self.caller.min_position) else { return Ok(()) };
        let mut models = BTreeSet::new();
        self.models(field, one, &mut models);
        models.extend(select::related(self.api, field, arguments));
        let waits = models.into_iter().map(|model| self.session.caught_up(model, wanted));
        join_all(waits).await.into_iter().collect::<engine::Result<()>>().map_err(Error::of_query)
    }

    /// The read models of the only field of a subscription and of all that is selected below it.
    pub(crate) fn related(&self, operation: &Positioned<OperationDefinition>) -> BTreeSet<Name> {
        let selected = tree::collect(self.api, self.document, self.variables, &operation.node);
        let mut models = BTreeSet::new();
        if let Some((one, field)) = selected.first().and_then(|one| Some((one, one.field?))) {
            self.models(field, one, &mut models);
        }
        models.into_iter().cloned().collect()
    }

    /// The read models of a field and of all that is selected below it.
    fn models<'f>(&'f self, field: &'f Field, one: &Selected<'f>, models: &mut BTreeSet<&'f Name>) {
        models.extend(field.resolve.model());
        match &field.resolve {
            Resolve::Query { rows: Some(rows), .. } => models.extend([&rows.model]),
            Resolve::Query { query, .. } => models.extend(self.models_of(query)),
            _ => {}
        }
        self.models_below(one, models);
    }

    /// The read models of all that is selected below a field.
    pub(super) fn models_below<'f>(&'f self, one: &Selected<'f>, models: &mut BTreeSet<&'f Name>) {
        for below in &one.below {
            let Some(field) = below.field else { continue };
            self.models(field, below, models);
            // What is wrong with them is told when the field is read.
            let given = input::arguments(self.api, field, &below.first.node, self.variables);
            models.extend(given.iter().flat_map(|arguments| select::related(self.api, field, arguments)));
        }
    }
}

fn position(argument: Option<&Json>) -> Result<Option<Position>, Error> {
    match argument.filter(|value| !value.is_null()) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(position) => Ok(Some(Position::new(position))),
            None => Err(Error::input(format!("{MIN_POSITION} is {value}, and a position is not below 0"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_was_waited_for_in_vain_is_not_waited_for_to_come_as_far_before_it_has() {
        let (lagged, model) = (Lagged::default(), Name::parse("Ticket").unwrap());
        let is_in_vain = |reached, wanted| lagged.is_in_vain(&model, Position::new(reached), Position::new(wanted));
        assert!(!is_in_vain(5, 10));
        lagged.note(&model, Position::new(10));
        assert!(is_in_vain(5, 10) && is_in_vain(9, 11));
        assert!(!is_in_vain(5, 9), "less may be had");
        lagged.note(&model, Position::new(8));
        lagged.note(&model, Position::new(20));
        assert!(is_in_vain(7, 8) && !is_in_vain(7, 7));
        assert!(!is_in_vain(8, 20), "it goes on");
        assert!(lagged.all().is_empty());
    }
}
