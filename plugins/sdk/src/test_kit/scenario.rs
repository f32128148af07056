//! One test: what had happened, and what is asked.

use std::marker::PhantomData;

use serde_json::Value;
use uuid::Uuid;
use yado_model::manifest::{Projection, ReadModel as ReadModelOf};
use yado_model::schema::Problem;
use yado_model::{
    Actor, Command, CommandId, CommandMeta, Context, Decision, EntityId, Name, NewEvent, Position, RecordedEvent,
    Revision, StreamId, TenantId,
};

use super::outcome::{Answered, Outcome, new_event, parsed};
use super::report::{self, Came};
use super::rows::Rows;
use super::{Plugin, at, declared};
use crate::aggregate::Message;
use crate::{Ask, Entity, Event, Id, ReadModel};

/// The id that a command which creates gets, where the test names none.
const NEW: &str = "new";

/// What had happened before.
#[derive(Debug)]
pub struct Given<'a> {
    pub(super) plugin: &'a Plugin,
    pub(super) events: Vec<RecordedEvent>,
    actor: Option<Actor>,
    new_id: EntityId,
    /// Rows that other plugins keep.
    foreign: Vec<(ReadModelOf, Vec<Value>)>,
}

impl Plugin {
    /// This had happened to that thing.
    #[must_use = "a test asks for something, or looks at rows"]
    #[track_caller]
    pub fn given<E: Event>(&self, id: &Id<E::Of>, events: impl IntoIterator<Item = E>) -> Given<'_> {
        self.nothing_given().given(id, events)
    }

    /// Asks for something before anything has happened.
    #[must_use = "a test says what it expects"]
    #[track_caller]
    pub fn when<C: crate::Command>(&self, command: C) -> Outcome<'_> {
        self.nothing_given().when(command)
    }

    /// Another plugin keeps these rows, for declared queries to be asked of them.
    #[must_use = "a test asks for something, or looks at rows"]
    #[track_caller]
    pub fn given_rows<M: ReadModel>(&self, rows: impl IntoIterator<Item = M>) -> Given<'_> {
        self.nothing_given().given_rows(rows)
    }

    pub(super) fn nothing_given(&self) -> Given<'_> {
        Given { plugin: self, events: Vec::new(), actor: None, new_id: entity(NEW), foreign: Vec::new() }
    }

    /// What the document breaks of the manifest's rules for it.
    #[track_caller]
    pub(super) fn problems(&self, what: &str, document: &str) -> Vec<Problem> {
        let Some(checker) = self.checkers.get(what) else {
            // Events of another plugin's aggregates have their rules in that plugin's manifest.
            assert!(what.starts_with("event "), "the manifest has no {what}");
            return Vec::new();
        };
        match serde_json::from_str(document) {
            Ok(document) => checker.check(&document),
            Err(error) => panic!("{what} is not JSON: {error}"),
        }
    }

    #[track_caller]
    pub(super) fn assert_sound(&self, what: &str, document: &str) {
        let problems = self.problems(what, document);
        let lines = problems.iter().map(|problem| format!("{}: {}", problem.pointer(), problem.message));
        assert!(problems.is_empty(), "{what} breaks its schema\n{}", report::part("", lines, ""));
    }
}

impl<'a> Given<'a> {
    /// And then this had happened, to the same or to another thing.
    #[must_use = "a test asks for something, or looks at rows"]
    #[track_caller]
    pub fn given<E: Event>(mut self, id: &Id<E::Of>, events: impl IntoIterator<Item = E>) -> Self {
        let stream = stream(E::Of::NAME, id.as_str());
        for event in events {
            let event = new_event(event.encode());
            self.plugin.assert_sound(&format!("event {} {}", stream.aggregate(), event.name), &event.payload);
            self.record(&stream, event);
        }
        self
    }

    /// Another plugin keeps these rows, for declared queries to be asked of them. Those of this plugin come of its events.
    #[must_use = "a test asks for something, or looks at rows"]
    #[track_caller]
    pub fn given_rows<M: ReadModel>(mut self, rows: impl IntoIterator<Item = M>) -> Self {
        assert!(M::FOREIGN, "{} is this plugin's own: give the events that its rows come of", M::NAME);
        let model = match serde_json::from_str(&crate::json::write(&M::describe())) {
            Ok(model) => model,
            Err(error) => panic!("{} can't be a read model: {error}", M::NAME),
        };
        self.foreign.push((model, rows.into_iter().map(|row| parsed(&crate::json::write(&row))).collect()));
        self
    }

    /// Who asks.
    #[must_use = "a test asks for something, or looks at rows"]
    #[track_caller]
    pub fn by(mut self, actor: &str) -> Self {
        match Actor::parse(actor) {
            Ok(actor) => self.actor = Some(actor),
            Err(error) => panic!("{error}"),
        }
        self
    }

    /// The id that the host makes for what the command creates.
    #[must_use = "a test asks for something, or looks at rows"]
    #[track_caller]
    pub fn creating<T: Entity>(mut self, id: &Id<T>) -> Self {
        self.new_id = entity(id.as_str());
        self
    }

    /// Asks for something.
    #[must_use = "a test says what it expects"]
    #[track_caller]
    pub fn when<C: crate::Command>(self, command: C) -> Outcome<'a> {
        let message = command.encode();
        let aggregate = C::Of::NAME;
        let known = self.plugin.manifest().aggregate(aggregate);
        let Some(known) =
            known.and_then(|known| known.commands.iter().find(|known| known.name.as_str() == message.name))
        else {
            panic!("{} of {aggregate} is not in the manifest: is the plugin's component up to date?", message.name)
        };
        let payload: Value = parsed(&message.payload);
        let id = match known.target.field() {
            Some(field) => match payload.get(field).and_then(Value::as_str) {
                Some(id) => entity(id),
                None => panic!("{} names no {aggregate}: its field {field} is no text", message.name),
            },
            None => self.new_id.clone(),
        };
        let stream = stream(aggregate, id.as_str());
        let came = self.decide(&stream, id, &message);
        if let Came::Decided(Decision { events, .. }) = &came {
            for event in events {
                self.plugin.assert_sound(&format!("event {aggregate} {}", event.name), &event.payload);
            }
        }
        Outcome { given: self, command: message, stream, came }
    }

    /// These are the rows of a read model, all of them, by key.
    #[track_caller]
    pub fn then_rows<M: ReadModel>(self, rows: impl IntoIterator<Item = M>) -> Self {
        let came = self.project().of(M::NAME);
        let mut expected: Vec<Value> = rows.into_iter().map(|row| parsed(&crate::json::write(&row))).collect();
        let key = self.plugin.manifest().read_model(M::NAME).map(|model| model.key.as_str().to_owned());
        expected.sort_by_key(|row| row[key.as_deref().unwrap_or_default()].to_string());
        assert!(
            came == expected,
            "the rows of {} are others\n{}{}{}",
            M::NAME,
            report::given(&self.events),
            report::rows("expected", &expected),
            report::rows("came", &came),
        );
        self
    }

    /// Asks a named query: a declared one with its arguments, or a function's, whose arguments `with(…)` takes.
    #[must_use = "a test says what it expects"]
    #[track_caller]
    pub fn ask<Q: Ask>(self, query: Q) -> Answered<'a, Q> {
        let (name, arguments) = (query.name(), query.arguments());
        self.plugin.assert_sound(&format!("query {name}"), &arguments);
        let known = self.plugin.manifest().queries.iter().find(|known| known.name.as_str() == name);
        let mut rows = self.project();
        rows.begin();
        let answer = match known.and_then(|known| known.rows.as_ref()) {
            Some(declared) => Ok(declared::answer(&rows, declared, &parsed(&arguments))),
            None => {
                let context = self.context(entity(NEW));
                lived(self.plugin.plugin.answer(&TenantId::default(), name, &arguments, &context, rows).1)
            }
        };
        if let Ok(answer) = &answer {
            self.plugin.assert_sound(&format!("answer {name}"), &answer.to_string());
        }
        Answered { given: self, query: format!("{name} {arguments}"), answer, of: PhantomData }
    }

    #[track_caller]
    fn decide(&self, stream: &StreamId, id: EntityId, message: &Message) -> Came {
        let problems = self.plugin.problems(&format!("command {}", message.name), &message.payload);
        if !problems.is_empty() {
            return Came::Invalid(problems);
        }
        let history = self.events.iter().filter(|event| event.stream == *stream);
        let history: Vec<NewEvent> = history.map(|event| event.event.clone()).collect();
        let (plugin, tenant) = (&self.plugin.plugin, TenantId::default());
        let evolve = || plugin.evolve(&tenant, stream.aggregate(), None, &history);
        let state = if history.is_empty() { None } else { lived(evolve()) };
        let command =
            Command { name: message.name.to_owned(), payload: message.payload.clone(), context: self.context(id) };
        match lived(plugin.decide(&tenant, stream.aggregate(), state.as_deref(), &command)) {
            Ok(decision) => Came::Decided(decision),
            Err(rejection) => Came::Rejected(rejection),
        }
    }

    /// The circumstances of what is asked next.
    fn context(&self, id: EntityId) -> Context {
        let position = self.events.len() as u64 + 1;
        Context {
            tenant: TenantId::default(),
            id,
            now: yado_model::Timestamp::from_micros(at(position).micros()),
            actor: self.actor.clone(),
            command_id: CommandId(Uuid::from_u128(position.into())),
            correlation_id: Uuid::from_u128(position.into()),
            seed: (position, 1),
        }
    }

    pub(super) fn record(&mut self, stream: &StreamId, event: NewEvent) {
        let position = self.events.len() as u64 + 1;
        let revision = self.events.iter().filter(|event| event.stream == *stream).count() as u64 + 1;
        self.events.push(RecordedEvent {
            tenant: TenantId::default(),
            stream: stream.clone(),
            revision: Revision::new(revision),
            position: Position::new(position),
            recorded_at: yado_model::Timestamp::from_micros(at(position).micros()),
            event,
            command: CommandMeta {
                command_id: CommandId(Uuid::from_u128(position.into())),
                correlation_id: Uuid::from_u128(position.into()),
                causation_id: None,
                actor: self.actor.clone(),
            },
        });
    }

    /// The rows that the projections make of what has happened, each event a batch of its own.
    #[track_caller]
    fn project(&self) -> Rows {
        let manifest = self.plugin.manifest();
        let hears = |projection: &Projection, event: &RecordedEvent| {
            projection.events.iter().any(|source| {
                source.aggregate.as_str() == event.stream.aggregate()
                    && (source.events.is_empty() || source.events.iter().any(|name| name.as_str() == event.event.name))
            })
        };
        let mut rows = Rows::new(manifest);
        for event in &self.events {
            for projection in manifest.projections.iter().filter(|projection| hears(projection, event)) {
                rows.begin();
                let (tenant, name, batch) =
                    (TenantId::default(), projection.name.as_str(), std::slice::from_ref(event));
                let (written, done) = self.plugin.plugin.project(&tenant, name, batch, rows);
                lived(done);
                rows = written;
            }
        }
        for (model, lent) in &self.foreign {
            rows.lend(model, lent);
        }
        for model in &manifest.read_models {
            let what = format!("row {}", model.name);
            rows.of(model.name.as_str()).iter().for_each(|row| self.plugin.assert_sound(&what, &row.to_string()));
        }
        rows
    }
}

#[track_caller]
fn entity(text: &str) -> EntityId {
    match EntityId::parse(text) {
        Ok(id) => id,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
pub(super) fn stream(aggregate: &str, id: &str) -> StreamId {
    match Name::parse(aggregate) {
        Ok(name) => StreamId::new(&name, &entity(id)),
        Err(error) => panic!("{error}"),
    }
}

/// What the plugin answered. A fault fails the test: a plugin must not break, whatever it is asked.
#[track_caller]
pub(super) fn lived<T>(answer: Result<T, yado_runtime::Fault>) -> T {
    match answer {
        Ok(answer) => answer,
        Err(fault) => panic!("{fault}"),
    }
}
