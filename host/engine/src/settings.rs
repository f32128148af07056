//! The engine's limits and times.

use tokio::sync::Semaphore;
use yado_store::limits::{LARGEST_BATCH, LONGEST_PAGE};

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
    /// Bytes of events, and of the states that they lead to, that may be decided and not recorded yet, over all shards.
    /// A stream that has some on their way decides no more until those are recorded; a command of any other is refused
    /// at once. A decision that is larger than all of this is made when there is no other.
    pub decided_bytes: usize,
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
    /// How often a command is decided anew because another process was faster. A few ways to the log and back lie between
    /// two attempts, and a process that is always faster lets others have a turn again and again.
    pub conflict_retries: u32,
    /// How long the answer of a database is waited for. It is longer than the limits that databases have of their own, and
    /// is for one that has gone without a word.
    pub database_ms: u64,
    /// How long a command may take; and how long databases are waited for once the engine is to stop.
    pub command_ms: u64,
    /// Requests that read at the same time. Each has one place for all that it reads, until it has been answered.
    pub queries_max: usize,
    /// Requests that may wait until they can read. One more is refused at once.
    pub queries_waiting: usize,
    /// Queries that guests answer at the same time. Each has a thread, and one more waits.
    pub guest_queries_max: usize,
    /// Bytes of rows that a guest may read to answer one query.
    pub query_rows_bytes: usize,
    /// How long one read may take, be it of a read model or by a guest, and the opening of a subscription.
    pub query_ms: u64,
    /// How long a reader waits for a read model to show a change.
    pub caught_up_ms: u64,
    /// Events that are read, folded or projected in one go.
    pub batch: u32,
    /// Events of which a projection that has a long way to go gathers the changes for one transaction.
    pub gathered_events: u64,
    /// Bytes of rows that a projection gathers for one transaction, unless one call alone writes more.
    pub gathered_bytes: usize,
    /// How long changes of rows gather before they go down together, while events keep coming. Nobody waits for it:
    /// those of a projection that was idle go down at once, and so do those that a reader waits for.
    pub gather_ms: u64,
    /// Bytes of rows that are kept in memory once they are in their tables, over all projections: those that change
    /// again soon need not be read again.
    pub rows_kept_bytes: usize,
    /// Positions of the log for which the changes of rows are kept, for those who listen and come back. Who has been away
    /// for longer reads anew. A projection that fills its tables tells of the last fifth of as many events, so that whoever
    /// comes back to tables that were filled anew meanwhile may have been away for that long only. With none, nothing is told
    /// of rows at all, which saves what it costs.
    pub changes_kept: u64,
    /// Bytes of changes that stay in memory for those who listen, over all projections. Whoever is further behind reads the
    /// table.
    pub changes_memory_bytes: usize,
    /// How often the log is looked at when nobody says that it has grown: other processes write to it too.
    pub poll_ms: u64,
    /// The longest pause between two attempts of a projection that fails.
    pub projection_retry_ms: u64,
    /// Attempts at an event at which a projection fails, before it is put aside with its stream. Where the same
    /// code has put aside a stream of the tenant already, there is one.
    pub poison_attempts: u32,
    /// Streams of a tenant that one projection puts aside at most. With the next one that fails, all of the tenant waits from
    /// there on, for that projection.
    pub parked_streams: u32,
    /// Dead letters that one projection has at most, of all tenants: one for each stream that waits, and one for each tenant of
    /// which everything does. Beyond that it stands: its code is broken, and not an event.
    pub parked_letters: u32,
    /// How long a projection that has events to show may take without getting on, before health and figures tell of it.
    pub stalled_ms: u64,
    /// How long a projection that is filled before new code goes live may take without getting on, before the code is refused.
    /// What has been filled is gone on with when it is deployed again.
    pub deploy_stalled_ms: u64,
    /// How long a read model's table outlives the version that filled it, for requests that are under way.
    pub retire_ms: u64,
    /// How long tables that no process uses are kept where another process has left them: it may start again, and go on with
    /// what it has filled. It counts by the read database's times, whichever process looks.
    pub unused_ms: u64,
}

impl Settings {
    /// Whether the engine can work with these limits. One that is beyond what a store takes at once would make every
    /// command fail, and not one of them would say why.
    ///
    /// # Errors
    /// Says which limit can't be, and between what it must lie.
    pub fn check(&self) -> Result<(), String> {
        let between = |name: &str, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(format!("the limit {name} is {value}, and must be between {least} and {most}"))
            }
        };
        between("batch", self.batch as usize, 1, LONGEST_PAGE as usize)?;
        between("parked_streams", self.parked_streams as usize, 0, LONGEST_PAGE as usize)?;
        between("parked_letters", self.parked_letters as usize, 0, LONGEST_PAGE as usize)?;
        let (streams, letters) = (self.parked_streams, self.parked_letters);
        if letters > 0 && streams >= letters {
            return Err(format!(
                "the limit parked_streams is {streams}, and must be less than parked_letters, which is {letters}: one \
                 tenant could use up the dead letters of all"
            ));
        }
        between("lane_events", self.lane_events, 1, LARGEST_BATCH)?;
        between("decision_events", self.decision_events, 1, LARGEST_BATCH)?;
        between("lane_queue", self.lane_queue, 1, Semaphore::MAX_PERMITS)?;
        between("shard_queue", self.shard_queue, 1, Semaphore::MAX_PERMITS)?;
        between("queries_max", self.queries_max, 1, Semaphore::MAX_PERMITS)?;
        between("guest_queries_max", self.guest_queries_max, 1, Semaphore::MAX_PERMITS)?;
        between("queries_waiting", self.queries_waiting, 0, Semaphore::MAX_PERMITS)?;
        // Where there is no room at all, nothing takes any.
        between("queued_bytes", self.queued_bytes, 1, usize::MAX)?;
        between("decided_bytes", self.decided_bytes, 1, usize::MAX)?;
        // Guests address their memory with 32 bits.
        between("payload_bytes", self.payload_bytes, 1, u32::MAX as usize)?;
        between("database_ms", usize::try_from(self.database_ms).unwrap_or(usize::MAX), 1, usize::MAX)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards: std::thread::available_parallelism().map_or(2, |count| count.get().clamp(2, 16)),
            shard_queue: 4_096,
            queued_bytes: 64 * 1024 * 1024,
            decided_bytes: 128 * 1024 * 1024,
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
            database_ms: 35_000,
            command_ms: 10_000,
            queries_max: 256,
            queries_waiting: 1_024,
            guest_queries_max: 64,
            query_rows_bytes: 8 * 1024 * 1024,
            query_ms: 10_000,
            caught_up_ms: 5_000,
            batch: 1_000,
            gathered_events: 250_000,
            gathered_bytes: 16 * 1024 * 1024,
            gather_ms: 5,
            rows_kept_bytes: 64 * 1024 * 1024,
            changes_kept: 100_000,
            changes_memory_bytes: 16 * 1024 * 1024,
            poll_ms: 500,
            projection_retry_ms: 30_000,
            poison_attempts: 5,
            parked_streams: 100,
            parked_letters: LONGEST_PAGE,
            stalled_ms: 30_000,
            deploy_stalled_ms: 120_000,
            retire_ms: 60_000,
            unused_ms: 24 * 60 * 60 * 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_beyond_those_of_stores_is_refused_by_its_name() {
        assert_eq!(Settings::default().check(), Ok(()));
        for (name, settings) in [
            ("batch", Settings { batch: 20_000, ..Settings::default() }),
            ("batch", Settings { batch: 0, ..Settings::default() }),
            ("parked_streams", Settings { parked_streams: 10_001, ..Settings::default() }),
            ("parked_letters", Settings { parked_letters: 10_001, ..Settings::default() }),
            ("parked_streams", Settings { parked_streams: 20, parked_letters: 20, ..Settings::default() }),
            ("lane_events", Settings { lane_events: 10_001, ..Settings::default() }),
            ("decision_events", Settings { decision_events: 10_001, ..Settings::default() }),
            ("lane_queue", Settings { lane_queue: 0, ..Settings::default() }),
            ("shard_queue", Settings { shard_queue: usize::MAX, ..Settings::default() }),
            ("queries_max", Settings { queries_max: 0, ..Settings::default() }),
            ("queries_waiting", Settings { queries_waiting: usize::MAX, ..Settings::default() }),
            ("guest_queries_max", Settings { guest_queries_max: 0, ..Settings::default() }),
            ("queued_bytes", Settings { queued_bytes: 0, ..Settings::default() }),
            ("decided_bytes", Settings { decided_bytes: 0, ..Settings::default() }),
            ("payload_bytes", Settings { payload_bytes: usize::MAX, ..Settings::default() }),
            ("database_ms", Settings { database_ms: 0, ..Settings::default() }),
        ] {
            let refused = settings.check().unwrap_err();
            assert!(refused.starts_with(&format!("the limit {name} is ")), "{refused}");
        }
    }
}
