//! Connections that rows are read through.
//!
//! A pool asks a connection whether it still stands whenever it is given back: a second round trip for each statement,
//! which costs both sides as much as a small page. Here one comes back when its answer has been read to the end, and is
//! asked nothing. One whose statement fails, or whose future is dropped halfway, is given up; and if it turns out to have
//! been cut off meanwhile, the question is asked once more over a new one.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Execute as _, PgPool, Postgres, QueryBuilder};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::warm::Warm;
use crate::{Options, Result};

/// The connections, of which there are no more at a time than requests may have.
#[derive(Debug)]
pub(super) struct Readers {
    kept: Warm,
    room: Semaphore,
    /// How long a statement waits for its turn.
    patience: Duration,
}

impl Readers {
    pub(super) fn new(pool: PgPool, options: &Options) -> Self {
        let most = usize::try_from(options.connections.max(1)).unwrap_or(Semaphore::MAX_PERMITS);
        let patience = options.acquire_timeout();
        Self { kept: Warm::new(pool, patience, None, most), room: Semaphore::new(most), patience }
    }

    /// All rows that a statement answers with.
    pub(super) async fn fetch(&self, mut sql: QueryBuilder<Postgres>) -> Result<Vec<PgRow>> {
        let turn = timeout(self.patience, self.room.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(sqlx::Error::PoolTimedOut.into()) };
        let mut query = sql.build();
        let arguments = query.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
        let text = query.sql();
        if let Some(mut connection) = self.kept.take_kept().await {
            match sqlx::query_with(text.clone(), arguments.clone()).fetch_all(&mut connection).await {
                Ok(rows) => {
                    self.kept.give_back(connection);
                    return Ok(rows);
                }
                // The server has gone, or has come again, and was not asked before: a question may be asked twice. The
                // other connections are of the same time.
                Err(error) if is_broken(&error) => self.kept.forget(),
                Err(error) => return Err(error.into()),
            }
        }
        let mut connection = self.kept.open().await?;
        let rows = sqlx::query_with(text, arguments).fetch_all(&mut connection).await?;
        self.kept.give_back(connection);
        Ok(rows)
    }

    pub(super) async fn close(&self) {
        self.kept.close().await;
    }
}

/// Whether a connection is of no use any more, and nothing is wrong with what was asked.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // A server says this to everybody when it stops: 57P01 to 57P03, and 08 of the connection itself.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("57P0") || code.starts_with("08"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use sqlx::Row as _;

    use super::*;
    use crate::postgres::read::Reads;
    use crate::testing::Postgres as Cluster;

    async fn reads(options: &Options) -> Reads {
        Reads::open(&Cluster::shared().database().await, options).await.unwrap()
    }

    /// The server's process that answers.
    async fn process(readers: &Readers) -> i32 {
        readers.fetch(QueryBuilder::new("select pg_backend_pid()")).await.unwrap()[0].get(0)
    }

    #[tokio::test]
    async fn a_connection_comes_back_when_all_of_its_answer_has_been_read() {
        let reads = reads(&Options::default()).await;
        let readers = &reads.readers;
        let first = process(readers).await;
        assert_eq!(process(readers).await, first);
        assert!(readers.fetch(QueryBuilder::new("select 1 / 0")).await.is_err());
        let second = process(readers).await;
        assert_ne!(second, first);
        let dropped = readers.fetch(QueryBuilder::new("select pg_sleep(60)")).now_or_never();
        assert!(dropped.is_none());
        assert_ne!(process(readers).await, second);
    }

    #[tokio::test]
    async fn a_connection_that_was_cut_off_meanwhile_costs_nobody_an_answer() {
        let reads = reads(&Options::default()).await;
        let readers = &reads.readers;
        let cut_off = process(readers).await;
        let other = reads.database.pool.acquire().await.unwrap();
        let mut other = other.detach();
        let ended = "select pg_terminate_backend($1, 60000)";
        sqlx::query(ended).bind(cut_off).execute(&mut other).await.unwrap();
        assert_ne!(process(readers).await, cut_off);
    }

    #[tokio::test]
    async fn there_are_no_more_readers_at_a_time_than_connections() {
        let reads = reads(&Options { connections: 1, acquire_timeout_ms: 20 }).await;
        let mut busy = Box::pin(reads.readers.fetch(QueryBuilder::new("select pg_sleep(60)")));
        assert!(busy.as_mut().now_or_never().is_none());
        let refused = reads.readers.fetch(QueryBuilder::new("select 1")).await;
        assert!(refused.is_err_and(|error| error.is_transient()));
        drop(busy);
        process(&reads.readers).await;
    }
}
