//! From an order to SQL: by which columns rows are put in order, and which tables they are of.
//!
//! A column that to-one relations lead to is that of a table which is joined. A row has at most one row there, because it is
//! looked for by its key, and none at all leaves the row where it is: so a join neither adds rows nor takes any away, and
//! what is not there is null. Orders that begin along the same relations share the joins.
//!
//! No index serves such an order: all rows that are asked for are read, with what they lead to, before the first of them is
//! known.

use yado_model::TenantId;

use super::filter::ends;
use super::select::{Dialect, qualified};
use super::sql::{Bound, Sql};
use crate::limits::{self, DEEPEST_RELATION, MOST_RELATIONS};
use crate::table::{TENANT, quoted};
use crate::{Column, Error, Kind, Link, Order, Result, Table};

/// An order, held against its tables.
#[derive(Default)]
pub(super) struct Sorting<'a> {
    joins: Vec<Join<'a>>,
    by: Vec<By<'a>>,
}

/// A column of an order.
pub(super) struct By<'a> {
    /// As it is called in the statement.
    pub(super) name: String,
    pub(super) column: &'a Column,
    /// Whether there may be nothing in it, which comes last.
    pub(super) nullable: bool,
    pub(super) descending: bool,
    /// Whether relations lead to it, so that it is none of the row's own.
    pub(super) is_related: bool,
}

/// Rows that others lead to.
struct Join<'a> {
    /// What they are called in the statement, quoted.
    name: String,
    /// The column that leads to them, as it is called in the statement.
    from: String,
    link: &'a Link,
}

impl<'a> Sorting<'a> {
    /// Holds an order of a table's rows against the table and those that relations lead to.
    pub(super) fn of(table: &'a Table, orders: &'a [Order]) -> Result<Self> {
        let mut all = Self::default();
        for order in orders {
            let (mut of, mut rows) = (table, quoted(&table.name));
            limits::within(
                "the relations of an order that lead on from one to the next",
                order.through.len(),
                DEEPEST_RELATION,
            )?;
            for link in &order.through {
                rows = all.joined(of, &rows, link)?;
                of = &link.table;
            }
            let column = of.known(&order.field)?;
            if column.kind == Kind::Json {
                return Err(Error::Invalid(format!("column {} holds JSON, which has no order", column.name)));
            }
            let is_related = !order.through.is_empty();
            all.by.push(By {
                name: format!("{rows}.{}", quoted(column.name.as_str())),
                column,
                nullable: column.nullable || is_related,
                descending: order.descending,
                is_related,
            });
        }
        let joined: usize = all.joins.iter().map(|join| join.link.table.columns.len()).sum();
        limits::within("the columns of an order", orders.len(), table.columns.len() + joined)?;
        Ok(all)
    }

    /// What the rows are called that a relation leads to from rows of a table, which have this name.
    fn joined(&mut self, table: &'a Table, rows: &str, link: &'a Link) -> Result<String> {
        let (from, to) = ends(table, link)?;
        if to.name != link.table.key {
            return Err(Error::Invalid(format!(
                "rows of {} can't be put in order by column {} of {}, of which there may be several",
                table.name, to.name, link.table.name
            )));
        }
        let from = format!("{rows}.{}", quoted(from.name.as_str()));
        if let Some(known) = self.joins.iter().find(|known| known.from == from && known.link == link) {
            return Ok(known.name.clone());
        }
        // The names of tables begin with other letters.
        let name = format!("\"_o{}\"", self.joins.len() + 1);
        self.joins.push(Join { name: name.clone(), from, link });
        limits::within("the relations of an order", self.joins.len(), MOST_RELATIONS)?;
        Ok(name)
    }

    /// Its columns, the first one first.
    pub(super) fn by(&self) -> &[By<'a>] {
        &self.by
    }

    /// Whether the key, which is the last column of every order, comes down. It has the direction of the one before it, so
    /// that one index serves both.
    pub(super) fn is_key_descending(&self) -> bool {
        self.by.last().is_some_and(|by| by.descending)
    }

    /// Pushes the tables of a statement, and the condition that rows are a tenant's.
    pub(super) fn push_from<D: Dialect>(&self, dialect: &D, sql: &mut Sql<D::Bound>, table: &Table, tenant: &TenantId) {
        sql.push(format_args!(" from {}", quoted(&table.name)));
        for Join { name, from, link } in &self.joins {
            sql.push(format_args!(" left join {} as {name} on {name}.{TENANT} = ", quoted(&link.table.name)));
            dialect.tenant(sql, tenant);
            sql.push(format_args!(" and {name}.{} = {from}", quoted(link.table.key.as_str())));
        }
        sql.push(format_args!(" where {}.{TENANT} = ", quoted(&table.name)));
        dialect.tenant(sql, tenant);
    }

    /// Pushes its columns, or those of its opposite.
    pub(super) fn push<B: Bound>(&self, sql: &mut Sql<B>, backward: bool) {
        for (at, by) in self.by.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            // Where nothing is null, saying where nulls go would only keep an index from being read backwards.
            let nulls = match (by.nullable, backward) {
                (false, _) => "",
                (true, false) => " nulls last",
                (true, true) => " nulls first",
            };
            sql.push(format_args!("{comma}{} {}{nulls}", by.name, direction(by.descending, backward)));
        }
    }

    /// The same, and the key as the last column, or as the only one.
    pub(super) fn push_with_key<B: Bound>(&self, sql: &mut Sql<B>, table: &Table, backward: bool) {
        self.push(sql, backward);
        let comma = if self.by.is_empty() { "" } else { ", " };
        let direction = direction(self.is_key_descending(), backward);
        sql.push(format_args!("{comma}{} {direction}", qualified(table, &table.key)));
    }
}

const fn direction(descending: bool, backward: bool) -> &'static str {
    if descending == backward { "asc" } else { "desc" }
}
