//! Pages that begin and end at places in an order, and parts of rows.

use std::collections::HashSet;

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{put, row, step, tickets};
use super::random::Random;
use crate::{Each, Error, Filter, Mark, Op, Order, ReadStore, Result, Row, Select, TableWrites, Write};

fn order(order: &[(&str, bool)]) -> Vec<Order> {
    order.iter().map(|(field, descending)| Order::by(*field, *descending)).collect()
}

fn mark(order: &[Order], row: &Row) -> Mark {
    let values = order.iter().map(|order| row[&order.field].clone()).collect();
    Mark { values, key: row["id"].as_str().unwrap().to_owned() }
}

async fn select(store: &dyn ReadStore, select: &Select) -> Result<Vec<Row>> {
    store.select(&tickets(), &TenantId::default(), select).await?.into_maps()
}

async fn ids(store: &dyn ReadStore, selection: Select) -> String {
    let rows = select(store, &selection).await.unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

/// Six rows; of each two one is open, and two of them have no seats.
async fn filled(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let seats = [json!(1), json!(1), json!(2), json!(3), Value::Null, Value::Null];
    let rows = ["a", "b", "c", "d", "e", "f"].into_iter().zip(seats).enumerate();
    let rows = rows.map(|(at, (id, seats))| {
        json!({ "id": id, "title": "T", "seats": seats, "isOpen": at % 2 == 0, "unitPrice": format!("{at}.50") })
    });
    put(store, &tickets(), rows).await;
}

pub async fn a_page_begins_after_one_place_and_ends_before_another(store: &dyn ReadStore) {
    filled(store).await;
    let at = |values: &[Value], key: &str| Some(Mark { values: values.to_vec(), key: key.into() });
    let up = || Select { order: order(&[("seats", false)]), ..Select::page(10) };
    let down = || Select { order: order(&[("seats", true)]), ..Select::page(10) };
    assert_eq!(ids(store, down()).await, "dcbafe");
    for (selection, found) in [
        (Select { after: at(&[], "b"), ..Select::page(2) }, "cd"),
        (Select { before: at(&[], "c"), ..Select::page(9) }, "ab"),
        (Select { before: at(&[], "e"), backward: true, ..Select::page(2) }, "cd"),
        (Select { before: at(&[], "e"), backward: true, offset: 1, ..Select::page(2) }, "bc"),
        (Select { after: at(&[json!(1)], "a"), ..up() }, "bcdef"),
        (Select { after: at(&[json!(3)], "d"), ..up() }, "ef"),
        (Select { after: at(&[json!(null)], "e"), ..up() }, "f"),
        (Select { before: at(&[json!(null)], "e"), ..up() }, "abcd"),
        (Select { before: at(&[json!(2)], "c"), ..up() }, "ab"),
        (Select { after: at(&[json!(1)], "b"), ..down() }, "afe"),
        (Select { before: at(&[json!(null)], "e"), backward: true, limit: 3, ..down() }, "baf"),
        (Select { after: at(&[json!(3)], "d"), before: at(&[json!(1)], "a"), ..down() }, "cb"),
        (Select { after: at(&[json!(null)], "f"), ..up() }, ""),
        // A place where no row is, between others.
        (Select { after: at(&[json!(1)], "ab"), ..up() }, "bcdef"),
        (Select { after: at(&[json!(2)], ""), before: at(&[json!(3)], "z"), ..up() }, "cd"),
        (Select { limit: 2, backward: true, ..up() }, "ef"),
        (Select { limit: 0, backward: true, ..up() }, ""),
    ] {
        assert_eq!(ids(store, selection.clone()).await, found, "{selection:?}");
    }
    // Two directions at once, and what is in the filter besides.
    let mixed = order(&[("isOpen", true), ("unitPrice", false)]);
    let open = Filter::Compare { field: "unitPrice".into(), op: Op::Less, value: json!("5") };
    let mixed = |key: &str, is_open: bool, price: &str| Select {
        order: mixed.clone(),
        filter: Some(open.clone()),
        after: at(&[json!(is_open), json!(price)], key),
        ..Select::page(3)
    };
    assert_eq!(ids(store, mixed("a", true, "0.5")).await, "ceb");
    assert_eq!(ids(store, mixed("e", true, "4.500")).await, "bd");
    // Each value has the place for itself.
    let each = Each { field: "isOpen".into(), values: vec![json!(true), json!(false)] };
    let after = Select { after: at(&[], "a"), before: at(&[], "f"), backward: true, ..Select::page(2) };
    let rows = store.select_each(&tickets(), &TenantId::default(), &each, &after).await.unwrap().into_maps().unwrap();
    assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<String>(), "bdce");
}

pub async fn a_place_that_can_not_be_is_refused(store: &dyn ReadStore) {
    filled(store).await;
    let at = |values: Value, key: &str| {
        let after = Some(Mark { values: values.as_array().unwrap().clone(), key: key.into() });
        Select { order: order(&[("seats", false)]), after, ..Select::page(3) }
    };
    for (selection, says) in [
        (at(json!([]), "a"), "as many values"),
        (at(json!([1, 2]), "a"), "as many values"),
        (at(json!(["one"]), "a"), "seats"),
        (at(json!([1]), "a\0"), "NUL"),
        (Select { order: order(&[("id", false)]), ..at(json!([null]), "a") }, "id"),
        (Select { order: order(&[("missing", false)]), ..at(json!([1]), "a") }, "no column"),
        (Select { order: order(&[("extra", false)]), ..at(json!([1]), "a") }, "JSON"),
        (Select { columns: Some(vec!["missing".into()]), ..Select::page(3) }, "no column"),
        (Select { columns: Some(vec!["_tenant".into()]), ..Select::page(3) }, "no column"),
    ] {
        match select(store, &selection).await {
            Err(Error::Invalid(reason)) => assert!(reason.contains(says), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

pub async fn of_rows_only_what_is_asked_for_is_read(store: &dyn ReadStore) {
    filled(store).await;
    let some = |columns: &[&str]| {
        let columns = Some(columns.iter().map(ToString::to_string).collect());
        Select { columns, order: order(&[("seats", true)]), ..Select::page(1) }
    };
    assert_eq!(select(store, &some(&[])).await.unwrap(), [row(json!({ "id": "d" }))]);
    let price = select(store, &some(&["unitPrice", "title", "unitPrice"])).await.unwrap();
    assert_eq!(price, [row(json!({ "id": "d", "title": "T", "unitPrice": "3.50" }))]);
    let each = Each { field: "isOpen".into(), values: vec![json!(false)] };
    let rows = store
        .select_each(&tickets(), &TenantId::default(), &each, &some(&["seats"]))
        .await
        .unwrap()
        .into_maps()
        .unwrap();
    assert_eq!(rows, [row(json!({ "id": "d", "seats": 3, "isOpen": false }))]);
}

/// Whoever reads page by page sees each row that was there all along exactly once, whatever comes and goes meanwhile.
pub async fn pages_show_each_row_once_while_others_come_and_go(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let mut random = Random::new(7);
    for (round, directions) in [
        vec![],
        vec![("id", true)],
        vec![("seats", false)],
        vec![("seats", true)],
        vec![("isOpen", false), ("seats", true)],
        vec![("title", true), ("unitPrice", true)],
        vec![("openedAt", false), ("weight", false), ("isOpen", true)],
    ]
    .into_iter()
    .enumerate()
    {
        let rows = random.rows(&tickets(), 45);
        let keys: Vec<String> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        let (staying, passing) = keys.split_at(25);
        put(store, &tickets(), rows.iter().cloned().map(Value::Object)).await;
        let order = order(&directions);
        for backward in [false, true] {
            let mut seen: Vec<String> = Vec::new();
            let mut place = None;
            loop {
                let mut page = Select { order: order.clone(), backward, ..Select::page(4) };
                *(if backward { &mut page.before } else { &mut page.after }) = place.take();
                let mut found = select(store, &page).await.unwrap();
                if backward {
                    found.reverse();
                }
                let Some(last) = found.last() else { break };
                place = Some(mark(&order, last));
                seen.extend(found.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
                // Some of the others go, some come back as something else.
                let writes = passing.iter().filter_map(|key| match random.below(6) {
                    0 => Some(Write::Delete(key.clone())),
                    1 => {
                        let mut row = random.one_of(&rows);
                        row.insert("id".into(), key.clone().into());
                        Some(Write::Put(row))
                    }
                    _ => None,
                });
                let writes = writes.map(|write| (TenantId::default(), write)).collect();
                step(store, TableWrites { table: &tickets(), writes }).await.unwrap();
            }
            let once: Vec<&String> = seen.iter().filter(|key| staying.contains(key)).collect();
            assert_eq!(once.len(), staying.len(), "round {round}, backward {backward}");
            assert_eq!(once.into_iter().collect::<HashSet<_>>().len(), staying.len());
        }
        let all = keys.iter().map(|key| (TenantId::default(), Write::Delete(key.clone()))).collect();
        step(store, TableWrites { table: &tickets(), writes: all }).await.unwrap();
    }
}
