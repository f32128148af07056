//! A step of a projection: rows and checkpoint in one transaction, and most often in one statement.
//!
//! The statement moves the checkpoint first, and writes rows only if that has found it where it was meant to be: each write
//! asks whether there is a row of `moved`, and the answer is there only when the checkpoint's row is locked and moved. Whoever else
//! is at the same step waits for that lock, and then finds the checkpoint moved. A row that an earlier step has written is
//! seen: that step had ended before this one could know where it left off.

use sqlx::{PgConnection, Postgres, QueryBuilder};
use yado_model::TenantId;

use super::super::dialect::{cast, push_array};
use super::journal;
use crate::cell::Cell;
use crate::number::{bound, stored};
use crate::read::changes::{Changes, update};
use crate::table::{TENANT, quoted};
use crate::{Checkpoint, Progress, Result, Step, Table};

/// The row that the next statement locks.
const BEGIN_CHECKPOINT: &str =
    "insert into checkpoints (projection, last) values ($1, 0) on conflict (projection) do nothing";

/// Waits for whoever else is at the same projection, and finds nothing if they have moved it.
const MOVE_CHECKPOINT: &str = "\
    update checkpoints set last = $5, command_id = $6, replays = $7 \
    where projection = $1 and last = $2 and command_id is not distinct from $3 and replays = $4";

/// Waits in the same way, and finds nothing in the same case.
const GIVE_UP_CHECKPOINT: &str = "\
    delete from checkpoints \
    where projection = $1 and last = $2 and command_id is not distinct from $3 and replays = $4";

/// Rows of one statement: enough for few round trips, and few enough for a message of moderate size.
const CHUNK: usize = 2_000;

/// Whether the changes fit into one statement.
pub(super) fn is_short(step: &Step<'_>, changes: &[Changes<'_>]) -> bool {
    let rows: usize = changes.iter().map(|changes| changes.puts.len() + changes.deletes.len()).sum();
    step.progress.from.position.get() != 0 && rows <= CHUNK && step.changes.len() <= CHUNK
}

/// Takes a step in one statement. Returns whether the checkpoint was where it was meant to be.
pub(super) async fn short(connection: &mut PgConnection, step: &Step<'_>, changes: &[Changes<'_>]) -> Result<bool> {
    let Progress { projection, from, to } = &step.progress;
    let mut sql = QueryBuilder::<Postgres>::new("with moved as (update checkpoints set last = ");
    sql.push_bind(stored(to.position.get())?).push(", command_id = ").push_bind(to.command.map(|command| command.0));
    sql.push(", replays = ").push_bind(stored(to.replays)?);
    sql.push(" where projection = ").push_bind(*projection);
    sql.push(" and last = ").push_bind(bound(from.position.get()));
    sql.push(" and command_id is not distinct from ").push_bind(from.command.map(|command| command.0));
    sql.push(" and replays = ").push_bind(bound(from.replays));
    sql.push(" returning last)");
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
    journal::push(&mut sql, step)?;
    sql.push(" select last from moved");
    // To the end of the answer: a row is sent before the transaction has ended.
    Ok(!sql.build().fetch_all(connection).await?.is_empty())
}

/// Takes a step within a transaction, in pieces. Returns whether the checkpoint was where it was meant to be.
pub(super) async fn long(
    connection: &mut PgConnection,
    progress: &Progress<'_>,
    changes: &[Changes<'_>],
) -> Result<bool> {
    let Progress { projection, from, to } = progress;
    if from.position.get() == 0 {
        sqlx::query(BEGIN_CHECKPOINT).bind(projection).execute(&mut *connection).await?;
    }
    let query = sqlx::query(MOVE_CHECKPOINT).bind(projection);
    let query = query.bind(bound(from.position.get())).bind(from.command.map(|command| command.0));
    let query = query.bind(bound(from.replays));
    let query = query.bind(stored(to.position.get())?).bind(to.command.map(|command| command.0));
    let query = query.bind(stored(to.replays)?);
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

/// Forgets a checkpoint, within a transaction. Returns whether it was this one.
pub(super) async fn give_up(connection: &mut PgConnection, projection: &str, from: Checkpoint) -> Result<bool> {
    if from.position.get() == 0 {
        sqlx::query(BEGIN_CHECKPOINT).bind(projection).execute(&mut *connection).await?;
    }
    let query = sqlx::query(GIVE_UP_CHECKPOINT).bind(projection).bind(bound(from.position.get()));
    let query = query.bind(from.command.map(|command| command.0)).bind(bound(from.replays));
    Ok(query.execute(connection).await?.rows_affected() > 0)
}

fn delete(sql: &mut QueryBuilder<Postgres>, table: &Table, rows: &[(&TenantId, &str)]) {
    let (tenants, keys): (Vec<_>, Vec<_>) = rows.iter().map(|(tenant, key)| (tenant.as_str(), *key)).unzip();
    let (table, key) = (quoted(&table.name), quoted(table.key.as_str()));
    sql.push(format_args!("delete from {table} t using unnest(")).push_bind(tenants).push("::text[], ").push_bind(keys);
    sql.push(format_args!("::text[]) w (tenant, key) where t.{TENANT} = w.tenant and t.{key} = w.key"));
}

fn put(sql: &mut QueryBuilder<Postgres>, table: &Table, rows: &[(&TenantId, Vec<Cell>)], condition: &str) {
    let names: Vec<_> = table.stored().map(|column| quoted(&column.name)).collect();
    let values: Vec<_> = table.stored().enumerate().map(|(at, column)| format!("c{at}{}", cast(column.kind))).collect();
    let aliases: Vec<_> = (0..names.len()).map(|at| format!("c{at}")).collect();
    let key = quoted(table.key.as_str());
    let otherwise = update(names.iter().filter(|name| **name != key));
    let (into, columns, values) = (quoted(&table.name), names.join(", "), values.join(", "));
    sql.push(format_args!("insert into {into} ({TENANT}, {columns}) select t, {values} from unnest("));
    sql.push_bind(rows.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>());
    for (at, column) in table.stored().enumerate() {
        sql.push(", ");
        push_array(sql, column.kind, rows.iter().map(|(_, cells)| cells.get(at).unwrap_or(&Cell::Null)));
    }
    let aliases = aliases.join(", ");
    sql.push(format_args!(") r (t, {aliases}){condition} on conflict ({TENANT}, {key}) {otherwise}"));
}
