//! Rows come back as they were put.

use serde_json::{Value, json};
use yado_model::{Name, TenantId};

use super::fixtures::{put, row, step, tenant, tickets};
use crate::{Error, ReadStore, Row, Shown, TableWrites, Write};

async fn by_keys(store: &dyn ReadStore, keys: &[&str]) -> Vec<Row> {
    let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
    let rows = store.rows(&tickets(), &TenantId::default(), &keys, None).await.unwrap();
    let mut rows = rows.into_maps().unwrap();
    rows.sort_by_key(|row| row["id"].to_string());
    rows
}

async fn field(store: &dyn ReadStore, key: &str, field: &str) -> Value {
    by_keys(store, &[key]).await[0][field].clone()
}

pub async fn every_kind_of_value_comes_back_as_it_was(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let full = json!({
        "id": "a b/c é",
        "title": "😀 'quoted' \"twice\" \\ %_ \n",
        "seats": i64::MAX,
        "weight": 0.1,
        "unitPrice": "-12345678901234567890.000000000000000001",
        "isOpen": false,
        "openedAt": "0001-01-01T00:00:00.000001Z",
        "extra": { "a": [1, null, { "b": "é" }] },
    });
    let least = json!({
        "id": "b", "title": "", "seats": i64::MIN, "weight": -1.7976931348623157e308, "unitPrice": "0", "isOpen": true,
        "openedAt": "9999-12-30T22:00:00.999999Z", "extra": [],
    });
    put(store, &tickets(), [full.clone(), least.clone()]).await;
    assert_eq!(by_keys(store, &["a b/c é", "b"]).await, [row(full), row(least)]);
    // Numbers of a document keep their digits.
    let exact: Value = serde_json::from_str(r#"{"n": 123456789012345678901234567890.10}"#).unwrap();
    put(store, &tickets(), [json!({ "id": "c", "extra": exact })]).await;
    assert_eq!(field(store, "c", "extra").await, exact);
    // A time of another offset is the same time.
    put(store, &tickets(), [json!({ "id": "d", "openedAt": "2026-01-31T10:30:00+01:00" })]).await;
    assert_eq!(field(store, "d", "openedAt").await, json!("2026-01-31T09:30:00.000000Z"));
}

pub async fn a_decimal_keeps_its_digits(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    for (put_in, comes_out) in
        [("2.50", "2.50"), ("100", "100"), ("0.00", "0.00"), ("-0.10", "-0.10"), ("007.0", "7.0"), ("-0.0", "0.0")]
    {
        put(store, &tickets(), [json!({ "id": "a", "unitPrice": put_in })]).await;
        assert_eq!(field(store, "a", "unitPrice").await, json!(comes_out));
    }
}

pub async fn what_is_missing_in_a_row_is_null(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    put(store, &tickets(), [json!({ "id": "a", "seats": null })]).await;
    let nulls = json!({
        "id": "a", "title": null, "seats": null, "weight": null, "unitPrice": null, "isOpen": null, "openedAt": null,
        "extra": null,
    });
    assert_eq!(by_keys(store, &["a"]).await, [row(nulls)]);
}

pub async fn a_put_replaces_the_whole_row(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    put(store, &tickets(), [json!({ "id": "a", "title": "old", "seats": 1 })]).await;
    put(store, &tickets(), [json!({ "id": "a", "title": "new" })]).await;
    assert_eq!(field(store, "a", "title").await, json!("new"));
    assert_eq!(field(store, "a", "seats").await, Value::Null);
}

pub async fn a_deleted_row_is_gone(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    put(store, &tickets(), [json!({ "id": "a" }), json!({ "id": "b" }), json!({ "id": "c" })]).await;
    let delete = |key: &str| (TenantId::default(), Write::Delete(key.into()));
    let writes = vec![delete("a"), delete("c"), delete("never there")];
    step(store, TableWrites { table: &tickets(), writes }).await.unwrap();
    let left: Vec<_> = by_keys(store, &["a", "b", "c"]).await.iter().map(|row| row["id"].clone()).collect();
    assert_eq!(left, ["b"]);
}

pub async fn rows_of_one_key_in_two_tenants_are_two(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let title = |title: &str| Write::Put(row(json!({ "id": "a", "title": title })));
    let writes = vec![(TenantId::default(), title("ours")), (tenant("acme"), title("theirs"))];
    step(store, TableWrites { table: &tickets(), writes }).await.unwrap();
    let theirs = store.rows(&tickets(), &tenant("acme"), &["a".into()], Some(&["title".into()])).await.unwrap();
    assert_eq!(theirs.get(0, "title"), Shown::Text("theirs"));
    assert_eq!(theirs.columns().map(Name::as_str).collect::<Vec<_>>(), ["id", "title"]);
    let writes = vec![(tenant("acme"), Write::Delete("a".into()))];
    step(store, TableWrites { table: &tickets(), writes }).await.unwrap();
    assert_eq!(store.count(&tickets(), &tenant("acme"), None).await.unwrap(), 0);
    assert_eq!(field(store, "a", "title").await, json!("ours"));
}

pub async fn rows_are_found_by_many_keys_at_once(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    put(store, &tickets(), (0..50).map(|number| json!({ "id": format!("{number:02}"), "seats": number }))).await;
    let found = by_keys(store, &["49", "00", "00", "no such", "bad\0key", "17"]).await;
    let seats: Vec<_> = found.iter().map(|row| row["seats"].clone()).collect();
    assert_eq!(seats, [0, 17, 49]);
    assert_eq!(by_keys(store, &[]).await, Vec::<Row>::new());
    let many = vec!["a".to_owned(); crate::limits::LONGEST_LIST + 1];
    assert!(matches!(store.rows(&tickets(), &TenantId::default(), &many, None).await, Err(Error::Invalid(_))));
}

pub async fn a_value_that_does_not_fit_is_refused_and_nothing_is_written(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let long = "x".repeat(crate::limits::LONGEST_KEY + 1);
    for (broken, column) in [
        (json!({ "id": "b", "seats": 1.5 }), "seats"),
        (json!({ "id": "b", "unitPrice": 2.5 }), "unitPrice"),
        (json!({ "id": "b", "openedAt": "soon" }), "openedAt"),
        (json!({ "id": "b", "title": "nul\0" }), "title"),
        (json!({ "id": "b", "extra": { "deep": "nul\0" } }), "extra"),
        (json!({ "id": "b", "stranger": 1 }), "stranger"),
        (json!({ "title": "no key" }), "id"),
        (json!({ "id": null }), "id"),
        (json!({ "id": long }), "key"),
    ] {
        let writes =
            [json!({ "id": "a" }), broken.clone()].map(|fields| (TenantId::default(), Write::Put(row(fields))));
        let error = step(store, TableWrites { table: &tickets(), writes: writes.into() }).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(reason) if reason.contains(column)), "{broken}: {error}");
    }
    assert_eq!(store.count(&tickets(), &TenantId::default(), None).await.unwrap(), 0);
    assert_eq!(store.checkpoint("fixtures").await.unwrap().position.get(), 0);
}

pub async fn a_row_written_twice_at_once_is_refused(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let put = || (TenantId::default(), Write::Put(row(json!({ "id": "a" }))));
    let delete = (TenantId::default(), Write::Delete("a".into()));
    for writes in [vec![put(), put()], vec![put(), delete]] {
        let error = step(store, TableWrites { table: &tickets(), writes }).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
}

pub async fn many_rows_go_down_at_once(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    put(store, &tickets(), (0..2_345).map(|number| json!({ "id": number.to_string(), "unitPrice": "1.5" }))).await;
    assert_eq!(store.count(&tickets(), &TenantId::default(), None).await.unwrap(), 2_345);
    let deletes = (0..2_345).map(|number| (TenantId::default(), Write::Delete(number.to_string())));
    step(store, TableWrites { table: &tickets(), writes: deletes.collect() }).await.unwrap();
    assert_eq!(store.count(&tickets(), &TenantId::default(), None).await.unwrap(), 0);
}
