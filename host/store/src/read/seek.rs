//! From a mark to a condition in SQL: which rows come after a place in an order, and which before.
//!
//! Where all columns have one direction and always hold something, it is one comparison of rows, which an index over these
//! columns answers by beginning to read at the place. In all other cases it is spelled out column by column.

use super::order::Sorting;
use super::select::{Dialect, qualified};
use super::sql::Sql;
use crate::cell::Cell;
use crate::{Column, Error, Mark, Result, Table};

/// On which side of a place rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    After,
    Before,
}

/// A column of the order, and what the mark says of it.
struct Step {
    /// As it is called in the statement.
    name: String,
    /// Whether greater values are on the side that is wanted.
    greater: bool,
    nullable: bool,
    cell: Cell,
}

/// Pushes ` and ` with the condition, if there is a mark.
pub(super) fn push<D: Dialect>(
    dialect: &D,
    sql: &mut Sql<D::Bound>,
    table: &Table,
    sorting: &Sorting<'_>,
    mark: Option<&Mark>,
    side: Side,
) -> Result<()> {
    let Some(mark) = mark else { return Ok(()) };
    let steps = steps(table, sorting, mark, side)?;
    let one_way = steps.windows(2).all(|pair| matches!(pair, [a, b] if a.greater == b.greater));
    sql.push(" and ");
    if one_way && steps.iter().all(|step| !step.nullable) {
        row(dialect, sql, steps);
    } else {
        // It follows from what comes then, and an index can begin with it.
        if let Some(first) = steps.first().filter(|first| !first.nullable) {
            sql.push(format_args!("{} {}= ", first.name, operator(first)));
            dialect.value(sql, first.cell.clone());
            sql.push(" and ");
        }
        chain(dialect, sql, &steps, side);
    }
    Ok(())
}

fn steps(table: &Table, sorting: &Sorting<'_>, mark: &Mark, side: Side) -> Result<Vec<Step>> {
    let order = sorting.by();
    if order.len() != mark.values.len() {
        return Err(Error::Invalid(format!(
            "a place in an order by {} columns of {} is given by as many values, not by {}",
            order.len(),
            table.name,
            mark.values.len()
        )));
    }
    let is_greater = |descending: bool| descending == (side == Side::Before);
    let mut steps = Vec::with_capacity(order.len() + 1);
    for (by, value) in order.iter().zip(&mark.values) {
        // Where relations lead nowhere there is nothing, whatever the column must hold.
        let column = Column { nullable: by.nullable, ..by.column.clone() };
        let cell = Cell::from_json(&column, value)?;
        steps.push(Step { name: by.name.clone(), greater: is_greater(by.descending), nullable: by.nullable, cell });
    }
    let key = table.known(table.key.as_str())?;
    steps.push(Step {
        name: qualified(table, &key.name),
        greater: is_greater(sorting.is_key_descending()),
        nullable: key.nullable,
        cell: Cell::from_json(key, &mark.key.clone().into())?,
    });
    Ok(steps)
}

const fn operator(step: &Step) -> &'static str {
    if step.greater { ">" } else { "<" }
}

/// Pushes `(a, b, key) > (…, …, …)`.
fn row<D: Dialect>(dialect: &D, sql: &mut Sql<D::Bound>, steps: Vec<Step>) {
    let operator = steps.first().map_or("=", operator);
    let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
    sql.push(format_args!("({}) {operator} (", names.join(", ")));
    for (at, step) in steps.into_iter().enumerate() {
        sql.push(if at == 0 { "" } else { ", " });
        dialect.value(sql, step.cell);
    }
    sql.push(")");
}

/// Pushes `(a > … or (a = … and (…)))`, where what holds nothing comes last, whatever the direction.
fn chain<D: Dialect>(dialect: &D, sql: &mut Sql<D::Bound>, steps: &[Step], side: Side) {
    let Some((step, rest)) = steps.split_first() else {
        sql.push("false");
        return;
    };
    let name = &step.name;
    sql.push("(");
    match (&step.cell, side) {
        (Cell::Null, Side::After) => {
            sql.push("false");
        }
        (Cell::Null, Side::Before) => {
            sql.push(format_args!("{name} is not null"));
        }
        (cell, side) => {
            sql.push(format_args!("{name} {} ", operator(step)));
            dialect.value(sql, cell.clone());
            if step.nullable && side == Side::After {
                sql.push(format_args!(" or {name} is null"));
            }
        }
    }
    if !rest.is_empty() {
        sql.push(format_args!(" or ({name} "));
        if step.cell == Cell::Null {
            sql.push("is null");
        } else {
            sql.push("= ");
            dialect.value(sql, step.cell.clone());
        }
        sql.push(" and ");
        chain(dialect, sql, rest, side);
        sql.push(")");
    }
    sql.push(")");
}
