//! What is known of statements by their texts: how long they take.
//!
//! Questions are of a limited number of shapes, because their values are not part of the text; how long one took says how
//! long the next will. It is no promise: another value may have a hundred times the rows. So the figure moves with every
//! answer, by an eighth of the difference, and one slow answer outweighs several quick ones.
//!
//! On a server that is busy with everybody's first questions nothing is quick, and where each question has a connection for
//! itself it stays busy: many processes take turns. So a statement that is slow, and not by far, shares a connection now and
//! then all the same; and if it is quick there, that is what counts, whatever it took by itself.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;

/// So many shapes are known: those of all statements that the connections keep prepared, and room for those that come and go.
const MOST: NonZeroUsize = NonZeroUsize::new(2_048).expect("it is more than none");

/// A statement that takes less shares its connection with others. Each of these waits for a handful of them at most: no longer
/// than a connection and a process for each would take to change between.
const QUICK: Duration = Duration::from_millis(2);

/// One that takes less than this is tried among others now and then: they wait a little longer for once.
const NEARLY_QUICK: Duration = Duration::from_millis(20);

/// One question of so many is such a trial. What they all together take of a connection that is shared is a small part of it
/// then, because no more than a few of those that are slow are under way at a time.
const TRIED: u32 = 64;

/// One answer moves the figure by one part of so many.
const WEIGHT: u32 = 8;

/// No statement with this text has been answered yet.
const UNKNOWN: u32 = u32::MAX;

/// The statements that were asked last.
#[derive(Debug)]
pub(super) struct Shapes {
    known: Mutex<LruCache<Arc<str>, Arc<Shape>>>,
    next: AtomicU64,
}

/// Statements with the same text.
#[derive(Debug)]
pub(super) struct Shape {
    /// No other shape of this process has it, now or later.
    pub(super) number: u64,
    pub(super) text: Arc<str>,
    /// In microseconds.
    pace: AtomicU32,
    /// How often it might have been tried among others.
    passed: AtomicU32,
}

impl Shapes {
    pub(super) fn new() -> Self {
        Self { known: Mutex::new(LruCache::new(MOST)), next: AtomicU64::new(1) }
    }

    /// That of a text.
    pub(super) fn of(&self, text: &str) -> Arc<Shape> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = known.get(text) {
            return Arc::clone(shape);
        }
        let text: Arc<str> = text.into();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let shape = Arc::new(Shape {
            number,
            text: Arc::clone(&text),
            pace: AtomicU32::new(UNKNOWN),
            passed: AtomicU32::new(0),
        });
        known.put(text, Arc::clone(&shape));
        shape
    }
}

impl Shape {
    /// Whether it is known to be answered quickly.
    pub(super) fn is_quick(&self) -> bool {
        u128::from(self.pace.load(Ordering::Relaxed)) < QUICK.as_micros()
    }

    /// Whether it is to be asked among others: if it is known to be quick, and once in a while if it nearly is.
    pub(super) fn may_share(&self) -> bool {
        let is_nearly_quick = || u128::from(self.pace.load(Ordering::Relaxed)) < NEARLY_QUICK.as_micros();
        let is_turn = || self.passed.fetch_add(1, Ordering::Relaxed) % TRIED == TRIED - 1;
        self.is_quick() || is_nearly_quick() && is_turn()
    }

    /// An answer took so long over a connection that others use.
    pub(super) fn took_among_others(&self, time: Duration) {
        if time < QUICK && !self.is_quick() {
            // What it took by itself says no more.
            self.pace.store(UNKNOWN, Ordering::Relaxed);
        }
        self.took(time);
    }

    /// An answer took so long.
    pub(super) fn took(&self, time: Duration) {
        let time = u32::try_from(time.as_micros()).unwrap_or(UNKNOWN).min(UNKNOWN - 1);
        let pace = match self.pace.load(Ordering::Relaxed) {
            UNKNOWN => time,
            // Rounded up, so that it comes to its end in either direction.
            pace => pace - pace.div_ceil(WEIGHT) + time.div_ceil(WEIGHT),
        };
        // Of two answers at once one is lost, which is no matter.
        self.pace.store(pace, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_quick_once_its_answers_are_and_until_they_are_not() {
        let shapes = Shapes::new();
        let shape = shapes.of("select 1");
        assert!(!shape.is_quick());
        shape.took(Duration::from_micros(80));
        assert!(shape.is_quick() && shapes.of("select 1").is_quick());
        assert!(!shapes.of("select 2").is_quick());
        shape.took(Duration::from_millis(30));
        assert!(!shape.is_quick());
        let needed = (1..).find(|_| {
            shape.took(Duration::from_micros(80));
            shape.is_quick()
        });
        assert_eq!(needed, Some(5));
        shape.took(Duration::MAX);
        assert!(!shape.is_quick());
    }

    #[test]
    fn a_shape_that_was_slow_on_a_busy_server_recovers() {
        let shapes = Shapes::new();
        let shape = shapes.of("select 1");
        let trials = |time: Duration| {
            (0..10 * TRIED)
                .filter(|_| {
                    let among_others = shape.may_share();
                    if !among_others {
                        shape.took(time);
                    }
                    among_others
                })
                .count()
        };
        // What takes very long is not tried, nor is what nobody knows of.
        assert!(!shape.may_share());
        shape.took(Duration::from_millis(100));
        assert_eq!(trials(Duration::from_millis(100)), 0);
        // Each by itself is slow on that server, and goes on to be.
        while shape.pace.load(Ordering::Relaxed) >= 20_000 {
            shape.took(Duration::from_millis(5));
        }
        assert_eq!(trials(Duration::from_millis(5)), 10);
        // One that is slow among others as well does not change that.
        shape.took_among_others(Duration::from_millis(5));
        assert!(!shape.is_quick());
        shape.took_among_others(Duration::from_micros(80));
        assert!(shape.is_quick() && shape.may_share());
    }

    #[test]
    fn shapes_that_nobody_asks_for_are_forgotten() {
        let shapes = Shapes::new();
        let first = shapes.of("select 0").number;
        for number in 1..=MOST.get() {
            shapes.of(&format!("select {number}"));
        }
        assert_eq!(shapes.known.lock().unwrap().len(), MOST.get());
        assert_ne!(shapes.of("select 0").number, first);
    }
}
