//! What one listener hears: the changes of a tenant's rows of one read model.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;
use yado_model::{Name, Position, TenantId};
use yado_store::{ChangeQuery, Changed};

use super::ring::Wanted;
use super::told::{Standing, Told};
use super::{Changes, Cursor, Lines};
use crate::{Error, Result};

/// So many changes are looked at in one go.
const PIECE: usize = 500;

/// The same in the journal's table, where it costs little to pass over those of others.
const PIECE_OF_TABLE: u32 = 2_000;

/// No more is read from the table in one go, in bytes: it is held for as long as the listener takes for it, and whoever has
/// less room than that begins anew each time.
const PIECE_BYTES: usize = 256 * 1024;

/// The changes of a tenant's rows of one read model, in order, each once. It is dropped when nobody wants to hear more.
pub struct ChangeStream {
    changes: Changes,
    lines: watch::Receiver<Arc<Lines>>,
    told: Arc<Told>,
    standing: watch::Receiver<Standing>,
    model: Name,
    tenant: TenantId,
    /// What has been handed out or passed over; nothing yet, if the journal is still to begin.
    cursor: Option<Cursor>,
    /// What is to be handed out next.
    ready: VecDeque<Arc<Changed>>,
    /// What has been seen when all of it is handed out.
    reached: Option<Cursor>,
    /// How often the telling had been broken when the listener began with this generation.
    breaks: u64,
    /// Whether it has begun where the generation was at that moment, and not where somebody was before.
    is_new: bool,
}

impl ChangeStream {
    pub(super) fn new(
        changes: Changes,
        lines: watch::Receiver<Arc<Lines>>,
        told: Arc<Told>,
        model: Name,
        tenant: TenantId,
        after: Option<Cursor>,
    ) -> Self {
        let standing = told.standing();
        let (ready, reached, breaks) = (VecDeque::new(), None, standing.borrow().breaks);
        let is_new = after.is_none();
        let mut stream =
            Self { changes, lines, told, standing, model, tenant, cursor: after, ready, reached, breaks, is_new };
        stream.begin();
        stream
    }

    /// The next change, as soon as there is one. Nothing is lost if the wait for it is given up.
    ///
    /// # Errors
    /// `RESUME_EXPIRED` if not everything that came next is kept any more, `SCHEMA_CHANGED` if the read model is not live any
    /// more, and `UNAVAILABLE` if the database can't be read. After the last of these it may be asked again.
    pub async fn next(&mut self) -> Result<Arc<Changed>> {
        loop {
            if let Some(changed) = self.next_until(None).await? {
                return Ok(changed);
            }
        }
    }

    /// The same, but nothing once everything up to a place has been handed out.
    ///
    /// # Errors
    /// Those of [`ChangeStream::next`].
    pub async fn next_until(&mut self, until: Option<Cursor>) -> Result<Option<Arc<Changed>>> {
        loop {
            if let Some(changed) = self.ready() {
                return Ok(Some(changed));
            }
            if self.has_come_to(until) {
                return Ok(None);
            }
            self.more(until).await?;
        }
    }

    /// Waits until something can be read, or everything up to a place has been handed out, and reads the next piece. There
    /// may be nothing for this listener in it. Nothing is lost if the wait for it is given up.
    ///
    /// # Errors
    /// Those of [`ChangeStream::next`].
    pub async fn more(&mut self, until: Option<Cursor>) -> Result<()> {
        self.wait(until).await?;
        match self.cursor {
            Some(cursor) if self.ready.is_empty() && !self.has_come_to(until) => self.read(cursor).await,
            _ => Ok(()),
        }
    }

    /// The same wait, without reading anything: whoever waits for long takes up nothing that others may need meanwhile.
    ///
    /// # Errors
    /// Those of [`ChangeStream::next`], but for the last.
    pub async fn wait(&mut self, until: Option<Cursor>) -> Result<()> {
        loop {
            if !self.ready.is_empty() {
                return Ok(());
            }
            if let Some(reached) = self.reached.take() {
                self.cursor = Some(reached);
            }
            if self.has_come_to(until) {
                return Ok(());
            }
            self.go_over()?;
            let had_begun = self.cursor.is_some();
            self.begin();
            if !had_begun && self.cursor.is_some() {
                // Everything up to where it begins need not be handed out, and that may be all that was asked for.
                continue;
            }
            self.holds()?;
            if self.cursor.is_some_and(|cursor| self.is_behind(cursor)) {
                return Ok(());
            }
            self.stir().await?;
        }
    }

    /// The next change, if it is at hand already. For those who would rather look at several at once than wait.
    pub fn ready(&mut self) -> Option<Arc<Changed>> {
        let changed = self.ready.pop_front()?;
        self.cursor = Some(Cursor::from(&*changed));
        Some(changed)
    }

    /// What has been seen so far: whoever goes on from here misses nothing. It moves on also where changes were not of this
    /// read model or tenant. Nothing, if the projection is not up to date yet.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        match self.reached {
            Some(reached) if self.ready.is_empty() => Some(reached),
            _ => self.cursor,
        }
    }

    /// Who wants to hear from now on begins when the journal does.
    fn begin(&mut self) {
        let standing = *self.standing.borrow_and_update();
        if self.cursor.is_none()
            && let (Some(since), Some(settled)) = (standing.since, standing.settled)
        {
            self.cursor = Some(Cursor::all_of(settled.max(since)));
        }
    }

    /// Whether everything that has become of the tenant's rows was told. If not, the listener is told so, once.
    fn holds(&mut self) -> Result<()> {
        let breaks = self.standing.borrow().breaks;
        let before = std::mem::replace(&mut self.breaks, breaks);
        if before == breaks || !self.told.has_broken(&self.tenant, before) {
            return Ok(());
        }
        match self.cursor {
            Some(cursor) => Err(Error::ResumeExpired { model: self.model.to_string(), cursor, floor: None }),
            None => Ok(()),
        }
    }

    /// Goes over to the next generation of the projection, as soon as that covers everything from here on.
    fn go_over(&mut self) -> Result<()> {
        if let Some(next) = self.next_generation()?
            && self.cursor.is_none_or(|cursor| next.covers(cursor))
        {
            self.standing = next.standing();
            self.breaks = self.standing.borrow().breaks;
            self.is_new &= self.cursor.is_none();
            self.told = next;
        }
        Ok(())
    }

    /// The generation that is to be gone over to, if there is one.
    fn next_generation(&mut self) -> Result<Option<Arc<Told>>> {
        let lines = self.lines.borrow_and_update();
        let line = lines.get(&self.model);
        let line = line.ok_or_else(|| Error::SchemaChanged { model: self.model.to_string() })?;
        if line.projection == self.told.projection {
            return Ok(None);
        }
        Ok(self.changes.told().get(&line.projection).cloned())
    }

    fn has_come_to(&self, until: Option<Cursor>) -> bool {
        until.is_some() && self.cursor() >= until
    }

    fn is_behind(&self, cursor: Cursor) -> bool {
        self.standing.borrow().settled.is_some_and(|settled| Cursor::all_of(settled) > cursor)
    }

    /// Makes the next changes ready.
    async fn read(&mut self, after: Cursor) -> Result<()> {
        // What comes after is the next generation's.
        let until = self.next_generation()?.and_then(|next| next.standing().borrow().since);
        // Whatever was not told since is known: the listener would have been told so before it comes here.
        let (model, tenant, begun_since) = (&self.model, &self.tenant, self.is_new);
        let wanted = Wanted { model, tenant, after, begun_since, until, limit: PIECE };
        if let Some(piece) = self.told.read(&wanted) {
            self.ready = piece.changes.into();
            self.reached = Some(piece.reached);
            // A listener that passes over everything must not keep others from their turn.
            tokio::task::consume_budget().await;
            return Ok(());
        }
        self.read_table(after, until).await
    }

    /// The same from the journal's table.
    async fn read_table(&mut self, after: Cursor, until: Option<Position>) -> Result<()> {
        let shared = &self.changes.shared;
        let expired = |floor| Error::ResumeExpired { model: self.model.to_string(), cursor: after, floor };
        // The semaphore is never closed.
        let _turn = shared.readers.acquire().await;
        let asked = ChangeQuery {
            after: (after.position, after.place),
            of: Some((&self.model, &self.tenant)),
            limit: PIECE_OF_TABLE,
            most_bytes: PIECE_BYTES,
        };
        let page = shared.reads.changes(&self.told.projection, &asked).await?;
        if page.floor.is_none_or(|floor| after < Cursor::all_of(floor)) {
            return Err(expired(page.floor));
        }
        let end = until.map_or(page.settled, |until| until.min(page.settled));
        let end = Cursor::all_of(end);
        let reached = page.more_after.map_or(end, |(position, place)| end.min(Cursor { position, place }));
        let changes = page.changes.into_iter().filter(|changed| Cursor::from(changed) <= end);
        self.ready = changes.map(Arc::new).collect();
        self.reached = Some(reached.max(after));
        Ok(())
    }

    /// Waits until there may be more.
    async fn stir(&mut self) -> Result<()> {
        if self.standing.borrow().ended {
            let model = self.model.to_string();
            return Err(match self.cursor {
                Some(cursor) => Error::ResumeExpired { model, cursor, floor: None },
                None => Error::SchemaChanged { model },
            });
        }
        tokio::select! {
            _ = self.standing.changed() => {}
            _ = self.lines.changed() => {}
        }
        Ok(())
    }
}

impl std::fmt::Debug for ChangeStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChangeStream")
            .field("model", &self.model)
            .field("tenant", &self.tenant)
            .field("projection", &self.told.projection)
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}
