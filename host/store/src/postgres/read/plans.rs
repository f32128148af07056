//! Which index serves which question, as the planner has it for a table of some size.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Executor as _};
use yado_model::TenantId;

use super::super::bound::Bound;
use super::super::dialect::PostgresDialect;
use super::super::time::Time;
use super::{Reads, indexes};
use crate::conformance::fixtures::{name, places};
use crate::read::select::{Question, select, select_each};
use crate::testing;
use crate::{Each, Filter, Link, Mark, Op, Options, Order, Quantifier, ReadStore as _, Select, Table};

/// Two tenants with rows enough for the planner to look for an index.
const FILL: &str = "\
    insert into rm_places (_tenant, id, label, price, hall, _f0_label) \
    select t, 'id' || n, 'Label ' || n, n % 1000 + 0.5, 'id' || n / 20, 'label ' || n \
    from generate_series(1, 20000) n, (values ('default'), ('other')) as v (t)";

async fn opened() -> Reads {
    let url = testing::Postgres::shared().database().await;
    let reads = Reads::open(&url, &Options { connections: 2, ..testing::patient() }).await.unwrap();
    reads.ensure_table(&places()).await.unwrap();
    reads.database.pool.execute(FILL).await.unwrap();
    reads.index_search(&places()).await.unwrap();
    made(&reads, &index("_f0_label")).await;
    // All rows and not a sample of them, so that the planner has the same figures each time. With a sample, as servers have
    // it, one of the hundred bounds of the histogram may happen to match a search, which is then taken for a frequent one:
    // the key is gone along until there are rows enough.
    reads.database.pool.execute("alter table rm_places alter _f0_label set statistics 1000").await.unwrap();
    reads.database.pool.execute("vacuum analyze rm_places").await.unwrap();
    reads
}

/// The values as sqlx takes them.
fn arguments(values: Vec<Bound>) -> PgArguments {
    let mut arguments = PgArguments::default();
    for value in values {
        let added = match value {
            Bound::Text(text) => arguments.add(text),
            Bound::Integer(number) => arguments.add(number),
            Bound::Float(float) => arguments.add(float),
            Bound::Boolean(truth) => arguments.add(truth),
            Bound::Time(time) => arguments.add(Time(time)),
            Bound::Texts(texts) => arguments.add(texts),
            Bound::Integers(numbers) => arguments.add(numbers),
            Bound::Floats(floats) => arguments.add(floats),
            Bound::Booleans(truths) => arguments.add(truths),
            Bound::Times(times) => arguments.add(times.into_iter().map(Time).collect::<Vec<_>>()),
        };
        added.unwrap();
    }
    arguments
}

/// How PostgreSQL goes about a statement, knowing its arguments or not.
async fn plans<'q>(reads: &Reads, question: impl Fn() -> Question<'q, Bound>) -> [String; 2] {
    let mut plans = [String::new(), String::new()];
    for (mode, plan) in ["force_custom_plan", "force_generic_plan"].into_iter().zip(&mut plans) {
        let mut connection = reads.database.pool.acquire().await.unwrap();
        connection.execute(AssertSqlSafe(format!("set plan_cache_mode = {mode}"))).await.unwrap();
        let (text, values) = question().sql.into_parts();
        let arguments = arguments(values);
        let sql = AssertSqlSafe(format!("explain (costs off) {text}"));
        let lines: Vec<String> =
            sqlx::query_scalar_with(sql, arguments).persistent(false).fetch_all(&mut *connection).await.unwrap();
        *plan = lines.join("\n");
    }
    plans
}

async fn asked(reads: &Reads, selection: Select) -> [String; 2] {
    let table: &'static Table = Box::leak(Box::new(places()));
    plans(reads, || select(&PostgresDialect, table, &TenantId::default(), &selection).unwrap()).await
}

/// The index that begins with a column.
fn index(column: &str) -> String {
    let table = places();
    let mut all = table.lookups().into_iter().chain(table.uniques().map(|(index, _)| index)).chain(table.trigrams());
    all.find(|index| index.columns[0] == column).unwrap().name
}

fn compare(field: &str, op: Op, value: Value) -> Option<Filter> {
    Some(Filter::Compare { field: field.into(), op, value })
}

#[tokio::test]
async fn questions_are_served_by_their_indexes() {
    let reads = opened().await;
    let mark = || Some(Mark { values: vec![json!("5.5")], key: "id7".into() });
    let by = |field: &str, descending| vec![Order::by(field, descending)];
    let by_price = |descending| by("price", descending);
    let related = |from: &str, to: &str| {
        let link = Arc::new(Link { table: places(), from: from.into(), to: to.into() });
        let few = compare("label", Op::Equal, json!("Label 1")).unwrap();
        Some(Filter::All(vec![few, Filter::Related { link, quantifier: Quantifier::Some, filter: None }]))
    };
    for (selection, column, says) in [
        (Select { order: by_price(false), after: mark(), ..Select::page(10) }, "price", "(ROW(price, id) > ROW("),
        (Select { order: by_price(true), after: mark(), ..Select::page(10) }, "price", "(ROW(price, id) < ROW("),
        (Select { order: by_price(false), backward: true, ..Select::page(10) }, "price", "Scan Backward"),
        (Select { filter: compare("label", Op::Equal, json!("Label 9")), ..Select::page(10) }, "label", "(label = "),
        (
            Select {
                filter: compare("hall", Op::StartsWith, json!("id77")),
                order: by("hall", false),
                ..Select::page(10)
            },
            "hall",
            "(hall >= ",
        ),
        (Select { filter: Some(Filter::search("el 1777")), ..Select::page(10) }, "_f0_label", "_f0_label ~~ "),
        (Select { filter: related("id", "hall"), ..Select::page(10) }, "hall", "(hall = "),
        (Select { filter: related("hall", "id"), ..Select::page(10) }, "label", "rm_places_pkey"),
    ] {
        for plan in asked(&reads, selection.clone()).await {
            assert!(plan.contains(&index(column)) && plan.contains(says), "{selection:?}\n{plan}");
            assert!(!plan.contains("Sort") || selection.order.is_empty(), "{plan}");
        }
    }
    let each = Each { field: "hall".into(), values: (0..50).map(|at| json!(format!("id{at}"))).collect() };
    let table: &'static Table = Box::leak(Box::new(places()));
    let question = || select_each(&PostgresDialect, table, &TenantId::default(), &each, &Select::page(5)).unwrap();
    for plan in plans(&reads, question).await {
        assert!(plan.contains(&index("hall")), "{plan}");
    }
    reads.close().await;
}

async fn names(reads: &Reads) -> Vec<String> {
    let sql = "select indexrelid::regclass::text from pg_index where indrelid = 'rm_places'::regclass and indisvalid";
    sqlx::query_scalar(sql).fetch_all(&reads.database.pool).await.unwrap()
}

fn kept(names: &[String], name: &str) -> bool {
    names.iter().any(|found| found.trim_matches('"') == name)
}

/// Waits until an index is there, which may take longer than a deployment waits for it.
async fn made(reads: &Reads, index: &str) {
    while !kept(&names(reads).await, index) {}
}

#[tokio::test]
async fn indexes_are_made_beside_rows_and_what_was_left_over_is_made_anew() {
    let reads = opened().await;
    let table = Table { indexes: vec![vec![name("hall"), name("price")]], ..places() };
    let [new] = &table.lookups()[..] else { panic!("one index") };
    // Somebody's build has broken off, and somebody has an index of their own.
    for sql in [
        format!("create index {} on rm_places (hall)", crate::table::quoted(&new.name)),
        format!(
            "update pg_index set indisvalid = false where indexrelid = '{}'::regclass",
            crate::table::quoted(&new.name)
        ),
        "create index mine on rm_places (price)".to_owned(),
    ] {
        reads.database.pool.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    assert!(!kept(&names(&reads).await, &new.name));
    reads.ensure_table(&table).await.unwrap();
    made(&reads, &new.name).await;
    let both = names(&reads).await;
    assert!(kept(&both, &new.name) && kept(&both, &index("price")) && kept(&both, "mine"), "{both:?}");
    reads.prune_indexes(&table).await.unwrap();
    let left = names(&reads).await;
    assert!(kept(&left, &new.name) && !kept(&left, &index("price")) && kept(&left, "mine"), "{left:?}");
    assert!(kept(&left, &index("label")) && kept(&left, &index("_f0_label")), "{left:?}");
    reads.close().await;
}

#[tokio::test]
async fn a_search_needs_no_trigrams() {
    let reads = opened().await;
    reads.database.pool.execute("drop extension pg_trgm cascade").await.unwrap();
    let one = Select { filter: Some(Filter::search("LABEL 1777")), ..Select::page(100) };
    assert_eq!(reads.select(&places(), &TenantId::default(), &one).await.unwrap().len(), 12);
    // They come with the next deployment, wherever the database has them.
    reads.database.pool.execute("create schema apart").await.unwrap();
    reads.database.pool.execute("create extension pg_trgm schema apart").await.unwrap();
    assert_eq!(indexes::trigrams(&reads.database.pool).await.unwrap().as_deref(), Some("apart"));
    reads.index_search(&places()).await.unwrap();
    made(&reads, &index("_f0_label")).await;
    assert_eq!(reads.select(&places(), &TenantId::default(), &one).await.unwrap().len(), 12);
    reads.close().await;
}
