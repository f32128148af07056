//! Files that don't become plugins, each with its reason.

#![allow(clippy::unwrap_used, reason = "the lint lets tests unwrap, but not the functions that they share")]

mod guest;

use serde_json::json;
use yado_runtime::{Exports, FaultKind, Forbidden, Limits, Refused, Runtime, Settings};

use guest::{Guest, LOOP, manifest};

fn refuse(bytes: &[u8]) -> Refused {
    let limits = Limits { component_bytes: 100_000, describe_ms: 100, ..Limits::default() };
    let runtime = Runtime::new(Settings { limits, ..Settings::default() }).unwrap();
    let refused = runtime.load(bytes).unwrap_err();
    let neighbour = runtime.load(&Guest::counter().module()).unwrap();
    guest::calls::decide(&neighbour).unwrap().unwrap();
    refused
}

#[test]
fn a_component_is_as_good_as_a_module() {
    let runtime = Runtime::new(Settings::default()).unwrap();
    let plugin = runtime.load(&Guest::reading().component()).unwrap();
    assert_eq!(plugin.manifest().name, "reading");
    let exports = plugin.exports();
    assert!(exports.aggregates && exports.projections && exports.queries && !exports.sagas && !exports.effects);
    guest::calls::decide(&plugin).unwrap().unwrap();
}

#[test]
fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    assert!(matches!(refuse(&vec![0; 100_001]), Refused::TooLarge { bytes: 100_001, limit: 100_000 }));
}

#[test]
fn what_is_no_webassembly_is_refused() {
    let text = refuse(b"(module)").to_string();
    assert!(text.ends_with(r#"neither a WebAssembly module nor a component: it begins with "(module)""#), "{text}");
    assert!(matches!(refuse(b""), Refused::NotWasm { .. }));
    assert!(matches!(refuse(b"\0asm\x0d\0\x01\0garbage"), Refused::InvalidCode { .. }));
    assert!(matches!(refuse(b"\0asm\x01\0\0\0garbage"), Refused::NotAComponent { .. }));
}

#[test]
fn a_module_without_a_component_type_is_refused_with_what_to_do() {
    let text = refuse(&Guest::counter().untyped_module()).to_string();
    assert!(text.contains("without a component type") && text.contains("wasm-tools component embed"), "{text}");
}

#[test]
fn a_component_type_that_does_not_fit_is_refused() {
    let guest = Guest { exports: vec!["manifest"], world: "export more: func();".into(), ..Guest::counter() };
    assert!(matches!(refuse(&guest.module()), Refused::NotAComponent { .. }));
}

#[test]
fn a_damaged_file_is_refused() {
    let module = Guest::counter().module();
    for at in (8..module.len()).step_by(97) {
        let mut damaged = module.clone();
        damaged.truncate(at);
        refuse(&damaged);
    }
}

#[test]
fn a_file_with_a_flipped_bit_does_no_harm() {
    let limits = Limits { describe_ms: 20, decide_ms: 20, ..Limits::default() };
    let runtime = Runtime::new(Settings { limits, ..Settings::default() }).unwrap();
    for bytes in [Guest::counter().module(), Guest::counter().component()] {
        for at in (8..bytes.len()).step_by(101) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            // It may well be a plugin still, and a sound one; what counts is that the host survives it.
            if let Ok(plugin) = runtime.load(&flipped) {
                let _ = guest::calls::decide(&plugin);
            }
        }
    }
    let neighbour = runtime.load(&Guest::counter().module()).unwrap();
    guest::calls::decide(&neighbour).unwrap().unwrap();
}

#[test]
fn an_import_from_outside_the_contract_is_refused_by_its_name() {
    let wasi = Guest {
        packages: "package wasi:clocks@0.2.0 { interface monotonic-clock { now: func() -> u64; } }\n".into(),
        world: "import wasi:clocks/monotonic-clock@0.2.0;".into(),
        fields: r#"(import "wasi:clocks/monotonic-clock@0.2.0" "now" (func (result i64)))"#.into(),
        ..Guest::counter()
    };
    let refused = refuse(&wasi.module());
    assert!(matches!(refused, Refused::Import { forbidden: Forbidden::Wasi, .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("wasi:clocks/monotonic-clock@0.2.0") && text.contains("no clock"), "{text}");

    let other = Guest {
        packages: "package acme:tools { interface hammer { hit: func(); } }\n".into(),
        world: "import acme:tools/hammer;".into(),
        fields: r#"(import "acme:tools/hammer" "hit" (func))"#.into(),
        ..Guest::counter()
    };
    let refused = refuse(&other.module());
    assert!(matches!(refused, Refused::Import { forbidden: Forbidden::Unknown, .. }), "{refused}");

    let system = r#"(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))"#;
    let refused = refuse(&Guest { fields: system.into(), ..Guest::counter() }.module());
    assert!(matches!(refused, Refused::Import { forbidden: Forbidden::Wasi, .. }), "{refused}");
}

#[test]
fn only_effects_call_out_and_only_readers_read() {
    let caller = Guest { imports: vec!["log", "http"], fields: SEND.into(), ..Guest::counter() };
    let refused = refuse(&caller.module());
    assert!(matches!(refused, Refused::Import { forbidden: Forbidden::Http, .. }), "{refused}");

    let reader = Guest { imports: vec!["log", "read-model"], ..Guest::counter() };
    let refused = refuse(&reader.module());
    assert!(matches!(refused, Refused::Import { forbidden: Forbidden::ReadModel, .. }), "{refused}");
}

/// Method, URL, headers and body, the time to wait, and where to put the answer.
const SEND: &str =
    r#"(import "yado:domain/http@0.1.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;

fn effect_manifest() -> serde_json::Value {
    let mut document = manifest("caller");
    let empty = json!({ "type": "object", "properties": {} });
    document["aggregates"] = json!([]);
    document["effects"] = json!([{ "name": "Call", "request": empty, "response": empty }]);
    document
}

fn effects() -> Guest {
    Guest {
        manifest: effect_manifest().to_string(),
        exports: vec!["manifest", "effects"],
        imports: vec!["log", "http"],
        fields: SEND.into(),
        ..Guest::counter()
    }
}

#[test]
fn an_effect_plugin_may_call_out_but_not_for_its_manifest() {
    let runtime = Runtime::new(Settings::default()).unwrap();
    let plugin = runtime.load(&effects().module()).unwrap();
    assert!(plugin.exports().effects);

    let send = format!("(call $send {} (i32.const 640)) (i32.const 8)", "(i32.const 0)".repeat(9));
    let early = Guest { describe: send, ..effects() };
    let Refused::Broke(fault) = refuse(&early.module()) else { panic!("it should break") };
    assert_eq!(fault.kind, FaultKind::Misuse, "{fault}");
}

#[test]
fn effects_live_alone() {
    let mixed = Guest { exports: vec!["manifest", "effects", "aggregates"], ..effects() };
    assert!(matches!(refuse(&mixed.module()), Refused::NotOnlyEffects { other: "aggregates" }));
}

#[test]
fn sagas_are_found() {
    let mut document = manifest("process");
    document["aggregates"] = json!([]);
    document["sagas"] = json!([{ "name": "Process", "triggers": [] }]);
    let guest = Guest { manifest: document.to_string(), exports: vec!["manifest", "sagas"], ..Guest::counter() };
    let plugin = Runtime::new(Settings::default()).unwrap().load(&guest.module()).unwrap();
    assert!(plugin.exports().sagas && !plugin.exports().aggregates);
}

#[test]
fn a_plugin_needs_something_to_call_or_to_declare_and_a_manifest() {
    let nothing = Guest { exports: vec![], ..Guest::counter() };
    assert!(matches!(refuse(&nothing.module()), Refused::NothingKnown));
    let mut document = manifest("lookup");
    document["aggregates"] = json!([]);
    let empty = Guest { manifest: document.to_string(), exports: vec!["manifest"], ..Guest::counter() };
    assert!(matches!(refuse(&empty.module()), Refused::NothingKnown));
    document["queries"] = json!([{
        "name": "counters", "arguments": { "type": "object", "properties": {} },
        "returns": { "type": "array", "items": { "type": "object", "x-model": "Counter", "properties": {} } },
        "rows": { "model": "Counter", "answer": { "list": { "limit": 10 } } },
    }]);
    let declaring = Guest { manifest: document.to_string(), ..empty };
    let plugin = Runtime::new(Settings::default()).unwrap().load(&declaring.module()).unwrap();
    assert_eq!((plugin.exports(), plugin.manifest().queries.len()), (Exports::default(), 1));
    let silent = Guest { exports: vec!["aggregates"], ..Guest::counter() };
    assert!(matches!(refuse(&silent.module()), Refused::NoManifest));
}

#[test]
fn another_contract_is_refused_and_a_patch_is_not() {
    let refused = refuse(&Guest::counter().module_of_version("0.2.0"));
    assert!(
        matches!(&refused, Refused::Contract { interface, expected: "0.1" } if interface.ends_with("@0.2.0")),
        "{refused}"
    );
    assert!(matches!(refuse(&Guest::counter().module_of_version("0.10.0")), Refused::Contract { .. }));

    let runtime = Runtime::new(Settings::default()).unwrap();
    let patched = runtime.load(&Guest::counter().module_of_version("0.1.7")).unwrap();
    guest::calls::decide(&patched).unwrap().unwrap();
}

#[test]
fn a_function_of_another_shape_is_refused() {
    let contract = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/yado.wit"));
    assert!(contract.contains("describe: func() -> json;"));
    let other = contract.replace("describe: func() -> json;", "describe: func() -> list<u32>;");
    let module = Guest::counter().module_of_contract(&other);
    let refused = refuse(&module);
    assert!(matches!(refused, Refused::WrongShape { .. }), "{refused}");
}

#[test]
fn a_plugin_that_breaks_at_its_start_is_refused() {
    let Refused::Broke(fault) = refuse(&Guest { start: LOOP.into(), ..Guest::counter() }.module()) else {
        panic!("it should break")
    };
    assert_eq!((fault.kind, fault.function), (FaultKind::Deadline, "manifest.describe"));
    let Refused::Broke(fault) = refuse(&Guest { describe: "(unreachable)".into(), ..Guest::counter() }.module()) else {
        panic!("it should break")
    };
    assert_eq!(fault.kind, FaultKind::Trap);
    let large = Guest { fields: "(memory $large 2000)".into(), ..Guest::counter() };
    let Refused::Broke(fault) = refuse(&large.module()) else { panic!("it should break") };
    assert_eq!(fault.kind, FaultKind::Memory, "{fault}");
}

#[test]
fn a_manifest_that_lies_is_refused() {
    let refused = refuse(&Guest { manifest: "I am a plugin".into(), ..Guest::counter() }.module());
    assert!(matches!(&refused, Refused::Manifest(broken) if broken.reason.contains("not JSON")), "{refused}");

    let mut nameless = manifest("counter");
    nameless["name"] = json!("Not A Name");
    let refused = refuse(&Guest { manifest: nameless.to_string(), ..Guest::counter() }.module());
    assert!(matches!(&refused, Refused::Manifest(broken) if broken.path == "/name"), "{refused}");

    let promised = Guest { exports: vec!["manifest", "queries"], ..Guest::counter() };
    let refused = refuse(&promised.module());
    assert!(
        matches!(&refused, Refused::NotExported { part: "aggregates", example } if example == "Counter"),
        "{refused}"
    );

    let unmentioned = Guest { exports: vec!["manifest", "aggregates", "sagas"], ..Guest::counter() };
    assert!(matches!(refuse(&unmentioned.module()), Refused::NotPromised { part: "sagas" }));
}

#[test]
fn only_queries_that_the_plugin_answers_itself_are_exported() {
    let mut document: serde_json::Value = serde_json::from_str(&Guest::reading().manifest).unwrap();
    let row = json!({ "type": "object", "x-model": "Counter", "properties": {} });
    document["queries"] = json!([{
        "name": "counters", "arguments": { "type": "object", "properties": {} },
        "returns": { "type": "array", "items": row },
        "rows": { "model": "Counter", "answer": { "list": { "limit": 10 } } },
    }]);
    let declaring = Guest { manifest: document.to_string(), ..Guest::reading() };
    assert!(matches!(refuse(&declaring.module()), Refused::NotPromised { part: "queries" }));
    let silent = Guest { exports: vec!["manifest", "aggregates", "projections"], ..declaring };
    let plugin = Runtime::new(Settings::default()).unwrap().load(&silent.module()).unwrap();
    assert!(!plugin.exports().queries && plugin.manifest().queries[0].rows.is_some());
}
