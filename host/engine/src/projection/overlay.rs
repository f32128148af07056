//! What a projection's guest reads and writes during a call: a layer over the tables.
//!
//! The guest sees its own writes, those of the events before, and beneath them the tables. Rows that it is likely to ask
//! for are fetched at once; any other is fetched when it is asked for.

use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::Handle;
use yado_model::{Position, TenantId};
use yado_runtime::{Condition, Rows, RowsError, Selection};
use yado_store::{Changed, ReadStore};

use super::journal::{Change, Journal};
use super::memory::OfTenant;
use super::row::{Form, Text};
use super::unique::{self, Strokes};
use crate::catalogue::Model;
use crate::reads;

/// A layer over the tables of one projection, for one tenant.
pub(super) struct Overlay {
    models: Vec<Arc<Model>>,
    rows: OfTenant,
    tenant: TenantId,
    reads: Arc<dyn ReadStore>,
    runtime: Handle,
    /// Whether the batch is a single event, and the tables show everything before it.
    alone: bool,
    /// Whether the guest has asked for something that it may only ask for at a single event.
    asked_too_early: bool,
    /// The positions of the call's events, in order.
    positions: Vec<Position>,
    /// The event that the guest is at, as far as that is known.
    at: Option<Position>,
    /// What is told of rows, if anything is.
    journal: Option<Journal>,
    /// What is taken and released of what is unique.
    strokes: Strokes,
    /// Whether the guest has written without saying because of which event.
    unattributed: bool,
}

/// What a call leaves behind.
pub(super) struct Left {
    pub(super) rows: OfTenant,
    /// What is told of them.
    pub(super) changes: Vec<Arc<Changed>>,
    /// What they take and release of what is unique.
    pub(super) strokes: Strokes,
}

impl Overlay {
    pub(super) fn new(
        models: &[Arc<Model>],
        tenant: TenantId,
        rows: OfTenant,
        reads: Arc<dyn ReadStore>,
        runtime: Handle,
        positions: Vec<Position>,
        telling: bool,
    ) -> Self {
        // However many events it is that have become of a single one, there is no place in the log between them.
        let single = positions.first().filter(|first| positions.last() == Some(first)).copied();
        Self {
            models: models.to_vec(),
            alone: single.is_some() && !rows.is_ahead(),
            rows,
            tenant,
            reads,
            runtime,
            asked_too_early: false,
            positions,
            at: single,
            journal: telling.then(Journal::default),
            strokes: Strokes::default(),
            unattributed: false,
        }
    }

    /// Fetches rows that the guest is likely to ask for: those whose key is a stream's id.
    pub(super) fn prefetch<'a>(&mut self, keys: impl Iterator<Item = &'a str> + Clone) -> yado_store::Result<()> {
        for (at, model) in self.models.iter().enumerate() {
            let mut unknown: Vec<String> =
                keys.clone().filter(|key| !self.rows.knows(at, key)).map(str::to_owned).collect();
            unknown.sort_unstable();
            unknown.dedup();
            let mut pieces: Vec<_> = unknown.chunks(yado_store::limits::LONGEST_LIST).collect();
            while let Some(piece) = pieces.pop() {
                let found = self.runtime.block_on(self.reads.rows(&model.table, &self.tenant, piece, None));
                let found = match found {
                    // It is not the guest that asks for so much at once.
                    Err(yado_store::Error::TooLarge { .. }) if piece.len() > 1 => {
                        let (first, second) = piece.split_at(piece.len() / 2);
                        pieces.extend([first, second]);
                        continue;
                    }
                    // Nor is it known whether the guest wants it. If it asks for this very row, it is told what is wrong with it.
                    Err(yado_store::Error::TooLarge { .. }) => continue,
                    found => found?.into_maps()?,
                };
                for key in piece {
                    self.rows.found(at, key, None);
                }
                for (key, row) in found.into_iter().filter_map(|row| Form::of(model).stored(row)) {
                    self.rows.found(at, &key, Some(row));
                }
            }
        }
        Ok(())
    }

    /// The rows, with whatever has been written, and what is told of them.
    pub(super) fn finish(mut self) -> Left {
        self.end_event();
        let changes = self.journal.map(Journal::finish).unwrap_or_default();
        Left { rows: self.rows, changes, strokes: self.strokes }
    }

    /// The event that the guest was at last, as far as that is known.
    pub(super) const fn at(&self) -> Option<Position> {
        self.at
    }

    /// Whether the guest has written without saying because of which event, so that it has to be shown one at a time for
    /// changes to be told, or for it to be known which event takes what is unique.
    pub(super) const fn is_unattributed(&self) -> bool {
        self.unattributed
    }

    /// The event that the guest is at is over: what has become of the rows that it touched is told.
    fn end_event(&mut self) {
        let (Some(journal), Some(at)) = (&mut self.journal, self.at) else { return };
        let mut place = 0;
        for touched in journal.end() {
            let Some(model) = self.models.get(touched.model) else { continue };
            let after = self.rows.find(touched.model, &touched.key).flatten();
            let change = Change { key: touched.key, before: touched.before, after };
            if journal.tell(place, at, &self.tenant, &model.manifest.name, change) {
                place += 1;
            }
        }
    }

    /// A row is about to be written: how it was before the event is kept.
    fn touch(&mut self, at: usize, model: &Model, key: &str) -> Result<(), RowsError> {
        if self.journal.is_none() && model.table.unique.is_empty() {
            return Ok(());
        }
        if self.at.is_none() {
            self.unattributed = true;
            return Err(RowsError::Misused(
                "the projection writes without saying because of which event; its events are shown to it one by one"
                    .into(),
            ));
        }
        if self.journal.as_ref().is_none_or(|journal| journal.knows(at, key)) {
            return Ok(());
        }
        let before = self.row(at, model, key)?;
        if let Some(journal) = &mut self.journal {
            journal.touch(at, key, before);
        }
        Ok(())
    }

    /// Writes a row, or removes it.
    fn write(&mut self, at: usize, model: &Model, key: &str, row: Option<Text>) -> Result<(), RowsError> {
        self.touch(at, model, key)?;
        if let Some(event) = self.at.filter(|_| !model.table.unique.is_empty()) {
            let before = self.rows.find(at, key);
            if before.is_none_or(|before| !unique::is_same(&model.table, before.as_ref(), row.as_ref())) {
                self.strokes.add(event, &self.tenant, at, key, row.clone());
            }
        }
        self.rows.write(at, key, row);
        Ok(())
    }

    /// Whether the guest has asked for something that depends on where a batch begins, so that its events have to be shown
    /// to it one by one.
    pub(super) const fn wants_single_events(&self) -> bool {
        self.asked_too_early
    }

    /// A search reads the table as it was before the batch. What it finds must not depend on how events happen to be
    /// batched, or rows made anew would differ from those that grew; so it is for batches of one event.
    fn may_search(&mut self) -> Result<(), RowsError> {
        if self.alone {
            return Ok(());
        }
        self.asked_too_early = true;
        Err(RowsError::Misused("the projection searches; its events are shown to it one by one".into()))
    }

    /// The place of a read model, and the model.
    fn model(&self, name: &str) -> Result<(usize, Arc<Model>), RowsError> {
        let mut models = self.models.iter().enumerate();
        match models.find(|(_, model)| model.manifest.name.as_str() == name) {
            Some((at, model)) => Ok((at, model.clone())),
            None => {
                Err(RowsError::Misused(format!("the projection's manifest entry does not name the read model {name}")))
            }
        }
    }

    fn row(&mut self, at: usize, model: &Model, key: &str) -> Result<Option<Text>, RowsError> {
        if let Some(known) = self.rows.find(at, key) {
            return Ok(known);
        }
        let fetched = self.runtime.block_on(self.reads.rows(&model.table, &self.tenant, &[key.to_owned()], None));
        let fetched = fetched.and_then(yado_store::Rows::into_maps).map_err(|error| match error {
            // Another attempt would find the same row. Its stream is put aside, and others go on. A row that is still in
            // memory is not looked for, and comes to this when it is not any more.
            yado_store::Error::TooLarge { limit } => RowsError::Misused(format!(
                "the row {key} of {} takes up more than the {limit} bytes that an answer of the database may have: raise \
                 answer_bytes of [database], and have the stream shown again, or keep less in a row",
                model.manifest.name
            )),
            error => unavailable(error),
        })?;
        let row = fetched.into_iter().find_map(|row| Form::of(model).stored(row));
        let row = row.map(|(_, row)| row);
        self.rows.found(at, key, row.clone());
        Ok(row)
    }
}

impl Rows for Overlay {
    fn at(&mut self, position: u64) -> Result<(), RowsError> {
        let position = Position::new(position);
        if self.positions.binary_search(&position).is_err() || self.at.is_some_and(|at| position < at) {
            let reason = format!("the projection says that it is at the event {position}, which does not come next");
            return Err(RowsError::Misused(reason));
        }
        if self.at != Some(position) {
            self.end_event();
            self.at = Some(position);
        }
        Ok(())
    }

    fn get(&mut self, model: &str, key: &str) -> Result<Option<Text>, RowsError> {
        let (at, model) = self.model(model)?;
        self.row(at, &model, key)
    }

    fn put(&mut self, model: &str, row: &str) -> Result<(), RowsError> {
        let (at, model) = self.model(model)?;
        let (key, row) = Form::of(&model).written(row)?;
        self.write(at, &model, &key, Some(row))
    }

    fn patch(&mut self, model: &str, key: &str, fields: &str) -> Result<(), RowsError> {
        let (at, model) = self.model(model)?;
        let form = Form::of(&model);
        let changes = form.changes(key, fields)?;
        if let Some(row) = self.row(at, &model, key)? {
            self.write(at, &model, key, Some(form.changed(&row, &changes)?))?;
        }
        Ok(())
    }

    fn add(&mut self, model: &str, key: &str, field: &str, amount: &str) -> Result<(), RowsError> {
        let (at, model) = self.model(model)?;
        if let Some(row) = self.row(at, &model, key)? {
            self.write(at, &model, key, Some(Form::of(&model).added(&row, field, amount)?))?;
        }
        Ok(())
    }

    fn delete(&mut self, model: &str, key: &str) -> Result<(), RowsError> {
        let (at, model) = self.model(model)?;
        self.write(at, &model, key, None)
    }

    fn find(&mut self, model: &str, selection: Selection) -> Result<Vec<String>, RowsError> {
        self.may_search()?;
        let (_, model) = self.model(model)?;
        let select = reads::select(&model.table, selection).map_err(RowsError::Misused)?;
        let rows = self.runtime.block_on(self.reads.select(&model.table, &self.tenant, &select));
        let rows = rows.map_err(|error| match error {
            // It is the guest that says how many rows it asks for.
            yado_store::Error::TooLarge { .. } => RowsError::Misused(error.to_string()),
            error => unavailable(error),
        })?;
        let rows = rows.into_maps().map_err(unavailable)?;
        Ok(rows.into_iter().map(|row| Value::Object(row).to_string()).collect())
    }

    fn count(&mut self, model: &str, conditions: Vec<Condition>) -> Result<u64, RowsError> {
        self.may_search()?;
        let (_, model) = self.model(model)?;
        let filter = reads::filter(&model.table, conditions).map_err(RowsError::Misused)?;
        self.runtime.block_on(self.reads.count(&model.table, &self.tenant, filter.as_ref())).map_err(unavailable)
    }
}

fn unavailable(error: yado_store::Error) -> RowsError {
    RowsError::Unavailable(Box::new(error))
}
