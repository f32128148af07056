//! The loop of one projection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use yado_model::{Name, Position, RecordedEvent, TenantId};
use yado_store::{Committed, Progress, TableWrites, Write};

use super::overlay::Overlay;
use super::status::{Status, Trouble};
use super::{Definition, Surroundings};
use crate::catalogue::Model;
use crate::stream::upcast;

/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE_MS: u64 = 50;

/// How far the progress in memory may be ahead of that on disk when none of the events concern the projection. They
/// need not be shown to it again, but reading past them again after a restart costs time.
const UNCOMMITTED: u64 = 50_000;

pub(super) struct Runner {
    definition: watch::Receiver<Definition>,
    surroundings: Surroundings,
    report: watch::Sender<Status>,
}

/// Why a step was not taken.
enum Failure {
    /// The guest failed, at the first event or at a later one.
    Guest(String),
    /// The guest wants its events one by one.
    OneByOne,
    Database(yado_store::Error),
}

impl From<yado_store::Error> for Failure {
    fn from(error: yado_store::Error) -> Self {
        match error {
            // What no engine can keep is what the guest has written, and another attempt would fail the same way.
            yado_store::Error::Invalid(reason) => Self::Guest(reason),
            other => Self::Database(other),
        }
    }
}

/// The rows that a batch has come to, by read model.
type Written = Vec<(Arc<Model>, Vec<(TenantId, Write)>)>;

/// How far the loop has come: on disk, and beyond it past events that don't concern the projection.
struct Progressed {
    committed: Position,
    seen: Position,
}

impl Runner {
    pub(super) const fn new(
        definition: watch::Receiver<Definition>,
        surroundings: Surroundings,
        report: watch::Sender<Status>,
    ) -> Self {
        Self { definition, surroundings, report }
    }

    pub(super) async fn run(mut self) {
        let Some(mut at) = self.resume().await else { return };
        let batch = self.surroundings.settings.batch.max(1);
        let mut most = batch;
        let mut code = self.definition.borrow().projection.deployed.digest();
        // How many events a step takes. It is halved after a failure, which finds the event that is to blame as well as
        // the number that fits the guest's deadline, and goes up again when the projection has caught up.
        let mut size = most;
        let mut pause_ms = FIRST_PAUSE_MS;
        // Whoever starts a projection holds the definition's sender, and drops it to end the loop.
        while self.definition.has_changed().is_ok() {
            let definition = self.definition.borrow_and_update().clone();
            let digest = definition.projection.deployed.digest();
            if code != digest {
                // What other code has asked for, or has not stood, says nothing of this one.
                (code, size, most) = (digest, batch, batch);
            }
            match self.step(&definition, &mut at, size).await {
                Ok(true) => pause_ms = FIRST_PAUSE_MS,
                Ok(false) => {
                    (size, pause_ms) = (most, FIRST_PAUSE_MS);
                    self.wait_for_events(at.seen).await;
                }
                Err(Failure::Guest(_)) if size > 1 => size /= 2,
                Err(Failure::OneByOne) => (size, most) = (1, 1),
                Err(failure) => {
                    self.trouble(&definition, at.seen, failure);
                    self.wait_for_news(pause_ms).await;
                    pause_ms = (pause_ms * 2).min(self.surroundings.settings.projection_retry_ms);
                }
            }
        }
        self.commit_seen(&at).await;
    }

    /// Finds out where to begin.
    async fn resume(&mut self) -> Option<Progressed> {
        let mut pause_ms = FIRST_PAUSE_MS;
        while self.definition.has_changed().is_ok() {
            let definition = self.definition.borrow().clone();
            match self.surroundings.reads.checkpoint(&definition.projection.key).await {
                Ok(position) => {
                    self.reached(position);
                    return Some(Progressed { committed: position, seen: position });
                }
                Err(error) => {
                    self.trouble(&definition, Position::ZERO, Failure::Database(error));
                    self.wait_for_news(pause_ms).await;
                    pause_ms = (pause_ms * 2).min(self.surroundings.settings.projection_retry_ms);
                }
            }
        }
        None
    }

    /// Takes one step. Returns whether there was anything to do.
    async fn step(&self, definition: &Definition, at: &mut Progressed, size: u32) -> Result<bool, Failure> {
        let events = self.surroundings.events.read_log(at.seen, size).await?;
        let Some(last) = events.last().map(|event| event.position) else { return Ok(false) };
        let projection = &definition.projection;
        let relevant: Vec<_> = events.into_iter().filter(|event| projection.listens_to(event)).collect();
        if relevant.is_empty() {
            at.seen = last;
            if last.get() - at.committed.get() >= UNCOMMITTED {
                self.commit(definition, at, Vec::new()).await?;
            }
            self.reached(at.seen);
            return Ok(true);
        }
        let mut tenants: BTreeMap<TenantId, Vec<RecordedEvent>> = BTreeMap::new();
        for event in relevant {
            tenants.entry(event.tenant.clone()).or_default().push(event);
        }
        let mut written: Written = projection.models.iter().map(|model| (model.clone(), Vec::new())).collect();
        for (tenant, events) in tenants {
            let of_tenant = self.project(definition, &tenant, events).await?;
            for ((_, all), (_, writes)) in written.iter_mut().zip(of_tenant) {
                all.extend(writes.into_iter().map(|write| (tenant.clone(), write)));
            }
        }
        let before = at.seen;
        at.seen = last;
        if let Err(error) = self.commit(definition, at, written).await {
            at.seen = before;
            return Err(error.into());
        }
        self.reached(at.seen);
        Ok(true)
    }

    /// Shows a tenant's events to the guest.
    async fn project(
        &self,
        definition: &Definition,
        tenant: &TenantId,
        events: Vec<RecordedEvent>,
    ) -> Result<Vec<(Arc<Model>, Vec<Write>)>, Failure> {
        let alone = events.len() == 1;
        let events = bring_up_to_date(definition, events)?;
        let mut keys: Vec<String> = events.iter().map(|event| event.stream.id().to_owned()).collect();
        keys.sort();
        keys.dedup();
        let mut overlay =
            Overlay::new(&definition.projection.models, tenant.clone(), self.surroundings.reads.clone(), alone);
        overlay.prefetch(&keys).await?;
        let (plugin, tenant) = (definition.projection.deployed.plugin.clone(), tenant.clone());
        let name = definition.projection.manifest.name.to_string();
        // The guest may compute for seconds, and may read the database on the way: that is no work for a thread that
        // serves others.
        let called = tokio::task::spawn_blocking(move || plugin.project(&tenant, &name, &events, overlay)).await;
        let (overlay, outcome) = called.map_err(|error| Failure::Guest(error.to_string()))?;
        match outcome {
            Ok(()) => Ok(overlay.finish()),
            Err(_) if overlay.wants_single_events() => Err(Failure::OneByOne),
            Err(fault) if fault.is_host() => {
                let reason = fault.source.as_deref().map_or_else(|| fault.to_string(), ToString::to_string);
                Err(Failure::Database(yado_store::Error::Unavailable(reason)))
            }
            Err(fault) => Err(Failure::Guest(fault.to_string())),
        }
    }

    async fn commit(&self, definition: &Definition, at: &mut Progressed, written: Written) -> yado_store::Result<()> {
        let progress = Progress { projection: &definition.projection.key, from: at.committed, to: at.seen };
        let writes: Vec<_> = written
            .iter()
            .filter(|(_, writes)| !writes.is_empty())
            .map(|(model, writes)| TableWrites { table: &model.table, writes: writes.clone() })
            .collect();
        match self.surroundings.reads.commit(&progress, &writes).await? {
            Committed::Yes => at.committed = at.seen,
            Committed::Elsewhere(position) => {
                tracing::debug!(projection = %progress.projection, %position, "another process has done this step");
                (at.committed, at.seen) = (position, position);
            }
        }
        Ok(())
    }

    /// Keeps what was only seen, so that the next start need not see it again.
    async fn commit_seen(&self, at: &Progressed) {
        if at.seen > at.committed {
            let key = self.definition.borrow().projection.key.clone();
            let progress = Progress { projection: &key, from: at.committed, to: at.seen };
            if let Err(error) = self.surroundings.reads.commit(&progress, &[]).await {
                tracing::debug!(projection = %key, %error, "the progress was not kept; it will be made again");
            }
        }
    }

    fn reached(&self, position: Position) {
        self.report.send_if_modified(|status| {
            let changed = status.position != position || status.trouble.is_some();
            if status.trouble.take().is_some() {
                tracing::info!(projection = status.name, %position, "a projection gets on again");
            }
            status.position = position;
            changed
        });
    }

    fn trouble(&self, definition: &Definition, seen: Position, failure: Failure) {
        let trouble = match failure {
            Failure::Guest(reason) => Trouble::Poisoned { at: seen.plus(1), reason },
            // The loop answers this by itself.
            Failure::OneByOne => return,
            Failure::Database(error) => Trouble::Database(error.to_string()),
        };
        self.report.send_if_modified(|status| {
            if status.trouble.as_ref() == Some(&trouble) {
                return false;
            }
            let plugin = &definition.projection.deployed.manifest().name;
            tracing::error!(projection = status.name, plugin, %trouble, "a projection does not get on");
            status.trouble = Some(trouble);
            true
        });
    }

    /// Waits until the log has grown, as far as this process knows; looks for itself now and then.
    async fn wait_for_events(&mut self, seen: Position) {
        let poll = Duration::from_millis(self.surroundings.settings.poll_ms);
        let mut head = self.surroundings.head.clone();
        tokio::select! {
            // Without news, because the lane has ended, there is still the clock.
            Ok(_) = head.wait_for(|head| *head > seen) => {}
            _ = self.definition.changed() => {}
            () = tokio::time::sleep(poll) => {}
        }
    }

    /// Waits for other code, or for some time.
    async fn wait_for_news(&mut self, ms: u64) {
        tokio::select! {
            _ = self.definition.changed() => {}
            () = tokio::time::sleep(Duration::from_millis(ms)) => {}
        }
    }
}

/// Brings old events to the versions that are current, each by the code of its own aggregate.
fn bring_up_to_date(definition: &Definition, events: Vec<RecordedEvent>) -> Result<Vec<RecordedEvent>, Failure> {
    let mut brought = Vec::with_capacity(events.len());
    let mut events = events.into_iter().peekable();
    while let Some(first) = events.next() {
        let name = first.stream.aggregate().to_owned();
        let mut run = vec![first];
        while let Some(next) = events.next_if(|event| event.stream.aggregate() == name) {
            run.push(next);
        }
        let aggregate = Name::parse(&name).ok().and_then(|name| definition.catalogue.aggregate(&name));
        brought.extend(match aggregate {
            Some(aggregate) => upcast(aggregate, run).map_err(|error| Failure::Guest(error.to_string()))?,
            None => run,
        });
    }
    Ok(brought)
}
