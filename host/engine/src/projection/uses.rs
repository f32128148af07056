//! The tables that this process uses.
//!
//! Tables outlive the process that has made them, and others fill them or answer from them. So each process says again and
//! again which ones it uses, whatever else it is busy with, and drops only what no other one has said so of for long enough.
//!
//! A process that was frozen, or cut off from the database, could not say it, and when it is back others may have dropped what
//! it uses. What is said is written down here with its time, so that whoever is about to read can tell that it does not
//! hold any more, or did not for a while, and look first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use yado_model::CommandId;
use yado_store::{ReadStore, Result, TablesInUse};

use crate::catalogue::ProjectionType;
use crate::sweep::until;

/// What is said holds for so long at least: a process that is held up is there all the same.
const LEAST_MS: u64 = 15_000;

/// The longest pause after which it is said again.
const LONGEST_PAUSE_MS: u64 = 10_000;

/// The longest pause where it could not be said.
const AGAIN: Duration = Duration::from_secs(1);

/// The tables that this process uses.
#[derive(Clone)]
pub(crate) struct Uses(Arc<Shared>);

struct Shared {
    reads: Arc<dyn ReadStore>,
    /// What this process is called.
    process: String,
    /// For so long it holds what a process says.
    holds_ms: u64,
    /// By the name under which a projection's progress is kept: its tables, and how many use them here.
    tables: Mutex<HashMap<Arc<str>, (TablesInUse, usize)>>,
    claim: Mutex<Claim>,
}

/// What was said for the last time of all tables that are used here.
struct Claim {
    /// When.
    said: Moment,
    /// How often nobody was kept from dropping tables by then, for all that is known here.
    lapses: u64,
}

/// A moment, by two clocks: one stands still while the machine does, and the other is set now and then.
#[derive(Clone, Copy)]
struct Moment {
    steady: Instant,
    wall: SystemTime,
}

/// Something that uses a projection's tables, for as long as it lives.
pub(crate) struct Using {
    uses: Uses,
    projection: Arc<str>,
}

impl Uses {
    /// Nothing is used yet. Requests that are under way may use what has been replaced for so long.
    pub(crate) fn new(reads: Arc<dyn ReadStore>, retire_ms: u64) -> Self {
        let process = CommandId::generate().0.to_string();
        let claim = Mutex::new(Claim { said: Moment::now(), lapses: 0 });
        Self(Arc::new(Shared { reads, process, holds_ms: retire_ms.max(LEAST_MS), tables: Mutex::default(), claim }))
    }

    /// Says that a projection's tables are going to be used, before they are made or found.
    pub(crate) async fn announce(&self, projection: &ProjectionType) -> Result<()> {
        let Shared { reads, process, holds_ms, .. } = &*self.0;
        reads.use_tables(process, &[tables(projection)], *holds_ms).await
    }

    /// Something begins to use a projection's tables.
    pub(crate) fn begin(&self, projection: &ProjectionType) -> Using {
        let mut known = self.tables();
        known.entry(projection.key.clone()).or_insert_with(|| (tables(projection), 0)).1 += 1;
        Using { uses: self.clone(), projection: projection.key.clone() }
    }

    /// Says it again and again, until the engine stops. Has it looked what is there still, where it was said too late.
    pub(crate) async fn run(self, look: impl Fn(), mut stopped: watch::Receiver<bool>) {
        let usual = Duration::from_millis((self.0.holds_ms / 4).min(LONGEST_PAUSE_MS));
        let saying = async {
            let mut pause = usual;
            loop {
                tokio::time::sleep(pause).await;
                pause = match self.say().await {
                    Ok(in_time) => {
                        if !in_time {
                            tracing::warn!(
                                "this process could not say for too long that it uses its read models, because it was \
                                 frozen or cut off from the database: it is looked whether another one has dropped any"
                            );
                            look();
                        }
                        usual
                    }
                    Err(error) => {
                        // It is said again before it does not hold any more.
                        tracing::debug!(%error, "it could not be said which tables are in use");
                        usual.min(AGAIN)
                    }
                };
            }
        };
        until(&mut stopped, saying).await;
    }

    /// Says which tables are in use. Tells whether what was said before held until then.
    async fn say(&self) -> Result<bool> {
        let said = Moment::now();
        let used: Vec<_> = self.tables().values().map(|(tables, _)| tables.clone()).collect();
        let Shared { reads, process, holds_ms, .. } = &*self.0;
        if !used.is_empty() {
            reads.use_tables(process, &used, *holds_ms).await?;
        }
        Ok(self.claim().renew(said, Moment::now(), self.sound()))
    }

    /// How often others may have dropped tables that are used here. None, while they may.
    pub(crate) fn lapses(&self) -> Option<u64> {
        self.claim().lapses(Moment::now(), self.sound())
    }

    /// So long what was said is relied on: less than it holds, so that whoever begins to read then comes to an end.
    fn sound(&self) -> Duration {
        Duration::from_millis(self.0.holds_ms / 4 * 3)
    }

    /// Tables that no process has used for so long.
    pub(crate) async fn unused(&self, ms: u64) -> Result<Vec<TablesInUse>> {
        let mut unused = self.0.reads.unused_tables(self.0.holds_ms.saturating_add(ms)).await?;
        let used = self.tables();
        unused.retain(|tables| !used.contains_key(&*tables.projection));
        Ok(unused)
    }

    /// Drops tables that nothing here uses any more, unless another process does. Says whether none does.
    pub(crate) async fn discard(&self, tables: &TablesInUse) -> Result<bool> {
        let Shared { reads, process, holds_ms, .. } = &*self.0;
        reads.discard_unused(process, tables, *holds_ms).await
    }

    /// Takes back all that was said.
    pub(crate) async fn end(&self) {
        let Shared { reads, process, holds_ms, .. } = &*self.0;
        if let Err(error) = reads.leave_tables(process, *holds_ms).await {
            tracing::debug!(%error, "others will take tables for used that are not, for a while");
        }
    }

    fn tables(&self) -> MutexGuard<'_, HashMap<Arc<str>, (TablesInUse, usize)>> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self) -> MutexGuard<'_, Claim> {
        self.0.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    /// It was said again: begun at one time, and done by another. Tells whether it was in time.
    fn renew(&mut self, said: Moment, done: Moment, sound: Duration) -> bool {
        let in_time = self.said.until(done) <= sound;
        self.lapses += u64::from(!in_time);
        self.said = said;
        in_time
    }

    fn lapses(&self, now: Moment, sound: Duration) -> Option<u64> {
        (self.said.until(now) <= sound).then_some(self.lapses)
    }
}

impl Moment {
    fn now() -> Self {
        Self { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// How long it is until a later one, by the clock by which it is longer.
    fn until(self, later: Self) -> Duration {
        let steady = later.steady.saturating_duration_since(self.steady);
        steady.max(later.wall.duration_since(self.wall).unwrap_or_default())
    }
}

/// The tables that a projection fills.
pub(crate) fn tables(projection: &ProjectionType) -> TablesInUse {
    let names = projection.models.iter().map(|model| model.table.name.clone());
    TablesInUse { projection: projection.key.to_string(), tables: names.collect() }
}

impl Drop for Using {
    fn drop(&mut self) {
        let mut known = self.uses.tables();
        if let Some((_, count)) = known.get_mut(&self.projection) {
            *count -= 1;
            if *count == 0 {
                known.remove(&self.projection);
            }
        }
    }
}

#[cfg(test)]
impl Uses {
    /// As if everything had been said so much earlier, by the one clock that goes on while the machine stands still.
    pub(crate) fn was_away_for(&self, time: Duration) {
        self.claim().said.wall -= time;
    }

    pub(crate) async fn comes_back(&self) -> bool {
        self.say().await.unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Duration = Duration::from_secs(9);

    #[test]
    fn what_was_said_too_long_ago_does_not_hold_and_saying_it_again_does_not_hide_that() {
        let begin = Moment::now();
        let steady = |seconds| Moment { steady: begin.steady + Duration::from_secs(seconds), ..begin };
        let wall = |seconds| Moment { wall: begin.wall + Duration::from_secs(seconds), ..begin };
        let mut claim = Claim { said: begin, lapses: 0 };
        assert_eq!((claim.lapses(steady(9), SOUND), claim.lapses(wall(9), SOUND)), (Some(0), Some(0)));
        assert_eq!((claim.lapses(steady(10), SOUND), claim.lapses(wall(10), SOUND)), (None, None));
        assert!(claim.renew(steady(8), steady(9), SOUND));
        assert_eq!(claim.lapses(steady(17), SOUND), Some(0));
        // It took its time, and it counts when it was begun, and when it was done.
        assert!(!claim.renew(steady(16), steady(18), SOUND));
        assert_eq!((claim.lapses(steady(25), SOUND), claim.lapses(steady(26), SOUND)), (Some(1), None));
        // A clock that is set back says nothing.
        assert_eq!(claim.lapses(begin, SOUND), Some(1));
    }
}
