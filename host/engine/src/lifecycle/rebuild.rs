//! Tables are made anew because an operator wants them to be: beside those that serve, which go on until the new ones show
//! as much.
//!
//! What is wanted is durable before anything is done about it: the epoch that is to come, and whether its filling pauses.
//! The new tables are other tables, with a checkpoint of their own. So a process that dies leaves behind what the next one
//! goes on with. A process that shares the database looks now and then at what is wanted, and joins in: whoever takes a step
//! first has taken it for all. When the tables show as much as those that serve, the epoch is noted, and every process puts
//! them in place for itself; those of before are kept for as long as it may take the others to look.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, PoisonError};

use yado_model::schema::Problem;
use yado_model::{Name, Position};
use yado_store::ProjectionState;

use super::deploy::{Fresh, Origin, Started};
use super::{Begun, Order, Owner};
use crate::catalogue::{Catalogue, Deployed, ProjectionType};
use crate::projection::{Definition, Handle, Running};
use crate::{Error, Result};

/// How often it is looked at what operators have decided, at most and at least.
const LOOKS_MS: (u64, u64) = (10, 10_000);

/// The pause before tables that are filled are tried to be put in place again.
const AGAIN_MS: u64 = 1_000;

/// What stands of projections, by plugin and name.
pub(super) type States = HashMap<(String, Name), ProjectionState>;

/// A projection that is filled anew.
pub(super) struct Rebuild {
    pub(super) projection: Arc<ProjectionType>,
    pub(super) running: Running,
}

impl Owner {
    /// What stands of the projections of plugins.
    pub(super) async fn states(&self, plugins: &[Arc<Deployed>]) -> yado_store::Result<States> {
        let mut states = States::new();
        for deployed in plugins {
            let manifest = deployed.manifest();
            for projection in &manifest.projections {
                let state = self.surroundings.reads.projection_state(&manifest.name, projection.name.as_str()).await?;
                states.insert((manifest.name.clone(), projection.name.clone()), state);
            }
        }
        Ok(states)
    }

    /// Begins to fill a projection's tables anew.
    pub(super) async fn rebuild(&mut self, name: &Name) -> Result<()> {
        let live = self.live.load_full();
        let projection = live.projection(name);
        let projection = projection.ok_or(Error::Unknown { kind: "projection", name: name.to_string() })?;
        let (plugin, reads) = (&projection.deployed.manifest().name, &self.surroundings.reads);
        let state = reads.projection_state(plugin, name.as_str()).await?;
        if state.pending.is_some() {
            return Err(refused(name, "is being rebuilt already"));
        }
        if state.paused {
            return Err(refused(name, "is paused: resume it first"));
        }
        // Tables that were given up half filled are never gone on with: what speaks against them is not known here.
        let epoch = state.epoch.max(state.begun).saturating_add(1);
        let to = ProjectionState { pending: Some(epoch), begun: epoch, ..state };
        if !reads.set_projection_state(plugin, name.as_str(), &state, &to).await? {
            return Err(refused(name, "was paused, resumed or rebuilt at the same moment: look at it first"));
        }
        if self.rebuilds.get(name).is_some_and(|rebuild| rebuild.projection.epoch != state.epoch) {
            self.leave(name).await;
        }
        if !self.rebuilds.contains_key(name)
            && let Err(error) = self.fill(projection, epoch, false).await
        {
            // It is noted what is wanted, and that is looked at before long.
            tracing::warn!(projection = %name, %error, "a projection that is to be filled anew can't be yet, and will be");
        }
        Ok(())
    }

    /// Sees to it that what has not begun yet does not begin. Returns whether there was anything.
    pub(super) fn forestall(&mut self, name: &Name) -> bool {
        let (forestalled, waiting): (VecDeque<_>, _) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|order| matches!(order, Order::Rebuild(waits, _) if waits == name));
        self.waiting = waiting;
        let any = !forestalled.is_empty();
        for order in forestalled {
            if let Order::Rebuild(name, reply) = order {
                let _ = reply.send(Err(refused(&name, "was cancelled before its rebuild began")));
            }
        }
        any
    }

    /// Gives up the filling of a projection's tables, for all processes. The tables that serve go on, and not even what was
    /// paused about the others stays so.
    pub(super) async fn cancel(&mut self, name: &Name) -> Result<()> {
        let live = self.live.load_full();
        let projection = live.projection(name);
        let projection = projection.ok_or(Error::Unknown { kind: "projection", name: name.to_string() })?;
        let (plugin, reads) = (&projection.deployed.manifest().name, &self.surroundings.reads);
        let state = reads.projection_state(plugin, name.as_str()).await?;
        if state.pending.is_none() {
            return Err(refused(name, "is not being rebuilt"));
        }
        let to = ProjectionState { pending: None, paused: false, ..state };
        if !reads.set_projection_state(plugin, name.as_str(), &state, &to).await? {
            return Err(refused(name, "was paused, resumed or put in place at the same moment: look at it first"));
        }
        tracing::info!(projection = %name, epoch = state.pending, "a projection is not filled anew any more");
        self.leave(name).await;
        Ok(())
    }

    /// Fills tables of an epoch beside those that serve.
    async fn fill(&mut self, projection: &ProjectionType, epoch: u32, paused: bool) -> Result<()> {
        let name = projection.manifest.name.clone();
        let (catalogue, next) = self.at(projection, epoch)?;
        if self.starting().contains_key(&next.key) {
            // New code is about to go live with these very tables.
            return Ok(());
        }
        let definition = Definition { projection: next.clone(), catalogue, parks: true };
        self.surroundings.make_tables(&next).await?;
        let head = self.surroundings.feed.look().await?;
        let running = Running::start(definition, self.surroundings.clone(), paused);
        self.tell_when_filled(&running, &name, epoch, head);
        self.starting().insert(next.key.clone(), Begun::new(running.handle(), true));
        tracing::info!(projection = %name, epoch, paused, "a projection is filled anew, beside the tables that serve");
        self.rebuilds.insert(name, Rebuild { projection: next, running });
        Ok(())
    }

    pub(super) fn tell_when_filled(&self, running: &Running, name: &Name, epoch: u32, head: Position) {
        let (mut status, wanted, orders) = (running.status(), running.wanted(), self.orders.clone());
        let name = name.clone();
        tokio::spawn(async move {
            let _waiting = wanted.wait_for(head);
            // Its end is nobody's news.
            let filled = status.wait_for(|status| status.shows(head)).await.is_ok();
            if let Some(orders) = orders.upgrade().filter(|_| filled) {
                let _ = orders.send(Order::Filled(name, epoch)).await;
            }
        });
    }

    /// Puts tables in place that are filled, if they show as much as those that serve.
    pub(super) async fn filled(&mut self, name: &Name, epoch: u32) {
        let Some(rebuild) = self.rebuilds.get(name).filter(|rebuild| rebuild.projection.epoch == epoch) else { return };
        if let Some(until) = self.behind(&rebuild.projection, &rebuild.running).await {
            self.tell_when_filled(&rebuild.running, name, epoch, until);
            return;
        }
        if let Err(error) = self.put_in_place(name, epoch).await {
            tracing::warn!(projection = %name, %error, "tables that are filled can't be put in place yet");
            self.after(AGAIN_MS, Order::Filled(name.clone(), epoch));
        }
    }

    async fn put_in_place(&mut self, name: &Name, epoch: u32) -> Result<()> {
        let live = self.live.load_full();
        let Some(projection) = live.projection(name) else { return Ok(()) };
        let (next, _) = self.at(projection, epoch)?;
        let unfit = |reason| Error::Unavailable { reason, retry_after_ms: AGAIN_MS };
        let installs = self.surfaces.iter().map(|surface| surface.prepare(&next));
        let installs = installs.collect::<std::result::Result<Vec<_>, _>>().map_err(unfit)?;
        let (plugin, reads) = (&projection.deployed.manifest().name, &self.surroundings.reads);
        let state = reads.projection_state(plugin, name.as_str()).await?;
        let done = ProjectionState { epoch, pending: None, paused: false, ..state };
        let is_pending = state.pending == Some(epoch);
        if !is_pending && state.epoch != epoch {
            // Another process has found that they are of no use any more.
            self.leave(name).await;
            return Ok(());
        }
        if is_pending && (self.is_replaced(name) || !self.is_whole(name, projection).await?) {
            self.after(AGAIN_MS, Order::Filled(name.clone(), epoch));
            return Ok(());
        }
        if is_pending && !reads.set_projection_state(plugin, name.as_str(), &state, &done).await? {
            return Err(unfit("an operator has decided something about it at the same moment".into()));
        }
        if let Some(Rebuild { projection, running }) = self.rebuilds.remove(name) {
            // To note it took a moment, in which the old tables went on. From here on there is no way back: where it can't be
            // waited for, what is missing comes like any other news.
            let _ = self.behind(&projection, &running).await;
            let fresh = Fresh { projection: projection.clone(), running, origin: Origin::Rebuild(projection.clone()) };
            self.swap(&live, next, Started::from([(projection.key.clone(), fresh)]));
            installs.into_iter().for_each(|install| install());
            tracing::info!(projection = %name, epoch, "a projection that was filled anew serves now");
        }
        Ok(())
    }

    /// Whether new code is filling tables of its own for a projection. What is filled for the code of before comes too late.
    pub(super) fn is_replaced(&self, name: &Name) -> bool {
        self.starting().values().any(|begun| !begun.rebuild && begun.handle.name() == name.as_str())
    }

    /// Whether tables that are filled show every stream that those show that serve. If they don't, their status says so.
    async fn is_whole(&self, name: &Name, predecessor: &ProjectionType) -> Result<bool> {
        let Some(Rebuild { projection, .. }) = self.rebuilds.get(name) else { return Ok(true) };
        let lacks = self.lacks(projection, predecessor).await?;
        let is_whole = lacks.is_none();
        if let Some(begun) = self.starting().get_mut(&projection.key)
            && begun.held != lacks
        {
            if let Some(reason) = &lacks {
                tracing::error!(projection = %name, reason, "tables that have been filled anew are not put in place");
            }
            begun.held = lacks;
        }
        Ok(is_whole)
    }

    /// New code fills on what old code has begun, where their tables are the same. Otherwise it has filled tables of its own.
    pub(super) async fn go_on_rebuilding(&mut self) {
        let live = self.live.load_full();
        let names: Vec<Name> = self.rebuilds.keys().cloned().collect();
        for name in names {
            let Some(Rebuild { projection, running }) = self.rebuilds.get(&name) else { continue };
            let next = live.projection(&name).and_then(|current| self.at(current, projection.epoch).ok());
            match next.filter(|(_, next)| next.key == projection.key) {
                Some((catalogue, projection)) => {
                    running.replace(Definition { projection, catalogue, parks: true });
                }
                None => self.give_up(&name).await,
            }
        }
    }

    /// Ends the filling of tables here. The last process that does so drops them.
    async fn leave(&mut self, name: &Name) -> Option<Arc<ProjectionType>> {
        let Rebuild { projection, running } = self.rebuilds.remove(name)?;
        self.starting().remove(&projection.key);
        running.stop().await;
        self.surroundings.changes.close(&projection.key);
        self.discard(&projection).await;
        Some(projection)
    }

    /// Ends the filling of tables for all, and drops them.
    async fn give_up(&mut self, name: &Name) {
        let Some(projection) = self.leave(name).await else { return };
        let (plugin, reads) = (&projection.deployed.manifest().name, &self.surroundings.reads);
        let forgotten = async {
            let state = reads.projection_state(plugin, name.as_str()).await?;
            let to = ProjectionState { pending: None, paused: false, ..state };
            let is_pending = state.pending == Some(projection.epoch);
            if is_pending { reads.set_projection_state(plugin, name.as_str(), &state, &to).await } else { Ok(true) }
        };
        let forgotten: yado_store::Result<bool> = forgotten.await;
        tracing::info!(projection = %name, ?forgotten, "new code has filled other tables: the ones that were being filled are dropped");
    }

    /// Takes a rebuild over that has these tables.
    pub(super) fn take_rebuild(&mut self, key: &str) -> Option<Rebuild> {
        let name = self.rebuilds.iter().find(|(_, rebuild)| *rebuild.projection.key == *key)?.0.clone();
        self.rebuilds.remove(&name)
    }

    pub(super) fn look_later(&self) {
        let (shortest, longest) = LOOKS_MS;
        // What others have replaced is there for `retire_ms`.
        self.after((self.surroundings.settings.retire_ms / 4).clamp(shortest, longest), Order::Look);
    }

    /// Looks at what operators have decided, here or in another process.
    pub(super) async fn look(&mut self) {
        let live = self.live.load_full();
        if let Some(states) = self.look_at(&live.plugins().cloned().collect::<Vec<_>>()).await {
            self.drop_unused(&states).await;
        }
        self.look_at_tables();
        self.look_later();
    }

    /// Has all projections look whether their tables are there still.
    fn look_at_tables(&self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .for_each(|running| running.handle().look());
        self.starting().values().for_each(|begun| begun.handle.look());
    }

    /// Looks at what operators have decided about the projections of plugins. Returns what stands of them, if that is known.
    pub(super) async fn look_at(&mut self, plugins: &[Arc<Deployed>]) -> Option<States> {
        match self.states(plugins).await {
            Ok(states) => {
                for (of, state) in &states {
                    self.heed(of, *state).await;
                }
                Some(states)
            }
            // It is looked at again before long.
            Err(error) => {
                tracing::debug!(%error, "what operators have decided could not be read");
                None
            }
        }
    }

    /// Does what an operator has decided about a projection.
    async fn heed(&mut self, (_, name): &(String, Name), state: ProjectionState) {
        let live = self.live.load_full();
        let Some(projection) = live.projection(name) else { return };
        let is_wanted = |epoch| state.pending == Some(epoch) || state.epoch == epoch;
        if self.rebuilds.get(name).is_some_and(|rebuild| !is_wanted(rebuild.projection.epoch)) {
            // Another process has given it up.
            self.leave(name).await;
        }
        // What an operator has decided is for the tables that are filled while there are any, and else for those that serve.
        let pauses = |pending: bool| state.paused && state.pending.is_some() == pending;
        let epoch = state.pending.unwrap_or(state.epoch);
        if epoch != projection.epoch
            && !self.rebuilds.contains_key(name)
            && let Err(error) = self.fill(projection, epoch, pauses(true)).await
        {
            tracing::warn!(projection = %name, epoch, %error, "a projection can't be filled anew yet");
        }
        if let Some(Rebuild { projection, running }) = self.rebuilds.get(name) {
            running.handle().heed(pauses(true) && state.pending == Some(projection.epoch));
        }
        if let Some(handle) = self.live_handle(&projection.key) {
            handle.heed(pauses(false));
        }
    }

    fn live_handle(&self, key: &str) -> Option<Handle> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).get(key).map(Running::handle)
    }

    /// The live catalogue with tables of an epoch, and the projection that fills those.
    pub(super) fn at(&self, projection: &ProjectionType, epoch: u32) -> Result<(Arc<Catalogue>, Arc<ProjectionType>)> {
        let name = &projection.manifest.name;
        let of = (projection.deployed.manifest().name.clone(), name.clone());
        let catalogue = self.live.load().at([(of, epoch)]);
        let catalogue =
            catalogue.map_err(|clash| Error::Unavailable { reason: clash.to_string(), retry_after_ms: AGAIN_MS })?;
        let next = catalogue.projection(name).cloned();
        let next = next.ok_or(Error::Unknown { kind: "projection", name: name.to_string() })?;
        Ok((Arc::new(catalogue), next))
    }
}

fn refused(name: &Name, message: &str) -> Error {
    let problems = vec![Problem { path: Vec::new(), message: message.to_owned() }];
    Error::BadInput { what: format!("projection {name}"), problems }
}
