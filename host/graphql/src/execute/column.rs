//! What a field has come to for all objects of a level: one text, and of each object where in it its value is.
//!
//! So there is no allocation for a value, nor for an object: a level has a text for each of its fields that are looked up, and
//! one for all of its objects. Several objects may have the same value, which is then written once.

use std::borrow::Cow;

/// What a field has come to for all objects of a level, as JSON.
#[derive(Debug)]
pub(super) struct Column {
    text: String,
    cells: Vec<Cell>,
}

/// What it has come to for one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// It could not be had, and why has been told.
    Failed,
    /// Nothing.
    Null,
    /// What stands between these places of the text.
    Text(usize, usize),
}

/// Nothing, as it is written.
pub(super) const NULL: &str = "null";

impl Column {
    /// One without values yet, with room for so many of them, and for so much text.
    pub(super) fn with_room(values: usize, bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), cells: Vec::with_capacity(values) }
    }

    /// The same value for so many objects.
    pub(super) fn same(text: String, count: usize) -> Self {
        Self { cells: vec![Cell::Text(0, text.len()); count], text }
    }

    /// What has no value anywhere: it has failed where it must not be null.
    pub(super) fn nowhere(required: bool, count: usize) -> Self {
        Self { text: String::new(), cells: vec![if required { Cell::Failed } else { Cell::Null }; count] }
    }

    /// Adds a value: what this writes, or what it says instead. What has been written for that is taken back.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut String) -> Option<Cell>) {
        let from = self.text.len();
        let cell = match write(&mut self.text) {
            None => Cell::Text(from, self.text.len()),
            Some(cell) => {
                self.text.truncate(from);
                cell
            }
        };
        self.cells.push(cell);
    }

    /// The same values for other objects: for each of them, which value it has. For those without it is said what they have
    /// instead.
    pub(super) fn spread(self, which: impl Iterator<Item = Option<usize>>, missing: Cell) -> Self {
        let cells = which.map(|own| own.map_or(missing, |own| self.cell(own))).collect();
        Self { text: self.text, cells }
    }

    /// It with null where it has failed.
    pub(super) fn or_null(mut self) -> Self {
        for cell in self.cells.iter_mut().filter(|cell| **cell == Cell::Failed) {
            *cell = Cell::Null;
        }
        self
    }

    pub(super) fn cell(&self, at: usize) -> Cell {
        self.cells.get(at).copied().unwrap_or(Cell::Failed)
    }

    /// Writes the value of an object. Says whether it could be had.
    pub(super) fn write(&self, at: usize, out: &mut String) -> bool {
        match self.shown(self.cell(at)) {
            Some(text) => out.push_str(text),
            None => return false,
        }
        true
    }

    /// How long all values are together.
    pub(super) const fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The values, each by itself; null for what could not be had.
    pub(super) fn into_texts(self) -> Vec<Cow<'static, str>> {
        match self.cells.as_slice() {
            // The only one is all that there is, and is not copied.
            [Cell::Text(0, to)] if *to == self.text.len() => vec![Cow::Owned(self.text)],
            cells => cells
                .iter()
                .map(|cell| match cell {
                    Cell::Text(..) => Cow::Owned(self.shown(*cell).unwrap_or(NULL).to_owned()),
                    Cell::Failed | Cell::Null => Cow::Borrowed(NULL),
                })
                .collect(),
        }
    }

    fn shown(&self, cell: Cell) -> Option<&str> {
        match cell {
            Cell::Failed => None,
            Cell::Null => Some(NULL),
            // Nothing else than what was written says where values begin and end.
            Cell::Text(from, to) => Some(self.text.get(from..to).unwrap_or(NULL)),
        }
    }
}
