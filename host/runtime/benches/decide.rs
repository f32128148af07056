//! What a call costs: one decision with JSON in and JSON out, by a guest that does next to nothing.
//!
//! Run it with `cargo bench --package yado-runtime`. The ways of calling take turns, so that whatever else the machine
//! does meets all of them alike, and of each the median counts.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is a program for people, and it may give up")]

#[path = "../tests/guest/mod.rs"]
mod guest;

use std::hint::black_box;
use std::time::Instant;

use yado_runtime::{Isolation, Plugin, Runtime, Settings};

use guest::Guest;
use guest::calls::{command, event, tenant};

const ROUNDS: usize = 400;
const CALLS: u32 = 50;

struct Way<'a> {
    name: &'a str,
    call: Box<dyn FnMut() + 'a>,
    nanoseconds: Vec<u128>,
}

impl<'a> Way<'a> {
    fn new(name: &'a str, call: impl FnMut() + 'a) -> Self {
        Self { name, call: Box::new(call), nanoseconds: Vec::new() }
    }

    fn measure(&mut self) {
        let start = Instant::now();
        for _ in 0..CALLS {
            (self.call)();
        }
        self.nanoseconds.push(start.elapsed().as_nanos() / u128::from(CALLS));
    }

    fn report(&mut self) {
        self.nanoseconds.sort_unstable();
        let [median, slow] = [50, 95].map(|percent| self.nanoseconds[ROUNDS * percent / 100]);
        println!("{:44} median {median:>7} ns   95% below {slow:>7} ns", self.name);
    }
}

fn main() {
    let plugin = load(Isolation::Pooled);
    let fresh = load(Isolation::PerCall);
    let acme = tenant("acme");
    let small = command(&acme, r#"{"name":"a pen","price":"2.50","tags":["a","b"],"amount":3}"#);
    let large = command(&acme, &format!(r#"{{"text":"{}"}}"#, "x".repeat(4_000)));
    let events = vec![event(r#"{"name":"a pen","price":"2.50"}"#); 1_000];
    let mut ways = [
        Way::new("decide, 60 bytes, instance reused", || {
            black_box(plugin.decide(&acme, "Counter", Some(b"state"), &small).unwrap().unwrap());
        }),
        Way::new("decide, 4 KB, instance reused", || {
            black_box(plugin.decide(&acme, "Counter", Some(b"state"), &large).unwrap().unwrap());
        }),
        Way::new("decide, 60 bytes, instance fresh", || {
            black_box(fresh.decide(&acme, "Counter", Some(b"state"), &small).unwrap().unwrap());
        }),
        Way::new("evolve, 1 event, instance reused", || {
            black_box(plugin.evolve(&acme, "Counter", Some(b"state"), &events[..1]).unwrap());
        }),
        Way::new("evolve, 1,000 events, instance reused", || {
            black_box(plugin.evolve(&acme, "Counter", Some(b"state"), &events).unwrap());
        }),
    ];
    for _ in 0..ROUNDS {
        ways.iter_mut().for_each(Way::measure);
    }
    ways.iter_mut().for_each(Way::report);
}

fn load(isolation: Isolation) -> Plugin {
    let settings = Settings { isolation, ..Settings::default() };
    Runtime::new(settings).unwrap().load(&Guest::counter().module()).unwrap()
}
