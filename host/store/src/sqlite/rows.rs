//! Rows of read models on their way into their tables.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use yado_model::{Name, TenantId};

use super::bound::query;
use super::chunks;
use super::dialect::SqliteDialect;
use crate::cell::Cell;
use crate::read::changes::{Changes, update};
use crate::read::matches::compare;
use crate::read::select::Dialect as _;
use crate::read::sql::Sql;
use crate::table::{TENANT, quoted};
use crate::{Error, Result, Table};

/// Deletes rows by their keys.
pub(super) async fn delete(connection: &mut SqliteConnection, table: &Table, rows: &[(&TenantId, &str)]) -> Result<()> {
    let (table, key) = (quoted(&table.name), quoted(table.key.as_str()));
    for rows in chunks(rows) {
        let mut sql = QueryBuilder::<Sqlite>::new(format!("delete from {table} where ({TENANT}, {key}) in ("));
        sql.push_values(rows, |mut columns, (tenant, key)| {
            columns.push_bind(tenant.as_str());
            columns.push_bind(*key);
        });
        sql.push(")").build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Puts rows, in place of those with their keys.
pub(super) async fn put(connection: &mut SqliteConnection, changes: &Changes<'_>) -> Result<()> {
    let table = changes.table;
    let names: Vec<_> = table.stored().map(|column| quoted(&column.name)).collect();
    let key = quoted(table.key.as_str());
    let otherwise = update(names.iter().filter(|name| **name != key));
    if !table.unique.is_empty() {
        // A value may pass from one row to another within a step, and SQLite looks at each row as it comes.
        let old: Vec<_> =
            changes.puts.iter().filter_map(|(tenant, cells)| Some((*tenant, key_of(table, cells)?))).collect();
        delete(connection, table, &old).await?;
    }
    for rows in chunks(&changes.puts) {
        let mut sql = Sql::new(format!("insert into {} ({TENANT}, {}) values ", quoted(&table.name), names.join(", ")));
        for (at, (tenant, cells)) in rows.iter().enumerate() {
            sql.push(if at == 0 { "(" } else { ", (" });
            SqliteDialect.tenant(&mut sql, tenant);
            for cell in cells {
                sql.push(", ");
                SqliteDialect.value(&mut sql, cell.clone());
            }
            sql.push(")");
        }
        sql.push(format_args!(" on conflict ({TENANT}, {key}) {otherwise}"));
        match query(sql)?.execute(&mut *connection).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                let found = duplicate(connection, table, rows).await?;
                return Err(found.unwrap_or_else(|| sqlx::Error::Database(error).into()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn key_of<'a>(table: &Table, cells: &'a [Cell]) -> Option<&'a str> {
    let at = table.columns.iter().position(|column| column.name == table.key)?;
    match cells.get(at) {
        Some(Cell::Text(key)) => Some(key),
        _ => None,
    }
}

/// Which of these rows can't be put, because another one has what must be unique: SQLite names the columns alone.
async fn duplicate(
    connection: &mut SqliteConnection,
    table: &Table,
    rows: &[(&TenantId, Vec<Cell>)],
) -> Result<Option<Error>> {
    for columns in &table.unique {
        let at = |name: &Name| table.columns.iter().position(|column| column.name == *name);
        let places: Vec<usize> = columns.iter().filter_map(at).collect();
        let mut seen: Vec<(&TenantId, Vec<&Cell>)> = Vec::new();
        for (tenant, cells) in rows {
            let values: Vec<&Cell> = places.iter().filter_map(|at| cells.get(*at)).collect();
            if values.iter().any(|cell| **cell == Cell::Null) {
                continue;
            }
            let same = |other: &Vec<&Cell>| {
                other.iter().zip(&values).all(|(a, b)| compare(a, b).is_some_and(std::cmp::Ordering::is_eq))
            };
            let mut shared = seen.iter().any(|(other, values)| other == tenant && same(values));
            if !shared {
                let mut sql = Sql::new(format!("select 1 from {} where {TENANT} = ", quoted(&table.name)));
                SqliteDialect.tenant(&mut sql, tenant);
                for (name, value) in columns.iter().zip(&values) {
                    sql.push(format_args!(" and {} = ", quoted(name.as_str())));
                    SqliteDialect.value(&mut sql, (*value).clone());
                }
                shared = query(sql)?.fetch_optional(&mut *connection).await?.is_some();
            }
            if shared {
                let shown = places.iter().filter_map(|at| {
                    cells.get(*at).cloned().zip(table.columns.get(*at)).map(|(cell, column)| cell.into_json(column))
                });
                return Ok(Some(Error::duplicate(&table.name, columns, &shown.collect::<Result<Vec<_>>>()?)));
            }
            seen.push((tenant, values));
        }
    }
    Ok(None)
}
