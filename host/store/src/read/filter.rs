//! From a filter to a condition in SQL. What the engines say differently is a [`Dialect`].
//!
//! Conditions are true or false, never unknown: a comparison with a column that holds nothing is false, and what is not
//! equal is the opposite of what is equal. SQL's third value is taken out of `not` by `is not true`; under `and` and `or`
//! it makes no difference, because a row is kept only for what is true.

use serde_json::Value;
use yado_model::TenantId;

use super::search::{self, Place, Sought};
use super::select::Dialect;
use super::sql::Sql;
use crate::cell::Cell;
use crate::limits::{
    self, DEEPEST_FILTER, DEEPEST_RELATION, LARGEST_FILTER, LONGEST_LIST, LONGEST_NEEDLE, MOST_RELATIONS,
};
use crate::table::{TENANT, quoted};
use crate::{Column, Error, Filter, Kind, Link, Op, Quantifier, Result, Table};

/// Pushes ` and ` with the condition, if there is one.
pub(super) fn push<D: Dialect>(
    dialect: &D,
    sql: &mut Sql<D::Bound>,
    table: &Table,
    tenant: &TenantId,
    filter: Option<&Filter>,
) -> Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    sql.push(" and ");
    let rows = Rows { table, name: quoted(&table.name), level: 0 };
    Compiler { dialect, tenant, bounds: Bounds::default() }.push(sql, &rows, filter, 1)
}

/// How much of a filter has been seen.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    conditions: usize,
    relations: usize,
}

impl Bounds {
    /// One more condition, so deep in the others.
    pub(super) fn condition(&mut self, depth: usize) -> Result<()> {
        limits::within("the depth of a filter", depth, DEEPEST_FILTER)?;
        self.conditions(1)
    }

    /// Conditions that are one in the filter, and several in the statement.
    pub(super) fn conditions(&mut self, count: usize) -> Result<()> {
        self.conditions = self.conditions.saturating_add(count);
        limits::within("the conditions of a filter", self.conditions, LARGEST_FILTER)
    }

    /// One more relation, so deep in the others.
    pub(super) fn relation(&mut self, level: usize) -> Result<()> {
        limits::within("the relations of a filter that lead on from one to the next", level, DEEPEST_RELATION)?;
        self.relations += 1;
        limits::within("the relations of a filter", self.relations, MOST_RELATIONS)
    }
}

/// The rows that a condition is about.
struct Rows<'a> {
    table: &'a Table,
    /// What they are called in the statement, quoted.
    name: String,
    /// How many relations lead to them.
    level: usize,
}

impl Rows<'_> {
    /// A column of these rows and of no others, which may be of the same table.
    fn column(&self, column: &str) -> String {
        format!("{}.{}", self.name, quoted(column))
    }
}

struct Compiler<'a, D> {
    dialect: &'a D,
    tenant: &'a TenantId,
    bounds: Bounds,
}

impl<D: Dialect> Compiler<'_, D> {
    fn push(&mut self, sql: &mut Sql<D::Bound>, rows: &Rows<'_>, filter: &Filter, depth: usize) -> Result<()> {
        self.bounds.condition(depth)?;
        match filter {
            Filter::All(parts) => self.join(sql, rows, parts, (" and ", "true"), depth),
            Filter::Any(parts) => self.join(sql, rows, parts, (" or ", "false"), depth),
            Filter::Not(inner) => {
                sql.push("((");
                self.push(sql, rows, inner, depth + 1)?;
                sql.push(") is not true)");
                Ok(())
            }
            Filter::Null { field } => {
                let column = rows.table.known(field)?;
                sql.push(format_args!("{} is null", rows.column(column.name.as_str())));
                Ok(())
            }
            Filter::In { field, values } => {
                let (column, cells) = among(rows.table, field, values)?;
                if cells.is_empty() {
                    sql.push("false");
                } else {
                    sql.push(rows.column(column.name.as_str()));
                    self.dialect.among(sql, column.kind, cells);
                }
                Ok(())
            }
            Filter::Compare { field, op, value } => {
                let (column, comparison) = comparison(rows.table, field, *op, value)?;
                match comparison {
                    Comparison::Search(sought) => {
                        let name = rows.column(sought.folded.as_deref().unwrap_or(column.name.as_str()));
                        self.sought(sql, &name, sought);
                    }
                    Comparison::Order(operator, cell) => {
                        sql.push(format_args!("{} {operator} ", rows.column(column.name.as_str())));
                        self.dialect.value(sql, cell);
                    }
                }
                Ok(())
            }
            Filter::Search { words } => self.search(sql, rows, words),
            Filter::Related { link, quantifier, filter } => {
                self.related(sql, rows, link, *quantifier, filter.as_deref(), depth)
            }
        }
    }

    fn join(
        &mut self,
        sql: &mut Sql<D::Bound>,
        rows: &Rows<'_>,
        parts: &[Filter],
        (word, empty): (&str, &str),
        depth: usize,
    ) -> Result<()> {
        if parts.is_empty() {
            sql.push(empty);
            return Ok(());
        }
        for (at, part) in parts.iter().enumerate() {
            sql.push(if at == 0 { "(" } else { word });
            self.push(sql, rows, part, depth + 1)?;
        }
        sql.push(")");
        Ok(())
    }

    /// A text that is looked for in one column. What begins with it lies between two texts, which an index can tell; but
    /// that which finds parts of folded texts knows nothing of order.
    fn sought(&self, sql: &mut Sql<D::Bound>, name: &str, sought: Sought) {
        let Sought { place, needle, folded } = sought;
        if needle.is_empty() {
            sql.push(format_args!("{name} is not null"));
        } else if place == Place::Start && folded.is_none() {
            sql.push(format_args!("({name} >= "));
            let beyond = search::beyond(&needle);
            self.dialect.value(sql, Cell::Text(needle));
            if let Some(beyond) = beyond {
                sql.push(format_args!(" and {name} < "));
                self.dialect.value(sql, Cell::Text(beyond));
            }
            sql.push(")");
        } else {
            self.dialect.matches(sql, name, place, &needle);
        }
    }

    fn search(&mut self, sql: &mut Sql<D::Bound>, rows: &Rows<'_>, words: &[String]) -> Result<()> {
        let (words, columns) = search::words(rows.table, words)?;
        self.bounds.conditions(words.len() * columns.len())?;
        let names: Vec<_> =
            columns.iter().filter_map(|column| rows.table.folded(column)).map(|name| rows.column(&name)).collect();
        sql.push("(true");
        for word in words.iter().filter(|word| !word.is_empty()) {
            for (at, name) in names.iter().enumerate() {
                sql.push(if at == 0 { " and (" } else { " or " });
                self.dialect.matches(sql, name, Place::Anywhere, word);
            }
            sql.push(")");
        }
        sql.push(")");
        Ok(())
    }

    /// A question for rows of another table. Each has the tenant of its own, which lets an index serve it.
    fn related(
        &mut self,
        sql: &mut Sql<D::Bound>,
        rows: &Rows<'_>,
        link: &Link,
        quantifier: Quantifier,
        filter: Option<&Filter>,
        depth: usize,
    ) -> Result<()> {
        self.bounds.relation(rows.level + 1)?;
        let (from, to) = ends(rows.table, link)?;
        let level = rows.level + 1;
        // The names of tables begin with other letters.
        let others = Rows { table: &link.table, name: format!("\"_r{level}\""), level };
        sql.push(if quantifier == Quantifier::Some { "exists" } else { "not exists" });
        sql.push(format_args!(
            " (select 1 from {} as {} where {}.{TENANT} = ",
            quoted(&link.table.name),
            others.name,
            others.name
        ));
        self.dialect.tenant(sql, self.tenant);
        sql.push(format_args!(" and {} = {}", others.column(to.name.as_str()), rows.column(from.name.as_str())));
        match (quantifier, filter) {
            (Quantifier::Some | Quantifier::None, None) => {}
            (Quantifier::Some | Quantifier::None, Some(filter)) => {
                sql.push(" and ");
                self.push(sql, &others, filter, depth + 1)?;
            }
            // Rows that meet nothing in particular meet it all.
            (Quantifier::Every, None) => {
                sql.push(" and false");
            }
            (Quantifier::Every, Some(filter)) => {
                sql.push(" and (");
                self.push(sql, &others, filter, depth + 1)?;
                sql.push(") is not true");
            }
        }
        sql.push(")");
        sql.push(D::EXISTS);
        Ok(())
    }
}

/// What a column is compared with.
pub(super) enum Comparison {
    /// By an operator of SQL.
    Order(&'static str, Cell),
    /// By what is in the text.
    Search(Sought),
}

/// A comparison that can be made.
pub(super) fn comparison<'a>(table: &'a Table, field: &str, op: Op, value: &Value) -> Result<(&'a Column, Comparison)> {
    let column = comparable(table, field)?;
    let cell = operand(column, value)?;
    let order = |operator, cell| Ok((column, Comparison::Order(operator, cell)));
    let place = match op {
        Op::Equal => return order("=", cell),
        Op::NotEqual => return order("is distinct from", cell),
        Op::Less => return order("<", cell),
        Op::LessOrEqual => return order("<=", cell),
        Op::Greater => return order(">", cell),
        Op::GreaterOrEqual => return order(">=", cell),
        Op::Contains => Place::Anywhere,
        Op::StartsWith => Place::Start,
        Op::EndsWith => Place::End,
    };
    let Cell::Text(needle) = cell else {
        return Err(Error::Invalid(format!("column {} holds no text to search in", column.name)));
    };
    limits::within("the bytes of a text to search for", needle.len(), LONGEST_NEEDLE)?;
    let folded = table.folded(&column.name);
    let needle = if folded.is_some() { yado_model::fold(&needle) } else { needle };
    Ok((column, Comparison::Search(Sought { place, needle, folded })))
}

/// A list that a column's value can be in.
pub(super) fn among<'a>(table: &'a Table, field: &str, values: &[Value]) -> Result<(&'a Column, Vec<Cell>)> {
    let column = comparable(table, field)?;
    limits::within("the values of a list", values.len(), LONGEST_LIST)?;
    let cells = values.iter().map(|value| operand(column, value)).collect::<Result<_>>()?;
    Ok((column, cells))
}

/// The two columns that a relation holds together.
pub(super) fn ends<'a>(table: &'a Table, link: &'a Link) -> Result<(&'a Column, &'a Column)> {
    let (from, to) = (comparable(table, &link.from)?, comparable(&link.table, &link.to)?);
    if from.kind == to.kind {
        return Ok((from, to));
    }
    Err(Error::Invalid(format!(
        "no relation can lead from {}.{} to {}.{}, because they hold values of different kinds",
        table.name, from.name, link.table.name, to.name
    )))
}

fn comparable<'a>(table: &'a Table, field: &str) -> Result<&'a Column> {
    let column = table.known(field)?;
    if column.kind == Kind::Json {
        return Err(Error::Invalid(format!("column {} holds JSON, which compares with nothing but null", column.name)));
    }
    Ok(column)
}

/// A value to compare with. It fits the column's kind; null is asked for by a condition of its own.
fn operand(column: &Column, value: &Value) -> Result<Cell> {
    match Cell::from_json(column, value)? {
        Cell::Null => {
            Err(Error::Invalid(format!("column {} can't be compared with null; ask whether it is", column.name)))
        }
        cell => Ok(cell),
    }
}
