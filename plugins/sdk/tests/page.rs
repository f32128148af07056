//! What an author may write, all of it on one page, and what becomes of it.
//!
//! The page is compiled natively: how it behaves inside a component is for the plugins' own tests. Here it is held
//! against the host's idea of a manifest, and messages go through the same functions that the component exports.

#![allow(missing_docs, reason = "the page is here to be read by the tests")]

use serde_json::{Value as Json, json};
use yado_model::Manifest;
use yado_sdk::__private::bindings::aggregates::exports::yado::domain::aggregates::{Claim, Decision as Decided};
use yado_sdk::__private::bindings::types::{self, RecordedEvent, StreamRef};
use yado_sdk::__private::{guest, manifest};
use yado_sdk::prelude::*;
use yado_sdk::{Entity, Source};

/// Kept by another plugin.
#[derive(Foreign)]
#[foreign(name = "Venue")]
pub struct Place;

/// A right to be somewhere.
#[derive(State, Debug, PartialEq)]
#[state(name = "Ticket", id = "ulid", encoding = "1", unique(one_seat = "The seat is taken."))]
pub enum Pass {
    Held { seat: Seat, paid: Decimal },
    Used(Timestamp),
}

/// Where to sit.
#[derive(Value, Debug, Clone, PartialEq)]
pub struct Seat {
    /// Which part of the house.
    area: Area,
    #[schema(min = 1, max = 99)]
    number: u8,
    note: Option<Note>,
}

/// A part of the house.
#[derive(Value, Debug, Clone, Copy, PartialEq)]
pub enum Area {
    Stalls,
    UpperCircle,
    /// With a door of its own.
    #[value(name = "box")]
    Box,
}

#[derive(Value, Debug, Clone, PartialEq)]
pub struct Note(String);

#[derive(Command)]
#[command(of = Pass)]
pub enum TicketCommand {
    #[command(creates, returns = TicketRow, roles("clerk", "manager"))]
    SellTicket {
        seat: Seat,
        #[schema(min = 0.5, max = 100, places = 2)]
        price: Decimal,
        #[schema(email)]
        buyer: String,
        venue_id: Id<Place>,
        #[schema(length(..=3))]
        extras: Vec<String>,
    },
    #[command(upserts)]
    Import {
        #[id]
        ticket_id: Id<Pass>,
        seat: Option<Seat>,
        #[schema(pattern = "^[A-Z]+$")]
        r#type: Option<String>,
        weight: f64,
        seen_at: Timestamp,
    },
    /// Lets somebody in.
    UseTicket { id: Id<Pass> },
}

#[derive(Event, Debug, PartialEq)]
#[event(of = Pass, retired(TicketStamped, from_v1 = stamped, from_v2 = stamped_at), retired(TicketSniffed, from_v1 = forgotten))]
pub enum TicketEvent {
    #[event(version = 4, from_v1 = in_cents, from_v2 = split, from_v3 = noted, was = "TicketBought", was = "TicketGot")]
    TicketSold {
        seat: Seat,
        price: Decimal,
        note: Option<String>,
    },
    TicketUsed,
}

/// Version 1.
#[derive(Value)]
struct InCents {
    seat: Seat,
    cents: i64,
}

/// Version 2.
#[derive(Value)]
struct SoldAndUsed {
    seat: Seat,
    price: Decimal,
    used: bool,
}

/// Version 3.
#[derive(Value)]
struct Unnoted {
    seat: Seat,
    price: Decimal,
}

/// To the next version.
fn in_cents(old: InCents) -> SoldAndUsed {
    SoldAndUsed { seat: old.seat, price: Decimal::new(old.cents, 2), used: old.cents == 0 }
}

/// To several of today, past the versions between.
fn split(old: SoldAndUsed) -> Vec<TicketEvent> {
    let sold = TicketEvent::TicketSold { seat: old.seat, price: old.price, note: Some("split".into()) };
    Vec::from_iter([Some(sold), old.used.then_some(TicketEvent::TicketUsed)].into_iter().flatten())
}

fn noted(old: Unnoted) -> TicketEvent {
    TicketEvent::TicketSold { seat: old.seat, price: old.price, note: None }
}

#[derive(Value)]
struct Stamped {
    good: bool,
}

#[derive(Value)]
struct StampedAt {
    at: Timestamp,
}

/// To the next version, or to nothing.
fn stamped(old: Stamped) -> Option<StampedAt> {
    old.good.then_some(StampedAt { at: Timestamp::from_micros(1) })
}

fn stamped_at(old: StampedAt) -> [TicketEvent; 1] {
    assert!(old.at.micros() >= 0, "nothing was stamped before 1970");
    [TicketEvent::TicketUsed]
}

#[derive(Value)]
struct Sniffed {}

fn forgotten(_: Sniffed) -> [TicketEvent; 0] {
    []
}

impl Aggregate for Pass {
    type Command = TicketCommand;
    type Event = TicketEvent;

    fn decide(pass: Option<&Self>, command: TicketCommand, context: &Context) -> Decision<TicketEvent> {
        match (pass, command) {
            (None, TicketCommand::SellTicket { seat, price, buyer, .. }) => {
                let place = format!("{:?}/{}", seat.area, seat.number);
                record(TicketEvent::TicketSold { seat, price, note: Some(buyer) })
                    .take(Self::ONE_SEAT, place)
                    .tag(format!("seen-by:{}", context.tenant()))
            }
            (Some(Self::Held { seat, .. }), TicketCommand::UseTicket { .. }) => {
                record(TicketEvent::TicketUsed).release(Self::ONE_SEAT, format!("{:?}/{}", seat.area, seat.number))
            }
            (Some(Self::Used(at)), TicketCommand::UseTicket { .. }) => {
                Err(Rejection::new("ticket_used", "The ticket has been used.").field("id").details(&at))
            }
            _ => nothing(),
        }
    }

    fn evolve(_: Option<Self>, event: TicketEvent) -> Option<Self> {
        match event {
            TicketEvent::TicketSold { seat, price, .. } => Some(Self::Held { seat, paid: price }),
            TicketEvent::TicketUsed => Some(Self::Used(Timestamp::from_micros(1))),
        }
    }
}

/// What another plugin's venues do, as far as tickets care.
#[derive(Event, Debug, PartialEq)]
#[event(of = Place)]
pub enum VenueEvent {
    VenueMoved { town: String },
}

#[derive(Events, Debug)]
pub enum TicketChange {
    Ticket(Recorded<TicketEvent>),
    Venue(Recorded<VenueEvent>),
}

/// A ticket as its owner sees it.
#[derive(ReadModel)]
#[model(index(area, price), unique(area, code))]
#[relation(many = TicketRow, field = sold_with, as = "companions")]
pub struct TicketRow {
    #[key]
    id: Id<Pass>,
    #[index]
    area: Area,
    #[unique]
    #[schema(length(..=20))]
    code: String,
    price: Decimal,
    #[search]
    town: Option<String>,
    #[relation(to = TicketRow, as = "first")]
    sold_with: Option<Id<Pass>>,
    changes: u32,
}

impl Projection for TicketRow {
    type Event = TicketChange;
    const VERSION: u32 = 4;

    fn project(change: &TicketChange, rows: &mut Rows<Self>) {
        match change {
            TicketChange::Ticket(ticket) => rows.patch(&ticket.id(), |row| [row.changes.plus(1)]),
            TicketChange::Venue(venue) => {
                let VenueEvent::VenueMoved { town } = &venue.event;
                for row in
                    rows.find(|row| [row.town.is_not(town.clone()), row.price.at_least(1)]).by(|row| &row.area).list()
                {
                    rows.patch(&row.id, |row| [row.town.to(town.clone()), row.changes.plus(1)]);
                }
            }
        }
    }
}

/// Tickets that cost little.
#[query(roles("clerk"))]
pub fn cheap_tickets(most: Decimal, rows: &Rows<TicketRow>, context: &Context) -> Result<Vec<TicketRow>, Rejection> {
    ensure(context.actor().is_some(), "who_asks", "Only somebody may ask.")?;
    Ok(rows.find(|row| [row.price.at_most(most)]).by(|row| &row.price).limit(10).list())
}

/// Tickets of some areas, with all that a declared query can say.
#[derive(Query)]
#[query(
    of = TicketRow,
    page(tickets, total_count),
    order(price, descending(code)),
    only(changes = 0_u32, not(area = Area::Box)),
    name = "listTickets",
    roles("clerk")
)]
pub struct FindTickets {
    /// Where they are for.
    #[filter(area, any_of)]
    areas: Option<Vec<Area>>,
    #[filter(area, is_not)]
    not_in: Option<Area>,
    #[filter(not(price, above = from, at_most = to))]
    not_priced: Option<Prices>,
    #[filter(price, above = from, at_most = to)]
    price: Option<Prices>,
    #[schema(length(..=20))]
    #[filter(any(code, town), starts_with)]
    begins: Option<String>,
    #[search]
    words: Option<String>,
    #[filter(sold_with, missing)]
    alone: Option<bool>,
    #[filter(sold_with)]
    with: Option<String>,
    #[page(number)]
    page: Option<u32>,
    #[page(size, default = 10)]
    limit: Option<u8>,
}

/// What a ticket may cost.
#[derive(Value)]
pub struct Prices {
    from: Option<Decimal>,
    to: Decimal,
}

/// The ticket with this code.
#[derive(Query)]
#[query(of = TicketRow, one)]
pub struct TicketOfCode {
    #[filter(code)]
    code: String,
}

#[derive(Query)]
#[query(of = TicketRow, list(max = 50))]
pub struct AllTickets {}

plugin! {
    name: "tickets",
    version: "1.2.3",
    description: "Who may be where.",
    aggregates: [Pass],
    models: [TicketRow],
    queries: [cheap_tickets, FindTickets, TicketOfCode, AllTickets],
}

fn described() -> (String, Json) {
    let manifest = manifest::Manifest::new("tickets", "1.2.3", "Who may be where.")
        .aggregate::<Pass>()
        .model::<TicketRow>()
        .query::<cheap_tickets>()
        .declared::<FindTickets>()
        .declared::<TicketOfCode>()
        .declared::<AllTickets>()
        .to_json();
    let document = serde_json::from_str(&manifest).expect("it is JSON");
    (manifest, document)
}

fn seat() -> Json {
    json!({ "area": "UPPER_CIRCLE", "number": 7, "note": null })
}

fn context() -> types::Context {
    types::Context {
        tenant: "acme".into(),
        id: "t1".into(),
        now: 5,
        actor: None,
        command_id: "c".into(),
        correlation_id: "c".into(),
        seed: (1, 2),
    }
}

fn decide(state: Option<Vec<u8>>, name: &str, payload: &Json) -> Result<Decided, types::Rejection> {
    let command = types::Command { name: name.into(), payload: payload.to_string(), context: context() };
    guest::decide::<Pass>(state, command)
}

fn event(name: &str, version: u32, payload: &Json) -> types::Event {
    types::Event { name: name.into(), version, payload: payload.to_string(), tags: vec!["a".into()] }
}

#[test]
fn the_manifest_is_one_that_the_host_takes() {
    let (text, manifest) = described();
    Manifest::parse(&text).unwrap();
    let ticket = &manifest["aggregates"][0];
    assert_eq!(
        (&ticket["name"], &ticket["id"], &ticket["stateEncoding"]),
        (&json!("Ticket"), &json!("ulid"), &json!("1"))
    );
    assert_eq!(ticket["constraints"], json!([{ "name": "one_seat", "description": "The seat is taken." }]));
    assert_eq!(ticket["events"][0]["version"], 4);
    assert_eq!(
        ticket["pastEvents"],
        json!([
            { "name": "TicketBought", "version": 4 }, { "name": "TicketGot", "version": 4 },
            { "name": "TicketStamped", "version": 2 }, { "name": "TicketSniffed", "version": 1 },
        ])
    );
    assert_eq!(manifest["projections"][0]["version"], 4);
    assert_eq!(
        manifest["projections"][0]["events"],
        json!([
            { "aggregate": "Ticket", "events": ["TicketSold", "TicketUsed"] },
            { "aggregate": "Venue", "events": ["VenueMoved"] },
        ])
    );
    assert_eq!(manifest["readModels"][0]["indexes"], json!([["area"], ["area", "price"]]));
    assert_eq!(manifest["readModels"][0]["unique"], json!([["code"], ["area", "code"]]));
    assert_eq!(
        manifest["readModels"][0]["relations"],
        json!([
            { "name": "first", "model": "Ticket", "field": "soldWith" },
            { "name": "companions", "model": "Ticket", "field": "soldWith", "many": true },
        ])
    );
    assert_eq!(manifest["queries"][0]["name"], "cheapTickets");
    assert_eq!(manifest["queries"][0]["returns"]["items"]["x-model"], "Ticket");
}

#[test]
fn a_declared_query_says_what_the_host_asks_its_tables() {
    let (_, manifest) = described();
    let [_, find, of_code, all] = manifest["queries"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&find["name"], &find["roles"]), (&json!("listTickets"), &json!(["clerk"])));
    assert_eq!(find["description"], "Tickets of some areas, with all that a declared query can say.");
    let areas = &find["arguments"]["properties"]["areas"];
    assert_eq!((&areas["type"], &areas["description"]), (&json!(["array", "null"]), &json!("Where they are for.")));
    assert_eq!(find["arguments"]["properties"]["begins"]["maxLength"], 20);
    assert_eq!(
        find["rows"],
        json!({
            "model": "Ticket",
            "where": [
                { "field": "changes", "op": "eq", "value": 0 },
                { "not": { "field": "area", "op": "eq", "value": "box" } },
                { "field": "area", "op": "in", "argument": "areas" },
                { "field": "area", "op": "ne", "argument": "notIn" },
                { "any": [{ "not": { "field": "price", "op": "gt", "argument": "notPriced.from" } },
                          { "not": { "field": "price", "op": "lte", "argument": "notPriced.to" } }] },
                { "field": "price", "op": "gt", "argument": "price.from" },
                { "field": "price", "op": "lte", "argument": "price.to" },
                { "any": [{ "field": "code", "op": "startsWith", "argument": "begins" },
                          { "field": "town", "op": "startsWith", "argument": "begins" }] },
                { "search": "words" },
                { "field": "soldWith", "op": "isNull", "argument": "alone" },
                { "field": "soldWith", "op": "eq", "argument": "with" },
            ],
            "orderBy": [{ "field": "price" }, { "field": "code", "descending": true }],
            "answer": { "page": { "rows": "tickets", "total": "totalCount", "number": "page", "size": "limit",
                                  "defaultSize": 10 } },
        })
    );
    assert_eq!(find["returns"]["title"], "FindTicketsPage");
    assert_eq!(find["returns"]["properties"]["tickets"]["items"]["x-model"], "Ticket");
    assert_eq!((&of_code["name"], &of_code["rows"]["answer"]), (&json!("ticketOfCode"), &json!("one")));
    assert_eq!(of_code["returns"]["anyOf"][0]["x-model"], "Ticket");
    assert_eq!(all["rows"], json!({ "model": "Ticket", "answer": { "list": { "limit": 50 } } }));
}

#[test]
fn a_declared_query_is_asked_with_its_arguments_as_the_api_takes_them() {
    let find = FindTickets {
        areas: Some(vec![Area::Box]),
        not_in: None,
        not_priced: None,
        price: Some(Prices { from: None, to: Decimal::new(95, 1) }),
        begins: None,
        words: None,
        alone: Some(true),
        with: None,
        page: Some(2),
        limit: None,
    };
    let arguments: Json = serde_json::from_str(&Query::arguments(&find)).unwrap();
    assert_eq!(arguments["areas"], json!(["box"]));
    assert_eq!(arguments["price"]["to"], "9.5");
    assert_eq!((&arguments["alone"], &arguments["page"]), (&json!(true), &json!(2)));
    let page = yado_sdk::Page::<TicketRow> { rows: Vec::new(), total: 3 };
    let page: Json = serde_json::from_str(&<FindTickets as Query>::write(&page)).unwrap();
    assert_eq!(page, json!({ "tickets": [], "totalCount": 3 }));
}

#[test]
fn rules_and_types_become_the_schemas_that_callers_meet() {
    let (_, manifest) = described();
    let [sell, import, _] = manifest["aggregates"][0]["commands"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!(
        (&sell["target"], &sell["returns"], &sell["roles"]),
        (&json!("create"), &json!("Ticket"), &json!(["clerk", "manager"]))
    );
    let fields = &sell["payload"]["properties"];
    assert_eq!(
        fields["price"],
        json!({ "type": "string", "format": "decimal", "decimalMinimum": "0.5", "decimalMaximum": "100", "decimalPlaces": 2 })
    );
    assert_eq!(fields["buyer"], json!({ "type": "string", "format": "email" }));
    assert_eq!(fields["venueId"], json!({ "type": "string", "format": "id", "x-references": "Venue" }));
    assert_eq!(fields["extras"], json!({ "type": "array", "items": { "type": "string" }, "maxItems": 3 }));
    assert_eq!(
        fields["seat"],
        json!({
            "type": "object",
            "properties": {
                "area": {
                    "allOf": [{ "type": "string", "enum": ["STALLS", "UPPER_CIRCLE", "box"], "title": "Area",
                                "x-descriptions": { "box": "With a door of its own." },
                                "description": "A part of the house." }],
                    "description": "Which part of the house.",
                },
                "number": { "type": "integer", "minimum": 1, "maximum": 99 },
                "note": { "type": ["string", "null"] },
            },
            "required": ["area", "number"], "additionalProperties": false,
            "title": "Seat", "description": "Where to sit.",
        })
    );
    assert_eq!(import["target"], json!({ "any": "ticketId" }));
    let fields = &import["payload"]["properties"];
    assert_eq!(fields["ticketId"], json!({ "type": "string", "format": "id" }));
    assert_eq!(fields["type"], json!({ "type": ["string", "null"], "pattern": "^[A-Z]+$" }));
    assert_eq!(fields["seat"]["anyOf"][1], json!({ "type": "null" }));
    assert_eq!(import["payload"]["required"], json!(["ticketId", "weight", "seenAt"]));
}

#[test]
fn a_decision_carries_its_events_claims_and_tags() {
    let sell = json!({ "seat": seat(), "price": "9.50", "buyer": "a@b.example", "venueId": "v", "extras": [] });
    let Decided { events, claims } = decide(None, "SellTicket", &sell).unwrap();
    assert_eq!((events[0].name.as_str(), events[0].version), ("TicketSold", 4));
    let payload: Json = serde_json::from_str(&events[0].payload).unwrap();
    assert_eq!(payload, json!({ "seat": seat(), "price": "9.50", "note": "a@b.example" }));
    assert_eq!(events[0].tags, ["seen-by:acme"]);
    assert!(
        matches!(&claims[..], [Claim::Take(claim)] if claim.constraint == "one_seat" && claim.value == "UpperCircle/7")
    );
}

#[test]
fn a_rejection_carries_what_the_domain_says() {
    let used = guest::evolve::<Pass>(None, vec![event("TicketUsed", 1, &json!({}))]);
    let rejection = decide(used, "UseTicket", &json!({ "id": "t1" })).unwrap_err();
    assert_eq!((rejection.code.as_str(), rejection.field.as_deref()), ("ticket_used", Some("id")));
    assert_eq!(rejection.details.as_deref(), Some(r#""1970-01-01T00:00:00.000001Z""#));
}

#[test]
fn a_state_survives_its_bytes_and_equal_states_are_equal_bytes() {
    let sold = || event("TicketSold", 4, &json!({ "price": "9.50", "seat": seat() }));
    let bytes = guest::evolve::<Pass>(None, vec![sold()]).unwrap();
    assert_eq!(bytes, guest::evolve::<Pass>(Some(bytes.clone()), vec![sold()]).unwrap());
    let Decided { claims, .. } = decide(Some(bytes), "UseTicket", &json!({ "id": "t1" })).unwrap();
    assert!(matches!(&claims[..], [Claim::Release(claim)] if claim.value == "UpperCircle/7"));
}

#[test]
fn events_of_older_versions_go_through_every_step_that_follows() {
    let old = |cents: i64| event("TicketSold", 1, &json!({ "seat": seat(), "cents": cents }));
    let batch = [
        old(950),
        old(0),
        event("TicketSold", 3, &json!({ "seat": seat(), "price": "1" })),
        event("TicketBought", 2, &json!({ "seat": seat(), "price": "1", "used": true })),
        event("TicketGot", 4, &json!({ "seat": seat(), "price": "1", "note": "kept" })),
        event("TicketStamped", 1, &json!({ "good": true })),
        event("TicketStamped", 1, &json!({ "good": false })),
        event("TicketStamped", 2, &json!({ "at": "2026-01-31T09:30:00Z" })),
        event("TicketSniffed", 1, &json!({})),
    ];
    let now = guest::upcast::<Pass>(&batch);
    let names: Vec<Vec<&str>> =
        now.iter().map(|events| events.iter().map(|event| event.name.as_str()).collect()).collect();
    let (sold, used) = ("TicketSold", "TicketUsed");
    assert_eq!(
        names,
        [
            vec![sold],
            vec![sold, used],
            vec![sold],
            vec![sold, used],
            vec![sold],
            vec![used],
            vec![],
            vec![used],
            vec![]
        ]
    );
    assert_eq!((now[0][0].version, &now[0][0].tags), (4, &vec!["a".to_owned()]));
    let read = |at: usize| TicketEvent::decode(&now[at][0].name, &now[at][0].payload).unwrap();
    assert!(
        matches!(read(0), TicketEvent::TicketSold { price, note: Some(note), .. } if price == Decimal::new(950, 2) && note == "split")
    );
    assert!(matches!(read(2), TicketEvent::TicketSold { note: None, .. }));
    assert!(matches!(read(4), TicketEvent::TicketSold { note: Some(note), .. } if note == "kept"));
}

#[test]
fn a_projection_of_several_aggregates_tells_their_events_apart() {
    let recorded = |aggregate: &str, event: types::Event| RecordedEvent {
        event,
        stream: StreamRef { aggregate: aggregate.into(), id: "x".into() },
        revision: 1,
        position: 2,
        recorded_at: 3,
        command_id: "c".into(),
        correlation_id: "c".into(),
        causation_id: None,
        actor: None,
    };
    let moved = recorded("Venue", event("VenueMoved", 1, &json!({ "town": "Ayr" })));
    let TicketChange::Venue(venue) = TicketChange::read(moved).unwrap() else { panic!("it is the venue's") };
    assert_eq!((venue.id(), venue.at), (Id::<Place>::new("x"), Timestamp::from_micros(3)));
    assert_eq!(Place::NAME, "Venue");
    let used = recorded("Ticket", event("TicketUsed", 1, &json!({})));
    assert!(matches!(TicketChange::read(used), Ok(TicketChange::Ticket(_))));
    let strange = recorded("Venue", event("VenueSold", 1, &json!({})));
    assert_eq!(TicketChange::read(strange).unwrap_err().to_string(), "this plugin knows no event VenueSold");
}

#[test]
#[should_panic(expected = "SellTicket has another shape: price is missing")]
fn a_document_that_breaks_the_manifest_ends_the_call() {
    let _ = decide(None, "SellTicket", &json!({ "seat": seat(), "buyer": "b", "venueId": "v", "extras": [] }));
}
