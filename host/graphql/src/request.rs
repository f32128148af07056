//! A request as this crate gets it, and its answer.

use std::borrow::Cow;

use async_graphql::{Name, ServerError, Value};
use serde::{Serialize, Serializer};
use serde_json::Map;
use uuid::Uuid;
use yado_engine::{Cursor, Receipt};
use yado_model::{Actor, IdempotencyKey, Position, TenantId};

use crate::error::Error;
use crate::write;

/// Room for what stands beside the data of an answer.
const JSON_BYTES: usize = 256;

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
    /// What queries are to show at least, where they don't say so themselves. A mutation waits for its own change.
    pub min_position: Option<Position>,
    /// What a subscription has been told before it was cut off, whatever place it says to begin at.
    pub told: Option<Cursor>,
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

/// What there is to know beside the data.
#[derive(Debug, Serialize)]
struct Extensions {
    /// Of what was recorded the last, and of what was read the least that was shown.
    position: Position,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "by_name")]
    receipts: Vec<(Name, Receipt)>,
    /// The place of what is told, for whoever wants to go on behind it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    cursor: Option<Cursor>,
}

fn as_text<S: Serializer>(cursor: &Option<Cursor>, serializer: S) -> Result<S::Ok, S::Error> {
    match cursor {
        Some(cursor) => serializer.collect_str(cursor),
        None => serializer.serialize_none(),
    }
}

/// Where a command was recorded, as it is told.
#[derive(Serialize)]
struct Recorded<'r> {
    id: &'r str,
    revision: u64,
    position: u64,
}

impl<'r> From<&'r Receipt> for Recorded<'r> {
    fn from(receipt: &'r Receipt) -> Self {
        Self { id: receipt.stream.id(), revision: receipt.revision.get(), position: receipt.position.get() }
    }
}

fn by_name<S: Serializer>(receipts: &[(Name, Receipt)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(receipts.iter().map(|(name, receipt)| (name.as_str(), Recorded::from(receipt))))
}

/// The answer to a request.
#[derive(Debug)]
pub struct Response {
    /// What was asked for, as JSON. Without it nothing was begun: the request itself is at fault.
    data: Option<Cow<'static, str>>,
    errors: Vec<ServerError>,
    /// What there is to know beside the data.
    extensions: Option<Extensions>,
    /// Whether the request was refused for what it would change.
    changes: bool,
}

impl Response {
    /// An answer. The data is JSON.
    pub(crate) const fn new(data: Cow<'static, str>, errors: Vec<ServerError>) -> Self {
        Self { data: Some(data), errors, extensions: None, changes: false }
    }

    /// Says where commands were recorded, by the name under which each was asked for, or what was seen where there are none.
    pub(crate) fn with_extensions(mut self, receipts: Vec<(Name, Receipt)>, seen: Option<Position>) -> Self {
        let recorded = receipts.iter().map(|(_, receipt)| receipt.position).max();
        self.extensions = recorded.or(seen).map(|position| Extensions { position, receipts, cursor: None });
        self
    }

    /// Says at which place what is told has happened.
    pub(crate) fn at(mut self, cursor: Cursor) -> Self {
        self.extensions = Some(Extensions { position: cursor.position, receipts: Vec::new(), cursor: Some(cursor) });
        self
    }

    /// The errors, as a JSON list.
    pub(crate) fn errors_to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.errors).unwrap_or_else(|_| b"[]".to_vec())
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

    /// The position of the last change that the request has recorded. If it has recorded none, everything up to here is in
    /// what it has read; nothing, if it has not read anything either.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.extensions.as_ref().map(|extensions| extensions.position)
    }

    /// The code of the first error.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self.errors.first()?.extensions.as_ref()?.get("code")? {
            Value::String(code) => Some(code),
            _ => None,
        }
    }

    /// The answer as a JSON document in UTF-8.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        self.to_text().into_bytes()
    }

    /// The answer as a JSON document.
    pub(crate) fn to_text(&self) -> String {
        let data = self.data.as_deref();
        let mut json = String::with_capacity(data.map_or(0, str::len) + JSON_BYTES);
        let name = |json: &mut String, name| {
            json.push(if json.is_empty() { '{' } else { ',' });
            write::string(name, json);
            json.push(':');
        };
        if let Some(data) = data {
            name(&mut json, "data");
            json.push_str(data);
        }
        // Their parts have string keys only, and nothing else could make it fail.
        if !self.errors.is_empty() {
            name(&mut json, "errors");
            write::serialized(&self.errors, &mut json);
        }
        if let Some(extensions) = &self.extensions {
            name(&mut json, "extensions");
            write::serialized(extensions, &mut json);
        }
        json.push_str(if json.is_empty() { "{}" } else { "}" });
        json
    }
}
