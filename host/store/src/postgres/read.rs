//! Read models in PostgreSQL.

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder, Row as _};
use yado_model::{Position, TenantId};

use super::Database;
use super::dialect::{PostgresDialect, cast, declared, push_array, row};
use crate::cell::Cell;
use crate::limits::{self, LONGEST_NAME};
use crate::number::{bound, loaded, stored};
use crate::open::Promise;
use crate::read::changes::{Changes, update};
use crate::read::select;
use crate::table::{TENANT, check_name, index_name, quoted};
use crate::{Committed, Each, Filter, Kind, Options, Progress, ReadStore, Result, Row, Select, Table, TableWrites};

/// Nodes that start together make the same tables; `if not exists` alone does not keep them from colliding. The number
/// is this crate's own, and means nothing.
const LOCK_SCHEMA: &str = "select pg_advisory_xact_lock(8237401965113284001)";

const CHECKPOINT: &str = "select position from checkpoints where projection = $1";

/// The row that the next statement locks.
const BEGIN_CHECKPOINT: &str =
    "insert into checkpoints (projection, position) values ($1, 0) on conflict (projection) do nothing";

/// Waits for whoever else is at the same projection, and finds nothing if they have moved it.
const MOVE_CHECKPOINT: &str = "update checkpoints set position = $3 where projection = $1 and position = $2";

/// The columns of a table as they are: name, type, whether null is refused, and the place in the key.
const COLUMNS: &str = "\
    select a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
        coalesce(array_position(i.indkey::int2[], a.attnum), -1) + case when i.indkey is null then 0 else 1 end \
    from pg_attribute a \
    left join pg_index i on i.indrelid = a.attrelid and i.indisprimary \
    where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum";

const TABLES: &str = r"
    select tablename::text from pg_tables
    where schemaname = current_schema() and tablename like 'rm\_%' order by tablename";

/// How full pages are made, in hundredths. A row whose indexed columns stay as they are changes within its page, and its
/// indexes need not hear of it, as long as there is room.
const FILLFACTOR: u32 = 85;

/// Rows of one statement: enough for few round trips, and few enough for a message of moderate size.
const CHUNK: usize = 2_000;

/// Read models in a PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Reads {
    database: Database,
}

impl Reads {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        Ok(Self { database: Database::open(url, options, Promise::Derived).await? })
    }

    fn dialect(&self) -> PostgresDialect {
        PostgresDialect { icu: self.database.icu }
    }

    async fn fetch(&self, table: &Table, mut sql: QueryBuilder<Postgres>) -> Result<Vec<Row>> {
        let rows = sql.build().fetch_all(&self.database.pool).await?;
        rows.iter().map(|found| row(table, found)).collect()
    }
}

#[async_trait]
impl ReadStore for Reads {
    async fn ensure_table(&self, table: &Table) -> Result<()> {
        table.check()?;
        let mut transaction = self.database.begin().await?;
        sqlx::query(LOCK_SCHEMA).execute(&mut *transaction).await?;
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
        let mut transaction = self.database.begin().await?;
        sqlx::query(LOCK_SCHEMA).execute(&mut *transaction).await?;
        let sql = format!("drop table if exists {}", quoted(name));
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn tables(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(TABLES).fetch_all(&self.database.pool).await?)
    }

    async fn checkpoint(&self, projection: &str) -> Result<Position> {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
        let query = sqlx::query_scalar::<_, i64>(CHECKPOINT).bind(projection);
        let position = query.fetch_optional(&self.database.pool).await?.unwrap_or_default();
        Ok(Position::new(loaded(position, "the checkpoints")?))
    }

    async fn forget_checkpoint(&self, projection: &str) -> Result<()> {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
        let query = sqlx::query("delete from checkpoints where projection = $1").bind(projection);
        query.execute(&self.database.pool).await?;
        Ok(())
    }

    async fn commit(&self, progress: &Progress<'_>, writes: &[TableWrites<'_>]) -> Result<Committed> {
        progress.check()?;
        let changes = writes.iter().map(Changes::of).collect::<Result<Vec<_>>>()?;
        let mut transaction = self.database.begin().await?;

        if progress.from == Position::ZERO {
            sqlx::query(BEGIN_CHECKPOINT).bind(progress.projection).execute(&mut *transaction).await?;
        }
        let query = sqlx::query(MOVE_CHECKPOINT).bind(progress.projection);
        let query = query.bind(bound(progress.from.get())).bind(stored(progress.to.get())?);
        if query.execute(&mut *transaction).await?.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(Committed::Elsewhere(self.checkpoint(progress.projection).await?));
        }
        for changes in &changes {
            delete(&mut transaction, changes).await?;
            put(&mut transaction, changes).await?;
        }
        transaction.commit().await?;
        tracing::debug!(projection = progress.projection, from = %progress.from, to = %progress.to, "projected");
        Ok(Committed::Yes)
    }

    async fn rows(&self, table: &Table, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>> {
        self.fetch(table, select::by_keys(&self.dialect(), table, tenant, keys)?).await
    }

    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Vec<Row>> {
        self.fetch(table, select::select(&self.dialect(), table, tenant, select)?).await
    }

    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Vec<Row>> {
        self.fetch(table, select::select_each(&self.dialect(), table, tenant, each, select)?).await
    }

    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        let mut sql = select::count(&self.dialect(), table, tenant, filter)?;
        let count: i64 = sql.build().fetch_one(&self.database.pool).await?.try_get(0)?;
        loaded(count, &table.name)
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.database.close().await;
    }
}

fn create(table: &Table) -> String {
    let columns: String = table
        .columns
        .iter()
        .map(|column| {
            let collation = if column.kind == Kind::Text { " collate \"C\"" } else { "" };
            let null = if column.nullable { "" } else { " not null" };
            format!("{} {}{collation}{null}, ", quoted(column.name.as_str()), declared(column.kind))
        })
        .collect();
    let (name, key) = (quoted(&table.name), quoted(table.key.as_str()));
    format!(
        "create table if not exists {name} \
         ({TENANT} text collate \"C\" not null, {columns}primary key ({TENANT}, {key})) with (fillfactor = {FILLFACTOR})"
    )
}

/// Whether the table that is there is the one that is meant: columns, their order, types, nulls, and the key.
async fn verify(connection: &mut PgConnection, table: &Table) -> Result<()> {
    let query = sqlx::query_as::<_, (String, String, bool, i32)>(COLUMNS).bind(quoted(&table.name));
    let found = query.fetch_all(connection).await?;
    let tenant = (TENANT.to_owned(), "text".to_owned(), true, 1);
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

async fn delete(connection: &mut PgConnection, changes: &Changes<'_>) -> Result<()> {
    let (table, key) = (quoted(&changes.table.name), quoted(changes.table.key.as_str()));
    let sql = format!(
        "delete from {table} t using unnest($1::text[], $2::text[]) w (tenant, key) \
         where t.{TENANT} = w.tenant and t.{key} = w.key"
    );
    for rows in changes.deletes.chunks(CHUNK) {
        let (tenants, keys): (Vec<_>, Vec<_>) = rows.iter().map(|(tenant, key)| (tenant.as_str(), *key)).unzip();
        sqlx::query(AssertSqlSafe(sql.clone())).bind(tenants).bind(keys).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn put(connection: &mut PgConnection, changes: &Changes<'_>) -> Result<()> {
    let table = changes.table;
    let names: Vec<_> = table.columns.iter().map(|column| quoted(column.name.as_str())).collect();
    let values: Vec<_> =
        table.columns.iter().enumerate().map(|(at, column)| format!("c{at}{}", cast(column.kind))).collect();
    let aliases: Vec<_> = (0..names.len()).map(|at| format!("c{at}")).collect();
    let key = quoted(table.key.as_str());
    let otherwise = update(names.iter().filter(|name| **name != key));
    for rows in changes.puts.chunks(CHUNK) {
        let mut sql = QueryBuilder::<Postgres>::new(format!(
            "insert into {} ({TENANT}, {}) select t, {} from unnest(",
            quoted(&table.name),
            names.join(", "),
            values.join(", ")
        ));
        sql.push_bind(rows.iter().map(|(tenant, _)| tenant.as_str()).collect::<Vec<_>>());
        for (at, column) in table.columns.iter().enumerate() {
            sql.push(", ");
            push_array(&mut sql, column.kind, rows.iter().map(|(_, cells)| cells.get(at).unwrap_or(&Cell::Null)));
        }
        sql.push(format_args!(") r (t, {}) on conflict ({TENANT}, {key}) {otherwise}", aliases.join(", ")));
        sql.build().execute(&mut *connection).await?;
    }
    Ok(())
}
