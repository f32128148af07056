//! Filters, orders and pages.

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{put, tickets};
use crate::limits::{DEEPEST_FILTER, LARGEST_FILTER, LONGEST_LIST, LONGEST_NEEDLE, LONGEST_PAGE};
use crate::{Error, Filter, Op, Order, ReadStore, Result, Select};

fn compare(field: &str, op: Op, value: Value) -> Filter {
    Filter::Compare { field: field.into(), op, value }
}

fn all() -> Select {
    Select::page(100)
}

async fn select(store: &dyn ReadStore, select: Select) -> Result<Vec<String>> {
    let rows = store.select(&tickets(), &TenantId::default(), &select).await?.into_maps()?;
    let count = store.count(&tickets(), &TenantId::default(), select.filter.as_ref()).await?;
    assert!(count >= rows.len() as u64);
    Ok(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect())
}

/// The keys of the rows that meet a filter, as one text.
async fn met(store: &dyn ReadStore, filter: Filter) -> String {
    select(store, Select { filter: Some(filter), ..all() }).await.unwrap().concat()
}

async fn ordered(store: &dyn ReadStore, order: &[(&str, bool)]) -> String {
    let order = order.iter().map(|(field, descending)| Order::by(*field, *descending));
    select(store, Select { order: order.collect(), ..all() }).await.unwrap().concat()
}

async fn refused(store: &dyn ReadStore, selection: Select) -> String {
    match select(store, selection).await {
        Err(Error::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Four rows; d holds nothing but its key.
async fn filled(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let rows = [
        json!({ "id": "a", "title": "Ärger im Büro", "seats": 9, "weight": 0.1, "unitPrice": "9.50", "isOpen": true,
            "openedAt": "2026-01-01T00:00:00Z", "extra": 1 }),
        json!({ "id": "b", "title": "50% off_now\\", "seats": 10, "weight": 0.2, "unitPrice": "10", "isOpen": false,
            "openedAt": "2026-01-01T00:00:00.000001Z" }),
        json!({ "id": "c", "title": "500 OFFxNOW", "seats": -1, "weight": -2.5e10, "unitPrice": "-100.25", "isOpen": true,
            "openedAt": "1969-12-31T23:59:59Z" }),
        json!({ "id": "d" }),
    ];
    put(store, &tickets(), rows).await;
}

pub async fn comparisons_are_those_of_the_kind(store: &dyn ReadStore) {
    filled(store).await;
    for (field, middle) in [
        ("id", json!("b")),
        ("seats", json!(9)),
        ("weight", json!(0.1)),
        ("unitPrice", json!("9.5")),
        ("openedAt", json!("2026-01-01T01:00:00+01:00")),
    ] {
        let mut met_by = Vec::new();
        for op in [Op::Less, Op::LessOrEqual, Op::Equal, Op::GreaterOrEqual, Op::Greater] {
            met_by.push(met(store, compare(field, op, middle.clone())).await);
        }
        let expected = if field == "id" { ["a", "ab", "b", "bcd", "cd"] } else { ["c", "ac", "a", "ab", "b"] };
        assert_eq!(met_by, expected, "{field}");
    }
    assert_eq!(met(store, compare("isOpen", Op::Equal, json!(true))).await, "ac");
    assert_eq!(met(store, compare("isOpen", Op::Less, json!(true))).await, "b");
    assert_eq!(met(store, Filter::Null { field: "extra".into() }).await, "bcd");
    // Texts compare by code points: capitals first, letters with marks last.
    assert_eq!(met(store, compare("title", Op::Greater, json!("Z"))).await, "a");
    assert_eq!(met(store, compare("title", Op::Equal, json!("500 offxnow"))).await, "");
}

pub async fn decimals_compare_as_numbers(store: &dyn ReadStore) {
    filled(store).await;
    assert_eq!(met(store, compare("unitPrice", Op::Equal, json!("010.000"))).await, "b");
    assert_eq!(met(store, compare("unitPrice", Op::NotEqual, json!("10.0"))).await, "acd");
    assert_eq!(met(store, compare("unitPrice", Op::Less, json!("9.5000000000000000000000000001"))).await, "ac");
    assert_eq!(met(store, compare("unitPrice", Op::Greater, json!("-100.250000000000000000001"))).await, "abc");
    assert_eq!(ordered(store, &[("unitPrice", false)]).await, "cabd");
    assert_eq!(ordered(store, &[("unitPrice", true)]).await, "bacd");
}

pub async fn a_list_of_values_is_met_by_each_of_them(store: &dyn ReadStore) {
    filled(store).await;
    for (field, values) in [
        ("id", json!(["a", "c", "zz"])),
        ("seats", json!([9, -1, i64::MAX])),
        ("weight", json!([0.1, -2.5e10])),
        ("unitPrice", json!(["9.500", "-100.25"])),
        ("openedAt", json!(["2026-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])),
        ("isOpen", json!([true])),
        ("title", json!(["500 OFFxNOW", "Ärger im Büro"])),
    ] {
        let values: Vec<Value> = values.as_array().unwrap().clone();
        assert_eq!(met(store, Filter::In { field: field.into(), values }).await, "ac", "{field}");
    }
    assert_eq!(met(store, Filter::In { field: "seats".into(), values: vec![] }).await, "");
}

pub async fn nothing_is_not_equal_to_any_value(store: &dyn ReadStore) {
    filled(store).await;
    for (field, value) in
        [("seats", json!(9)), ("title", json!("Ärger im Büro")), ("weight", json!(0.1)), ("unitPrice", json!("9.5"))]
    {
        assert_eq!(met(store, compare(field, Op::NotEqual, value.clone())).await, "bcd", "{field}");
        let not_equal = Filter::Not(Box::new(compare(field, Op::Equal, value.clone())));
        assert_eq!(met(store, not_equal.clone()).await, "bcd", "{field}");
        assert_eq!(met(store, Filter::Not(Box::new(not_equal))).await, "a", "{field}");
        let not_among = Filter::Not(Box::new(Filter::In { field: field.into(), values: vec![value] }));
        assert_eq!(met(store, not_among).await, "bcd", "{field}");
    }
    assert_eq!(met(store, Filter::Not(Box::new(compare("title", Op::Contains, json!("off"))))).await, "ad");
    assert_eq!(met(store, Filter::Not(Box::new(Filter::Null { field: "seats".into() }))).await, "abc");
}

pub async fn conditions_combine(store: &dyn ReadStore) {
    filled(store).await;
    let open = compare("isOpen", Op::Equal, json!(true));
    let cheap = compare("unitPrice", Op::Less, json!("0"));
    let unknown = Filter::Null { field: "isOpen".into() };
    assert_eq!(met(store, Filter::All(vec![open.clone(), cheap.clone()])).await, "c");
    assert_eq!(met(store, Filter::Any(vec![unknown.clone(), cheap.clone()])).await, "cd");
    let either = Filter::Any(vec![unknown, Filter::All(vec![open, Filter::Not(Box::new(cheap))])]);
    assert_eq!(met(store, either.clone()).await, "ad");
    assert_eq!(met(store, Filter::Not(Box::new(either))).await, "bc");
    assert_eq!(met(store, Filter::All(vec![])).await, "abcd");
    assert_eq!(met(store, Filter::Any(vec![])).await, "");
}

pub async fn texts_are_searched_without_regard_to_case(store: &dyn ReadStore) {
    filled(store).await;
    for (op, needle, found) in [
        (Op::Contains, "BÜRO", "a"),
        (Op::Contains, "off", "bc"),
        (Op::Contains, "", "abc"),
        (Op::StartsWith, "ärger", "a"),
        (Op::StartsWith, "50", "bc"),
        (Op::StartsWith, "off", ""),
        (Op::EndsWith, "xnow", "c"),
        (Op::EndsWith, "büro", "a"),
        (Op::EndsWith, "off", ""),
    ] {
        assert_eq!(met(store, compare("title", op, json!(needle))).await, found, "{op:?} {needle}");
    }
}

pub async fn what_looks_like_a_pattern_is_searched_for_as_it_is(store: &dyn ReadStore) {
    filled(store).await;
    for (op, needle, found) in [
        (Op::Contains, "%", "b"),
        (Op::Contains, "_", "b"),
        (Op::Contains, "\\", "b"),
        (Op::Contains, ".", ""),
        (Op::Contains, "(?s).*", ""),
        (Op::StartsWith, "50%", "b"),
        (Op::StartsWith, "^5", ""),
        (Op::EndsWith, "now\\", "b"),
        (Op::EndsWith, "now$", ""),
        (Op::Contains, "off_", "b"),
    ] {
        assert_eq!(met(store, compare("title", op, json!(needle))).await, found, "{op:?} {needle}");
    }
}

pub async fn rows_are_put_in_order_with_nothing_last(store: &dyn ReadStore) {
    filled(store).await;
    assert_eq!(ordered(store, &[]).await, "abcd");
    assert_eq!(ordered(store, &[("id", true)]).await, "dcba");
    for field in ["seats", "weight", "unitPrice", "openedAt"] {
        assert_eq!(ordered(store, &[(field, false)]).await, "cabd", "{field}");
        assert_eq!(ordered(store, &[(field, true)]).await, "bacd", "{field}");
    }
    assert_eq!(ordered(store, &[("isOpen", true), ("seats", false)]).await, "cabd");
    assert_eq!(ordered(store, &[("isOpen", false)]).await, "bacd");
    assert_eq!(ordered(store, &[("title", false)]).await, "bcad");
}

pub async fn pages_do_not_overlap(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    put(store, &tickets(), (0..25).map(|n| json!({ "id": format!("{n:02}"), "isOpen": n % 2 == 0 }))).await;
    let order = vec![Order::by("isOpen", true)];
    let mut seen = Vec::new();
    for offset in [0, 10, 20, 30] {
        seen.extend(select(store, Select { order: order.clone(), limit: 10, offset, ..all() }).await.unwrap());
    }
    // By key in the direction of what comes before it.
    let numbers = |odd: i32| (0..25).rev().filter(move |number| number % 2 == odd);
    let expected = numbers(0).chain(numbers(1)).map(|number| format!("{number:02}"));
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

pub async fn a_filter_is_data_and_never_sql(store: &dyn ReadStore) {
    filled(store).await;
    for text in ["' or true --", "\" or true --", "$1", "?", "'; drop table rm_tickets; --", "\\' or 1=1"] {
        for op in [Op::Equal, Op::Contains, Op::StartsWith, Op::EndsWith] {
            assert_eq!(met(store, compare("title", op, json!(text))).await, "", "{op:?} {text}");
        }
        assert_eq!(met(store, Filter::In { field: "title".into(), values: vec![json!(text)] }).await, "");
        let hostile = compare(text, Op::Equal, json!("a"));
        assert!(refused(store, Select { filter: Some(hostile), ..all() }).await.contains("no column"));
        let order = vec![Order::by(text, false)];
        assert!(refused(store, Select { order, ..all() }).await.contains("no column"));
    }
    assert_eq!(ordered(store, &[]).await, "abcd");
}

pub async fn a_selection_of_what_is_not_there_is_refused(store: &dyn ReadStore) {
    filled(store).await;
    for (filter, says) in [
        (compare("seats", Op::Equal, json!("nine")), "seats"),
        (compare("seats", Op::Equal, Value::Null), "null"),
        (compare("id", Op::Equal, Value::Null), "id"),
        (compare("seats", Op::Contains, json!(9)), "no text"),
        (compare("title", Op::Contains, json!("nul\0")), "title"),
        (compare("extra", Op::Equal, json!(1)), "JSON"),
        (Filter::In { field: "seats".into(), values: vec![json!(1), Value::Null] }, "null"),
        (Filter::Null { field: "missing".into() }, "no column"),
    ] {
        let reason = refused(store, Select { filter: Some(filter), ..all() }).await;
        assert!(reason.contains(says), "{reason}");
    }
    let order = vec![Order::by("extra", false)];
    assert!(refused(store, Select { order, ..all() }).await.contains("JSON"));
}

pub async fn limits_on_selections_are_kept(store: &dyn ReadStore) {
    filled(store).await;
    let condition = Filter::Null { field: "seats".into() };
    let with = |filter| Select { filter: Some(filter), ..all() };
    refused(store, Select { limit: LONGEST_PAGE + 1, ..all() }).await;
    refused(store, with(Filter::All(vec![condition.clone(); LARGEST_FILTER]))).await;
    let deep = (0..DEEPEST_FILTER).fold(condition.clone(), |inner, _| Filter::Not(Box::new(inner)));
    refused(store, with(deep)).await;
    refused(store, with(Filter::In { field: "seats".into(), values: vec![json!(1); LONGEST_LIST + 1] })).await;
    refused(store, with(compare("title", Op::Contains, json!("x".repeat(LONGEST_NEEDLE + 1))))).await;

    // What is just within them is answered.
    assert_eq!(met(store, Filter::All(vec![condition.clone(); LARGEST_FILTER - 1])).await, "d");
    let deep = (0..DEEPEST_FILTER - 2).fold(condition, |inner, _| Filter::Not(Box::new(inner)));
    assert_eq!(met(store, deep).await, "d");
    assert_eq!(met(store, Filter::In { field: "seats".into(), values: vec![json!(9); LONGEST_LIST] }).await, "a");
    assert_eq!(met(store, Filter::In { field: "weight".into(), values: vec![json!(0.1); LONGEST_LIST] }).await, "a");
    assert_eq!(met(store, compare("title", Op::Contains, json!("é".repeat(LONGEST_NEEDLE / 2)))).await, "");
    assert_eq!(select(store, Select { limit: 0, ..all() }).await.unwrap(), Vec::<String>::new());
    assert_eq!(select(store, Select { offset: u32::MAX, ..all() }).await.unwrap(), Vec::<String>::new());
}
