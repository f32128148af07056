//! Which connection a question goes over.
//!
//! A few connections, as many as the machine has cores, carry all questions that are known to be answered quickly, several at
//! a time on each ([`super::line`]). With so few the server's processes stay in their caches and neither side is woken
//! for one question at a time; more of them would not be faster, because there are no more cores for them to run on.
//!
//! What is answered in line must not stand in line behind what takes long. So a statement that is slow, or of which
//! nobody knows yet, has a connection for itself from the rest of them ([`shapes`]). That is a guess, and it fails when
//! a value has far more rows than those before it: then the connection is held up, and what stands behind is asked
//! again over connections of its own, after a tenth of a second at most. It fails the other way round where a statement
//! was slow only because the server was, as when all begin at once; so some that were not much too slow are tried among
//! others now and then.
//!
//! Both kinds of connections together are no more than requests may have, and at most half of them are shared. A question that
//! finds no place waits, and fails as unavailable when it has waited for as long as requests may wait for a connection. One
//! whose asker goes away is cancelled at the server if its connection is its own.
//!
//! A question changes nothing, so it may be asked twice. If a connection breaks it is asked again, over a new one: the
//! server has gone, or has come again. One that the server may have broken down under is asked no more than twice. A
//! connection that has been idle for a while is asked first whether it still stands.
//!
//! That is how read models are asked. Pages of the log ([`super::log`]) come over two connections that nobody
//! shares, because each page keeps the server busy for a while, and nobody waits for one: there is another way for a
//! page.

mod shapes;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use self::shapes::{Shape, Shapes};
use super::bound::Bound;
use super::line::{Address, Answer, Failure, HELD_UP, Limits, Line, Question, Trouble};
use super::{DERIVED_SESSION, DURABLE_SESSION, IDLE, STATEMENTS};
use crate::read::sql::Sql;
use crate::{Error, Options, Result};

/// At most so many questions are under way on a connection that is shared. They are enough to keep it busy, and few enough
/// that the last of them does not wait long.
const DEPTH: usize = 16;

/// So many connections are shared even where there is only one core: while one answers, the other is written to.
const FEWEST_SHARED: usize = 2;

/// So many connections are for pages of the log: whoever is live reads one beside whoever catches up.
const FOR_PAGES: usize = 2;

/// So long somebody who has a connection at hand, or another way, tries to open another beside it.
const BESIDE: Duration = Duration::from_secs(1);

/// So long nobody who has another way tries it again after that has failed.
const SPARED: Duration = Duration::from_secs(5);

/// So often a question is asked where connections break under it. Those that break together are nearly always known to be of
/// one time, and then two would do; but one that is opened while that changes may pass for older than it is.
const ATTEMPTS: u32 = 4;

/// So often it is asked if a connection has not broken at once: it may be what the server breaks down under.
const ATTEMPTS_UNDER_SUSPICION: u32 = 2;

/// The first pause before a server that is coming up is tried again; each is twice as long as the one before.
const PAUSE: Duration = Duration::from_millis(10);

/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The connections.
#[derive(Debug)]
pub(super) struct Readers {
    address: Address,
    limits: Limits,
    /// How long a question waits for its turn, and how long a connection may take to say that it stands.
    patience: Duration,
    shapes: Shapes,
    shared: Vec<Slot>,
    /// Room on those that are shared.
    places: Semaphore,
    /// The others, while nobody uses them: the one that was used last goes out first.
    kept: Mutex<Vec<Opened>>,
    /// How many more of them there may be, of how many in all.
    room: Semaphore,
    alone: usize,
    /// How often a connection was found broken: those of one era may be expected to be so together.
    era: AtomicU64,
    /// When somebody who had another way could not have a connection.
    missed: Mutex<Option<Instant>>,
}

/// A place for a connection that is shared.
#[derive(Debug, Default)]
struct Slot {
    line: Mutex<Option<Arc<Opened>>>,
    /// Held by whoever opens it.
    opening: tokio::sync::Mutex<()>,
}

/// A connection, and when it was opened.
#[derive(Debug)]
struct Opened {
    line: Line,
    era: u64,
}

/// A question on a connection that others use, until it is answered. One that fails after long, or whose asker does not wait
/// any longer, is as slow as it was by then: it would hold others up again, and be given up each time before it is known.
struct Asked<'a> {
    shape: &'a Shape,
    since: Instant,
    is_heard: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let spent = self.since.elapsed();
        if !self.is_heard && spent >= HELD_UP {
            self.shape.took(spent);
        }
    }
}

/// Whether a question waits until there is a connection for it.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Anyway,
    AtOnce,
}

/// Why there is no answer over a connection of its own.
#[derive(Debug)]
enum Missed {
    /// There is no connection.
    NoLine(Error),
    /// It has more rows than there is room for.
    TooLarge,
    /// It was asked.
    Failed(Error),
}

/// What has become of a question.
enum Outcome {
    Answered(Answer),
    /// It has to be asked on a connection of its own.
    Elsewhere,
}

impl Readers {
    /// For what read models are asked: as many connections as requests may have.
    pub(super) fn for_rows(connect: &PgConnectOptions, options: &Options) -> Self {
        let most = usize::try_from(options.connections.max(1)).unwrap_or(Semaphore::MAX_PERMITS);
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let shared = cores.max(FEWEST_SHARED).min(most / 2);
        let address = Address::of(connect, DERIVED_SESSION);
        Self::new(address, options.acquire_timeout(), options.answer_bytes, shared, most - shared)
    }

    /// For pages of the log, with room for so many bytes.
    pub(super) fn for_pages(connect: &PgConnectOptions, options: &Options, answer_bytes: usize) -> Self {
        let address = Address::of(connect, DURABLE_SESSION);
        Self::new(address, options.acquire_timeout().min(BESIDE), answer_bytes, 0, FOR_PAGES)
    }

    fn new(address: Address, patience: Duration, answer_bytes: usize, shared: usize, alone: usize) -> Self {
        Self {
            address,
            limits: Limits {
                statements: NonZeroUsize::new(STATEMENTS).unwrap_or(NonZeroUsize::MIN),
                answer_bytes,
                held_up: HELD_UP,
            },
            patience,
            shapes: Shapes::new(),
            shared: (0..shared).map(|_| Slot::default()).collect(),
            places: Semaphore::new(shared * DEPTH),
            kept: Mutex::default(),
            room: Semaphore::new(alone),
            alone,
            era: AtomicU64::new(0),
            missed: Mutex::default(),
        }
    }

    /// The rows that a statement answers with.
    pub(super) async fn fetch(&self, sql: Sql<Bound>) -> Result<Answer> {
        let (text, values) = sql.into_parts();
        let shape = self.shapes.of(&text);
        let question = Question::new(shape.number, Arc::clone(&shape.text), &values)?;
        if !self.shared.is_empty()
            && shape.may_share()
            && let Outcome::Answered(answer) = self.among_others(&shape, &question).await?
        {
            return Ok(answer);
        }
        self.by_itself(&shape, &question, Wanted::Anyway).await.map_err(|missed| match missed {
            Missed::NoLine(error) | Missed::Failed(error) => error,
            Missed::TooLarge => self.too_large(),
        })
    }

    /// The rows that a statement answers with over a connection of its own; none if no such connection is free or can
    /// be opened just now, or if there is no room for the answer.
    pub(super) async fn fetch_at_once(&self, text: &str, values: &[Bound]) -> Result<Option<Answer>> {
        let shape = self.shapes.of(text);
        let question = Question::new(shape.number, Arc::clone(&shape.text), values)?;
        match self.by_itself(&shape, &question, Wanted::AtOnce).await {
            Ok(answer) => Ok(Some(answer)),
            Err(Missed::NoLine(error)) => {
                tracing::trace!("a page is read over another connection: {error}");
                Ok(None)
            }
            Err(Missed::TooLarge) => Ok(None),
            Err(Missed::Failed(error)) => Err(error),
        }
    }

    /// Waits for what is under way, and closes all connections.
    pub(super) async fn close(&self) {
        let all = async {
            let (places, room) = (permits(self.shared.len() * DEPTH), permits(self.alone));
            let _places = self.places.acquire_many(places).await;
            let _room = self.room.acquire_many(room).await;
        };
        if timeout(self.patience, all).await.is_err() {
            tracing::debug!("questions that are still under way are given up");
        }
        self.places.close();
        self.room.close();
        let kept = std::mem::take(&mut *self.kept());
        for line in kept {
            line.line.close().await;
        }
        for slot in &self.shared {
            let line = slot.line().take();
            if let Some(line) = line.and_then(Arc::into_inner) {
                line.line.close().await;
            }
        }
    }

    /// Over a connection that others use, too.
    async fn among_others(&self, shape: &Shape, question: &Question) -> Result<Outcome> {
        let _turn = self.turn(&self.places).await?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let Some(line) = self.least_busy().await? else { return Ok(Outcome::Elsewhere) };
            let mut asked = Asked { shape, since: Instant::now(), is_heard: false };
            let heard = line.line.ask(question).await;
            // Where it is held up, what stands before it is to blame.
            asked.is_heard = !matches!(heard, Err(Failure::Trouble(_)));
            match heard {
                Ok((answer, took)) => {
                    shape.took_among_others(took);
                    return Ok(Outcome::Answered(answer));
                }
                Err(Failure::HeldUp) => return Ok(Outcome::Elsewhere),
                Err(Failure::TooLarge) => {
                    // It took others' time, too, however quick the server was.
                    shape.took(asked.since.elapsed());
                    return Err(self.too_large());
                }
                Err(Failure::Trouble(trouble)) => {
                    if !self.may_pass(&trouble, line.era) || attempt >= attempts(&trouble, asked.since) {
                        return Err(trouble.into());
                    }
                }
            }
        }
    }

    /// Over a connection that nobody else uses meanwhile.
    async fn by_itself(&self, shape: &Shape, question: &Question, wanted: Wanted) -> Result<Answer, Missed> {
        let _turn = match wanted {
            Wanted::Anyway => self.turn(&self.room).await.map_err(Missed::NoLine)?,
            Wanted::AtOnce => self.room.try_acquire().map_err(|_| Missed::NoLine(sqlx::Error::PoolTimedOut.into()))?,
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let line = match (self.take_kept().await, wanted) {
                (Some(line), _) => line,
                (None, Wanted::Anyway) => self.open().await.map_err(Missed::NoLine)?,
                (None, Wanted::AtOnce) => self.open_at_once().await.map_err(Missed::NoLine)?,
            };
            let since = Instant::now();
            match line.line.ask(question).await {
                Ok((answer, took)) => {
                    shape.took(took);
                    self.give_back(line);
                    return Ok(answer);
                }
                Err(Failure::Trouble(trouble)) => {
                    let is_over = !self.may_pass(&trouble, line.era) || attempt >= attempts(&trouble, since);
                    if !trouble.is_broken() {
                        self.give_back(line);
                    }
                    if is_over {
                        return Err(Missed::Failed(trouble.into()));
                    }
                }
                Err(Failure::TooLarge) => {
                    self.give_back(line);
                    return Err(Missed::TooLarge);
                }
                // Nobody stands before it.
                Err(Failure::HeldUp) => return Err(Missed::Failed(Error::Unavailable("an answer was held up".into()))),
            }
        }
    }

    const fn too_large(&self) -> Error {
        Error::TooLarge { limit: self.limits.answer_bytes }
    }

    /// Whether a question is worth asking again. If its connection is broken, those of the same time are as well, and
    /// whoever finds it out first takes all of them away: they are not to be come upon the second time.
    fn may_pass(&self, trouble: &Trouble, era: u64) -> bool {
        let next = || self.era.compare_exchange(era, era + 1, Ordering::Relaxed, Ordering::Relaxed);
        if trouble.is_broken() && next().is_ok() {
            self.kept().retain(|line| line.era > era);
            // Whoever asks something over one of them just now goes on.
            self.drop_shared(|line| line.era <= era);
        }
        trouble.is_broken() || trouble.is_stale()
    }

    /// The connection with the fewest questions under way; none if all of them are held up.
    async fn least_busy(&self) -> Result<Option<Arc<Opened>>> {
        loop {
            let mut best: Option<(usize, Arc<Opened>)> = None;
            let mut missing = None;
            let mut held_up = 0;
            for slot in &self.shared {
                let mut place = slot.line();
                let Some(line) = place.as_ref() else {
                    missing = Some(slot);
                    continue;
                };
                match line.line.load() {
                    Some(load) if load >= DEPTH => held_up += 1,
                    Some(load) if best.as_ref().is_none_or(|(least, _)| load < *least) => {
                        best = Some((load, Arc::clone(line)));
                    }
                    Some(_) => {}
                    None if line.line.is_closed() => {
                        *place = None;
                        missing = Some(slot);
                    }
                    None => held_up += 1,
                }
            }
            match (best, missing) {
                (Some((0, line)), _) | (Some((_, line)), None) => {
                    if self.stands(&line.line).await {
                        return Ok(Some(line));
                    }
                    self.drop_shared(|other| std::ptr::eq(other, &*line));
                }
                // While somebody else opens it, or no other can be had, there is one that can be asked.
                (Some((_, line)), Some(slot)) => {
                    let Ok(_opening) = slot.opening.try_lock() else { return Ok(Some(line)) };
                    if slot.line().is_some() {
                        continue;
                    }
                    let era = self.era.load(Ordering::Relaxed);
                    let opened = timeout(BESIDE, Line::open(&self.address, self.limits)).await;
                    let Ok(Ok(opened)) = opened else { return Ok(Some(line)) };
                    return Ok(Some(slot.hold(Opened { line: opened, era })));
                }
                (None, Some(slot)) => {
                    // Those who wait for the same connection have waited together when it can't be had.
                    let opening = timeout(self.patience, slot.opening.lock()).await;
                    let Ok(_opening) = opening else { return Err(sqlx::Error::PoolTimedOut.into()) };
                    if slot.line().is_none() {
                        return Ok(Some(slot.hold(self.open().await?)));
                    }
                }
                (None, None) if held_up > 0 => return Ok(None),
                (None, None) => return Err(sqlx::Error::PoolClosed.into()),
            }
        }
    }

    fn drop_shared(&self, which: impl Fn(&Opened) -> bool) {
        for slot in &self.shared {
            slot.line().take_if(|line| which(line));
        }
    }

    /// The one that was used last, of those that nobody uses and that stand. The rest of an answer that was too large may still
    /// be on its way over some, and nobody is to wait behind that.
    async fn take_kept(&self) -> Option<Opened> {
        loop {
            let line = {
                let mut kept = self.kept();
                let free = kept.iter().rposition(|line| line.line.load() == Some(0))?;
                kept.remove(free)
            };
            if self.stands(&line.line).await {
                return Some(line);
            }
        }
    }

    fn give_back(&self, line: Opened) {
        let mut kept = self.kept();
        // Those that were idle for long have closed themselves.
        kept.retain(|line| !line.line.is_closed());
        if !self.room.is_closed() && !line.line.is_closed() && kept.len() < self.alone {
            kept.push(line);
        }
    }

    /// One that has been idle may have been cut off, or may hang, and both is found out before anything is entrusted to it.
    async fn stands(&self, line: &Line) -> bool {
        line.idle() <= IDLE || timeout(self.patience, line.ping()).await == Ok(true)
    }

    /// A new one. A server that is coming up is waited for.
    async fn open(&self) -> Result<Opened> {
        let era = self.era.load(Ordering::Relaxed);
        let opening = async {
            let mut pause = PAUSE;
            loop {
                match Line::open(&self.address, self.limits).await {
                    Ok(line) => return Ok(Opened { line, era }),
                    Err(trouble) if trouble.is_passing() => tokio::time::sleep(pause).await,
                    Err(trouble) => return Err(trouble.into()),
                }
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        };
        timeout(self.patience, opening).await.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
    }

    /// A new one, if the server lets it in now, and has not failed to only just now: each attempt may take a while.
    async fn open_at_once(&self) -> Result<Opened> {
        let missed = || self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed().is_some_and(|since| since.elapsed() < SPARED) {
            return Err(sqlx::Error::PoolTimedOut.into());
        }
        let era = self.era.load(Ordering::Relaxed);
        let line = timeout(BESIDE, Line::open(&self.address, self.limits)).await;
        let line = line.map_err(|_| sqlx::Error::PoolTimedOut.into()).and_then(|line| Ok(line?));
        *missed() = line.is_err().then(Instant::now);
        line.map(|line| Opened { line, era }).inspect_err(|error: &Error| {
            tracing::debug!(%error, "for a while pages of the log are read over the pool alone");
        })
    }

    async fn turn<'a>(&self, of: &'a Semaphore) -> Result<SemaphorePermit<'a>> {
        let turn = match of.try_acquire() {
            Ok(turn) => return Ok(turn),
            Err(_) => timeout(self.patience, of.acquire()).await,
        };
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => Err(sqlx::Error::PoolClosed.into()),
            Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Opened>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Takes in a connection, for all.
    fn hold(&self, line: Opened) -> Arc<Opened> {
        let line = Arc::new(line);
        *self.line() = Some(Arc::clone(&line));
        line
    }

    fn line(&self) -> MutexGuard<'_, Option<Arc<Opened>>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often a question may be asked for which there was no answer, when it had been under way since then.
fn attempts(trouble: &Trouble, since: Instant) -> u32 {
    if trouble.is_broken() && since.elapsed() >= HELD_UP { ATTEMPTS_UNDER_SUSPICION } else { ATTEMPTS }
}

fn permits(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
