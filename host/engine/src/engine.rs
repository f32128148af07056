//! The engine as a whole: what the surfaces and the server hold.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::watch;
use yado_model::schema::Problem;
use yado_model::{Position, TenantId};
use yado_runtime::Runtime;
use yado_store::{Each, EventStore, Filter, ReadStore, Row, Select};

use crate::bus::CommandBus;
use crate::catalogue::Model;
use crate::deadline::Deadline;
use crate::error::rewound;
use crate::feed::{self, Feed};
use crate::figures::{Figures, Handles};
use crate::lane::Lane;
use crate::lifecycle::Lifecycle;
use crate::projection::{Room, Stage, Status, Surroundings};
use crate::queries::Queries;
use crate::reads::QueryBus;
use crate::stream::{Streams, stopping};
use crate::sweep;
use crate::vigil::{Broken, Vigil};
use crate::{Ask, Catalogue, Check, Deployment, Dispatch, Error, Health, Receipt, Refusal, Result, Settings, Surface};

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
    queries: QueryBus,
    named: Queries,
    events: Arc<dyn EventStore>,
    reads: Arc<dyn ReadStore>,
    feed: Feed,
    figures: Figures,
    shared: Arc<Shared>,
}

/// What ends with the engine.
struct Shared {
    /// The way for commands. It is closed first.
    commands: Mutex<Option<CommandBus>>,
    /// The loops of the write side.
    writers: Vigil,
    /// The loops of the read side.
    readers: Vigil,
    /// How many groups wait for the log.
    lane_depth: Box<dyn Fn() -> usize + Send + Sync>,
    stopped: watch::Sender<bool>,
}

impl Shared {
    /// The position that the log has gone back behind, if any loop has found that it has.
    fn has_rewound(&self) -> Option<Position> {
        self.writers.has_rewound().or_else(|| self.readers.has_rewound())
    }
}

impl Engine {
    /// Starts the loops, with nothing deployed.
    ///
    /// # Errors
    /// When a setting can't be, or the log can't be read.
    pub async fn start(parts: Parts, settings: Settings) -> Result<Self> {
        settings.check().map_err(|message| Error::BadInput {
            what: "the engine's settings".into(),
            problems: vec![Problem { path: Vec::new(), message }],
        })?;
        let Parts { events, reads, runtime } = parts;
        let limit = Duration::from_millis(settings.database_ms);
        let events: Arc<dyn EventStore> = Arc::new(Deadline::new(events, limit));
        let reads: Arc<dyn ReadStore> = Arc::new(Deadline::new(reads, limit));
        let settings = Arc::new(settings);
        let head = events.head().await?;
        let figures = Handles::register();
        let feed = Feed::new(events.clone(), head, &settings, figures.clone());
        let (committed, own_commits) = watch::channel(head);
        let (writers, readers) = (Vigil::new(), Vigil::new());
        let stopped = watch::Sender::new(false);
        feed::follow(&feed, &settings, own_commits, &stopped.subscribe(), &writers);
        let lane = Lane::start(events.clone(), &settings, feed.clone(), committed, figures.clone(), &writers);
        let lane_depth = Box::new(lane.depth());
        let guest_stack_bytes = runtime.limits().stack_bytes;
        let streams = Streams::start(&events, &lane, &settings, guest_stack_bytes, &writers)
            .map_err(|error| Error::Unavailable { reason: format!("no thread: {error}"), retry_after_ms: 1_000 })?;
        let queries = QueryBus::new(reads.clone(), settings.clone());
        let named = Queries::new(queries.clone(), settings.clone());
        let surroundings = Surroundings {
            events: events.clone(),
            reads: reads.clone(),
            settings: settings.clone(),
            room: Room::default(),
            feed: feed.clone(),
            vigil: readers.clone(),
            stopped: stopped.subscribe(),
        };
        let lifecycle = Lifecycle::start(runtime, surroundings, queries.clone());
        let sweep = sweep::run(events.clone(), settings.clone(), lifecycle.live(), stopped.subscribe());
        tokio::spawn(writers.watch("the sweep", sweep));
        let commands = Mutex::new(Some(CommandBus::new(streams, events.clone(), settings)));
        let shared = Shared { commands, writers, readers, lane_depth, stopped };
        Ok(Self { lifecycle, queries, named, events, reads, feed, figures, shared: Arc::new(shared) })
    }

    /// What is live.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.lifecycle.catalogue()
    }

    /// Runs a command of a catalogue: a request keeps the one that its schema was made from, and finishes on its code.
    ///
    /// # Errors
    /// Says why nothing was recorded; or, if it is not known whether something was, that it is not.
    pub async fn dispatch(&self, catalogue: &Arc<Catalogue>, dispatch: Dispatch) -> Result<Receipt> {
        let commands = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(commands) = commands else { return Err(stopping()) };
        let began = Instant::now();
        let answer = match self.shared.has_rewound() {
            Some(seen) => Err(rewound(seen)),
            None => self.answer(&commands, catalogue, &dispatch).await,
        };
        let answer = match self.shared.has_rewound() {
            // What has been recorded is in the log that there is. Everything else may rest on the one that there was.
            Some(seen) if !answer.as_ref().is_ok_and(|receipt| receipt.changed) => Err(rewound(seen)),
            _ => answer,
        };
        if let Ok(receipt) = &answer {
            // It may be the answer of another process, or rest on what another process has recorded.
            self.feed.heard(receipt.position);
        }
        self.figures.answered(&answer, began.elapsed());
        answer
    }

    async fn answer(&self, commands: &CommandBus, catalogue: &Arc<Catalogue>, dispatch: &Dispatch) -> Result<Receipt> {
        match commands.dispatch(catalogue, dispatch).await {
            // Between two versions of a plugin: the new one has recorded what the old one can't read.
            Err(Error::Superseded { .. }) => {
                let done = commands.dispatch(&self.catalogue(), dispatch).await;
                if let Err(error @ Error::Superseded { .. }) = &done {
                    tracing::error!(%error, "the version of a plugin that runs is older than what is recorded");
                }
                done
            }
            done => done,
        }
    }

    /// Waits until a read model shows everything up to a position.
    ///
    /// # Errors
    /// `LAGGING` when it takes too long.
    pub async fn caught_up(&self, model: &Model, position: Position) -> Result<()> {
        if *self.feed.head().borrow() < position
            && let Err(error) = self.feed.look().await
        {
            // Another process may have recorded it. Whether it has will be known a little later.
            tracing::debug!(%error, "the log's end could not be read");
        }
        self.queries.caught_up(model, position).await
    }

    /// The position up to which everything is in what is read of a read model from now on, as far as this process knows:
    /// there may be more in it.
    #[must_use]
    pub fn position(&self, model: &Model) -> Position {
        self.queries.position(model)
    }

    /// Rows by their keys, in any order, by one statement; keys without a row are left out.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn rows(&self, model: &Model, tenant: &TenantId, keys: &[String]) -> Result<Vec<Row>> {
        self.queries.rows(model, tenant, keys).await
    }

    /// Rows that meet a selection, in its order, by one statement.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn select(&self, model: &Model, tenant: &TenantId, select: &Select) -> Result<Vec<Row>> {
        self.queries.select(model, tenant, select).await
    }

    /// Rows that meet a selection for each of several values of a field, by one statement: limit and offset are those of
    /// one value. Rows of one value are together, in the selection's order.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn select_each(
        &self,
        model: &Model,
        tenant: &TenantId,
        each: &Each,
        select: &Select,
    ) -> Result<Vec<Row>> {
        self.queries.select_each(model, tenant, each, select).await
    }

    /// How many rows meet a filter, by one statement.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn count(&self, model: &Model, tenant: &TenantId, filter: Option<&Filter>) -> Result<u64> {
        self.queries.count(model, tenant, filter).await
    }

    /// Asks a named query of a catalogue, which a guest answers: a request keeps the catalogue that its schema was made
    /// from, and is answered by its code.
    ///
    /// # Errors
    /// Says what is wrong with the arguments, what the domain has against it, or why there is no answer.
    pub async fn ask(&self, catalogue: &Catalogue, ask: Ask) -> Result<Value> {
        self.named.ask(catalogue, ask).await
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

    /// How the engine stands.
    pub async fn health(&self) -> Health {
        let mut checks =
            vec![database("event log", self.events.ping()).await, database("read models", self.reads.ping()).await];
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
        checks.extend(self.lifecycle.projections().iter().map(projection));
        checks.extend(self.lifecycle.filled_anew().iter().map(projection));
        Health { ready, checks }
    }

    /// Brings the figures up to date that tell of a moment, for somebody who is about to read them.
    pub fn measure(&self) {
        let head = *self.feed.head().borrow();
        self.figures.head(head);
        self.figures.lane_depth((self.shared.lane_depth)());
        for status in self.lifecycle.projections() {
            self.figures.projection(&status.name, status.position, head);
        }
    }

    /// Resolves once the engine has been told to stop.
    pub async fn stopped(&self) {
        let mut stopped = self.shared.stopped.subscribe();
        // An error means that the sender is gone, and the engine with it.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }

    /// Takes no more commands, finishes those that are under way, stops every loop, and closes the databases.
    pub async fn shutdown(&self) {
        self.shared.stopped.send_replace(true);
        // The shards end when the last handle to them is gone, and the lane when the last shard is.
        drop(self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.shared.writers.ended().await;
        self.lifecycle.stop().await;
        self.shared.readers.ended().await;
        self.events.close().await;
        self.reads.close().await;
    }
}

/// How a projection stands. What exactly its trouble is may be a guest's words or the database's, and is for the log alone.
fn projection(status: &Status) -> Check {
    let position = status.position;
    let anew = match status.stage {
        Stage::Anew { until } => format!(
            "filled anew up to {until}, because what it showed was of a history that is no more, and not shown until \
             then; "
        ),
        Stage::Unknown | Stage::Following => String::new(),
    };
    let at = match status.trouble {
        Some(_) => format!("stands at position {position}; the server's log says why"),
        None => format!("at position {position}"),
    };
    Check {
        name: format!("projection {}", status.name),
        ok: status.trouble.is_none() && anew.is_empty(),
        detail: anew + &at,
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
