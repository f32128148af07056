//! From a mark to a condition in SQL: which rows come after a place in an order, and which before.
//!
//! Where all columns have one direction and always hold something, it is one comparison of rows, which an index over these
//! columns answers by beginning to read at the place. In all other cases it is spelled out column by column.

use super::select::{Dialect, qualified};
use super::sql::Sql;
use crate::cell::Cell;
use crate::{Error, Kind, Mark, Order, Result, Table};

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
    order: &[Order],
    mark: Option<&Mark>,
    side: Side,
) -> Result<()> {
    let Some(mark) = mark else { return Ok(()) };
    let steps = steps(table, order, mark, side)?;
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

fn steps(table: &Table, order: &[Order], mark: &Mark, side: Side) -> Result<Vec<Step>> {
    if order.len() != mark.values.len() {
        return Err(Error::Invalid(format!(
            "a place in an order by {} columns of {} is given by as many values, not by {}",
            order.len(),
            table.name,
            mark.values.len()
        )));
    }
    let step = |name: &str, descending: bool, value: &serde_json::Value| {
        let column = table.known(name)?;
        if column.kind == Kind::Json {
            return Err(Error::Invalid(format!("column {} holds JSON, which has no order", column.name)));
        }
        Ok(Step {
            name: qualified(table, &column.name),
            greater: descending == (side == Side::Before),
            nullable: column.nullable,
            cell: Cell::from_json(column, value)?,
        })
    };
    let columns = order.iter().zip(&mark.values);
    let mut steps =
        columns.map(|(order, value)| step(&order.field, order.descending, value)).collect::<Result<Vec<_>>>()?;
    let descending = order.last().is_some_and(|order| order.descending);
    steps.push(step(table.key.as_str(), descending, &mark.key.clone().into())?);
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
