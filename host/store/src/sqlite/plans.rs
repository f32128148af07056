//! Which index serves which question.

use std::sync::Arc;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row as _};
use yado_model::TenantId;

use super::bound::Bound;
use super::dialect::SqliteDialect;
use super::{Database, tables};
use crate::conformance::fixtures::places;
use crate::open::Promise;
use crate::read::select::{by_keys, select};
use crate::read::sql::Sql;
use crate::testing::patient;
use crate::{Filter, Link, Mark, Op, Order, Quantifier, Select, Table};

async fn opened() -> Database {
    let database = Database::open("sqlite::memory:", &patient(), Promise::Derived).await.unwrap();
    let mut transaction = database.write().await.unwrap();
    tables::ensure(&mut transaction, &places()).await.unwrap();
    transaction.commit().await.unwrap();
    database
}

/// How SQLite goes about a statement.
async fn plan(database: &Database, sql: Sql<Bound>) -> String {
    let sql = AssertSqlSafe(format!("explain query plan {}", sql.into_parts().0));
    let steps = sqlx::query(sql).fetch_all(&database.readers).await.unwrap();
    steps.iter().map(|step| step.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
}

async fn asked(database: &Database, selection: &Select) -> String {
    plan(database, select(&SqliteDialect, &places(), &TenantId::default(), selection).unwrap().sql).await
}

/// The index that begins with a column.
fn index(table: &Table, column: &str) -> String {
    let mut all = table.lookups().into_iter().chain(table.uniques().map(|(index, _)| index));
    all.find(|index| index.columns[0] == column).unwrap().name
}

fn compare(field: &str, op: Op, value: Value) -> Option<Filter> {
    Some(Filter::Compare { field: field.into(), op, value })
}

#[tokio::test]
async fn rows_are_found_by_key_and_by_declared_index() {
    let database = opened().await;
    let keys = ["a".to_owned(), "b".to_owned()];
    let table = places();
    let by_keys = by_keys(&SqliteDialect, &table, &TenantId::default(), &keys, None).unwrap();
    let by_keys = plan(&database, by_keys.sql).await;
    assert!(by_keys.contains("SEARCH rm_places USING PRIMARY KEY (_tenant=? AND id=?)"), "{by_keys}");
    for (filter, column, says) in [
        (compare("price", Op::Less, json!("5")), "price", "(_tenant=? AND price<?)"),
        (compare("label", Op::Equal, json!("a")), "label", "(_tenant=? AND label=?)"),
        (compare("hall", Op::StartsWith, json!("a")), "hall", "(_tenant=? AND hall>? AND hall<?)"),
    ] {
        let order = vec![Order::by(column, false)];
        let plan = asked(&database, &Select { filter, order, ..Select::page(10) }).await;
        assert!(plan.contains(&format!("USING INDEX {} {says}", index(&places(), column))), "{plan}");
    }
}

#[tokio::test]
async fn a_page_is_read_from_its_place_on() {
    let database = opened().await;
    let mark = Mark { values: vec![json!("5")], key: "a".into() };
    for (descending, backward) in [(false, false), (true, false), (false, true)] {
        let order = vec![Order::by("price", descending)];
        let page = Select { order, backward, after: Some(mark.clone()), ..Select::page(10) };
        let plan = asked(&database, &page).await;
        assert!(
            plan.contains(&format!("USING INDEX {} (_tenant=? AND (price,id)", index(&places(), "price"))),
            "{plan}"
        );
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn relations_are_followed_by_their_indexes() {
    let database = opened().await;
    let related = |from: &str, to: &str| {
        let link = Arc::new(Link { table: places(), from: from.into(), to: to.into() });
        Filter::Related { link, quantifier: Quantifier::Some, filter: None }
    };
    // To many, and back to one.
    for (from, to, says) in [
        ("id", "hall", format!("INDEX {} (_tenant=? AND hall=?)", index(&places(), "hall"))),
        ("hall", "id", "USING PRIMARY KEY (_tenant=? AND id=?)".to_owned()),
    ] {
        let plan = asked(&database, &Select { filter: Some(related(from, to)), ..Select::page(10) }).await;
        assert!(plan.contains(&says), "{plan}");
    }
}
