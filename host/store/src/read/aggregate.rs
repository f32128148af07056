//! From an aggregate to SQL, and from what comes back to groups.
//!
//! Numbers that are exact stay so: engines give sums as exact numbers, or as parts that fit together to one, and what is
//! divided is divided here, so that each engine gives the same digits.

use std::cmp::Ordering;

use serde_json::{Number, Value};
use yado_model::TenantId;

use super::filter;
use super::matches::compare;
use super::order::Sorting;
use super::select::{Dialect, PLACE, push_from, push_page, push_places, qualified};
use super::sql::{Bound, Sql};
use crate::cell::Cell;
use crate::limits::{self, LARGEST_ANSWER, LONGEST_GROUPS, MOST_AGGREGATED, MOST_GROUPED};
use crate::number::loaded;
use crate::room::Room;
use crate::rows::Filling;
use crate::{Aggregate, Column, Each, Error, Filter, Function, Group, Kind, Order, Result, Row, Shown, Table, decimal};

/// The sum of a column's values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Total {
    /// An exact number, with as many digits behind the point as any of the values has.
    Exact(String),
    Float(f64),
}

/// A row of the answer.
pub(crate) trait Found {
    /// What a column has.
    fn cell(&self, at: usize, column: &Column) -> Result<Shown<'_>>;

    /// The same as JSON.
    fn value(&self, at: usize, column: &Column) -> Result<Value> {
        self.cell(at, column)?.to_json(column)
    }

    /// A count.
    fn count(&self, at: usize) -> Result<i64>;

    /// The sum of a column's values, of the parts that [`Dialect::total`] names; none if there are none.
    fn total(&self, at: usize, column: &Column) -> Result<Option<Total>>;
}

/// Takes in a row that was found, where these columns were asked for.
pub(crate) fn fill(filling: &mut Filling, found: &impl Found, columns: &[&Column]) -> Result<()> {
    columns.iter().enumerate().try_for_each(|(at, column)| filling.push(found.cell(at, column)?))
}

/// What is where in the answer.
pub(crate) struct Answer<'a> {
    table: &'a Table,
    /// What rows are told apart by in the first place, and the values that were asked for, in order.
    each: Option<(&'a Column, Vec<(Cell, Value)>)>,
    by: Vec<&'a Column>,
    of: Vec<(Function, &'a Column, usize)>,
}

/// The groups of several values, while they are read.
pub(crate) struct Gathering<'a> {
    answer: Answer<'a>,
    room: Room,
    /// Each with the place of its value among those that were asked for.
    groups: Vec<(usize, (Value, Group))>,
    /// Which of the values have a group.
    seen: Vec<bool>,
}

/// The statement, and how to read what it gives.
pub(crate) fn aggregate<'a, D: Dialect>(
    dialect: &D,
    table: &'a Table,
    tenant: &TenantId,
    aggregate: &Aggregate,
) -> Result<(Sql<D::Bound>, Answer<'a>)> {
    let (parts, answer) = parts(dialect, table, None, aggregate)?;
    let mut sql = Sql::new(format!("select {}", parts.join(", ")));
    push_from(dialect, &mut sql, table, tenant);
    filter::push(dialect, &mut sql, table, tenant, aggregate.filter.as_ref())?;
    if !answer.by.is_empty() {
        sql.push(format_args!(" group by {} order by ", names(table, &answer.by)));
        push_groups(&mut sql, table, &answer.by)?;
        push_page(dialect, &mut sql, aggregate.limit.into(), aggregate.offset);
    }
    Ok((sql, answer))
}

/// The same for each of several values of a column. Groups are numbered within their value, as rows are in
/// [`super::select::select_each`].
pub(crate) fn aggregate_each<'a, D: Dialect>(
    dialect: &D,
    table: &'a Table,
    tenant: &TenantId,
    each: &Each,
    aggregate: &Aggregate,
) -> Result<(Sql<D::Bound>, Answer<'a>)> {
    let all = each.values.len().saturating_mul(if aggregate.by.is_empty() { 1 } else { aggregate.limit as usize });
    limits::within("the groups of all values together", all, LARGEST_ANSWER)?;
    let (field, cells) = filter::among(table, &each.field, &each.values)?;
    let (parts, mut answer) = parts(dialect, table, Some(field), aggregate)?;
    let mut asked: Vec<_> = cells.into_iter().zip(each.values.iter().cloned()).collect();
    asked.sort_by(|(a, _), (b, _)| order(a, b));
    asked.dedup_by(|(a, _), (b, _)| order(a, b).is_eq());
    answer.each = Some((field, asked));
    let name = qualified(table, &field.name);

    let mut sql = Sql::new("select ");
    if !answer.by.is_empty() {
        sql.push("* from (select ");
    }
    sql.push(parts.join(", "));
    if !answer.by.is_empty() {
        sql.push(format_args!(", row_number() over (partition by {name} order by "));
        push_groups(&mut sql, table, &answer.by)?;
        sql.push(format_args!(") as {PLACE}"));
    }
    push_from(dialect, &mut sql, table, tenant);
    let among = Filter::In { field: each.field.clone(), values: each.values.clone() };
    filter::push(dialect, &mut sql, table, tenant, Some(&among))?;
    filter::push(dialect, &mut sql, table, tenant, aggregate.filter.as_ref())?;
    sql.push(format_args!(" group by {name}"));
    if !answer.by.is_empty() {
        sql.push(format_args!(", {}) as {PLACE}s where ", names(table, &answer.by)));
        push_places(dialect, &mut sql, aggregate.offset, aggregate.limit.into());
        // Groups come to those of their own value afterwards: numbers that are equal may be spelled in several ways.
        sql.push(format_args!(" order by {PLACE}"));
    }
    Ok((sql, answer))
}

/// What is read of each group: what it is told apart by, how many rows it has, and what is computed.
fn parts<'a, D: Dialect>(
    dialect: &D,
    table: &'a Table,
    each: Option<&Column>,
    aggregate: &Aggregate,
) -> Result<(Vec<String>, Answer<'a>)> {
    limits::within("the columns to group by", aggregate.by.len(), MOST_GROUPED)?;
    limits::within("the values of a group", aggregate.of.len(), MOST_AGGREGATED)?;
    limits::within("the groups of a page", aggregate.limit as usize, LONGEST_GROUPS as usize)?;
    let by = aggregate.by.iter().map(|field| grouped(table, field)).collect::<Result<Vec<_>>>()?;
    let mut answer = Answer { table, each: None, by, of: Vec::new() };

    let read = |column: &Column| dialect.read(&qualified(table, &column.name), column.kind);
    let mut parts: Vec<String> = each.into_iter().chain(answer.by.iter().copied()).map(read).collect();
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
    Ok((parts, answer))
}

fn names(table: &Table, columns: &[&Column]) -> String {
    columns.iter().map(|column| qualified(table, &column.name)).collect::<Vec<_>>().join(", ")
}

fn push_groups<B: Bound>(sql: &mut Sql<B>, table: &Table, by: &[&Column]) -> Result<()> {
    let order: Vec<_> = by.iter().map(|column| Order::by(column.name.as_str(), false)).collect();
    Sorting::of(table, &order)?.push(sql, false);
    Ok(())
}

impl<'a> Answer<'a> {
    /// A row of the answer as a group, if there is room for it.
    pub(crate) fn group(&self, found: &impl Found, room: &mut Room) -> Result<Group> {
        let first = usize::from(self.each.is_some());
        let key = self.by.iter().enumerate();
        let key = key.map(|(at, column)| Ok((column.name.as_str().to_owned(), found.value(first + at, column)?)));
        let group = Group {
            key: key.collect::<Result<Row>>()?,
            count: loaded(found.count(first + self.by.len())?, &self.table.name)?,
            values: self.of.iter().map(|of| value(found, *of)).collect::<Result<_>>()?,
        };
        let values = group.key.values().chain(&group.values).map(size);
        room.take(size_of::<Group>() + values.sum::<usize>())?;
        Ok(group)
    }

    /// Begins with no groups of the values that were asked for, for which there is so much room.
    pub(crate) fn gathering(self, room: Room) -> Gathering<'a> {
        let seen = vec![false; self.each.as_ref().map_or(0, |(_, asked)| asked.len())];
        Gathering { answer: self, room, groups: Vec::new(), seen }
    }
}

impl Gathering<'_> {
    /// Takes in a row of the answer.
    pub(crate) fn push(&mut self, found: &impl Found) -> Result<()> {
        let Some((column, asked)) = &self.answer.each else { return Ok(()) };
        let cell = Cell::from_json(column, &found.value(0, column)?)?;
        let at = asked.binary_search_by(|(asked, _)| order(asked, &cell));
        if let Ok(at) = at
            && let (Some((_, value)), Some(seen)) = (asked.get(at), self.seen.get_mut(at))
        {
            *seen = true;
            self.room.take(size(value))?;
            self.groups.push((at, (value.clone(), self.answer.group(found, &mut self.room)?)));
        }
        Ok(())
    }

    /// The groups of each value, which is spelled as it was asked for.
    pub(crate) fn done(mut self) -> Vec<(Value, Group)> {
        self.groups.sort_by_key(|(at, _)| *at);
        let mut groups: Vec<_> = self.groups.into_iter().map(|(_, group)| group).collect();
        let Answer { each, by, of, .. } = self.answer;
        if let Some((_, asked)) = each.filter(|_| by.is_empty()) {
            let unseen = asked.into_iter().zip(self.seen).filter(|(_, seen)| !seen);
            let nothing = || Group { key: Row::new(), count: 0, values: vec![Value::Null; of.len()] };
            groups.extend(unseen.map(|((_, value), _)| (value, nothing())));
        }
        groups
    }
}

/// How many bytes a value of a group takes up: none of them is a document.
fn size(value: &Value) -> usize {
    size_of::<Value>() + value.as_str().map_or(0, str::len)
}

fn order(a: &Cell, b: &Cell) -> Ordering {
    compare(a, b).unwrap_or(Ordering::Equal)
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
