//! What a filter means for one row, without a database. The engines are held to this by tests, and whoever has a row in
//! hand can tell without asking them.

use std::cmp::Ordering;

use super::filter::{Bounds, Comparison, among, comparison, ends};
use super::search;
use crate::cell::Cell;
use crate::{Column, Error, Filter, Link, Op, Quantifier, Result, Row, Table, decimal};

impl Filter {
    /// Whether a row of a table meets this, as [`crate::ReadStore::select`] has it.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a store would refuse the filter, too, or the row is none of this table; and for
    /// [`Filter::Related`], which is about more than one row.
    pub fn matches(&self, table: &Table, row: &Row) -> Result<bool> {
        self.matches_among(table, row, &|link| {
            Err(Error::Invalid(format!("a row alone does not tell what is related to it in {}", link.table.name)))
        })
    }

    /// The same, where the rows of other tables are known.
    pub(crate) fn matches_among(
        &self,
        table: &Table,
        row: &Row,
        others: &dyn Fn(&Link) -> Result<Vec<Row>>,
    ) -> Result<bool> {
        Matcher { others, bounds: Bounds::default() }.holds(self, table, row, (1, 0))
    }
}

struct Matcher<'a> {
    others: &'a dyn Fn(&Link) -> Result<Vec<Row>>,
    bounds: Bounds,
}

impl Matcher<'_> {
    /// All parts are looked at, whatever the others say, because what is wrong with one of them is an error in any case.
    fn holds(&mut self, filter: &Filter, table: &Table, row: &Row, (depth, level): (usize, usize)) -> Result<bool> {
        self.bounds.condition(depth)?;
        let below = (depth + 1, level);
        match filter {
            Filter::All(parts) => {
                parts.iter().try_fold(true, |all, part| Ok(self.holds(part, table, row, below)? && all))
            }
            Filter::Any(parts) => {
                parts.iter().try_fold(false, |any, part| Ok(self.holds(part, table, row, below)? || any))
            }
            Filter::Not(inner) => Ok(!self.holds(inner, table, row, below)?),
            Filter::Null { field } => {
                let column = table.known(field)?;
                Ok(row.get(column.name.as_str()).is_none_or(serde_json::Value::is_null))
            }
            Filter::In { field, values } => {
                let (column, cells) = among(table, field, values)?;
                let found = cell(column, row)?;
                Ok(cells.iter().any(|cell| compare(&found, cell) == Some(Ordering::Equal)))
            }
            Filter::Compare { field, op, value } => {
                let (column, comparison) = comparison(table, field, *op, value)?;
                let found = cell(column, row)?;
                Ok(match (comparison, found) {
                    (Comparison::Search(sought), Cell::Text(text)) => sought.is_in(&text),
                    (Comparison::Search(_), _) => false,
                    (Comparison::Order(_, cell), found) => meets(*op, compare(&found, &cell)),
                })
            }
            Filter::Search { words } => {
                let (words, columns) = search::words(table, words)?;
                self.bounds.conditions(words.len() * columns.len())?;
                let texts = columns.into_iter().filter_map(|name| table.column(name.as_str())).map(|column| {
                    Ok(match cell(column, row)? {
                        Cell::Text(text) => yado_model::fold(&text),
                        _ => String::new(),
                    })
                });
                let texts = texts.collect::<Result<Vec<_>>>()?;
                Ok(words.iter().all(|word| texts.iter().any(|text| text.contains(word))))
            }
            Filter::Related { link, quantifier, filter } => {
                self.bounds.relation(level + 1)?;
                let (from, to) = ends(table, link)?;
                let from = cell(from, row)?;
                let (mut some, mut every) = (false, true);
                for other in (self.others)(link)? {
                    if compare(&cell(to, &other)?, &from) != Some(Ordering::Equal) {
                        continue;
                    }
                    let met = match filter {
                        None => true,
                        // Each row is asked the same, and the filter counts once.
                        Some(filter) => {
                            let mut inner = Matcher { others: self.others, bounds: Bounds::default() };
                            inner.holds(filter, &link.table, &other, (depth + 1, level + 1))?
                        }
                    };
                    some |= met;
                    every &= met;
                }
                Ok(match quantifier {
                    Quantifier::Some => some,
                    Quantifier::None => !some,
                    Quantifier::Every => every,
                })
            }
        }
    }
}

fn cell(column: &Column, row: &Row) -> Result<Cell> {
    Cell::from_json(column, row.get(column.name.as_str()).unwrap_or(&serde_json::Value::Null))
}

/// How two cells of one kind stand to each other; none if one of them holds nothing.
pub(crate) fn compare(a: &Cell, b: &Cell) -> Option<Ordering> {
    match (a, b) {
        (Cell::Text(a), Cell::Text(b)) => Some(a.cmp(b)),
        (Cell::Integer(a), Cell::Integer(b)) => Some(a.cmp(b)),
        (Cell::Float(a), Cell::Float(b)) => a.partial_cmp(b),
        (Cell::Decimal(a), Cell::Decimal(b)) => Some(decimal::compare(a, b)),
        (Cell::Boolean(a), Cell::Boolean(b)) => Some(a.cmp(b)),
        (Cell::Timestamp(a), Cell::Timestamp(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn meets(op: Op, order: Option<Ordering>) -> bool {
    match op {
        Op::Equal => order == Some(Ordering::Equal),
        Op::NotEqual => order != Some(Ordering::Equal),
        Op::Less => order.is_some_and(Ordering::is_lt),
        Op::LessOrEqual => order.is_some_and(Ordering::is_le),
        Op::Greater => order.is_some_and(Ordering::is_gt),
        Op::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        Op::Contains | Op::StartsWith | Op::EndsWith => false,
    }
}
