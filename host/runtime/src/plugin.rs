//! A loaded plugin: the calls that it answers.

use std::any::Any;
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use yado_model::{Command, Context, Decision, Digest, Manifest, NewEvent, RecordedEvent, Rejection, TenantId};

use crate::bindings::domain::exports::yado::domain::aggregates;
use crate::bindings::domain::yado::domain::types;
use crate::convert::{self, ContextIds, RecordedRoom};
use crate::host::{Halt, Host, Identity};
use crate::instance::{Blueprint, Functions, Instance};
use crate::rows::Rows;
use crate::runtime::Machine;
use crate::settings::{Budget, Isolation, Limits};
use crate::{Exports, Fault};

/// A loaded plugin. Clones are the same plugin; it goes with the last of them.
///
/// All calls block. Those that decide get no more of the processor than [`Limits::decide_ms`](crate::Limits::decide_ms),
/// which is short enough for a thread that serves requests. `project` and `answer` also wait for their rows, and belong
/// on a thread that may block.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) machine: Arc<Machine>,
    /// Counted up with every load, so that the same file loaded twice is two plugins to the pool.
    pub(crate) number: u64,
    pub(crate) blueprint: Blueprint,
    pub(crate) identity: Arc<Identity>,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) exports: Exports,
    pub(crate) origin: Origin,
}

/// Where a plugin's compiled code came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was compiled when the plugin was loaded.
    Compiled,
    /// It was in the cache.
    Cached,
}

/// A domain's answer, or the domain's no; or no answer at all.
pub type Answer<T> = Result<Result<T, Rejection>, Fault>;

impl Plugin {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(loaded))
    }

    /// What the plugin says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Arc<Manifest> {
        &self.0.manifest
    }

    /// The digest of the file that the plugin was loaded from.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.identity.digest
    }

    /// Which interfaces the plugin exports.
    #[must_use]
    pub fn exports(&self) -> Exports {
        self.0.exports
    }

    /// Where the plugin's compiled code came from.
    #[must_use]
    pub fn loaded_from(&self) -> Origin {
        self.0.origin
    }

    /// Decides what a command comes to. No state means that there is nothing yet, or no longer. The payloads of the
    /// events are the guest's texts, not read yet.
    ///
    /// # Errors
    /// The plugin broke or overran a limit.
    pub fn decide(
        &self,
        tenant: &TenantId,
        aggregate: &str,
        state: Option<&[u8]>,
        command: &Command,
    ) -> Answer<Decision> {
        self.call(tenant, "aggregates.decide", self.limits().of_decision(), |Instance { store, functions }| {
            let mut ids = ContextIds::ROOM;
            let command = convert::command(command, &mut ids);
            let answer = aggregates(functions)?.call_decide(store, aggregate, state, command)?;
            answered(answer, |decision| Ok(convert::decision(decision)))
        })
    }

    /// Folds events into a state. No result means that the thing is gone.
    ///
    /// # Errors
    /// The plugin broke or overran a limit.
    pub fn evolve(
        &self,
        tenant: &TenantId,
        aggregate: &str,
        state: Option<&[u8]>,
        events: &[NewEvent],
    ) -> Result<Option<Vec<u8>>, Fault> {
        self.call(tenant, "aggregates.evolve", self.limits().of_decision(), |Instance { store, functions }| {
            let tags: Vec<Vec<&str>> = events.iter().map(convert::tags).collect();
            let events: Vec<_> = events.iter().zip(&tags).map(|(event, tags)| convert::event(event, tags)).collect();
            aggregates(functions)?.call_evolve(store, aggregate, state, &events)
        })
    }

    /// Turns events of older versions into what the current code reads: one list for each, in their order.
    ///
    /// # Errors
    /// The plugin broke or overran a limit.
    pub fn upcast(
        &self,
        tenant: &TenantId,
        aggregate: &str,
        events: &[&NewEvent],
    ) -> Result<Vec<Vec<NewEvent>>, Fault> {
        self.call(tenant, "aggregates.upcast", self.limits().of_decision(), |Instance { store, functions }| {
            let tags: Vec<Vec<&str>> = events.iter().map(|event| convert::tags(event)).collect();
            let asked: Vec<_> = events.iter().zip(&tags).map(|(event, tags)| convert::event(event, tags)).collect();
            let answered = aggregates(functions)?.call_upcast(store, aggregate, &asked)?;
            Ok(convert::upcast(answered, events.len())?)
        })
    }

    /// Brings read models up to date with events. The rows come back with whatever was written, also after a fault;
    /// whether to keep it is for the caller to decide.
    pub fn project<E: Borrow<RecordedEvent>, R: Rows>(
        &self,
        tenant: &TenantId,
        projection: &str,
        events: &[E],
        rows: R,
    ) -> (R, Result<(), Fault>) {
        self.call_with(tenant, "projections.project", rows, true, |Instance { store, functions }| {
            let mut room: Vec<_> = events.iter().map(|event| RecordedRoom::new(event.borrow())).collect();
            let events: Vec<_> =
                events.iter().zip(&mut room).map(|(event, room)| convert::recorded(event.borrow(), room)).collect();
            let projections = functions.projections.as_ref().ok_or(Halt::NotExported("projections"))?;
            projections.call_project(store, projection, &events)
        })
    }

    /// Answers a named query. A write to the rows is a fault.
    pub fn answer<R: Rows>(
        &self,
        tenant: &TenantId,
        query: &str,
        arguments: &str,
        context: &Context,
        rows: R,
    ) -> (R, Answer<Value>) {
        self.call_with(tenant, "queries.answer", rows, false, |Instance { store, functions }| {
            let mut ids = ContextIds::ROOM;
            let context = convert::context(context, &mut ids);
            let queries = functions.queries.as_ref().ok_or(Halt::NotExported("queries"))?;
            let answer = queries.call_answer(store, query, arguments, context)?;
            answered(answer, |text| {
                serde_json::from_str(&text).map_err(|e| Halt::InvalidOutput(format!("the answer is not JSON: {e}")))
            })
        })
    }

    /// Calls a function that may use rows, and gives them back.
    fn call_with<R: Rows, T>(
        &self,
        tenant: &TenantId,
        function: &'static str,
        rows: R,
        writable: bool,
        body: impl FnOnce(&mut Instance) -> wasmtime::Result<T>,
    ) -> (R, Result<T, Fault>) {
        let mut lent: Option<Box<dyn Rows>> = Some(Box::new(rows));
        let result = self.call(tenant, function, self.limits().of_projection(), |instance| {
            instance.store.data_mut().lent.exchange(&mut lent, writable);
            let result = body(instance);
            instance.store.data_mut().lent.exchange(&mut lent, false);
            result
        });
        let rows = lent.and_then(|rows| (rows as Box<dyn Any>).downcast::<R>().ok());
        (*rows.expect("what was lent above is given back below, and nothing else is ever in its place"), result)
    }

    fn limits(&self) -> &Limits {
        &self.0.blueprint.limits
    }

    fn call<T>(
        &self,
        tenant: &TenantId,
        function: &'static str,
        budget: Budget,
        body: impl FnOnce(&mut Instance) -> wasmtime::Result<T>,
    ) -> Result<T, Fault> {
        let Loaded { machine, number, blueprint, identity, .. } = &*self.0;
        let limits = &*blueprint.limits;
        let _keeping = machine.clock.keep();
        let idle = match machine.isolation {
            Isolation::Pooled => machine.pool.take(*number, tenant),
            Isolation::PerCall => None,
        };
        let mut instance = match idle {
            Some(mut instance) => match instance.begin(limits, budget) {
                Ok(()) => instance,
                Err(error) => return Err(instance.store.data_mut().fault(function, error)),
            },
            None => blueprint
                .instantiate(identity, tenant, budget)
                .map_err(|(mut store, error)| store.data_mut().fault(function, error))?,
        };
        // An instance that has failed ends here: whatever it was in the middle of, nobody meets it again.
        let answer = body(&mut instance).map_err(|error| instance.store.data_mut().fault(function, error))?;
        let host: &Host = instance.store.data();
        if machine.isolation == Isolation::Pooled && host.meter.memory() <= limits.idle_memory_bytes {
            machine.pool.put(*number, tenant, instance);
        }
        Ok(answer)
    }
}

fn aggregates(functions: &Functions) -> Result<&aggregates::Guest, Halt> {
    functions.aggregates.as_ref().ok_or(Halt::NotExported("aggregates"))
}

fn answered<G, T>(
    answer: Result<G, types::Rejection>,
    convert: impl FnOnce(G) -> Result<T, Halt>,
) -> wasmtime::Result<Result<T, Rejection>> {
    match answer {
        Ok(answer) => Ok(Ok(convert(answer)?)),
        Err(rejection) => Ok(Err(convert::rejection(rejection)?)),
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { plugin, digest } = &*self.0.identity;
        f.debug_struct("Plugin").field("name", plugin).field("digest", digest).finish_non_exhaustive()
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.machine.pool.forget(self.number);
    }
}
