//! Guests written as WebAssembly text, so that trying the host takes no guest toolchain, and so that a guest can break
//! rules which no compiler would let it break.
//!
//! A guest is one core module: a memory, a bump allocator, and the functions of the contract at the level of the
//! canonical ABI. [`Guest::counter`] is a tame one; tests replace the bodies that they are about.

#![allow(dead_code, unreachable_pub, reason = "each test binary has a copy of its own, and uses a part of it")]

pub mod calls;

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use wit_parser::Resolve;

/// Answers a decision of one event, `Counted`, whose payload is the command's.
pub const ECHO: &str = "
    (i32.store (i32.const 524) (i32.load offset=32 (local.get $args)))
    (i32.store (i32.const 528) (i32.load offset=36 (local.get $args)))
    (call $one_event)";

/// Counts in linear memory how often the instance has decided, and answers with the count: a single digit.
pub const COUNT: &str = "
    (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
    (i32.store8 (i32.const 809) (i32.add (i32.load (i32.const 16)) (i32.const 48)))
    (i32.store (i32.const 524) (i32.const 800))
    (i32.store (i32.const 528) (i32.const 11))
    (call $one_event)";

/// Rejects with everything that a rejection may hold.
pub const REJECT: &str = "(call $reject)";

/// Never ends.
pub const LOOP: &str = "(loop $again (br $again)) (unreachable)";

/// What a guest consists of.
#[derive(Clone)]
pub struct Guest {
    pub manifest: String,
    pub exports: Vec<&'static str>,
    pub imports: Vec<&'static str>,
    pub describe: String,
    pub decide: String,
    pub evolve: String,
    pub upcast: String,
    pub project: String,
    pub answer: String,
    /// Executed when the module is instantiated.
    pub start: String,
    /// Whether what a call has allocated is free again when the host has read the answer.
    pub tidy: bool,
    /// More of the module.
    pub fields: String,
    /// More packages of WIT, and more lines of the world.
    pub packages: String,
    pub world: String,
}

impl Guest {
    /// A guest with aggregates only.
    pub fn counter() -> Self {
        Self {
            manifest: manifest("counter").to_string(),
            exports: vec!["manifest", "aggregates"],
            imports: vec!["log"],
            describe: "(i32.const 8)".into(),
            decide: ECHO.into(),
            // The state is one byte: how many events there were in the batch.
            evolve: "
                (i32.store8 (i32.const 600) (local.get $count))
                (i32.store (i32.const 608) (i32.const 1))
                (i32.store (i32.const 612) (i32.const 600))
                (i32.store (i32.const 616) (i32.const 1))
                (i32.const 608)"
                .into(),
            // The same events, each one version on and in a list of its own.
            upcast: "
                (local.set $n (i32.const 0))
                (block $done (loop $next
                    (br_if $done (i32.ge_u (local.get $n) (local.get $count)))
                    (local.set $from (i32.add (local.get $events) (i32.mul (local.get $n) (i32.const 28))))
                    (local.set $to (i32.add (i32.const 50176) (i32.mul (local.get $n) (i32.const 28))))
                    (memory.copy (local.get $to) (local.get $from) (i32.const 28))
                    (i32.store offset=8 (local.get $to) (i32.add (i32.load offset=8 (local.get $from)) (i32.const 1)))
                    (local.set $from (i32.add (i32.const 49152) (i32.mul (local.get $n) (i32.const 8))))
                    (i32.store (local.get $from) (local.get $to))
                    (i32.store offset=4 (local.get $from) (i32.const 1))
                    (local.set $n (i32.add (local.get $n) (i32.const 1)))
                    (br $next)))
                (i32.store (i32.const 608) (i32.const 49152)) (i32.store (i32.const 612) (local.get $count))
                (i32.const 608)"
                .into(),
            project: String::new(),
            answer: "(unreachable)".into(),
            start: String::new(),
            tidy: true,
            fields: String::new(),
            packages: String::new(),
            world: String::new(),
        }
    }

    /// The counter, with another decision.
    pub fn deciding(decide: &str) -> Self {
        Self { decide: decide.into(), ..Self::counter() }
    }

    /// A guest that also projects and answers. Its projection puts each event's payload as a row of the model that is
    /// named like the event's aggregate, and deletes the row that is named like the event's cause. Its query answers the
    /// row whose key is the text of its arguments, and rejects if there is none.
    pub fn reading() -> Self {
        let counter = Self::counter();
        let mut document = manifest("reading");
        let id = json!({ "type": "string", "format": "id" });
        document["readModels"] = json!([{
            "name": "Counter", "key": "id",
            "row": { "type": "object", "properties": { "id": id }, "required": ["id"] },
        }]);
        document["projections"] =
            json!([{ "name": "Counters", "models": ["Counter"], "events": [{ "aggregate": "Counter" }] }]);
        document["queries"] = json!([{
            "name": "findCounter",
            "arguments": { "type": "object", "properties": {} },
            "returns": { "type": "object", "properties": {} },
        }]);
        Self {
            manifest: document.to_string(),
            exports: vec!["manifest", "aggregates", "projections", "queries"],
            imports: vec!["log", "read-model"],
            project: "
                (local $event i32)
                (local.set $event (local.get $events))
                (block $done (loop $next
                    (br_if $done (i32.eqz (local.get $count)))
                    (call $put
                        (i32.load offset=28 (local.get $event)) (i32.load offset=32 (local.get $event))
                        (i32.load offset=12 (local.get $event)) (i32.load offset=16 (local.get $event)))
                    (if (i32.load8_u offset=88 (local.get $event)) (then (call $delete
                        (i32.load offset=28 (local.get $event)) (i32.load offset=32 (local.get $event))
                        (i32.load offset=92 (local.get $event)) (i32.load offset=96 (local.get $event)))))
                    (local.set $event (i32.add (local.get $event) (i32.const 112)))
                    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                    (br $next)))"
                .into(),
            answer: "
                (call $get (i32.const 840) (i32.const 7)
                    (i32.load offset=8 (local.get $args)) (i32.load offset=12 (local.get $args)) (i32.const 640))
                (if (result i32) (i32.load8_u (i32.const 640))
                    (then
                        (i32.store8 (i32.const 576) (i32.const 0))
                        (i32.store (i32.const 580) (i32.load (i32.const 644)))
                        (i32.store (i32.const 584) (i32.load (i32.const 648)))
                        (i32.const 576))
                    (else (call $reject)))"
                .into(),
            ..counter
        }
    }

    /// The core module, with its component type.
    pub fn module(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).unwrap();
        let mut resolve = Resolve::default();
        resolve.push_path(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit"))).unwrap();
        embed(&mut module, resolve, &self.wit());
        module
    }

    /// The core module, with a component type of another version of the contract.
    pub fn module_of_version(&self, version: &str) -> Vec<u8> {
        let to = |text: String| text.replace("@0.1.0", &format!("@{version}"));
        let mut module = wat::parse_str(to(self.text())).unwrap();
        let contract = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/yado.wit"));
        let mut resolve = Resolve::default();
        resolve.push_str("yado.wit", &to(contract.to_owned())).unwrap();
        embed(&mut module, resolve, &to(self.wit()));
        module
    }

    /// The core module, with the component type that another text of the contract gives it.
    pub fn module_of_contract(&self, contract: &str) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).unwrap();
        let mut resolve = Resolve::default();
        resolve.push_str("yado.wit", contract).unwrap();
        embed(&mut module, resolve, &self.wit());
        module
    }

    /// The core module alone.
    pub fn untyped_module(&self) -> Vec<u8> {
        wat::parse_str(self.text()).unwrap()
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        wit_component::ComponentEncoder::default().module(&self.module()).unwrap().encode().unwrap()
    }

    fn wit(&self) -> String {
        let mut wit = String::from("package test:guest;\n");
        wit += &self.packages;
        wit += "world guest {\n";
        for import in &self.imports {
            writeln!(wit, "import yado:domain/{import}@0.1.0;").unwrap();
        }
        for export in &self.exports {
            writeln!(wit, "export yado:domain/{export}@0.1.0;").unwrap();
        }
        wit + &self.world + "}"
    }

    fn text(&self) -> String {
        let mut text = String::from("(module\n");
        if self.imports.contains(&"log") {
            text += r#"
                (import "yado:domain/log@0.1.0" "write" (func $write (param i32 i32 i32)))
                (import "yado:domain/log@0.1.0" "panicked" (func $panicked (param i32 i32)))"#;
        }
        if self.imports.contains(&"read-model") {
            text += r#"
                (import "yado:domain/read-model@0.1.0" "get" (func $get (param i32 i32 i32 i32 i32)))
                (import "yado:domain/read-model@0.1.0" "put" (func $put (param i32 i32 i32 i32)))
                (import "yado:domain/read-model@0.1.0" "delete" (func $delete (param i32 i32 i32 i32)))"#;
        }
        text += &self.fields;
        text += MEMORY;
        write!(text, "(data (i32.const 1024) \"{}\")", escaped(&self.manifest)).unwrap();
        // Where the manifest is, as `describe` returns it.
        write!(
            text,
            "(data (i32.const 8) \"{}\")",
            escaped_bytes(
                &[1024_u32.to_le_bytes(), u32::try_from(self.manifest.len()).unwrap().to_le_bytes()].concat()
            )
        )
        .unwrap();
        write!(text, "(func $start (local $n i32) {}) (start $start)", self.start).unwrap();
        for export in &self.exports {
            text += &self.functions(export);
            if self.tidy {
                text += after(export);
            }
        }
        text + ")"
    }

    fn functions(&self, interface: &str) -> String {
        let args = "(param $args i32) (result i32) (local $n i32)";
        match interface {
            "manifest" => function("manifest", "describe", "(result i32)", &self.describe),
            "aggregates" => {
                let strings = "(param $aggregate i32) (param $aggregate_len i32)";
                let evolve = "(param $some i32) (param $state i32) (param $state_len i32) (param $events i32) \
                              (param $count i32) (result i32)";
                let upcast = "(param $events i32) (param $count i32) (result i32) \
                              (local $n i32) (local $from i32) (local $to i32)";
                function("aggregates", "decide", args, &self.decide)
                    + &function("aggregates", "evolve", &format!("{strings} {evolve}"), &self.evolve)
                    + &function("aggregates", "upcast", &format!("{strings} {upcast}"), &self.upcast)
            }
            "projections" => {
                let parameters = "(param $name i32) (param $name_len i32) (param $events i32) (param $count i32)";
                function("projections", "project", parameters, &self.project)
            }
            "queries" => function("queries", "answer", args, &self.answer),
            "sagas" => function("sagas", "react", "(param i32) (result i32)", "(unreachable)"),
            "effects" => function("effects", "perform", "(param i32) (result i32)", "(unreachable)"),
            other => panic!("no functions for {other}"),
        }
    }
}

/// The manifest of a plugin with one aggregate.
pub fn manifest(name: &str) -> Value {
    let empty = json!({ "type": "object", "properties": {} });
    json!({
        "contract": "0.1", "name": name, "version": "1.0.0",
        "aggregates": [{
            "name": "Counter",
            "commands": [{ "name": "Count", "target": "create", "payload": empty }],
            "events": [{ "name": "Counted", "version": 1, "payload": empty }],
        }],
    })
}

/// WebAssembly that hands a text to a function of two parameters, pointer and length.
pub fn say(function: &str, before: &str, text: &str) -> (String, String) {
    let data = format!("(data (i32.const 32768) \"{}\")", escaped(text));
    (data, format!("(call {function} {before} (i32.const 32768) (i32.const {}))", text.len()))
}

fn embed(module: &mut Vec<u8>, mut resolve: Resolve, wit: &str) {
    let package = resolve.push_str("guest.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    wit_component::embed_component_metadata(module, &resolve, world, wit_component::StringEncoding::UTF8).unwrap();
}

fn function(interface: &str, name: &str, signature: &str, body: &str) -> String {
    format!(r#"(func ${name} (export "yado:domain/{interface}@0.1.0#{name}") {signature} {body})"#)
}

/// What the host calls when it has read an answer.
fn after(interface: &str) -> &'static str {
    match interface {
        "aggregates" => {
            r#"(func (export "cabi_post_yado:domain/aggregates@0.1.0#decide") (param i32) (call $free))
               (func (export "cabi_post_yado:domain/aggregates@0.1.0#evolve") (param i32) (call $free))
               (func (export "cabi_post_yado:domain/aggregates@0.1.0#upcast") (param i32) (call $free))"#
        }
        "queries" => r#"(func (export "cabi_post_yado:domain/queries@0.1.0#answer") (param i32) (call $free))"#,
        _ => "",
    }
}

fn escaped(text: &str) -> String {
    escaped_bytes(text.as_bytes())
}

fn escaped_bytes(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    })
}

/// The memory and what all guests share. The first 64 KiB are laid out by hand: 8 where the manifest is; 16 a counter;
/// 20 where a broken allocator points; 512 an event; 576 a result; 600 room for answers; 768 texts; 1024 the manifest;
/// 32768 more texts; 49152 lists of events; 50176 the events in them. The heap begins behind.
const MEMORY: &str = r#"
    (memory (export "memory") 2)
    (global $top (mut i32) (i32.const 65536))
    (data (i32.const 768) "Counted")
    (data (i32.const 800) "{\22count\22:0}")
    (data (i32.const 840) "Counter")
    (data (i32.const 860) "not_there")
    (data (i32.const 880) "There is none.")
    (data (i32.const 900) "key")
    (data (i32.const 910) "{\22a\22:1.50}")
    (func $realloc (export "cabi_realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32)
        (result i32)
        (local $at i32)
        (if (i32.load (i32.const 20)) (then (return (i32.load (i32.const 20)))))
        (local.set $at (i32.and
            (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get $align))))
        (global.set $top (i32.add (local.get $at) (local.get $new)))
        (block $fits (loop $more
            (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
            (br_if $more (i32.ge_s (memory.grow (i32.const 1)) (i32.const 0)))
            (unreachable)))
        (local.get $at))
    (func $free (global.set $top (i32.const 65536)))
    (func $one_event (result i32)
        (i32.store (i32.const 512) (i32.const 768)) (i32.store (i32.const 516) (i32.const 7))
        (i32.store (i32.const 520) (i32.const 1))
        (i32.store (i32.const 532) (i32.const 0)) (i32.store (i32.const 536) (i32.const 0))
        (i32.store8 (i32.const 576) (i32.const 0))
        (i32.store (i32.const 580) (i32.const 512)) (i32.store (i32.const 584) (i32.const 1))
        (i32.store (i32.const 588) (i32.const 0)) (i32.store (i32.const 592) (i32.const 0))
        (i32.const 576))
    (func $reject (result i32)
        (i32.store8 (i32.const 576) (i32.const 1))
        (i32.store (i32.const 580) (i32.const 860)) (i32.store (i32.const 584) (i32.const 9))
        (i32.store (i32.const 588) (i32.const 880)) (i32.store (i32.const 592) (i32.const 14))
        (i32.store8 (i32.const 596) (i32.const 1))
        (i32.store (i32.const 600) (i32.const 900)) (i32.store (i32.const 604) (i32.const 3))
        (i32.store8 (i32.const 608) (i32.const 1))
        (i32.store (i32.const 612) (i32.const 910)) (i32.store (i32.const 616) (i32.const 10))
        (i32.const 576))
"#;
