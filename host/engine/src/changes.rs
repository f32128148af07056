//! Changes of rows, for those who want to hear of them.
//!
//! A projection that fills its tables keeps a journal once no more than a fifth of as many events are ahead of it as changes
//! are kept for, and from then on for as long as it runs; after a restart it goes on with it unless more events are ahead than
//! changes are kept for (`projection/runner/telling`). The journal has each row that an event has created, changed or removed,
//! in the transaction that writes the row. After the commit the newest changes are in memory, and whoever listens is given
//! them from there. Who is too far behind for that reads the journal's table, which is also where the changes are that another
//! process has committed: a piece of bounded size at a time, and no texts of rows but those he listens to.
//!
//! Invariants: changes come in the order of positions and places, each once, without gaps, and only after they are
//! durable. Where a gap can't be ruled out, the listener is told so ([`Error::ResumeExpired`]) and never passes over it.
//! Two generations of a projection journal the same events at the same positions, so that a listener goes over from one
//! to the next at a position.

mod breaks;
mod cursor;
mod forget;
mod ring;
mod stream;
mod told;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use yado_model::{Name, TenantId};
use yado_store::ReadStore;

use crate::catalogue::{Catalogue, Model};
use crate::{Error, Result, Settings};

pub use cursor::{Cursor, NoCursor};
pub(crate) use forget::run as forget;
pub use stream::ChangeStream;
pub(crate) use told::Told;

/// So many listeners read the journal's table at once. Others wait for their turn: those who fall behind together, as after
/// a restart, would take all of the database's connections from those who ask.
const READERS: usize = 8;

/// When it is worth asking again for what the operator does not want.
const NEVER_MS: u64 = 60 * 60 * 1_000;

/// The journals of all projections of this process.
#[derive(Clone)]
pub(crate) struct Changes {
    shared: Arc<Shared>,
}

struct Shared {
    reads: Arc<dyn ReadStore>,
    settings: Arc<Settings>,
    /// By the name under which a projection's progress is kept.
    told: Mutex<HashMap<Arc<str>, Arc<Told>>>,
    lines: watch::Sender<Arc<Lines>>,
    readers: Semaphore,
}

/// The read models that are live, by their names.
type Lines = HashMap<Name, Line>;

/// The generations of a read model.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    /// The projection that fills it.
    projection: Arc<str>,
    /// The one that did so before, for as long as it goes on.
    before: Option<Arc<str>>,
}

impl Changes {
    pub(crate) fn new(reads: Arc<dyn ReadStore>, settings: Arc<Settings>) -> Self {
        let (told, lines) = (Mutex::default(), watch::Sender::default());
        Self { shared: Arc::new(Shared { reads, settings, told, lines, readers: Semaphore::new(READERS) }) }
    }

    /// Where a projection tells what it has changed.
    pub(crate) fn open(&self, projection: &Arc<str>) -> Arc<Told> {
        let mut told = self.told();
        let opened = told.entry(projection.clone()).or_insert_with(|| Arc::new(Told::new(projection.clone()))).clone();
        self.divide(&told);
        opened
    }

    /// A projection has ended, and is not going to tell any more.
    pub(crate) fn close(&self, projection: &str) {
        let closed = {
            let mut told = self.told();
            let closed = told.remove(projection);
            self.divide(&told);
            closed
        };
        self.shared.lines.send_if_modified(|lines| {
            let ends = |line: &Line| line.before.as_deref() == Some(projection);
            if !lines.values().any(ends) {
                return false;
            }
            for line in Arc::make_mut(lines).values_mut().filter(|line| ends(line)) {
                line.before = None;
            }
            true
        });
        if let Some(closed) = closed {
            closed.end();
        }
    }

    /// A catalogue has gone live. Whoever listens to a read model goes over to the projection that fills it now.
    pub(crate) fn go_live(&self, catalogue: &Catalogue) {
        self.shared.lines.send_if_modified(|lines| {
            let line = |model: &Arc<Model>| {
                let known = lines.get(&model.manifest.name);
                let before = match known {
                    Some(known) if known.projection == model.projection => known.before.clone(),
                    known => known.map(|known| known.projection.clone()),
                };
                (model.manifest.name.clone(), Line { projection: model.projection.clone(), before })
            };
            let next: Lines = catalogue.models().map(line).collect();
            let differs = **lines != next;
            if differs {
                *lines = Arc::new(next);
            }
            differs
        });
    }

    /// The changes of a tenant's rows of a read model from a place on; from now on, if there is none.
    pub(crate) fn watch(&self, model: &Name, tenant: &TenantId, after: Option<Cursor>) -> Result<ChangeStream> {
        if self.shared.settings.changes_kept == 0 {
            let reason = "changes of rows are not kept here, as the operator has it".into();
            return Err(Error::Unavailable { reason, retry_after_ms: NEVER_MS });
        }
        let lines = self.shared.lines.subscribe();
        let line = lines.borrow().get(model).cloned();
        let line = line.ok_or_else(|| Error::Unknown { kind: "read model", name: model.to_string() })?;
        let told = self.told();
        let find = |projection: &Arc<str>| told.get(projection).cloned();
        let now = find(&line.projection);
        let before = line.before.as_ref().and_then(find);
        // Who goes on from a place that the new generation does not cover yet is given the rest by the old one.
        let covers = |now: &Arc<Told>| after.is_none_or(|after| now.covers(after));
        let told = match (now, before) {
            (Some(now), before) if before.is_none() || covers(&now) => now,
            (_, Some(before)) => before,
            _ => return Err(Error::Unknown { kind: "read model", name: model.to_string() }),
        };
        Ok(ChangeStream::new(self.clone(), lines, told, model.clone(), tenant.clone(), after))
    }

    /// Gives each projection its share of the memory.
    fn divide(&self, told: &HashMap<Arc<str>, Arc<Told>>) {
        let room = self.shared.settings.changes_memory_bytes / told.len().max(1);
        told.values().for_each(|told| told.set_room(room));
    }

    /// How many changes of a projection are kept, and how many this process has forgotten.
    pub(crate) fn figures(&self, projection: &str) -> Option<(u64, u64)> {
        self.told().get(projection).map(|told| told.figures())
    }

    fn told(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Told>>> {
        self.shared.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use yado_model::Position;
    use yado_store::{ChangeKind, Changed, Checkpoint, Options, Progress, Step, open_reads};

    use super::ring::Wanted;
    use super::*;

    /// A change of so many bytes at a position.
    fn changed(position: u64, bytes: usize) -> Arc<Changed> {
        Arc::new(Changed {
            position: Position::new(position),
            place: 0,
            tenant: TenantId::default(),
            model: Name::parse("Ticket").unwrap(),
            key: "a".into(),
            kind: ChangeKind::Created,
            row: "x".repeat(bytes).into(),
        })
    }

    #[tokio::test]
    async fn whoever_reads_the_table_holds_little_of_it_at_a_time_and_misses_nothing() {
        const ROW: usize = 50_000;
        const LAST: u64 = 5_000;
        let reads = open_reads("sqlite::memory:", &Options::default()).await.unwrap();
        let settings = Settings { changes_memory_bytes: 0, ..Settings::default() };
        let changes = Changes::new(reads.clone(), Arc::new(settings));
        let (model, tenant) = (Name::parse("Ticket").unwrap(), TenantId::default());
        // One in hundred is large and the listener's own; the others are another tenant's.
        let change = |position: u64| match position % 100 {
            0 => changed(position, ROW),
            _ => {
                let tenant = TenantId::parse("other").unwrap();
                Arc::new(Changed { tenant, ..(*changed(position, 10)).clone() })
            }
        };
        let told: Vec<_> = (1..=LAST).map(change).collect();
        let to = Position::new(LAST);
        let progress = Progress { projection: "tickets", from: Checkpoint::START, to: to.into() };
        reads.commit(&Step::new(progress, &[]).telling(Position::ZERO, &told)).await.unwrap();
        changes.open(&"tickets".into()).at(to);
        let line = Line { projection: "tickets".into(), before: None };
        changes.shared.lines.send_replace(Arc::new(Lines::from([(model.clone(), line)])));
        let mut stream = changes.watch(&model, &tenant, Some(Cursor::all_of(Position::ZERO))).unwrap();
        let mut heard = Vec::new();
        while stream.cursor() < Some(Cursor::all_of(to)) {
            stream.more(Some(Cursor::all_of(to))).await.unwrap();
            let held: Vec<_> = std::iter::from_fn(|| stream.ready()).collect();
            assert!(held.len() * ROW <= 256 * 1024 + ROW, "{}", held.len());
            heard.extend(held);
        }
        assert_eq!(heard, told.into_iter().filter(|changed| changed.tenant == tenant).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_a_projection_that_ends_has_had_of_the_memory_the_others_have_again() {
        let reads = open_reads("sqlite::memory:", &Options::default()).await.unwrap();
        let changes = Changes::new(reads, Arc::new(Settings { changes_memory_bytes: 8_000, ..Settings::default() }));
        let told = changes.open(&"tickets".into());
        changes.open(&"baskets".into());
        let holds_all = |from: u64| {
            let (before, to) = (Position::new(from), Position::new(from + 2));
            told.tell(before, to, &[changed(from + 1, 3_000), changed(from + 2, 3_000)]);
            let (model, tenant, after) = (Name::parse("Ticket").unwrap(), TenantId::default(), Cursor::all_of(before));
            let wanted = Wanted { model: &model, tenant: &tenant, after, begun_since: false, until: None, limit: 10 };
            told.read(&wanted).is_some()
        };
        assert!(!holds_all(0));
        changes.close("baskets");
        assert!(holds_all(2));
    }
}
