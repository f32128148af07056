//! One that follows something, alone or with others.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use futures::{FutureExt as _, Stream, stream};
use tokio::task::JoinSet;
use yado_engine::Cursor;
use yado_model::Position;

use super::Live;
use super::batch::Batch;
use super::buffer::{Next, Taken};
use super::cohort::{AGAIN_MS, Cohort, Ending, PAUSES};
use super::memory::{Memory, Share};
use super::patience::Patience;
use super::plan::{self, Plan};
use super::source::{Bound, Failure, Followed, gather};
use crate::error::Error;

/// So much is made ready at most of what lies behind a subscriber, in bytes, unless one message alone has more; less, where all
/// together have taken much.
const READY_BYTES: usize = 1024 * 1024;

/// So many pieces in which there is nothing to tell are read in a turn, before others have theirs.
const PIECES: usize = 2;

/// So many of them in a turn of those who have found nothing in their last one: they are among themselves.
const PIECES_FAR: usize = 16;

/// So many messages are made first, where it is not known how long they get.
const FIRST: usize = 8;

/// Whoever is no more than so many events behind a cohort enters it, and has kept for him there what he has not been told yet.
/// Whoever is further behind would hold up the others while he is told that.
const NEAR: u64 = 1_000;

/// What has happened, as it is told.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) cursor: Cursor,
    /// The answer, as a JSON document.
    pub(crate) payload: Box<str>,
    /// What that takes.
    _share: Share,
}

impl Message {
    pub(super) fn new(cursor: Cursor, payload: String, memory: &Memory) -> Self {
        let payload = payload.into_boxed_str();
        Self { cursor, _share: memory.share(payload.len()), payload }
    }
}

/// What a subscriber is told.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// Something has happened.
    Next(Arc<Message>),
    /// It is over, and why: a list of errors, as JSON.
    Failed(Arc<[u8]>),
    /// It has not taken in time what it was told, and is told nothing any more.
    Slow,
}

/// One that follows something. What it has missed before it came is told first, then what happens.
pub(crate) struct Subscriber {
    live: Arc<Live>,
    cohort: Arc<Cohort>,
    /// What it is to take next of what the cohort says; nothing, while it has a long way to go to there.
    next: Option<Next>,
    /// Everything up to here has been told, or was not asked for.
    told: Option<Cursor>,
    /// What it is told before it takes part in the cohort.
    behind: Option<Box<Behind>>,
    /// Whether it has taken part, and is to keep up.
    joined: bool,
    is_over: bool,
}

/// What lies behind the place that a cohort has come to. Between two goes it is a place and what is ready to be told, and
/// no more: what is read to make that ready is large, and the client may take its time.
struct Behind {
    /// Where the cohort was when that was last looked at. Nothing, until that is known.
    until: Option<Cursor>,
    /// How much has been made ready since.
    made: usize,
    /// Everything up to here is ready, or has been told, or was not asked for.
    from: Option<Cursor>,
    /// What is told next of it.
    ready: VecDeque<Arc<Message>>,
    /// Why nothing is told behind that.
    failed: Option<yado_engine::Error>,
    /// What has come to where there is more to read.
    followed: Option<Box<dyn Followed>>,
    /// Whether a turn has ended without anything to tell, and nothing has been found since.
    is_far: bool,
    /// What is shown beside what has happened has been waited for, up to here.
    waited: Option<Position>,
    /// How often it has been tried to look that up.
    patience: Patience,
    /// How many of the next ones may be ready at once.
    batch: Batch,
}

/// What has come of a turn.
enum Made {
    /// Something is ready.
    Ready,
    /// Nothing is ready yet, and there is more to read in another turn.
    More,
    /// Everything is ready, and has been told.
    All,
    /// The log, or the read model, has not come further.
    Nothing(Box<dyn Followed>),
    /// What is shown beside what comes next has not come as far.
    Behind(plan::Behind),
    /// What is shown beside what comes next can't be looked up at present.
    Failing,
}

impl Behind {
    const fn new(from: Option<Cursor>, until: Option<Cursor>) -> Self {
        Self {
            until,
            made: 0,
            from,
            ready: VecDeque::new(),
            failed: None,
            followed: None,
            is_far: false,
            waited: None,
            patience: Patience::new(),
            batch: Batch::new(FIRST),
        }
    }

    /// Makes the next messages ready when it is its turn.
    async fn have_turn(&mut self, live: &Live, cohort: &Cohort, until: Cursor) -> Result<(Made, Arc<Plan>), Failure> {
        let turns = if self.is_far { &live.far_turns } else { &live.turns };
        // Nobody closes the semaphores.
        let _turn = turns.acquire().await;
        let plan = cohort.plan();
        Ok((self.make_ready(live, &plan, until).await?, plan))
    }

    /// Waits for what keeps the next messages from being made ready, unless some are to be told first; and says whether there
    /// are none any more. Nobody has a turn meanwhile: what had been read is read again then.
    async fn wait(&mut self, made: Made, plan: &Plan, live: &Live, until: Cursor) -> Result<bool, Failure> {
        match made {
            Made::All => return Ok(true),
            _ if !self.ready.is_empty() => {}
            Made::Ready | Made::More => {}
            Made::Nothing(mut followed) => {
                followed.wait(Some(until)).await?;
                self.followed = Some(followed);
            }
            Made::Behind(behind) => {
                plan.wait_for(&behind, live).await;
                self.waited = Some(behind.wanted);
            }
            Made::Failing => self.patience.rest().await,
        }
        Ok(false)
    }

    /// Makes the next messages ready, as far as they are at hand; or says what is to be waited for.
    async fn make_ready(&mut self, live: &Live, plan: &Plan, until: Cursor) -> Result<Made, Failure> {
        let mut followed = match self.followed.take() {
            Some(followed) => followed,
            None => live.source.follow(&plan.topic.subject(), plan.tenant(), self.from)?,
        };
        let (mut bytes, mut pieces) = (0, if self.is_far { PIECES_FAR } else { PIECES });
        loop {
            // Where there is little room nothing is made for which there is none.
            let (most, room) = (plan.at_once(), live.behind.room(READY_BYTES));
            let most = Bound { bytes: most.bytes.min(room), ..most };
            let left = room.saturating_sub(bytes);
            if bytes > 0 && !self.batch.has_room(left) {
                return Ok(Made::Ready);
            }
            let at_once = self.batch.within(most, left);
            let (happened, failure) = gather(followed.as_mut(), &plan.topic, until, at_once);
            let reached = followed.reached();
            self.is_far &= happened.is_empty();
            if let Some(behind) = plan.behind(&happened, live).filter(|behind| self.waited < Some(behind.wanted)) {
                return Ok(Made::Behind(behind));
            }
            let messages = Box::pin(plan.attempt(&happened, live, &live.behind, &mut self.patience)).await;
            let Some(messages) = messages else { return Ok(Made::Failing) };
            self.batch.formed(messages.len(), messages.iter().map(|message| message.payload.len()).sum());
            for message in messages {
                bytes += message.payload.len();
                if bytes > room && !self.ready.is_empty() {
                    // It turned out longer than the last ones, and is formed again, with all that comes behind it.
                    return Ok(Made::Ready);
                }
                self.made += 1;
                self.from = Some(message.cursor);
                self.ready.push_back(Arc::new(message));
            }
            // A long way on which there is nothing to tell need not be gone twice. Where the cohort was may be before the
            // place that was asked for.
            self.from = self.from.max(reached.map(|reached| reached.min(until)));
            if let Some(failure) = failure {
                return Err(failure);
            }
            if reached >= Some(until) {
                return Ok(if self.ready.is_empty() { Made::All } else { Made::Ready });
            }
            if happened.is_empty() {
                if bytes > 0 {
                    return Ok(Made::Ready);
                }
                match followed.wait(Some(until)).now_or_never() {
                    Some(waited) => waited?,
                    None => return Ok(Made::Nothing(followed)),
                }
                if pieces == 0 {
                    // A long way on which there is nothing to tell is gone in many turns, and not in one.
                    (self.followed, self.is_far) = (Some(followed), true);
                    return Ok(Made::More);
                }
                pieces -= 1;
                followed.more(Some(until)).await?;
            } else if bytes >= room {
                return Ok(Made::Ready);
            }
        }
    }
}

impl Subscriber {
    pub(super) fn new(live: Arc<Live>, cohort: Arc<Cohort>, after: Option<Cursor>) -> Self {
        // The cohort may be busy with what happened before somebody asked who is to be told what happens from now on.
        let told = after.or_else(|| cohort.hub.taken());
        cohort.join();
        let next = match after {
            Some(after) => cohort.meet(after),
            None => Some(cohort.enter(false).0),
        };
        let behind = if next.is_none() { Some(Box::new(Behind::new(after, cohort.reached()))) } else { None };
        let joined = behind.is_none();
        Self { live, cohort, next, told, behind, joined, is_over: false }
    }

    /// What it is told, one after another.
    pub(crate) fn told(self) -> impl Stream<Item = Told> + Send {
        stream::unfold(self, |mut subscriber| async move {
            let told = subscriber.next().await?;
            Some((told, subscriber))
        })
    }

    async fn next(&mut self) -> Option<Told> {
        if self.is_over {
            return None;
        }
        loop {
            let told = match &self.behind {
                Some(_) => self.catch_up().await,
                None => self.take_part().await,
            };
            match told {
                Some(Told::Next(message)) => {
                    self.live.figures.told.increment(1);
                    self.told = self.told.max(Some(message.cursor));
                    return Some(Told::Next(message));
                }
                Some(last) => {
                    if matches!(last, Told::Slow) {
                        self.live.figures.slow.increment(1);
                    }
                    self.is_over = true;
                    return Some(last);
                }
                None => {}
            }
        }
    }

    /// The next of what lies behind; nothing, if it is to be looked again what comes next.
    async fn catch_up(&mut self) -> Option<Told> {
        let Some(behind) = &mut self.behind else { return None };
        let Some(until) = behind.until else {
            // What is followed says when it has begun, wherever that is.
            let told = self.cohort.told();
            let mut told = pin!(told);
            told.as_mut().enable();
            match self.cohort.reached() {
                Some(reached) => behind.until = Some(reached),
                None => match self.cohort.ending() {
                    Some(Ending { errors }) => return Some(Told::Failed(errors)),
                    None => tokio::select! {
                        () = told => {}
                        () = self.cohort.hub.begun() => {}
                    },
                },
            }
            return None;
        };
        while let Some(message) = behind.ready.pop_front() {
            if self.told.is_none_or(|told| told < message.cursor) {
                return Some(Told::Next(message));
            }
        }
        if let Some(error) = behind.failed.take() {
            return Some(failed(error));
        }
        if let Some(Ending { errors }) = self.cohort.ending() {
            return Some(Told::Failed(errors));
        }
        // A socket that does not take what it is told looks at nothing else meanwhile, and must not keep a turn for that.
        let (live, cohort, mut own) = (self.live.clone(), self.cohort.clone(), self.behind.take()?);
        let mut turn = JoinSet::new();
        turn.spawn(async move {
            let had = own.have_turn(&live, &cohort, until).await;
            (own, had)
        });
        let Some(Ok((own, had))) = turn.join_next().await else {
            let reason = "what tells this subscription has stopped".into();
            return Some(failed(yado_engine::Error::Unavailable { reason, retry_after_ms: AGAIN_MS }));
        };
        let behind = self.behind.insert(own);
        let made = match had {
            Ok((made, plan)) => behind.wait(made, &plan, &self.live, until).await,
            Err(failure) => Err(failure),
        };
        match made {
            Ok(false) => {}
            Ok(true) => self.come_to(until),
            Err(Failure { error, passes: true }) => {
                tracing::debug!(%error, "what lies behind a subscription can't be read; it is tried again");
                // What is ready is told meanwhile.
                if behind.ready.is_empty() {
                    tokio::time::sleep(PAUSES.1).await;
                }
            }
            // What was at hand before that is told first.
            Err(Failure { error, passes: false }) => behind.failed = Some(error),
        }
        None
    }

    /// Everything has been told up to where the cohort was. It is further by now, if something has happened meanwhile: then
    /// that is gone after, and only for the last stretch of the way it keeps what it says.
    fn come_to(&mut self, until: Cursor) {
        // Whoever is given up on the last stretch goes on from here.
        self.told = self.told.max(Some(until));
        let Some(behind) = &mut self.behind else { return };
        if self.next.is_some() {
            self.behind = None;
        } else if let Some(next) = self.cohort.meet(until) {
            (self.next, self.behind, self.joined) = (Some(next), None, true);
        } else {
            let mut reached = self.cohort.reached();
            let events = reached.map_or(0, |reached| reached.position.get().saturating_sub(until.position.get()));
            // Where there was nothing to tell there is nothing to wait for.
            if events <= NEAR || behind.made == 0 {
                let (next, entered) = self.cohort.enter(true);
                (self.next, reached) = (Some(next), entered);
            }
            (behind.until, behind.made) = (reached, 0);
        }
    }

    /// The next of what the cohort says; nothing, if it is to be looked again.
    async fn take_part(&mut self) -> Option<Told> {
        loop {
            let told = self.cohort.told();
            let mut told = pin!(told);
            // From here on it is woken, whatever happens while it looks.
            told.as_mut().enable();
            let Some(next) = &mut self.next else {
                self.behind = Some(Box::new(Behind::new(self.told, self.cohort.reached())));
                return None;
            };
            match self.cohort.take(next) {
                Taken::Message(message) => {
                    self.joined = true;
                    // It may have been told on the way here.
                    if self.told.is_none_or(|told| told < message.cursor) {
                        return Some(Told::Next(message));
                    }
                }
                // Whoever has only just caught up had no chance to take it, and has it told from where he is.
                // Nothing is kept at his place any more.
                Taken::Missed if !self.joined => self.next = None,
                Taken::Missed => return Some(Told::Slow),
                Taken::Nothing => match self.cohort.ending() {
                    Some(Ending { errors }) => return Some(Told::Failed(errors)),
                    None => told.await,
                },
            }
        }
    }
}

fn failed(error: yado_engine::Error) -> Told {
    Told::Failed(super::cohort::errors(&[Error::Engine(error).whole()]))
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.cohort.leave(self.next.take());
        self.live.leave(&self.cohort);
    }
}
