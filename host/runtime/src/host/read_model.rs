//! The import `read-model`: hands a guest's reads and writes on to the rows that were lent to its call.

use super::{Halt, Host};
use crate::bindings::domain::yado::domain::read_model::{Condition, Host as Import, Selection};
use crate::convert;
use crate::rows::Rows;

/// The rows that a call may use, if any.
#[derive(Default)]
pub(crate) struct Lent {
    rows: Option<Box<dyn Rows>>,
    writable: bool,
    output_bytes: usize,
    left: usize,
}

impl Lent {
    pub(super) fn begin(&mut self, output_bytes: usize) {
        (self.output_bytes, self.left) = (output_bytes, output_bytes);
    }

    /// Exchanges what is lent for what is given: rows before a call, nothing after it.
    pub(crate) fn exchange(&mut self, rows: &mut Option<Box<dyn Rows>>, writable: bool) {
        std::mem::swap(&mut self.rows, rows);
        self.writable = writable;
    }

    fn read(&mut self) -> Result<&mut dyn Rows, Halt> {
        self.rows.as_deref_mut().ok_or(Halt::Misuse("read-model was called outside of projections and queries"))
    }

    /// The host's own limit on copies counts each call of an import by itself. The rows of a batch are kept until they
    /// are committed, so here the whole batch counts.
    fn write(&mut self, parts: &[&str]) -> Result<&mut dyn Rows, Halt> {
        if self.rows.is_some() && !self.writable {
            return Err(Halt::Misuse("a query tried to write to its read model"));
        }
        let bytes = parts.iter().map(|part| part.len()).sum();
        self.left = self.left.checked_sub(bytes).ok_or(Halt::Output(self.output_bytes))?;
        self.read()
    }
}

impl Import for Host {
    fn at(&mut self, position: u64) -> wasmtime::Result<()> {
        Ok(self.lent.write(&[])?.at(position).map_err(Halt::from)?)
    }

    fn get(&mut self, model: String, key: String) -> wasmtime::Result<Option<String>> {
        Ok(self.lent.read()?.get(&model, &key).map_err(Halt::from)?)
    }

    fn put(&mut self, model: String, row: String) -> wasmtime::Result<()> {
        Ok(self.lent.write(&[&model, &row])?.put(&model, row).map_err(Halt::from)?)
    }

    fn patch(&mut self, model: String, key: String, fields: String) -> wasmtime::Result<()> {
        Ok(self.lent.write(&[&model, &key, &fields])?.patch(&model, &key, fields).map_err(Halt::from)?)
    }

    fn add(&mut self, model: String, key: String, field: String, amount: String) -> wasmtime::Result<()> {
        let rows = self.lent.write(&[&model, &key, &field, &amount])?;
        Ok(rows.add(&model, &key, &field, &amount).map_err(Halt::from)?)
    }

    fn delete(&mut self, model: String, key: String) -> wasmtime::Result<()> {
        Ok(self.lent.write(&[&model, &key])?.delete(&model, &key).map_err(Halt::from)?)
    }

    fn find(&mut self, model: String, selection: Selection) -> wasmtime::Result<Vec<String>> {
        Ok(self.lent.read()?.find(&model, convert::selection(selection)).map_err(Halt::from)?)
    }

    fn count(&mut self, model: String, conditions: Vec<Condition>) -> wasmtime::Result<u64> {
        Ok(self.lent.read()?.count(&model, convert::conditions(conditions)).map_err(Halt::from)?)
    }
}
