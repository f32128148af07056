//! The engine as a whole: what the surfaces and the server hold.

mod operator;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use yado_model::schema::Problem;
use yado_model::{Name, Position, TenantId};
use yado_runtime::Runtime;
use yado_store::{EventStore, ReadStore};

pub use operator::{DeadLetter, ProjectionState, ProjectionStatus};

use crate::advice::{self, Advice};
use crate::bus::CommandBus;
use crate::catalogue::Model;
use crate::changes::{self, Changes};
use crate::deadline::Deadline;
use crate::events::{Events, Following};
use crate::feed::{self, Feed};
use crate::figures::{Figures, Handles};
use crate::lane::Lane;
use crate::layers::Layers;
use crate::layers::places::Places;
use crate::lifecycle::Lifecycle;
use crate::projection::{Count, Pace, Room, Stage, Status, Surroundings, Uses, Watchdog};
use crate::queries::Queries;
use crate::reads::QueryBus;
use crate::session::Ground;
use crate::stream::Streams;
use crate::sweep;
use crate::vigil::{Broken, Vigil};
use crate::{
    Catalogue, ChangeStream, Check, Circumstances, Cursor, Deployment, Dispatch, Error, Health, Hooks, Receipt,
    Refusal, Result, Session, Settings, Surface,
};

/// How long a database may take to say that it is there.
const PING_MS: u64 = 2_000;

/// What an engine is made of.
pub struct Parts {
    /// Where events are kept.
    pub events: Arc<dyn EventStore>,
    /// Where read models are kept.
    pub reads: Arc<dyn ReadStore>,
    /// What runs guests.
    pub runtime: Runtime,
}

/// A handle to the engine. All of its loops end with [`Engine::shutdown`].
#[derive(Clone)]
pub struct Engine {
    lifecycle: Lifecycle,
    watchdog: Watchdog,
    events: Arc<dyn EventStore>,
    reads: Arc<dyn ReadStore>,
    feed: Feed,
    following: Following,
    changes: Changes,
    uses: Uses,
    figures: Figures,
    /// What requests stand on.
    ground: Arc<Ground>,
    shared: Arc<Shared>,
}

/// What ends with the engine.
struct Shared {
    /// The loops of the write side.
    writers: Vigil,
    /// The loops of the read side.
    readers: Vigil,
    /// How many groups wait for the log.
    lane_depth: Box<dyn Fn() -> usize + Send + Sync>,
    stopped: watch::Sender<bool>,
    /// How long databases are waited for once the engine is to stop: for as long as anybody waits for a command.
    stopping: Duration,
    /// When that is over.
    end: watch::Sender<Option<tokio::time::Instant>>,
}

impl Engine {
    /// Starts the loops, with nothing deployed.
    ///
    /// # Errors
    /// When a setting can't be, or the log can't be read.
    pub async fn start(parts: Parts, settings: Settings) -> Result<Self> {
        Self::start_with(parts, settings, Hooks::default()).await
    }

    /// The same, with something that says who may have what, and is told of what was answered.
    ///
    /// # Errors
    /// When a setting can't be, or the log can't be read.
    pub async fn start_with(parts: Parts, settings: Settings, hooks: Hooks) -> Result<Self> {
        settings.check().map_err(|message| Error::BadInput {
            what: "the engine's settings".into(),
            problems: vec![Problem { path: Vec::new(), message }],
        })?;
        let Parts { events, reads, runtime } = parts;
        let limit = Duration::from_millis(settings.database_ms);
        let settings = Arc::new(settings);
        let (end, ends) = watch::channel(None);
        let events: Arc<dyn EventStore> = Arc::new(Deadline::new(events, limit, ends.clone()));
        // Whoever reads for a caller is given up by that caller, and needs no second clock.
        let asked = reads.clone();
        let reads: Arc<dyn ReadStore> = Arc::new(Deadline::new(reads, limit, ends));
        let uses = Uses::new(reads.clone(), settings.retire_ms);
        let queries = QueryBus::new(asked, settings.clone(), uses.clone());
        let stopping = Duration::from_millis(settings.command_ms);
        let head = events.head().await?;
        let figures = Handles::register();
        let feed = Feed::new(events.clone(), head, &settings, figures.clone());
        let (committed, own_commits) = watch::channel(head);
        let (writers, readers) = (Vigil::new(), Vigil::new());
        let stopped = watch::Sender::new(false);
        feed::follow(&feed, &settings, own_commits, &stopped.subscribe(), &writers);
        let lane = Lane::start(
            events.clone(),
            &settings,
            feed.clone(),
            committed,
            figures.clone(),
            stopped.subscribe(),
            &writers,
        );
        let lane_depth = Box::new(lane.depth());
        let guest_stack_bytes = runtime.limits().stack_bytes;
        let streams = Streams::start(&events, &lane, &settings, guest_stack_bytes, &writers)
            .map_err(|error| Error::Unavailable { reason: format!("no thread: {error}"), retry_after_ms: 1_000 })?;
        let named = Queries::new(queries.clone(), settings.clone());
        let changes = Changes::new(reads.clone(), settings.clone());
        let surroundings = Surroundings {
            uses: uses.clone(),
            changes: changes.clone(),
            events: events.clone(),
            reads: reads.clone(),
            settings: settings.clone(),
            room: Room::default(),
            feed: feed.clone(),
            vigil: readers.clone(),
            stopped: stopped.subscribe(),
        };
        let lifecycle = Lifecycle::start(runtime, surroundings, queries.clone());
        let watchdog = Watchdog::default();
        let watching =
            watchdog.clone().run(lifecycle.statuses(), feed.head(), settings.stalled_ms, stopped.subscribe());
        tokio::spawn(readers.watch("the watchdog", watching));
        let sweep = sweep::run(events.clone(), settings.clone(), lifecycle.live(), stopped.subscribe());
        tokio::spawn(writers.watch("the sweep", sweep));
        let forgetting = changes::forget(changes.clone(), stopped.subscribe());
        tokio::spawn(readers.watch("the sweep of changes", forgetting));
        let saying = uses.clone().run(lifecycle.look_at_tables(), stopped.subscribe());
        tokio::spawn(readers.watch("the loop that says which tables are in use", saying));
        let ground = Ground {
            commands: Mutex::new(Some(CommandBus::new(streams, events.clone(), settings.clone()))),
            live: lifecycle.live(),
            reads: queries,
            named,
            feed: feed.clone(),
            layers: Layers::new(hooks, figures.clone()),
            places: Places::new(settings.queries_max, settings.queries_waiting),
            settings,
            loops: [writers.clone(), readers.clone()],
        };
        let shared = Shared { writers, readers, lane_depth, stopped, stopping, end };
        let following = Following::new(feed.clone());
        let (ground, shared) = (Arc::new(ground), Arc::new(shared));
        Ok(Self { lifecycle, watchdog, events, reads, feed, following, changes, uses, figures, ground, shared })
    }

    /// What is live.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.lifecycle.catalogue()
    }

    /// Opens a session: one request, against one catalogue. Surfaces ask for everything through it.
    #[must_use]
    pub fn session(&self, catalogue: &Arc<Catalogue>, circumstances: Circumstances) -> Session {
        Session::new(self.ground.clone(), catalogue.clone(), circumstances)
    }

    /// Runs one command of a catalogue, in a session of its own.
    ///
    /// # Errors
    /// Says why nothing was recorded; or, if it is not known whether something was, that it is not.
    pub async fn dispatch(&self, catalogue: &Arc<Catalogue>, dispatch: Dispatch) -> Result<Receipt> {
        self.ground.dispatch(catalogue, &dispatch, None).await
    }

    /// Waits until a read model shows everything up to a position.
    ///
    /// # Errors
    /// `LAGGING` when it takes too long.
    pub async fn caught_up(&self, model: &Model, position: Position) -> Result<()> {
        self.ground.caught_up(model, position, None).await
    }

    /// What a plugin that is live asks of read models and no index serves.
    pub async fn advice(&self, plugin: &str) -> Vec<Advice> {
        let searches_by_index = advice::searches_by_index(&*self.reads).await;
        advice::of(&self.catalogue(), plugin, searches_by_index)
    }

    /// Follows the log: the events of all tenants after a position, or those that are recorded from now on.
    #[must_use]
    pub fn events(&self, after: Option<Position>) -> Events {
        self.following.after(after)
    }

    /// Deploys a plugin, in place of another version of it.
    ///
    /// # Errors
    /// Says why it was refused; whatever was live before still is.
    pub async fn deploy(&self, component: Vec<u8>) -> Result<Deployment, Refusal> {
        let answer = self.lifecycle.deploy(vec![component]).await.pop();
        answer.unwrap_or_else(|| Err(Refusal::Unavailable("the deployment came to nothing".into())))
    }

    /// Deploys plugins that may need one another. Each is answered for itself, in their order.
    pub async fn deploy_all(&self, components: Vec<Vec<u8>>) -> Vec<Result<Deployment, Refusal>> {
        self.lifecycle.deploy(components).await
    }

    /// Makes a surface part of every deployment from now on, and of what is live.
    ///
    /// # Errors
    /// Says what the surface can't serve.
    pub async fn add_surface(&self, surface: Arc<dyn Surface>) -> Result<(), String> {
        self.lifecycle.add_surface(surface).await
    }

    /// The changes of a tenant's rows of a read model, in order, from a place on; from now on, if there is none. Whoever
    /// listens goes over to other code when that goes live, as long as it has the read model.
    ///
    /// # Errors
    /// When there is no such read model.
    pub fn watch(&self, model: &Name, tenant: &TenantId, after: Option<Cursor>) -> Result<ChangeStream> {
        self.changes.watch(model, tenant, after)
    }

    /// How the engine stands.
    pub async fn health(&self) -> Health {
        let (log, reads) =
            tokio::join!(database("event log", self.events.ping()), database("read models", self.reads.ping()));
        let mut checks = vec![log, reads];
        if let Some(broken) = self.shared.writers.broken().or_else(|| self.shared.readers.broken()) {
            let name = match broken {
                Broken::Loop(_) => "loops",
                Broken::Rewound(_) => "history",
            };
            checks.push(Check { name: name.into(), ok: false, detail: broken.to_string() });
        }
        let ready = checks.iter().all(|check| check.ok);
        let plugins: Vec<String> = self
            .catalogue()
            .plugins()
            .map(|deployed| format!("{} {}", deployed.manifest().name, deployed.manifest().version))
            .collect();
        checks.push(Check { name: "plugins".into(), ok: true, detail: plugins.join(", ") });
        let projections = self.lifecycle.live_statuses().into_iter().chain(self.lifecycle.filled_anew());
        checks.extend(projections.map(|(key, status)| projection(&status, self.watchdog.pace(&key))));
        Health { ready, checks }
    }

    /// Brings the figures up to date that tell of a moment, for somebody who is about to read them.
    pub fn measure(&self) {
        let head = *self.feed.head().borrow();
        self.figures.head(head);
        self.figures.lane_depth((self.shared.lane_depth)());
        for (key, status) in self.lifecycle.live_statuses() {
            self.figures.projection(&status, self.watchdog.pace(&key), head);
            let (kept, forgotten) = self.changes.figures(&key).unwrap_or_default();
            self.figures.changes(&status.name, kept, forgotten);
        }
    }

    /// Resolves once the engine has been told to stop.
    pub async fn stopped(&self) {
        let mut stopped = self.shared.stopped.subscribe();
        // An error means that the sender is gone, and the engine with it.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Takes no more commands, finishes those that are under way, stops every loop, and closes the databases. It takes
    /// no longer than a command may, and a few seconds, even if a database does not answer any more.
    pub async fn shutdown(&self) {
        self.shared.end.send_replace(Some(tokio::time::Instant::now() + self.shared.stopping));
        self.shared.stopped.send_replace(true);
        // The shards end when the last handle to them is gone, and the lane when the last shard is.
        drop(self.ground.commands.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.shared.writers.ended().await;
        self.lifecycle.stop().await;
        self.shared.readers.ended().await;
        self.uses.end().await;
        tokio::join!(self.events.close(), self.reads.close());
    }
}

/// How a projection stands. What exactly its trouble is may be a guest's words or the database's, and is for the log alone.
fn projection(status: &Status, pace: Pace) -> Check {
    let position = status.position;
    let anew = match status.stage {
        Stage::Anew { until } => format!(
            "filled anew up to {until}, because what it showed was of a history that is no more, or has been dropped, and \
             not shown until then; "
        ),
        Stage::Unknown | Stage::Following => String::new(),
    };
    let at = match status.trouble {
        Some(_) => format!("stands at position {position}; the server's log says why"),
        None if status.paused => format!("paused at position {position}"),
        None if pace.stalled => format!("has events to show and does not get on, at position {position}"),
        None => format!("at position {position}"),
    };
    let Count { streams, tenants } = status.parked.count();
    let parked = match streams {
        0 => String::new(),
        1 => "; a stream is parked, and waits for a replay".to_owned(),
        count => format!("; {count} streams are parked, and wait for a replay"),
    } + &match tenants {
        0 => String::new(),
        1 => "; a tenant is parked as a whole, and waits for a replay".to_owned(),
        count => format!("; {count} tenants are parked as a whole, and wait for a replay"),
    };
    Check {
        name: format!("projection {}", status.name),
        ok: status.trouble.is_none() && !pace.stalled && anew.is_empty() && parked.is_empty(),
        detail: anew + &at + &parked,
    }
}

async fn database(name: &str, ping: impl Future<Output = yado_store::Result<()>>) -> Check {
    let answer = tokio::time::timeout(Duration::from_millis(PING_MS), ping).await;
    let trouble = match answer {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::error!(name, %error, "a database is not reachable");
            Some("not reachable; the server's log says why".to_owned())
        }
        Err(_) => Some(format!("no answer within {PING_MS} ms")),
    };
    Check { name: name.to_owned(), ok: trouble.is_none(), detail: trouble.unwrap_or_else(|| "reachable".into()) }
}
