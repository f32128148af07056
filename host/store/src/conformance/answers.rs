//! An answer takes up no more than it may, nor do all answers of a request, and what is refused does nobody else harm. The store
//! is opened with a limit for it.

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

pub async fn the_answers_of_a_request_take_up_no_more_than_one_may(store: &dyn ReadStore) {
    filled(store).await;
    let (table, tenant) = (tickets(), TenantId::default());
    let keys: Vec<_> = (0..20).map(|number| format!("{number:02}")).collect();
    let each = Each { field: "isOpen".into(), values: vec![json!(true), json!(false)] };
    let (half, few) = (Select::page(20), Select { columns: Some(vec!["seats".into()]), ..Select::page(40) });
    let refused = Error::TooLarge { limit: ANSWER_BYTES };

    // Whatever it is that has taken up most of it, and whatever is asked for then.
    for first in 0..5 {
        let request = store.for_request();
        for second in 0..5 {
            let outcome = match (first + second) % 5 {
                0 => request.rows(&table, &tenant, &keys, None).await.map(|rows| rows.len()),
                1 => request.select(&table, &tenant, &half).await.map(|rows| rows.len()),
                2 => request.select_each(&table, &tenant, &each, &half).await.map(|rows| rows.len()),
                3 => request.aggregate(&table, &tenant, &aggregate(20)).await.map(|groups| groups.len()),
                _ => request.aggregate_each(&table, &tenant, &each, &aggregate(20)).await.map(|groups| groups.len()),
            };
            assert_eq!(outcome, if second == 0 { Ok(20) } else { Err(refused.clone()) }, "{first} {second}");
        }
        // What fits into the rest of it is answered all the same.
        assert_eq!(request.select(&table, &tenant, &few).await.unwrap().len(), 40);
        assert_eq!(request.count(&table, &tenant, None).await, Ok(40));
    }

    // Of several at once there is one that gets what the others can't have.
    let request = store.for_request();
    let answers = join_all((0..6).map(|_| request.select(&table, &tenant, &half))).await;
    let (answered, others): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(answered.len(), 1);
    assert!(others.into_iter().all(|other| other == Err(refused.clone())));

    // Another request has as much again, and who asks by themselves has it each time.
    for _ in 0..2 {
        assert_eq!(store.for_request().select(&table, &tenant, &half).await.unwrap().len(), 20);
        assert_eq!(store.select(&table, &tenant, &half).await.unwrap().len(), 20);
    }
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
