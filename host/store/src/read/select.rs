//! From a selection to SQL: one statement with parameters. What the engines say differently is a [`Dialect`].

use yado_model::{Name, TenantId};

use super::filter;
use super::order::Sorting;
use super::search::Place;
use super::seek::{self, Side};
use super::sql::{Bound, Sql};
use crate::cell::Cell;
use crate::limits::{self, LARGEST_ANSWER, LONGEST_LIST};
use crate::table::quoted;
use crate::{Column, Each, Filter, Kind, Result, Select, Table};

/// The place of a row among those of the same value. No column has this name, because names begin with a letter.
pub(super) const PLACE: &str = "_place";

/// The longest page whose length is part of the statement: a hundred rows, and one more that shows whether there are others.
const SMALL_PAGE: i64 = 101;

/// What the engines say differently.
pub(crate) trait Dialect {
    /// What goes with a statement.
    type Bound: Bound;

    /// What follows `exists (…)` to have it answered as it is meant.
    const EXISTS: &'static str;

    /// Pushes a tenant.
    fn tenant(&self, sql: &mut Sql<Self::Bound>, tenant: &TenantId);

    /// Pushes a value to compare a column of a kind with.
    fn value(&self, sql: &mut Sql<Self::Bound>, cell: Cell);

    /// Pushes ` in (…)`, or what the engine has instead. There is at least one value, and none of them is null.
    fn among(&self, sql: &mut Sql<Self::Bound>, kind: Kind, cells: Vec<Cell>);

    /// Pushes whether a column's text contains, begins or ends with another, which is not empty.
    fn matches(&self, sql: &mut Sql<Self::Bound>, column: &str, place: Place, needle: &str);

    /// What to read for the sum of a column's numbers.
    fn total(&self, column: &str, kind: Kind) -> Vec<String>;

    /// How a column is read, so that it decodes into a cell.
    fn read(&self, column: &str, kind: Kind) -> String;
}

/// A statement, and which columns it reads, in order.
pub(crate) struct Question<'a, B> {
    pub(crate) sql: Sql<B>,
    pub(crate) columns: Vec<&'a Column>,
    /// So many of them, the last ones, are none of the row's own, but stand beside it.
    pub(crate) beside: usize,
}

/// Rows that meet a selection; of one that is meant backward, in the opposite order.
pub(crate) fn select<'a, D: Dialect>(
    dialect: &D,
    table: &'a Table,
    tenant: &TenantId,
    select: &'a Select,
) -> Result<Question<'a, D::Bound>> {
    let limit = limits::page(select.limit)?;
    let sorting = Sorting::of(table, &select.order)?;
    let columns = chosen(table, select.columns.as_deref(), None)?;
    let mut question = begin(dialect, table, tenant, columns, &sorting, select.beside);
    let sql = &mut question.sql;
    filter::push(dialect, sql, table, tenant, select.filter.as_ref())?;
    push_marks(dialect, sql, table, &sorting, select)?;
    sql.push(" order by ");
    sorting.push_with_key(sql, table, select.backward);
    push_page(dialect, sql, limit, select.offset);
    Ok(question)
}

/// Rows that meet a selection, for each of several values of a column.
///
/// Rows are numbered within their value, and those outside of the page are left out, so that what comes over the wire is
/// what was asked for. A lateral join would stop reading earlier; but without an index it would read the table once for
/// each value, and a relation to many need not have one.
pub(crate) fn select_each<'a, D: Dialect>(
    dialect: &D,
    table: &'a Table,
    tenant: &TenantId,
    each: &Each,
    select: &Select,
) -> Result<Question<'a, D::Bound>> {
    let limit = limits::page(select.limit)?;
    let all = each.values.len().saturating_mul(select.limit as usize);
    limits::within("the rows of all values together", all, LARGEST_ANSWER)?;
    let of = table.known(&each.field)?;
    let field = qualified(table, &of.name);
    let columns = chosen(table, select.columns.as_deref(), Some(of))?;
    let sorting = Sorting::of(table, &select.order)?;
    let inner = |column: &&Column| format!("{} as {}", qualified(table, &column.name), quoted(column.name.as_str()));
    let outer = |column: &&Column| dialect.read(&qualified(table, &column.name), column.kind);
    let listed = |one: &dyn Fn(&&Column) -> String| columns.iter().map(one).collect::<Vec<_>>().join(", ");

    let mut sql = Sql::new(format!(
        "select {} from (select {}, row_number() over (partition by {field}",
        listed(&outer),
        listed(&inner)
    ));
    sql.push(" order by ");
    sorting.push_with_key(&mut sql, table, select.backward);
    sql.push(format_args!(") as {PLACE}"));
    sorting.push_from(dialect, &mut sql, table, tenant);
    let among = Filter::In { field: each.field.clone(), values: each.values.clone() };
    filter::push(dialect, &mut sql, table, tenant, Some(&among))?;
    filter::push(dialect, &mut sql, table, tenant, select.filter.as_ref())?;
    push_marks(dialect, &mut sql, table, &sorting, select)?;
    sql.push(format_args!(") as {} where ", quoted(&table.name)));
    push_places(dialect, &mut sql, select.offset, limit);
    let direction = if select.backward { " desc" } else { "" };
    sql.push(format_args!(" order by {field}, {PLACE}{direction}"));
    Ok(Question { sql, columns, beside: 0 })
}

/// How many rows meet a filter.
pub(crate) fn count<D: Dialect>(
    dialect: &D,
    table: &Table,
    tenant: &TenantId,
    filter: Option<&Filter>,
) -> Result<Sql<D::Bound>> {
    let mut sql = Sql::new("select count(*)");
    push_from(dialect, &mut sql, table, tenant);
    filter::push(dialect, &mut sql, table, tenant, filter)?;
    Ok(sql)
}

/// Rows by their keys.
pub(crate) fn by_keys<'a, D: Dialect>(
    dialect: &D,
    table: &'a Table,
    tenant: &TenantId,
    keys: &[String],
    columns: Option<&[String]>,
) -> Result<Question<'a, D::Bound>> {
    limits::within("the keys of a lookup", keys.len(), LONGEST_LIST)?;
    let mut question = begin(dialect, table, tenant, chosen(table, columns, None)?, &Sorting::default(), false);
    question.sql.push(format_args!(" and {}", qualified(table, &table.key)));
    // No row has a key with a NUL in it, and one engine would refuse to look.
    let keys: Vec<_> = keys.iter().filter(|key| !key.contains('\0')).cloned().map(Cell::Text).collect();
    if keys.is_empty() {
        question.sql.push(" is null");
    } else {
        dialect.among(&mut question.sql, Kind::Text, keys);
    }
    Ok(question)
}

/// The columns to read, in the table's order: what is asked for, the key, and what rows are told apart by.
fn chosen<'a>(table: &'a Table, wanted: Option<&[String]>, of: Option<&Column>) -> Result<Vec<&'a Column>> {
    let Some(wanted) = wanted else { return Ok(table.columns.iter().collect()) };
    wanted.iter().try_for_each(|field| table.known(field).map(|_| ()))?;
    let is_wanted = |column: &&Column| {
        column.name == table.key
            || of.is_some_and(|of| of.name == column.name)
            || wanted.iter().any(|field| field == column.name.as_str())
    };
    Ok(table.columns.iter().filter(is_wanted).collect())
}

/// Reads columns of rows, and beside them, if it is wanted, those of the order that relations lead to.
fn begin<'a, D: Dialect>(
    dialect: &D,
    table: &Table,
    tenant: &TenantId,
    mut columns: Vec<&'a Column>,
    sorting: &Sorting<'a>,
    beside: bool,
) -> Question<'a, D::Bound> {
    let read = |column: &&Column| dialect.read(&qualified(table, &column.name), column.kind);
    let mut parts: Vec<String> = columns.iter().map(read).collect();
    let own = columns.len();
    for by in sorting.by().iter().filter(|by| beside && by.is_related) {
        parts.push(dialect.read(&by.name, by.column.kind));
        columns.push(by.column);
    }
    let mut sql = Sql::new(format!("select {}", parts.join(", ")));
    sorting.push_from(dialect, &mut sql, table, tenant);
    let beside = columns.len() - own;
    Question { sql, columns, beside }
}

/// A column of the table, and nothing else. Without the table's name, PostgreSQL would put rows in the order of what is
/// read, which may be a number's text, and SQLite would take a column that is not there for a string.
pub(super) fn qualified(table: &Table, column: &Name) -> String {
    format!("{}.{}", quoted(&table.name), quoted(column.as_str()))
}

/// Pushes the table, and the condition that rows are a tenant's.
pub(super) fn push_from<D: Dialect>(dialect: &D, sql: &mut Sql<D::Bound>, table: &Table, tenant: &TenantId) {
    Sorting::default().push_from(dialect, sql, table, tenant);
}

fn push_marks<D: Dialect>(
    dialect: &D,
    sql: &mut Sql<D::Bound>,
    table: &Table,
    sorting: &Sorting<'_>,
    select: &Select,
) -> Result<()> {
    seek::push(dialect, sql, table, sorting, select.after.as_ref(), Side::After)?;
    seek::push(dialect, sql, table, sorting, select.before.as_ref(), Side::Before)
}

/// Pushes a limit, and how many are skipped. Where they are parameters, all pages share one prepared statement; but then
/// PostgreSQL plans anew each time, because a plan for a page of any size looks dear to it. For a page of fifty rows that
/// takes as long as a third of reading it, so small pages from the beginning, or from a mark, are statements of their own:
/// there are few sizes of them. Of large pages, and of those that skip rows, reading takes the time.
pub(super) fn push_page<D: Dialect>(dialect: &D, sql: &mut Sql<D::Bound>, limit: i64, offset: u32) {
    if limit <= SMALL_PAGE {
        sql.push(format_args!(" limit {limit}"));
    } else {
        sql.push(" limit ");
        dialect.value(sql, Cell::Integer(limit));
    }
    if offset > 0 {
        sql.push(" offset ");
        dialect.value(sql, Cell::Integer(offset.into()));
    }
}

/// Pushes which places are those of a page.
pub(super) fn push_places<D: Dialect>(dialect: &D, sql: &mut Sql<D::Bound>, offset: u32, limit: i64) {
    let first = i64::from(offset);
    sql.push(format_args!("{PLACE} > "));
    dialect.value(sql, Cell::Integer(first));
    sql.push(format_args!(" and {PLACE} <= "));
    dialect.value(sql, Cell::Integer(first + limit));
}
