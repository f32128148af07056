//! Measures how long calls take, and sleeps while there are none.
//!
//! Compiled guests compare the engine's epoch with their deadline at every loop and every call. A thread counts the epoch
//! up as long as calls are in flight. A deadline is relative to the epoch at the beginning of its call, so it does no harm
//! that the epoch stands still in between; and an idle server has no thread that wakes up hundreds of times a second.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// The length of an epoch. Deadlines are kept to within a few of these.
pub(crate) const TICK_MS: u64 = 2;

/// Epochs without a call after which the thread goes to sleep. Waking it costs the next call a few microseconds, so a
/// server that has something to do now and then keeps it awake.
const IDLE_TICKS: u32 = 100;

#[derive(Debug)]
pub(crate) struct Clock {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    in_flight: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
}

impl Clock {
    pub(crate) fn start(engine: &Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (of_thread, engine) = (Arc::clone(&shared), engine.weak());
        let thread = thread::Builder::new().name("yado-clock".into()).spawn(move || of_thread.run(&engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps time for as long as the result lives.
    pub(crate) fn keep(&self) -> Keeping<'_> {
        self.shared.in_flight.fetch_add(1, SeqCst);
        // The thread announces its sleep before it looks for calls a last time, and a call announces itself before it
        // looks for a sleeping thread. So one of the two sees the other.
        if self.shared.asleep.load(SeqCst) {
            self.wake();
        }
        Keeping(&self.shared.in_flight)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and it can't have panicked.
            let _ = thread.join();
        }
    }
}

/// A call is in flight.
pub(crate) struct Keeping<'a>(&'a AtomicUsize);

impl Drop for Keeping<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Shared {
    fn run(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while !self.stop.load(SeqCst) {
            thread::sleep(Duration::from_millis(TICK_MS));
            // A late tick counts once. The machine was busy then, and the guest is likely to have waited as well.
            let Some(engine) = engine.upgrade() else { return };
            engine.increment_epoch();
            drop(engine);
            idle = if self.in_flight.load(SeqCst) > 0 { 0 } else { idle + 1 };
            if idle >= IDLE_TICKS {
                self.sleep();
                idle = 0;
            }
        }
    }

    fn sleep(&self) {
        self.asleep.store(true, SeqCst);
        while self.in_flight.load(SeqCst) == 0 && !self.stop.load(SeqCst) {
            thread::park();
        }
        self.asleep.store(false, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_until(what: impl Fn() -> bool) {
        while !what() {
            thread::yield_now();
        }
    }

    #[test]
    fn the_clock_sleeps_without_calls_and_wakes_for_one() {
        let engine = Engine::default();
        let clock = Clock::start(&engine).unwrap();
        let asleep = || clock.shared.asleep.load(SeqCst);
        for _ in 0..2 {
            wait_until(asleep);
            let keeping = clock.keep();
            wait_until(|| !asleep());
            drop(keeping);
        }
    }
}
