//! A plugin with a column of every kind, and with declared queries for every condition.
//!
//! `things.json` says which things there are, and `cases.json` which of them are found. Here the test kit is held to them,
//! and in the host's own tests every database is: a query means the same in an author's test and where it runs.

use yado_sdk::prelude::*;

/// Something to be found.
#[derive(State)]
pub struct Thing;

/// What can be done with it.
#[derive(Command)]
pub enum ThingCommand {
    /// Puts something where it can be found.
    #[command(upserts)]
    PutThing {
        /// Which thing.
        #[id]
        id: Id<Thing>,
        /// What is written on it.
        #[schema(length(..=100))]
        label: String,
        /// Who made it.
        #[schema(length(..=100))]
        maker: Option<String>,
        /// What is written below.
        #[schema(length(..=100))]
        note: Option<String>,
        /// How it looks.
        color: Color,
        /// What it costs.
        price: Decimal,
        /// What it weighs.
        weight: f64,
        /// How many there are.
        count: i64,
        /// Whether it is sold.
        sold: bool,
        /// When it was made.
        made_at: Option<Timestamp>,
        /// What it belongs to.
        part_of: Option<Id<Thing>>,
    },
}

/// What can happen to it.
#[derive(Event)]
pub enum ThingEvent {
    /// It was put there.
    ThingPut {
        /// What is written on it.
        label: String,
        /// Who made it.
        maker: Option<String>,
        /// What is written below.
        note: Option<String>,
        /// How it looks.
        color: Color,
        /// What it costs.
        price: Decimal,
        /// What it weighs.
        weight: f64,
        /// How many there are.
        count: i64,
        /// Whether it is sold.
        sold: bool,
        /// When it was made.
        made_at: Option<Timestamp>,
        /// What it belongs to.
        part_of: Option<Id<Thing>>,
    },
}

/// How something looks.
#[derive(Value, Clone, Copy)]
pub enum Color {
    /// Like a fire engine.
    Red,
    /// Like the sea.
    Blue,
    /// Like grass.
    Green,
}

impl Aggregate for Thing {
    type Command = ThingCommand;
    type Event = ThingEvent;

    fn decide(_: Option<&Self>, command: ThingCommand, _: &Context) -> Decision<ThingEvent> {
        let ThingCommand::PutThing { label, maker, note, color, price, weight, count, sold, made_at, part_of, .. } =
            command;
        record(ThingEvent::ThingPut { label, maker, note, color, price, weight, count, sold, made_at, part_of })
    }

    fn evolve(_: Option<Self>, _: ThingEvent) -> Option<Self> {
        Some(Self)
    }
}

/// A thing as it is found.
#[derive(ReadModel)]
pub struct ThingRow {
    #[key]
    id: Id<Thing>,
    #[search]
    label: String,
    #[search]
    maker: Option<String>,
    note: Option<String>,
    color: Color,
    price: Decimal,
    weight: f64,
    count: i64,
    sold: bool,
    made_at: Option<Timestamp>,
    part_of: Option<Id<Thing>>,
}

impl Projection for ThingRow {
    type Event = Recorded<ThingEvent>;

    fn project(recorded: &Recorded<ThingEvent>, rows: &mut Rows<Self>) {
        let ThingEvent::ThingPut { label, maker, note, color, price, weight, count, sold, made_at, part_of } =
            &recorded.event;
        rows.put(Self {
            id: recorded.id(),
            label: label.clone(),
            maker: maker.clone(),
            note: note.clone(),
            color: *color,
            price: *price,
            weight: *weight,
            count: *count,
            sold: *sold,
            made_at: *made_at,
            part_of: part_of.clone(),
        });
    }
}

/// Things that meet whatever is asked of them, the dearest first.
#[derive(Query)]
#[query(of = ThingRow, page(things, total), order(descending(price), label))]
pub struct FindThings {
    #[filter(label)]
    label: Option<String>,
    #[filter(label, is_not)]
    other_label: Option<String>,
    #[filter(label, contains)]
    label_part: Option<String>,
    #[filter(label, starts_with)]
    label_start: Option<String>,
    #[filter(label, ends_with)]
    label_end: Option<String>,
    #[filter(note, contains)]
    note_part: Option<String>,
    #[filter(note, is_not)]
    other_note: Option<String>,
    #[filter(note, missing)]
    without_note: Option<bool>,
    #[filter(any(label, note), contains)]
    anywhere: Option<String>,
    #[filter(not(label, contains))]
    without_label_part: Option<String>,
    #[filter(not(note, contains))]
    without_note_part: Option<String>,
    #[filter(not(any(label, note), contains))]
    nowhere: Option<String>,
    #[filter(not(color, any_of))]
    other_colors: Option<Vec<Color>>,
    #[filter(not(price, at_least = from, at_most = to))]
    other_price: Option<Prices>,
    #[filter(color, any_of)]
    colors: Option<Vec<Color>>,
    #[filter(price, at_least = from, at_most = to)]
    price: Option<Prices>,
    #[filter(price, above)]
    dearer_than: Option<Decimal>,
    #[filter(price, any_of)]
    prices: Option<Vec<Decimal>>,
    #[filter(weight, below)]
    lighter_than: Option<f64>,
    #[filter(count)]
    count: Option<i64>,
    #[filter(count, above)]
    more_than: Option<u8>,
    #[filter(sold)]
    sold: Option<bool>,
    #[filter(made_at, at_least)]
    since: Option<Timestamp>,
    #[filter(made_at, missing)]
    undated: Option<bool>,
    #[filter(part_of)]
    part_of: Option<String>,
    #[search]
    words: Option<String>,
    #[page(number)]
    page: Option<u32>,
    #[page(size, default = 3)]
    size: Option<u32>,
}

/// From one price to another, both included.
#[derive(Value)]
pub struct Prices {
    from: Option<Decimal>,
    to: Option<Decimal>,
}

/// The things that can still be had, the newest first.
#[derive(Query)]
#[query(of = ThingRow, list(max = 5), order(descending(made_at)), only(sold = false))]
pub struct UnsoldThings {}

/// The things that are neither sold nor red, the cheapest first.
#[derive(Query)]
#[query(of = ThingRow, list, order(price), only(sold = false, not(color = Color::Red)))]
pub struct CalmThings {}

/// A thing, if it has all of these words.
#[derive(Query)]
#[query(of = ThingRow, one)]
pub struct ThingWithWords {
    #[filter(id)]
    id: String,
    #[search]
    words: Option<String>,
}

/// The dearest thing of a color that can still be had.
#[derive(Query)]
#[query(of = ThingRow, one, order(descending(price)), only(sold = false))]
pub struct DearestThing {
    #[filter(color)]
    color: Color,
}

/// The first thing with this label.
#[derive(Query)]
#[query(of = ThingRow, one, order(id))]
pub struct ThingLabelled {
    #[filter(label)]
    label: String,
}

/// The cheapest thing of all.
#[derive(Query)]
#[query(of = ThingRow, one, order(price))]
pub struct CheapestThing {}

plugin! {
    name: "declaring",
    aggregates: [Thing],
    models: [ThingRow],
    queries: [FindThings, UnsoldThings, CalmThings, ThingWithWords, DearestThing, ThingLabelled, CheapestThing],
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};
    use yado_sdk::test_kit::{Given, plugin as declaring};
    use yado_sdk::{Ask, Event as _};

    use super::*;

    fn read(document: &str) -> Vec<Map<String, Value>> {
        serde_json::from_str(document).unwrap()
    }

    fn things() -> Vec<Map<String, Value>> {
        read(include_str!("../things.json"))
    }

    /// Every thing, each put there by an event.
    fn given() -> Given<'static> {
        let mut things = things().into_iter().map(|mut thing| {
            let id = thing.remove("id").unwrap();
            let event = ThingEvent::decode("ThingPut", &Value::Object(thing).to_string()).unwrap();
            (Id::new(id.as_str().unwrap()), event)
        });
        let (id, event) = things.next().unwrap();
        things.fold(declaring().given(&id, [event]), |given, (id, event)| given.given(&id, [event]))
    }

    /// A case, asked as whoever wrote the query would ask it.
    struct Case {
        query: &'static str,
        arguments: String,
    }

    impl Ask for Case {
        type Answer = Value;

        fn name(&self) -> &'static str {
            self.query
        }

        fn arguments(&self) -> String {
            self.arguments.clone()
        }

        fn write(answer: &Value) -> String {
            answer.to_string()
        }
    }

    #[test]
    fn every_case_is_answered_as_its_file_says() {
        let mut given = given();
        for case in read(include_str!("../cases.json")) {
            let row = |id: &Value| things().into_iter().find(|thing| thing["id"] == *id).map(Value::Object).unwrap();
            let rows: Vec<Value> = case["found"].as_array().unwrap().iter().map(row).collect();
            let query = case["query"].as_str().unwrap();
            let (query, answer) = match query {
                FindThings::NAME => (FindThings::NAME, json!({ "things": rows, "total": case["total"] })),
                UnsoldThings::NAME => (UnsoldThings::NAME, json!(rows)),
                CalmThings::NAME => (CalmThings::NAME, json!(rows)),
                other => {
                    let mut single =
                        [ThingWithWords::NAME, DearestThing::NAME, ThingLabelled::NAME, CheapestThing::NAME]
                            .into_iter();
                    let query = single.find(|name| *name == other).unwrap_or_else(|| panic!("{other} is no query"));
                    (query, rows.into_iter().next().unwrap_or_default())
                }
            };
            given = given.ask(Case { query, arguments: case["arguments"].to_string() }).then_answer(&answer);
        }
    }

    #[test]
    fn a_query_is_asked_as_its_struct() {
        let asked = ThingLabelled { label: "Notebook".into() };
        let found = given().ask(asked).then_answer(&Some(ThingRow {
            id: Id::new("d"),
            label: "Notebook".into(),
            maker: Some("ADA".into()),
            note: Some(String::new()),
            color: Color::Green,
            price: 12.into(),
            weight: 0.3,
            count: -3,
            sold: false,
            made_at: None,
            part_of: Some(Id::new("a")),
        }));
        found.ask(ThingLabelled { label: "Nothing".into() }).then_answer(&None);
    }
}
