//! Two plugins, and a backend in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};
use yado_engine::{Ask, Catalogue, Dispatch, Each, Error, Filter, Op, Receipt, Result, Row, Select};
use yado_model::{Digest, EntityId, Manifest, Name, Position, Revision, StreamId, TenantId};

use crate::api::Source;
use crate::backend::Backend;
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
              "relations": [{ "name": "venue", "model": "Venue", "field": "venueId" }],
              "row": { "type": "object", "required": ["id", "venueId", "price"],
                       "properties": { "id": id, "venueId": venue_id, "price": price,
                                       "label": { "type": ["string", "null"], "description": "What is printed on it." },
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
    limited(Limits::default())
}

pub(super) fn limited(limits: Limits) -> Fixture {
    let (manifest, memory) = (manifest(&venues()), Arc::new(Memory::default()));
    let source = Source { manifest: &manifest, digest: Digest::of(b"venues") };
    Fixture { graphql: GraphQl::over(&[source], memory.clone(), limits).unwrap(), memory }
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
    pub(super) asked: Mutex<Vec<Ask>>,
    pub(super) failure: Mutex<Option<Error>>,
    /// Whether the command `CloseAll` and lookups by key are never answered.
    pub(super) slow: AtomicBool,
    /// How many rows have been handed out.
    pub(super) handed_out: AtomicUsize,
    /// What is added to the revision of every receipt, which is 1 otherwise.
    pub(super) revision: AtomicU64,
    /// Where read models stand; where nothing is said, at the beginning.
    pub(super) positions: Mutex<HashMap<String, u64>>,
    lossy: AtomicBool,
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

    fn selected(&self, model: &Name, select: &Select) -> Vec<Row> {
        let rows = self.rows.lock().unwrap();
        let rows = rows.get(model.as_str()).into_iter().flatten();
        let mut rows: Vec<Row> =
            rows.filter(|row| select.filter.as_ref().is_none_or(|filter| holds(filter, row))).cloned().collect();
        for order in select.order.iter().rev() {
            let text = |row: &Row| row.get(&order.field).map(ToString::to_string);
            rows.sort_by_key(text);
            if order.descending {
                rows.reverse();
            }
        }
        let page: Vec<Row> = rows.into_iter().skip(select.offset as usize).take(select.limit as usize).collect();
        self.handed_out.fetch_add(page.len(), Ordering::Relaxed);
        page
    }

    /// Forgets what commands have written, as if it had been removed in the meantime.
    pub(super) fn lose_writes(&self) {
        self.lossy.store(true, Ordering::Relaxed);
    }

    pub(super) fn statements(&self) -> Vec<String> {
        std::mem::take(&mut self.statements.lock().unwrap())
    }
}

#[async_trait]
impl Backend for Memory {
    async fn dispatch(&self, _: &Arc<Catalogue>, dispatch: Dispatch) -> Result<Receipt> {
        if self.slow.load(Ordering::Relaxed) && dispatch.command.as_str() == "CloseAll" {
            std::future::pending::<()>().await;
        }
        self.asked(format!("dispatch {}", dispatch.command))?;
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

    async fn caught_up(&self, _: &Catalogue, model: &Name, position: Position) -> Result<()> {
        self.asked(format!("wait {model} {position}"))?;
        let written = std::mem::take(&mut *self.written.lock().unwrap());
        if !self.lossy.load(Ordering::Relaxed) {
            written.into_iter().for_each(|(_, model, row)| self.put(&model, Json::Object(row)));
        }
        Ok(())
    }

    fn position(&self, _: &Catalogue, model: &Name) -> Position {
        Position::new(self.positions.lock().unwrap().get(model.as_str()).copied().unwrap_or_default())
    }

    async fn rows(&self, _: &Catalogue, model: &Name, _: &TenantId, keys: &[String]) -> Result<Vec<Row>> {
        if self.slow.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.asked(format!("rows {model} {}", keys.len()))?;
        let rows = self.rows.lock().unwrap();
        let rows = rows.get(model.as_str()).into_iter().flatten();
        Ok(rows.filter(|row| keys.iter().any(|key| row["id"] == **key)).cloned().collect())
    }

    async fn select(&self, _: &Catalogue, model: &Name, _: &TenantId, select: &Select) -> Result<Vec<Row>> {
        self.asked(format!("select {model} {} {:?}", select.limit, select.order.first().map(|order| &order.field)))?;
        Ok(self.selected(model, select))
    }

    async fn select_each(
        &self,
        _: &Catalogue,
        model: &Name,
        _: &TenantId,
        each: &Each,
        select: &Select,
    ) -> Result<Vec<Row>> {
        let order = select.order.first().map(|order| &order.field);
        self.asked(format!("select {model} {} {order:?} for each of {}", select.limit, each.values.len()))?;
        let page = |value: &Json| {
            let equal = Filter::Compare { field: each.field.clone(), op: Op::Equal, value: value.clone() };
            let filter = Filter::All(select.filter.clone().into_iter().chain([equal]).collect());
            self.selected(model, &Select { filter: Some(filter), ..select.clone() })
        };
        Ok(each.values.iter().flat_map(page).collect())
    }

    async fn ask(&self, _: &Catalogue, ask: Ask) -> Result<Json> {
        self.asked(format!("ask {}", ask.query))?;
        let answer = self.answers.lock().unwrap().get(ask.query.as_str()).cloned().unwrap_or_default();
        self.asked.lock().unwrap().push(ask);
        Ok(answer)
    }
}

/// As much of the meaning of filters as these tests need; the rest is the stores' to prove.
fn holds(filter: &Filter, row: &Map<String, Json>) -> bool {
    let get = |field: &String| row.get(field).cloned().unwrap_or_default();
    match filter {
        Filter::All(parts) => parts.iter().all(|part| holds(part, row)),
        Filter::Any(parts) => parts.iter().any(|part| holds(part, row)),
        Filter::Not(inner) => !holds(inner, row),
        Filter::Compare { field, op: Op::Equal, value } => get(field) == *value,
        Filter::Compare { field, op, .. } => panic!("{field} is compared by {op:?}"),
        Filter::In { field, values } => values.contains(&get(field)),
        Filter::Null { field } => get(field).is_null(),
        Filter::Related { link, .. } => panic!("{} is asked for what is related", link.table.name),
    }
}
