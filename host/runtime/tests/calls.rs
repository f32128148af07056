//! What a tame guest is asked and answers, and how its instances are kept.

#![allow(clippy::unwrap_used, reason = "the lint lets tests unwrap, but not the functions that they share")]

mod guest;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;
use yado_model::{NewEvent, RecordedEvent, TenantId};
use yado_runtime::{Condition, FaultKind, Isolation, Limits, Plugin, Rows, RowsError, Runtime, Selection, Settings};

use guest::calls::{command, context, decide, decide_for, event, recorded, tenant};
use guest::{COUNT, Guest, REJECT};

fn load(guest: &Guest) -> Plugin {
    Runtime::new(Settings::default()).unwrap().load(&guest.module()).unwrap()
}

fn count(plugin: &Plugin, tenant: &str) -> String {
    decide_for(plugin, tenant, "{}").unwrap().unwrap()
}

#[test]
fn a_command_comes_back_as_the_guests_decision() {
    assert_eq!(decide(&load(&Guest::counter())).unwrap().unwrap(), r#"{"by":1}"#);
}

#[test]
fn a_rejection_keeps_all_that_it_says() {
    let rejection = decide(&load(&Guest::deciding(REJECT))).unwrap().unwrap_err();
    assert_eq!((rejection.code.as_str(), rejection.message.as_str()), ("not_there", "There is none."));
    assert_eq!(rejection.field.as_deref(), Some("key"));
    assert_eq!(rejection.details.unwrap().to_string(), r#"{"a":1.50}"#);
}

#[test]
fn events_are_folded_a_batch_at_a_time() {
    let plugin = load(&Guest::counter());
    let events = [event("{}"), event("{}"), event("{}")];
    let state = plugin.evolve(&tenant("acme"), "Counter", None, &events).unwrap();
    assert_eq!(state, Some(vec![3]));
}

#[test]
fn no_state_means_that_the_thing_is_gone() {
    let guest =
        Guest { evolve: "(i32.store8 (i32.const 608) (i32.const 0)) (i32.const 608)".into(), ..Guest::counter() };
    let state = load(&guest).evolve(&tenant("acme"), "Counter", Some(b"old"), &[event("{}")]).unwrap();
    assert_eq!(state, None);
}

#[test]
fn events_are_upcast_a_batch_at_a_time_and_keep_payloads_and_tags() {
    let old = [
        NewEvent { tags: vec!["course:42".into(), "é".into()], ..event(r#"{"a":[1]}"#) },
        NewEvent { version: 4, ..event("{}") },
    ];
    let new = load(&Guest::counter()).upcast(&tenant("acme"), "Counter", &[&old[0], &old[1]]).unwrap();
    let [first, second] = old;
    assert_eq!(new, [[NewEvent { version: 2, ..first }], [NewEvent { version: 5, ..second }]]);
}

#[test]
fn a_guest_that_does_not_answer_for_every_old_event_is_at_fault() {
    let silent = "
        (i32.store (i32.const 608) (i32.const 49152)) (i32.store (i32.const 612) (i32.const 0))
        (i32.const 608)";
    let guest = Guest { upcast: silent.into(), ..Guest::counter() };
    let fault = load(&guest).upcast(&tenant("acme"), "Counter", &[&event("{}")]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::InvalidOutput);
    assert_eq!(fault.detail, "of 1 events it told what has become of 0");
}

#[derive(Default)]
struct Table {
    log: Vec<String>,
    rows: BTreeMap<String, String>,
    broken: Option<RowsError>,
}

impl Rows for Table {
    fn at(&mut self, position: u64) -> Result<(), RowsError> {
        self.log.push(format!("at {position}"));
        Ok(())
    }

    fn get(&mut self, model: &str, key: &str) -> Result<Option<Arc<str>>, RowsError> {
        self.log.push(format!("get {model} {key}"));
        self.broken.take().map_or(Ok(()), Err)?;
        Ok(self.rows.get(key).map(|row| row.as_str().into()))
    }

    fn put(&mut self, model: &str, row: &str) -> Result<(), RowsError> {
        self.log.push(format!("put {model} {row}"));
        self.broken.take().map_or(Ok(()), Err)
    }

    fn patch(&mut self, _: &str, _: &str, _: &str) -> Result<(), RowsError> {
        unreachable!("the guest does not call it")
    }

    fn add(&mut self, _: &str, _: &str, _: &str, _: &str) -> Result<(), RowsError> {
        unreachable!("the guest does not call it")
    }

    fn delete(&mut self, model: &str, key: &str) -> Result<(), RowsError> {
        self.log.push(format!("delete {model} {key}"));
        Ok(())
    }

    fn find(&mut self, _: &str, _: Selection) -> Result<Vec<String>, RowsError> {
        unreachable!("the guest does not call it")
    }

    fn count(&mut self, _: &str, _: Vec<Condition>) -> Result<u64, RowsError> {
        unreachable!("the guest does not call it")
    }
}

#[test]
fn a_projection_writes_its_rows_in_order() {
    let cause = Uuid::from_u128(9);
    let events = [recorded(r#"{"id":"a"}"#, None), recorded(r#"{"id":"b"}"#, Some(cause))];
    let (table, result) = load(&Guest::reading()).project(&tenant("acme"), "Counters", &events, Table::default());
    result.unwrap();
    assert_eq!(
        table.log,
        [r#"put Counter {"id":"a"}"#, r#"put Counter {"id":"b"}"#, &format!("delete Counter {cause}")]
    );
}

#[test]
fn a_query_reads_rows_and_answers() {
    let plugin = load(&Guest::reading());
    let tenant = tenant("acme");
    let rows = BTreeMap::from([("a".to_owned(), r#"{"id":"a","price":1.50}"#.to_owned())]);
    let table = Table { rows, ..Table::default() };
    let (table, answer) = plugin.answer(&tenant, "findCounter", "a", &context(&tenant), table);
    assert_eq!(answer.unwrap().unwrap().to_string(), r#"{"id":"a","price":1.50}"#);
    let (_, answer) = plugin.answer(&tenant, "findCounter", "b", &context(&tenant), table);
    assert_eq!(
        answer.unwrap().unwrap_err().details,
        Some(json!({ "a": serde_json::from_str::<serde_json::Value>("1.50").unwrap() }))
    );
}

#[test]
fn a_database_that_is_gone_is_not_the_guests_fault() {
    let broken = Some(RowsError::Unavailable("the database is gone".into()));
    let table = Table { broken, ..Table::default() };
    let plugin = load(&Guest::reading());
    let (table, result) = plugin.project(&tenant("acme"), "Counters", &[recorded("{}", None)], table);
    let fault = result.unwrap_err();
    assert!(fault.is_host(), "{fault}");
    assert_eq!(fault.source.unwrap().to_string(), "the database is gone");
    assert_eq!(table.log, ["put Counter {}"], "the rows come back also after a fault");
}

#[test]
fn a_row_that_is_refused_is_the_guests_fault() {
    let broken = Some(RowsError::Misused("there is no model Counter".into()));
    let table = Table { broken, ..Table::default() };
    let (_, result) = load(&Guest::reading()).project(&tenant("acme"), "Counters", &[recorded("{}", None)], table);
    let fault = result.unwrap_err();
    assert_eq!((fault.kind, fault.detail.as_str()), (FaultKind::Misuse, "there is no model Counter"));
}

#[test]
fn a_query_that_writes_is_stopped_before_it_does() {
    let put = "(call $put (i32.const 840) (i32.const 7) (i32.const 910) (i32.const 10)) (call $reject)";
    let plugin = load(&Guest { answer: put.into(), ..Guest::reading() });
    let tenant = tenant("acme");
    let (table, answer) = plugin.answer(&tenant, "findCounter", "a", &context(&tenant), Table::default());
    assert_eq!(answer.unwrap_err().kind, FaultKind::Misuse);
    assert!(table.log.is_empty());
}

#[test]
fn a_decision_that_reads_rows_is_stopped() {
    let get = "(call $get (i32.const 840) (i32.const 7) (i32.const 840) (i32.const 7) (i32.const 640)) (call $reject)";
    let plugin = load(&Guest { decide: get.into(), ..Guest::reading() });
    assert_eq!(decide(&plugin).unwrap_err().kind, FaultKind::Misuse);
}

#[test]
fn rows_of_one_batch_count_together() {
    let limits = Limits { output_bytes: 100, ..Limits::default() };
    let runtime = Runtime::new(Settings { limits, ..Settings::default() }).unwrap();
    assert!(runtime.load(&Guest::reading().module()).is_err(), "the manifest itself is larger");

    let limits = Limits { output_bytes: 2_000, ..Limits::default() };
    let runtime = Runtime::new(Settings { limits, ..Settings::default() }).unwrap();
    let plugin = runtime.load(&Guest::reading().module()).unwrap();
    let row = format!("\"{}\"", "x".repeat(900));
    let (_, result) = plugin.project(&tenant("acme"), "Counters", &[recorded(&row, None)], Table::default());
    result.unwrap();
    let events = [recorded(&row, None), recorded(&row, None), recorded(&row, None)];
    let (table, result) = plugin.project(&tenant("acme"), "Counters", &events, Table::default());
    assert_eq!(result.unwrap_err().kind, FaultKind::Output);
    assert_eq!(table.log.len(), 2);
}

#[test]
fn a_call_of_what_is_not_exported_is_a_fault() {
    let plugin = load(&Guest::counter());
    let (_, result) = plugin.project(&tenant("acme"), "Counters", &[] as &[RecordedEvent], Table::default());
    assert_eq!(result.unwrap_err().kind, FaultKind::NotExported);
}

#[test]
fn an_instance_is_used_again_for_the_same_tenant() {
    let plugin = load(&Guest::deciding(COUNT));
    assert_eq!(count(&plugin, "acme"), r#"{"count":1}"#);
    assert_eq!(count(&plugin, "acme"), r#"{"count":2}"#);
}

#[test]
fn tenants_never_share_an_instance() {
    let plugin = load(&Guest::deciding(COUNT));
    for round in 1..5 {
        for tenant in ["acme", "globex", "initech"] {
            assert_eq!(count(&plugin, tenant), format!("{{\"count\":{round}}}"), "{tenant}");
        }
    }
}

#[test]
fn the_same_file_loaded_twice_is_two_plugins() {
    let runtime = Runtime::new(Settings::default()).unwrap();
    let module = Guest::deciding(COUNT).module();
    let (first, second) = (runtime.load(&module).unwrap(), runtime.load(&module).unwrap());
    assert_eq!(first.digest(), second.digest());
    assert_eq!(count(&first, "acme"), r#"{"count":1}"#);
    assert_eq!(count(&second, "acme"), r#"{"count":1}"#);
}

#[test]
fn per_call_isolation_forgets_everything() {
    let settings = Settings { isolation: Isolation::PerCall, ..Settings::default() };
    let plugin = Runtime::new(settings).unwrap().load(&Guest::deciding(COUNT).module()).unwrap();
    assert_eq!(count(&plugin, "acme"), r#"{"count":1}"#);
    assert_eq!(count(&plugin, "acme"), r#"{"count":1}"#);
}

#[test]
fn when_the_pool_is_full_the_tenant_unused_for_longest_gives_way() {
    let limits = Limits { idle: 2, ..Limits::default() };
    let plugin = Runtime::new(Settings { limits, ..Settings::default() }).unwrap();
    let plugin = plugin.load(&Guest::deciding(COUNT).module()).unwrap();
    for tenant in ["a", "b", "a", "c"] {
        count(&plugin, tenant);
    }
    assert_eq!(count(&plugin, "a"), r#"{"count":3}"#);
    assert_eq!(count(&plugin, "b"), r#"{"count":1}"#);
}

#[test]
fn a_pool_of_none_keeps_none() {
    let limits = Limits { idle: 0, ..Limits::default() };
    let plugin = Runtime::new(Settings { limits, ..Settings::default() }).unwrap();
    let plugin = plugin.load(&Guest::deciding(COUNT).module()).unwrap();
    assert_eq!(count(&plugin, "a"), r#"{"count":1}"#);
    assert_eq!(count(&plugin, "a"), r#"{"count":1}"#);
}

#[test]
fn an_instance_that_has_grown_is_not_kept() {
    let grow = format!("(drop (memory.grow (i32.const 1))) {COUNT}");
    let limits = Limits { idle_memory_bytes: 2 * 65_536, ..Limits::default() };
    let runtime = Runtime::new(Settings { limits, ..Settings::default() }).unwrap();
    let plugin = runtime.load(&Guest::deciding(&grow).module()).unwrap();
    assert_eq!(count(&plugin, "acme"), r#"{"count":1}"#);
    assert_eq!(count(&plugin, "acme"), r#"{"count":1}"#);
}

#[test]
fn calls_run_side_by_side_in_instances_of_their_own() {
    let plugin = load(&Guest::counter());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let plugin = &plugin;
            scope.spawn(move || {
                let tenant: TenantId = tenant("acme");
                for call in 0..200 {
                    let payload = format!("[{thread},{call}]");
                    let decision =
                        plugin.decide(&tenant, "Counter", None, &command(&tenant, &payload)).unwrap().unwrap();
                    assert_eq!(decision.events[0].payload, payload);
                }
            });
        }
    });
}
