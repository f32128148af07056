//! Two plugins, and a backend in memory.

use std::cmp::Ordering as Cmp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rust_decimal::Decimal;
use serde_json::{Map, Value as Json, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use yado_engine::{
    Aggregate, Answered, Catalogue, Circumstances, Column, ColumnKind, CommandOptions, Dispatch, DispatchOptions, Each,
    Error, Filter, Function, Group, Mark, Op, Order, PageOptions, Quantifier, Receipt, Result, Row, Rows, Select,
    Table, What,
};
use yado_model::{Digest, EntityId, Manifest, Name, Position, Revision, StreamId};

use super::past::Past;
use super::patience::patient;
use crate::api::Source;
use crate::backend::{Backend, Session};
use crate::{Caller, GraphQl, Limits, Request};

pub(super) fn manifest(document: &Json) -> Manifest {
    Manifest::parse(&document.to_string()).unwrap()
}

/// A plugin with everything that a manifest can say about commands and read models.
pub(super) fn venues() -> Json {
    let id = json!({ "type": "string", "format": "id" });
    let venue_id =
        json!({ "type": "string", "format": "id", "x-references": "Venue", "description": "Where it lets in." });
    let price = json!({ "type": "string", "format": "decimal", "decimalMinimum": "0" });
    let status = json!({ "type": "string", "enum": ["OPEN", "SOLD"], "description": "Whether it can be had.",
                         "x-descriptions": { "SOLD": "Somebody has it." } });
    let place = json!({
        "type": "object", "title": "Place", "description": "Where something is.", "required": ["city"],
        "properties": { "city": { "type": "string" }, "floors": { "type": "array", "items": { "type": "integer" } } },
    });
    let price_range = json!({
        "type": "object", "title": "PriceRange", "properties": { "min": price, "max": price },
    });
    let ticket = json!({ "type": "object", "x-model": "Ticket", "properties": { "id": id } });
    let named = |name: &str, properties: Json, required: Json| json!({ "name": name, "version": 1, "payload": { "type": "object", "properties": properties, "required": required } });
    json!({
        "contract": yado_model::manifest::CONTRACT, "name": "venues", "version": "1.0.0", "description": "Venues and tickets.",
        "aggregates": [
            {
                "name": "Venue",
                "commands": [
                    { "name": "OpenVenue", "description": "Opens a venue.", "target": "create", "returns": "Venue",
                      "payload": { "type": "object", "required": ["name"], "additionalProperties": false,
                                   "properties": { "name": { "type": "string", "description": "What it is called." }, "place": place } } },
                    { "name": "CloseAll", "target": "create", "payload": { "type": "object", "properties": {} } },
                ],
                "events": [named("VenueOpened", json!({}), json!([]))],
            },
            {
                "name": "Ticket",
                "commands": [
                    { "name": "AddTicket", "description": "Puts a ticket on sale.", "target": "create", "returns": "Ticket",
                      "payload": { "type": "object", "required": ["venueId", "price"],
                                   "properties": { "venueId": venue_id, "price": price, "label": { "type": ["string", "null"] },
                                                   "status": status, "seats": { "type": "integer", "format": "int32" },
                                                   "tags": { "type": "array", "items": { "type": "string" } },
                                                   "extra": true } } },
                    { "name": "DropTicket", "target": { "existing": "id" },
                      "payload": { "type": "object", "properties": { "id": id }, "required": ["id"] } },
                ],
                "events": [named("TicketAdded", json!({}), json!([]))],
            },
        ],
        "readModels": [
            { "name": "Venue", "description": "A venue.", "key": "id",
              "relations": [{ "name": "tickets", "description": "What lets in.", "model": "Ticket", "field": "venueId", "many": true }],
              "row": { "type": "object", "required": ["id", "name"],
                       "properties": { "id": id, "name": { "type": "string" }, "place": place,
                                       "opened": { "type": "string", "format": "date-time" } } } },
            { "name": "Ticket", "description": "A ticket.", "key": "id", "indexes": [["price"]],
              "unique": [["code"], ["venueId", "code"]], "search": ["label"],
              "relations": [{ "name": "venue", "model": "Venue", "field": "venueId" }],
              "row": { "type": "object", "required": ["id", "venueId", "price", "code"],
                       "properties": { "id": id, "venueId": venue_id, "price": price,
                                       "label": { "type": ["string", "null"], "description": "What is printed on it." },
                                       "code": { "type": "string", "maxLength": 20, "description": "What is scanned." },
                                       "status": status, "seats": { "type": "integer", "format": "int32" },
                                       "sales": { "type": "integer" }, "rating": { "type": "number" },
                                       "sold": { "type": "boolean" },
                                       "tags": { "type": "array", "items": { "type": "string" } },
                                       "grade": { "type": "string", "enum": ["1st", "2nd"] },
                                       "extra": true } } },
        ],
        "queries": [
            { "name": "searchTickets", "description": "Tickets with a label that contains a text.",
              "arguments": { "type": "object", "required": ["label"], "additionalProperties": false,
                             "properties": { "label": { "type": "string", "description": "A part of the label." },
                                             "priceRange": { "anyOf": [price_range, { "type": "null" }] },
                                             "input": { "type": ["boolean", "null"] } } },
              "returns": { "type": "object", "title": "TicketPage", "description": "A page of tickets.",
                           "required": ["tickets", "total"],
                           "properties": { "tickets": { "type": "array", "items": ticket, "description": "The tickets." },
                                           "best": { "anyOf": [ticket, { "type": "null" }] },
                                           "total": { "type": "integer", "format": "int32" } } } },
            { "name": "findTickets", "description": "Tickets by their label, a page at a time.",
              "arguments": { "type": "object", "properties": {
                  "label": { "type": ["string", "null"] },
                  "part": { "anyOf": [{ "type": "null" }, { "type": "object", "title": "Part", "properties": {
                      "page": { "type": "integer", "minimum": 1, "format": "int32" },
                      "size": { "type": "integer", "format": "int32" } } }] } } },
              "returns": { "type": "object", "title": "FoundTickets", "required": ["tickets", "total"],
                           "properties": { "tickets": { "type": "array", "items": ticket },
                                           "total": { "type": "integer", "format": "int32" } } },
              "rows": { "model": "Ticket", "where": [{ "field": "label", "op": "contains", "argument": "label" }],
                        "answer": { "page": { "rows": "tickets", "total": "total", "number": "part.page",
                                              "size": "part.size", "defaultSize": 5 } } } },
            { "name": "ticketsUpTo", "description": "Tickets that cost no more than a limit.",
              "arguments": { "type": "object", "required": ["limit"], "properties": { "limit": price } },
              "returns": { "type": "array", "items": ticket },
              "rows": { "model": "Ticket", "where": [{ "field": "price", "op": "lte", "argument": "limit" }],
                        "answer": { "list": { "limit": 30 } } } },
            { "name": "labelledTicket",
              "arguments": { "type": "object", "required": ["label"], "properties": { "label": { "type": "string" } } },
              "returns": { "anyOf": [ticket, { "type": "null" }] },
              "rows": { "model": "Ticket", "where": [{ "field": "label", "op": "eq", "argument": "label" }],
                        "orderBy": [{ "field": "price" }], "answer": "one" } },
            { "name": "openTickets", "arguments": { "type": "object", "properties": {} },
              "returns": { "type": "array", "items": ticket },
              "rows": { "model": "Ticket", "where": [{ "field": "status", "op": "eq", "value": "OPEN" }],
                        "answer": { "list": { "limit": 30 } } } },
            { "name": "soldOut", "arguments": { "type": "object", "properties": {} }, "returns": { "type": ["boolean", "null"] } },
        ],
        "projections": [{ "name": "Rows", "models": ["Venue", "Ticket"],
                          "events": [{ "aggregate": "Venue" }, { "aggregate": "Ticket" }] }],
    })
}

/// GraphQL over the plugin, and what it stands on.
pub(super) struct Fixture {
    pub(super) graphql: GraphQl,
    pub(super) memory: Arc<Memory>,
}

pub(super) fn fixture() -> Fixture {
    limited(patient())
}

pub(super) fn limited(limits: Limits) -> Fixture {
    over(&venues(), limits)
}

/// The same over another plugin.
pub(super) fn over(document: &Json, limits: Limits) -> Fixture {
    let (manifest, memory) = (manifest(document), Arc::new(Memory::default()));
    let source = Source { manifest: &manifest, digest: Digest::of(b"venues") };
    Fixture { graphql: GraphQl::over(&[source], Arc::new(InMemory(memory.clone())), limits).unwrap(), memory }
}

impl Fixture {
    pub(super) async fn text(&self, request: Request) -> String {
        String::from_utf8(self.graphql.execute(request).await.to_json()).unwrap()
    }

    pub(super) async fn send(&self, request: Request) -> Json {
        serde_json::from_str(&self.text(request).await).unwrap()
    }

    pub(super) async fn ask(&self, query: &str) -> Json {
        self.ask_with(query, json!({})).await
    }

    pub(super) async fn ask_with(&self, query: &str, variables: Json) -> Json {
        let Json::Object(variables) = variables else { panic!("variables are an object") };
        self.send(Request { query: query.to_owned(), variables, ..Request::default() }).await
    }

    /// The first error as "code: message".
    pub(super) async fn refused(&self, query: &str) -> String {
        let answer = self.ask(query).await;
        let error = &answer["errors"][0];
        format!("{}: {}", error["extensions"]["code"].as_str().unwrap(), error["message"].as_str().unwrap())
    }
}

pub(super) fn keyed(query: &str, key: &str) -> Request {
    let caller = Caller { idempotency_key: Some(key.parse().unwrap()), ..Caller::default() };
    Request { query: query.to_owned(), caller, ..Request::default() }
}

/// Read models in memory. What a command writes is seen only by those who wait for it.
#[derive(Default)]
pub(super) struct Memory {
    rows: Mutex<HashMap<String, Vec<Row>>>,
    written: Mutex<Vec<(Position, String, Row)>>,
    pub(super) dispatched: Mutex<Vec<Dispatch>>,
    pub(super) statements: Mutex<Vec<String>>,
    /// What guests answer, by query, and what they were asked.
    pub(super) answers: Mutex<HashMap<String, Json>>,
    pub(super) asked: Mutex<Vec<Json>>,
    /// What declared queries answer, by query, and what they were asked.
    pub(super) rows_answered: Mutex<HashMap<String, Answered>>,
    pub(super) pages: Mutex<Vec<(Json, PageOptions)>>,
    pub(super) failure: Mutex<Option<Error>>,
    /// Whether the command `CloseAll` and lookups by key are not answered as long as that is so.
    pub(super) slow: watch::Sender<bool>,
    /// How many keys can be looked up at once in the time that there is, if not any number. What takes longer uses its time up
    /// without any of it passing: no lookup that has to be done by then is answered any more.
    pub(super) keys_in_time: Mutex<Option<usize>>,
    /// The times that have been used up.
    pub(super) used_up: Mutex<Vec<Instant>>,
    /// Which columns were asked for, besides the key.
    pub(super) columns: Mutex<Vec<Vec<String>>>,
    /// How many rows have been handed out.
    pub(super) handed_out: AtomicUsize,
    /// What is added to the revision of every receipt, which is 1 otherwise.
    pub(super) revision: AtomicU64,
    /// Where read models stand; where nothing is said, at the beginning.
    pub(super) positions: Mutex<HashMap<String, u64>>,
    lossy: AtomicBool,
    /// Why no subscription may begin, if none may.
    pub(super) barred: Mutex<Option<Error>>,
    /// Whether read models never come to a position that they don't stand at.
    pub(super) lags: AtomicBool,
    /// Whether nobody gets an answer who waits for a read model.
    pub(super) stands_still: watch::Sender<bool>,
    /// What subscriptions follow.
    pub(super) past: Past,
}

impl Memory {
    pub(super) fn put(&self, model: &str, row: Json) {
        let Json::Object(row) = row else { panic!("a row is an object") };
        self.rows.lock().unwrap().entry(model.to_owned()).or_default().push(row);
    }

    fn asked(&self, what: String) -> Result<()> {
        self.statements.lock().unwrap().push(what);
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    /// Rows, each with its place in the order.
    fn selected(&self, model: &Name, select: &Select) -> Vec<(Mark, Row)> {
        let rows = self.chosen(model, select.filter.as_ref()).into_iter();
        let mut rows: Vec<(Mark, Row)> = {
            let all = self.rows.lock().unwrap();
            rows.map(|row| (place(&select.order, &row, &all), row)).collect()
        };
        rows.sort_by(|(a, _), (b, _)| compared(&select.order, a, b));
        let beyond = |own: &Mark, mark: Option<&Mark>, side: Cmp| {
            mark.is_none_or(|mark| compared(&select.order, own, mark) == side)
        };
        rows.retain(|(own, _)| beyond(own, select.after.as_ref(), Cmp::Greater));
        rows.retain(|(own, _)| beyond(own, select.before.as_ref(), Cmp::Less));
        let skipped = match select.backward {
            true => rows.len().saturating_sub(select.limit as usize),
            false => select.offset as usize,
        };
        let page: Vec<_> = rows.into_iter().skip(skipped).take(select.limit as usize).collect();
        self.handed_out.fetch_add(page.len(), Ordering::Relaxed);
        page
    }

    /// Rows as a statement answers with them, and what stands beside each.
    fn read(&self, mut rows: Vec<Row>, columns: Option<&[String]>, beside: &[Vec<Json>]) -> Rows {
        if let Some(columns) = columns {
            self.columns.lock().unwrap().push(columns.to_vec());
            rows.iter_mut().for_each(|row| row.retain(|name, _| name == "id" || columns.contains(name)));
        }
        for (row, beside) in rows.iter_mut().zip(beside) {
            // Columns are in the order of their names, and these are the last ones.
            row.extend(beside.iter().enumerate().map(|(at, value)| (format!("z_{at}"), value.clone())));
        }
        shown(&rows).with_beside(beside.first().map_or(0, Vec::len))
    }

    fn chosen(&self, model: &Name, filter: Option<&Filter>) -> Vec<Row> {
        let all = self.rows.lock().unwrap();
        let rows = all.get(model.as_str()).into_iter().flatten();
        rows.filter(|row| filter.is_none_or(|filter| holds(filter, row, &all))).cloned().collect()
    }

    fn computed(&self, model: &Name, aggregate: &Aggregate) -> Vec<Group> {
        let mut groups: BTreeMap<String, (Row, Vec<Row>)> = BTreeMap::new();
        if aggregate.by.is_empty() {
            groups.insert(String::new(), (Row::new(), Vec::new()));
        }
        for row in self.chosen(model, aggregate.filter.as_ref()) {
            let part = |field: &String| (field.clone(), row.get(field).cloned().unwrap_or_default());
            let key: Row = aggregate.by.iter().map(part).collect();
            let place = if key.is_empty() { String::new() } else { Json::Object(key.clone()).to_string() };
            groups.entry(place).or_insert_with(|| (key, Vec::new())).1.push(row);
        }
        let group = |(key, rows): (Row, Vec<Row>)| {
            let values = aggregate.of.iter().map(|(function, field)| figure(*function, field, &rows));
            Group { key, count: rows.len() as u64, values: values.collect() }
        };
        let page = match aggregate.by.len() {
            0 => 0..1,
            _ => aggregate.offset as usize..(aggregate.offset + aggregate.limit) as usize,
        };
        groups.into_values().skip(page.start).take(page.len()).map(group).collect()
    }

    /// Forgets what commands have written, as if it had been removed in the meantime.
    pub(super) fn lose_writes(&self) {
        self.lossy.store(true, Ordering::Relaxed);
    }

    pub(super) fn statements(&self) -> Vec<String> {
        std::mem::take(&mut self.statements.lock().unwrap())
    }
}

/// Opens sessions on read models in memory.
#[derive(Default)]
pub(super) struct InMemory(pub(super) Arc<Memory>);

impl Backend for InMemory {
    fn session(&self, _: &Arc<Catalogue>, circumstances: Circumstances) -> Box<dyn Session> {
        Box::new(OnMemory { memory: self.0.clone(), circumstances })
    }
}

/// One request.
struct OnMemory {
    memory: Arc<Memory>,
    circumstances: Circumstances,
}

impl OnMemory {
    /// What is not answered ends with the request's time, as everything does that a session is asked.
    async fn while_slow(&self) -> Result<(), u64> {
        let (until, mut slow) = (self.circumstances.until.unwrap(), self.slow.subscribe());
        timeout_at(until.at, slow.wait_for(|slow| !slow)).await.map(drop).map_err(|_| until.limit_ms)
    }

    /// A lookup of so many keys ends with its time, if it takes longer.
    fn in_time(&self, keys: usize) -> Result<(), u64> {
        let Some(most) = *self.keys_in_time.lock().unwrap() else { return Ok(()) };
        let (until, mut used_up) = (self.circumstances.until.unwrap(), self.used_up.lock().unwrap());
        let is_over = used_up.iter().any(|used_up| until.at <= *used_up);
        if !is_over && keys <= most {
            return Ok(());
        }
        if !is_over {
            used_up.push(until.at);
        }
        Err(until.limit_ms)
    }
}

impl std::ops::Deref for OnMemory {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.memory
    }
}

#[async_trait]
impl Session for OnMemory {
    async fn dispatch(&self, command: &Name, payload: Json, options: CommandOptions) -> Result<Receipt> {
        if command.as_str() == "CloseAll" {
            let late = |limit_ms| Error::Timeout { what: format!("the command {command}"), limit_ms };
            self.while_slow().await.map_err(late)?;
        }
        self.asked(format!("dispatch {command}"))?;
        let Circumstances { tenant, actor, correlation_id, .. } = self.circumstances.clone();
        let CommandOptions { idempotency_key, expected_revision, causation_id } = options;
        let options = DispatchOptions { idempotency_key, expected_revision, actor, correlation_id, causation_id };
        let dispatch = Dispatch { tenant, command: command.clone(), payload, options };
        let mut dispatched = self.dispatched.lock().unwrap();
        dispatched.push(dispatch.clone());
        let (number, command) = (dispatched.len() as u64, dispatch.command.as_str());
        let model = if command.ends_with("Venue") { "Venue" } else { "Ticket" };
        let id = dispatch.payload.get("id").and_then(Json::as_str).map_or(format!("new{number}"), str::to_owned);
        let mut row = dispatch.payload.as_object().cloned().unwrap_or_default();
        row.insert("id".into(), json!(id));
        self.written.lock().unwrap().push((Position::new(number), model.to_owned(), row));
        Ok(Receipt {
            stream: StreamId::new(&Name::parse(model).unwrap(), &EntityId::parse(&id).unwrap()),
            revision: Revision::new(1 + self.revision.load(Ordering::Relaxed)),
            position: Position::new(number),
            changed: true,
            repeated: false,
        })
    }

    async fn caught_up(&self, model: &Name, position: Position) -> Result<()> {
        self.asked(format!("wait {model} {position}"))?;
        // The sender is here.
        let _ = self.stands_still.subscribe().wait_for(|stands_still| !stands_still).await;
        let reached = self.position(model);
        if self.lags.load(Ordering::Relaxed) && reached < position {
            return Err(Error::Lagging { model: model.to_string(), wanted: position, reached, limit_ms: 5_000 });
        }
        let written = std::mem::take(&mut *self.written.lock().unwrap());
        if !self.lossy.load(Ordering::Relaxed) {
            written.into_iter().for_each(|(_, model, row)| self.put(&model, Json::Object(row)));
        }
        Ok(())
    }

    async fn shows(&self, model: &Name, _: &StreamId, position: Position) -> Result<()> {
        self.caught_up(model, position).await
    }

    fn position(&self, model: &Name) -> Position {
        Position::new(self.positions.lock().unwrap().get(model.as_str()).copied().unwrap_or_default())
    }

    async fn rows(&self, model: &Name, keys: &[String], columns: Option<&[String]>) -> Result<Rows> {
        let late = |limit_ms| Error::Late { what: format!("reading {model}"), limit_ms };
        self.while_slow().await.map_err(late)?;
        self.asked(format!("rows {model} {}", keys.len()))?;
        self.in_time(keys.len()).map_err(late)?;
        let rows = self.rows.lock().unwrap();
        let rows = rows.get(model.as_str()).into_iter().flatten();
        let rows = rows.filter(|row| keys.iter().any(|key| row["id"] == **key)).cloned().collect();
        Ok(self.read(rows, columns, &[]))
    }

    async fn select(&self, model: &Name, select: &Select) -> Result<Rows> {
        self.asked(format!("select {model} {} {:?}", select.limit, select.order.first().map(|order| &order.field)))?;
        let (marks, rows): (Vec<Mark>, Vec<Row>) = self.selected(model, select).into_iter().unzip();
        let beside = |mark: Mark| {
            let values = select.order.iter().zip(mark.values);
            values.filter(|(order, _)| select.beside && !order.through.is_empty()).map(|(_, value)| value).collect()
        };
        let beside: Vec<Vec<Json>> = marks.into_iter().map(beside).collect();
        Ok(self.read(rows, select.columns.as_deref(), &beside))
    }

    async fn select_each(&self, model: &Name, each: &Each, select: &Select) -> Result<Rows> {
        let order = select.order.first().map(|order| &order.field);
        self.asked(format!("select {model} {} {order:?} for each of {}", select.limit, each.values.len()))?;
        let page = |value: &Json| {
            let equal = Filter::Compare { field: each.field.clone(), op: Op::Equal, value: value.clone() };
            let filter = Filter::All(select.filter.clone().into_iter().chain([equal]).collect());
            let rows = self.selected(model, &Select { filter: Some(filter), ..select.clone() });
            rows.into_iter().map(|(_, row)| row)
        };
        let columns = select.columns.clone().map(|columns| [columns, vec![each.field.clone()]].concat());
        Ok(self.read(each.values.iter().flat_map(page).collect(), columns.as_deref(), &[]))
    }

    async fn count(&self, model: &Name, filter: Option<&Filter>) -> Result<u64> {
        self.asked(format!("count {model}"))?;
        Ok(self.chosen(model, filter).len() as u64)
    }

    async fn aggregate(&self, model: &Name, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let (by, count) = (aggregate.by.join(", "), aggregate.of.len());
        self.asked(format!("aggregate {model} {count} by [{by}]"))?;
        Ok(self.computed(model, aggregate))
    }

    async fn aggregate_each(&self, model: &Name, each: &Each, aggregate: &Aggregate) -> Result<Vec<(Json, Group)>> {
        let (by, count) = (aggregate.by.join(", "), aggregate.of.len());
        self.asked(format!("aggregate {model} {count} by [{by}] for each of {}", each.values.len()))?;
        let of = |value: &Json| {
            let equal = Filter::Compare { field: each.field.clone(), op: Op::Equal, value: value.clone() };
            let filter = Filter::All(aggregate.filter.clone().into_iter().chain([equal]).collect());
            let groups = self.computed(model, &Aggregate { filter: Some(filter), ..aggregate.clone() });
            groups.into_iter().map(|group| (value.clone(), group)).collect::<Vec<_>>()
        };
        Ok(each.values.iter().flat_map(of).collect())
    }

    fn table(&self, model: &Name) -> Result<Table> {
        let key = Name::parse("id").unwrap();
        let columns = [
            ("id", ColumnKind::Text),
            ("venueId", ColumnKind::Text),
            ("label", ColumnKind::Text),
            ("name", ColumnKind::Text),
            ("price", ColumnKind::Decimal),
        ];
        let column = |(name, kind)| Column { name: Name::parse(name).unwrap(), kind, nullable: name != "id" };
        Ok(Table {
            name: model.to_string(),
            columns: columns.map(column).to_vec(),
            key,
            indexes: Vec::new(),
            unique: Vec::new(),
            search: Vec::new(),
        })
    }

    async fn ask(&self, query: &Name, arguments: Json, page: PageOptions) -> Result<Answered> {
        self.asked(format!("ask {query}"))?;
        if let Some(answer) = self.rows_answered.lock().unwrap().get(query.as_str()) {
            self.pages.lock().unwrap().push((arguments, page));
            return Ok(answer.clone());
        }
        let answer = self.answers.lock().unwrap().get(query.as_str()).cloned().unwrap_or_default();
        self.asked.lock().unwrap().push(arguments);
        Ok(Answered::Json(answer))
    }

    fn admit(&self, _: What<'_>) -> Result<()> {
        self.barred.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

/// Rows out of JSON. What a column holds is said by what the rows have in it, which need not be what a schema says.
pub(super) fn shown(rows: &[Row]) -> Rows {
    let names: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
    let column = |name: &String| {
        let held = || rows.iter().filter_map(|row| row.get(name)).filter(|value| !value.is_null());
        let all = |is: fn(&Json) -> bool| held().all(is);
        let kind = match () {
            () if all(Json::is_string) => ColumnKind::Text,
            () if all(Json::is_i64) => ColumnKind::Integer,
            () if all(Json::is_boolean) => ColumnKind::Boolean,
            () => ColumnKind::Json,
        };
        Column { name: Name::parse(name).unwrap(), kind, nullable: true }
    };
    Rows::of(&names.into_iter().map(column).collect::<Vec<_>>(), rows)
}

/// As much of the meaning of filters as these tests need; the rest is the stores' to prove.
pub(super) fn holds(filter: &Filter, row: &Map<String, Json>, all: &HashMap<String, Vec<Row>>) -> bool {
    let get = |field: &String| row.get(field).cloned().unwrap_or_default();
    match filter {
        Filter::All(parts) => parts.iter().all(|part| holds(part, row, all)),
        Filter::Any(parts) => parts.iter().any(|part| holds(part, row, all)),
        Filter::Not(inner) => !holds(inner, row, all),
        Filter::Compare { field, op: Op::Equal, value } => get(field) == *value,
        Filter::Compare { field, op, .. } => panic!("{field} is compared by {op:?}"),
        Filter::In { field, values } => values.contains(&get(field)),
        Filter::Null { field } => get(field).is_null(),
        Filter::Search { words } => {
            let label = get(&"label".to_owned()).to_string().to_lowercase();
            words.iter().all(|word| label.contains(&word.to_lowercase()))
        }
        Filter::Related { link, quantifier, filter } => {
            let others = all.get(&link.table.name).into_iter().flatten();
            let mut met = others
                .filter(|other| other.get(&link.to) == Some(&get(&link.from)))
                .map(|other| filter.as_ref().is_none_or(|filter| holds(filter, other, all)));
            match quantifier {
                Quantifier::Some => met.any(|met| met),
                Quantifier::None => !met.any(|met| met),
                Quantifier::Every => met.all(|met| met),
            }
        }
    }
}

/// Where a row stands in an order.
fn place(order: &[Order], row: &Row, all: &HashMap<String, Vec<Row>>) -> Mark {
    let value = |order: &Order| {
        let mut row = Some(row);
        for link in &order.through {
            let from = row.and_then(|row| row.get(&link.from));
            let mut others = all.get(&link.table.name).into_iter().flatten();
            row = others.find(|other| from.is_some() && other.get(&link.to) == from);
        }
        row.and_then(|row| row.get(&order.field)).cloned().unwrap_or_default()
    };
    Mark { values: order.iter().map(value).collect(), key: row["id"].as_str().unwrap().to_owned() }
}

/// Places in an order: by texts, and at last by key.
fn compared(order: &[Order], a: &Mark, b: &Mark) -> Cmp {
    let text = |value: &Json| (!value.is_null()).then(|| value.to_string());
    let values = a.values.iter().map(text).zip(b.values.iter().map(text));
    let steps = order.iter().zip(values).map(|(order, values)| match values {
        (Some(a), Some(b)) if order.descending => b.cmp(&a),
        // Nothing comes last.
        (a, b) => a.is_none().cmp(&b.is_none()).then_with(|| a.cmp(&b)),
    });
    let key = if order.last().is_some_and(|order| order.descending) { b.key.cmp(&a.key) } else { a.key.cmp(&b.key) };
    steps.fold(Cmp::Equal, Cmp::then).then(key)
}

/// As much of the meaning of functions: of decimal numbers only.
fn figure(function: Function, field: &str, rows: &[Row]) -> Json {
    let numbers = rows.iter().filter_map(|row| row.get(field)?.as_str()?.parse::<Decimal>().ok());
    let numbers: Vec<Decimal> = numbers.collect();
    let sum = || numbers.iter().copied().reduce(|sum, number| sum + number);
    let figure = match function {
        Function::Sum => sum(),
        Function::Avg => sum().map(|sum| (sum / Decimal::from(numbers.len())).normalize()),
        Function::Min => numbers.iter().min().copied(),
        Function::Max => numbers.iter().max().copied(),
    };
    figure.map_or(Json::Null, |figure| Json::String(figure.to_string()))
}
