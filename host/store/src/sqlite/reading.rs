//! A read that ends when nobody waits for it any more.
//!
//! A statement runs on its connection's own thread, and hears of nothing until it has found its next row. One that is given
//! up while it goes through a large table and finds none would keep its connection, and a processor, for as long as that
//! takes. So SQLite asks now and then whether anybody waits still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use sqlx::pool::PoolConnection;
use sqlx::{Sqlite, SqliteConnection};

use super::Database;
use crate::{Error, Result};

/// So many steps of SQLite's machine lie between two questions: a fraction of a millisecond.
const STEPS: i32 = 10_000;

/// A connection to read over, for as long as somebody waits for what is read.
pub(super) struct Reading {
    connection: PoolConnection<Sqlite>,
    /// Whether somebody waits; none if it goes on in any case.
    awaited: Option<Arc<AtomicBool>>,
}

impl Reading {
    pub(super) async fn begin(database: &Database) -> Result<Self> {
        let mut connection = database.readers.acquire().await?;
        // In memory there is but one connection, which has to stay.
        if database.in_memory() {
            return Ok(Self { connection, awaited: None });
        }
        let awaited = Arc::new(AtomicBool::new(true));
        let asked = awaited.clone();
        connection.lock_handle().await?.set_progress_handler(STEPS, move || asked.load(Relaxed));
        Ok(Self { connection, awaited: Some(awaited) })
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// The statement has come to its end, unless it has more rows than there was room for.
    pub(super) fn ends<T>(mut self, read: Result<T>) -> Result<T> {
        if !matches!(read, Err(Error::TooLarge { .. })) {
            self.awaited = None;
        }
        read
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(awaited) = self.awaited.take() {
            awaited.store(false, Relaxed);
            // It answers every question like this from now on.
            self.connection.close_on_drop();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;
    use crate::Options;
    use crate::open::Promise;
    use crate::testing::patient;

    #[tokio::test]
    async fn a_read_that_is_given_up_leaves_its_connection_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("reads.db").display());
        let options = Options { connections: 1, ..patient() };
        let database = Database::open(&url, &options, Promise::Derived).await.unwrap();
        for _ in 0..3 {
            let mut reading = Reading::begin(&database).await.unwrap();
            {
                // It has one row, and looks for another for ever.
                let endless = "with recursive n(x) as (select 1 union all select x + 1 from n) \
                               select x from n where x = 1 or x < 0";
                let mut rows = sqlx::query(endless).fetch(reading.connection());
                assert!(rows.try_next().await.unwrap().is_some());
            }
            drop(reading);
            let mut reading = Reading::begin(&database).await.unwrap();
            let read = sqlx::query("select 1").fetch_one(reading.connection()).await;
            reading.ends(read.map_err(Error::from)).unwrap();
        }
        database.close().await;
    }
}
