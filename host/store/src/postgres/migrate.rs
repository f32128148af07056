//! Brings a database up to date, on a connection that is there for nothing else.
//!
//! Sessions of the log have limits that suit statements on the way of a command. What a migration does to a large log takes
//! as long as it takes, walks through whole tables where that is the shortest way, and a node that has been started beside
//! it waits until it is done. Only a table that others are using is not waited for without end, since whoever comes after
//! would wait behind it: migrations that change one set a limit for that themselves.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _};

use crate::Result;

pub(super) static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/postgres");

/// Whatever the database or the role has as defaults, which are meant for others.
const SESSION: &str = "\
    set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; \
    set enable_seqscan = on; set synchronous_commit = on";

/// Applies what is missing. The migrator takes an advisory lock, so that nodes that start together do it once.
pub(super) async fn migrate(patient: PgPoolOptions, connect: &PgConnectOptions) -> Result<()> {
    let opening = patient.connect_lazy_with(connect.clone());
    let mut connection = opening.acquire().await?.detach();
    connection.execute(SESSION).await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    opening.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Database;
    use crate::open::Promise;
    use crate::testing::{Postgres, patient};

    #[tokio::test]
    async fn migrations_have_no_limit_but_that_on_waiting_for_tables() {
        let url = Postgres::shared().database().await;
        // The database tells with which settings each of its tables is made or changed, and has short limits itself.
        for statement in [
            "create table told (statement_timeout text, seqscan text)",
            "create function tell() returns event_trigger language plpgsql as $$ begin \
                insert into public.told values (current_setting('statement_timeout'), current_setting('enable_seqscan')); \
            end $$",
            "create event trigger told on ddl_command_end execute function tell()",
            "do $$ begin execute format('alter database %I set statement_timeout = ''20s''', current_database()); end $$",
        ] {
            crate::testing::execute(&url, statement).await;
        }
        let database = Database::open(&url, &patient(), Promise::Durable).await.unwrap();
        let told: Vec<(String, String)> =
            sqlx::query_as("select distinct * from told").fetch_all(&database.pool).await.unwrap();
        // The one that defines the trigger is not told of.
        assert_eq!(told, [("0".to_owned(), "on".to_owned())]);
        database.close().await;
    }
}
