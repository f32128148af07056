//! What it costs that changes of rows are told: the same work with and without it, in turns.
//!
//! A backlog is the dearest case: without telling, rows that change many times go down once. What counts for a projection
//! that is up to date is the work for each event while they come at a certain rate, a few for each commit.

use std::time::{Duration, Instant};

use yado_engine::{Engine, Parts, Settings};
use yado_model::Position;
use yado_runtime::Runtime;
use yado_store::{Options, open_events, open_reads};

use super::log::History;
use super::processor::Processor;

const ROUNDS: usize = 5;
/// Events of a backlog.
const BACKLOG: u64 = 30_000;
/// Events that come while the projection is up to date, so many every so often.
const LIVE: u64 = 5_000;
const AT_ONCE: u64 = 50;
const EVERY: Duration = Duration::from_millis(10);

/// Where a round keeps its log and its read models.
pub(crate) struct Place {
    pub(crate) log: String,
    pub(crate) reads: String,
}

#[derive(Default)]
struct Measured {
    /// Events a second.
    backlog: Vec<f64>,
    /// Microseconds of processor for each event.
    live: Vec<f64>,
}

/// Compares, with fresh databases for each round.
pub(crate) async fn compare(places: impl AsyncFn() -> Place, accounts: u64, guest: &[u8], cluster: Option<&str>) {
    let [mut silent, mut telling] = [Measured::default(), Measured::default()];
    for _ in 0..ROUNDS {
        for (kept, measured) in [(0, &mut silent), (u64::MAX, &mut telling)] {
            round(&places().await, kept, accounts, guest, cluster, measured).await;
        }
    }
    println!("of {ROUNDS} rounds each      nothing told    changes told");
    println!("backlog              {:>9.0} {:>15.0} events/s", median(silent.backlog), median(telling.backlog));
    println!(
        "live, processor      {:>9.2} {:>15.2} us/event, with the log's",
        median(silent.live),
        median(telling.live)
    );
}

async fn round(place: &Place, kept: u64, accounts: u64, guest: &[u8], cluster: Option<&str>, measured: &mut Measured) {
    let settings = Settings { changes_kept: kept, poll_ms: 5, caught_up_ms: 60_000, ..Settings::default() };
    // A projection that has been up to date, with nothing to show, tells whatever comes.
    let engine = start(place, &settings).await;
    engine.deploy(guest.to_vec()).await.unwrap();
    let log = open_events(&place.log, &Options::default()).await.unwrap();
    let mut history = History::new(accounts);
    history.go_on(&*log, 1).await;
    shows(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;

    history.go_on(&*log, accounts + BACKLOG).await;
    let head = log.head().await.unwrap();
    let engine = start(place, &settings).await;
    let begun = Instant::now();
    engine.deploy(guest.to_vec()).await.unwrap();
    shows(&engine, head).await;
    measured.backlog.push(head.get() as f64 / begun.elapsed().as_secs_f64());

    let before = Processor::now(cluster);
    let mut next = tokio::time::interval(EVERY);
    for _ in 0..LIVE / AT_ONCE {
        next.tick().await;
        history.go_on(&*log, AT_ONCE).await;
    }
    shows(&engine, log.head().await.unwrap()).await;
    let used = Processor::now(cluster).since(&before);
    measured.live.push((used.ours + used.database) * 1e6 / LIVE as f64);
    let told = if kept > 0 { "told" } else { "not told" };
    if let ([.., backlog], [.., live]) = (&*measured.backlog, &*measured.live) {
        println!("  {told:10} backlog {backlog:>8.0} events/s, live {live:>7.2} us/event");
    }
    engine.shutdown().await;
    log.close().await;
}

async fn start(place: &Place, settings: &Settings) -> Engine {
    let events = open_events(&place.log, &Options::default()).await.unwrap();
    let reads = open_reads(&place.reads, &Options::default()).await.unwrap();
    let cache = std::env::temp_dir().join("yado-bench-cache");
    let runtime = Runtime::new(yado_runtime::Settings { cache: Some(cache), ..Default::default() }).unwrap();
    Engine::start(Parts { events, reads, runtime }, settings.clone()).await.unwrap()
}

async fn shows(engine: &Engine, position: Position) {
    let model = engine.catalogue().models().next().unwrap().clone();
    engine.caught_up(&model, position).await.unwrap();
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of[of.len() / 2]
}
