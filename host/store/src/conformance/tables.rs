//! Tables are made, told apart, and dropped.

use serde_json::json;
use yado_model::TenantId;

use super::fixtures::{name, put, tickets};
use crate::{Column, Error, Filter, Kind, Op, Order, ReadStore, Select, Table};

pub async fn a_table_is_made_once_and_listed(store: &dyn ReadStore) {
    assert_eq!(store.tables().await.unwrap(), Vec::<String>::new());
    let other = Table { name: "rm_others".into(), ..tickets() };
    for table in [&tickets(), &other, &tickets()] {
        store.ensure_table(table).await.unwrap();
    }
    assert_eq!(store.tables().await.unwrap(), ["rm_others", "rm_tickets"]);
}

pub async fn a_table_with_other_columns_is_told_from_the_one_meant(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    put(store, &tickets(), [json!({ "id": "a" })]).await;
    let changes: [fn(&mut Table); 7] = [
        |table| table.search.clear(),
        |table| table.columns[2].kind = Kind::Json,
        |table| table.columns[4].kind = Kind::Text,
        |table| table.columns[2].nullable = false,
        |table| table.columns.swap(2, 3),
        |table| table.columns.push(Column { name: name("more"), kind: Kind::Text, nullable: true }),
        |table| {
            table.columns[1].nullable = false;
            table.key = name("title");
        },
    ];
    for change in changes {
        let mut table = tickets();
        change(&mut table);
        let error = store.ensure_table(&table).await.unwrap_err();
        assert!(matches!(&error, Error::Corrupt { place, .. } if place == "table rm_tickets"), "{error}");
    }
    // The one that is there is as it was.
    store.ensure_table(&tickets()).await.unwrap();
    assert_eq!(store.count(&tickets(), &TenantId::default(), None).await.unwrap(), 1);
}

pub async fn a_dropped_table_is_gone_and_can_be_made_anew(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    put(store, &tickets(), [json!({ "id": "a" })]).await;
    store.drop_table("rm_tickets").await.unwrap();
    store.drop_table("rm_tickets").await.unwrap();
    assert_eq!(store.tables().await.unwrap(), Vec::<String>::new());
    store.ensure_table(&tickets()).await.unwrap();
    assert_eq!(store.count(&tickets(), &TenantId::default(), None).await.unwrap(), 0);
}

pub async fn only_tables_of_read_models_can_be_dropped(store: &dyn ReadStore) {
    for name in ["events", "checkpoints", "rm_a\"; drop table events; --", ""] {
        let error = store.drop_table(name).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    let error = store.ensure_table(&Table { name: "events".into(), ..tickets() }).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    assert_eq!(store.checkpoint("anything").await.unwrap().position.get(), 0);
}

pub async fn a_table_takes_names_that_sql_has_a_meaning_for(store: &dyn ReadStore) {
    let column = |text: &str| Column { name: name(text), kind: Kind::Text, nullable: text != "order" };
    let table = Table {
        name: "rm_select".into(),
        columns: ["order", "select", "tenant", "rowid", "oid", "value", "camelCase", "t", "excluded", "user"]
            .map(column)
            .into(),
        key: name("order"),
        indexes: vec![vec![name("select"), name("user")], vec![name("camelCase")]],
        unique: vec![vec![name("oid")]],
        search: vec![name("select"), name("t")],
    };
    store.ensure_table(&table).await.unwrap();
    let fields: serde_json::Map<_, _> =
        table.columns.iter().map(|column| (column.name.as_str().to_owned(), json!(column.name.as_str()))).collect();
    put(store, &table, [fields.clone().into()]).await;
    for column in &table.columns {
        let field = column.name.as_str().to_owned();
        let select = Select {
            filter: Some(Filter::Compare { field: field.clone(), op: Op::Equal, value: json!(field) }),
            order: vec![Order::by(field, true)],
            ..Select::page(10)
        };
        assert_eq!(
            store.select(&table, &TenantId::default(), &select).await.unwrap().into_maps().unwrap(),
            std::slice::from_ref(&fields)
        );
    }
}

pub async fn the_read_database_answers(store: &dyn ReadStore) {
    store.ping().await.unwrap();
}
