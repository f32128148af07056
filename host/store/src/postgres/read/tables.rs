//! The tables of read models. Their indexes are in [`super::indexes`].

use sqlx::{AssertSqlSafe, PgConnection};

use super::super::dialect::declared;
use crate::table::{TENANT, quoted};
use crate::{Kind, Result, Table};

/// The columns of a table as they are: name, type, whether null is refused, and the place in the key.
const COLUMNS: &str = "\
    select a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
        coalesce(array_position(i.indkey::int2[], a.attnum), -1) + case when i.indkey is null then 0 else 1 end \
    from pg_attribute a \
    left join pg_index i on i.indrelid = a.attrelid and i.indisprimary \
    where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum";

/// How full pages are made, in hundredths. A row whose indexed columns stay as they are changes within its page, and its
/// indexes need not hear of it, as long as there is room.
const FILLFACTOR: u32 = 85;

/// Makes a table without its indexes, if it is not there.
pub(super) async fn ensure(connection: &mut PgConnection, table: &Table) -> Result<()> {
    sqlx::query(AssertSqlSafe(create(table))).execute(&mut *connection).await?;
    verify(connection, table).await
}

fn create(table: &Table) -> String {
    let columns: String = table
        .stored()
        .map(|column| {
            let collation = if column.kind == Kind::Text { " collate \"C\"" } else { "" };
            let null = if column.nullable { "" } else { " not null" };
            format!("{} {}{collation}{null}, ", quoted(&column.name), declared(column.kind))
        })
        .collect();
    // What is unique is so at the end of a transaction: a value may pass from one row to another within a step.
    let unique: String = table
        .uniques()
        .map(|(index, _)| {
            format!(", constraint {} unique ({}) deferrable initially deferred", quoted(&index.name), index.listed())
        })
        .collect();
    let (name, key) = (quoted(&table.name), quoted(table.key.as_str()));
    format!(
        "create table if not exists {name} ({TENANT} text collate \"C\" not null, \
         {columns}primary key ({TENANT}, {key}){unique}) with (fillfactor = {FILLFACTOR})"
    )
}

/// Whether the table that is there is the one that is meant: columns, their order, types, nulls, and the key.
async fn verify(connection: &mut PgConnection, table: &Table) -> Result<()> {
    let query = sqlx::query_as::<_, (String, String, bool, i32)>(COLUMNS).bind(quoted(&table.name));
    let found = query.fetch_all(connection).await?;
    let tenant = (TENANT.to_owned(), "text".to_owned(), true, 1);
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
