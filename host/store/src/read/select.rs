//! From a selection to SQL: one statement with parameters. What the engines say differently is a [`Dialect`].

use sqlx::{Database, QueryBuilder};
use yado_model::{Name, TenantId};

use super::filter;
use super::search::Place;
use crate::cell::Cell;
use crate::limits::{self, LARGEST_ANSWER, LONGEST_LIST};
use crate::table::{TENANT, quoted};
use crate::{Column, Each, Error, Filter, Kind, Order, Result, Select, Table};

/// The place of a row among those of the same value. No column has this name, because names begin with a letter.
const PLACE: &str = "_place";

/// What the engines say differently.
pub(crate) trait Dialect {
    type Database: Database;

    /// What follows `exists (…)` to have it answered as it is meant.
    const EXISTS: &'static str;

    /// Pushes a tenant.
    fn tenant(&self, sql: &mut QueryBuilder<Self::Database>, tenant: &TenantId);

    /// Pushes a value to compare a column of a kind with.
    fn value(&self, sql: &mut QueryBuilder<Self::Database>, cell: Cell);

    /// Pushes ` in (…)`, or what the engine has instead. There is at least one value, and none of them is null.
    fn among(&self, sql: &mut QueryBuilder<Self::Database>, kind: Kind, cells: Vec<Cell>);

    /// Pushes whether a column's text contains, begins or ends with another, without regard to case.
    fn matches(&self, sql: &mut QueryBuilder<Self::Database>, column: &str, place: Place, needle: &str);

    /// What to read for the sum of a column's numbers.
    fn total(&self, column: &str, kind: Kind) -> Vec<String>;

    /// How a column is read, so that it decodes into a cell.
    fn read(&self, column: &str, kind: Kind) -> String;
}

/// Rows that meet a selection.
pub(crate) fn select<D: Dialect>(
    dialect: &D,
    table: &Table,
    tenant: &TenantId,
    select: &Select,
) -> Result<QueryBuilder<D::Database>>
where
    <D::Database as Database>::Arguments: Default,
{
    let limit = limits::page(select.limit)?;
    let mut sql = begin(dialect, table, tenant);
    filter::push(dialect, &mut sql, table, tenant, select.filter.as_ref())?;
    sql.push(" order by ");
    push_order(&mut sql, table, &select.order)?;
    push_key(&mut sql, table, &select.order);
    // Both are numbers of their own types; nothing else can be in them.
    sql.push(format_args!(" limit {limit} offset {}", select.offset));
    Ok(sql)
}

/// Rows that meet a selection, for each of several values of a column.
///
/// Rows are numbered within their value, and those outside of the page are left out, so that what comes over the wire is
/// what was asked for. A lateral join would stop reading earlier; but without an index it would read the table once for
/// each value, and a relation to many need not have one.
pub(crate) fn select_each<D: Dialect>(
    dialect: &D,
    table: &Table,
    tenant: &TenantId,
    each: &Each,
    select: &Select,
) -> Result<QueryBuilder<D::Database>>
where
    <D::Database as Database>::Arguments: Default,
{
    let limit = limits::page(select.limit)?;
    let all = each.values.len().saturating_mul(select.limit as usize);
    limits::within("the rows of all values together", all, LARGEST_ANSWER)?;
    let field = qualified(table, &table.known(&each.field)?.name);
    let inner = |column: &Column| format!("{} as {}", qualified(table, &column.name), quoted(column.name.as_str()));
    let outer = |column: &Column| dialect.read(&qualified(table, &column.name), column.kind);
    let columns = |one: &dyn Fn(&Column) -> String| table.columns.iter().map(one).collect::<Vec<_>>().join(", ");

    let mut sql = QueryBuilder::new(format!(
        "select {} from (select {}, row_number() over (partition by {field}",
        columns(&outer),
        columns(&inner)
    ));
    sql.push(" order by ");
    push_order(&mut sql, table, &select.order)?;
    push_key(&mut sql, table, &select.order);
    sql.push(format_args!(") as {PLACE}"));
    push_from(dialect, &mut sql, table, tenant);
    let among = Filter::In { field: each.field.clone(), values: each.values.clone() };
    filter::push(dialect, &mut sql, table, tenant, Some(&among))?;
    filter::push(dialect, &mut sql, table, tenant, select.filter.as_ref())?;
    let first = i64::from(select.offset);
    sql.push(format_args!(
        ") as {} where {PLACE} > {first} and {PLACE} <= {} order by {field}, {PLACE}",
        quoted(&table.name),
        first + limit
    ));
    Ok(sql)
}

/// How many rows meet a filter.
pub(crate) fn count<D: Dialect>(
    dialect: &D,
    table: &Table,
    tenant: &TenantId,
    filter: Option<&Filter>,
) -> Result<QueryBuilder<D::Database>>
where
    <D::Database as Database>::Arguments: Default,
{
    let mut sql = QueryBuilder::new("select count(*)");
    push_from(dialect, &mut sql, table, tenant);
    filter::push(dialect, &mut sql, table, tenant, filter)?;
    Ok(sql)
}

/// Rows by their keys.
pub(crate) fn by_keys<D: Dialect>(
    dialect: &D,
    table: &Table,
    tenant: &TenantId,
    keys: &[String],
) -> Result<QueryBuilder<D::Database>>
where
    <D::Database as Database>::Arguments: Default,
{
    limits::within("the keys of a lookup", keys.len(), LONGEST_LIST)?;
    let mut sql = begin(dialect, table, tenant);
    sql.push(format_args!(" and {}", qualified(table, &table.key)));
    // No row has a key with a NUL in it, and one engine would refuse to look.
    let keys: Vec<_> = keys.iter().filter(|key| !key.contains('\0')).cloned().map(Cell::Text).collect();
    if keys.is_empty() {
        sql.push(" is null");
    } else {
        dialect.among(&mut sql, Kind::Text, keys);
    }
    Ok(sql)
}

fn begin<D: Dialect>(dialect: &D, table: &Table, tenant: &TenantId) -> QueryBuilder<D::Database>
where
    <D::Database as Database>::Arguments: Default,
{
    let read = |column: &Column| dialect.read(&qualified(table, &column.name), column.kind);
    let columns: Vec<_> = table.columns.iter().map(read).collect();
    let mut sql = QueryBuilder::new(format!("select {}", columns.join(", ")));
    push_from(dialect, &mut sql, table, tenant);
    sql
}

/// A column of the table, and nothing else. Without the table's name, PostgreSQL would put rows in the order of what is
/// read, which may be a number's text, and SQLite would take a column that is not there for a string.
pub(super) fn qualified(table: &Table, column: &Name) -> String {
    format!("{}.{}", quoted(&table.name), quoted(column.as_str()))
}

pub(super) fn push_from<D: Dialect>(
    dialect: &D,
    sql: &mut QueryBuilder<D::Database>,
    table: &Table,
    tenant: &TenantId,
) {
    sql.push(format_args!(" from {} where {TENANT} = ", quoted(&table.name)));
    dialect.tenant(sql, tenant);
}

/// Pushes the columns of an order.
pub(super) fn push_order<D: Database>(sql: &mut QueryBuilder<D>, table: &Table, orders: &[Order]) -> Result<()> {
    limits::within("the columns of an order", orders.len(), table.columns.len())?;
    for (at, order) in orders.iter().enumerate() {
        let column = table.known(&order.field)?;
        if column.kind == Kind::Json {
            return Err(Error::Invalid(format!("column {} holds JSON, which has no order", column.name)));
        }
        let comma = if at == 0 { "" } else { ", " };
        let direction = if order.descending { "desc" } else { "asc" };
        // Where nothing is null, saying where nulls go would only keep an index from being read backwards.
        let nulls = if column.nullable { " nulls last" } else { "" };
        sql.push(format_args!("{comma}{} {direction}{nulls}", qualified(table, &column.name)));
    }
    Ok(())
}

/// Pushes the key as the last column of an order, or as the only one.
fn push_key<D: Database>(sql: &mut QueryBuilder<D>, table: &Table, orders: &[Order]) {
    let comma = if orders.is_empty() { "" } else { ", " };
    sql.push(format_args!("{comma}{}", qualified(table, &table.key)));
}
