//! Named queries: rows of a read model by conditions that a manifest declares, or what a guest answers because no filter
//! over a table says it.
//!
//! A query passes its size and its schema. A declared one is then [read](declared) from its table. For any other there must
//! be room for guests; only then is the guest asked, on a thread that may wait for the database. What it answers is held
//! against its manifest before anybody sees it.

mod answered;
mod declared;
mod rows;

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use uuid::Uuid;
use yado_model::schema::Problem;
use yado_model::{Actor, CommandId, Context, EntityId, Name, TenantId, Timestamp};
use yado_runtime::{Fault, FaultKind};

use crate::catalogue::QueryType;
use crate::error::{fault, misbehaved};
use crate::layers::places::Places;
use crate::reads::QueryBus;
use crate::stream::stopping;
use crate::{Error, Result, Settings, entropy};

pub use answered::{Answered, PageOptions};
use rows::ReadRows;

/// A named query to ask.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Whose data it reads.
    pub tenant: TenantId,
    /// The query's name.
    pub query: Name,
    /// Its arguments: an object, not checked yet.
    pub arguments: Value,
    /// How many of the rows of a declared query.
    pub page: PageOptions,
    /// Who asks.
    pub actor: Option<Actor>,
    /// What ties this request to others; by default it begins a correlation of its own.
    pub correlation_id: Option<Uuid>,
}

/// The way to tables and guests that answer queries.
#[derive(Clone)]
pub(crate) struct Queries {
    reads: QueryBus,
    settings: Arc<Settings>,
    /// Room for guests, each of which has a thread of its own while it answers.
    guests: Places,
}

impl Queries {
    pub(crate) fn new(reads: QueryBus, settings: Arc<Settings>) -> Self {
        let guests = Places::new(settings.guest_queries_max, settings.queries_waiting);
        Self { reads, settings, guests }
    }

    /// Has a query answered, with rows that are read as those of the request are, or by a guest, whose reads have limits of
    /// their own. How long that may take is for whoever waits for it to say.
    pub(crate) async fn ask(&self, query: &Arc<QueryType>, reads: &QueryBus, ask: Ask) -> Result<Answered> {
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
        match query.declared() {
            Some(rows) => declared::ask(reads, rows, &ask).await,
            None => self.answer(query, &ask, arguments).await.map(Answered::Json),
        }
    }

    /// Asks the guest as soon as there is room.
    async fn answer(&self, query: &Arc<QueryType>, ask: &Ask, arguments: String) -> Result<Value> {
        let place = self.guests.enter().await?;
        admit(query, &ask.tenant)?;
        // A guest can't be interrupted from here. It keeps its place until it ends, and reads no more once this is gone:
        // what it waits for then is given up at once, so a database that is slow holds no place for longer than somebody
        // waits for the answer.
        let (caller, gone) = watch::channel(());
        let call = Call {
            rows: self.rows(query, &ask.tenant, gone),
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

    fn rows(&self, query: &Arc<QueryType>, tenant: &TenantId, caller: watch::Receiver<()>) -> ReadRows {
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

#[cfg(test)]
mod tests {
    use super::*;

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
