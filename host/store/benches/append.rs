//! What an append and a reading of the log cost, in processor time: `cargo bench -p yado-store [events]`.
//!
//! Time on the clock says little on a machine that others use too. What is told is the time that this process and the
//! database's own processes have computed, and how much they have written, for each event.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench ends where something is not as it should be")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use sqlx::{Connection, PgConnection};
use yado_model::{CommandId, CommandMeta, NewEvent, Position, Revision, StreamId, TenantId, Timestamp};
use yado_store::testing::{Fsync, Postgres};
use yado_store::{Appended, Draft, EventStore, Options, PluginVersion, open_events};

const STREAMS: usize = 10_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let events = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(200_000);
    println!("engine, events a batch: us here, us in the database, bytes of log for each event; batches a second");

    let cluster = Postgres::start(Fsync::On);
    for batch in [1, 16, 64] {
        let url = cluster.database().await;
        let store = open_events(&url, &Options { connections: 2, ..Options::default() }).await.unwrap();
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let backends = backends(&mut connection).await;
        let log = async |connection: &mut PgConnection| -> f64 {
            let bytes: i64 = sqlx::query_scalar("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint")
                .fetch_one(connection)
                .await
                .unwrap();
            float(usize::try_from(bytes).unwrap())
        };
        let before = log(&mut connection).await;
        let count = events.min(batch * 20_000);
        let told = run(&*store, count, batch, &backends).await;
        let bytes = (log(&mut connection).await - before) / float(count);
        println!("postgres, {batch}: {told}, {bytes:.0} bytes");
        if batch == 64 {
            println!("postgres, reading: {}", read(&*store, &backends).await);
        }
        store.close().await;
    }
    for batch in [1, 16, 64] {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/log.db", folder.path().display());
        let store = open_events(&url, &Options::default()).await.unwrap();
        let count = events.min(batch * 20_000);
        println!("sqlite, {batch}: {}", run(&*store, count, batch, &[]).await);
        if batch == 64 {
            println!("sqlite, reading: {}", read(&*store, &[]).await);
        }
        store.close().await;
    }
}

/// Appends events to streams at random, each a payload of 200 bytes.
async fn run(store: &dyn EventStore, events: usize, batch: usize, backends: &[i32]) -> String {
    let streams: Vec<StreamId> =
        (0..STREAMS).map(|n| StreamId::parse(&format!("Account-0197a1b2-7c3d-7e4f-8a5b-{n:012x}")).unwrap()).collect();
    let mut revisions = vec![0_u64; STREAMS];
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let payload = format!(r#"{{"amount":"12.50","note":"{:x<170}"}}"#, "");
    let mut measured = Measured::default();
    let began = Instant::now();
    for _ in 0..events / batch {
        let drafts: Vec<_> = (0..batch)
            .map(|_| {
                // xorshift: the same log every time.
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = usize::try_from(random % STREAMS as u64).unwrap();
                revisions[at] += 1;
                draft(&streams[at], revisions[at] - 1, &payload).check_parsed().unwrap()
            })
            .collect();
        measured.start(backends);
        let outcomes = store.append(&drafts).await.unwrap();
        measured.stop(backends);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Appended::Recorded { .. })));
    }
    let rate = float(events / batch) / began.elapsed().as_secs_f64();
    format!("{}, {rate:.0} batches/s", measured.told(events))
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
}

impl Measured {
    fn start(&mut self, backends: &[i32]) {
        self.ours = self.ours.wrapping_sub(nanoseconds("/proc/self"));
        self.theirs = self.theirs.wrapping_sub(sum(backends));
    }

    fn stop(&mut self, backends: &[i32]) {
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
