//! Filters over relations: tickets, and the baskets that they are in. A basket may be within another.

use std::sync::Arc;

use serde_json::{Value, json};
use yado_model::TenantId;

use super::fixtures::{name, put, row, step, tenant, tickets};
use crate::limits::{DEEPEST_RELATION, LARGEST_FILTER, MOST_RELATIONS};
use crate::{
    Column, Each, Error, Filter, Kind, Link, Op, Quantifier, ReadStore, Result, Select, Table, TableWrites, Write,
};

/// What tickets are in.
pub(super) fn baskets() -> Table {
    let column = |text: &str, kind, nullable| Column { name: name(text), kind, nullable };
    Table {
        name: "rm_baskets".into(),
        columns: vec![
            column("id", Kind::Text, false),
            column("ticketId", Kind::Text, true),
            column("within", Kind::Text, true),
            column("number", Kind::Integer, true),
            column("limit", Kind::Decimal, true),
        ],
        key: name("id"),
        indexes: vec![vec![name("ticketId")]],
        unique: vec![],
        search: vec![],
    }
}

/// From a basket to its ticket.
pub(super) fn ticket() -> Arc<Link> {
    Arc::new(Link { table: tickets(), from: "ticketId".into(), to: "id".into() })
}

/// From a ticket to the baskets that it is in.
pub(super) fn holders() -> Arc<Link> {
    Arc::new(Link { table: baskets(), from: "id".into(), to: "ticketId".into() })
}

/// From a basket to the one that it is within.
pub(super) fn outer() -> Arc<Link> {
    Arc::new(Link { table: baskets(), from: "within".into(), to: "id".into() })
}

/// From a basket to those within it.
pub(super) fn inner() -> Arc<Link> {
    Arc::new(Link { table: baskets(), from: "id".into(), to: "within".into() })
}

fn related(link: Arc<Link>, quantifier: Quantifier, filter: Option<Filter>) -> Filter {
    Filter::Related { link, quantifier, filter: filter.map(Box::new) }
}

fn compare(field: &str, op: Op, value: Value) -> Filter {
    Filter::Compare { field: field.into(), op, value }
}

async fn filled(store: &dyn ReadStore) {
    store.ensure_table(&tickets()).await.unwrap();
    store.ensure_table(&baskets()).await.unwrap();
    let rows = [
        json!({ "id": "a", "title": "Opera", "seats": 2 }),
        json!({ "id": "b", "title": "Ballet", "seats": 5 }),
        json!({ "id": "c" }),
    ];
    put(store, &tickets(), rows).await;
    let rows = [
        json!({ "id": "p", "ticketId": "a", "number": 1 }),
        json!({ "id": "q", "ticketId": "a", "number": 2, "within": "p" }),
        json!({ "id": "r", "ticketId": "b", "within": "q" }),
        json!({ "id": "s", "ticketId": "gone", "number": 1, "within": "r" }),
        json!({ "id": "t", "number": 9, "within": "s" }),
    ];
    put(store, &baskets(), rows).await;
}

async fn found(store: &dyn ReadStore, table: &Table, filter: Filter) -> Result<String> {
    let select = Select { filter: Some(filter), ..Select::page(100) };
    let rows = store.select(table, &TenantId::default(), &select).await?.into_maps()?;
    let count = store.count(table, &TenantId::default(), select.filter.as_ref()).await?;
    assert_eq!(count, rows.len() as u64);
    Ok(rows.iter().map(|row| row["id"].as_str().unwrap()).collect())
}

async fn in_baskets(store: &dyn ReadStore, filter: Filter) -> String {
    found(store, &baskets(), filter).await.unwrap()
}

async fn in_tickets(store: &dyn ReadStore, filter: Filter) -> String {
    found(store, &tickets(), filter).await.unwrap()
}

async fn refused(store: &dyn ReadStore, filter: Filter) -> String {
    match found(store, &baskets(), filter).await {
        Err(Error::Invalid(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

pub async fn rows_are_found_by_what_they_belong_to(store: &dyn ReadStore) {
    filled(store).await;
    let opera = || Some(compare("title", Op::Equal, json!("Opera")));
    let to_ticket = |quantifier, filter| related(ticket(), quantifier, filter);
    assert_eq!(in_baskets(store, to_ticket(Quantifier::Some, opera())).await, "pq");
    // What leads nowhere meets nothing, and contradicts nothing.
    assert_eq!(in_baskets(store, to_ticket(Quantifier::None, opera())).await, "rst");
    assert_eq!(in_baskets(store, to_ticket(Quantifier::Every, opera())).await, "pqst");
    assert_eq!(in_baskets(store, to_ticket(Quantifier::Some, None)).await, "pqr");
    assert_eq!(in_baskets(store, to_ticket(Quantifier::None, None)).await, "st");
    assert_eq!(in_baskets(store, to_ticket(Quantifier::Every, None)).await, "pqrst");
    let not = Filter::Not(Box::new(to_ticket(Quantifier::Some, opera())));
    assert_eq!(in_baskets(store, not.clone()).await, "rst");
    let either = Filter::Any(vec![compare("number", Op::Equal, json!(2)), not]);
    assert_eq!(in_baskets(store, either).await, "qrst");
}

pub async fn rows_are_found_by_what_belongs_to_them(store: &dyn ReadStore) {
    filled(store).await;
    let first = || Some(compare("number", Op::Equal, json!(1)));
    let to_baskets = |quantifier, filter| related(holders(), quantifier, filter);
    assert_eq!(in_tickets(store, to_baskets(Quantifier::Some, first())).await, "a");
    assert_eq!(in_tickets(store, to_baskets(Quantifier::None, first())).await, "bc");
    assert_eq!(in_tickets(store, to_baskets(Quantifier::Every, first())).await, "c");
    // A number that is not there is not known to be anything.
    let small = Some(compare("number", Op::Less, json!(9)));
    assert_eq!(in_tickets(store, to_baskets(Quantifier::Every, small)).await, "ac");
    let unknown = Some(Filter::Null { field: "number".into() });
    assert_eq!(in_tickets(store, to_baskets(Quantifier::Every, unknown)).await, "bc");
    assert_eq!(in_tickets(store, to_baskets(Quantifier::Some, None)).await, "ab");
    assert_eq!(in_tickets(store, to_baskets(Quantifier::None, None)).await, "c");
    assert_eq!(in_tickets(store, to_baskets(Quantifier::Every, None)).await, "abc");

    // A row that several others belong to is one row, also where it is skipped.
    let filter = Some(to_baskets(Quantifier::Some, None));
    let select = Select { filter, offset: 1, ..Select::page(5) };
    let rows = store.select(&tickets(), &TenantId::default(), &select).await.unwrap().into_maps().unwrap();
    assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ["b"]);

    // Where rows are asked for each of several values, too.
    let each = Each { field: "title".into(), values: vec![json!("Opera"), json!("Ballet")] };
    let filter = Some(to_baskets(Quantifier::Some, first()));
    let select = Select { filter, ..Select::page(5) };
    let rows = store.select_each(&tickets(), &TenantId::default(), &each, &select).await.unwrap().into_maps().unwrap();
    assert_eq!(rows.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ["a"]);
}

pub async fn relations_lead_on_from_one_to_the_next(store: &dyn ReadStore) {
    filled(store).await;
    let opera = compare("title", Op::Equal, json!("Opera"));
    let with_opera = related(ticket(), Quantifier::Some, Some(opera));
    // A table that is related to itself: each basket is asked about another one.
    let up = |filter| related(outer(), Quantifier::Some, filter);
    assert_eq!(in_baskets(store, up(Some(with_opera.clone()))).await, "qr");
    assert_eq!(in_baskets(store, up(Some(up(Some(with_opera))))).await, "rs");
    assert_eq!(in_baskets(store, up(Some(up(Some(up(None)))))).await, "st");
    let down = |quantifier, filter| related(inner(), quantifier, filter);
    let ninth = compare("number", Op::Equal, json!(9));
    assert_eq!(in_baskets(store, down(Quantifier::Some, Some(ninth.clone()))).await, "s");
    let all_below = down(Quantifier::Every, Some(down(Quantifier::None, Some(ninth))));
    assert_eq!(in_baskets(store, all_below).await, "pqst");
    // Down and up again is where it began: not empty-handed.
    let there_and_back = down(Quantifier::Some, Some(up(Some(compare("id", Op::Equal, json!("q"))))));
    assert_eq!(in_baskets(store, there_and_back).await, "q");
}

pub async fn relations_do_not_leave_their_tenant(store: &dyn ReadStore) {
    filled(store).await;
    let theirs = vec![(tenant("other"), Write::Put(row(json!({ "id": "gone", "title": "Opera" }))))];
    step(store, TableWrites { table: &tickets(), writes: theirs }).await.unwrap();
    assert_eq!(in_baskets(store, related(ticket(), Quantifier::Some, None)).await, "pqr");
    let link = related(holders(), Quantifier::Some, None);
    let select = Select { filter: Some(link), ..Select::page(9) };
    assert!(store.select(&tickets(), &tenant("other"), &select).await.unwrap().is_empty());
}

pub async fn a_relation_of_what_does_not_fit_is_refused(store: &dyn ReadStore) {
    filled(store).await;
    let link = |from: &str, to: &str| Arc::new(Link { table: tickets(), from: from.into(), to: to.into() });
    let some = |link| related(link, Quantifier::Some, None);
    assert!(refused(store, some(link("missing", "id"))).await.contains("rm_baskets has no column"));
    assert!(refused(store, some(link("id", "missing"))).await.contains("rm_tickets has no column"));
    assert!(refused(store, some(link("id", "extra"))).await.contains("JSON"));
    let reason = refused(store, some(link("id", "seats"))).await;
    assert!(reason.contains("rm_baskets.id to rm_tickets.seats") && reason.contains("different kinds"), "{reason}");
    let unknown = related(ticket(), Quantifier::Some, Some(Filter::Null { field: "within".into() }));
    assert!(refused(store, unknown).await.contains("rm_tickets has no column \"within\""));
    // Any two columns of one kind can be related: no basket's limit is a price.
    assert_eq!(in_baskets(store, some(link("limit", "unitPrice"))).await, "");
    assert_eq!(in_baskets(store, some(link("number", "seats"))).await, "q");
}

pub async fn limits_on_relations_are_kept(store: &dyn ReadStore) {
    filled(store).await;
    let nested = |levels| (0..levels).fold(None, |filter, _| Some(related(inner(), Quantifier::None, filter))).unwrap();
    assert_eq!(in_baskets(store, nested(DEEPEST_RELATION)).await, "rt");
    let reason = refused(store, nested(DEEPEST_RELATION + 1)).await;
    assert!(reason.contains("lead on") && reason.contains(&DEEPEST_RELATION.to_string()), "{reason}");

    let beside = |count| Filter::All(vec![related(inner(), Quantifier::Some, None); count]);
    assert_eq!(in_baskets(store, beside(MOST_RELATIONS)).await, "pqrs");
    assert!(refused(store, beside(MOST_RELATIONS + 1)).await.contains("the relations of a filter"));

    // What is within a relation counts like everything else.
    let many = Filter::All(vec![Filter::Null { field: "number".into() }; LARGEST_FILTER]);
    assert!(refused(store, related(inner(), Quantifier::Some, Some(many))).await.contains("conditions"));
}
