//! From an aggregate to SQL, and from what comes back to groups.
//!
//! Numbers that are exact stay so: engines give sums as exact numbers, or as parts that fit together to one, and what is
//! divided is divided here, so that each engine gives the same digits.

use serde_json::{Number, Value};
use sqlx::{Database, QueryBuilder};
use yado_model::TenantId;

use super::filter;
use super::select::{Dialect, push_from, push_order, qualified};
use crate::limits::{self, LONGEST_GROUPS, MOST_AGGREGATED, MOST_GROUPED};
use crate::number::loaded;
use crate::{Aggregate, Column, Error, Function, Group, Kind, Order, Result, Row, Table, decimal};

/// The sum of a column's values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Total {
    /// An exact number, with as many digits behind the point as any of the values has.
    Exact(String),
    Float(f64),
}

/// A row of the answer.
pub(crate) trait Found {
    /// A column's value.
    fn value(&self, at: usize, column: &Column) -> Result<Value>;

    /// A count.
    fn count(&self, at: usize) -> Result<i64>;

    /// The sum of a column's values, of the parts that [`Dialect::total`] names; none if there are none.
    fn total(&self, at: usize, column: &Column) -> Result<Option<Total>>;
}

/// What is where in the answer.
pub(crate) struct Answer<'a> {
    table: &'a Table,
    by: Vec<&'a Column>,
    of: Vec<(Function, &'a Column, usize)>,
}

/// The statement, and how to read what it gives.
pub(crate) fn aggregate<'a, D: Dialect>(
    dialect: &D,
    table: &'a Table,
    tenant: &TenantId,
    aggregate: &Aggregate,
) -> Result<(QueryBuilder<D::Database>, Answer<'a>)>
where
    <D::Database as Database>::Arguments: Default,
{
    limits::within("the columns to group by", aggregate.by.len(), MOST_GROUPED)?;
    limits::within("the values of a group", aggregate.of.len(), MOST_AGGREGATED)?;
    limits::within("the groups of a page", aggregate.limit as usize, LONGEST_GROUPS as usize)?;
    let by = aggregate.by.iter().map(|field| grouped(table, field)).collect::<Result<Vec<_>>>()?;
    let mut answer = Answer { table, by, of: Vec::new() };

    let read = |column: &&Column| dialect.read(&qualified(table, &column.name), column.kind);
    let mut parts: Vec<String> = answer.by.iter().map(read).collect();
    parts.push("count(*)".into());
    for (function, field) in &aggregate.of {
        let column = computed(table, *function, field)?;
        let name = qualified(table, &column.name);
        answer.of.push((*function, column, parts.len()));
        match function {
            Function::Min => parts.push(dialect.read(&format!("min({name})"), column.kind)),
            Function::Max => parts.push(dialect.read(&format!("max({name})"), column.kind)),
            Function::Sum => parts.extend(dialect.total(&name, column.kind)),
            Function::Avg => {
                parts.push(format!("count({name})"));
                parts.extend(dialect.total(&name, column.kind));
            }
        }
    }

    let mut sql = QueryBuilder::new(format!("select {}", parts.join(", ")));
    push_from(dialect, &mut sql, table, tenant);
    filter::push(dialect, &mut sql, table, tenant, aggregate.filter.as_ref())?;
    if !answer.by.is_empty() {
        let names: Vec<_> = answer.by.iter().map(|column| qualified(table, &column.name)).collect();
        sql.push(format_args!(" group by {} order by ", names.join(", ")));
        let order = |column: &&Column| Order { field: column.name.to_string(), descending: false };
        push_order(&mut sql, table, &answer.by.iter().map(order).collect::<Vec<_>>())?;
        sql.push(format_args!(" limit {} offset {}", aggregate.limit, aggregate.offset));
    }
    Ok((sql, answer))
}

impl Answer<'_> {
    /// A row of the answer as a group.
    pub(crate) fn group(&self, found: &impl Found) -> Result<Group> {
        let key = self.by.iter().enumerate();
        let key = key.map(|(at, column)| Ok((column.name.as_str().to_owned(), found.value(at, column)?)));
        Ok(Group {
            key: key.collect::<Result<Row>>()?,
            count: loaded(found.count(self.by.len())?, &self.table.name)?,
            values: self.of.iter().map(|of| value(found, *of)).collect::<Result<_>>()?,
        })
    }
}

fn value(found: &impl Found, (function, column, at): (Function, &Column, usize)) -> Result<Value> {
    match function {
        // What nothing is in has no least, whatever the column must hold.
        Function::Min | Function::Max => found.value(at, column),
        Function::Sum => match found.total(at, column)? {
            None => Ok(Value::Null),
            Some(Total::Exact(sum)) => Ok(Value::String(sum)),
            Some(Total::Float(sum)) => float(column, sum),
        },
        Function::Avg => {
            let count: u64 = loaded(found.count(at)?, column.name.as_str())?;
            match found.total(at + 1, column)? {
                None => Ok(Value::Null),
                Some(Total::Exact(sum)) => decimal::divided(&sum, count)
                    .map(Value::String)
                    .ok_or_else(|| crate::cell::damaged(column, &format!("{sum} is no sum of {count} values"))),
                #[expect(clippy::cast_precision_loss, reason = "a quotient of floating point numbers is one")]
                Some(Total::Float(sum)) => float(column, sum / count as f64),
            }
        }
    }
}

fn float(column: &Column, number: f64) -> Result<Value> {
    Number::from_f64(number).map(Value::Number).ok_or_else(|| {
        Error::Invalid(format!("the sum of column {} is out of the range of floating point numbers", column.name))
    })
}

fn grouped<'a>(table: &'a Table, field: &str) -> Result<&'a Column> {
    let column = table.known(field)?;
    if column.kind == Kind::Json {
        return Err(Error::Invalid(format!("column {} holds JSON, by which nothing can be grouped", column.name)));
    }
    Ok(column)
}

fn computed<'a>(table: &'a Table, function: Function, field: &str) -> Result<&'a Column> {
    let column = table.known(field)?;
    let numeric = matches!(column.kind, Kind::Integer | Kind::Float | Kind::Decimal);
    let name = &column.name;
    match function {
        Function::Sum | Function::Avg if !numeric => {
            Err(Error::Invalid(format!("column {name} holds no numbers, which alone have a sum and an average")))
        }
        Function::Min | Function::Max if matches!(column.kind, Kind::Json | Kind::Boolean) => {
            Err(Error::Invalid(format!("column {name} holds values of which none is the least or the greatest")))
        }
        _ => Ok(column),
    }
}
