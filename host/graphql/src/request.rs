//! A request as this crate gets it, and its answer.

use async_graphql::{Name, ServerError, Value};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::Map;
use uuid::Uuid;
use yado_engine::{Cursor, Receipt};
use yado_model::{Actor, IdempotencyKey, Position, TenantId};

use crate::error::Error;

/// Room for the answer to a command, and for small ones to queries.
const JSON_BYTES: usize = 512;

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

/// What is answered: values, in the lists and under the names by which they were asked for. Names that were asked for twice
/// have been merged, so that an object is a list of its fields, which costs less than a map to make and to write.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Value(Value),
    /// A number of the host's own. Other numbers carry the text that they were written in.
    Count(u64),
    List(Vec<Self>),
    Object(Vec<(Name, Self)>),
}

impl Data {
    pub(crate) const NULL: Self = Self::Value(Value::Null);

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Value(Value::Null))
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name.as_str(), value)?;
                }
                map.end()
            }
        }
    }
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
#[derive(Debug, Serialize)]
pub struct Response {
    /// What was asked for. Without it nothing was begun: the request itself is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ServerError>,
    /// What there is to know beside the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Extensions>,
    /// Whether the request was refused for what it would change.
    #[serde(skip)]
    changes: bool,
}

impl Response {
    pub(crate) const fn new(data: Data, errors: Vec<ServerError>) -> Self {
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
        let mut json = Vec::with_capacity(JSON_BYTES);
        // Its parts have string keys only, and nothing else could make it fail.
        match serde_json::to_writer(&mut json, self) {
            Ok(()) => json,
            Err(_) => br#"{"errors":[{"message":"no answer"}]}"#.to_vec(),
        }
    }
}
