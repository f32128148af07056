//! The one connection that appends go through.
//!
//! Appends of a node come one after the other anyhow, since each waits for the lock of the log's head. A pool would deal
//! them out among its connections in turn: for the server that is another process each time, whose caches have gone cold
//! since its last turn. And there is nothing to be asked before each use, and no clock to be set.
//!
//! Whoever appends takes the connection out of its place, and puts it back when all has gone well. An append that fails,
//! or whose future is dropped halfway, takes the connection along: an answer that is still on its way must not be read as
//! that to the next append. What the server has begun by then it may complete, which is nothing else than an append
//! whose outcome got lost. The next one opens a connection anew, and waits for the lock of the head as always.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

use super::super::IDLE;
use crate::{Error, Result};

/// Where the connection is kept while nobody appends.
#[derive(Debug)]
pub(in crate::postgres) struct Appending {
    /// Opens connections, with the session's settings and with patience, and keeps none.
    opening: PgPool,
    /// How long an append waits for those before it.
    patience: Duration,
    kept: Mutex<Option<Kept>>,
}

#[derive(Debug)]
struct Kept {
    connection: PgConnection,
    used: Instant,
}

/// The connection, while an append has it.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    place: MutexGuard<'a, Option<Kept>>,
    connection: PgConnection,
}

impl Appending {
    pub(in crate::postgres) fn new(opening: PgPool, patience: Duration) -> Self {
        Self { opening, patience, kept: Mutex::new(None) }
    }

    /// Lends the connection to one append at a time, in the order in which they ask.
    pub(super) async fn lend(&self) -> Result<Lent<'_>> {
        let mut place = match self.kept.try_lock() {
            Ok(place) => place,
            Err(_) => timeout(self.patience, self.kept.lock()).await.map_err(|_| {
                Error::Unavailable("the appends before this one have not come to an end in time".into())
            })?,
        };
        let connection = match place.take() {
            Some(kept) if kept.used.elapsed() <= IDLE => kept.connection,
            // It may have been cut off, or may hang, and both is found out before anything is entrusted to it.
            Some(mut kept) => match timeout(self.patience, kept.connection.ping()).await {
                Ok(Ok(())) => kept.connection,
                _ => self.open().await?,
            },
            None => self.open().await?,
        };
        Ok(Lent { place, connection })
    }

    async fn open(&self) -> Result<PgConnection> {
        Ok(self.opening.acquire().await?.detach())
    }

    /// Waits for the append that is under way, and has none come after it.
    pub(in crate::postgres) async fn close(&self) {
        self.opening.close().await;
        if let Some(kept) = self.kept.lock().await.take() {
            // Nobody needs it any more, however it takes its leave.
            let _ = kept.connection.close().await;
        }
    }
}

impl Lent<'_> {
    /// Puts it back for the next append: only when every answer on it has been read.
    pub(super) fn give_back(mut self) {
        *self.place = Some(Kept { connection: self.connection, used: Instant::now() });
    }
}

impl Deref for Lent<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
