//! What an append and a reading of the log cost, in processor time: `cargo bench -p yado-store -- [engine] [events [batch…]]`.
//!
//! Time on the clock says little on a machine that others use too. What is told is the time that this process and the
//! database's own processes have computed, and how much they have written, for each event.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends where something is not as it should be")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use yado_model::{CommandId, CommandMeta, NewEvent, Position, Revision, StreamId, TenantId, Timestamp};
use yado_store::testing::{Fsync, Postgres};
use yado_store::{Append, Appended, Draft, EventStore, Options, PluginVersion, open_events};

const STREAMS: usize = 10_000;
const BATCHES: [usize; 4] = [1, 16, 32, 128];
const EVENTS: usize = 200_000;
/// So many batches are put together before they are appended, because to look at the clocks takes its time, too.
const AHEAD: usize = 100;
/// At most so many batches of one size.
const MOST_BATCHES: usize = 20_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let (events, batches) = match numbers.split_first() {
        None => (EVENTS, &BATCHES[..]),
        Some((events, [])) => (*events, &BATCHES[..]),
        Some((events, batches)) => (*events, batches),
    };
    let only = std::env::args().skip(1).find(|argument| ["postgres", "sqlite"].contains(&argument.as_str()));
    let wanted = |engine: &str| only.as_ref().is_none_or(|only| only == engine);
    println!("engine, events a batch: us here, us in the database, bytes of log for each event; us for a batch");

    if wanted("postgres") {
        postgres(events, batches).await;
    }
    if wanted("sqlite") {
        sqlite(events, batches).await;
    }
}

async fn postgres(events: usize, batches: &[usize]) {
    let cluster = Postgres::start(Fsync::On);
    for &batch in batches {
        let url = cluster.database().await;
        let store = open_events(&url, &Options { connections: 2, ..Options::default() }).await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let log = async |connection: &mut PgConnection| -> f64 {
            let bytes: i64 = sqlx::query_scalar("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
                .fetch_one(connection)
                .await
                .unwrap();
            float(usize::try_from(bytes).unwrap())
        };
        // Plans are made, caches are warm, and each stream is there.
        let mut load = Load::default();
        run(&*store, &mut load, STREAMS, 100, &[]).await;
        run(&*store, &mut load, AHEAD * batch, batch, &[]).await;
        let backends = backends(&mut connection).await;
        let before = log(&mut connection).await;
        let count = whole_rounds(events, batch);
        let told = run(&*store, &mut load, count, batch, &backends).await;
        let bytes = (log(&mut connection).await - before) / float(count);
        println!("postgres, {batch}: {told}, {bytes:.0} bytes");
        if Some(&batch) == batches.last() {
            println!("postgres, reading: {}", read(&*store, &backends).await);
        }
        store.close().await;
    }
}

async fn sqlite(events: usize, batches: &[usize]) {
    for &batch in batches {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/log.db", folder.path().display());
        let store = open_events(&url, &Options::default()).await.unwrap();
        let count = whole_rounds(events, batch);
        let mut load = Load::default();
        run(&*store, &mut load, STREAMS, 100, &[]).await;
        println!("sqlite, {batch}: {}", run(&*store, &mut load, count, batch, &[]).await);
        if Some(&batch) == batches.last() {
            println!("sqlite, reading: {}", read(&*store, &[]).await);
        }
        store.close().await;
    }
}

/// Streams and where they are, in an order that is the same every time.
struct Load {
    streams: Vec<StreamId>,
    revisions: Vec<u64>,
    random: u64,
    payload: String,
}

impl Default for Load {
    fn default() -> Self {
        let stream = |n| StreamId::parse(&format!("Account-0197a1b2-7c3d-7e4f-8a5b-{n:012x}")).unwrap();
        Self {
            streams: (0..STREAMS).map(stream).collect(),
            revisions: vec![0; STREAMS],
            random: 0x9E37_79B9_7F4A_7C15,
            payload: format!(r#"{{"amount":"12.50","note":"{:x<170}"}}"#, ""),
        }
    }
}

impl Load {
    /// One event for a stream at random, by xorshift.
    fn next(&mut self) -> Append {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let at = usize::try_from(self.random % STREAMS as u64).unwrap();
        self.revisions[at] += 1;
        draft(&self.streams[at], self.revisions[at] - 1, &self.payload).check_parsed().unwrap()
    }
}

/// How many events come to whole rounds of batches.
fn whole_rounds(events: usize, batch: usize) -> usize {
    let round = AHEAD * batch;
    (events.min(MOST_BATCHES * batch) / round).max(1) * round
}

/// Appends events, each a payload of 200 bytes.
async fn run(store: &dyn EventStore, load: &mut Load, events: usize, batch: usize, backends: &[i32]) -> String {
    let mut measured = Measured::default();
    for _ in 0..events / batch / AHEAD {
        let batches: Vec<Vec<_>> = (0..AHEAD).map(|_| (0..batch).map(|_| load.next()).collect()).collect();
        measured.start(backends);
        for appends in &batches {
            let outcomes = store.append(appends).await.unwrap();
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Appended::Recorded { .. })));
        }
        measured.stop(backends);
    }
    let each = measured.clock.as_secs_f64() * 1e6 / float(events / batch);
    format!("{}, {each:.0} us a batch", measured.told(events))
}

/// Reads the whole log.
async fn read(store: &dyn EventStore, backends: &[i32]) -> String {
    let (mut at, mut count, mut measured) = (Position::ZERO, 0, Measured::default());
    measured.start(backends);
    loop {
        let page = store.read_log(at, 2_000).await.unwrap();
        let Some(last) = page.last() else { break };
        at = last.position;
        count += page.len();
    }
    measured.stop(backends);
    measured.told(count)
}

fn draft(stream: &StreamId, expected: u64, payload: &str) -> Draft {
    let command_id = CommandId::generate();
    Draft {
        tenant: TenantId::default(),
        stream: stream.clone(),
        expected: Revision::new(expected),
        events: vec![NewEvent { name: "Deposited".into(), version: 1, payload: payload.into(), tags: vec![] }],
        claims: vec![],
        recorded_at: Timestamp::now(),
        command: CommandMeta { command_id, correlation_id: command_id.0, causation_id: None, actor: None },
        plugin: PluginVersion(1),
        idempotency: None,
    }
}

/// Processor time, ours and the database's.
#[derive(Default)]
struct Measured {
    ours: u64,
    theirs: u64,
    clock: Duration,
    began: Option<Instant>,
}

impl Measured {
    fn start(&mut self, backends: &[i32]) {
        self.ours = self.ours.wrapping_sub(nanoseconds("/proc/self"));
        self.theirs = self.theirs.wrapping_sub(sum(backends));
        self.began = Some(Instant::now());
    }

    fn stop(&mut self, backends: &[i32]) {
        self.clock += self.began.take().map_or(Duration::ZERO, |began| began.elapsed());
        self.ours = self.ours.wrapping_add(nanoseconds("/proc/self"));
        self.theirs = self.theirs.wrapping_add(sum(backends));
    }

    fn told(&self, events: usize) -> String {
        let us = |nanoseconds: u64| float(usize::try_from(nanoseconds).unwrap()) / 1_000.0 / float(events);
        format!("{:.2} us here, {:.2} us in the database", us(self.ours), us(self.theirs))
    }
}

fn sum(backends: &[i32]) -> u64 {
    backends.iter().map(|pid| nanoseconds(format!("/proc/{pid}"))).sum()
}

/// What all threads of a process have computed.
fn nanoseconds(process: impl AsRef<Path>) -> u64 {
    let Ok(threads) = fs::read_dir(process.as_ref().join("task")) else { return 0 };
    let of = |thread: fs::DirEntry| -> Option<u64> {
        fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    threads.flatten().filter_map(of).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn float(count: usize) -> f64 {
    count as f64
}

/// The processes that serve this database's connections.
async fn backends(connection: &mut PgConnection) -> Vec<i32> {
    sqlx::query_scalar(
        "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}
