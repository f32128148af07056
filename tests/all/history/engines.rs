//! Nodes without processes: engines in this one, over stores that are reached by an unreliable way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use uuid::Uuid;
use yado_engine::{Dispatch, DispatchOptions, Engine, Error, Parts, Settings};
use yado_model::{IdempotencyKey, Name, Revision, TenantId};
use yado_runtime::Runtime;
use yado_store::{Result, open_events, open_reads};

use super::drive::Node;
use super::random::Random;
use super::record::{Outcome, Request, is_certain};
use crate::support::{Freight, Journey, Way, component, patient_options};

/// How long something is held up at most if nobody else gets ahead in the meantime.
const HELD_UP: Duration = Duration::from_millis(20);

/// An engine as a client sees it.
pub(crate) struct Local<J> {
    name: &'static str,
    pub(crate) engine: Engine,
    pub(crate) way: Arc<Way<J>>,
}

impl<J: Journey + 'static> Local<J> {
    /// Starts an engine over the log at a URL, and deploys the bank.
    pub(crate) async fn start(
        name: &'static str,
        url: &str,
        runtime: &Runtime,
        settings: Settings,
        journey: J,
    ) -> Arc<Self> {
        let way = Arc::new(Way { store: open_events(url, &patient_options()).await.unwrap(), journey });
        let parts = Parts {
            events: way.clone(),
            reads: open_reads("sqlite::memory:", &patient_options()).await.unwrap(),
            runtime: runtime.clone(),
        };
        let engine = Engine::start(parts, settings).await.unwrap();
        engine.deploy(component("bank")).await.unwrap();
        Arc::new(Self { name, engine, way })
    }
}

impl Local<Unreliable> {
    /// Starts an engine whose way to the log fails from now on. `traffic` counts what goes to that log, from all engines.
    pub(crate) async fn unreliable(
        name: &'static str,
        url: &str,
        runtime: &Runtime,
        mut random: Random,
        traffic: &watch::Sender<u64>,
    ) -> Arc<Self> {
        let settings = settings(&mut random);
        let (reliable, traffic) = (AtomicBool::new(true), traffic.clone());
        let journey = Unreliable { random: Mutex::new(random), reliable, traffic };
        let local = Self::start(name, url, runtime, settings, journey).await;
        local.way.journey.reliable.store(false, Ordering::Relaxed);
        local
    }

    /// From now on nothing fails any more.
    pub(crate) fn calm(&self) {
        self.way.journey.reliable.store(true, Ordering::Relaxed);
    }
}

/// Small ones, so that a short run meets every edge; and not always the same.
fn settings(random: &mut Random) -> Settings {
    Settings {
        shards: random.index(3) + 1,
        ahead: random.weighted(&[(1, 1), (1, 3), (2, 256)]),
        resident_bytes: random.weighted(&[(1, 1), (1, 1_000), (2, 1_000_000)]),
        lane_events: random.weighted(&[(1, 2), (1, 10), (2, 2_000)]),
        lane_attempts: random.weighted(&[(2, 1), (2, 2), (1, 6)]),
        snapshot_events: random.weighted(&[(1, 3), (1, 20), (1, 1_000)]),
        batch: random.weighted(&[(1, 2), (1, 7), (1, 1_000)]),
        decided_bytes: random.weighted(&[(1, 3_000), (2, 1_000_000)]),
        ..Settings::default()
    }
}

#[async_trait]
impl<J: Journey + 'static> Node for Local<J> {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn send(&self, request: &Request, attempt: u64) -> Option<Outcome> {
        let dispatch = Dispatch {
            tenant: TenantId::default(),
            command: Name::parse(request.name()).unwrap(),
            payload: request.payload(),
            options: DispatchOptions {
                idempotency_key: request.key.as_ref().map(|key| IdempotencyKey::parse(key).unwrap()),
                expected_revision: request.expected.map(Revision::new),
                correlation_id: Some(Uuid::from_u128(attempt.into())),
                ..DispatchOptions::default()
            },
        };
        Some(match self.engine.dispatch(&self.engine.catalogue(), dispatch).await {
            Ok(receipt) => {
                assert_eq!(receipt.stream.id(), request.account, "the receipt is of the account that was addressed");
                let (revision, position) = (receipt.revision.get(), receipt.position.get());
                Outcome::Recorded { revision, position, repeated: Some(receipt.repeated) }
            }
            Err(Error::Rejected(rejection)) => Outcome::Rejected { code: rejection.code, message: rejection.message },
            Err(Error::NotFound { .. }) => Outcome::NotFound,
            Err(Error::Conflict { expected, actual, .. }) => {
                Outcome::Conflict { expected: expected.get(), actual: actual.get() }
            }
            Err(Error::IdempotencyKeyReused { .. }) => Outcome::KeyReused,
            Err(error @ Error::PluginFault { .. }) => Outcome::Failed(error.to_string()),
            Err(error @ Error::Unavailable { .. }) if is_certain(&error.to_string()) => {
                Outcome::Failed(error.to_string())
            }
            Err(error @ (Error::Timeout { .. } | Error::Unavailable { .. })) => Outcome::Unknown(error.to_string()),
            Err(error) => panic!("{} is a request that an engine understands: {error}", request.payload()),
        })
    }
}

/// What happens to something on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It arrives.
    Through,
    /// It arrives when others have been faster.
    Late,
    /// It gets lost.
    Lost,
    /// It is refused, and not in passing.
    Refused,
}

/// A way on which things are lost and held up, at random.
pub(crate) struct Unreliable {
    random: Mutex<Random>,
    reliable: AtomicBool,
    /// How much has been done to the log, by whomever.
    traffic: watch::Sender<u64>,
}

impl Unreliable {
    /// Meets one of these fates; `lost` is what is said of something that gets lost.
    async fn meet(&self, fates: &[(u64, Fate)], lost: fn(String) -> yado_store::Error) -> Result<()> {
        if self.reliable.load(Ordering::Relaxed) {
            return Ok(());
        }
        let fate = self.random.lock().unwrap().weighted(fates);
        match fate {
            Fate::Through => {}
            Fate::Late => self.hold_up().await,
            Fate::Lost => return Err(lost("the connection broke".into())),
            Fate::Refused => return Err(yado_store::Error::Engine("the database refuses".into())),
        }
        Ok(())
    }

    /// Waits until others have done something, if they do.
    async fn hold_up(&self) {
        let mut traffic = self.traffic.subscribe();
        let until = *traffic.borrow() + self.random.lock().unwrap().within(1..12);
        let _ = tokio::time::timeout(HELD_UP, traffic.wait_for(|traffic| *traffic >= until)).await;
    }
}

#[async_trait]
impl Journey for Unreliable {
    async fn there(&self, freight: Freight) -> Result<()> {
        let refused = if freight == Freight::Append { 2 } else { 0 };
        let fates = [(86 - refused, Fate::Through), (10, Fate::Late), (4, Fate::Lost), (refused, Fate::Refused)];
        // It has not arrived, and so nothing is done.
        self.meet(&fates, yado_store::Error::Unavailable).await
    }

    async fn back(&self, _: Freight) -> Result<()> {
        self.traffic.send_modify(|traffic| *traffic += 1);
        self.meet(&[(85, Fate::Through), (10, Fate::Late), (5, Fate::Lost)], yado_store::Error::Unheard).await
    }
}
