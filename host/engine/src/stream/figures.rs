//! What an operator sees of the states in memory, and of how streams come to theirs.
//!
//! Shards count for themselves and tell the figures when they have nothing else to do, so that they don't fight over the
//! same few numbers with every command.

use metrics::{Counter, Gauge, counter, gauge};

/// Handles to the figures, which all shards share.
#[derive(Clone)]
pub(super) struct Figures {
    hits: Counter,
    misses: Counter,
    evictions: Counter,
    bytes: Gauge,
    entries: Gauge,
    snapshots_used: Counter,
    loaded_events: Counter,
}

/// What one shard has counted and not told yet.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) evictions: u64,
    /// By how much the states in memory have grown, or shrunk.
    pub(super) bytes: i64,
    pub(super) entries: i64,
}

impl Figures {
    /// Registers with the recorder of the process.
    pub(super) fn register() -> Self {
        Self {
            hits: counter!("yado_resident_hits_total"),
            misses: counter!("yado_resident_misses_total"),
            evictions: counter!("yado_resident_evictions_total"),
            bytes: gauge!("yado_resident_bytes"),
            entries: gauge!("yado_resident_entries"),
            snapshots_used: counter!("yado_snapshots_used_total"),
            loaded_events: counter!("yado_streams_loaded_events_total"),
        }
    }

    /// Adds what a shard has counted.
    pub(super) fn add(&self, counted: Counted) {
        self.hits.increment(counted.hits);
        self.misses.increment(counted.misses);
        self.evictions.increment(counted.evictions);
        self.bytes.increment(counted.bytes as f64);
        self.entries.increment(counted.entries as f64);
    }

    /// A stream has been read from the log.
    pub(super) fn loaded(&self, events: usize, from_snapshot: bool) {
        self.loaded_events.increment(events as u64);
        self.snapshots_used.increment(u64::from(from_snapshot));
    }
}
