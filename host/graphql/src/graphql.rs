//! The handle: takes requests, and follows deployments.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_graphql::dynamic::Schema;
use async_graphql::parser::types::OperationType;
use async_graphql::{ServerError, Value};
use axum::body::Bytes;
use serde_json::{Value as Json, json};
use tokio::time::{Instant, timeout_at};
use yado_engine::{Catalogue, Engine, Surface};
use yado_model::Digest;

use crate::api::{self, Api, Source};
use crate::backend::Backend;
use crate::documents::{Documents, Prepared};
use crate::error::{self, Error};
use crate::execute::{Execution, Seen};
use crate::input::Variables;
use crate::request::{Request, Response};
use crate::{Limits, cost, document, execute, registry};

/// GraphQL over an engine. Cheap to clone.
#[derive(Clone)]
pub struct GraphQl(Arc<Inner>);

struct Inner {
    limits: Limits,
    served: Arc<ArcSwap<Served>>,
    /// What requests run against.
    backend: Arc<dyn Backend>,
}

/// One deployment, ready to serve.
pub(crate) struct Served {
    api: Api,
    schema: Schema,
    /// What was found sound by this schema, and by no other.
    documents: Documents,
    server: Json,
    catalogue: Arc<Catalogue>,
    /// Made when it is first asked for.
    sdl: OnceLock<Sdl>,
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
        Ok(Self { api, schema, documents: Documents::new(limits), server, catalogue, sdl: OnceLock::new() })
    }

    /// Holds a document against the schema, and answers what it asks about the schema itself.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    async fn validate(&self, prepared: &Prepared, variables: &Variables<'_>) -> Result<Value, Vec<ServerError>> {
        // It is parsed already: the text is not looked at.
        let mut request = async_graphql::Request::new("").variables(variables.to_async_graphql(&self.api));
        request.operation_name = prepared.operation_name().map(str::to_owned);
        request.set_parsed_query(prepared.document.clone());
        let checked = self.schema.execute(request).await;
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
    served: Arc<ArcSwap<Served>>,
}

impl Surface for Follower {
    fn prepare(&self, catalogue: &Arc<Catalogue>) -> Result<Box<dyn FnOnce() + Send>, String> {
        let next = Arc::new(Served::of(catalogue, &self.limits)?);
        let served = self.served.clone();
        Ok(Box::new(move || served.store(next)))
    }
}

impl GraphQl {
    /// Serves what is deployed on an engine, now and from now on.
    ///
    /// # Errors
    /// If the limits can't be, or what is deployed can't be served as GraphQL.
    pub async fn new(engine: Engine, limits: Limits) -> Result<Self, String> {
        limits.check()?;
        let served = Arc::new(ArcSwap::from_pointee(Served::of(&engine.catalogue(), &limits)?));
        engine.add_surface(Arc::new(Follower { limits: limits.clone(), served: served.clone() })).await?;
        Ok(Self(Arc::new(Inner { limits, served, backend: Arc::new(engine) })))
    }

    /// Serves plugins from a backend of a test.
    #[cfg(test)]
    pub(crate) fn over(plugins: &[Source<'_>], backend: Arc<dyn Backend>, limits: Limits) -> Result<Self, String> {
        let served = Arc::new(ArcSwap::from_pointee(Served::new(plugins, Arc::default(), &limits)?));
        Ok(Self(Arc::new(Inner { limits, served, backend })))
    }

    /// Serves other plugins from now on.
    #[cfg(test)]
    pub(crate) fn redeploy(&self, plugins: &[Source<'_>]) {
        self.0.served.store(Arc::new(Served::new(plugins, Arc::default(), &self.0.limits).unwrap()));
    }

    /// How many documents are kept of what is deployed at present.
    #[cfg(test)]
    pub(crate) fn documents_kept(&self) -> usize {
        self.0.served.load().documents.len()
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The schema of what is deployed at present, in the schema definition language.
    #[must_use]
    pub fn sdl(&self) -> String {
        self.0.served.load().schema.sdl()
    }

    /// The same, as it is sent.
    pub(crate) fn served_sdl(&self) -> Sdl {
        let served = self.0.served.load();
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
        let refuse = |error: Error| vec![error.whole()];
        let limits = &self.0.limits;
        let deadline = Instant::now() + Duration::from_millis(limits.timeout_ms);
        let served = self.0.served.load_full();
        let (text, operation_name) = (request.query, request.operation_name);
        let known = served.documents.find(&text, operation_name.as_deref());
        let is_new = known.is_none();
        let prepared = match known {
            Some(prepared) => prepared,
            None => {
                let document = document::parse(&text, limits).map_err(|e| vec![e])?;
                Arc::new(Prepared::new(document, text, operation_name))
            }
        };
        let document = &prepared.document;
        let operation = document::operation(document, prepared.operation_name()).map_err(refuse)?;
        match operation.node.ty {
            OperationType::Mutation if request.read_only => return Ok(Response::read_only()),
            OperationType::Subscription => {
                return Err(refuse(Error::input("subscriptions can't be answered over plain HTTP requests")));
            }
            _ => {}
        }
        let variables = Variables::new(&operation.node, &request.variables);
        if is_new || !prepared.weighs_the_same {
            cost::check(&served.api, limits, document, operation, &variables).map_err(refuse)?;
        }
        let roots = execute::roots(&served.api, document, &operation.node, &variables)?;
        variables.check().map_err(|errors| errors.iter().map(Error::whole).collect::<Vec<_>>())?;
        let introspection =
            if is_new || !prepared.stays_valid { served.validate(&prepared, &variables).await? } else { Value::Null };
        if is_new {
            served.documents.keep(&prepared);
        }

        let execution = Execution {
            api: &served.api,
            limits,
            backend: self.0.backend.as_ref(),
            deployed: &served.catalogue,
            server: &served.server,
            caller: &request.caller,
            document,
            variables: &variables,
            introspection,
            deadline,
            errors: Mutex::default(),
            receipts: Mutex::default(),
            seen: Seen::default(),
        };
        let run = execution.run(operation, roots);
        if document::is_mutation(&operation.node) {
            // It holds its fields to the deadline one by one, and answers with those that are done.
            return Ok(run.await);
        }
        let limit_ms = limits.timeout_ms;
        timeout_at(deadline, run).await.map_err(|_| refuse(Error::Timeout { limit_ms }))
    }
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
