//! The README's plugin, as it stands there: a test holds the one against the other.

#![allow(missing_docs, reason = "a reader of the README sees what is meant")]

use yado_sdk::prelude::*;

/// Counts what passes by.
#[derive(State)]
pub struct Counter {
    count: u32,
}

#[derive(Command)]
pub enum CounterCommand {
    /// Sets up a counter.
    #[command(creates, returns = CounterRow)]
    SetUpCounter {
        #[schema(length(1..=50))]
        place: String,
    },
    /// Counts.
    #[command(returns = CounterRow)]
    Count {
        id: Id<Counter>,
        #[schema(min = 1)]
        by: u32,
    },
}

#[derive(Event)]
pub enum CounterEvent {
    CounterSetUp { place: String },
    Counted { by: u32 },
}

impl Aggregate for Counter {
    type Command = CounterCommand;
    type Event = CounterEvent;

    fn decide(counter: Option<&Self>, command: CounterCommand, _: &Context) -> Decision<CounterEvent> {
        match (counter, command) {
            (None, CounterCommand::SetUpCounter { place }) => record(CounterEvent::CounterSetUp { place }),
            (Some(counter), CounterCommand::Count { by, .. }) => {
                ensure(counter.count.checked_add(by).is_some(), "counter_full", "The counter can't count further.")?;
                record(CounterEvent::Counted { by })
            }
            (None, _) => reject("no_counter", "There is no such counter."),
            (Some(_), _) => reject("counter_exists", "The counter is set up already."),
        }
    }

    fn evolve(counter: Option<Self>, event: CounterEvent) -> Option<Self> {
        match event {
            CounterEvent::CounterSetUp { .. } => Some(Self { count: 0 }),
            CounterEvent::Counted { by } => counter.map(|counter| Self { count: counter.count + by }),
        }
    }
}

/// A counter as visitors see it.
#[derive(ReadModel)]
pub struct CounterRow {
    #[key]
    id: Id<Counter>,
    #[search]
    place: String,
    #[index]
    count: u32,
}

impl Projection for CounterRow {
    type Event = Recorded<CounterEvent>;

    fn project(event: &Recorded<CounterEvent>, rows: &mut Rows<Self>) {
        match &event.event {
            CounterEvent::CounterSetUp { place } => rows.put(Self { id: event.id(), place: place.clone(), count: 0 }),
            CounterEvent::Counted { by } => rows.patch(&event.id(), |row| [row.count.plus(*by)]),
        }
    }
}

plugin! { name: "counters", aggregates: [Counter], models: [CounterRow], queries: [FindCounters] }

/// Counters by their place, the busiest first.
#[derive(Query)]
#[query(of = CounterRow, page(counters, total_count), order(descending(count)))]
pub struct FindCounters {
    /// A part of the place.
    #[filter(place, contains)]
    place: Option<String>,
    #[filter(count, at_least)]
    count: Option<u32>,
    #[page(number)]
    page: Option<u32>,
    #[page(size, default = 20)]
    limit: Option<u32>,
}

#[cfg(test)]
mod tests {
    use yado_sdk::Page;
    use yado_sdk::test_kit::plugin;

    use super::*;

    fn set_up(place: &str) -> CounterEvent {
        CounterEvent::CounterSetUp { place: place.into() }
    }

    #[test]
    fn a_counter_that_is_full_does_not_count() {
        let id = Id::new("door");
        let full = [set_up("Door"), CounterEvent::Counted { by: u32::MAX }];
        let count = CounterCommand::Count { id: id.clone(), by: 1 };
        plugin().given(&id, full).when(count).then_rejected("counter_full");
    }

    #[test]
    fn the_busiest_counter_is_found_first() {
        let row = |id: &str, place: &str, count| CounterRow { id: Id::new(id), place: place.into(), count };
        let given = plugin().given(&Id::new("lift"), [set_up("Lift")]).given(&Id::new("door"), [set_up("Back door")]);
        let given = given.given(&Id::new("gate"), [set_up("Garden door"), CounterEvent::Counted { by: 2 }]);
        let ask = FindCounters { place: Some("door".into()), count: None, page: None, limit: None };
        let rows = vec![row("gate", "Garden door", 2), row("door", "Back door", 0)];
        given.ask(ask).then_answer(&Page { rows, total: 2 });
    }
}
