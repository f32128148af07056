//! A request that has been read: its document is parsed, or known already, and its operation chosen.
//!
//! It keeps the deployment that it was read by. Requests are answered once and gone; what a subscription follows stays
//! open, and is held against the next deployment when there is one.

use std::sync::{Arc, Mutex};

use async_graphql::parser::types::{OperationDefinition, OperationType};
use async_graphql::{Positioned, ServerError, Value};
use serde_json::{Map, Value as Json};
use yado_engine::{Circumstances, Until};

use crate::backend::{Backend, Session};
use crate::documents::Prepared;
use crate::error::Error;
use crate::execute::{self, Execution, Root, Seen};
use crate::graphql::Served;
use crate::input::Variables;
use crate::request::{Caller, Request};
use crate::{Limits, cost, document};

/// A request that has been read.
pub(crate) struct Opened {
    pub(crate) served: Arc<Served>,
    pub(crate) prepared: Arc<Prepared>,
    /// Whether its document has not been found sound yet.
    is_new: bool,
    pub(crate) variables: Map<String, Json>,
    pub(crate) caller: Caller,
}

/// What has been found of a request that is sound.
pub(crate) struct Sound<'r> {
    pub(crate) roots: Vec<Root<'r>>,
    /// What it asks about the schema itself, answered.
    pub(crate) introspection: Value,
}

impl Opened {
    /// Reads a request by a deployment.
    ///
    /// # Errors
    /// If its document can't be parsed, or it is not clear which operation is meant.
    pub(crate) fn read(served: Arc<Served>, limits: &Limits, request: Request) -> Result<Self, Vec<ServerError>> {
        let Request { query, operation_name, variables, read_only: _, caller } = request;
        let known = served.documents.find(&query, operation_name.as_deref());
        let is_new = known.is_none();
        let prepared = match known {
            Some(prepared) => prepared,
            None => {
                let document = document::parse(&query, limits).map_err(|e| vec![e])?;
                Arc::new(Prepared::new(&served.api, document, query, operation_name))
            }
        };
        let opened = Self { served, prepared, is_new, variables, caller };
        opened.operation()?;
        Ok(opened)
    }

    /// The same request, by another deployment.
    pub(crate) fn by(&self, served: Arc<Served>) -> Self {
        let before = &self.prepared;
        let known = served.documents.find(before.text(), before.operation_name());
        let is_new = known.is_none();
        // What depends on variables is another deployment's to say anew.
        let anew = || {
            let (text, operation_name) = (before.text().to_owned(), before.operation_name().map(str::to_owned));
            Arc::new(Prepared::new(&served.api, before.document.clone(), text, operation_name))
        };
        let prepared = known.unwrap_or_else(anew);
        let (variables, caller) = (self.variables.clone(), self.caller.clone());
        Self { served, prepared, is_new, variables, caller }
    }

    /// The operation that is to run.
    ///
    /// # Errors
    /// If it is not clear which one that is; what has been read does not fail here.
    pub(crate) fn operation(&self) -> Result<&Positioned<OperationDefinition>, Vec<ServerError>> {
        document::operation(&self.prepared.document, self.prepared.operation_name()).map_err(|e| vec![e.whole()])
    }

    /// What kind of operation that is.
    pub(crate) fn kind(&self) -> Result<OperationType, Vec<ServerError>> {
        Ok(self.operation()?.node.ty)
    }

    /// Weighs it, reads what its own fields are given, and holds it against the schema.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) async fn check<'r>(
        &'r self,
        limits: &'r Limits,
        variables: &'r Variables<'r>,
    ) -> Result<Sound<'r>, Vec<ServerError>> {
        let (served, prepared, operation) = (&self.served, &self.prepared, self.operation()?);
        if self.is_new || !prepared.weighs_the_same {
            let weighed = cost::check(&served.api, limits, &prepared.document, operation, variables);
            weighed.map_err(|error| vec![error.whole()])?;
        }
        let roots = execute::roots(&served.api, &prepared.document, &operation.node, variables)?;
        variables.check().map_err(|errors| errors.iter().map(Error::whole).collect::<Vec<_>>())?;
        let introspection = if self.is_new || !prepared.stays_valid {
            served.validate(prepared, variables, operation.node.ty).await?
        } else {
            Value::Null
        };
        if self.is_new {
            served.documents.keep(prepared);
        }
        Ok(Sound { roots, introspection })
    }

    /// Opens the session that it runs in.
    pub(crate) fn session(&self, backend: &dyn Backend, until: Until) -> Box<dyn Session> {
        let Caller { tenant, actor, correlation_id, .. } = &self.caller;
        let circumstances = Circumstances {
            tenant: tenant.clone(),
            actor: actor.clone(),
            correlation_id: *correlation_id,
            until: Some(until),
        };
        backend.session(&self.served.catalogue, circumstances)
    }

    /// What running it takes.
    pub(crate) fn execution<'a>(
        &'a self,
        limits: &'a Limits,
        session: &'a dyn Session,
        variables: &'a Variables<'a>,
        introspection: Value,
        until: Until,
    ) -> Execution<'a> {
        Execution {
            api: &self.served.api,
            limits,
            session,
            deployed: &self.served.catalogue,
            server: &self.served.server,
            caller: &self.caller,
            document: &self.prepared.document,
            variables,
            introspection,
            until,
            errors: Mutex::default(),
            receipts: Mutex::default(),
            seen: Seen::default(),
        }
    }
}
