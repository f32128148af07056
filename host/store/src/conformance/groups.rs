//! Random groups of random rows, held against a naive model.

use std::cmp::Ordering;

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{put, tickets};
use super::random::{Random, cell, follow};
use crate::cell::Cell;
use crate::read::matches::compare;
use crate::{Aggregate, Each, Function, Group, Order, ReadStore, Row, Select};

/// Aggregates that are tried, and as many for each of several values.
const ROUNDS: usize = 150;

/// What rows are grouped by and told apart by: everything but JSON.
const FIELDS: [&str; 7] = ["id", "title", "seats", "weight", "unitPrice", "isOpen", "openedAt"];

impl Random {
    fn aggregate(&mut self) -> Aggregate {
        let by = (0..self.below(4)).map(|_| self.one_of(&FIELDS).to_owned()).collect();
        let of = (0..self.below(4)).map(|_| match self.below(3) {
            0 => (Function::Sum, "seats".to_owned()),
            end => {
                let ordered = ["id", "title", "seats", "weight", "unitPrice", "openedAt"];
                (if end == 1 { Function::Min } else { Function::Max }, self.one_of(&ordered).to_owned())
            }
        });
        let of = of.collect();
        let filter = (self.below(3) > 0).then(|| self.filter(&tickets(), 2, 0, &mut 0));
        let (limit, offset) = (self.below(12), self.below(6).saturating_sub(3));
        Aggregate { filter, by, of, limit: u32::try_from(limit).unwrap(), offset: u32::try_from(offset).unwrap() }
    }
}

fn same(a: &Cell, b: &Cell) -> bool {
    a == b || compare(a, b) == Some(Ordering::Equal)
}

/// What a function makes of rows, where the value is one that compares.
fn computed(function: Function, field: &str, rows: &[Row]) -> Option<Cell> {
    let cells = rows.iter().map(|row| cell(&tickets(), row, field)).filter(|cell| *cell != Cell::Null);
    let order = |a: &Cell, b: &Cell| compare(a, b).unwrap();
    match function {
        Function::Min => cells.min_by(order),
        Function::Max => cells.max_by(order),
        Function::Sum | Function::Avg => {
            let numbers = cells.map(|cell| match cell {
                Cell::Integer(number) => i128::from(number),
                other => panic!("{other:?} is no whole number"),
            });
            numbers.reduce(|a, b| a + b).map(|sum| Cell::Decimal(sum.to_string()))
        }
    }
}

/// The groups of rows that meet the filter, all of them, in order.
fn groups(aggregate: &Aggregate, rows: Vec<Row>) -> Vec<Vec<Row>> {
    if aggregate.by.is_empty() {
        return vec![rows];
    }
    let mut groups: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        let alike = |other: &Row| {
            aggregate.by.iter().all(|field| same(&cell(&tickets(), &row, field), &cell(&tickets(), other, field)))
        };
        match groups.iter_mut().find(|group| alike(&group[0])) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    let order: Vec<_> = aggregate.by.iter().map(|field| Order::by(field, false)).collect();
    groups.sort_by(|a, b| follow(&tickets(), &order, &a[0], &b[0]));
    let (offset, limit) = (aggregate.offset as usize, aggregate.limit as usize);
    groups.into_iter().skip(offset).take(limit).collect()
}

/// Of values that are equal, any spelling will do.
fn check(aggregate: &Aggregate, found: &[Group], expected: &[Vec<Row>]) {
    assert_eq!(found.len(), expected.len(), "{aggregate:#?}");
    for (found, rows) in found.iter().zip(expected) {
        assert_eq!(found.count, rows.len() as u64, "{aggregate:#?}");
        for field in &aggregate.by {
            let (one, other) = (cell(&tickets(), &found.key, field), cell(&tickets(), &rows[0], field));
            assert!(same(&one, &other), "{one:?} for {other:?}: {aggregate:#?}");
        }
        assert_eq!(found.values.len(), aggregate.of.len());
        for (value, (function, field)) in found.values.iter().zip(&aggregate.of) {
            match computed(*function, field, rows) {
                None => assert_eq!(*value, Value::Null, "{aggregate:#?}"),
                Some(Cell::Decimal(sum)) if *function == Function::Sum => assert_eq!(*value, json!(sum)),
                Some(expected) => {
                    let one = Row::from_iter([(field.clone(), value.clone())]);
                    assert!(same(&cell(&tickets(), &one, field), &expected), "{value} for {expected:?}");
                }
            }
        }
    }
}

pub async fn random_groups_are_those_of_the_naive_model(store: &dyn ReadStore) {
    let mut random = Random::new(0x51_7c_c1_b7_27_22_0a_95);
    store.ensure_table(&tickets()).await.unwrap();
    let rows = random.rows(&tickets(), 45);
    put(store, &tickets(), rows.into_iter().map(Value::Object)).await;
    let tenant = TenantId::default();
    let all = store.select(&tickets(), &tenant, &Select::page(100)).await.unwrap().into_maps().unwrap();
    for _ in 0..ROUNDS {
        let aggregate = random.aggregate();
        let holds =
            |row: &&Row| aggregate.filter.as_ref().is_none_or(|filter| filter.matches(&tickets(), row).unwrap());
        let rows: Vec<Row> = all.iter().filter(holds).cloned().collect();
        let found = store.aggregate(&tickets(), &tenant, &aggregate).await.unwrap();
        check(&aggregate, &found, &groups(&aggregate, rows.clone()));

        let field = random.one_of(&FIELDS).to_owned();
        let values: Vec<Value> = (0..random.below(5)).map(|_| random.value(&field)).collect();
        let each = Each { field: field.clone(), values: values.clone() };
        let found = store.aggregate_each(&tickets(), &tenant, &each, &aggregate).await.unwrap();
        let of = |value: &Value| cell(&tickets(), &Row::from_iter([(field.clone(), value.clone())]), &field);
        let mut left = found.len();
        let mut seen: Vec<Cell> = Vec::new();
        for value in values.iter().map(of) {
            if seen.iter().any(|other| same(other, &value)) {
                continue;
            }
            let found: Vec<Group> =
                found.iter().filter(|(other, _)| same(&of(other), &value)).map(|(_, group)| group.clone()).collect();
            let rows = rows.iter().filter(|row| same(&cell(&tickets(), row, &field), &value)).cloned().collect();
            left -= found.len();
            check(&aggregate, &found, &groups(&aggregate, rows));
            seen.push(value);
        }
        assert_eq!(left, 0, "a value that nobody asked for: {each:?}");
    }
}
