//! A step of a projection: rows and checkpoint in one transaction, and most often in one statement.
//!
//! The statement moves the checkpoint first, and writes rows only if that has found it where it was meant to be: each write
//! asks whether there is a row of `moved`, and the answer is there only when the checkpoint's row is locked and moved. Whoever else
//! is at the same step waits for that lock, and then finds the checkpoint moved. A row that an earlier step has written is
//! seen: that step had ended before this one could know where it left off.

use sqlx::{PgConnection, Postgres, QueryBuilder};
use yado_model::TenantId;

use super::super::dialect::{cast, push_array};
use crate::cell::Cell;
use crate::number::{bound, stored};
use crate::read::changes::{Changes, update};
use crate::table::{TENANT, quoted};
use crate::{Progress, Result, Table};

/// The row that the next statement locks.
const BEGIN_CHECKPOINT: &str =
    "insert into checkpoints (projection, position) values ($1, 0) on conflict (projection) do nothing";

/// Waits for whoever else is at the same projection, and finds nothing if they have moved it.
const MOVE_CHECKPOINT: &str = "update checkpoints set position = $3 where projection = $1 and position = $2";

/// Rows of one statement: enough for few round trips, and few enough for a message of moderate size.
const CHUNK: usize = 2_000;

/// Whether the changes fit into one statement.
pub(super) fn is_short(progress: &Progress<'_>, changes: &[Changes<'_>]) -> bool {
    let rows: usize = changes.iter().map(|changes| changes.puts.len() + changes.deletes.len()).sum();
    progress.from.get() != 0 && rows <= CHUNK
}

/// Takes a step in one statement. Returns whether the checkpoint was where it was meant to be.
pub(super) async fn short(
    connection: &mut PgConnection,
    progress: &Progress<'_>,
    changes: &[Changes<'_>],
) -> Result<bool> {
    let mut sql = QueryBuilder::<Postgres>::new("with moved as (update checkpoints set position = ");
    sql.push_bind(stored(progress.to.get())?);
    sql.push(" where projection = ").push_bind(progress.projection);
    sql.push(" and position = ").push_bind(bound(progress.from.get())).push(" returning position)");
    for (at, changes) in changes.iter().enumerate() {
        if !changes.deletes.is_empty() {
            sql.push(format_args!(", deleted_{at} as ("));
            delete(&mut sql, changes.table, &changes.deletes);
            sql.push(" and exists (select from moved))");
        }
        if !changes.puts.is_empty() {
            sql.push(format_args!(", put_{at} as ("));
            put(&mut sql, changes.table, &changes.puts, " where exists (select from moved)");
            sql.push(")");
        }
    }
    sql.push(" select position from moved");
    // To the end of the answer: a row is sent before the transaction has ended.
    Ok(!sql.build().fetch_all(connection).await?.is_empty())
}

/// Takes a step within a transaction, in pieces. Returns whether the checkpoint was where it was meant to be.
pub(super) async fn long(
    connection: &mut PgConnection,
    progress: &Progress<'_>,
    changes: &[Changes<'_>],
) -> Result<bool> {
    if progress.from.get() == 0 {
        sqlx::query(BEGIN_CHECKPOINT).bind(progress.projection).execute(&mut *connection).await?;
    }
    let query = sqlx::query(MOVE_CHECKPOINT).bind(progress.projection);
    let query = query.bind(bound(progress.from.get())).bind(stored(progress.to.get())?);
    if query.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(false);
    }
    for changes in changes {
        for rows in changes.deletes.chunks(CHUNK) {
            let mut sql = QueryBuilder::<Postgres>::default();
            delete(&mut sql, changes.table, rows);
            sql.build().execute(&mut *connection).await?;
        }
        for rows in changes.puts.chunks(CHUNK) {
            let mut sql = QueryBuilder::<Postgres>::default();
            put(&mut sql, changes.table, rows, "");
            sql.build().execute(&mut *connection).await?;
        }
    }
    Ok(true)
}

fn delete(sql: &mut QueryBuilder<Postgres>, table: &Table, rows: &[(&TenantId, &str)]) {
    let (tenants, keys): (Vec<_>, Vec<_>) = rows.iter().map(|(tenant, key)| (tenant.as_str(), *key)).unzip();
    let (table, key) = (quoted(&table.name), quoted(table.key.as_str()));
    sql.push(format_args!("delete from {table} t using unnest(")).push_bind(tenants).push("::text[], ").push_bind(keys);
    sql.push(format_args!("::text[]) w (tenant, key) where t.{TENANT} = w.tenant and t.{key} = w.key"));
}

fn put(sql: &mut QueryBuilder<Postgres>, table: &Table, rows: &[(&TenantId, Vec<Cell>)], condition: &str) {
    let names: Vec<_> = table.columns.iter().map(|column| quoted(column.name.as_str())).collect();
    let values: Vec<_> =
        table.columns.iter().enumerate().map(|(at, column)| format!("c{at}{}", cast(column.kind))).collect();
    let aliases: Vec<_> = (0..names.len()).map(|at| format!("c{at}")).collect();
    let key = quoted(table.key.as_str());
    let otherwise = update(names.iter().filter(|name| **name != key));
    let (into, columns, values) = (quoted(&table.name), names.join(", "), values.join(", "));
    sql.push(format_args!("insert into {into} ({TENANT}, {columns}) select t, {values} from unnest("));
    sql.push_bind(rows.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>());
    for (at, column) in table.columns.iter().enumerate() {
        sql.push(", ");
        push_array(sql, column.kind, rows.iter().map(|(_, cells)| cells.get(at).unwrap_or(&Cell::Null)));
    }
    let aliases = aliases.join(", ");
    sql.push(format_args!(") r (t, {aliases}){condition} on conflict ({TENANT}, {key}) {otherwise}"));
}
