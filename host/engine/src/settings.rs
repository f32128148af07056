//! The engine's limits and times.

/// The engine's limits and times. Each has a default that suits a small machine.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Loops that decide. Streams are spread over them, and each stream belongs to one. By default there is one for each
    /// processor: with more of them each finds less to do when it wakes up, and waking up costs more than deciding.
    pub shards: usize,
    /// Commands that may wait for a shard. One more is refused at once.
    pub shard_queue: usize,
    /// Bytes of arguments that commands under way may have, over all shards. One that would be too many is refused at once.
    pub queued_bytes: usize,
    /// Commands of one stream that may be decided ahead of a commit.
    pub ahead: usize,
    /// Bytes of state that stay in memory, over all shards.
    pub resident_bytes: usize,
    /// Groups of appends that may wait for the log. One more waits in its shard.
    pub lane_queue: usize,
    /// Events that go down in one transaction, unless one group alone has more.
    pub lane_events: usize,
    /// Bytes of payload that go down in one transaction, unless one group alone has more.
    pub lane_bytes: usize,
    /// Attempts at a transaction when the database fails in passing.
    pub lane_attempts: u32,
    /// Events just recorded that stay in memory for those who follow the log. Whoever is further behind reads the log.
    pub feed_events: usize,
    /// Bytes that those events may take.
    pub feed_bytes: usize,
    /// The pause between two announcements of commits to other processes.
    pub announce_ms: u64,
    /// Events that one decision may have.
    pub decision_events: usize,
    /// Bytes of payload that one command may have.
    pub payload_bytes: usize,
    /// References that one command may have.
    pub references: usize,
    /// Events between two snapshots of a stream, and so what is folded at most when one is loaded.
    pub snapshot_events: u64,
    /// How long an answer is kept for repetitions of its request.
    pub answers_kept_ms: u64,
    /// How often a command is decided anew because another process was faster. A few milliseconds lie between two attempts,
    /// and a process that is always faster lets others have a turn every tenth of a second.
    pub conflict_retries: u32,
    /// How long a command may take.
    pub command_ms: u64,
    /// How long a reader waits for a read model to show a change.
    pub caught_up_ms: u64,
    /// Events that are read, folded or projected in one go.
    pub batch: u32,
    /// Events of which a projection that has a long way to go gathers the changes for one transaction.
    pub gathered_events: u64,
    /// Bytes of rows that a projection gathers for one transaction, unless one call alone writes more.
    pub gathered_bytes: usize,
    /// Bytes of rows that are kept in memory once they are in their tables, over all projections: those that change
    /// again soon need not be read again.
    pub rows_kept_bytes: usize,
    /// How often the log is looked at when nobody says that it has grown: other processes write to it too.
    pub poll_ms: u64,
    /// The longest pause between two attempts of a projection that fails.
    pub projection_retry_ms: u64,
    /// How long a read model's table outlives the version that filled it, for requests that are under way.
    pub retire_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 16)),
            shard_queue: 4_096,
            queued_bytes: 64 * 1024 * 1024,
            ahead: 256,
            resident_bytes: 128 * 1024 * 1024,
            lane_queue: 1_024,
            lane_events: 2_000,
            lane_bytes: 8 * 1024 * 1024,
            lane_attempts: 6,
            feed_events: 20_000,
            feed_bytes: 16 * 1024 * 1024,
            announce_ms: 5,
            decision_events: 1_000,
            payload_bytes: 1024 * 1024,
            references: 200,
            snapshot_events: 100,
            answers_kept_ms: 24 * 60 * 60 * 1_000,
            conflict_retries: 60,
            command_ms: 10_000,
            caught_up_ms: 5_000,
            batch: 1_000,
            gathered_events: 50_000,
            gathered_bytes: 16 * 1024 * 1024,
            rows_kept_bytes: 64 * 1024 * 1024,
            poll_ms: 500,
            projection_retry_ms: 30_000,
            retire_ms: 60_000,
        }
    }
}
