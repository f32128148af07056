//! Declared queries: rows of a read model, by conditions on what a caller gives. No guest is asked, and a database is asked
//! once; twice, if the rows of all pages are to be counted.
//!
//! Arguments are held against their schema before they come here, and the query against its read model when it is
//! deployed. What is left to refuse is what only both together tell: a page that is too long or lies too far behind.

use std::sync::Arc;

use serde_json::Value;
use yado_model::manifest::{Answer, ArgumentPath, CompareOp, Condition, RowsQuery};
use yado_model::schema::Problem;
use yado_store::limits::{LONGEST_LIST, LONGEST_NEEDLE, MOST_WORDS};
use yado_store::{Filter, Op, Order, Rows, Select};

use super::{Answered, Ask, PageOptions};
use crate::catalogue::Model;
use crate::reads::QueryBus;
use crate::{Error, Result};

/// Has a declared query answered from its read model.
pub(super) async fn ask(
    reads: &QueryBus,
    (rows, model): (&RowsQuery, &Arc<Model>),
    Ask { tenant, query, arguments, page, .. }: &Ask,
) -> Result<Answered> {
    let select = select(rows, arguments, page)
        .map_err(|problem| Error::BadInput { what: query.to_string(), problems: vec![problem] })?;
    let name = model.manifest.name.clone();
    let found = async {
        // Nothing is read where no row is wanted.
        if select.limit == 0 || !page.listed { Ok(Rows::default()) } else { reads.select(model, tenant, &select).await }
    };
    Ok(match rows.answer {
        Answer::One => Answered::One { model: name, rows: found.await? },
        Answer::List { .. } => Answered::List { model: name, rows: found.await? },
        Answer::Page { .. } => {
            let total = async {
                if page.counted { reads.count(model, tenant, select.filter.as_ref()).await.map(Some) } else { Ok(None) }
            };
            let (rows, total) = tokio::try_join!(found, total)?;
            Answered::Page { model: name, rows, total }
        }
    })
}

/// What a store is asked for.
fn select(rows: &RowsQuery, arguments: &Value, options: &PageOptions) -> Result<Select, Problem> {
    let (limit, offset) = match &rows.answer {
        Answer::One => (1, 0),
        Answer::List { limit } => list(*limit, options)?,
        Answer::Page { number, size, default_size, .. } => page(number, size, *default_size, arguments, options)?,
    };
    let conditions = rows.conditions.iter().filter_map(|condition| filter(condition, arguments).transpose());
    let own = rows.order_by.iter().map(|by| Order::by(by.field.as_str(), by.descending));
    let order = if options.order.is_empty() { own.collect() } else { options.order.clone() };
    let filter = joined(conditions.collect::<Result<_, _>>()?);
    let columns = options.columns.clone();
    Ok(Select { filter, order, offset, columns, ..Select::page(limit) })
}

/// All of these, or no filter where there are none.
fn joined(mut filters: Vec<Filter>) -> Option<Filter> {
    if filters.len() > 1 { Some(Filter::All(filters)) } else { filters.pop() }
}

fn list(limit: u32, options: &PageOptions) -> Result<(u32, u32), Problem> {
    let most = limit.min(options.rows_max);
    let refuse = |name: &str, most: u32| Err(problem(&[name], format!("must be at most {most}")));
    if options.limit.is_some_and(|limit| limit > most) {
        return refuse("limit", most);
    }
    if options.offset > options.offset_max {
        return refuse("offset", options.offset_max);
    }
    Ok((options.limit.unwrap_or(most), options.offset))
}

fn page(
    number: &ArgumentPath,
    size: &ArgumentPath,
    default_size: u32,
    arguments: &Value,
    options: &PageOptions,
) -> Result<(u32, u32), Problem> {
    let size = match size.of(arguments) {
        None => default_size.min(options.rows_max),
        Some(given) => whole(size, given, options.rows_max)?,
    };
    let pages = options.offset_max / size.max(1);
    let before = match number.of(arguments) {
        None => 0,
        // The page behind all that may be skipped is the last that there is.
        Some(given) => whole(number, given, pages.saturating_add(1))? - 1,
    };
    Ok((size, before.saturating_mul(size)))
}

/// A whole number from one up.
fn whole(path: &ArgumentPath, given: &Value, most: u32) -> Result<u32, Problem> {
    let number = given.as_u64().filter(|number| *number > 0);
    let Some(number) = number else { return Err(at(path, "must be at least 1".into())) };
    let fits = u32::try_from(number).ok().filter(|number| *number <= most);
    fits.ok_or_else(|| at(path, format!("must be at most {most}, for no more rows than that are read or skipped")))
}

/// A condition as the store understands it; none if what it compares with is not there.
fn filter(condition: &Condition, arguments: &Value) -> Result<Option<Filter>, Problem> {
    match condition {
        Condition::Value { field, op, value } => Ok(Some(compared(field.as_str(), *op, value))),
        Condition::Argument { field, op, argument } => {
            let Some(value) = argument.of(arguments) else { return Ok(None) };
            if let Value::Array(items) = value
                && items.len() > LONGEST_LIST
            {
                return Err(at(argument, format!("must have at most {LONGEST_LIST} items")));
            }
            if matches!(op, CompareOp::Contains | CompareOp::StartsWith | CompareOp::EndsWith) {
                needle(argument, value.as_str().unwrap_or_default())?;
            }
            Ok(Some(compared(field.as_str(), *op, value)))
        }
        Condition::Search { search } => {
            let Some(text) = search.of(arguments) else { return Ok(None) };
            let words: Vec<_> = text.as_str().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
            if words.len() > MOST_WORDS {
                return Err(at(search, format!("must have at most {MOST_WORDS} words")));
            }
            words.iter().try_for_each(|word| needle(search, word))?;
            Ok((!words.is_empty()).then_some(Filter::Search { words }))
        }
        Condition::Any { any } => {
            let parts = any.iter().filter_map(|condition| filter(condition, arguments).transpose());
            let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
            // Where nothing is asked for, nothing is refused.
            Ok((!parts.is_empty()).then_some(Filter::Any(parts)))
        }
        Condition::Not { not } => Ok(filter(not, arguments)?.map(|inner| Filter::Not(Box::new(inner)))),
    }
}

fn needle(path: &ArgumentPath, text: &str) -> Result<(), Problem> {
    if text.len() <= LONGEST_NEEDLE {
        return Ok(());
    }
    Err(at(path, format!("must have at most {LONGEST_NEEDLE} bytes, because it is looked for within texts")))
}

fn compared(field: &str, op: CompareOp, value: &Value) -> Filter {
    let field = field.to_owned();
    let op = match op {
        CompareOp::Eq => Op::Equal,
        CompareOp::Ne => Op::NotEqual,
        CompareOp::Lt => Op::Less,
        CompareOp::Lte => Op::LessOrEqual,
        CompareOp::Gt => Op::Greater,
        CompareOp::Gte => Op::GreaterOrEqual,
        CompareOp::Contains => Op::Contains,
        CompareOp::StartsWith => Op::StartsWith,
        CompareOp::EndsWith => Op::EndsWith,
        CompareOp::In => return Filter::In { field, values: value.as_array().cloned().unwrap_or_default() },
        CompareOp::IsNull => {
            let null = Filter::Null { field };
            return if value == &Value::Bool(false) { Filter::Not(Box::new(null)) } else { null };
        }
    };
    Filter::Compare { field, op, value: value.clone() }
}

/// What is wrong with an argument.
fn at(path: &ArgumentPath, message: String) -> Problem {
    Problem { path: path.steps().iter().map(ToString::to_string).collect(), message }
}

fn problem(path: &[&str], message: String) -> Problem {
    Problem { path: path.iter().map(|step| (*step).to_owned()).collect(), message }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(conditions: Value, answer: Value) -> RowsQuery {
        let rows = json!({
            "model": "Ticket", "where": conditions, "orderBy": [{ "field": "price", "descending": true }], "answer": answer,
        });
        serde_json::from_value(rows).unwrap()
    }

    fn all(conditions: Value, arguments: Value) -> Option<Filter> {
        select(&query(conditions, json!("one")), &arguments, &PageOptions::default()).unwrap().filter
    }

    fn is(field: &str, op: Op, value: Value) -> Filter {
        Filter::Compare { field: field.into(), op, value }
    }

    fn page() -> Value {
        json!({ "page": { "rows": "tickets", "total": "total", "number": "at.page", "size": "at.size", "defaultSize": 20 } })
    }

    #[test]
    fn a_condition_whose_argument_is_not_there_is_none() {
        let bounds = json!([
            { "field": "price", "op": "gte", "argument": "range.min" },
            { "field": "price", "op": "lte", "argument": "range.max" },
            { "not": { "any": [{ "field": "label", "op": "contains", "argument": "label" }, { "search": "words" }] } },
            { "field": "status", "op": "eq", "value": "OPEN" },
        ]);
        let open = is("status", Op::Equal, json!("OPEN"));
        assert_eq!(all(bounds.clone(), json!({})), Some(open.clone()));
        assert_eq!(all(bounds.clone(), json!({ "range": null, "label": null, "words": " " })), Some(open.clone()));
        let some = all(bounds, json!({ "range": { "min": "1.5", "max": null }, "words": "a  pen" }));
        let search = Filter::Search { words: vec!["a".into(), "pen".into()] };
        let not = Filter::Not(Box::new(Filter::Any(vec![search])));
        assert_eq!(some, Some(Filter::All(vec![is("price", Op::GreaterOrEqual, json!("1.5")), not, open])));
        assert_eq!(all(json!([]), json!({})), None);
    }

    #[test]
    fn lists_and_nothing_are_compared_as_the_store_compares_them() {
        let among = json!([{ "field": "label", "op": "in", "argument": "labels" }]);
        let values = vec![json!("a"), json!("b")];
        assert_eq!(all(among, json!({ "labels": ["a", "b"] })), Some(Filter::In { field: "label".into(), values }));
        let missing = json!([{ "field": "label", "op": "isNull", "argument": "missing" }]);
        let null = Filter::Null { field: "label".into() };
        assert_eq!(all(missing.clone(), json!({ "missing": true })), Some(null.clone()));
        assert_eq!(all(missing, json!({ "missing": false })), Some(Filter::Not(Box::new(null))));
    }

    #[test]
    fn a_page_is_counted_from_one_and_has_its_bounds() {
        let options = PageOptions { rows_max: 100, offset_max: 1_000, ..PageOptions::default() };
        let paged = |at: Value| {
            let select = select(&query(json!([]), page()), &json!({ "at": at }), &options);
            select
                .map(|select| (select.limit, select.offset))
                .map_err(|problem| problem.pointer() + ": " + &problem.message)
        };
        assert_eq!(paged(json!(null)), Ok((20, 0)));
        assert_eq!(paged(json!({ "page": 3 })), Ok((20, 40)));
        assert_eq!(paged(json!({ "page": 11, "size": 100 })), Ok((100, 1_000)));
        for (at, refusal) in [
            (json!({ "page": 0 }), "/at/page: must be at least 1"),
            (json!({ "size": 0 }), "/at/size: must be at least 1"),
            (json!({ "size": -5 }), "/at/size: must be at least 1"),
            (json!({ "size": 101 }), "/at/size: must be at most 100, "),
            (json!({ "page": 12, "size": 100 }), "/at/page: must be at most 11, "),
            (json!({ "page": u64::MAX }), "/at/page: must be at most 51, "),
        ] {
            let refused = paged(at).unwrap_err();
            assert!(refused.starts_with(refusal), "{refused}");
        }
    }

    #[test]
    fn a_list_is_as_long_as_is_asked_for_and_no_longer_than_allowed() {
        let listed = |most: u32, limit, offset| {
            let options = PageOptions { limit, offset, rows_max: 100, ..PageOptions::default() };
            let answer = json!({ "list": { "limit": most } });
            let select = select(&query(json!([]), answer), &json!({}), &options);
            select
                .map(|select| (select.limit, select.offset))
                .map_err(|problem| problem.pointer() + ": " + &problem.message)
        };
        assert_eq!(listed(50, None, 0), Ok((50, 0)));
        assert_eq!(listed(1_000, None, 7), Ok((100, 7)));
        assert_eq!(listed(50, Some(0), 0), Ok((0, 0)));
        assert_eq!(listed(50, Some(51), 0), Err("/limit: must be at most 50".into()));
        assert_eq!(listed(50, None, 100_001), Err("/offset: must be at most 100000".into()));
    }

    #[test]
    fn who_says_an_order_gets_it_instead_of_the_querys_own() {
        let ordered = |order: Vec<Order>| {
            let options = PageOptions { order, ..PageOptions::default() };
            select(&query(json!([]), json!({ "list": { "limit": 5 } })), &json!({}), &options).unwrap().order
        };
        let by = |field: &str, descending| Order::by(field, descending);
        assert_eq!(ordered(vec![]), [by("price", true)]);
        assert_eq!(ordered(vec![by("label", false), by("price", false)]), [by("label", false), by("price", false)]);
    }

    #[test]
    fn what_is_looked_for_is_not_longer_than_a_store_takes() {
        let conditions = json!([{ "field": "label", "op": "startsWith", "argument": "label" }, { "search": "words" }]);
        let refused = |arguments: Value| {
            let query = query(conditions.clone(), json!("one"));
            select(&query, &arguments, &PageOptions::default()).unwrap_err().pointer()
        };
        assert_eq!(refused(json!({ "label": "a".repeat(LONGEST_NEEDLE + 1) })), "/label");
        assert_eq!(refused(json!({ "words": "a".repeat(LONGEST_NEEDLE + 1) })), "/words");
        assert_eq!(refused(json!({ "words": "a ".repeat(MOST_WORDS + 1) })), "/words");
    }
}
