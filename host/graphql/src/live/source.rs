//! Where what is told comes from: the journals of read models, and the log.

use std::sync::Arc;

use async_trait::async_trait;
use yado_engine::{ChangeStream, Cursor, Engine, Error, EventPage, Events, Result};
use yado_model::{Code, Position, TenantId};

use super::happening::{Happened, Happening, Occurred};
use super::topic::{Subject, Topic};

/// Why it is not known what happens next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether another attempt may do better.
    pub(crate) passes: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let passes = error.code() == Code::Unavailable;
        Self { error, passes }
    }
}

/// Where what is told comes from.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// Follows what becomes of a subject from a place on; from now on, if there is none.
    ///
    /// # Errors
    /// If it can't be followed.
    fn follow(&self, subject: &Subject, tenant: &TenantId, after: Option<Cursor>) -> Result<Box<dyn Followed>>;

    /// Whether anything has been recorded at a position or behind it.
    ///
    /// # Errors
    /// If that can't be found out.
    async fn has_come_to(&self, position: Position) -> Result<bool>;
}

/// What is followed.
#[async_trait]
pub(crate) trait Followed: Send {
    /// Waits until there is more, and reads the next of it. There may be nothing at hand then: where nothing of what has been
    /// read is of this, once everything up to a place has been taken, and when it begins that had not begun yet, so that its
    /// place is known from then on. Whoever stops waiting misses nothing.
    ///
    /// # Errors
    /// If it is not known what comes next. What passes may be asked again, and misses nothing.
    async fn more(&mut self, until: Option<Cursor>) -> Result<(), Failure>;

    /// The same wait, without reading anything: whoever waits holds nothing but a place.
    ///
    /// # Errors
    /// If it is not known what comes next.
    async fn wait(&mut self, until: Option<Cursor>) -> Result<(), Failure>;

    /// Takes what comes next, if it is at hand.
    fn take(&mut self) -> Option<Occurred<'_>>;

    /// Everything up to here has been taken. Nothing, if it has not begun yet.
    fn reached(&self) -> Option<Cursor>;
}

/// What is at hand of a topic, as much as is brought into form at once and is not behind a place; and why there may be no
/// more.
pub(super) fn gather(
    followed: &mut dyn Followed,
    topic: &Topic,
    until: Cursor,
    bound: Bound,
) -> (Vec<Arc<Happened>>, Option<Failure>) {
    let (mut all, mut bytes) = (Vec::new(), 0);
    while !bound.is_reached(all.len(), bytes)
        && let Some(occurred) = followed.take().filter(|occurred| occurred.cursor() <= until)
    {
        let happening = Happening::new(occurred);
        match topic.holds_of(&happening).and_then(|holds| holds.then(|| happening.told().cloned()).transpose()) {
            Ok(None) => {}
            Ok(Some(happened)) => {
                bytes += happened.bytes;
                all.push(happened);
            }
            Err(failure) => return (all, Some(failure)),
        }
    }
    (all, None)
}

/// How much is brought into form at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    /// How many.
    pub(super) most: usize,
    /// The length of the texts that they are read from, in bytes. One alone may be as long as it likes.
    pub(super) bytes: usize,
}

impl Bound {
    /// Whether no more goes with so many that are so long.
    pub(super) const fn is_reached(self, count: usize, bytes: usize) -> bool {
        count >= self.most || bytes >= self.bytes
    }
}

#[async_trait]
impl Source for Engine {
    fn follow(&self, subject: &Subject, tenant: &TenantId, after: Option<Cursor>) -> Result<Box<dyn Followed>> {
        Ok(match subject {
            Subject::Events => {
                let events = self.events(after.map(|after| after.position));
                Box::new(OfLog { events, page: None, at: 0, tenant: tenant.clone() })
            }
            Subject::Changes(model) => Box::new(OfModel(self.watch(model, tenant, after)?)),
        })
    }

    async fn has_come_to(&self, position: Position) -> Result<bool> {
        self.events(Some(position)).is_reached().await
    }
}

/// Events of a tenant.
struct OfLog {
    events: Events,
    /// What is taken from at present, and how far that is.
    page: Option<EventPage>,
    at: usize,
    tenant: TenantId,
}

impl OfLog {
    /// Whether nothing is at hand, and there is more on the way to a place.
    fn wants_more(&self, until: Option<Cursor>) -> bool {
        self.page.is_none() && until.is_none_or(|until| self.reached() < Some(until))
    }
}

#[async_trait]
impl Followed for OfLog {
    async fn more(&mut self, until: Option<Cursor>) -> Result<(), Failure> {
        if self.wants_more(until) {
            self.page = Some(self.events.next().await?);
            self.at = 0;
            // Whoever passes over all that comes from memory must not keep others from their turn.
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    async fn wait(&mut self, until: Option<Cursor>) -> Result<(), Failure> {
        if self.wants_more(until) {
            self.events.wait().await;
        }
        Ok(())
    }

    fn take(&mut self) -> Option<Occurred<'_>> {
        let mut left = self.page.as_ref()?.iter().skip(self.at);
        let Some(passed) = left.position(|event| event.tenant == self.tenant) else {
            drop(left);
            self.page = None;
            return None;
        };
        drop(left);
        let at = self.at + passed;
        self.at = at + 1;
        self.page.as_ref()?.iter().nth(at).map(Occurred::Event)
    }

    fn reached(&self) -> Option<Cursor> {
        let Some(page) = &self.page else { return Some(Cursor::all_of(self.events.position())) };
        let before = match self.at.checked_sub(1) {
            Some(taken) => page.iter().nth(taken).map(|event| event.position.get()),
            None => page.iter().next().map(|event| event.position.get().saturating_sub(1)),
        };
        Some(Cursor::all_of(before.map_or(self.events.position(), Position::new)))
    }
}

/// Changes of a read model's rows.
struct OfModel(ChangeStream);

/// The place before which there is none.
const FIRST: Cursor = Cursor { position: Position::new(0), place: 0 };

impl OfModel {
    /// What has not begun has handed out everything up to the very first place as soon as it begins.
    fn or_begins(&self, until: Option<Cursor>) -> Option<Cursor> {
        until.or(self.0.cursor().is_none().then_some(FIRST))
    }
}

#[async_trait]
impl Followed for OfModel {
    async fn more(&mut self, until: Option<Cursor>) -> Result<(), Failure> {
        Ok(self.0.more(self.or_begins(until)).await?)
    }

    async fn wait(&mut self, until: Option<Cursor>) -> Result<(), Failure> {
        Ok(self.0.wait(self.or_begins(until)).await?)
    }

    fn take(&mut self) -> Option<Occurred<'_>> {
        self.0.ready().map(Occurred::Changed)
    }

    fn reached(&self) -> Option<Cursor> {
        self.0.cursor()
    }
}
