//! Indexes of read models come and go while their tables stay.

use serde_json::json;
use yado_store::testing::{Postgres, execute, told};

use crate::support::{Server, component, eventually};

/// Where the database says which tables and indexes there are.
struct Told {
    url: String,
    tables: &'static str,
    indexes: &'static str,
}

impl Told {
    async fn indexes(&self) -> Vec<String> {
        told(&self.url, self.indexes).await
    }
}

async fn check(server: &mut Server, told_by: Told) {
    let client = server.client();
    let create = "mutation($n: String!) { createCategory(input: { name: $n }) { id } }";
    for number in 0..20 {
        client.ask(create, json!({ "n": format!("Category {number}") })).await;
    }
    let tables = told(&told_by.url, told_by.tables).await;
    let [table] = &tables[..] else { panic!("one table of categories: {tables:?}") };
    let wanted = told_by.indexes().await;
    let lost = wanted.iter().find(|name| name.starts_with(&format!("{table}.")[..])).expect("an index").clone();

    // As if other code had run before: it did not want one of the indexes, and wanted another.
    assert!(server.stop());
    for statement in [
        format!("drop index \"{lost}\""),
        format!("create index \"{table}.surplus\" on \"{table}\" (name)"),
        format!("create index mine on \"{table}\" (name)"),
    ] {
        execute(&told_by.url, &statement).await;
    }
    server.start_again().await;
    let mut expected = [wanted, vec!["mine".to_owned()]].concat();
    expected.sort();
    eventually("the indexes are those that the plugin wants", async || told_by.indexes().await == expected).await;
    assert_eq!(told(&told_by.url, told_by.tables).await, tables);
    let rows = server.client().ask("{ categories(limit: 100) { name } }", json!({})).await;
    assert_eq!(rows["categories"].as_array().unwrap().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_gets_the_indexes_that_it_lacks_and_loses_those_that_nobody_wants() {
    let catalog = component("catalog");
    let mut server = Server::start_with(&["--limits-retire-ms", "0"], &[("catalog", &catalog)]).await;
    let url = format!("sqlite:{}", server.data().join("reads.db").display());
    let tables =
        r"select name from sqlite_schema where type = 'table' and name like 'rm\_catalog\_category%' escape '\'";
    let indexes = r"select name from sqlite_schema where type = 'index' and sql is not null
        and tbl_name like 'rm\_catalog\_category%' escape '\' order by name";
    check(&mut server, Told { url, tables, indexes }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_gets_the_indexes_that_it_lacks_and_loses_those_that_nobody_wants_on_postgresql() {
    let url = Postgres::shared().database().await;
    let arguments = ["--database-url", &url, "--limits-retire-ms", "0"];
    let mut server = Server::start_with(&arguments, &[("catalog", &component("catalog"))]).await;
    // That of searches is made once the table is live, and nobody waits for it.
    let searched = r"select indexname::text from pg_indexes where tablename like 'rm\_catalog\_category%'
        and indexdef like '%USING gin%'";
    eventually("searches have their index", async || told(&url, searched).await.len() == 1).await;
    let tables = r"select tablename::text from pg_tables where tablename like 'rm\_catalog\_category%'";
    let indexes = r#"select indexname::text from pg_indexes where tablename like 'rm\_catalog\_category%'
        and indexname not like '%pkey' and indexdef not like '%USING gin%' order by indexname collate "C""#;
    check(&mut server, Told { url, tables, indexes }).await;
}
