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

use crate::{Error, Receipt, Result};

/// A handle to the figures.
pub(crate) type Figures = Arc<Handles>;

/// The figures of the engine's own loops.
pub(crate) struct Handles {
    recorded: Counter,
    repeated: Counter,
    failed: Vec<(Code, Counter)>,
    command_seconds: Histogram,
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
        let failed = Code::ALL.iter().map(|code| {
            let outcome = code.as_str().to_ascii_lowercase();
            (*code, counter!("yado_commands_total", "outcome" => outcome))
        });
        Arc::new(Self {
            recorded: counter!("yado_commands_total", "outcome" => "ok"),
            repeated: counter!("yado_commands_total", "outcome" => "repeated"),
            failed: failed.collect(),
            command_seconds: histogram!("yado_command_seconds"),
            flushes: counter!("yado_flushes_total"),
            flush_events: histogram!("yado_flush_events"),
            flush_seconds: histogram!("yado_flush_seconds"),
            lane_groups: gauge!("yado_lane_groups"),
            head: gauge!("yado_log_head"),
            feed_memory: counter!("yado_feed_events_total", "from" => "memory"),
            feed_log: counter!("yado_feed_events_total", "from" => "log"),
        })
    }

    /// A command has been answered.
    pub(crate) fn answered(&self, answer: &Result<Receipt>, took: Duration) {
        self.command_seconds.record(took);
        let counter = match answer {
            Ok(receipt) if receipt.repeated => Some(&self.repeated),
            Ok(_) => Some(&self.recorded),
            Err(error) => self.failure(error),
        };
        if let Some(counter) = counter {
            counter.increment(1);
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
    pub(crate) fn projection(&self, name: &str, position: Position, head: Position) {
        gauge!("yado_projection_position", "projection" => name.to_owned()).set(number(position.get()));
        let lag = head.get().saturating_sub(position.get());
        gauge!("yado_projection_lag_events", "projection" => name.to_owned()).set(number(lag));
    }

    fn failure(&self, error: &Error) -> Option<&Counter> {
        let code = error.code();
        self.failed.iter().find(|(known, _)| *known == code).map(|(_, counter)| counter)
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
        "Queries that guests were asked, by outcome: ok, or the code of the failure."
    );
    describe_histogram!("yado_query_seconds", Unit::Seconds, "From such a query's arrival to its answer.");
    describe_gauge!("yado_projection_lag_events", "Events in the log that a projection has not shown yet.");
    describe_gauge!("yado_projection_position", "The position that a projection has come to.");
    describe_gauge!("yado_log_head", "The position of the last event, as far as this process knows.");
}
