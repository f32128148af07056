//! The handle: takes requests, and follows deployments.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_graphql::dynamic::Schema;
use async_graphql::parser::types::OperationType;
use async_graphql::{ServerError, Value};
use axum::body::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use yado_engine::{Catalogue, Engine, Surface, Table, Until};
use yado_model::{Digest, Name};

use crate::api::{self, Api, Source};
use crate::backend::Backend;
use crate::current::Current;
use crate::documents::{Documents, Prepared};
use crate::error::{self, Error};
use crate::input::Variables;
use crate::live::{Live, Source as Followable, Subscriber};
use crate::opened::{Opened, Sound};
use crate::request::{Request, Response};
use crate::{Limits, registry};

/// GraphQL over an engine. Cheap to clone.
#[derive(Clone)]
pub struct GraphQl(Arc<Inner>);

struct Inner {
    limits: Limits,
    current: Arc<Current>,
    /// What requests run against.
    backend: Arc<dyn Backend>,
    live: Arc<Live>,
}

/// One deployment, ready to serve.
pub(crate) struct Served {
    pub(crate) api: Api,
    schema: Schema,
    /// What was found sound by this schema, and by no other.
    pub(crate) documents: Documents,
    pub(crate) server: Json,
    pub(crate) catalogue: Arc<Catalogue>,
    /// Made when it is first asked for.
    sdl: OnceLock<Sdl>,
    /// The tables by which subscriptions choose rows: one of each for all of them.
    tables: Mutex<HashMap<Name, Arc<Table>>>,
}

/// A schema as text, and what it is recognised by.
#[derive(Debug, Clone)]
pub(crate) struct Sdl {
    pub(crate) text: Bytes,
    pub(crate) digest: Digest,
}

impl Sdl {
    fn new(text: String) -> Self {
        let digest = Digest::of(text.as_bytes());
        Self { text: text.into(), digest }
    }
}

impl Served {
    /// Derives what is served from plugins.
    pub(crate) fn new(plugins: &[Source<'_>], catalogue: Arc<Catalogue>, limits: &Limits) -> Result<Self, String> {
        let api = api::build(plugins, limits)?;
        let schema = registry::schema(&api, limits)?;
        let listed = plugins.iter().map(|Source { manifest, digest }| {
            json!({
                "name": manifest.name,
                "version": manifest.version,
                "digest": digest.to_string(),
                "description": manifest.description,
            })
        });
        let server = json!({ "version": env!("CARGO_PKG_VERSION"), "plugins": listed.collect::<Vec<_>>() });
        Ok(Self {
            api,
            schema,
            documents: Documents::new(limits),
            server,
            catalogue,
            sdl: OnceLock::new(),
            tables: Mutex::default(),
        })
    }

    /// The table of a read model, to share.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn table(
        &self,
        model: &Name,
        read: impl FnOnce() -> yado_engine::Result<Table>,
    ) -> yado_engine::Result<Arc<Table>> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tables.get(model) {
            return Ok(known.clone());
        }
        let table = Arc::new(read()?);
        tables.insert(model.clone(), table.clone());
        Ok(table)
    }

    /// Holds a document against the schema, and answers what it asks about the schema itself.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) async fn validate(
        &self,
        prepared: &Prepared,
        variables: &Variables<'_>,
        kind: OperationType,
    ) -> Result<Value, Vec<ServerError>> {
        // It is parsed already: the text is not looked at.
        let mut request = async_graphql::Request::new("").variables(variables.to_async_graphql(&self.api));
        request.operation_name = prepared.operation_name().map(str::to_owned);
        request.set_parsed_query(prepared.document.clone());
        let checked = match kind {
            // The schema refuses to execute it. It ends at once if it is sound, and tells what is wrong with it otherwise.
            OperationType::Subscription => match self.schema.execute_stream(request).next().await {
                Some(checked) => checked,
                None => return Ok(Value::Null),
            },
            _ => self.schema.execute(request).await,
        };
        if checked.errors.is_empty() {
            Ok(introspection(checked.data))
        } else {
            Err(checked.errors.into_iter().map(error::invalid).collect())
        }
    }

    fn of(catalogue: &Arc<Catalogue>, limits: &Limits) -> Result<Self, String> {
        let sources: Vec<Source<'_>> = catalogue
            .plugins()
            .map(|deployed| Source { manifest: deployed.manifest(), digest: deployed.digest() })
            .collect();
        Self::new(&sources, catalogue.clone(), limits)
    }
}

/// Follows the deployments of an engine. It does not hold the engine, which holds it.
struct Follower {
    limits: Limits,
    current: Arc<Current>,
}

impl Surface for Follower {
    fn prepare(&self, catalogue: &Arc<Catalogue>) -> Result<Box<dyn FnOnce() + Send>, String> {
        let next = Arc::new(Served::of(catalogue, &self.limits)?);
        let current = self.current.clone();
        Ok(Box::new(move || current.install(next)))
    }
}

impl GraphQl {
    /// Serves what is deployed on an engine, now and from now on.
    ///
    /// # Errors
    /// If the limits can't be, or what is deployed can't be served as GraphQL.
    pub async fn new(engine: Engine, limits: Limits) -> Result<Self, String> {
        limits.check()?;
        let current = Arc::new(Current::new(Served::of(&engine.catalogue(), &limits)?));
        engine.add_surface(Arc::new(Follower { limits: limits.clone(), current: current.clone() })).await?;
        let engine = Arc::new(engine);
        Ok(Self::put_together(current, engine.clone(), engine, limits))
    }

    fn put_together(
        current: Arc<Current>,
        backend: Arc<dyn Backend>,
        source: Arc<dyn Followable>,
        limits: Limits,
    ) -> Self {
        let live = Arc::new(Live::new(&limits, backend.clone(), source, current.clone()));
        Self(Arc::new(Inner { limits, current, backend, live }))
    }

    /// Serves plugins from a backend of a test.
    #[cfg(test)]
    pub(crate) fn over<B>(plugins: &[Source<'_>], backend: Arc<B>, limits: Limits) -> Result<Self, String>
    where
        B: Backend + Followable + 'static,
    {
        let current = Arc::new(Current::new(Served::new(plugins, Arc::default(), &limits)?));
        Ok(Self::put_together(current, backend.clone(), backend, limits))
    }

    /// Serves other plugins from now on.
    #[cfg(test)]
    pub(crate) fn redeploy(&self, plugins: &[Source<'_>]) {
        self.0.current.install(Arc::new(Served::new(plugins, Arc::default(), &self.0.limits).unwrap()));
    }

    /// How many documents are kept of what is deployed at present.
    #[cfg(test)]
    pub(crate) fn documents_kept(&self) -> usize {
        self.0.current.look().documents.len()
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The schema of what is deployed at present, in the schema definition language.
    #[must_use]
    pub fn sdl(&self) -> String {
        self.0.current.look().schema.sdl()
    }

    /// The same, as it is sent.
    pub(crate) fn served_sdl(&self) -> Sdl {
        let served = self.0.current.look();
        served.sdl.get_or_init(|| Sdl::new(served.schema.sdl())).clone()
    }

    /// Runs a request. Whatever goes wrong is in the answer.
    pub async fn execute(&self, request: Request) -> Response {
        // The future is large, and callers keep it in theirs.
        match Box::pin(self.answer(request)).await {
            Ok(response) => response,
            Err(errors) => Response::refused(errors),
        }
    }

    async fn answer(&self, request: Request) -> Result<Response, Vec<ServerError>> {
        let began = Instant::now();
        let read_only = request.read_only;
        let opened = self.open(request)?;
        match opened.kind()? {
            OperationType::Mutation if read_only => return Ok(Response::read_only()),
            OperationType::Subscription => {
                let error = Error::input(
                    "a subscription is not answered at once: send it with the header Accept: text/event-stream, or over a \
                     WebSocket",
                );
                return Err(vec![error.whole()]);
            }
            _ => {}
        }
        self.run(&opened, began).await
    }

    /// Reads a request by what is deployed at present.
    fn open(&self, request: Request) -> Result<Opened, Vec<ServerError>> {
        Opened::read(self.0.current.get(), &self.0.limits, request)
    }

    /// Runs what has been read, and is no subscription.
    async fn run(&self, opened: &Opened, began: Instant) -> Result<Response, Vec<ServerError>> {
        let limits = &self.0.limits;
        let until = Until { at: began + Duration::from_millis(limits.timeout_ms), limit_ms: limits.timeout_ms };
        let operation = opened.operation()?;
        let variables = Variables::new(&operation.node, &opened.variables);
        let Sound { roots, introspection } = opened.check(limits, &variables).await?;
        let session = opened.session(self.0.backend.as_ref(), until);
        let execution = opened.execution(limits, &*session, &variables, introspection, until);
        // Each of its fields is held to the request's time by itself, and those that are done are answered.
        Ok(execution.run(operation, roots).await)
    }

    /// Begins a request that may be a subscription.
    ///
    /// # Errors
    /// With the answer, if it is not even begun.
    pub(crate) async fn begin(&self, request: Request) -> Result<Begun, Box<Response>> {
        let began = Instant::now();
        let read_only = request.read_only;
        let begin = async {
            let opened = self.open(request)?;
            Ok(match opened.kind()? {
                OperationType::Mutation if read_only => return Ok(Err(Box::new(Response::read_only()))),
                OperationType::Subscription => Ok(Begun::Live(self.0.live.join(opened).await?)),
                _ => {
                    let graphql = self.clone();
                    Ok(Begun::Once(Box::pin(async move {
                        graphql.run(&opened, began).await.unwrap_or_else(Response::refused)
                    })))
                }
            })
        };
        Box::pin(begin).await.unwrap_or_else(|errors| Err(Box::new(Response::refused(errors))))
    }

    /// What is followed at present, and by how many.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.0.live
    }

    /// Ends all subscriptions and sockets in order, and takes no more. It returns once the last of them has gone.
    pub async fn close(&self) {
        self.0.live.close().await;
    }
}

/// A request that has been begun.
pub(crate) enum Begun {
    /// It has one answer.
    Once(BoxFuture<'static, Response>),
    /// It is told one after another.
    Live(Subscriber),
}

/// Of an answer by the schema only introspection has values; what it leaves null is for the execution to fill.
fn introspection(answer: Value) -> Value {
    match answer {
        Value::Object(mut fields) => {
            fields.retain(|_, value| *value != Value::Null);
            Value::Object(fields)
        }
        other => other,
    }
}

impl std::fmt::Debug for GraphQl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GraphQl").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}
