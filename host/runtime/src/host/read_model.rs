//! The import `read-model`: hands a guest's reads and writes on to the rows that were lent to its call.
//!
//! A projection that catches up calls it several times an event. So its functions are defined by hand and not by what
//! `bindgen!` makes: texts are looked at where they lie in the guest's memory, and nothing is copied but what is kept.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use super::{Halt, Host};
use crate::bindings::domain::yado::domain::read_model::{Condition, Selection};
use crate::convert;
use crate::rows::{Rows, RowsError};

/// The name under which guests import it.
const INTERFACE: &str = "yado:domain/read-model@0.1.0";

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

    /// The host's own limit on texts counts each call of an import by itself. The rows of a batch are kept until they
    /// are committed, so here the whole batch counts.
    fn count(&mut self, parts: &[&str]) -> Result<(), Halt> {
        if self.rows.is_some() && !self.writable {
            return Err(Halt::Misuse("a query tried to write to its read model"));
        }
        let bytes = parts.iter().map(|part| part.len()).sum();
        self.left = self.left.checked_sub(bytes).ok_or(Halt::Output(self.output_bytes))?;
        Ok(())
    }
}

/// A call of the guest's, in which its texts are looked at.
struct Call<'a>(StoreContextMut<'a, Host>);

impl Call<'_> {
    /// Reads with texts of the guest.
    fn read<const N: usize, T>(
        &mut self,
        texts: [WasmStr; N],
        body: impl FnOnce(&mut dyn Rows, [&str; N]) -> Result<T, RowsError>,
    ) -> wasmtime::Result<T> {
        self.with(texts, |_, _| Ok(()), body)
    }

    /// Writes texts of the guest.
    fn write<const N: usize>(
        &mut self,
        texts: [WasmStr; N],
        body: impl FnOnce(&mut dyn Rows, [&str; N]) -> Result<(), RowsError>,
    ) -> wasmtime::Result<()> {
        self.with(texts, Lent::count, body)
    }

    /// The rows are taken out for as long as texts in the guest's memory are looked at: both are the store's.
    fn with<const N: usize, T>(
        &mut self,
        texts: [WasmStr; N],
        count: impl FnOnce(&mut Lent, &[&str]) -> Result<(), Halt>,
        body: impl FnOnce(&mut dyn Rows, [&str; N]) -> Result<T, RowsError>,
    ) -> wasmtime::Result<T> {
        let mut lent = std::mem::take(&mut self.0.data_mut().lent);
        let outcome = self.look(&texts, |texts| {
            count(&mut lent, &texts)?;
            let rows = lent.rows.as_deref_mut();
            let rows = rows.ok_or(Halt::Misuse("read-model was called outside of projections and queries"))?;
            Ok(body(rows, texts)?)
        });
        self.0.data_mut().lent = lent;
        outcome
    }

    fn look<const N: usize, T>(
        &self,
        texts: &[WasmStr; N],
        body: impl FnOnce([&str; N]) -> Result<T, Halt>,
    ) -> wasmtime::Result<T> {
        let mut seen = [const { std::borrow::Cow::Borrowed("") }; N];
        for (seen, text) in seen.iter_mut().zip(texts) {
            *seen = text.to_str(&self.0)?;
        }
        Ok(body(seen.each_ref().map(AsRef::as_ref))?)
    }
}

/// Lets guests import it.
pub(super) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    let mut functions = linker.instance(INTERFACE)?;
    functions.func_wrap("at", |store, (position,): (u64,)| Call(store).write([], |rows, []| rows.at(position)))?;
    functions.func_wrap("get", |store, (model, key): (WasmStr, WasmStr)| -> wasmtime::Result<(Option<Arc<str>>,)> {
        Ok((Call(store).read([model, key], |rows, [model, key]| rows.get(model, key))?,))
    })?;
    functions.func_wrap("put", |store, (model, row): (WasmStr, WasmStr)| {
        Call(store).write([model, row], |rows, [model, row]| rows.put(model, row))
    })?;
    functions.func_wrap("patch", |store, (model, key, fields): (WasmStr, WasmStr, WasmStr)| {
        Call(store).write([model, key, fields], |rows, [model, key, fields]| rows.patch(model, key, fields))
    })?;
    functions.func_wrap("add", |store, (model, key, field, amount): (WasmStr, WasmStr, WasmStr, WasmStr)| {
        let texts = [model, key, field, amount];
        Call(store).write(texts, |rows, [model, key, field, amount]| rows.add(model, key, field, amount))
    })?;
    functions.func_wrap("delete", |store, (model, key): (WasmStr, WasmStr)| {
        Call(store).write([model, key], |rows, [model, key]| rows.delete(model, key))
    })?;
    functions.func_wrap("find", |store, (model, selection): (WasmStr, Selection)| {
        let selection = convert::selection(selection);
        Ok((Call(store).read([model], |rows, [model]| rows.find(model, selection))?,))
    })?;
    functions.func_wrap("count", |store, (model, conditions): (WasmStr, Vec<Condition>)| {
        let conditions = convert::conditions(conditions);
        Ok((Call(store).read([model], |rows, [model]| rows.count(model, conditions))?,))
    })
}
