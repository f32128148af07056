//! An answer takes up no more than it may, and what is refused does nobody else harm. The store is opened with a limit for it.

use futures::future::join_all;
use serde_json::json;
use yado_model::TenantId;

use super::fixtures::{put, tickets};
use crate::{Aggregate, Each, Error, Function, ReadStore, Select};

/// What the store is opened with.
pub const ANSWER_BYTES: usize = 256 << 10;

/// So long is the title of each row. Twenty of them are within the limit, and all of them are not.
const LONG: usize = 10_000;

fn aggregate(limit: u32) -> Aggregate {
    Aggregate { filter: None, by: vec!["title".into()], of: Vec::new(), limit, offset: 0 }
}

async fn filled(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let title = |number: usize| format!("{number:02}{}", "é".repeat(LONG / 2 - 1));
    let row = |number| json!({ "id": format!("{number:02}"), "title": title(number), "isOpen": true, "seats": number });
    put(store, &tickets(), (0..40).map(row)).await;
}

pub async fn an_answer_takes_up_no_more_than_it_may(store: &dyn ReadStore) {
    filled(store).await;
    let (table, tenant) = (tickets(), TenantId::default());
    let keys = |count: usize| (0..count).map(|number| format!("{number:02}")).collect::<Vec<_>>();
    let seats = Some(vec!["seats".to_owned()]);
    let each = Each { field: "isOpen".into(), values: vec![json!(true), json!(false)] };
    let extremes = vec![(Function::Min, "title".to_owned()), (Function::Max, "title".to_owned())];
    let refused = Error::TooLarge { limit: ANSWER_BYTES };

    // Fewer rows, or fewer columns of them, are answered.
    assert_eq!(store.select(&table, &tenant, &Select::page(20)).await.unwrap().len(), 20);
    assert_eq!(store.select(&table, &tenant, &Select::page(40)).await, Err(refused.clone()));
    let backward = Select { backward: true, ..Select::page(40) };
    assert_eq!(store.select(&table, &tenant, &backward).await, Err(refused.clone()));
    let few = Select { columns: seats.clone(), ..Select::page(40) };
    assert_eq!(store.select(&table, &tenant, &few).await.unwrap().len(), 40);

    assert_eq!(store.rows(&table, &tenant, &keys(20), None).await.unwrap().len(), 20);
    assert_eq!(store.rows(&table, &tenant, &keys(40), None).await, Err(refused.clone()));
    assert_eq!(store.rows(&table, &tenant, &keys(40), seats.as_deref()).await.unwrap().len(), 40);

    assert_eq!(store.select_each(&table, &tenant, &each, &Select::page(20)).await.unwrap().len(), 20);
    assert_eq!(store.select_each(&table, &tenant, &each, &Select::page(40)).await, Err(refused.clone()));
    assert_eq!(store.select_each(&table, &tenant, &each, &few).await.unwrap().len(), 40);

    assert_eq!(store.aggregate(&table, &tenant, &aggregate(20)).await.unwrap().len(), 20);
    assert_eq!(store.aggregate(&table, &tenant, &aggregate(40)).await, Err(refused.clone()));
    let of_all = Aggregate { by: Vec::new(), of: extremes.clone(), ..aggregate(40) };
    assert_eq!(store.aggregate(&table, &tenant, &of_all).await.unwrap()[0].count, 40);

    assert_eq!(store.aggregate_each(&table, &tenant, &each, &aggregate(20)).await.unwrap().len(), 20);
    assert_eq!(store.aggregate_each(&table, &tenant, &each, &aggregate(40)).await, Err(refused.clone()));
    let many = Aggregate { by: vec!["id".into()], of: extremes, ..aggregate(15) };
    assert_eq!(store.aggregate_each(&table, &tenant, &each, &many).await, Err(refused));
}

pub async fn an_answer_that_is_refused_does_the_others_no_harm(store: &dyn ReadStore) {
    filled(store).await;
    let (table, tenant) = (tickets(), TenantId::default());
    let ask = async |number: u32| {
        // Each second one asks for too much.
        let select = if number.is_multiple_of(2) { Select::page(40) } else { Select::page(1 + number % 20) };
        (number, store.select(&table, &tenant, &select).await)
    };
    for _ in 0..3 {
        for (number, answer) in join_all((0..60).map(ask)).await {
            match answer {
                Err(error) => assert_eq!((number % 2, error), (0, Error::TooLarge { limit: ANSWER_BYTES })),
                Ok(rows) => assert_eq!(rows.len(), 1 + number as usize % 20),
            }
        }
    }
}
