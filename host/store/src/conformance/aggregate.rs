//! What is computed of rows, all together and in groups.

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{put, row, step, tenant, tickets};
use crate::limits::{LARGEST_ANSWER, LONGEST_GROUPS, MOST_AGGREGATED, MOST_GROUPED};
use crate::{Aggregate, Each, Error, Filter, Function, Group, Op, ReadStore, Result, TableWrites, Write};

const ALL: [Function; 4] = [Function::Sum, Function::Avg, Function::Min, Function::Max];

fn of(functions: &[Function], field: &str) -> Aggregate {
    let of = functions.iter().map(|function| (*function, field.to_owned())).collect();
    Aggregate { filter: None, by: vec![], of, limit: 100, offset: 0 }
}

fn by(fields: &[&str], aggregate: Aggregate) -> Aggregate {
    Aggregate { by: fields.iter().map(|field| (*field).to_owned()).collect(), ..aggregate }
}

async fn groups(store: &dyn ReadStore, aggregate: &Aggregate) -> Result<Vec<Group>> {
    store.aggregate(&tickets(), &TenantId::default(), aggregate).await
}

/// What is computed of all rows together.
async fn computed(store: &dyn ReadStore, aggregate: &Aggregate) -> (u64, Value) {
    let mut groups = groups(store, aggregate).await.unwrap();
    assert_eq!(groups.len(), 1);
    let group = groups.remove(0);
    assert!(group.key.is_empty());
    (group.count, group.values.into())
}

async fn refused(store: &dyn ReadStore, aggregate: &Aggregate) -> String {
    match groups(store, aggregate).await {
        Err(Error::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

async fn filled(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let rows = [
        json!({ "id": "a", "title": "Opera", "seats": 9, "weight": 0.5, "unitPrice": "9.50", "isOpen": true,
            "openedAt": "2026-01-01T00:00:00Z" }),
        json!({ "id": "b", "title": "Ballet", "seats": 10, "weight": 0.25, "unitPrice": "10", "isOpen": false,
            "openedAt": "2026-01-01T00:00:00.000001Z" }),
        json!({ "id": "c", "title": "Opera", "seats": -2, "weight": -2.5, "unitPrice": "-100.250", "isOpen": true,
            "openedAt": "1969-12-31T23:59:59Z" }),
        json!({ "id": "d" }),
    ];
    put(store, &tickets(), rows).await;
    let theirs = vec![(tenant("other"), Write::Put(row(json!({ "id": "e", "seats": 1_000 }))))];
    step(store, TableWrites { table: &tickets(), writes: theirs }).await.unwrap();
}

pub async fn rows_are_counted_and_computed_all_together(store: &dyn ReadStore) {
    filled(store).await;
    assert_eq!(computed(store, &of(&[], "id")).await, (4, json!([])));
    assert_eq!(computed(store, &of(&ALL, "seats")).await, (4, json!(["17", "5.666667", -2, 10])));
    assert_eq!(computed(store, &of(&ALL, "weight")).await.1, json!([-1.75, -1.75 / 3.0, -2.5, 0.5]));
    assert_eq!(computed(store, &of(&ALL, "unitPrice")).await.1, json!(["-80.750", "-26.916666667", "-100.250", "10"]));
    let ends = [Function::Min, Function::Max];
    assert_eq!(computed(store, &of(&ends, "id")).await.1, json!(["a", "d"]));
    assert_eq!(computed(store, &of(&ends, "title")).await.1, json!(["Ballet", "Opera"]));
    let times = json!(["1969-12-31T23:59:59Z", "2026-01-01T00:00:00.000001Z"]);
    let found = computed(store, &of(&ends, "openedAt")).await.1;
    let time = |value: &Value| value.as_str().unwrap().parse::<yado_model::Timestamp>().unwrap();
    assert_eq!((time(&found[0]), time(&found[1])), (time(&times[0]), time(&times[1])));

    let open = Filter::Compare { field: "isOpen".into(), op: Op::Equal, value: json!(true) };
    let several = Aggregate {
        filter: Some(open),
        of: vec![(Function::Max, "title".into()), (Function::Sum, "unitPrice".into()), (Function::Avg, "seats".into())],
        ..of(&[], "id")
    };
    assert_eq!(computed(store, &several).await, (2, json!(["Opera", "-90.750", "3.5"])));
    // Pages are of groups; of all rows together there is one in any case.
    let beyond = Aggregate { limit: 0, offset: 9, ..of(&[], "id") };
    assert_eq!(computed(store, &beyond).await.0, 4);
}

pub async fn what_holds_nothing_has_no_sum(store: &dyn ReadStore) {
    filled(store).await;
    let unknown = Filter::Null { field: "seats".into() };
    for field in ["seats", "weight", "unitPrice"] {
        let nothing = Aggregate { filter: Some(unknown.clone()), ..of(&ALL, field) };
        assert_eq!(computed(store, &nothing).await, (1, json!([null, null, null, null])), "{field}");
        let none = Aggregate { filter: Some(Filter::Any(vec![])), ..of(&ALL, field) };
        assert_eq!(computed(store, &none).await, (0, json!([null, null, null, null])), "{field}");
    }
}

pub async fn rows_are_computed_in_groups(store: &dyn ReadStore) {
    filled(store).await;
    let plain = |groups: Vec<Group>| -> Vec<Value> {
        groups.into_iter().map(|group| json!([group.key, group.count, group.values])).collect()
    };
    let by_title = by(&["title"], of(&[Function::Sum], "seats"));
    let (ballet, opera, unknown) = (
        json!([{ "title": "Ballet" }, 1, ["10"]]),
        json!([{ "title": "Opera" }, 2, ["7"]]),
        json!([{ "title": null }, 1, [null]]),
    );
    let all = plain(groups(store, &by_title).await.unwrap());
    assert_eq!(all, [ballet, opera.clone(), unknown.clone()]);
    let page = Aggregate { limit: 5, offset: 1, ..by_title.clone() };
    assert_eq!(plain(groups(store, &page).await.unwrap()), [opera, unknown]);
    let first = Aggregate { limit: 1, ..by_title.clone() };
    assert_eq!(groups(store, &first).await.unwrap().len(), 1);
    let none = Aggregate { filter: Some(Filter::Any(vec![])), ..by_title };
    assert_eq!(groups(store, &none).await.unwrap(), []);

    let both = groups(store, &by(&["isOpen", "title"], of(&[Function::Min], "unitPrice"))).await.unwrap();
    let both = plain(both);
    assert_eq!(both[1], json!([{ "isOpen": true, "title": "Opera" }, 2, ["-100.250"]]));
    assert_eq!(both.len(), 3);

    // Decimal numbers are grouped as numbers, however they are spelled.
    put(store, &tickets(), [json!({ "id": "f", "unitPrice": "10.00" }), json!({ "id": "g", "unitPrice": "9.5" })])
        .await;
    let prices = groups(store, &by(&["unitPrice"], of(&[Function::Sum], "unitPrice"))).await.unwrap();
    let prices: Vec<_> = prices.iter().map(|group| (group.count, group.values[0].clone())).collect();
    assert_eq!(prices, [(1, json!("-100.250")), (2, json!("19.00")), (2, json!("20.00")), (1, json!(null))]);
}

pub async fn each_value_has_groups_of_its_own(store: &dyn ReadStore) {
    filled(store).await;
    let each = |field: &str, values: &[Value]| Each { field: field.into(), values: values.to_vec() };
    let asked = |each: Each, aggregate: Aggregate| async move {
        let found = store.aggregate_each(&tickets(), &TenantId::default(), &each, &aggregate).await?;
        let mut plain: Vec<String> = Vec::new();
        for (value, group) in found {
            plain.push(json!([value, group.key, group.count, group.values]).to_string());
        }
        Ok::<_, Error>(plain)
    };
    let titles = || each("title", &[json!("Opera"), json!("Circus"), json!("Ballet"), json!("Opera")]);
    let mut all = asked(titles(), of(&[Function::Sum, Function::Max], "seats")).await.unwrap();
    // Values are in any order.
    all.sort();
    let expected = [r#"["Ballet",{},1,["10",10]]"#, r#"["Circus",{},0,[null,null]]"#, r#"["Opera",{},2,["7",9]]"#];
    assert_eq!(all, expected);
    let open = Filter::Compare { field: "isOpen".into(), op: Op::Equal, value: json!(false) };
    let filtered = Aggregate { filter: Some(open), ..of(&[], "seats") };
    let filtered = asked(each("title", &[json!("Opera")]), filtered).await.unwrap();
    assert_eq!(filtered, [r#"["Opera",{},0,[]]"#]);
    // Spelled as they were asked for, and found as numbers.
    let prices = each("unitPrice", &[json!("9.5"), json!("010.00")]);
    let mut prices = asked(prices, of(&[], "seats")).await.unwrap();
    prices.sort();
    assert_eq!(prices, [r#"["010.00",{},1,[]]"#, r#"["9.5",{},1,[]]"#]);

    // Limit and offset are those of one value.
    put(store, &tickets(), (0..9).map(|at| json!({ "id": format!("x{at}"), "title": "Opera", "seats": at / 3 }))).await;
    let grouped = || by(&["seats"], of(&[Function::Min], "id"));
    let page = Aggregate { limit: 2, offset: 1, ..grouped() };
    let groups = asked(titles(), page).await.unwrap();
    assert_eq!(groups, [r#"["Opera",{"seats":0},3,["x0"]]"#, r#"["Opera",{"seats":1},3,["x3"]]"#]);
    let mut groups = asked(titles(), Aggregate { limit: 1, ..grouped() }).await.unwrap();
    groups.sort();
    assert_eq!(groups, [r#"["Ballet",{"seats":10},1,["b"]]"#, r#"["Opera",{"seats":-2},1,["c"]]"#]);
    assert_eq!(asked(titles(), Aggregate { limit: 0, ..grouped() }).await.unwrap(), [""; 0]);
    assert_eq!(asked(each("title", &[]), of(&[], "seats")).await.unwrap(), [""; 0]);

    let refused =
        |each: Each, aggregate: Aggregate| async move { asked(each, aggregate).await.unwrap_err().to_string() };
    assert!(refused(each("extra", &[json!(1)]), of(&[], "id")).await.contains("JSON"));
    assert!(refused(each("title", &[Value::Null]), of(&[], "id")).await.contains("null"));
    let many = each("seats", &vec![json!(1); LARGEST_ANSWER / 1_000 + 1]);
    assert!(refused(many, Aggregate { limit: 1_000, ..grouped() }).await.contains("all values"));
}

pub async fn sums_and_averages_are_exact(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    let nines = format!("{}.{}", "9".repeat(48), "9".repeat(48));
    let numbers = ["0.1", "0.2", "79228162514264337593543950335", "-0.0000000000000000000000000001", "0.70", &nines];
    let rows = numbers.iter().enumerate();
    let rows = rows.map(|(at, price)| json!({ "id": format!("{at}"), "unitPrice": price, "seats": i64::MAX }));
    put(store, &tickets(), rows).await;
    let (count, sums) = computed(store, &of(&[Function::Sum], "seats")).await;
    assert_eq!((count, sums), (6, json!(["55340232221128654842"])));
    let sum = "1000000000000000000079228162514264337593543950335.\
               999999999999999999999999999899999999999999999999";
    assert_eq!(computed(store, &of(&[Function::Sum], "unitPrice")).await.1, json!([sum]));
    let small = Filter::Compare { field: "unitPrice".into(), op: Op::Less, value: json!("1") };
    let small = Aggregate { filter: Some(small), ..of(&[Function::Sum, Function::Avg], "unitPrice") };
    let expected = json!(["0.9999999999999999999999999999", "0.249999999999999999999999999975"]);
    assert_eq!(computed(store, &small).await.1, expected);
}

pub async fn random_sums_are_those_of_whole_numbers(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    // Numbers of up to eighteen digits, of which none to twelve are behind the point. The numbers are the same each time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = move |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 8) % limit
    };
    let mut sums = std::collections::BTreeMap::<i64, (u64, i128)>::new();
    let mut rows = Vec::new();
    for at in 0..500 {
        let group = i64::try_from(below(5)).unwrap();
        let length = u32::try_from(1 + below(18)).unwrap();
        let digits = i64::try_from(below(10_u64.pow(length))).unwrap();
        let digits = if below(2) == 0 { -digits } else { digits };
        // Twelve digits everywhere, so that sums have them, too.
        let (whole, fraction) = (digits / 1_000_000_000_000, (digits % 1_000_000_000_000).abs());
        let sign = if digits < 0 { "-" } else { "" };
        let price = format!("{sign}{}.{fraction:012}", whole.abs());
        rows.push(json!({ "id": format!("{at}"), "seats": digits, "unitPrice": price, "title": group.to_string() }));
        let sum = sums.entry(group).or_default();
        *sum = (sum.0 + 1, sum.1 + i128::from(digits));
    }
    put(store, &tickets(), rows).await;
    let of = ["seats", "unitPrice"].map(|field| (Function::Sum, field.to_owned())).to_vec();
    let aggregate = Aggregate { filter: None, by: vec!["title".into()], of, limit: 10, offset: 0 };
    let found = groups(store, &aggregate).await.unwrap();
    assert_eq!(found.len(), sums.len());
    for (group, (count, sum)) in found.iter().zip(sums.values()) {
        assert_eq!(group.count, *count);
        assert_eq!(group.values[0], json!(sum.to_string()));
        let (whole, fraction) = (sum / 1_000_000_000_000, (sum % 1_000_000_000_000).abs());
        let sign = if *sum < 0 { "-" } else { "" };
        assert_eq!(group.values[1], json!(format!("{sign}{}.{fraction:012}", whole.abs())));
    }
}

pub async fn a_sum_out_of_range_is_refused(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    put(store, &tickets(), ["a", "b"].map(|id| json!({ "id": id, "weight": 1.7e308 }))).await;
    let reason = refused(store, &of(&[Function::Sum], "weight")).await;
    assert!(reason.contains("out of"), "{reason}");
    assert_eq!(computed(store, &of(&[Function::Max], "weight")).await.1, json!([1.7e308]));
}

pub async fn what_can_not_be_computed_is_refused(store: &dyn ReadStore) {
    filled(store).await;
    assert!(refused(store, &of(&[Function::Sum], "missing")).await.contains("no column"));
    for function in [Function::Sum, Function::Avg] {
        for field in ["id", "isOpen", "openedAt", "extra"] {
            let reason = refused(store, &of(&[function], field)).await;
            assert!(reason.contains(field) && reason.contains("no numbers"), "{reason}");
        }
    }
    for function in [Function::Min, Function::Max] {
        for field in ["isOpen", "extra"] {
            let reason = refused(store, &of(&[function], field)).await;
            assert!(reason.contains(field) && reason.contains("least"), "{reason}");
        }
    }
    assert!(refused(store, &by(&["extra"], of(&[], "id"))).await.contains("JSON"));
    assert!(refused(store, &by(&["missing"], of(&[], "id"))).await.contains("no column"));
    assert!(refused(store, &by(&["seats"; MOST_GROUPED + 1], of(&[], "id"))).await.contains("group by"));
    let many = of(&[Function::Sum; MOST_AGGREGATED + 1], "seats");
    assert!(refused(store, &many).await.contains("the values of a group"));
    let long = Aggregate { limit: LONGEST_GROUPS + 1, ..by(&["seats"], of(&[], "id")) };
    assert!(refused(store, &long).await.contains("groups of a page"));

    // What is just within the limits is answered.
    let most = of(&[Function::Avg; MOST_AGGREGATED], "unitPrice");
    assert_eq!(groups(store, &by(&["id", "title", "seats", "isOpen"], most)).await.unwrap().len(), 4);
}
