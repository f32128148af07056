//! Read models in SQLite.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _, Sqlite, SqliteConnection};
use uuid::Uuid;
use yado_model::TenantId;

use super::dialect::{SqliteDialect, declared, row};
use super::{Database, chunks};
use crate::number::{loaded, stored};
use crate::open::Promise;
use crate::read::aggregate;
use crate::read::changes::{Changes, update};
use crate::read::select::{self, Dialect as _};
use crate::table::{TENANT, check_name, index_name, quoted};
use crate::{
    Aggregate, Checkpoint, Committed, Each, Filter, Group, Kind, Options, Progress, ReadStore, Result, Row, Select,
    Table, TableWrites,
};

const CHECKPOINT: &str = "select last, command_id from checkpoints where projection = ?";

const FORGET_CHECKPOINT: &str = "delete from checkpoints where projection = ?";

const MOVE_CHECKPOINT: &str = "\
    insert into checkpoints (projection, last, command_id) values (?, ?, ?) \
    on conflict (projection) do update set last = excluded.last, command_id = excluded.command_id";

/// Read models in a SQLite database.
#[derive(Debug)]
pub(crate) struct Reads {
    database: Database,
}

impl Reads {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        Ok(Self { database: Database::open(url, options, Promise::Derived).await? })
    }
}

#[async_trait]
impl ReadStore for Reads {
    async fn ensure_table(&self, table: &Table) -> Result<()> {
        table.check()?;
        let mut transaction = self.database.write().await?;
        sqlx::query(AssertSqlSafe(create(table))).execute(&mut *transaction).await?;
        verify(&mut transaction, table).await?;
        for index in &table.indexes {
            let name = quoted(&index_name(&table.name, index));
            let columns: Vec<_> = index.iter().map(|column| quoted(column.as_str())).collect();
            let on = quoted(&table.name);
            let sql = format!("create index if not exists {name} on {on} ({TENANT}, {})", columns.join(", "));
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn drop_table(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let sql = format!("drop table if exists {}", quoted(name));
        sqlx::query(AssertSqlSafe(sql)).execute(&self.database.writer).await?;
        Ok(())
    }

    async fn tables(&self) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(
            r"select name from sqlite_schema where type = 'table' and name like 'rm\_%' escape '\' order by name",
        );
        Ok(query.fetch_all(&self.database.readers).await?)
    }

    async fn checkpoint(&self, projection: &str) -> Result<Checkpoint> {
        checkpoint(&self.database.readers, projection).await
    }

    async fn forget_checkpoint(&self, projection: &str) -> Result<()> {
        let query = sqlx::query(FORGET_CHECKPOINT).bind(projection);
        query.execute(&self.database.writer).await?;
        Ok(())
    }

    async fn discard(&self, projection: &str, tables: &[&str]) -> Result<()> {
        tables.iter().try_for_each(|name| check_name(name))?;
        let mut transaction = self.database.write().await?;
        sqlx::query(FORGET_CHECKPOINT).bind(projection).execute(&mut *transaction).await?;
        for name in tables {
            let sql = format!("drop table if exists {}", quoted(name));
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed> {
        tables.iter().try_for_each(|name| check_name(name))?;
        let mut transaction = self.database.write().await?;
        let found = checkpoint(&mut *transaction, projection).await?;
        if found != from {
            transaction.rollback().await?;
            return Ok(Committed::Elsewhere(found));
        }
        sqlx::query(FORGET_CHECKPOINT).bind(projection).execute(&mut *transaction).await?;
        for name in tables {
            let sql = format!("delete from {}", quoted(name));
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(Committed::Yes)
    }

    async fn commit(&self, progress: &Progress<'_>, writes: &[TableWrites<'_>]) -> Result<Committed> {
        progress.check()?;
        let changes = writes.iter().map(Changes::of).collect::<Result<Vec<_>>>()?;
        let mut transaction = self.database.write().await?;

        let found = checkpoint(&mut *transaction, progress.projection).await?;
        if found != progress.from {
            transaction.rollback().await?;
            return Ok(Committed::Elsewhere(found));
        }
        for changes in &changes {
            delete(&mut transaction, changes).await?;
            put(&mut transaction, changes).await?;
        }
        let Progress { projection, from, to } = progress;
        let query = sqlx::query(MOVE_CHECKPOINT).bind(projection).bind(stored(to.position.get())?);
        query.bind(to.command.map(|command| command.0)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        tracing::debug!(projection, from = %from.position, to = %to.position, "projected");
        Ok(Committed::Yes)
    }

    async fn rows(&self, table: &Table, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>> {
        self.fetch(table, select::by_keys(&SqliteDialect, table, tenant, keys)?).await
    }

    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Vec<Row>> {
        self.fetch(table, select::select(&SqliteDialect, table, tenant, select)?).await
    }

    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Vec<Row>> {
        self.fetch(table, select::select_each(&SqliteDialect, table, tenant, each, select)?).await
    }

    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        let mut sql = select::count(&SqliteDialect, table, tenant, filter)?;
        let count: i64 = sql.build().fetch_one(&self.database.readers).await?.try_get(0)?;
        loaded(count, &table.name)
    }

    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let (mut sql, answer) = aggregate::aggregate(&SqliteDialect, table, tenant, aggregate)?;
        let rows = sql.build().fetch_all(&self.database.readers).await?;
        rows.iter().map(|found| answer.group(found)).collect()
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

async fn checkpoint(from: impl sqlx::SqliteExecutor<'_>, projection: &str) -> Result<Checkpoint> {
    let query = sqlx::query_as::<_, (i64, Option<Uuid>)>(CHECKPOINT).bind(projection);
    let (position, command) = query.fetch_optional(from).await?.unwrap_or_default();
    Checkpoint::loaded(position, command)
}

impl Reads {
    async fn fetch(&self, table: &Table, mut sql: QueryBuilder<Sqlite>) -> Result<Vec<Row>> {
        let rows = sql.build().fetch_all(&self.database.readers).await?;
        rows.iter().map(|found| row(table, found)).collect()
    }
}

/// A table clustered by tenant and key: a lookup by key is one descent, and a tenant's rows lie together.
fn create(table: &Table) -> String {
    let columns: String = table
        .columns
        .iter()
        .map(|column| {
            let collation = if column.kind == Kind::Decimal { " collate decimal" } else { "" };
            let null = if column.nullable { "" } else { " not null" };
            format!("{} {}{collation}{null}, ", quoted(column.name.as_str()), declared(column.kind))
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
    let columns = table.columns.iter().map(|column| {
        let key = if column.name == table.key { 2 } else { 0 };
        (column.name.as_str().to_owned(), declared(column.kind).to_owned(), !column.nullable, key)
    });
    if found.iter().cloned().eq(std::iter::once(tenant).chain(columns)) {
        Ok(())
    } else {
        Err(table.clash(&found.iter().map(|(name, kind, ..)| format!("{name} {kind}")).collect::<Vec<_>>()))
    }
}

async fn delete(connection: &mut SqliteConnection, changes: &Changes<'_>) -> Result<()> {
    let (table, key) = (quoted(&changes.table.name), quoted(changes.table.key.as_str()));
    for rows in chunks(&changes.deletes) {
        let mut sql = QueryBuilder::<Sqlite>::new(format!("delete from {table} where ({TENANT}, {key}) in ("));
        sql.push_values(rows, |mut columns, (tenant, key)| {
            columns.push_bind(tenant.as_str());
            columns.push_bind(*key);
        });
        sql.push(")").build().execute(&mut *connection).await?;
    }
    Ok(())
}

async fn put(connection: &mut SqliteConnection, changes: &Changes<'_>) -> Result<()> {
    let table = changes.table;
    let names: Vec<_> = table.columns.iter().map(|column| quoted(column.name.as_str())).collect();
    let key = quoted(table.key.as_str());
    let otherwise = update(names.iter().filter(|name| **name != key));
    for rows in chunks(&changes.puts) {
        let mut sql = QueryBuilder::<Sqlite>::new(format!(
            "insert into {} ({TENANT}, {}) values ",
            quoted(&table.name),
            names.join(", ")
        ));
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
        sql.build().execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conformance::fixtures::tickets;
    use crate::{Op, Order};

    /// How SQLite goes about a statement.
    async fn plan(reads: &Reads, sql: QueryBuilder<Sqlite>) -> String {
        let sql = AssertSqlSafe(format!("explain query plan {}", sql.into_string()));
        let steps = sqlx::query(sql).fetch_all(&reads.database.readers).await.unwrap();
        steps.iter().map(|step| step.get::<String, _>("detail")).collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn rows_are_found_by_key_and_by_declared_index() {
        let reads = Reads::open("sqlite::memory:", &Options::default()).await.unwrap();
        let (table, tenant) = (tickets(), TenantId::default());
        reads.ensure_table(&table).await.unwrap();

        let by_keys = select::by_keys(&SqliteDialect, &table, &tenant, &["a".into(), "b".into()]).unwrap();
        let by_keys = plan(&reads, by_keys).await;
        assert!(by_keys.contains("SEARCH rm_tickets USING PRIMARY KEY (_tenant=? AND id=?)"), "{by_keys}");

        let cheap = Filter::Compare { field: "unitPrice".into(), op: Op::Less, value: json!("5") };
        let order = vec![Order { field: "unitPrice".into(), descending: false }];
        let selection = Select { filter: Some(cheap), order, limit: 10, offset: 0 };
        let selected = plan(&reads, select::select(&SqliteDialect, &table, &tenant, &selection).unwrap()).await;
        let index = index_name(&table.name, &table.indexes[0]);
        assert!(selected.contains(&format!("USING INDEX {index} (_tenant=? AND unitPrice<?)")), "{selected}");
    }
}
