//! Guests that break rules: each gets its own kind of fault, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "the lint lets tests unwrap, but not the functions that they share")]

mod guest;

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;
use yado_runtime::{Fault, FaultKind, Limits, Plugin, Runtime, Settings};

use guest::calls::{decide, event, fault, tenant};
use guest::{COUNT, Guest, LOOP, say};

/// Short enough that a test which waits for it is quick, long enough for a tame call on a busy machine.
fn settings() -> Settings {
    Settings { limits: Limits { decide_ms: 200, ..Limits::default() }, ..Settings::default() }
}

/// Lets a guest decide, and sees that it breaks as it should, that the same plugin still answers other calls, and that
/// its neighbour does not notice.
fn breaks(guest: &Guest, kind: FaultKind) -> String {
    breaks_under(settings(), guest, kind)
}

fn breaks_under(settings: Settings, guest: &Guest, kind: FaultKind) -> String {
    let runtime = Runtime::new(settings).unwrap();
    let neighbour = runtime.load(&Guest::deciding(COUNT).module()).unwrap();
    let plugin = runtime.load(&guest.module()).unwrap();
    decide(&neighbour).unwrap().unwrap();
    for _ in 0..2 {
        let fault = fault(&plugin);
        assert_eq!(fault.kind, kind, "{fault}");
        assert_eq!((fault.plugin.as_str(), fault.function), ("counter", "aggregates.decide"));
        assert_eq!(fault.digest, plugin.digest());
    }
    assert_eq!(evolve(&plugin), Some(vec![1]));
    assert_eq!(decide(&neighbour).unwrap().unwrap(), r#"{"count":2}"#, "the neighbour's instance lives on");
    fault(&plugin).detail
}

fn evolve(plugin: &Plugin) -> Option<Vec<u8>> {
    plugin.evolve(&tenant("acme"), "Counter", None, &[event("{}")]).unwrap()
}

#[test]
fn a_loop_ends_at_its_deadline() {
    breaks(&Guest::deciding(LOOP), FaultKind::Deadline);
}

#[test]
fn a_loop_ends_when_its_fuel_does() {
    let mut settings = settings();
    settings.limits.fuel = Some(1_000_000);
    breaks_under(settings, &Guest::deciding(LOOP), FaultKind::Fuel);
}

#[test]
fn a_trap_is_told_by_its_name() {
    let detail = breaks(&Guest::deciding("(unreachable)"), FaultKind::Trap);
    assert!(detail.contains("unreachable"), "{detail}");
    let detail = breaks(&Guest::deciding("(i32.div_u (i32.const 1) (i32.const 0))"), FaultKind::Trap);
    assert!(detail.contains("divide by zero"), "{detail}");
}

#[test]
fn a_panic_reaches_the_operator_in_the_guests_words() {
    let (fields, panicked) = say("$panicked", "", "index 7 is out of bounds\n2026 ERROR forged \u{1b}[2J");
    let guest = Guest { fields, decide: format!("{panicked} (unreachable)"), ..Guest::counter() };
    let detail = breaks(&guest, FaultKind::Panic);
    assert_eq!(detail, "index 7 is out of bounds\\n2026 ERROR forged \\u{1b}[2J");
}

#[test]
fn a_panic_of_megabytes_is_cut() {
    let grow = "(drop (memory.grow (i32.const 100)))
        (memory.fill (i32.const 65536) (i32.const 65) (i32.const 3000000))
        (call $panicked (i32.const 65536) (i32.const 3000000)) (unreachable)";
    let detail = breaks(&Guest::deciding(grow), FaultKind::Panic);
    assert!(detail.len() < 5_000 && detail.ends_with('…'));
}

#[test]
fn a_panic_is_forgotten_by_the_next_call() {
    let (fields, panicked) = say("$panicked", "", "not yet");
    let echo = guest::ECHO;
    let decide_twice = format!(
        "(i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
         (if (i32.eq (i32.load (i32.const 16)) (i32.const 2)) (then (unreachable)))
         {panicked} {echo}"
    );
    let guest = Guest { fields, decide: decide_twice, ..Guest::counter() };
    let plugin = Runtime::new(settings()).unwrap().load(&guest.module()).unwrap();
    decide(&plugin).unwrap().unwrap();
    assert_eq!(fault(&plugin).kind, FaultKind::Trap);
}

#[test]
fn memory_ends_at_its_limit() {
    let hoard = "(loop $more (br_if $more (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0)))) (unreachable)";
    breaks(&Guest::deciding(hoard), FaultKind::Memory);
    breaks(
        &Guest::deciding(
            "(if (i32.lt_s (memory.grow (i32.const 65000)) (i32.const 0)) (then (unreachable))) (unreachable)",
        ),
        FaultKind::Memory,
    );
}

#[test]
fn a_guest_that_copes_without_more_memory_may() {
    let ask = format!("(drop (memory.grow (i32.const 65000))) {}", guest::ECHO);
    let plugin = Runtime::new(settings()).unwrap().load(&Guest::deciding(&ask).module()).unwrap();
    decide(&plugin).unwrap().unwrap();
}

#[test]
fn tables_end_at_their_limit() {
    let guest = Guest {
        fields: "(table $hoard 1 funcref)".into(),
        decide:
            "(loop $more
            (br_if $more (i32.ge_s (table.grow $hoard (ref.null func) (i32.const 10000)) (i32.const 0)))) (unreachable)"
                .into(),
        ..Guest::counter()
    };
    breaks(&guest, FaultKind::Memory);
}

#[test]
fn deep_recursion_ends_at_the_end_of_the_stack() {
    breaks(&Guest::deciding("(i32.add (call $decide (local.get $args)) (i32.const 1))"), FaultKind::Stack);
}

/// Answers one event whose payload lies at a pointer.
fn payload_at(pointer: u32, len: u32) -> String {
    format!(
        "(i32.store (i32.const 524) (i32.const {pointer})) (i32.store (i32.const 528) (i32.const {len}))
         (call $one_event)"
    )
}

#[test]
fn an_answer_that_is_too_large_is_not_copied() {
    // The text is there: the guest has 40 MB of memory and answers with all of it.
    let hoard = format!("(drop (memory.grow (i32.const 640))) {}", payload_at(65_536, 40 << 20));
    breaks(&Guest::deciding(&hoard), FaultKind::Output);
    // It is not there.
    breaks(&Guest::deciding(&payload_at(65_536, 100 << 20)), FaultKind::InvalidOutput);
}

#[test]
fn an_answer_that_is_small_in_the_guest_and_large_in_the_host_is_not_copied() {
    // Events whose texts are all the same 1 MB: 1,000 of them would be a gigabyte here, and are a megabyte there.
    let many = "
        (drop (memory.grow (i32.const 32)))
        (memory.fill (i32.const 1048576) (i32.const 32) (i32.const 1048576))
        (local.set $n (i32.const 0))
        (loop $more
            (i32.store (i32.add (i32.const 131072) (i32.mul (local.get $n) (i32.const 28))) (i32.const 1048576))
            (i32.store (i32.add (i32.const 131076) (i32.mul (local.get $n) (i32.const 28))) (i32.const 1048576))
            (i32.store (i32.add (i32.const 131084) (i32.mul (local.get $n) (i32.const 28))) (i32.const 1048576))
            (i32.store (i32.add (i32.const 131088) (i32.mul (local.get $n) (i32.const 28))) (i32.const 1048576))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $more (i32.lt_u (local.get $n) (i32.const 1000))))
        (drop (call $one_event))
        (i32.store (i32.const 580) (i32.const 131072)) (i32.store (i32.const 584) (i32.const 1000))
        (i32.const 576)";
    breaks(&Guest::deciding(many), FaultKind::Output);
    // A list that claims more elements than any memory holds.
    let claims = "(drop (call $one_event)) (i32.store (i32.const 584) (i32.const 0x7fffffff)) (i32.const 576)";
    breaks(&Guest::deciding(claims), FaultKind::InvalidOutput);
}

#[test]
fn an_answer_that_breaks_the_contract_is_told_from_a_trap() {
    // Not UTF-8.
    let bytes = format!("(i32.store (i32.const 700) (i32.const 0xfffefdfc)) {}", payload_at(700, 4));
    breaks(&Guest::deciding(&bytes), FaultKind::InvalidOutput);
    // A pointer beyond the memory, to a text and to the answer itself.
    breaks(&Guest::deciding(&payload_at(0xffff_fff0, 4)), FaultKind::InvalidOutput);
    breaks(&Guest::deciding("(i32.const 0x7ffffff0)"), FaultKind::InvalidOutput);
    // Neither a decision nor a rejection.
    breaks(&Guest::deciding("(i32.store8 (i32.const 576) (i32.const 7)) (i32.const 576)"), FaultKind::InvalidOutput);
    // A pointer that is not aligned.
    breaks(&Guest::deciding("(i32.const 577)"), FaultKind::InvalidOutput);
}

#[test]
fn what_an_upcast_makes_is_json() {
    let plugin = Runtime::new(settings()).unwrap().load(&Guest::counter().module()).unwrap();
    let fault = plugin.upcast(&tenant("acme"), "Counter", &[&event("{")]).unwrap_err();
    let Fault { kind, detail, .. } = fault;
    assert_eq!(kind, FaultKind::InvalidOutput);
    assert!(detail.starts_with(r#"the payload of an event "Counted" is not JSON"#), "{detail}");
}

#[test]
fn a_broken_allocator_is_the_guests_fault() {
    // The host asks the guest for room for the arguments, and is sent beyond the memory.
    let start = "(i32.store (i32.const 20) (i32.const 0x7ffffff0))".into();
    let plugin = Runtime::new(settings()).unwrap().load(&Guest { start, ..Guest::counter() }.module()).unwrap();
    assert_eq!(fault(&plugin).kind, FaultKind::InvalidOutput);
}

#[test]
fn a_guest_that_loops_after_its_answer_ends_at_its_deadline_too() {
    let fields =
        "(func (export \"cabi_post_yado:domain/aggregates@0.1.0#decide\") (param i32) (loop $again (br $again)))";
    let guest = Guest { fields: fields.into(), tidy: false, ..Guest::counter() };
    breaks(&guest, FaultKind::Deadline);
}

#[test]
fn an_instance_that_has_trapped_is_never_used_again() {
    let third = format!(
        "(if (i32.eq (i32.load (i32.const 16)) (i32.const 2)) (then (i32.store (i32.const 16) (i32.const 7)) (unreachable)))
         {COUNT}"
    );
    let plugin = Runtime::new(settings()).unwrap().load(&Guest::deciding(&third).module()).unwrap();
    for _ in 0..3 {
        assert_eq!(decide(&plugin).unwrap().unwrap(), r#"{"count":1}"#);
        assert_eq!(decide(&plugin).unwrap().unwrap(), r#"{"count":2}"#);
        assert_eq!(fault(&plugin).kind, FaultKind::Trap);
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn babble_ends_at_its_limit_and_cannot_forge_lines() {
    let (fields, write) = say("$write", "(i32.const 2)", "hello\nworld");
    let babble = format!(
        "(local.set $n (i32.const 1000))
         (loop $more {write} (local.set $n (i32.sub (local.get $n) (i32.const 1))) (br_if $more (local.get $n)))
         {}",
        guest::ECHO
    );
    let limits = Limits { log_lines: 3, ..settings().limits };
    let runtime = Runtime::new(Settings { limits, ..Settings::default() }).unwrap();
    let plugin = runtime.load(&Guest { fields, decide: babble, ..Guest::counter() }.module()).unwrap();
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).finish();
    tracing::subscriber::with_default(subscriber, || {
        decide(&plugin).unwrap().unwrap();
        decide(&plugin).unwrap().unwrap();
    });
    let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let of_guest: Vec<&str> = written.lines().filter(|line| line.contains("yado::guest")).collect();
    assert_eq!(of_guest.len(), 8, "{written}");
    assert_eq!(written.matches(r"hello\nworld").count(), 6, "{written}");
    assert_eq!(written.matches("the rest of it was dropped").count(), 2, "{written}");
    let short = plugin.digest().short();
    assert!(of_guest.iter().all(|line| line.contains("counter") && line.contains("acme") && line.contains(&short)));
}
