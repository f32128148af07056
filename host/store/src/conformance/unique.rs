//! What no two rows of a tenant may share, and indexes that come and go.

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{name, put, row, step, tenant, tickets};
use crate::{Column, Error, Filter, Kind, Op, Order, ReadStore, Result, Select, Table, TableWrites, Write};

/// A table in which labels are unique, and numbers together with prices.
fn seats() -> Table {
    let column = |text: &str, kind, nullable| Column { name: name(text), kind, nullable };
    Table {
        name: "rm_seats".into(),
        columns: vec![
            column("id", Kind::Text, false),
            column("label", Kind::Text, true),
            column("number", Kind::Integer, false),
            column("price", Kind::Decimal, false),
        ],
        key: name("id"),
        indexes: vec![],
        unique: vec![vec![name("label")], vec![name("number"), name("price")]],
        search: vec![name("label")],
    }
}

fn seat(id: &str, label: Value, number: i64, price: &str) -> Write {
    Write::Put(row(json!({ "id": id, "label": label, "number": number, "price": price })))
}

async fn write(store: &dyn ReadStore, writes: Vec<Write>) -> Result<()> {
    let writes = writes.into_iter().map(|write| (TenantId::default(), write)).collect();
    step(store, TableWrites { table: &seats(), writes }).await
}

async fn labels(store: &dyn ReadStore) -> Vec<String> {
    let rows = store.select(&seats(), &TenantId::default(), &Select::page(100)).await.unwrap().into_maps().unwrap();
    rows.iter().map(|row| format!("{}={}", row["id"].as_str().unwrap(), row["label"])).collect()
}

fn duplicate(columns: &[&str], value: &str) -> Result<()> {
    let columns = columns.iter().map(ToString::to_string).collect();
    Err(Error::Duplicate { table: "rm_seats".into(), columns, value: value.into() })
}

pub async fn what_is_unique_is_shared_by_no_two_rows(store: &dyn ReadStore) {
    store.ensure_table(&seats()).await.unwrap();
    let both = |label: &str| vec![seat("x", json!(label), 8, "1"), seat("y", json!(label), 9, "1")];
    // In the first step of a projection and in later ones, which may go down in other ways.
    assert_eq!(write(store, both("Loge")).await, duplicate(&["label"], "Loge"));
    assert_eq!(labels(store).await, [""; 0]);
    write(store, vec![seat("a", json!("Loge"), 1, "2.50"), seat("b", json!("loge"), 2, "2.50")]).await.unwrap();
    assert_eq!(write(store, vec![seat("c", json!("Loge"), 3, "1")]).await, duplicate(&["label"], "Loge"));
    assert_eq!(write(store, vec![seat("b", json!("Loge"), 2, "2.50")]).await, duplicate(&["label"], "Loge"));
    assert_eq!(write(store, both("x, (y)=(z)")).await, duplicate(&["label"], "x, (y)=(z)"));
    // Numbers that are equal are one, however they are spelled.
    let found = write(store, vec![seat("c", json!("C"), 1, "2.5")]).await;
    assert_eq!(found, duplicate(&["number", "price"], "1, 2.5"));
    let long = "é".repeat(200);
    assert_eq!(write(store, both(&long)).await, duplicate(&["label"], &"é".repeat(80)));
    assert_eq!(labels(store).await, [r#"a="Loge""#, r#"b="loge""#]);
    // Nothing is not shared, and others are others.
    write(store, vec![seat("c", json!(null), 3, "1"), seat("d", json!(null), 4, "1")]).await.unwrap();
    let theirs = vec![(tenant("other"), seat("a", json!("Loge"), 1, "2.50"))];
    step(store, TableWrites { table: &seats(), writes: theirs }).await.unwrap();
}

pub async fn what_is_unique_passes_from_row_to_row_in_one_step(store: &dyn ReadStore) {
    store.ensure_table(&seats()).await.unwrap();
    write(store, vec![seat("a", json!("A"), 1, "1"), seat("b", json!("B"), 2, "1")]).await.unwrap();
    // To each other, on to a third, and to one that takes the place of one that is gone.
    write(store, vec![seat("a", json!("B"), 2, "1"), seat("b", json!("A"), 1, "1")]).await.unwrap();
    assert_eq!(labels(store).await, [r#"a="B""#, r#"b="A""#]);
    write(store, vec![seat("0", json!("B"), 2, "1"), seat("a", json!("C"), 3, "1")]).await.unwrap();
    write(store, vec![Write::Delete("b".into()), seat("c", json!("A"), 1, "1.0")]).await.unwrap();
    assert_eq!(labels(store).await, [r#"0="B""#, r#"a="C""#, r#"c="A""#]);
    // Many at once, each taking the label of the one before it.
    let ring = |shift: i64| {
        let seat = |at: i64| seat(&format!("r{at:03}"), json!(format!("R{}", (at + shift) % 150)), at + 10, "1");
        (0..150).map(seat).collect::<Vec<_>>()
    };
    write(store, ring(0)).await.unwrap();
    write(store, ring(1)).await.unwrap();
    assert_eq!(labels(store).await[3..5], [r#"r000="R1""#, r#"r001="R2""#]);
    let mut broken = ring(2);
    broken.push(seat("s", json!("R7"), 1_000, "1"));
    assert_eq!(write(store, broken).await, duplicate(&["label"], "R7"));
    assert_eq!(labels(store).await[3..5], [r#"r000="R1""#, r#"r001="R2""#]);
}

pub async fn indexes_come_and_go_and_rows_stay(store: &dyn ReadStore) {
    let table = Table { indexes: vec![], ..tickets() };
    // There is nothing to drop yet.
    store.prune_indexes(&table).await.unwrap();
    store.ensure_table(&table).await.unwrap();
    put(store, &table, (0..50).map(|at| json!({ "id": format!("{at:02}"), "title": "T", "seats": at }))).await;
    let seats = vec![vec![name("seats")], vec![name("title"), name("seats")]];
    for indexes in [seats, vec![vec![name("unitPrice")]], vec![]] {
        let table = Table { indexes, ..table.clone() };
        store.ensure_table(&table).await.unwrap();
        store.ensure_table(&table).await.unwrap();
        store.index_search(&table).await.unwrap();
        store.index_search(&table).await.unwrap();
        store.prune_indexes(&table).await.unwrap();
        let order = vec![Order::by("seats", true)];
        let filter = Some(Filter::Compare { field: "seats".into(), op: Op::Less, value: json!(10) });
        let select = Select { filter, order, ..Select::page(2) };
        let rows = store.select(&table, &TenantId::default(), &select).await.unwrap().into_maps().unwrap();
        assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ["09", "08"]);
    }
    // What must be unique is not among the indexes that go.
    store.ensure_table(&self::seats()).await.unwrap();
    store.prune_indexes(&self::seats()).await.unwrap();
    write(store, vec![seat("a", json!("A"), 1, "1")]).await.unwrap();
    assert_eq!(write(store, vec![seat("b", json!("A"), 2, "1")]).await, duplicate(&["label"], "A"));
}
