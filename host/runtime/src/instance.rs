//! One instance of a plugin: its memory, and the functions that the host calls.

use std::sync::Arc;

use wasmtime::component::InstancePre;
use wasmtime::{Store, Trap, UpdateDeadline};
use yado_model::TenantId;

use crate::Exports;
use crate::bindings::domain::exports::yado::domain::{aggregates, manifest, projections, queries};
use crate::bindings::effect::exports::yado::domain::effects;
use crate::bindings::saga::exports::yado::domain::sagas;
use crate::host::{Host, Identity};
use crate::settings::{Budget, Limits};

/// Where a plugin's functions are, interface by interface.
pub(crate) struct Interfaces {
    manifest: manifest::GuestIndices,
    aggregates: Option<aggregates::GuestIndices>,
    projections: Option<projections::GuestIndices>,
    queries: Option<queries::GuestIndices>,
    sagas: Option<sagas::GuestIndices>,
    effects: Option<effects::GuestIndices>,
}

impl Interfaces {
    /// Finds the functions of the interfaces that a plugin exports.
    pub(crate) fn find(pre: &InstancePre<Host>, exports: Exports) -> wasmtime::Result<Self> {
        Ok(Self {
            manifest: manifest::GuestIndices::new(pre)?,
            aggregates: exports.aggregates.then(|| aggregates::GuestIndices::new(pre)).transpose()?,
            projections: exports.projections.then(|| projections::GuestIndices::new(pre)).transpose()?,
            queries: exports.queries.then(|| queries::GuestIndices::new(pre)).transpose()?,
            sagas: exports.sagas.then(|| sagas::GuestIndices::new(pre)).transpose()?,
            effects: exports.effects.then(|| effects::GuestIndices::new(pre)).transpose()?,
        })
    }
}

/// How instances of a plugin are made.
pub(crate) struct Blueprint {
    pub(crate) pre: InstancePre<Host>,
    pub(crate) interfaces: Interfaces,
    pub(crate) limits: Arc<Limits>,
}

/// One instance. It belongs to one tenant for as long as it lives.
pub(crate) struct Instance {
    pub(crate) store: Store<Host>,
    pub(crate) functions: Functions,
}

/// The functions that are called again and again.
pub(crate) struct Functions {
    pub(crate) aggregates: Option<aggregates::Guest>,
    pub(crate) projections: Option<projections::Guest>,
    pub(crate) queries: Option<queries::Guest>,
}

/// A store, and an instance in it whose functions are not looked up yet.
type Started = (Store<Host>, wasmtime::component::Instance);

impl Blueprint {
    /// Makes an instance for a call. What it executes while it starts counts as part of the call.
    pub(crate) fn instantiate(
        &self,
        identity: &Arc<Identity>,
        tenant: &TenantId,
        budget: Budget,
    ) -> Result<Instance, (Store<Host>, wasmtime::Error)> {
        let (mut store, instance) = self.start(identity, Some(tenant.clone()), budget)?;
        match self.functions(&mut store, &instance) {
            Ok(functions) => Ok(Instance { store, functions }),
            Err(error) => Err((store, error)),
        }
    }

    fn functions(
        &self,
        store: &mut Store<Host>,
        instance: &wasmtime::component::Instance,
    ) -> wasmtime::Result<Functions> {
        let Interfaces { aggregates, projections, queries, .. } = &self.interfaces;
        Ok(Functions {
            aggregates: aggregates.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose()?,
            projections: projections.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose()?,
            queries: queries.as_ref().map(|indices| indices.load(&mut *store, instance)).transpose()?,
        })
    }

    /// Starts an instance that is thrown away, and asks it for its manifest.
    pub(crate) fn describe(&self, identity: &Arc<Identity>) -> Result<String, Undescribed> {
        let (mut store, instance) = self
            .start(identity, None, self.limits.of_manifest())
            .map_err(|(store, error)| Undescribed::Broke(store, error))?;
        let manifest = self.check(&mut store, &instance).map_err(Undescribed::WrongShape)?;
        manifest.call_describe(&mut store).map_err(|error| Undescribed::Broke(store, error))
    }

    /// Holds the types of all functions against the contract, also of those that are not called yet.
    fn check(
        &self,
        store: &mut Store<Host>,
        instance: &wasmtime::component::Instance,
    ) -> wasmtime::Result<manifest::Guest> {
        self.functions(store, instance)?;
        if let Some(indices) = &self.interfaces.sagas {
            indices.load(&mut *store, instance)?;
        }
        if let Some(indices) = &self.interfaces.effects {
            indices.load(&mut *store, instance)?;
        }
        self.interfaces.manifest.load(store, instance)
    }

    fn start(
        &self,
        identity: &Arc<Identity>,
        tenant: Option<TenantId>,
        budget: Budget,
    ) -> Result<Started, (Store<Host>, wasmtime::Error)> {
        let host = Host::new(Arc::clone(identity), tenant, &self.limits);
        let mut store = Store::new(self.pre.engine(), host);
        store.limiter(|host| &mut host.meter);
        store.epoch_deadline_callback(|mut store| match store.data_mut().deadline.may_go_on() {
            Some(epochs) => Ok(UpdateDeadline::Continue(epochs)),
            None => Err(Trap::Interrupt.into()),
        });
        let started = begin(&mut store, &self.limits, budget).and_then(|()| self.pre.instantiate(&mut store));
        match started {
            Ok(instance) => Ok((store, instance)),
            Err(error) => Err((store, error)),
        }
    }
}

impl Instance {
    /// Gets an idle instance ready for another call.
    pub(crate) fn begin(&mut self, limits: &Limits, budget: Budget) -> wasmtime::Result<()> {
        begin(&mut self.store, limits, budget)
    }
}

/// Sets what a call may use up.
fn begin(store: &mut Store<Host>, limits: &Limits, budget: Budget) -> wasmtime::Result<()> {
    store.data_mut().begin(limits, budget.output_bytes);
    let epochs = store.data_mut().deadline.begin(budget.deadline_ms);
    store.set_epoch_deadline(epochs);
    // Bounds what a guest's answer, or the arguments of a call that it makes, may take up here. It is counted before
    // anything is copied, so it also holds for lists whose elements are all the same large text.
    store.set_hostcall_fuel(budget.output_bytes);
    match limits.fuel {
        Some(fuel) => store.set_fuel(fuel),
        None => Ok(()),
    }
}

/// Why there is no manifest.
pub(crate) enum Undescribed {
    /// The plugin broke.
    Broke(Store<Host>, wasmtime::Error),
    /// A function has other types than the contract says.
    WrongShape(wasmtime::Error),
}
