//! Throws events of older versions at the component, as logs may hold them, and looks at what becomes of them.

use serde_json::Value;
use yado_model::schema::{Checker, Schema};
use yado_model::{NewEvent, TenantId};
use yado_runtime::Fault;

use super::Plugin;
use super::outcome::parsed;
use super::random::{Random, Taste};
use super::report;
use super::scenario::Given;
use crate::upcast::Older;
use crate::{Entity, Event, Id};

/// How many events are made up of each version.
const CASES: u64 = 200;
/// How many of them are brought up to date in one call.
const BATCH: usize = 32;
/// The seed, where nobody names one: the same events in every run.
const SEED: u64 = 2026;
/// The variable that names another one.
const NAMED: &str = "YADO_TEST_SEED";

/// Events of one older version.
struct Trial<'a> {
    plugin: &'a Plugin,
    aggregate: &'static str,
    older: &'a Older,
    history: Vec<NewEvent>,
    seed: u64,
}

impl Plugin {
    /// Makes up events of every older version and every former name that an enum of events speaks of, and expects of the
    /// component that ships:
    ///
    /// - it makes events of today out of each, which keep to today's schemas;
    /// - what it makes of an event does not depend on the events beside it;
    /// - the aggregate can fold them.
    ///
    /// The events keep to the rules of the types that the first steps take. A step that can't stand what those allow, a
    /// price of a quintillion, say, fails: rules on the old type's fields (`#[schema(max = …)]`) say what there really was.
    /// The seed is the same in every run, and `YADO_TEST_SEED` names another one.
    ///
    /// # Panics
    /// If the plugin does not keep to this; the message shows the event.
    #[track_caller]
    pub fn upcasts<E: Event>(&self) -> Given<'_> {
        self.nothing_given().upcasts::<E>()
    }

    /// This had happened to that thing, recorded when the event had other fields or another name: see
    /// [`Given::given_old`].
    #[must_use = "a test asks for something, or looks at rows"]
    #[track_caller]
    pub fn given_old<E: Event>(
        &self,
        id: &Id<E::Of>,
        name: &str,
        version: u32,
        fields: &impl crate::Value,
    ) -> Given<'_> {
        self.nothing_given().given_old::<E>(id, name, version, fields)
    }
}

impl Given<'_> {
    /// The same, on top of what is given: the events are folded onto the state that the first thing of this aggregate has
    /// come to. It is for aggregates that can't be folded from just any event on.
    ///
    /// # Panics
    /// If the plugin does not keep to this; the message shows the event.
    #[track_caller]
    pub fn upcasts<E: Event>(self) -> Self {
        let older = E::older();
        assert!(!older.is_empty(), "the events of {} have no older versions: there is nothing to test", E::Of::NAME);
        let seed = match std::env::var(NAMED) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{NAMED} is {text:?}, and a seed is a number")),
            Err(_) => SEED,
        };
        let first = self.events.iter().find(|event| event.stream.aggregate() == E::Of::NAME).map(|event| &event.stream);
        let history: Vec<NewEvent> =
            self.events.iter().filter(|event| Some(&event.stream) == first).map(|event| event.event.clone()).collect();
        for older in &older {
            let (plugin, history) = (self.plugin, history.clone());
            Trial { plugin, aggregate: E::Of::NAME, older, history, seed }.run();
        }
        self
    }

    /// And then this had happened, recorded when the event had other fields or another name. The component brings it up to
    /// date; what has become of it goes on from here.
    ///
    /// # Panics
    /// If the events speak of no such version, or the plugin breaks at it.
    #[must_use = "a test asks for something, or looks at rows"]
    #[track_caller]
    pub fn given_old<E: Event>(mut self, id: &Id<E::Of>, name: &str, version: u32, fields: &impl crate::Value) -> Self {
        let aggregate = E::Of::NAME;
        let older = E::older();
        let Some(known) = older.iter().find(|known| known.name == name && known.version == version) else {
            panic!("the events of {aggregate} speak of no {name} version {version}")
        };
        let payload = crate::json::write(fields);
        let problems = checker(known).check(&parsed(&payload));
        assert!(problems.is_empty(), "{name} version {version} has other fields than {payload}: {}", told(&problems));
        let event = NewEvent { name: name.to_owned(), version, payload, tags: Vec::new() };
        let became = super::scenario::lived(upcast(self.plugin, aggregate, &[&event]));
        let stream = super::scenario::stream(aggregate, id.as_str());
        for event in became.into_iter().flatten() {
            self.plugin.assert_sound(&format!("event {aggregate} {}", event.name), &event.payload);
            self.record(&stream, event);
        }
        self
    }
}

impl Trial<'_> {
    #[track_caller]
    fn run(&self) {
        let events = self.events();
        let mut became = Vec::new();
        for batch in events.chunks(BATCH) {
            let asked: Vec<&NewEvent> = batch.iter().collect();
            match upcast(self.plugin, self.aggregate, &asked) {
                Ok(events) => became.extend(events),
                // One of them is to blame, and by itself it fails again.
                Err(fault) => {
                    let alone = |event: &&NewEvent| upcast(self.plugin, self.aggregate, &[event]).is_err();
                    match batch.iter().find(alone) {
                        Some(event) => self.fail(event, &[], &fault.to_string()),
                        None => panic!(
                            "{} events of {} failed together, and none of them alone: {fault}",
                            batch.len(),
                            self.what()
                        ),
                    }
                }
            }
        }
        for (old, now) in events.iter().zip(&became) {
            self.judge(old, now);
        }
        // The batches were of its neighbours; by itself an event becomes the same.
        for (old, now) in events.iter().zip(&became).step_by(BATCH / 4) {
            match upcast(self.plugin, self.aggregate, &[old]) {
                Ok(alone) if alone.first() == Some(now) => {}
                _ => self.fail(old, now, "by itself it becomes something else than together with others"),
            }
        }
    }

    /// The smallest, the largest, and whatever comes.
    #[track_caller]
    fn events(&self) -> Vec<NewEvent> {
        let schema = self.schema();
        let checker = checker(self.older);
        let mut random = Random::new(self.seed);
        let make = |case: u64| {
            random.taste = match case {
                0 => Taste::Least,
                1 => Taste::Most,
                _ => Taste::Any,
            };
            let document = random.document(&schema);
            let document = document.unwrap_or_else(|reason| panic!("no {} can be made up: {reason}", self.what()));
            let problems = checker.check(&document);
            assert!(problems.is_empty(), "no {} can be made up: {document}: {}", self.what(), told(&problems));
            let Older { name, version, .. } = *self.older;
            NewEvent { name: name.to_owned(), version, payload: document.to_string(), tags: vec!["kept".to_owned()] }
        };
        (0..CASES).map(make).collect()
    }

    #[track_caller]
    fn judge(&self, old: &NewEvent, now: &[NewEvent]) {
        let Some(aggregate) = self.plugin.manifest().aggregate(self.aggregate) else {
            panic!("{} is not in the manifest: is the plugin's component up to date?", self.aggregate)
        };
        for event in now {
            let current = aggregate.events.iter().find(|known| known.name.as_str() == event.name);
            if current.is_none_or(|known| known.version != event.version) {
                self.fail(old, now, &format!("the manifest has no {} version {}", event.name, event.version));
            }
            let problems = self.plugin.problems(&format!("event {} {}", self.aggregate, event.name), &event.payload);
            if !problems.is_empty() {
                self.fail(old, now, &format!("{} breaks its schema: {}", event.name, told(&problems)));
            }
            if event.tags != old.tags {
                self.fail(old, now, "its tags are gone");
            }
        }
        let folded: Vec<NewEvent> = self.history.iter().chain(now).cloned().collect();
        if let Err(fault) = self.plugin.plugin.evolve(&TenantId::default(), self.aggregate, None, &folded) {
            self.fail(old, now, &format!("it can't be folded: {fault}"));
        }
    }

    #[track_caller]
    fn fail(&self, old: &NewEvent, now: &[NewEvent], problem: &str) -> ! {
        let seed = format!("{NAMED}={} makes up the same", self.seed);
        panic!(
            "{} does not come up to date\n{}{}{}{}",
            self.what(),
            report::events("was", std::slice::from_ref(old)),
            report::events("became", now),
            report::part("problem", [problem.to_owned()], ""),
            report::part("seed", [seed], ""),
        )
    }

    fn what(&self) -> String {
        format!("{} version {} of {}", self.older.name, self.older.version, self.aggregate)
    }

    fn schema(&self) -> Value {
        parsed(&crate::json::write(&self.older.payload))
    }
}

fn upcast(plugin: &Plugin, aggregate: &str, events: &[&NewEvent]) -> Result<Vec<Vec<NewEvent>>, Fault> {
    plugin.plugin.upcast(&TenantId::default(), aggregate, events)
}

#[track_caller]
fn checker(older: &Older) -> Checker {
    match Checker::new(&Schema::new(parsed(&crate::json::write(&older.payload)))) {
        Ok(checker) => checker,
        Err(error) => panic!("the fields of {} version {} have no sound schema: {error}", older.name, older.version),
    }
}

fn told(problems: &[yado_model::schema::Problem]) -> String {
    problems.iter().map(|problem| format!("{}: {}", problem.pointer(), problem.message)).collect::<Vec<_>>().join("; ")
}
