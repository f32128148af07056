//! The figures that an operator watches, each with what it means.
//!
//! They go to whatever recorder the process has installed when the engine starts, and nowhere if there is none: the
//! server installs one, and engines in tests don't get into each other's way. Handles are made once, so that counting is
//! an addition to a number in memory.

use std::sync::Arc;
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use yado_model::{Code, Position};

use crate::layers::{Kind, Outcome};
use crate::projection::{Pace, Status};

/// A handle to the figures.
pub(crate) type Figures = Arc<Handles>;

/// The figures of the engine's own loops.
pub(crate) struct Handles {
    /// How many of each kind came to what, in the order of [`Kind::ALL`].
    answers: Vec<Answers>,
    flushes: Counter,
    flush_events: Histogram,
    flush_seconds: Histogram,
    lane_groups: Gauge,
    head: Gauge,
    /// Events that readers of the log have been given from memory, and from the database.
    pub(crate) feed_memory: Counter,
    pub(crate) feed_log: Counter,
}

impl Handles {
    /// Registers everything with the recorder of the process.
    pub(crate) fn register() -> Figures {
        describe();
        Arc::new(Self {
            answers: Kind::ALL.into_iter().map(Answers::register).collect(),
            flushes: counter!("yado_flushes_total"),
            flush_events: histogram!("yado_flush_events"),
            flush_seconds: histogram!("yado_flush_seconds"),
            lane_groups: gauge!("yado_lane_groups"),
            head: gauge!("yado_log_head"),
            feed_memory: counter!("yado_feed_events_total", "from" => "memory"),
            feed_log: counter!("yado_feed_events_total", "from" => "log"),
        })
    }

    /// Something that was asked for has been answered.
    pub(crate) fn answered(&self, kind: Kind, outcome: Outcome, took: Duration) {
        // A kind's place in the list of all is its number.
        if let Some(answers) = self.answers.get(kind as usize) {
            answers.count(outcome, took);
        }
    }

    /// A transaction of the lane has recorded events.
    pub(crate) fn flushed(&self, events: usize, took: Duration) {
        self.flushes.increment(1);
        self.flush_events.record(number(events as u64));
        self.flush_seconds.record(took);
    }

    /// So many groups wait in the lane.
    pub(crate) fn lane_depth(&self, groups: usize) {
        self.lane_groups.set(number(groups as u64));
    }

    /// Where the log ends.
    pub(crate) fn head(&self, head: Position) {
        self.head.set(number(head.get()));
    }

    /// How a projection stands.
    pub(crate) fn projection(&self, status: &Status, pace: Pace, head: Position) {
        let Status { name, position, parked, .. } = status;
        let parked = parked.count();
        gauge!("yado_projection_position", "projection" => name.clone()).set(number(position.get()));
        let lag = head.get().saturating_sub(position.get());
        gauge!("yado_projection_lag_events", "projection" => name.clone()).set(number(lag));
        gauge!("yado_projection_parked_streams", "projection" => name.clone()).set(number(parked.streams as u64));
        gauge!("yado_projection_parked_tenants", "projection" => name.clone()).set(number(parked.tenants as u64));
        gauge!("yado_projection_stalled", "projection" => name.clone()).set(f64::from(u8::from(pace.stalled)));
    }

    /// What is kept of what a projection has told of rows, and what has been forgotten.
    pub(crate) fn changes(&self, projection: &str, kept: u64, forgotten: u64) {
        gauge!("yado_changes_kept", "projection" => projection.to_owned()).set(number(kept));
        counter!("yado_changes_forgotten_total", "projection" => projection.to_owned()).absolute(forgotten);
    }
}

/// How many things of one kind came to what, and how long they took.
struct Answers {
    done: Counter,
    repeated: Counter,
    failed: Vec<(Code, Counter)>,
    seconds: Histogram,
}

impl Answers {
    fn register(kind: Kind) -> Self {
        let counter = |outcome: String| match kind {
            Kind::Command => counter!("yado_commands_total", "outcome" => outcome),
            kind => counter!("yado_queries_total", "kind" => kind.as_str(), "outcome" => outcome),
        };
        let seconds = match kind {
            Kind::Command => histogram!("yado_command_seconds"),
            kind => histogram!("yado_query_seconds", "kind" => kind.as_str()),
        };
        let done = counter("ok".to_owned());
        // Nothing but a command is ever a repetition, so nothing else has a series for it.
        let repeated = if kind == Kind::Command { counter("repeated".to_owned()) } else { done.clone() };
        let failed = Code::ALL.iter().map(|code| (*code, counter(code.as_str().to_ascii_lowercase())));
        Self { done, repeated, failed: failed.collect(), seconds }
    }

    fn count(&self, outcome: Outcome, took: Duration) {
        self.seconds.record(took);
        let counter = match outcome {
            Outcome::Done => Some(&self.done),
            Outcome::Repeated => Some(&self.repeated),
            Outcome::Failed(code) => self.failed.iter().find(|(known, _)| *known == code).map(|(_, counter)| counter),
        };
        if let Some(counter) = counter {
            counter.increment(1);
        }
    }
}

/// A count as recorders take it; beyond 2^53 they are not exact any more.
#[allow(clippy::cast_precision_loss, reason = "there is no other way to say it")]
const fn number(count: u64) -> f64 {
    count as f64
}

/// Says what each figure means, those of other modules too.
fn describe() {
    describe_counter!(
        "yado_commands_total",
        "Commands answered, by outcome: ok, repeated, or the code of the failure."
    );
    describe_histogram!("yado_command_seconds", Unit::Seconds, "From a command's arrival at the bus to its answer.");
    describe_counter!("yado_flushes_total", "Transactions in which events were recorded.");
    describe_histogram!("yado_flush_events", "Events of one such transaction.");
    describe_histogram!(
        "yado_flush_seconds",
        Unit::Seconds,
        "How long such a transaction took, attempts that failed included."
    );
    describe_gauge!("yado_lane_groups", "Groups of appends that wait for the next transaction.");
    describe_counter!(
        "yado_feed_events_total",
        "Events given to readers of the log, by where they came from: memory, or the log in the database."
    );
    describe_counter!("yado_resident_hits_total", "Streams whose state was in memory when a command came.");
    describe_counter!("yado_resident_misses_total", "Streams whose state had to be loaded when a command came.");
    describe_counter!("yado_resident_evictions_total", "States that had to make room in memory.");
    describe_gauge!("yado_resident_bytes", Unit::Bytes, "Memory that states at rest take.");
    describe_gauge!("yado_resident_entries", "States at rest in memory.");
    describe_counter!("yado_snapshots_used_total", "Streams that were loaded from a snapshot.");
    describe_counter!("yado_streams_loaded_events_total", "Events that were read to bring streams to their state.");
    describe_counter!(
        "yado_queries_total",
        "Reads answered, by kind (model, query, or the opening of a subscription to changes or events) and outcome: ok, or \
         the code of the failure."
    );
    describe_histogram!(
        "yado_query_seconds",
        Unit::Seconds,
        "From such a read's arrival to its answer, by kind; the time that it waited for room included."
    );
    describe_gauge!("yado_projection_lag_events", "Events in the log that a projection has not shown yet.");
    describe_gauge!(
        "yado_projection_parked_streams",
        "Streams that wait because a projection fails at one of their events."
    );
    describe_gauge!(
        "yado_projection_parked_tenants",
        "Tenants of which everything waits, because a projection fails at too many of their streams."
    );
    describe_gauge!(
        "yado_changes_kept",
        "Changes of rows that are kept for those who listen: as many as there were when they were last counted, and those told since."
    );
    describe_counter!(
        "yado_changes_forgotten_total",
        "Changes of rows that this process has forgotten after their time."
    );
    describe_gauge!("yado_projection_stalled", "1 if a projection has events to show and does not get on.");
    describe_gauge!("yado_projection_position", "The position that a projection has come to.");
    describe_gauge!("yado_log_head", "The position of the last event, as far as this process knows.");
}
