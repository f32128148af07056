//! Named queries: reads that a guest answers, because no filter over a table says them.
//!
//! A query passes, in this order: its name, its size, its schema, the room that there is. Only then is the guest asked, on
//! a thread that may wait for the database. What it answers is held against its manifest before anybody sees it.

mod rows;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use metrics::{counter, histogram};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;
use yado_model::schema::Problem;
use yado_model::{Actor, CommandId, Context, EntityId, Name, TenantId, Timestamp};
use yado_runtime::{Fault, FaultKind};

use crate::catalogue::{Catalogue, QueryType};
use crate::error::{fault, misbehaved};
use crate::reads::QueryBus;
use crate::stream::stopping;
use crate::{Error, Result, Settings, entropy};

use rows::ReadRows;

/// When it is worth asking again while all places are taken.
const BUSY_MS: u64 = 100;

/// A named query to ask.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Whose data it reads.
    pub tenant: TenantId,
    /// The query's name.
    pub query: Name,
    /// Its arguments: an object, not checked yet.
    pub arguments: Value,
    /// Who asks.
    pub actor: Option<Actor>,
    /// What ties this request to others; by default it begins a correlation of its own.
    pub correlation_id: Option<Uuid>,
}

/// The way to guests that answer queries.
#[derive(Clone)]
pub(crate) struct Queries {
    reads: QueryBus,
    settings: Arc<Settings>,
    room: Room,
}

impl Queries {
    pub(crate) fn new(reads: QueryBus, settings: Arc<Settings>) -> Self {
        let room = Room::new(settings.queries_max, settings.queries_waiting);
        Self { reads, settings, room }
    }

    /// Has a query answered, within the time that a query may take.
    pub(crate) async fn ask(&self, catalogue: &Catalogue, ask: Ask) -> Result<Value> {
        let began = Instant::now();
        let answer = self.checked(catalogue, ask).await;
        let outcome = match &answer {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.code().as_str().to_ascii_lowercase(),
        };
        counter!("yado_queries_total", "outcome" => outcome).increment(1);
        histogram!("yado_query_seconds").record(began.elapsed());
        answer
    }

    async fn checked(&self, catalogue: &Catalogue, ask: Ask) -> Result<Value> {
        let Some(query) = catalogue.query(&ask.query) else {
            return Err(Error::Unknown { kind: "query", name: ask.query.to_string() });
        };
        let refuse = |problems| Err(Error::BadInput { what: ask.query.to_string(), problems });
        let (arguments, most) = (ask.arguments.to_string(), self.settings.payload_bytes);
        if arguments.len() > most {
            let message = format!("the arguments have {} bytes, and {most} is the most", arguments.len());
            return refuse(vec![Problem { path: Vec::new(), message }]);
        }
        let problems = query.check(&ask.arguments);
        if !problems.is_empty() {
            return refuse(problems);
        }
        let (what, limit_ms) = (format!("the query {}", ask.query), self.settings.query_ms);
        let answered = tokio::time::timeout(Duration::from_millis(limit_ms), self.answer(query, &ask, arguments));
        answered.await.unwrap_or(Err(Error::Late { what, limit_ms }))
    }

    /// Asks the guest as soon as there is room.
    async fn answer(&self, query: &Arc<QueryType>, ask: &Ask, arguments: String) -> Result<Value> {
        let place = self.room.enter().await?;
        admit(query, &ask.tenant)?;
        // A guest can't be interrupted from here. It keeps its place until it ends, and reads no more once this is gone.
        let caller = Arc::new(());
        let call = Call {
            rows: self.rows(query, &ask.tenant, Arc::downgrade(&caller)),
            query: query.clone(),
            tenant: ask.tenant.clone(),
            arguments,
            context: context(ask)?,
        };
        let answered = tokio::task::spawn_blocking(move || {
            let _place = place;
            call.run()
        });
        let answered = answered.await.unwrap_or_else(|error| {
            tracing::error!(%error, query = %ask.query, "the thread that answers a query has ended");
            Err(stopping())
        });
        drop(caller);
        answered
    }

    fn rows(&self, query: &Arc<QueryType>, tenant: &TenantId, caller: Weak<()>) -> ReadRows {
        let most = self.settings.query_rows_bytes;
        ReadRows::new(query.models.clone(), tenant.clone(), self.reads.clone(), Handle::current(), caller, most)
    }
}

/// Everything that asking a guest takes.
struct Call {
    query: Arc<QueryType>,
    tenant: TenantId,
    arguments: String,
    context: Context,
    rows: ReadRows,
}

impl Call {
    /// Asks the guest. It may compute for seconds, and may read the database on the way: this blocks.
    fn run(self) -> Result<Value> {
        let Self { query, tenant, arguments, context, rows } = self;
        let name = query.manifest.name.as_str();
        let (_, answer) = query.deployed.plugin.answer(&tenant, name, &arguments, &context, rows);
        match &answer {
            Err(fault) if fault.kind == FaultKind::Deadline => query.breaker.overran(&tenant, name, Instant::now()),
            _ => query.breaker.ended(&tenant, name),
        }
        let answer = answer.map_err(failed)?.map_err(|rejection| Error::Rejected(Box::new(rejection)))?;
        match query.check_answer(&answer) {
            Ok(()) => Ok(answer),
            Err(reason) => Err(misbehaved(&query.deployed, "queries.answer", &reason)),
        }
    }
}

/// Leaves a guest alone that has run past its deadline at this query too often of late.
fn admit(query: &QueryType, tenant: &TenantId) -> Result<()> {
    let name = &query.manifest.name;
    query.breaker.admit(tenant, name.as_str(), Instant::now()).map_err(|retry_after_ms| Error::Unavailable {
        reason: format!(
            "the plugin {} has run past its deadline at {name} again and again, and is left alone for a moment",
            query.deployed.manifest().name
        ),
        retry_after_ms,
    })
}

/// What the caller is told of a call that came to nothing. If the rows could not be had, that says why.
fn failed(mut failure: Fault) -> Error {
    match failure.source.take().map(|source| source.downcast::<Error>()) {
        Some(Ok(error)) => *error,
        Some(Err(source)) => {
            failure.source = Some(source);
            fault(&failure)
        }
        None => fault(&failure),
    }
}

/// The circumstances of a query. It addresses no instance: the id is that of the request.
fn context(ask: &Ask) -> Result<Context> {
    let request = entropy::uuid_v7();
    let id = EntityId::parse(&request.to_string()).map_err(|invalid| Error::BadInput {
        what: ask.query.to_string(),
        problems: vec![Problem { path: Vec::new(), message: invalid.to_string() }],
    })?;
    Ok(Context {
        tenant: ask.tenant.clone(),
        id,
        now: Timestamp::now(),
        actor: ask.actor.clone(),
        command_id: CommandId(request),
        correlation_id: ask.correlation_id.unwrap_or(request),
        seed: entropy::seed(),
    })
}

/// Places for guests that answer, and for queries that wait for one.
#[derive(Clone)]
struct Room {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Room {
    fn new(places: usize, waiting: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: Arc::new(Semaphore::new(waiting)) }
    }

    /// A place, now or when one is free. Whoever would be one too many to wait is refused at once.
    async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let _turn = self.waiting.try_acquire().map_err(|_| Error::Unavailable {
            reason: "the queries that are under way take all the room that there is".into(),
            retry_after_ms: BUSY_MS,
        })?;
        self.places.clone().acquire_owned().await.map_err(|_| stopping())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_query_waits_for_a_place_or_is_refused_where_too_many_wait() {
        let room = Room::new(1, 1);
        let place = room.enter().await.unwrap();
        let mut second = Box::pin(room.enter());
        assert!(second.as_mut().now_or_never().is_none());
        let refused = room.enter().await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { retry_after_ms: BUSY_MS, .. }), "{refused}");
        drop(place);
        let place = second.await.unwrap();
        // Who waited has left room for another to wait.
        assert!(room.enter().now_or_never().is_none());
        drop(place);
        assert!(room.enter().await.is_ok());
    }

    #[test]
    fn what_kept_the_rows_away_is_told_and_the_rest_is_the_plugins_fault() {
        let of = |kind, source| Fault {
            plugin: "baskets".into(),
            digest: yado_model::Digest::of(b""),
            function: "queries.answer",
            kind,
            detail: String::new(),
            source,
        };
        let away = Error::Unavailable { reason: "the database is away".into(), retry_after_ms: 5 };
        let told = failed(of(FaultKind::Host, Some(Box::new(away))));
        assert_eq!(told.to_string(), "the database is away; try again in 5 ms");
        let other = failed(of(FaultKind::Host, Some("no disk".into())));
        assert!(matches!(other, Error::PluginFault { .. }), "{other}");
        assert!(matches!(failed(of(FaultKind::Trap, None)), Error::PluginFault { .. }));
    }
}
