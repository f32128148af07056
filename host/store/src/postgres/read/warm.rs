//! Connections that are kept apart from the pool, for the steps of projections.
//!
//! A pool deals its connections out in turn, and a projection that takes small steps one after the other would come upon
//! a server process each time whose caches have gone cold. Here the one that was given back last goes out first, so
//! that a projection keeps to one, and there are as many as are used at the same time. Many projections that catch
//! up at once need many for a while; only a few are kept for later, and those not for long.
//!
//! A connection comes back only when all has gone well. What fails, or whose future is dropped halfway, takes it along,
//! because an answer that is still on its way must not be read as that to the next question.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::timeout;

use super::super::IDLE;
use crate::Result;

/// What a connection for steps is told first. A step is one statement that is a transaction by itself: it sees what was
/// committed before it began. It is of one shape for many sets of rows, so it is planned once, and a plan from when a table
/// was small must serve when it is large.
pub(super) const FOR_STEPS: &str = "\
    select set_config('default_transaction_isolation', 'read committed', false), \
        set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false)";

/// So many are kept for steps while nobody uses them: as many projections as are likely to take steps at the same moment
/// on a machine where that is worth anything.
pub(super) const MOST_FOR_STEPS: usize = 4;

/// One that nobody has used for so long is closed.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// The connections that nobody uses just now.
#[derive(Debug)]
pub(super) struct Warm {
    /// Opens connections, with its session's settings and with patience.
    pool: PgPool,
    /// How long one that was idle has to answer.
    patience: Duration,
    /// What a new one is told first.
    session: &'static str,
    kept: Arc<Kept>,
}

#[derive(Debug)]
struct Kept(Mutex<Shelf<PgConnection>>);

/// What was given back, in that order, with the times.
#[derive(Debug)]
struct Shelf<T> {
    /// At most so many are kept.
    most: usize,
    things: Vec<(T, Instant)>,
    /// Whether somebody sees to it that what is old goes.
    tended: bool,
}

impl Warm {
    pub(super) fn new(pool: PgPool, patience: Duration, session: &'static str, most: usize) -> Self {
        Self { pool, patience, session, kept: Arc::new(Kept(Mutex::new(Shelf::new(most)))) }
    }

    /// The connection that was used last, or a new one.
    pub(super) async fn take(&self) -> Result<PgConnection> {
        match self.take_kept().await {
            Some(connection) => Ok(connection),
            None => self.open().await,
        }
    }

    /// The connection that was used last, if there is one that stands.
    async fn take_kept(&self) -> Option<PgConnection> {
        let last = self.kept.shelf().take();
        let (mut connection, used) = last?;
        if used.elapsed() <= IDLE {
            return Some(connection);
        }
        // It may have been cut off, or may hang, and both is found out before anything is entrusted to it.
        let stands = timeout(self.patience, connection.ping()).await;
        matches!(stands, Ok(Ok(()))).then_some(connection)
    }

    /// A new one.
    async fn open(&self) -> Result<PgConnection> {
        let mut connection = self.pool.acquire().await?.detach();
        sqlx::query(self.session).execute(&mut connection).await?;
        Ok(connection)
    }

    /// Keeps it for the next time: only when every answer on it has been read.
    pub(super) fn give_back(&self, connection: PgConnection) {
        let mut shelf = self.kept.shelf();
        if self.pool.is_closed() {
            return;
        }
        let surplus = shelf.give_back(connection, Instant::now());
        let untended = !std::mem::replace(&mut shelf.tended, true);
        drop(shelf);
        if untended {
            tokio::spawn(tend(Arc::downgrade(&self.kept)));
        }
        if let Some(surplus) = surplus {
            tokio::spawn(close(vec![surplus]));
        }
    }

    /// Closes those that nobody uses. What is given back later is not kept, once the pool is closed.
    pub(super) async fn close(&self) {
        let kept = std::mem::take(&mut self.kept.shelf().things);
        close(kept.into_iter().map(|(connection, _)| connection).collect()).await;
    }
}

impl Kept {
    fn shelf(&self) -> MutexGuard<'_, Shelf<PgConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections when they have not been used for long, until there are none.
async fn tend(kept: Weak<Kept>) {
    while let Some(kept) = kept.upgrade() {
        let (old, next) = {
            let mut shelf = kept.shelf();
            let old = shelf.old(Instant::now());
            let next = shelf.next();
            shelf.tended = next.is_some();
            (old, next)
        };
        drop(kept);
        close(old).await;
        let Some(next) = next else { return };
        tokio::time::sleep_until(next.into()).await;
    }
}

async fn close(connections: Vec<PgConnection>) {
    for connection in connections {
        // Nobody needs it any more, however it takes its leave.
        let _ = connection.close().await;
    }
}

impl<T> Shelf<T> {
    const fn new(most: usize) -> Self {
        Self { most, things: Vec::new(), tended: false }
    }

    /// What was given back last.
    fn take(&mut self) -> Option<(T, Instant)> {
        self.things.pop()
    }

    /// Takes it in. Gives what there is no place for: that which has not been used for the longest time.
    fn give_back(&mut self, thing: T, now: Instant) -> Option<T> {
        self.things.push((thing, now));
        (self.things.len() > self.most).then(|| self.things.remove(0).0)
    }

    /// Takes out what has not been used for long.
    fn old(&mut self, now: Instant) -> Vec<T> {
        let old = self.things.iter().take_while(|(_, used)| now.saturating_duration_since(*used) >= KEPT_FOR).count();
        self.things.drain(..old).map(|(thing, _)| thing).collect()
    }

    /// When the next one will have been there for long, if there is any.
    fn next(&self) -> Option<Instant> {
        self.things.first().map(|(_, used)| *used + KEPT_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_last_goes_out_first_and_only_a_few_are_kept() {
        let (mut shelf, now) = (Shelf::new(4), Instant::now());
        let surplus: Vec<_> = (0..6).filter_map(|number| shelf.give_back(number, now)).collect();
        assert_eq!(surplus, [0, 1]);
        let taken: Vec<_> = std::iter::from_fn(|| shelf.take()).map(|(number, _)| number).collect();
        assert_eq!(taken, [5, 4, 3, 2]);
    }

    #[test]
    fn what_nobody_has_used_for_a_minute_goes() {
        let (mut shelf, begun) = (Shelf::new(4), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        shelf.give_back("early", at(0));
        shelf.give_back("late", at(30));
        assert_eq!(shelf.next(), Some(at(60)));
        assert_eq!(shelf.old(at(59)), Vec::<&str>::new());
        assert_eq!((shelf.old(at(60)), shelf.next()), (vec!["early"], Some(at(90))));
        assert_eq!((shelf.old(at(90)), shelf.next()), (vec!["late"], None));
    }
}
