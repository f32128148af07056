//! Connections that steps of projections go through.
//!
//! A pool deals its connections out in turn, and a projection that takes small steps one after the other would come upon
//! a server process each time whose caches have gone cold. Here the one that was given back last goes out first, so
//! that a projection keeps to one, and there are as many as there are steps at the same time.
//!
//! A connection comes back only when all has gone well. A step that fails, or whose future is dropped halfway, takes it
//! along, because an answer that is still on its way must not be read as that to the next step.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::timeout;

use super::super::IDLE;
use crate::Result;

/// A step is one statement that is a transaction by itself: it sees what was committed before it began. It is of one shape
/// for many sets of rows, so it is planned once, and a plan from when a table was small must serve when it is large.
const SESSION: &str = "\
    select set_config('default_transaction_isolation', 'read committed', false), \
        set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false)";

/// The connections that nobody uses just now.
#[derive(Debug)]
pub(super) struct Warm {
    /// Opens connections, with its session's settings and with patience.
    pool: PgPool,
    /// How long one that was idle has to answer.
    patience: Duration,
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    connection: PgConnection,
    used: Instant,
}

impl Warm {
    pub(super) const fn new(pool: PgPool, patience: Duration) -> Self {
        Self { pool, patience, kept: Mutex::new(Vec::new()) }
    }

    /// The connection that was used last, or a new one.
    pub(super) async fn take(&self) -> Result<PgConnection> {
        let last = self.kept().pop();
        match last {
            Some(kept) if kept.used.elapsed() <= IDLE => return Ok(kept.connection),
            // It may have been cut off, or may hang, and both is found out before anything is entrusted to it.
            Some(mut kept) => {
                if let Ok(Ok(())) = timeout(self.patience, kept.connection.ping()).await {
                    return Ok(kept.connection);
                }
            }
            None => {}
        }
        let mut connection = self.pool.acquire().await?.detach();
        sqlx::query(SESSION).execute(&mut connection).await?;
        Ok(connection)
    }

    /// Keeps it for the next step: only when every answer on it has been read.
    pub(super) fn give_back(&self, connection: PgConnection) {
        let mut kept = self.kept();
        if !self.pool.is_closed() {
            kept.push(Kept { connection, used: Instant::now() });
        }
    }

    /// Closes those that nobody uses. What is given back later is not kept, once the pool is closed.
    pub(super) async fn close(&self) {
        let kept = std::mem::take(&mut *self.kept());
        for Kept { connection, .. } in kept {
            // Nobody needs it any more, however it takes its leave.
            let _ = connection.close().await;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
