//! The lifecycle of plugins: from a file to code that serves.
//!
//! A loop owns what is deployed, and takes one deployment after the other. New code goes live when it has been loaded,
//! fits with everything else that runs, can read what the log has of its aggregates, has an API that can be served, and has
//! brought its read models up to date. Then aggregates, read models and API change in one step. Until that step, and if any
//! of it fails, the old code serves.

mod compatible;
mod deploy;
mod filling;
mod level;
mod narrower;
mod readable;
mod rebuild;
mod unused;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use yado_model::{Digest, Name};
use yado_runtime::Runtime;
use yado_store::EventKind;

use crate::catalogue::ProjectionType;
use crate::projection::{Handle, Running, Stage, Status, Surroundings, Trouble};
use crate::reads::QueryBus;
use crate::{Advice, Catalogue, Error, Surface};
use rebuild::Rebuild;
use unused::Unused;

/// Deployments that may wait for their turn.
const QUEUE: usize = 64;

/// A plugin has gone live, or was live already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its name.
    pub plugin: String,
    /// Its version, for people.
    pub version: String,
    /// What it is recognised by.
    pub digest: Digest,
    /// What it took the place of.
    pub previous: Option<Digest>,
    /// What it asks of read models that no index serves.
    pub advice: Vec<Advice>,
}

impl Deployment {
    /// Whether the very same code was live already.
    #[must_use]
    pub fn unchanged(&self) -> bool {
        self.previous == Some(self.digest)
    }
}

/// Why a plugin did not go live. Whatever was live before still is.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is no plugin, or not one for this host.
    #[error(transparent)]
    Unfit(#[from] yado_runtime::Refused),
    /// It does not fit with what else runs, or with what has been recorded.
    #[error("{0}")]
    Incompatible(String),
    /// It fails at events of the log: it can't bring them up to date, or its read models can't show them.
    #[error("the plugin can't cope with what has happened so far: {0}")]
    History(String),
    /// An operator has given it up, while it filled this projection.
    #[error("an operator has given it up while projection {0} was filled: deploy it again to have that begin anew")]
    GivenUp(Name),
    /// The host could not do its part.
    #[error("the host could not deploy it at present: {0}")]
    Unavailable(String),
}

/// What the loop is asked.
enum Order {
    Deploy(Vec<Vec<u8>>, oneshot::Sender<Vec<Result<Deployment, Refusal>>>),
    Surface(Arc<dyn Surface>, oneshot::Sender<Result<(), String>>),
    Retire(Arc<str>, u64),
    Prune(Arc<str>),
    Rebuild(Name, oneshot::Sender<Result<(), Error>>),
    Cancel(Name, oneshot::Sender<Result<(), Error>>),
    /// The tables of a projection are filled that are to be of this epoch.
    Filled(Name, u32),
    /// To look at what operators have decided, here or elsewhere.
    Look,
    Stop(oneshot::Sender<()>),
}

/// A handle to the loop.
#[derive(Clone)]
pub(crate) struct Lifecycle {
    orders: mpsc::Sender<Order>,
    live: Arc<ArcSwap<Catalogue>>,
    running: Projections,
    starting: Starting,
    stopped: watch::Receiver<bool>,
}

/// The projections that run, by the name under which their progress is kept.
type Projections = Arc<Mutex<HashMap<Arc<str>, Running>>>;

/// Those that have been started for what is not live yet, by the same name.
type Starting = Arc<Mutex<HashMap<Arc<str>, Begun>>>;

/// A projection that has been started for what is not live yet.
struct Begun {
    handle: Handle,
    /// Whether it is filled because an operator wants it to be, and not for new code.
    rebuild: bool,
    /// Why it does not go live although it is filled.
    held: Option<String>,
}

/// What the loop owns.
struct Owner {
    /// For orders that come due later.
    orders: mpsc::WeakSender<Order>,
    received: mpsc::Receiver<Order>,
    /// Orders that came while something else was waited for, and that take their turn.
    waiting: VecDeque<Order>,
    runtime: Runtime,
    surroundings: Surroundings,
    queries: QueryBus,
    live: Arc<ArcSwap<Catalogue>>,
    running: Projections,
    starting: Starting,
    surfaces: Vec<Arc<dyn Surface>>,
    /// How code has stood the log, in this deployment.
    verdicts: Vec<Verdict>,
    /// Projections that have been replaced, and run on for requests that began before.
    retiring: HashMap<Arc<str>, Retiring>,
    /// How many there have been.
    retirements: u64,
    /// Projections that are filled anew beside the same code, by their names.
    rebuilds: HashMap<Name, Rebuild>,
    /// Tables that are not used any more.
    unused: Unused,
}

/// How code has stood the log.
struct Verdict {
    digest: Digest,
    /// The kinds of events that the log had.
    kinds: Vec<EventKind>,
    /// What speaks against it.
    against: Option<String>,
}

/// A projection on its way out.
struct Retiring {
    projection: Arc<ProjectionType>,
    running: Running,
    /// Which retirement it is: it may come back, and be replaced again.
    number: u64,
}

impl Lifecycle {
    /// Starts the loop, with nothing deployed.
    pub(crate) fn start(runtime: Runtime, surroundings: Surroundings, queries: QueryBus) -> Self {
        let (orders, received) = mpsc::channel(QUEUE);
        let live = Arc::new(ArcSwap::from_pointee(Catalogue::default()));
        let (running, starting) = (Projections::default(), Starting::default());
        let (vigil, stopped) = (surroundings.vigil.clone(), surroundings.stopped.clone());
        let owner = Owner {
            orders: orders.downgrade(),
            received,
            waiting: VecDeque::new(),
            runtime,
            surroundings,
            queries,
            live: live.clone(),
            running: running.clone(),
            starting: starting.clone(),
            surfaces: Vec::new(),
            verdicts: Vec::new(),
            retiring: HashMap::new(),
            retirements: 0,
            rebuilds: HashMap::new(),
            unused: Unused::default(),
        };
        tokio::spawn(vigil.watch("the loop that deploys plugins", owner.run()));
        Self { orders, live, running, starting, stopped }
    }

    /// What is live.
    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.live.load_full()
    }

    /// The place where the catalogue is, for whoever needs the latest and must not keep deployments from ending.
    pub(crate) fn live(&self) -> Arc<ArcSwap<Catalogue>> {
        self.live.clone()
    }

    /// Deploys plugins that may need one another. Each is answered for itself, in their order.
    pub(crate) async fn deploy(&self, components: Vec<Vec<u8>>) -> Vec<Result<Deployment, Refusal>> {
        let count = components.len();
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.send(Order::Deploy(components, reply)).await;
        let answers = if sent.is_ok() { answer.await.ok() } else { None };
        answers.unwrap_or_else(|| (0..count).map(|_| Err(Refusal::Unavailable(self.gone()))).collect())
    }

    /// Makes a surface part of every deployment, and of what is live now.
    pub(crate) async fn add_surface(&self, surface: Arc<dyn Surface>) -> Result<(), String> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Surface(surface, reply)).await.map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Why the loop does not answer.
    fn gone(&self) -> String {
        let reason = match *self.stopped.borrow() {
            true => "the server is shutting down",
            false => "the loop that deploys plugins broke: start the server again, and look into its log",
        };
        reason.to_owned()
    }

    /// How the projections stand that are live, by the names under which their progress is kept.
    pub(crate) fn live_statuses(&self) -> Vec<(Arc<str>, Status)> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().map(|(key, running)| (key.clone(), running.status().borrow().clone())).collect()
    }

    /// The ways to the projections that are live, by the names under which their progress is kept.
    pub(crate) fn handles(&self) -> HashMap<Arc<str>, Handle> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().map(|(key, running)| (key.clone(), running.handle())).collect()
    }

    /// How all projections stand, by the same names: those that are live, and those that are filled in their place.
    pub(crate) fn statuses(&self) -> impl Fn() -> Vec<(Arc<str>, Status)> + Send + use<> {
        let (running, starting) = (self.running.clone(), self.starting.clone());
        move || {
            let running = running.lock().unwrap_or_else(PoisonError::into_inner);
            let starting = starting.lock().unwrap_or_else(PoisonError::into_inner);
            let running = running.iter().map(|(key, running)| (key.clone(), running.status().borrow().clone()));
            let starting = starting.iter().map(|(key, begun)| (key.clone(), begun.status()));
            running.chain(starting).collect()
        }
    }

    /// Has all projections look whether their tables are there still.
    pub(crate) fn look_at_tables(&self) -> impl Fn() + Send + use<> {
        let (running, starting) = (self.running.clone(), self.starting.clone());
        move || {
            let running = running.lock().unwrap_or_else(PoisonError::into_inner);
            let starting = starting.lock().unwrap_or_else(PoisonError::into_inner);
            running.values().for_each(|running| running.handle().look());
            starting.values().for_each(|begun| begun.handle.look());
        }
    }

    /// How those projections stand that are filled anew for what is not live yet.
    pub(crate) fn filled_anew(&self) -> Vec<(Arc<str>, Status)> {
        self.filling().into_iter().filter(|(_, status)| matches!(status.stage, Stage::Anew { .. })).collect()
    }

    /// How those projections stand that are filled for what is not live yet.
    pub(crate) fn filling(&self) -> Vec<(Arc<str>, Status)> {
        let starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        starting.iter().map(|(key, begun)| (key.clone(), begun.status())).collect()
    }

    /// The way to a projection that is filled because an operator wants it to be, by its name.
    pub(crate) fn rebuilt_by(&self, name: &str) -> Option<Handle> {
        let starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        let rebuilt = |begun: &&Begun| begun.rebuild && begun.handle.name() == name;
        starting.values().find(rebuilt).map(|begun| begun.handle.clone())
    }

    /// Fills the tables of a projection anew, beside those that serve.
    pub(crate) async fn rebuild(&self, projection: Name) -> Result<(), Error> {
        let gone = || Error::Unavailable { reason: self.gone(), retry_after_ms: 1_000 };
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Rebuild(projection, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Gives up filling the tables of a projection anew, or the deployment that fills them.
    pub(crate) async fn cancel(&self, projection: Name) -> Result<(), Error> {
        let gone = || Error::Unavailable { reason: self.gone(), retry_after_ms: 1_000 };
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Cancel(projection, reply)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Ends the loop and the projections.
    pub(crate) async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.orders.send(Order::Stop(reply)).await.is_ok() {
            let _ = answer.await;
        }
        // A loop that broke has left them behind.
        stop_all(&self.running).await;
    }
}

impl Begun {
    const fn new(handle: Handle, rebuild: bool) -> Self {
        Self { handle, rebuild, held: None }
    }

    /// How it stands. What keeps it from going live is trouble as well.
    fn status(&self) -> Status {
        let mut status = self.handle.status().borrow().clone();
        if status.trouble.is_none() {
            status.trouble = self.held.clone().map(Trouble::Held);
        }
        status
    }
}

impl Owner {
    async fn run(mut self) {
        self.look_later();
        while let Some(order) = self.next().await {
            match order {
                Order::Deploy(components, reply) => {
                    let _ = reply.send(self.deploy(components).await);
                }
                Order::Surface(surface, reply) => {
                    let prepared = surface.prepare(&self.live.load_full());
                    let _ = reply.send(prepared.map(|install| {
                        install();
                        self.surfaces.push(surface);
                    }));
                }
                Order::Rebuild(projection, reply) => {
                    let _ = reply.send(self.rebuild(&projection).await);
                }
                Order::Stop(reply) => {
                    self.stop_projections().await;
                    let _ = reply.send(());
                    return;
                }
                order => self.keep_house(order).await,
            }
        }
        self.stop_projections().await;
    }

    async fn next(&mut self) -> Option<Order> {
        match self.waiting.pop_front() {
            Some(order) => Some(order),
            None => self.received.recv().await,
        }
    }

    /// Does what comes due by itself, and gives up what an operator does not want any more. Other orders wait.
    async fn keep_house(&mut self, order: Order) {
        match order {
            Order::Retire(key, number) => self.retired(&key, number).await,
            Order::Prune(key) => self.prune(&key).await,
            Order::Filled(projection, epoch) => self.filled(&projection, epoch).await,
            Order::Look => self.look().await,
            Order::Cancel(projection, reply) => {
                let waited = self.forestall(&projection);
                let outcome = self.cancel(&projection).await;
                let _ = reply.send(if waited { Ok(()) } else { outcome });
            }
            Order::Deploy(..) | Order::Surface(..) | Order::Rebuild(..) | Order::Stop(_) => {
                self.waiting.push_back(order)
            }
        }
    }

    async fn stop_projections(&mut self) {
        stop_all(&self.running).await;
        for (_, retiring) in self.retiring.drain() {
            retiring.running.stop().await;
        }
        for (_, rebuild) in self.rebuilds.drain() {
            rebuild.running.stop().await;
        }
    }
}

async fn stop_all(running: &Projections) {
    let running = std::mem::take(&mut *running.lock().unwrap_or_else(PoisonError::into_inner));
    for running in running.into_values() {
        running.stop().await;
    }
}
