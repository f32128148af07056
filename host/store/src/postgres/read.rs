//! Read models in PostgreSQL.

mod step;
mod warm;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, QueryBuilder, Row as _};
use uuid::Uuid;
use yado_model::TenantId;

use self::warm::Warm;
use super::Database;
use super::dialect::{PostgresDialect, declared, row};
use crate::limits::{self, LONGEST_NAME};
use crate::number::loaded;
use crate::open::Promise;
use crate::read::changes::Changes;
use crate::read::{aggregate, select};
use crate::table::{TENANT, check_name, index_name, quoted};
use crate::{
    Aggregate, Checkpoint, Committed, Each, Filter, Group, Kind, Options, Progress, ReadStore, Result, Row, Select,
    Table, TableWrites,
};

/// Nodes that start together make the same tables; `if not exists` alone does not keep them from colliding. The number
/// is this crate's own, and means nothing.
const LOCK_SCHEMA: &str = "select pg_advisory_xact_lock(8237401965113284001)";

const CHECKPOINT: &str = "select last, command_id from checkpoints where projection = $1";

const FORGET_CHECKPOINT: &str = "delete from checkpoints where projection = $1";

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

/// Read models in a PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Reads {
    database: Database,
    warm: Warm,
}

impl Reads {
    pub(crate) async fn open(url: &str, options: &Options) -> Result<Self> {
        let database = Database::open(url, options, Promise::Derived).await?;
        let warm = Warm::new(database.pool.clone(), options.acquire_timeout());
        Ok(Self { database, warm })
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

    async fn checkpoint(&self, projection: &str) -> Result<Checkpoint> {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
        let query = sqlx::query_as::<_, (i64, Option<Uuid>)>(CHECKPOINT).bind(projection);
        let (position, command) = query.fetch_optional(&self.database.pool).await?.unwrap_or_default();
        Checkpoint::loaded(position, command)
    }

    async fn forget_checkpoint(&self, projection: &str) -> Result<()> {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
        let query = sqlx::query(FORGET_CHECKPOINT).bind(projection);
        query.execute(&self.database.pool).await?;
        Ok(())
    }

    async fn discard(&self, projection: &str, tables: &[&str]) -> Result<()> {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
        tables.iter().try_for_each(|name| check_name(name))?;
        let mut transaction = self.database.begin().await?;
        sqlx::query(LOCK_SCHEMA).execute(&mut *transaction).await?;
        sqlx::query(FORGET_CHECKPOINT).bind(projection).execute(&mut *transaction).await?;
        for name in tables {
            let sql = format!("drop table if exists {}", quoted(name));
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    async fn begin_anew(&self, projection: &str, from: Checkpoint, tables: &[&str]) -> Result<Committed> {
        limits::text("the name of a projection", projection, LONGEST_NAME)?;
        tables.iter().try_for_each(|name| check_name(name))?;
        let mut transaction = self.database.begin().await?;
        if !step::give_up(&mut transaction, projection, from).await? {
            transaction.rollback().await?;
            return Ok(Committed::Elsewhere(self.checkpoint(projection).await?));
        }
        if !tables.is_empty() {
            let names: Vec<_> = tables.iter().map(|name| quoted(name)).collect();
            let sql = format!("truncate {}", names.join(", "));
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(Committed::Yes)
    }

    async fn commit(&self, progress: &Progress<'_>, writes: &[TableWrites<'_>]) -> Result<Committed> {
        progress.check()?;
        let changes = writes.iter().map(Changes::of).collect::<Result<Vec<_>>>()?;
        let taken = if step::is_short(progress, &changes) {
            let mut connection = self.warm.take().await?;
            let taken = step::short(&mut connection, progress, &changes).await?;
            self.warm.give_back(connection);
            taken
        } else {
            let mut transaction = self.database.begin().await?;
            let taken = step::long(&mut transaction, progress, &changes).await?;
            if taken {
                transaction.commit().await?
            } else {
                transaction.rollback().await?
            }
            taken
        };
        if !taken {
            return Ok(Committed::Elsewhere(self.checkpoint(progress.projection).await?));
        }
        let Progress { projection, from, to } = progress;
        tracing::debug!(projection, from = %from.position, to = %to.position, "projected");
        Ok(Committed::Yes)
    }

    async fn rows(&self, table: &Table, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>> {
        self.fetch(table, select::by_keys(&PostgresDialect, table, tenant, keys)?).await
    }

    async fn select(&self, table: &Table, tenant: &TenantId, select: &Select) -> Result<Vec<Row>> {
        self.fetch(table, select::select(&PostgresDialect, table, tenant, select)?).await
    }

    async fn select_each(&self, table: &Table, tenant: &TenantId, each: &Each, select: &Select) -> Result<Vec<Row>> {
        self.fetch(table, select::select_each(&PostgresDialect, table, tenant, each, select)?).await
    }

    async fn count(&self, table: &Table, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        let mut sql = select::count(&PostgresDialect, table, tenant, filter)?;
        let count: i64 = sql.build().fetch_one(&self.database.pool).await?.try_get(0)?;
        loaded(count, &table.name)
    }

    async fn aggregate(&self, table: &Table, tenant: &TenantId, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let (mut sql, answer) = aggregate::aggregate(&PostgresDialect, table, tenant, aggregate)?;
        let rows = sql.build().fetch_all(&self.database.pool).await?;
        rows.iter().map(|found| answer.group(found)).collect()
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.database.close().await;
        self.warm.close().await;
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
