//! The tables of read models and their indexes.

use sqlx::{AssertSqlSafe, SqliteConnection};

use super::dialect::declared;
use crate::table::{TENANT, begin, quoted};
use crate::{Kind, Result, Table};

/// The indexes of a table that were made by a statement of their own.
const INDEXES: &str = "select name from pragma_index_list(?) where origin = 'c'";

/// Makes a table and the indexes that it lacks. Nobody writes meanwhile.
pub(super) async fn ensure(connection: &mut SqliteConnection, table: &Table) -> Result<()> {
    sqlx::query(AssertSqlSafe(create(table))).execute(&mut *connection).await?;
    verify(connection, table).await?;
    let on = quoted(&table.name);
    let lookups = table.lookups().into_iter().map(|index| (index, ""));
    let uniques = table.uniques().map(|(index, _)| (index, "unique "));
    for (index, kind) in lookups.chain(uniques) {
        let (name, columns) = (quoted(&index.name), index.listed());
        let sql = format!("create {kind}index if not exists {name} on {on} ({columns})");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Drops the indexes of a table that nobody wants any more. Those that have been made by other hands stay.
pub(super) async fn prune(connection: &mut SqliteConnection, table: &Table) -> Result<()> {
    let lookups = table.lookups().into_iter().map(|index| index.name);
    let wanted: Vec<_> = lookups.chain(table.uniques().map(|(index, _)| index.name)).collect();
    let begin = begin(&table.name);
    let found: Vec<String> = sqlx::query_scalar(INDEXES).bind(&table.name).fetch_all(&mut *connection).await?;
    for name in found.iter().filter(|name| name.starts_with(&begin) && !wanted.contains(name)) {
        let sql = format!("drop index {}", quoted(name));
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// A table clustered by tenant and key: a lookup by key is one descent, and a tenant's rows lie together.
fn create(table: &Table) -> String {
    let columns: String = table
        .stored()
        .map(|column| {
            let collation = if column.kind == Kind::Decimal { " collate decimal" } else { "" };
            let null = if column.nullable { "" } else { " not null" };
            format!("{} {}{collation}{null}, ", quoted(&column.name), declared(column.kind))
        })
        .collect();
    let (name, key) = (quoted(&table.name), quoted(table.key.as_str()));
    format!(
        "create table if not exists {name} \
         ({TENANT} TEXT not null, {columns}primary key ({TENANT}, {key})) without rowid"
    )
}

/// Whether the table that is there is the one that is meant: columns, their order, types, nulls, and the key.
async fn verify(connection: &mut SqliteConnection, table: &Table) -> Result<()> {
    let query = sqlx::query_as::<_, (String, String, bool, i64)>(
        "select name, type, \"notnull\", pk from pragma_table_info(?) order by cid",
    );
    let found = query.bind(&table.name).fetch_all(connection).await?;
    let tenant = (TENANT.to_owned(), "TEXT".to_owned(), true, 1);
    let columns = table.stored().map(|column| {
        let key = if column.name == table.key.as_str() { 2 } else { 0 };
        (column.name.into_owned(), declared(column.kind).to_owned(), !column.nullable, key)
    });
    if found.iter().cloned().eq(std::iter::once(tenant).chain(columns)) {
        Ok(())
    } else {
        Err(table.clash(&found.iter().map(|(name, kind, ..)| format!("{name} {kind}")).collect::<Vec<_>>()))
    }
}
