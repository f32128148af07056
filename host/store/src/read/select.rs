//! From a selection to SQL: one statement with parameters. What the engines say differently is a [`Dialect`].
//!
//! Conditions are true or false, never unknown: a comparison with a column that holds nothing is false, and what is not
//! equal is the opposite of what is equal. SQL's third value is taken out of `not` by `is not true`; under `and` and `or`
//! it makes no difference, because a row is kept only for what is true.

use sqlx::{Database, QueryBuilder};
use yado_model::{Name, TenantId};

use crate::cell::Cell;
use crate::limits::{self, DEEPEST_FILTER, LARGEST_ANSWER, LARGEST_FILTER, LONGEST_LIST, LONGEST_NEEDLE};
use crate::table::{TENANT, quoted};
use crate::{Column, Each, Error, Filter, Kind, Op, Order, Result, Select, Table};

/// The place of a row among those of the same value. No column has this name, because names begin with a letter.
const PLACE: &str = "_place";

/// What the engines say differently.
pub(crate) trait Dialect {
    type Database: Database;

    /// Pushes a tenant.
    fn tenant(&self, sql: &mut QueryBuilder<Self::Database>, tenant: &TenantId);

    /// Pushes a value to compare a column of a kind with.
    fn value(&self, sql: &mut QueryBuilder<Self::Database>, cell: Cell);

    /// Pushes ` in (…)`, or what the engine has instead. There is at least one value, and none of them is null.
    fn among(&self, sql: &mut QueryBuilder<Self::Database>, kind: Kind, cells: Vec<Cell>);

    /// Pushes whether a column's text contains, begins or ends with another, without regard to case.
    fn matches(&self, sql: &mut QueryBuilder<Self::Database>, column: &str, place: Place, needle: &str);

    /// How a column is read, so that it decodes into a cell.
    fn read(&self, column: &str, kind: Kind) -> String;
}

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Start,
    Anywhere,
    End,
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
    push_filter(dialect, &mut sql, table, select.filter.as_ref())?;
    push_order(&mut sql, table, &select.order)?;
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
    push_order(&mut sql, table, &select.order)?;
    sql.push(format_args!(") as {PLACE}"));
    push_from(dialect, &mut sql, table, tenant);
    let among = Filter::In { field: each.field.clone(), values: each.values.clone() };
    push_filter(dialect, &mut sql, table, Some(&among))?;
    push_filter(dialect, &mut sql, table, select.filter.as_ref())?;
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
    push_filter(dialect, &mut sql, table, filter)?;
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
fn qualified(table: &Table, column: &Name) -> String {
    format!("{}.{}", quoted(&table.name), quoted(column.as_str()))
}

fn push_from<D: Dialect>(dialect: &D, sql: &mut QueryBuilder<D::Database>, table: &Table, tenant: &TenantId) {
    sql.push(format_args!(" from {} where {TENANT} = ", quoted(&table.name)));
    dialect.tenant(sql, tenant);
}

fn push_order<D: Database>(sql: &mut QueryBuilder<D>, table: &Table, orders: &[Order]) -> Result<()> {
    sql.push(" order by ");
    limits::within("the columns of an order", orders.len(), table.columns.len())?;
    for order in orders {
        let column = table.known(&order.field)?;
        if column.kind == Kind::Json {
            return Err(Error::Invalid(format!("column {} holds JSON, which has no order", column.name)));
        }
        let direction = if order.descending { "desc" } else { "asc" };
        // Where nothing is null, saying where nulls go would only keep an index from being read backwards.
        let nulls = if column.nullable { " nulls last" } else { "" };
        sql.push(format_args!("{} {direction}{nulls}, ", qualified(table, &column.name)));
    }
    sql.push(qualified(table, &table.key));
    Ok(())
}

fn push_filter<D: Dialect>(
    dialect: &D,
    sql: &mut QueryBuilder<D::Database>,
    table: &Table,
    filter: Option<&Filter>,
) -> Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    sql.push(" and ");
    Compiler { dialect, table, conditions: 0 }.push(sql, filter, 1)
}

struct Compiler<'a, D> {
    dialect: &'a D,
    table: &'a Table,
    conditions: usize,
}

impl<D: Dialect> Compiler<'_, D> {
    fn push(&mut self, sql: &mut QueryBuilder<D::Database>, filter: &Filter, depth: usize) -> Result<()> {
        limits::within("the depth of a filter", depth, DEEPEST_FILTER)?;
        self.conditions += 1;
        limits::within("the conditions of a filter", self.conditions, LARGEST_FILTER)?;
        match filter {
            Filter::All(parts) => self.join(sql, parts, " and ", "true", depth),
            Filter::Any(parts) => self.join(sql, parts, " or ", "false", depth),
            Filter::Not(inner) => {
                sql.push("((");
                self.push(sql, inner, depth + 1)?;
                sql.push(") is not true)");
                Ok(())
            }
            Filter::Null { field } => {
                let column = self.table.known(field)?;
                sql.push(format_args!("{} is null", qualified(self.table, &column.name)));
                Ok(())
            }
            Filter::In { field, values } => {
                let column = self.comparable(field)?;
                limits::within("the values of a list", values.len(), LONGEST_LIST)?;
                let cells = values.iter().map(|value| operand(column, value)).collect::<Result<Vec<_>>>()?;
                if cells.is_empty() {
                    sql.push("false");
                } else {
                    sql.push(qualified(self.table, &column.name));
                    self.dialect.among(sql, column.kind, cells);
                }
                Ok(())
            }
            Filter::Compare { field, op, value } => self.compare(sql, field, *op, value),
        }
    }

    fn join(
        &mut self,
        sql: &mut QueryBuilder<D::Database>,
        parts: &[Filter],
        word: &str,
        empty: &str,
        depth: usize,
    ) -> Result<()> {
        if parts.is_empty() {
            sql.push(empty);
            return Ok(());
        }
        for (at, part) in parts.iter().enumerate() {
            sql.push(if at == 0 { "(" } else { word });
            self.push(sql, part, depth + 1)?;
        }
        sql.push(")");
        Ok(())
    }

    fn compare(
        &self,
        sql: &mut QueryBuilder<D::Database>,
        field: &str,
        op: Op,
        value: &serde_json::Value,
    ) -> Result<()> {
        let column = self.comparable(field)?;
        let name = qualified(self.table, &column.name);
        let cell = operand(column, value)?;
        let (place, operator) = match op {
            Op::Equal => (None, "="),
            Op::NotEqual => (None, "is distinct from"),
            Op::Less => (None, "<"),
            Op::LessOrEqual => (None, "<="),
            Op::Greater => (None, ">"),
            Op::GreaterOrEqual => (None, ">="),
            Op::Contains => (Some(Place::Anywhere), ""),
            Op::StartsWith => (Some(Place::Start), ""),
            Op::EndsWith => (Some(Place::End), ""),
        };
        match (place, cell) {
            (None, cell) => {
                sql.push(format_args!("{name} {operator} "));
                self.dialect.value(sql, cell);
            }
            (Some(place), Cell::Text(needle)) => {
                limits::within("the bytes of a text to search for", needle.len(), LONGEST_NEEDLE)?;
                self.dialect.matches(sql, &name, place, &needle);
            }
            (Some(_), _) => {
                return Err(Error::Invalid(format!("column {} holds no text to search in", column.name)));
            }
        }
        Ok(())
    }

    fn comparable(&self, field: &str) -> Result<&Column> {
        let column = self.table.known(field)?;
        if column.kind == Kind::Json {
            return Err(Error::Invalid(format!(
                "column {} holds JSON, which compares with nothing but null",
                column.name
            )));
        }
        Ok(column)
    }
}

/// A value to compare with. It fits the column's kind; null is asked for by a condition of its own.
fn operand(column: &Column, value: &serde_json::Value) -> Result<Cell> {
    match Cell::from_json(column, value)? {
        Cell::Null => {
            Err(Error::Invalid(format!("column {} can't be compared with null; ask whether it is", column.name)))
        }
        cell => Ok(cell),
    }
}
