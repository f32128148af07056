//! Where what is told comes from: the journals of read models, and the log.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};
use yado_engine::{ChangeKind, ChangeStream, Changed, Cursor, Engine, Error, EventPage, Events, Filter, Model, Result};
use yado_model::schema::Problem;
use yado_model::{Code, Name, Position, RecordedEvent, TenantId};

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Topic {
    /// Events of the log; where something is given, only those that it holds of.
    Events {
        /// Of these aggregates.
        aggregates: Option<Vec<String>>,
        /// Of these names.
        names: Option<Vec<String>>,
        /// Of what has this id.
        id: Option<String>,
    },
    /// Changes of rows; where something is given, only those that it holds of.
    Changes {
        /// Of which read model.
        model: Name,
        /// It as it is deployed.
        deployed: Option<Arc<Model>>,
        /// What has become of the row.
        kind: ChangeKind,
        /// Of the row with this key.
        key: Option<String>,
        /// Of rows of which this holds.
        filter: Option<Filter>,
    },
}

/// Something that has happened.
#[derive(Debug, Clone)]
pub(crate) struct Happened {
    /// Its place.
    pub(crate) cursor: Cursor,
    /// What is told of it.
    pub(crate) value: Json,
    /// The length of the text that this was read from.
    pub(crate) bytes: usize,
}

/// Why it is not known what happens next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether another attempt may do better.
    pub(crate) passes: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let passes = error.code() == Code::Unavailable;
        Self { error, passes }
    }
}

/// Where what is told comes from.
#[async_trait]
pub(crate) trait Source: Send + Sync {
    /// Follows a topic from a place on; from now on, if there is none.
    ///
    /// # Errors
    /// If it can't be followed.
    fn follow(&self, topic: &Topic, tenant: &TenantId, after: Option<Cursor>) -> Result<Box<dyn Followed>>;

    /// Whether anything has been recorded at a position or behind it.
    ///
    /// # Errors
    /// If that can't be found out.
    async fn has_come_to(&self, position: Position) -> Result<bool>;
}

/// What is followed.
#[async_trait]
pub(crate) trait Followed: Send {
    /// What happens next of a topic, which must be one of the same kind as at the beginning; nothing, once everything up to
    /// a place has been told, and nothing as well when it begins that had not begun yet, so that its place is known from then
    /// on. Whoever stops waiting misses nothing.
    ///
    /// # Errors
    /// If that is not known. What passes may be asked again, and misses nothing.
    async fn next(&mut self, topic: &Topic, until: Option<Cursor>) -> Result<Option<Happened>, Failure>;

    /// The same, if it is at hand already.
    ///
    /// # Errors
    /// Those of [`Followed::next`].
    fn at_hand(&mut self, topic: &Topic) -> Result<Option<Happened>, Failure>;

    /// Everything up to here has been told, or was not to be. Nothing, if it has not begun yet.
    fn reached(&self) -> Option<Cursor>;
}

#[async_trait]
impl Source for Engine {
    fn follow(&self, topic: &Topic, tenant: &TenantId, after: Option<Cursor>) -> Result<Box<dyn Followed>> {
        Ok(match topic {
            Topic::Events { .. } => {
                let events = self.events(after.map(|after| after.position));
                Box::new(OfLog { events, page: None, at: 0, tenant: tenant.clone() })
            }
            Topic::Changes { model, .. } => Box::new(self.watch(model, tenant, after)?),
        })
    }

    async fn has_come_to(&self, position: Position) -> Result<bool> {
        self.events(Some(position)).is_reached().await
    }
}

/// Events of a tenant.
struct OfLog {
    events: Events,
    /// What is told at present, and how far that is.
    page: Option<EventPage>,
    at: usize,
    tenant: TenantId,
}

#[async_trait]
impl Followed for OfLog {
    async fn next(&mut self, topic: &Topic, until: Option<Cursor>) -> Result<Option<Happened>, Failure> {
        loop {
            if let Some(happened) = self.at_hand(topic)? {
                return Ok(Some(happened));
            }
            if until.is_some_and(|until| self.events.position() >= until.position) {
                return Ok(None);
            }
            self.page = Some(self.events.next().await?);
            self.at = 0;
        }
    }

    fn at_hand(&mut self, topic: &Topic) -> Result<Option<Happened>, Failure> {
        let Some(page) = &self.page else { return Ok(None) };
        let found = page.iter().enumerate().skip(self.at).find(|(_, event)| self.is_told(topic, event));
        let Some((at, event)) = found else {
            self.page = None;
            return Ok(None);
        };
        let (cursor, bytes) = (Cursor::all_of(event.position), event.event.payload.len());
        let happened = Happened { cursor, value: shown(event)?, bytes };
        self.at = at + 1;
        Ok(Some(happened))
    }

    fn reached(&self) -> Option<Cursor> {
        let told = self.page.as_ref().and_then(|page| page.iter().nth(self.at.checked_sub(1)?));
        let position = match (&self.page, told) {
            (Some(_), Some(event)) => event.position,
            _ => self.events.position(),
        };
        Some(Cursor::all_of(position))
    }
}

impl OfLog {
    fn is_told(&self, topic: &Topic, event: &RecordedEvent) -> bool {
        let Topic::Events { aggregates, names, id } = topic else { return false };
        let among = |wanted: &Option<Vec<String>>, known: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| wanted == known))
        };
        event.tenant == self.tenant
            && among(names, &event.event.name)
            && among(aggregates, event.stream.aggregate())
            && id.as_ref().is_none_or(|id| id == event.stream.id())
    }
}

/// An event as it is told.
fn shown(event: &RecordedEvent) -> Result<Json, Failure> {
    let payload: Json = serde_json::from_str(&event.event.payload).map_err(|error| {
        tracing::error!(%error, position = %event.position, "the payload of an event in the log is not JSON");
        unreadable()
    })?;
    Ok(json!({
        "position": event.position.get(),
        "aggregate": event.stream.aggregate(),
        "id": event.stream.id(),
        "revision": event.revision.get(),
        "name": event.event.name,
        "version": event.event.version,
        "payload": payload,
        "recordedAt": event.recorded_at.to_string(),
        "commandId": event.command.command_id.0.to_string(),
        "correlationId": event.command.correlation_id.to_string(),
        "causationId": event.command.causation_id.map(|id| id.to_string()),
        "actor": event.command.actor.as_ref().map(ToString::to_string),
    }))
}

/// The place before which there is none.
const FIRST: Cursor = Cursor { position: Position::new(0), place: 0 };

#[async_trait]
impl Followed for ChangeStream {
    async fn next(&mut self, topic: &Topic, until: Option<Cursor>) -> Result<Option<Happened>, Failure> {
        loop {
            // What has not begun has handed out everything up to the very first place as soon as it begins.
            let begins = self.cursor().is_none().then_some(FIRST);
            let Some(changed) = self.next_until(until.or(begins)).await? else { return Ok(None) };
            if let Some(happened) = told(topic, &changed)? {
                return Ok(Some(happened));
            }
        }
    }

    fn at_hand(&mut self, topic: &Topic) -> Result<Option<Happened>, Failure> {
        while let Some(changed) = self.ready() {
            if let Some(happened) = told(topic, &changed)? {
                return Ok(Some(happened));
            }
        }
        Ok(None)
    }

    fn reached(&self) -> Option<Cursor> {
        self.cursor()
    }
}

/// A change, if it is to be told.
fn told(topic: &Topic, changed: &Changed) -> Result<Option<Happened>, Failure> {
    let Topic::Changes { deployed, kind, key, filter, .. } = topic else { return Ok(None) };
    if changed.kind != *kind || key.as_ref().is_some_and(|key| *key != changed.key) {
        return Ok(None);
    }
    let row: Map<String, Json> = serde_json::from_str(&changed.row).map_err(|error| {
        tracing::error!(%error, model = %changed.model, position = %changed.position, "a row in a journal is not JSON");
        unreadable()
    })?;
    let holds = match (filter, deployed) {
        (None, _) => true,
        // A filter that the row can't be held against is the asker's.
        (Some(filter), Some(model)) => filter.matches(&model.table, &row).map_err(|error| Error::BadInput {
            what: "where".into(),
            problems: vec![Problem { path: Vec::new(), message: error.to_string() }],
        })?,
        // Whoever asks for some of the rows is not told of all of them because it isn't known which those are.
        (Some(_), None) => return Err(Error::SchemaChanged { model: changed.model.to_string() }.into()),
    };
    let (cursor, bytes) = (Cursor::from(changed), changed.row.len());
    Ok(holds.then(|| Happened { cursor, value: Json::Object(row), bytes }))
}

/// What is not what it was when it was written does not become so by another attempt.
fn unreadable() -> Failure {
    let reason = "what is kept of the changes can't be read; the server's log says why".into();
    Failure { error: Error::Unavailable { reason, retry_after_ms: 10_000 }, passes: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_can_not_be_held_against_a_row_lets_none_through() {
        let changed = Changed {
            position: Position::new(1),
            place: 0,
            tenant: TenantId::default(),
            model: Name::parse("Ticket").unwrap(),
            key: "t".into(),
            kind: ChangeKind::Created,
            row: r#"{"id":"t"}"#.into(),
        };
        let topic = |filter| Topic::Changes {
            model: changed.model.clone(),
            deployed: None,
            kind: changed.kind,
            key: None,
            filter,
        };
        assert!(told(&topic(None), &changed).unwrap().is_some());
        let filter = Filter::Null { field: "label".into() };
        let failure = told(&topic(Some(filter)), &changed).unwrap_err();
        assert_eq!((failure.error.code(), failure.passes), (Code::SchemaChanged, false));
    }
}
