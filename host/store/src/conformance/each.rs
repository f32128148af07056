//! Selections for each of several values of a column.

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{put, tenant, tickets};
use crate::limits::{LARGEST_ANSWER, LONGEST_LIST, LONGEST_PAGE};
use crate::{Each, Error, Filter, Op, Order, ReadStore, Result, Select, TableWrites, Write};

/// Rows of three titles: a hundred of `many`, three of `few`, one of `one`. The number is in the key and in the seats.
async fn filled(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let rows = [("many", 100), ("few", 3), ("one", 1)].into_iter().flat_map(|(title, count)| {
        (0..count).map(move |at| {
            json!({ "id": format!("{title}{at:02}"), "title": title, "seats": at, "isOpen": at % 2 == 0,
                "unitPrice": format!("{at}.50"), "extra": { "at": at } })
        })
    });
    put(store, &tickets(), rows).await;
}

fn page(limit: u32) -> Select {
    Select::page(limit)
}

fn each(values: &[&str]) -> Each {
    Each { field: "title".into(), values: values.iter().map(|value| json!(value)).collect() }
}

async fn found(store: &dyn ReadStore, each: &Each, select: &Select) -> Result<Vec<String>> {
    let rows = store.select_each(&tickets(), &TenantId::default(), each, select).await?.into_maps()?;
    Ok(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect())
}

async fn refused(store: &dyn ReadStore, each: &Each, select: &Select) -> String {
    match found(store, each, select).await {
        Err(Error::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

pub async fn each_value_gets_a_page_of_its_own(store: &dyn ReadStore) {
    filled(store).await;
    let all = each(&["one", "many", "few", "none"]);
    let rows = found(store, &all, &page(2)).await.unwrap();
    assert_eq!(rows, ["few00", "few01", "many00", "many01", "one00"]);
    let rows = found(store, &all, &Select { offset: 2, ..page(2) }).await.unwrap();
    assert_eq!(rows, ["few02", "many02", "many03"]);
    assert_eq!(found(store, &all, &page(0)).await.unwrap(), Vec::<String>::new());
    assert_eq!(found(store, &each(&[]), &page(2)).await.unwrap(), Vec::<String>::new());
    assert_eq!(found(store, &each(&["many"]), &page(1_000)).await.unwrap().len(), 100);
}

pub async fn the_rows_of_each_value_are_filtered_and_in_order(store: &dyn ReadStore) {
    filled(store).await;
    let open = Filter::Compare { field: "isOpen".into(), op: Op::Equal, value: json!(true) };
    let order = vec![Order::by("unitPrice", true)];
    let select = Select { filter: Some(open), order, ..page(2) };
    let rows = found(store, &each(&["many", "few"]), &select).await.unwrap();
    // By price as a number, of which 9.50 is less than 98.50.
    assert_eq!(rows, ["few02", "few00", "many98", "many96"]);

    let order = vec![Order::by("isOpen", false)];
    let rows = found(store, &each(&["few"]), &Select { order, ..page(3) }).await.unwrap();
    assert_eq!(rows, ["few01", "few00", "few02"]);
}

pub async fn rows_of_each_value_come_as_any_rows_do(store: &dyn ReadStore) {
    filled(store).await;
    let theirs = [json!({ "id": "theirs", "title": "few" })];
    let writes = theirs.into_iter().map(|fields| (tenant("other"), Write::Put(super::fixtures::row(fields))));
    super::fixtures::step(store, TableWrites { table: &tickets(), writes: writes.collect() }).await.unwrap();
    let rows = store
        .select_each(&tickets(), &TenantId::default(), &each(&["few"]), &page(9))
        .await
        .unwrap()
        .into_maps()
        .unwrap();
    let few = Filter::Compare { field: "title".into(), op: Op::Equal, value: json!("few") };
    let select = Select { filter: Some(few), ..page(9) };
    assert_eq!(rows, store.select(&tickets(), &TenantId::default(), &select).await.unwrap().into_maps().unwrap());
    assert_eq!(rows.len(), 3);
    assert_eq!((&rows[1]["unitPrice"], &rows[1]["extra"]), (&json!("1.50"), &json!({ "at": 1 })));
}

pub async fn limits_on_selections_for_each_value_are_kept(store: &dyn ReadStore) {
    filled(store).await;
    let unknown = Each { field: "missing".into(), values: vec![json!(1)] };
    assert!(refused(store, &unknown, &page(1)).await.contains("no column"));
    let null = Each { field: "title".into(), values: vec![Value::Null] };
    assert!(refused(store, &null, &page(1)).await.contains("null"));
    let json = Each { field: "extra".into(), values: vec![json!(1)] };
    assert!(refused(store, &json, &page(1)).await.contains("JSON"));
    refused(store, &each(&["few"]), &page(LONGEST_PAGE + 1)).await;
    refused(store, &each(&vec!["few"; LONGEST_LIST + 1]), &page(1)).await;
    let values = LARGEST_ANSWER / LONGEST_PAGE as usize;
    refused(store, &each(&vec!["few"; values + 1]), &page(LONGEST_PAGE)).await;
    // What is just within them is answered, and a value that is named twice gets its rows once.
    assert_eq!(found(store, &each(&vec!["few"; values]), &page(LONGEST_PAGE)).await.unwrap().len(), 3);
}
