//! Orders by what rows lead to: baskets by the tickets that they are for, and by the baskets that they are within.

use std::sync::Arc;

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{put, row, step, tenant, tickets};
use super::related::{baskets, holders, outer, ticket};
use crate::limits::{DEEPEST_RELATION, MOST_RELATIONS};
use crate::{Each, Error, Filter, Link, Mark, Op, Order, ReadStore, Result, Select, Shown, TableWrites, Write};

async fn filled(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    store.ensure_table(&baskets()).await.unwrap();
    let rows = [
        json!({ "id": "a", "title": "Opera", "seats": 5, "unitPrice": "10" }),
        json!({ "id": "b", "title": "Ballet", "seats": 5, "unitPrice": "9.5" }),
        json!({ "id": "c" }),
    ];
    put(store, &tickets(), rows).await;
    let rows = [
        json!({ "id": "p", "ticketId": "a", "number": 1 }),
        json!({ "id": "q", "ticketId": "b", "number": 2, "within": "p" }),
        json!({ "id": "r", "ticketId": "c", "number": 1, "within": "q" }),
        json!({ "id": "s", "ticketId": "gone", "within": "p" }),
        json!({ "id": "t" }),
        json!({ "id": "u", "ticketId": "a", "number": 2, "within": "gone" }),
    ];
    put(store, &baskets(), rows).await;
}

fn by(through: &[fn() -> Arc<Link>], field: &str, descending: bool) -> Order {
    Order { through: through.iter().map(|link| link()).collect(), field: field.into(), descending }
}

async fn found(store: &dyn ReadStore, select: &Select) -> Result<String> {
    let rows = store.select(&baskets(), &TenantId::default(), select).await?.into_maps()?;
    Ok(rows.iter().map(|row| row["id"].as_str().unwrap()).collect())
}

async fn ordered(store: &dyn ReadStore, order: Vec<Order>) -> String {
    found(store, &Select { order, ..Select::page(9) }).await.unwrap()
}

async fn refused(store: &dyn ReadStore, order: Vec<Order>) -> String {
    match found(store, &Select { order, ..Select::page(9) }).await {
        Err(Error::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

pub async fn rows_are_put_in_order_by_what_they_lead_to(store: &dyn ReadStore) {
    filled(store).await;
    // What leads nowhere comes last, and so does what leads to nothing, whatever the direction.
    assert_eq!(ordered(store, vec![by(&[ticket], "title", false)]).await, "qpurst");
    assert_eq!(ordered(store, vec![by(&[ticket], "title", true)]).await, "upqtsr");
    // As numbers, and not as texts.
    assert_eq!(ordered(store, vec![by(&[ticket], "unitPrice", false)]).await, "qpurst");
    let seats = || by(&[ticket], "seats", true);
    assert_eq!(ordered(store, vec![seats(), by(&[ticket], "title", false)]).await, "qpurst");
    assert_eq!(ordered(store, vec![seats(), Order::by("number", true), Order::by("id", false)]).await, "quprst");
    assert_eq!(ordered(store, vec![Order::by("number", false), by(&[ticket], "title", false)]).await, "prqust");
    // A table that is related to itself, and what lies beyond it.
    assert_eq!(ordered(store, vec![by(&[outer], "number", false)]).await, "qsrptu");
    assert_eq!(ordered(store, vec![by(&[outer, ticket], "title", false)]).await, "rqsptu");
    assert_eq!(ordered(store, vec![by(&[outer, outer], "number", false), by(&[outer], "id", true)]).await, "rsqutp");
    // Of rows that are not there even what every row has is nothing.
    assert_eq!(ordered(store, vec![by(&[outer], "id", true)]).await, "rsqutp");
    let both = vec![by(&[outer], "number", false), by(&[ticket], "title", true)];
    assert_eq!(ordered(store, both).await, "qsrupt");
}

pub async fn an_order_by_what_rows_lead_to_begins_and_ends_at_marks(store: &dyn ReadStore) {
    filled(store).await;
    let title = |descending| vec![by(&[ticket], "title", descending)];
    let at = |value: Value, key: &str| Some(Mark { values: vec![value], key: key.into() });
    let (up, down) =
        (|| Select { order: title(false), ..Select::page(9) }, || Select { order: title(true), ..Select::page(9) });
    for (select, expected) in [
        (Select { after: at(json!("Ballet"), "q"), ..up() }, "purst"),
        (Select { after: at(json!("Opera"), "p"), limit: 2, ..up() }, "ur"),
        (Select { after: at(Value::Null, "r"), ..up() }, "st"),
        (Select { before: at(Value::Null, "r"), backward: true, limit: 2, ..up() }, "pu"),
        (Select { after: at(json!("Opera"), "u"), before: at(Value::Null, "s"), ..down() }, "pqt"),
        (Select { order: vec![by(&[outer], "id", true)], after: at(Value::Null, "u"), ..Select::page(9) }, "tp"),
        // A place where no row is, or not any more.
        (Select { after: at(json!("Chess"), "z"), ..up() }, "purst"),
    ] {
        assert_eq!(found(store, &select).await.unwrap(), expected, "{select:?}");
    }
}

pub async fn what_rows_are_put_in_order_by_stands_beside_them(store: &dyn ReadStore) {
    filled(store).await;
    let order =
        vec![by(&[ticket], "title", false), Order::by("number", false), by(&[outer, ticket], "unitPrice", true)];
    let select = Select { order, beside: true, columns: Some(vec!["number".into()]), ..Select::page(9) };
    for backward in [false, true] {
        let select = Select { backward, ..select.clone() };
        let rows = store.select(&baskets(), &TenantId::default(), &select).await.unwrap();
        assert_eq!(rows.columns().map(ToString::to_string).collect::<Vec<_>>(), ["id", "number"]);
        assert_eq!(rows.place("title"), None);
        assert_eq!([rows.get(0, "id"), rows.beside(0, 0)], [Shown::Text("q"), Shown::Text("Ballet")]);
        assert_eq!([rows.beside(0, 1), rows.beside(0, 2)], [Shown::Decimal("10"), Shown::Null]);
        assert_eq!([rows.beside(1, 0), rows.beside(1, 1)], [Shown::Text("Opera"), Shown::Null]);
        assert_eq!([rows.beside(5, 0), rows.beside(6, 0)], [Shown::Null, Shown::Null]);
        let first = rows.into_maps().unwrap().swap_remove(0);
        assert_eq!(first, row(json!({ "id": "q", "number": 2 })));
    }
    let rows = store.select(&baskets(), &TenantId::default(), &Select { beside: false, ..select }).await.unwrap();
    assert_eq!(rows.beside(0, 0), Shown::Null);
}

pub async fn what_rows_lead_to_puts_them_in_order_for_each_value(store: &dyn ReadStore) {
    filled(store).await;
    let each = Each { field: "number".into(), values: vec![json!(1), json!(2)] };
    let select = Select { order: vec![by(&[ticket], "title", true)], ..Select::page(1) };
    let rows = store.select_each(&baskets(), &TenantId::default(), &each, &select).await.unwrap().into_maps().unwrap();
    let mut ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["p", "u"]);
}

pub async fn orders_do_not_leave_their_tenant(store: &dyn ReadStore) {
    filled(store).await;
    let theirs = vec![(tenant("other"), Write::Put(row(json!({ "id": "gone", "title": "A" }))))];
    step(store, TableWrites { table: &tickets(), writes: theirs }).await.unwrap();
    let theirs = ["gone", "a"].map(|key| (tenant("other"), Write::Put(row(json!({ "id": key, "ticketId": key })))));
    step(store, TableWrites { table: &baskets(), writes: theirs.to_vec() }).await.unwrap();
    let select = Select { order: vec![by(&[ticket], "title", false)], ..Select::page(9) };
    assert_eq!(found(store, &select).await.unwrap(), "qpurst");
    let rows = store.select(&baskets(), &tenant("other"), &select).await.unwrap().into_maps().unwrap();
    assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ["gone", "a"]);
}

pub async fn an_order_that_can_not_be_is_refused(store: &dyn ReadStore) {
    filled(store).await;
    assert!(refused(store, vec![by(&[ticket], "missing", false)]).await.contains("rm_tickets has no column"));
    assert!(refused(store, vec![by(&[ticket], "extra", false)]).await.contains("JSON"));
    // Several rows of a table would be as many places of one row.
    let many = || Arc::new(Link { table: tickets(), from: "ticketId".into(), to: "title".into() });
    assert!(refused(store, vec![by(&[many], "id", false)]).await.contains("there may be several"));
    let unlike = || Arc::new(Link { table: tickets(), from: "number".into(), to: "id".into() });
    assert!(refused(store, vec![by(&[unlike], "id", false)]).await.contains("different kinds"));
    let select = Select { order: vec![by(&[holders], "id", false)], ..Select::page(9) };
    assert!(matches!(store.select(&tickets(), &TenantId::default(), &select).await, Err(Error::Invalid(_))));

    let far = |levels: usize| vec![by(&vec![outer as fn() -> Arc<Link>; levels], "number", false)];
    assert_eq!(ordered(store, far(DEEPEST_RELATION)).await, "pqrstu");
    assert!(refused(store, far(DEEPEST_RELATION + 1)).await.contains("lead on"));
    let number = || Order::by("number", false);
    assert!(refused(store, vec![number(); 6]).await.contains("the columns of an order"));
    let to = |table, from: &str| Arc::new(Link { table, from: from.into(), to: "id".into() });
    let there = ["id", "ticketId", "within"].map(|from| to(tickets(), from));
    let back = ["id", "title"].map(|from| to(baskets(), from));
    let on = |first: &Arc<Link>| back.clone().map(|then| Order { through: vec![first.clone(), then], ..number() });
    let all: Vec<Order> = there.iter().flat_map(on).collect();
    assert_eq!(there.len() + all.len(), MOST_RELATIONS + 1);
    assert!(refused(store, all.clone()).await.contains("the relations of an order"));
    // Those that several orders share count once.
    let shared = [&all[..4], &all[..4]].concat();
    assert_eq!(ordered(store, shared).await.len(), 6);
    let filter = Some(Filter::Compare { field: "number".into(), op: Op::Equal, value: json!(2) });
    let select = Select { filter, order: vec![by(&[ticket], "title", true)], ..Select::page(9) };
    assert_eq!(found(store, &select).await.unwrap(), "uq");
}
