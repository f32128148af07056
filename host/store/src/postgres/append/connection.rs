//! The connections that appends go through: two of them, one for the append that is under way and one for the next.
//!
//! Appends of a node come one after the other anyhow, since each waits for the lock of the log's head. With a connection
//! of its own, the next one is at the server by then, and begins as soon as the one before it is on disk; without, it
//! would begin a way there and back later. A pool would deal appends out among all its connections in turn: for the
//! server that is another process each time, whose caches have gone cold since its last turn. And there is nothing to be
//! asked before each use, and no clock to be set.
//!
//! Whoever appends takes a connection out of its place, and puts it back when all has gone well. An append that fails,
//! or whose future is dropped halfway, takes the connection along: an answer that is still on its way must not be read as
//! that to the next append. What the server has begun by then it may complete, which is nothing else than an append
//! whose outcome got lost. The next one opens a connection anew, and waits for the lock of the head as always.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::super::IDLE;
use crate::{Error, Result};

/// How many appends of a node are at the server at once. A third would wait there no better than here.
const AT_ONCE: u32 = 2;

/// Where the connections are kept while nobody appends.
#[derive(Debug)]
pub(in crate::postgres) struct Appending {
    /// Opens connections, with the session's settings and with patience, and keeps none.
    opening: PgPool,
    /// How long an append waits for those before it.
    patience: Duration,
    turns: Semaphore,
    /// The one that was used last is used first, so that whoever appends one at a time stays with a single one.
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    connection: PgConnection,
    used: Instant,
}

/// A connection, while an append has it.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    from: &'a Appending,
    connection: PgConnection,
    _turn: SemaphorePermit<'a>,
}

impl Appending {
    pub(in crate::postgres) fn new(opening: PgPool, patience: Duration) -> Self {
        Self { opening, patience, turns: Semaphore::new(AT_ONCE as usize), kept: Mutex::default() }
    }

    /// Lends connections to those who append, in the order in which they ask.
    pub(super) async fn lend(&self) -> Result<Lent<'_>> {
        let late = |_| Error::Unavailable("the appends before this one have not come to an end in time".into());
        let turn = match self.turns.try_acquire() {
            Ok(turn) => turn,
            Err(_) => timeout(self.patience, self.turns.acquire())
                .await
                .map_err(late)?
                .map_err(|_| Error::Unavailable("the log has been closed".into()))?,
        };
        let kept = self.kept().pop();
        let connection = match kept {
            Some(kept) if kept.used.elapsed() <= IDLE => kept.connection,
            // It may have been cut off, or may hang, and both is found out before anything is entrusted to it.
            Some(mut kept) => match timeout(self.patience, kept.connection.ping()).await {
                Ok(Ok(())) => kept.connection,
                _ => self.open().await?,
            },
            None => self.open().await?,
        };
        Ok(Lent { from: self, connection, _turn: turn })
    }

    async fn open(&self) -> Result<PgConnection> {
        Ok(self.opening.acquire().await?.detach())
    }

    /// Waits for the appends that are under way, and has none come after them.
    pub(in crate::postgres) async fn close(&self) {
        self.opening.close().await;
        if let Ok(all) = self.turns.acquire_many(AT_ONCE).await {
            self.turns.close();
            drop(all);
        }
        let kept = std::mem::take(&mut *self.kept());
        for kept in kept {
            // Nobody needs it any more, however it takes its leave.
            let _ = kept.connection.close().await;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// Puts it back for the next append: only when every answer on it has been read.
    pub(super) fn give_back(self) {
        self.from.kept().push(Kept { connection: self.connection, used: Instant::now() });
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
