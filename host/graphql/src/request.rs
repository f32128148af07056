//! A request as this crate gets it, and its answer.

use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, ServerError, Value};
use serde::Serialize;
use serde_json::Map;
use uuid::Uuid;
use yado_model::{Actor, IdempotencyKey, TenantId};

use crate::error::Error;

/// Who asks, and under what circumstances.
#[derive(Debug, Default, Clone)]
pub struct Caller {
    /// Whose data it is about.
    pub tenant: TenantId,
    /// Who asks, where that is known.
    pub actor: Option<Actor>,
    /// The caller's name for this request. Of a document with several mutations each gets a key of its own out of it.
    pub idempotency_key: Option<IdempotencyKey>,
    /// What ties the request to others.
    pub correlation_id: Option<Uuid>,
}

/// A GraphQL request.
#[derive(Debug, Default, Clone)]
pub struct Request {
    /// The document.
    pub query: String,
    /// Which of its operations to run; must be given if there are several.
    pub operation_name: Option<String>,
    /// The values of its variables.
    pub variables: Map<String, serde_json::Value>,
    /// Whether it may change something.
    pub read_only: bool,
    /// Who asks.
    pub caller: Caller,
}

/// The answer to a request.
#[derive(Debug, Serialize)]
pub struct Response {
    /// What was asked for. Without it nothing was begun: the request itself is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ServerError>,
    /// What there is to know beside the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Value>,
    /// Whether the request was refused for what it would change.
    #[serde(skip)]
    changes: bool,
}

impl Response {
    pub(crate) const fn new(data: Value, errors: Vec<ServerError>) -> Self {
        Self { data: Some(data), errors, extensions: None, changes: false }
    }

    /// Says where commands were recorded, by the name under which each was asked for.
    pub(crate) fn with_receipts(mut self, receipts: IndexMap<Name, Value>) -> Self {
        if !receipts.is_empty() {
            let all = IndexMap::from([(Name::new("receipts"), Value::Object(receipts))]);
            self.extensions = Some(Value::Object(all));
        }
        self
    }

    pub(crate) const fn refused(errors: Vec<ServerError>) -> Self {
        Self { data: None, errors, extensions: None, changes: false }
    }

    pub(crate) fn read_only() -> Self {
        let error = Error::input("a mutation can't be sent by GET: send it by POST");
        Self { data: None, errors: vec![error.whole()], extensions: None, changes: true }
    }

    /// Whether nothing was begun, because the request itself is at fault.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.data.is_none()
    }

    /// Whether it was refused because it would change something, and may not.
    #[must_use]
    pub const fn is_refused_change(&self) -> bool {
        self.changes
    }

    /// What was asked for, as far as there is an answer.
    #[must_use]
    pub const fn data(&self) -> Option<&Value> {
        self.data.as_ref()
    }

    /// The code of the first error.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self.errors.first()?.extensions.as_ref()?.get("code")? {
            Value::String(code) => Some(code),
            _ => None,
        }
    }

    /// The answer as a JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Its parts have string keys only, and nothing else could make it fail.
        serde_json::to_string(self).unwrap_or_else(|_| r#"{"errors":[{"message":"no answer"}]}"#.to_owned())
    }
}
