//! An engine with the bank in this process: what the server has, without its surfaces.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::Value;
use yado_engine::{
    Catalogue, Circumstances, Dispatch, DispatchOptions, Engine, Error, Model, Parts, Receipt, Row, Settings,
};
use yado_model::{IdempotencyKey, Name, Position, Timestamp};
use yado_runtime::Runtime;
use yado_store::{Append, Draft, EventStore, Options, open_events, open_reads};

use crate::bank::{self, Names, Plugin};
use crate::place::Place;
use crate::{Failure, Result};

/// Commands under way while accounts are opened.
const AT_ONCE: usize = 256;
/// Events in one batch when a log is filled.
const BATCH: usize = 2_000;
/// How long read models may take to show what was recorded.
const CAUGHT_UP: Duration = Duration::from_secs(600);

/// An engine with the bank. Clones are the same engine.
#[derive(Clone)]
pub struct InProcess {
    engine: Engine,
    catalogue: Arc<Catalogue>,
    /// None where the bank is the accounts alone.
    model: Option<Arc<Model>>,
    events: Arc<dyn EventStore>,
    names: Names,
    deployed_in: Duration,
}

impl InProcess {
    /// Starts an engine with default settings on two databases (the log's and the read models'), and deploys a form of the
    /// bank. That brings its read model up to date, if it has one.
    ///
    /// # Errors
    /// When a database can't be used, or the bank is refused.
    pub async fn start(place: &Place, plugin: Plugin, (events, reads): (&str, &str)) -> Result<Self> {
        let component = place.bank(plugin)?;
        let failed = |error: yado_store::Error| error.to_string();
        let options = Options::default();
        let events = open_events(events, &options).await.map_err(failed)?;
        let reads = open_reads(reads, &options).await.map_err(failed)?;
        let runtime = Runtime::new(yado_runtime::Settings::default()).map_err(|error| error.to_string())?;
        let parts = Parts { events: events.clone(), reads, runtime };
        let engine = Engine::start(parts, Settings::default()).await.map_err(|error| error.to_string())?;
        let begun = Instant::now();
        engine.deploy(component).await.map_err(|refusal| refusal.to_string())?;
        let deployed_in = begun.elapsed();
        let names = Names::new()?;
        let catalogue = engine.catalogue();
        let model = catalogue.model(&names.model).cloned();
        if model.is_some() != plugin.keeps_rows() {
            let found = if model.is_some() { "a" } else { "no" };
            return Err(format!("the guest {} has {found} read model of balances: build it anew", plugin.guest()));
        }
        Ok(Self { engine, catalogue, model, events, names, deployed_in })
    }

    /// How long the deployment took, which brought the read model up to date with what was in the log.
    #[must_use]
    pub fn deployed_in(&self) -> Duration {
        self.deployed_in
    }

    /// Opens all accounts.
    ///
    /// # Errors
    /// When one can't be opened.
    pub async fn open_accounts(&self, accounts: u32) -> Result<()> {
        let opened = (0..accounts).map(|number| async move {
            self.dispatch(&self.names.open, bank::open(&bank::account(number)), None).await.map(drop)
        });
        let mut opened = futures::stream::iter(opened).buffer_unordered(AT_ONCE);
        while let Some(done) = opened.next().await {
            done.map_err(|error| format!("an account can't be opened: {}", told(&error)))?;
        }
        self.settle().await
    }

    /// Deposits into an account.
    ///
    /// # Errors
    /// When nothing was recorded.
    pub async fn deposit(&self, account: &str, reference: &str) -> Result<Receipt> {
        let done = self.dispatch(&self.names.deposit, bank::deposit(account, reference), None).await;
        done.map_err(|error| told(&error))
    }

    /// Opens an account, under a key for repetitions of the request.
    ///
    /// # Errors
    /// When nothing was recorded.
    pub async fn open_once(&self, account: &str, key: IdempotencyKey) -> Result<Receipt> {
        let done = self.dispatch(&self.names.open, bank::open(account), Some(key)).await;
        done.map_err(|error| told(&error))
    }

    /// Deposits into an account, under a key for repetitions of the request.
    ///
    /// # Errors
    /// When nothing was recorded.
    pub async fn deposit_once(&self, account: &str, reference: &str, key: IdempotencyKey) -> Result<Receipt> {
        let done = self.dispatch(&self.names.deposit, bank::deposit(account, reference), Some(key)).await;
        done.map_err(|error| told(&error))
    }

    /// Asks an account for more than it holds, and is refused.
    ///
    /// # Errors
    /// When the answer is another one.
    pub async fn overdraw(&self, account: &str, reference: &str) -> Result<()> {
        match self.dispatch(&self.names.withdraw, bank::overdraw(account, reference), None).await {
            Err(Error::Rejected(rejection)) if rejection.code == "overdrawn" => Ok(()),
            Err(error) => Err(told(&error)),
            Ok(_) => Err(format!("{account} was to hold less than was asked for, and gave it")),
        }
    }

    async fn dispatch(
        &self,
        command: &Name,
        payload: Value,
        idempotency_key: Option<IdempotencyKey>,
    ) -> std::result::Result<Receipt, Error> {
        let dispatch = Dispatch {
            tenant: self.names.tenant.clone(),
            command: command.clone(),
            payload,
            options: DispatchOptions { idempotency_key, ..DispatchOptions::default() },
        };
        self.engine.dispatch(&self.catalogue, dispatch).await
    }

    /// The row of an account as it is visible now, whatever is on its way.
    ///
    /// # Errors
    /// When the database can't be read, or there is no read model.
    pub async fn row(&self, account: &str) -> Result<Option<Row>> {
        let model = self.model.as_ref().ok_or("the bank that is deployed shows no rows")?;
        let circumstances = Circumstances { tenant: self.names.tenant.clone(), ..Circumstances::default() };
        let session = self.engine.session(&self.catalogue, circumstances);
        let rows = session.rows(&model.manifest.name, &[account.to_owned()], None).await;
        let rows = rows.map_err(|error| told(&error))?.into_maps();
        Ok(rows.map_err(|error| error.to_string())?.pop())
    }

    /// Waits until the read model shows everything that was recorded. Without one there is nothing to wait for.
    ///
    /// # Errors
    /// When it does not get there.
    pub async fn settle(&self) -> Result<()> {
        let Some(model) = &self.model else { return Ok(()) };
        let head = self.events.head().await.map_err(|error| error.to_string())?;
        let begun = Instant::now();
        loop {
            match self.engine.caught_up(model, head).await {
                Ok(()) => return Ok(()),
                // It is given up after seconds, for callers who wait.
                Err(Error::Lagging { .. }) if begun.elapsed() < CAUGHT_UP => {}
                Err(error) => return Err(told(&error)),
            }
        }
    }

    /// Stops it, and closes its databases.
    pub async fn stop(self) {
        self.engine.shutdown().await;
    }
}

/// What an error says to its caller, and what lies behind it.
fn told(error: &Error) -> Failure {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// Fills a log in large batches, as fast as the store takes them: the opening of all accounts, then so many deposits, in
/// turn into each account. It is for logs that nobody else writes to.
///
/// # Errors
/// When the database can't be written to.
pub async fn fill(url: &str, component: &[u8], accounts: u32, deposits: u64, payload_bytes: u32) -> Result<()> {
    let failed = |error: yado_store::Error| error.to_string();
    let names = Names::new()?;
    let store = open_events(url, &Options::default()).await.map_err(failed)?;
    let record = yado_store::PluginRecord {
        name: "bank".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        digest: yado_model::Digest::of(component),
        registered_at: Timestamp::now(),
    };
    let plugin = store.register_plugin(&record).await.map_err(failed)?;
    let streams: Vec<_> = (0..accounts).map(|number| names.stream(number)).collect::<Result<_>>()?;
    let opened = bank::event("Opened", r#"{"owner":"the bench"}"#.into());
    let deposited = bank::event("Deposited", bank::deposited(&bank::reference(payload_bytes)));
    let mut batch = Vec::with_capacity(BATCH);
    for number in 0..u64::from(accounts) + deposits {
        let (turn, account) = (number / u64::from(accounts), (number % u64::from(accounts)) as usize);
        let command_id = yado_model::CommandId::generate();
        let draft = Draft {
            tenant: names.tenant.clone(),
            stream: streams[account].clone(),
            expected: yado_model::Revision::new(turn),
            events: vec![if turn == 0 { opened.clone() } else { deposited.clone() }],
            claims: Vec::new(),
            recorded_at: Timestamp::now(),
            command: yado_model::CommandMeta {
                command_id,
                correlation_id: command_id.0,
                causation_id: None,
                actor: None,
            },
            plugin,
            idempotency: None,
        };
        batch.push(draft.check().map_err(failed)?);
        if batch.len() == BATCH {
            append(&*store, &mut batch).await?;
        }
    }
    append(&*store, &mut batch).await?;
    let wanted = Position::new(u64::from(accounts) + deposits);
    let head = store.head().await.map_err(failed)?;
    store.close().await;
    if head == wanted { Ok(()) } else { Err(format!("the log was to have {wanted:?} events and has {head:?}")) }
}

async fn append(store: &dyn EventStore, batch: &mut Vec<Append>) -> Result<()> {
    if !batch.is_empty() {
        store.append(batch).await.map_err(|error| format!("the log can't be filled: {error}"))?;
        batch.clear();
    }
    Ok(())
}
