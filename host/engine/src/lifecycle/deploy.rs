//! One deployment, step by step.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use yado_model::{Digest, Position, Timestamp};
use yado_runtime::Plugin;
use yado_store::{EventKind, PluginRecord};

use super::compatible::can_follow;
use super::filling::Filling;
use super::rebuild::{Rebuild, States};
use super::{Begun, Deployment, Order, Owner, Refusal, Retiring, Verdict, readable};
use crate::advice;
use crate::catalogue::{Catalogue, Deployed, Model, ProjectionType};
use crate::projection::{Definition, Running, Surroundings};

/// How often a deployment is prepared anew because tables were put in place meanwhile that it has not reckoned with.
const ATTEMPTS: usize = 8;

/// Projections that have been started for a catalogue that is not live yet.
pub(super) type Started = HashMap<Arc<str>, Fresh>;

pub(super) struct Fresh {
    pub(super) projection: Arc<ProjectionType>,
    pub(super) running: Running,
    pub(super) origin: Origin,
}

/// Where a projection comes from that is to go live. One that does not go live goes back there.
pub(super) enum Origin {
    /// It has been started for this.
    New {
        /// Whether its tables were begun for this as well.
        tables: bool,
    },
    /// It was on its way out, with this code.
    Retiring(Arc<ProjectionType>),
    /// It was being filled anew, with this code. Its tables may serve another process already.
    Rebuild(Arc<ProjectionType>),
}

impl Owner {
    /// Deploys plugins. They go live one by one where they can, and together where they need one another.
    pub(super) async fn deploy(&mut self, components: Vec<Vec<u8>>) -> Vec<Result<Deployment, Refusal>> {
        self.verdicts.clear();
        let mut answers: Vec<Option<Result<Deployment, Refusal>>> = Vec::new();
        let mut waiting = Vec::new();
        for (at, component) in components.into_iter().enumerate() {
            match self.load(component).await {
                Ok(deployed) => {
                    waiting.push((at, deployed));
                    answers.push(None);
                }
                Err(refusal) => answers.push(Some(Err(refusal))),
            }
        }
        // A plugin that needs another one waits until that one is there. When none gets on alone, they are tried
        // together; when that fails too, each is told what it lacks.
        loop {
            let before = waiting.len();
            for (at, deployed) in std::mem::take(&mut waiting) {
                match self.go_live(vec![deployed.clone()]).await {
                    Ok(mut deployments) => answers[at] = deployments.pop().map(Ok),
                    Err(refusal) => {
                        // What an operator has given up is not begun again, nor is what no other plugin can help.
                        if !matches!(refusal, Refusal::GivenUp(_) | Refusal::Unavailable(_)) {
                            waiting.push((at, deployed));
                        }
                        answers[at] = Some(Err(refusal));
                    }
                }
            }
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        if waiting.len() > 1 {
            match self.go_live(waiting.iter().map(|(_, deployed)| deployed.clone()).collect()).await {
                Ok(deployments) => {
                    for ((at, _), deployment) in waiting.into_iter().zip(deployments) {
                        answers[at] = Some(Ok(deployment));
                    }
                }
                Err(Refusal::GivenUp(projection)) => {
                    for (at, _) in waiting {
                        answers[at] = Some(Err(Refusal::GivenUp(projection.clone())));
                    }
                }
                Err(_) => {}
            }
        }
        let unanswered = || Err(Refusal::Unavailable("the deployment came to nothing".into()));
        answers.into_iter().map(|answer| answer.unwrap_or_else(unanswered)).collect()
    }

    /// Loads and registers the code.
    async fn load(&self, component: Vec<u8>) -> Result<Arc<Deployed>, Refusal> {
        let digest = Digest::of(&component);
        let live = self.live.load();
        if let Some(same) = live.plugins().find(|deployed| deployed.digest() == digest) {
            return Ok(same.clone());
        }
        let runtime = self.runtime.clone();
        // Compiling takes as long as it takes.
        let plugin: Plugin = tokio::task::spawn_blocking(move || runtime.load(&component))
            .await
            .map_err(|error| Refusal::Unavailable(error.to_string()))??;
        let record = PluginRecord {
            name: plugin.manifest().name.clone(),
            version: plugin.manifest().version.clone(),
            digest: plugin.digest(),
            registered_at: Timestamp::now(),
        };
        let version = self.surroundings.events.register_plugin(&record).await.map_err(unavailable)?;
        Ok(Arc::new(Deployed { plugin, version }))
    }

    /// Checks plugins against what runs, prepares all that they need, and puts them in place.
    async fn go_live(&mut self, plugins: Vec<Arc<Deployed>>) -> Result<Vec<Deployment>, Refusal> {
        for _ in 0..ATTEMPTS {
            if let Some(deployments) = self.try_to_go_live(&plugins).await? {
                return Ok(deployments);
            }
        }
        let reason = "tables of its projections were put in place meanwhile, again and again: deploy it once more";
        Err(Refusal::Unavailable(reason.into()))
    }

    /// The same. None, if tables have been put in place on the way that were not reckoned with.
    async fn try_to_go_live(&mut self, plugins: &[Arc<Deployed>]) -> Result<Option<Vec<Deployment>>, Refusal> {
        let live = self.live.load_full();
        let mut deployments = Vec::new();
        for deployed in plugins {
            let manifest = deployed.manifest();
            let previous = live.plugin(&manifest.name);
            if let Some(previous) = previous {
                can_follow(previous.manifest(), manifest).map_err(Refusal::Incompatible)?;
            }
            deployments.push(Deployment {
                plugin: manifest.name.clone(),
                version: manifest.version.clone(),
                digest: deployed.digest(),
                previous: previous.map(|previous| previous.digest()),
                advice: Vec::new(),
            });
        }
        if deployments.iter().all(Deployment::unchanged) {
            self.advise(&mut deployments).await;
            return Ok(Some(deployments));
        }
        let kinds = self.surroundings.events.event_kinds().await.map_err(unavailable)?;
        plugins.iter().try_for_each(|deployed| readable::knows(deployed.manifest(), &kinds))?;
        let states = self.states(plugins).await.map_err(unavailable)?;
        let epochs = states.iter().map(|(of, state)| (of.clone(), state.epoch));
        let next = live.at(epochs).and_then(|live| live.with(plugins.to_vec()));
        let next = next.map_err(|clash| Refusal::Incompatible(clash.to_string()))?;
        let next = Arc::new(next);
        let installs = self
            .surfaces
            .iter()
            .map(|surface| surface.prepare(&next))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Refusal::Incompatible)?;
        let begun = Instant::now();
        for deployed in plugins {
            self.stands(deployed, &next, &live, &kinds).await?;
        }
        let started = self.bring_up_to_date(&next, &states).await?;
        match self.still_fits(plugins, (&live, &next), kinds, &started, &states).await {
            Ok(true) => {}
            Ok(false) => {
                self.undo(started, None).await;
                return Ok(None);
            }
            Err(refusal) => {
                self.undo(started, Some(&refusal)).await;
                return Err(refusal);
            }
        }
        self.swap(&live, next, started);
        for install in installs {
            install();
        }
        self.go_on_rebuilding().await;
        self.look_at(plugins).await;
        self.advise(&mut deployments).await;
        for deployment in &deployments {
            tracing::info!(
                plugin = deployment.plugin, version = deployment.version, digest = %deployment.digest.short(),
                previous = deployment.previous.map(|digest| digest.short()), ms = begun.elapsed().as_millis() as u64,
                "a plugin has gone live"
            );
            for advice in &deployment.advice {
                tracing::info!(plugin = deployment.plugin, "{advice}");
            }
        }
        Ok(Some(deployments))
    }

    /// Whether what has been prepared can go live as it is. To fill read models may have taken long, and much may have
    /// happened meanwhile: events of new kinds, events that the old code shows already, and tables that another process has
    /// put in place, and whose predecessors it drops before long.
    async fn still_fits(
        &mut self,
        plugins: &[Arc<Deployed>],
        (live, next): (&Arc<Catalogue>, &Arc<Catalogue>),
        kinds: Vec<EventKind>,
        started: &Started,
        before: &States,
    ) -> Result<bool, Refusal> {
        self.still_reads(plugins, next, kinds).await?;
        self.draw_level(started).await?;
        let is_same = Arc::ptr_eq(live, &self.live.load_full());
        // A database that fails now keeps nobody from going live: what others have done is looked at again before long.
        let Ok(now) = self.states(plugins).await else { return Ok(is_same) };
        Ok(is_same && now.iter().all(|(of, state)| before.get(of).is_some_and(|before| before.epoch == state.epoch)))
    }

    /// Says of plugins that are live what they ask for and no index serves. Tables have been made by now, and with them
    /// whatever of the database indexes of searches need.
    async fn advise(&mut self, deployments: &mut [Deployment]) {
        let reads = self.surroundings.reads.clone();
        let searches_by_index = advice::searches_by_index(&*reads).await;
        let live = self.live.load();
        for deployment in deployments {
            deployment.advice = advice::of(&live, &deployment.plugin, searches_by_index);
        }
    }

    /// Tries code on the log. What was found is remembered for the length of a deployment, which may come back to a plugin
    /// that has to wait for others.
    async fn stands(
        &mut self,
        deployed: &Deployed,
        next: &Catalogue,
        live: &Catalogue,
        kinds: &[EventKind],
    ) -> Result<(), Refusal> {
        let digest = deployed.digest();
        let known = self.verdicts.iter().find(|verdict| verdict.digest == digest && verdict.kinds == kinds);
        if let Some(verdict) = known {
            return verdict.against.clone().map_or(Ok(()), |reason| Err(Refusal::History(reason)));
        }
        let outcome = readable::stands(&self.trial(next, live), deployed.manifest(), kinds).await;
        let against = match &outcome {
            Ok(()) => None,
            Err(Refusal::History(reason)) => Some(reason.clone()),
            Err(_) => return outcome,
        };
        self.verdicts.push(Verdict { digest, kinds: kinds.to_vec(), against });
        outcome
    }

    fn trial<'a>(&'a self, next: &'a Catalogue, live: &'a Catalogue) -> readable::Trial<'a> {
        let Surroundings { events, stopped, .. } = &self.surroundings;
        readable::Trial { events, next, live, stopped: stopped.clone() }
    }

    /// Holds the code against kinds of events that have been recorded for the first time since it was held against the log.
    /// To fill read models may have taken long, and what runs went on meanwhile, on other nodes perhaps as newer code. What
    /// is left is the moment between the last look and the swap.
    async fn still_reads(
        &self,
        plugins: &[Arc<Deployed>],
        next: &Arc<Catalogue>,
        mut known: Vec<EventKind>,
    ) -> Result<(), Refusal> {
        loop {
            let mut kinds = self.surroundings.events.event_kinds().await.map_err(unavailable)?;
            kinds.retain(|kind| !known.contains(kind));
            if kinds.is_empty() {
                return Ok(());
            }
            for deployed in plugins {
                readable::knows(deployed.manifest(), &kinds)?;
                readable::stands(&self.trial(next, &self.live.load()), deployed.manifest(), &kinds).await?;
            }
            known.append(&mut kinds);
        }
    }

    /// Starts the projections that are new, all at once, and waits until they show what has happened so far. Those of the
    /// old code go on meanwhile. When one can't, nothing is left of those that were started.
    async fn bring_up_to_date(&mut self, next: &Arc<Catalogue>, states: &States) -> Result<Started, Refusal> {
        let (mut started, mut filling) = (Started::new(), Vec::new());
        for projection in next.projections() {
            let known = self.running.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&projection.key);
            if known {
                if let Err(refusal) = self.index_anew(projection).await {
                    self.undo(started, None).await;
                    return Err(refusal);
                }
                continue;
            }
            match self.begin(next, projection, states, &mut started).await {
                Ok(begun) => filling.push(begun),
                Err(refusal) => {
                    self.undo(started, None).await;
                    return Err(refusal);
                }
            }
        }
        let mut filled = self.fill_all(filling).await;
        if filled.is_ok() {
            filled = self.draw_level(&started).await;
        }
        if let Err(refusal) = filled {
            self.undo(started, Some(&refusal)).await;
            return Err(refusal);
        }
        Ok(started)
    }

    /// Gives tables that stay the indexes that they lack.
    async fn index_anew(&self, projection: &ProjectionType) -> Result<(), Refusal> {
        let live = self.live.load();
        for model in &projection.models {
            if live.model(&model.manifest.name).is_none_or(|live| live.table != model.table) {
                self.surroundings.reads.ensure_table(&model.table).await.map_err(unavailable)?;
            }
        }
        Ok(())
    }

    async fn begin(
        &mut self,
        next: &Arc<Catalogue>,
        projection: &Arc<ProjectionType>,
        states: &States,
        started: &mut Started,
    ) -> Result<Filling, Refusal> {
        // Where no older code can serve in its place, a plugin whose read models lag is better than none. Health tells of
        // the trouble, and the loop goes on trying. A database that fails is waited for where there is older code.
        let first = self.live.load().plugin(&projection.deployed.manifest().name).is_none();
        let definition = Definition { projection: projection.clone(), catalogue: next.clone(), parks: first };
        // One that has been replaced and still runs, for requests that began before, is taken back as it is; and one that
        // another process has been faster to fill anew.
        let retiring = self.retiring.remove(&projection.key);
        let taken = match retiring {
            Some(Retiring { projection, running, .. }) => Some((running, Origin::Retiring(projection))),
            None => self
                .take_rebuild(&projection.key)
                .map(|Rebuild { projection, running }| (running, Origin::Rebuild(projection))),
        };
        let (running, origin) = match taken {
            Some((running, origin)) => {
                running.replace(definition);
                // It has to be filled before it can go live, also where an operator wants it to stand still: it does so
                // again as soon as it is live.
                let limit = Duration::from_millis(self.surroundings.settings.command_ms);
                let _ = tokio::time::timeout(limit, running.handle().pause(false)).await;
                (running, origin)
            }
            None => {
                let checkpoint = self.surroundings.reads.checkpoint(&projection.key).await.map_err(unavailable)?;
                self.surroundings.make_tables(projection).await.map_err(unavailable)?;
                let of = (projection.deployed.manifest().name.clone(), projection.manifest.name.clone());
                let paused = first && states.get(&of).is_some_and(|state| state.paused && state.pending.is_none());
                let origin = Origin::New { tables: checkpoint.position == Position::ZERO };
                (Running::start(definition, self.surroundings.clone(), paused), origin)
            }
        };
        self.starting().insert(projection.key.clone(), Begun::new(running.handle(), false));
        // The log may grow for as long as the projection reads. Where it replaces another one, the two are held against each
        // other in the end; where not, what comes after this moment is like any other news.
        let head = self.surroundings.feed.look().await;
        let filling = head.map(|head| Filling::begin(projection, &running, head, first)).map_err(unavailable);
        started.insert(projection.key.clone(), Fresh { projection: projection.clone(), running, origin });
        filling
    }

    /// Ends projections that were started for a catalogue that does not go live; others go back to where they came from, and
    /// on with the code that they had. What code has written that fails on the history must not be built upon by code that
    /// does not, and what was begun for code that was given up is of no use.
    async fn undo(&mut self, started: Started, why: Option<&Refusal>) {
        let mut ends = Vec::new();
        for (key, Fresh { projection, running, origin }) in started {
            self.starting().remove(&key);
            let again = |before: &Arc<ProjectionType>| Definition {
                projection: before.clone(),
                catalogue: self.live.load_full(),
                parks: true,
            };
            match origin {
                Origin::New { tables } => ends.push(async move {
                    running.stop().await;
                    (key, projection, tables)
                }),
                Origin::Retiring(before) => {
                    running.replace(again(&before));
                    self.retire(key, before, running);
                }
                Origin::Rebuild(before) => {
                    running.replace(again(&before));
                    self.starting().insert(key, Begun::new(running.handle(), true));
                    // It may have been filled meanwhile, when there was nobody to tell.
                    let head = *self.surroundings.feed.head().borrow();
                    self.tell_when_filled(&running, &before.manifest.name, before.epoch, head);
                    self.rebuilds.insert(before.manifest.name.clone(), Rebuild { projection: before, running });
                }
            }
        }
        // Each may wait for what it has on its way to a database that does not answer.
        for (key, projection, tables) in join_all(ends).await {
            self.surroundings.changes.close(&key);
            let is_spoilt = match why {
                Some(Refusal::History(_)) => true,
                Some(Refusal::GivenUp(_)) => tables,
                _ => false,
            };
            if is_spoilt {
                self.discard(&projection).await;
            }
        }
    }

    /// The step itself. Nothing in it can fail.
    pub(super) fn swap(&mut self, live: &Arc<Catalogue>, next: Arc<Catalogue>, started: Started) {
        let mut replaced = Vec::new();
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, fresh) in started {
                self.starting().remove(&key);
                self.queries.follow(&key, fresh.running.status(), fresh.running.wanted());
                running.insert(key, fresh.running);
            }
            for projection in next.projections() {
                if let Some(running) = running.get(&projection.key) {
                    let (projection, catalogue) = (projection.clone(), next.clone());
                    running.replace(Definition { projection, catalogue, parks: true });
                }
            }
            self.live.store(next.clone());
            self.surroundings.changes.go_live(&next);
            let still = |key: &str| next.projections().any(|projection| *projection.key == *key);
            for projection in live.projections().filter(|projection| !still(&projection.key)) {
                if let Some(running) = running.remove(&projection.key) {
                    replaced.push((projection.clone(), running));
                }
            }
        }
        for (projection, running) in replaced {
            self.retire(projection.key.clone(), projection, running);
        }
        let stays = |model: &Arc<Model>| live.model(&model.manifest.name).is_some_and(|live| live.table == model.table);
        for projection in next.projections().filter(|projection| !projection.models.iter().all(stays)) {
            self.later(Order::Prune(projection.key.clone()));
            self.index_searches(projection.clone());
        }
    }

    /// Makes searches quick in tables that have been filled. Nobody waits for it.
    fn index_searches(&self, projection: Arc<ProjectionType>) {
        let reads = self.surroundings.reads.clone();
        tokio::spawn(async move {
            for model in &projection.models {
                if let Err(error) = reads.index_search(&model.table).await {
                    tracing::warn!(
                        table = model.table.name, %error,
                        "the index for searches could not be made; they are slower until the next deployment or start"
                    );
                }
            }
        });
    }

    pub(super) fn starting(&self) -> MutexGuard<'_, HashMap<Arc<str>, Begun>> {
        self.starting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a projection that has been replaced go on for as long as requests may still read what it shows. It may come
    /// back in that time.
    fn retire(&mut self, key: Arc<str>, projection: Arc<ProjectionType>, running: Running) {
        self.retirements += 1;
        let number = self.retirements;
        self.retiring.insert(key.clone(), Retiring { projection, running, number });
        self.later(Order::Retire(key, number));
    }

    /// Comes back to something when the requests have ended that began with the code of before.
    fn later(&self, order: Order) {
        self.after(self.surroundings.settings.retire_ms, order);
    }

    /// Comes back to something after a while.
    pub(super) fn after(&self, ms: u64, order: Order) {
        let orders = self.orders.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            if let Some(orders) = orders.upgrade() {
                // A closed channel means that everything ends anyway.
                let _ = orders.send(order).await;
            }
        });
    }

    /// Drops the indexes that only code of before has wanted. Where another node still runs that code, it is slower until it
    /// follows.
    pub(super) async fn prune(&self, key: &str) {
        let live = self.live.load_full();
        let projection = live.projections().find(|projection| *projection.key == *key);
        for model in projection.into_iter().flat_map(|projection| &projection.models) {
            if let Err(error) = self.surroundings.reads.prune_indexes(&model.table).await {
                tracing::warn!(table = model.table.name, %error, "indexes that nobody wants any more could not be dropped");
            }
        }
    }

    /// Ends a projection whose time has come, and removes what it shows, unless it has come back meanwhile.
    pub(super) async fn retired(&mut self, key: &str, number: u64) {
        if self.retiring.get(key).is_none_or(|retiring| retiring.number != number) {
            return;
        }
        if let Some(Retiring { projection, running, .. }) = self.retiring.remove(key) {
            let serves = self.running.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key);
            let is_needed = serves
                || self.starting().contains_key(key)
                || self.rebuilds.values().any(|rebuild| *rebuild.projection.key == *key);
            running.stop().await;
            if is_needed {
                tracing::warn!(projection = key, "a projection that has been replaced is needed: its tables stay");
                return;
            }
            self.surroundings.changes.close(key);
            self.queries.forget(key);
            self.discard(&projection).await;
        }
    }
}

fn unavailable(error: yado_store::Error) -> Refusal {
    Refusal::Unavailable(error.to_string())
}
