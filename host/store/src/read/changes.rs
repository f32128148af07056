//! The changes to one table, checked and taken apart into what an engine writes at once.

use std::collections::HashSet;

use yado_model::TenantId;

use crate::cell::Cell;
use crate::limits::{self, LONGEST_KEY};
use crate::{Error, Result, Row, Table, TableWrites, Write};

/// Rows to put and rows to delete. No row is in both, or in one twice.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    pub(crate) table: &'a Table,
    /// The cells are in the order of [`Table::stored`].
    pub(crate) puts: Vec<(&'a TenantId, Vec<Cell>)>,
    pub(crate) deletes: Vec<(&'a TenantId, &'a str)>,
}

impl<'a> Changes<'a> {
    pub(crate) fn of(writes: &'a TableWrites<'a>) -> Result<Self> {
        let table = writes.table;
        table.check()?;
        let mut seen = HashSet::new();
        let mut changes = Self { table, puts: Vec::new(), deletes: Vec::new() };
        for (tenant, write) in &writes.writes {
            let key = match write {
                Write::Put(row) => row.get(table.key.as_str()).and_then(serde_json::Value::as_str),
                Write::Delete(key) => Some(key.as_str()),
            };
            let key = key.ok_or_else(|| {
                Error::Invalid(format!("a row of {} has no text in its key, column {}", table.name, table.key))
            })?;
            limits::text(&format!("the key of a row of {}", table.name), key, LONGEST_KEY)?;
            if !seen.insert((tenant, key)) {
                return Err(Error::Invalid(format!("the row {key:?} of {} is written twice at once", table.name)));
            }
            match write {
                Write::Put(row) => changes.puts.push((tenant, cells(table, row)?)),
                Write::Delete(key) => changes.deletes.push((tenant, key)),
            }
        }
        Ok(changes)
    }
}

/// What becomes of a row that is there already, given the names of the columns beside its key.
pub(crate) fn update<'a>(columns: impl Iterator<Item = &'a String>) -> String {
    let columns: Vec<_> = columns.map(|name| format!("{name} = excluded.{name}")).collect();
    if columns.is_empty() { "do nothing".into() } else { format!("do update set {}", columns.join(", ")) }
}

fn cells(table: &Table, row: &Row) -> Result<Vec<Cell>> {
    if let Some(stranger) = row.keys().find(|field| table.column(field).is_none()) {
        return table.known(stranger).map(|_| Vec::new());
    }
    let cell = |column: &crate::Column| {
        let value = row.get(column.name.as_str()).unwrap_or(&serde_json::Value::Null);
        let cell = Cell::from_json(column, value)?;
        if let Cell::Text(text) = &cell
            && table.is_indexed(&column.name)
        {
            limits::within(
                &format!("the bytes of column {}, which has an index,", column.name),
                text.len(),
                LONGEST_KEY,
            )?;
        }
        Ok(cell)
    };
    Ok(table.with_folded(table.columns.iter().map(cell).collect::<Result<_>>()?))
}
