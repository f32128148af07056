//! The read side, whatever happens on the way: rows are those that one event after the other would have made, however
//! events are batched, whatever fails, wherever a process dies, and whoever else does the same work at the same time.

mod between;
mod changes;
mod deployed;
mod failing;
mod history;
mod parked;
mod rebuild;
mod restored;
mod retired;
mod stopping;
mod watchdog;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::task::JoinHandle;
use yado_engine::{
    Circumstances, DeadLetter, Deployment, Dispatch, DispatchOptions, Engine, Model, Parts, Refusal, Row, Select,
    Session, Settings,
};
use yado_model::{Digest, Name, Position, TenantId};
use yado_runtime::Runtime;
use yado_store::testing::Postgres;
use yado_store::{EventStore, Options, ReadStore, open_events, open_reads};

use crate::support::{self, component, eventually, patient_options};
use failing::{Failing, Fate};
use history::{History, Random};

/// All rows, by tenant and key.
type Shown = BTreeMap<(TenantId, String), Row>;

/// Where a test keeps its log and its read models.
struct Databases {
    log: String,
    reads: Vec<String>,
    postgres: bool,
    folder: tempfile::TempDir,
    made: AtomicUsize,
}

impl Databases {
    /// One for the log, and so many for read models.
    async fn new(postgres: bool, reads: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut databases = Self { log: String::new(), reads: Vec::new(), postgres, folder, made: AtomicUsize::new(0) };
        databases.log = databases.another().await;
        for _ in 0..reads {
            databases.reads.push(databases.another().await);
        }
        databases
    }

    /// One more.
    async fn another(&self) -> String {
        if self.postgres {
            return Postgres::shared().database().await;
        }
        let number = self.made.fetch_add(1, Relaxed);
        format!("sqlite:{}", self.folder.path().join(format!("{number}.db")).display())
    }

    async fn log(&self) -> Arc<dyn EventStore> {
        open_events(&self.log, &patient_options()).await.unwrap()
    }

    async fn reads(&self, number: usize) -> Arc<dyn ReadStore> {
        open_reads(&self.reads[number], &patient_options()).await.unwrap()
    }

    /// The same, where nothing fails by itself: commits are counted, and can be held.
    async fn watched(&self, number: usize) -> Arc<Failing> {
        Arc::new(Failing::new(self.reads(number).await, 0, 0))
    }
}

/// Nothing is batched, nothing is gathered, and nothing is kept in memory.
fn one_by_one() -> Settings {
    Settings { batch: 1, gathered_events: 1, rows_kept_bytes: 0, ..patient() }
}

/// Settings of a test that waits as long as it takes, and tries again soon.
fn patient() -> Settings {
    Settings { poll_ms: 5, projection_retry_ms: 20, ..support::patient() }
}

async fn start(log: Arc<dyn EventStore>, reads: Arc<dyn ReadStore>, settings: Settings) -> Engine {
    let runtime = Runtime::new(yado_runtime::Settings::default()).unwrap();
    Engine::start(Parts { events: log, reads, runtime }, settings).await.unwrap()
}

/// Two processes that project the same, and have begun at the same moment.
async fn two(databases: &Databases, settings: impl Fn() -> Settings) -> (Engine, Engine) {
    let first = start(databases.log().await, databases.reads(0).await, settings()).await;
    let second = start(databases.log().await, databases.reads(0).await, settings()).await;
    let (one, other) = tokio::join!(first.deploy(component("bank")), second.deploy(component("bank")));
    one.unwrap();
    other.unwrap();
    (first, second)
}

/// Runs a plugin until everything goes dark, or until it has nothing left to do: it is the machine's how many commits it takes.
/// Says whether it went dark.
async fn dies(databases: &Databases, reads: &str, plugin: &str, commit: usize, fate: Fate, settings: Settings) -> bool {
    let log = databases.log().await;
    let head = log.head().await.unwrap();
    let dying = Arc::new(Failing::dying(open_reads(reads, &patient_options()).await.unwrap(), commit, fate));
    let engine = start(log, dying.clone(), settings).await;
    let deploying = deploying(&engine, plugin);
    let digest = Digest::of(&component(plugin));
    let is_done = async || {
        let shown = deploying.is_finished() && engine.projections().iter().all(|one| one.position >= head);
        // What waits by then has been tried with this code.
        let tried = |letters: Vec<DeadLetter>| letters.iter().all(|letter| letter.parked.digest == digest);
        shown && engine.dead_letters(1_000).await.is_ok_and(tried)
    };
    eventually("all is dark, or done", async || dying.is_dead() || is_done().await).await;
    engine.shutdown().await;
    let _ = deploying.await;
    dying.is_dead()
}

/// Has a plugin deployed, which need not come to an end by itself.
fn deploying(engine: &Engine, plugin: &str) -> JoinHandle<Result<Deployment, Refusal>> {
    let (engine, plugin) = (engine.clone(), component(plugin));
    tokio::spawn(async move { engine.deploy(plugin).await })
}

fn model(engine: &Engine) -> Arc<Model> {
    engine.catalogue().model(&Name::parse("Balance").unwrap()).unwrap().clone()
}

/// A request of a tenant.
fn asking(engine: &Engine, tenant: &TenantId) -> Session {
    let circumstances = Circumstances { tenant: tenant.clone(), ..Circumstances::default() };
    engine.session(&engine.catalogue(), circumstances)
}

/// What an engine shows once it has come to a position.
async fn shown(engine: &Engine, to: Position) -> Shown {
    let model = model(engine);
    engine.caught_up(&model, to).await.unwrap();
    let mut all = Shown::new();
    for tenant in history::tenants() {
        let everything = Select::page(10_000);
        let rows = loop {
            match asking(engine, &tenant).select(&model.manifest.name, &everything).await {
                // Whoever stood still for long while it read does not know what others have dropped meanwhile.
                Err(error) if error.to_string().contains("was frozen") => {}
                rows => break rows.unwrap().into_maps().unwrap(),
            }
        };
        all.extend(rows.into_iter().map(|row| ((tenant.clone(), row["id"].as_str().unwrap().to_owned()), row)));
    }
    all
}

/// The rows that one event after the other makes.
async fn expected(databases: &Databases, reads: usize) -> Shown {
    let log = databases.log().await;
    let head = log.head().await.unwrap();
    let engine = start(log, databases.reads(reads).await, one_by_one()).await;
    engine.deploy(component("bank")).await.unwrap();
    let rows = shown(&engine, head).await;
    engine.shutdown().await;
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_depend_on_batches_or_on_what_fails_on_sqlite() {
    let mut failures = 0;
    for seed in 1..=6 {
        failures += rows_are_those_of_single_events(seed, false, History::new(seed), any_batch).await;
    }
    assert!(failures > 0, "nothing has failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_single_tenant_do_not_depend_on_batches_or_on_what_fails_on_sqlite() {
    let mut failures = 0;
    for seed in 1..=6 {
        failures += rows_are_those_of_single_events(seed, false, History::of_one(seed), any_batch).await;
    }
    assert!(failures > 0, "nothing has failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_depend_on_what_fails_where_events_come_one_by_one_on_sqlite() {
    let mut failures = 0;
    for seed in 1..=3 {
        failures += rows_are_those_of_single_events(seed, false, History::of_one(seed), |_| 1).await;
    }
    assert!(failures > 0, "nothing has failed");
}

/// With calls of one event the loop goes step by step once it has caught up. What it has sent down before that must have
/// ended when the first step sends down its own.
#[tokio::test(flavor = "multi_thread")]
async fn one_commit_of_a_projection_is_under_way_at_a_time_also_where_it_begins_to_go_step_by_step() {
    /// How often others have their turn before it is believed that nothing comes of it.
    const TURNS: usize = 100_000;
    let databases = Databases::new(false, 1).await;
    let (mut history, log) = (History::of_one(1), databases.log().await);
    history.go_on(&*log, 20).await;
    let reads = databases.watched(0).await;
    reads.hold();
    let settings = Settings { batch: 1, poll_ms: 1, ..patient() };
    let engine = start(log.clone(), reads.clone(), settings).await;
    let deploying = deploying(&engine, "bank");
    eventually("it is at its first commit", async || reads.under_way() > 0).await;
    history.go_on(&*log, 20).await;
    for _ in 0..TURNS {
        if reads.overlapped() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(!reads.overlapped(), "several commits were under way at a time");
    reads.let_go();
    deploying.await.unwrap().unwrap();
    engine.caught_up(&model(&engine), log.head().await.unwrap()).await.unwrap();
    engine.shutdown().await;
}

fn any_batch(random: &mut Random) -> u32 {
    1 + u32::try_from(random.below(60)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_depend_on_batches_or_on_what_fails_on_postgresql() {
    let mut failures = 0;
    for seed in 7..=10 {
        failures += rows_are_those_of_single_events(seed, true, History::new(seed), any_batch).await;
    }
    assert!(failures > 0, "nothing has failed");
}

/// Returns how often the read store has failed on the way. A run of few large commits may come through without.
async fn rows_are_those_of_single_events(
    seed: u64,
    postgres: bool,
    mut history: History,
    batch: fn(&mut Random) -> u32,
) -> u32 {
    let mut random = Random(seed);
    let databases = Databases::new(postgres, 2).await;
    let log = databases.log().await;
    let settings = Settings {
        batch: batch(&mut random),
        gathered_events: 1 + random.below(300),
        gathered_bytes: 1 + usize::try_from(random.below(20_000)).unwrap(),
        rows_kept_bytes: [0, 2_000, 1 << 20][usize::try_from(random.below(3)).unwrap()],
        gather_ms: [0, 5][usize::try_from(random.below(2)).unwrap()],
        ..patient()
    };
    eprintln!("seed {seed}: {settings:?}");
    history.go_on(&*log, 400).await;
    let reads = Arc::new(Failing::new(databases.reads(0).await, seed, 25));
    let engine = start(log.clone(), reads.clone(), settings).await;
    engine.deploy(component("bank")).await.unwrap();
    for _ in 0..8 {
        history.go_on(&*log, 1 + random.below(60)).await;
        if random.below(2) == 0 {
            engine.caught_up(&model(&engine), log.head().await.unwrap()).await.unwrap();
        }
    }
    let rows = shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    assert!(!reads.overlapped(), "several commits were under way at a time");
    assert!(!rows.is_empty());
    assert_eq!(rows, expected(&databases, 1).await, "seed {seed}");
    reads.failures()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_write_leaves_rows_that_another_goes_on_with_on_sqlite() {
    dies_at_every_write(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_write_leaves_rows_that_another_goes_on_with_on_postgresql() {
    dies_at_every_write(true).await;
}

/// Before each of the first commits, and after each of them, all goes dark for the process. The next one finds what it has
/// left behind.
async fn dies_at_every_write(postgres: bool) {
    const COMMITS: usize = 6;
    let databases = Databases::new(postgres, 1 + 2 * COMMITS).await;
    let log = databases.log().await;
    History::new(1).go_on(&*log, 300).await;
    let head = log.head().await.unwrap();
    let right = expected(&databases, 0).await;
    let settings = || Settings { batch: 20, gathered_events: 40, ..patient() };
    for (number, (commit, fate)) in
        (0..COMMITS).flat_map(|commit| [(commit, Fate::Lost), (commit, Fate::Unheard)]).enumerate()
    {
        let died = dies(&databases, &databases.reads[1 + number], "bank", commit, fate, settings()).await;
        assert!(died || commit > 0, "nothing is committed");
        let next = start(databases.log().await, databases.reads(1 + number).await, settings()).await;
        next.deploy(component("bank")).await.unwrap();
        assert_eq!(shown(&next, head).await, right, "commit {commit}, {fate:?}");
        next.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_project_the_same_forget_what_the_other_has_changed_on_sqlite() {
    project_together(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_project_the_same_forget_what_the_other_has_changed_on_postgresql() {
    project_together(true).await;
}

async fn project_together(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::new(3), databases.log().await);
    history.go_on(&*log, 200).await;
    let settings = || Settings { batch: 15, gathered_events: 30, ..patient() };
    let (first, second) = two(&databases, settings).await;
    for _ in 0..30 {
        history.go_on(&*log, 20).await;
        let head = log.head().await.unwrap();
        let (one, other) = (model(&first), model(&second));
        let (one, other) = tokio::join!(first.caught_up(&one, head), second.caught_up(&other, head));
        one.unwrap();
        other.unwrap();
    }
    let head = log.head().await.unwrap();
    let rows = shown(&first, head).await;
    assert_eq!(rows, shown(&second, head).await);
    first.shutdown().await;
    second.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_shown_without_anybody_looking_at_the_log_on_sqlite() {
    is_shown_at_once(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_shown_without_anybody_looking_at_the_log_on_postgresql() {
    is_shown_at_once(true).await;
}

/// Nobody looks at the log for an hour, and rows gather for an hour, unless somebody waits for them. Those that are waited
/// for are there all the same: on the node that was asked, and, where nodes can
/// tell each other, on another one.
async fn is_shown_at_once(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let settings = || Settings { poll_ms: 3_600_000, gather_ms: 3_600_000, ..patient() };
    let first = start(databases.log().await, databases.reads(0).await, settings()).await;
    first.deploy(component("bank")).await.unwrap();
    let second = start(databases.log().await, databases.reads(1).await, settings()).await;
    second.deploy(component("bank")).await.unwrap();
    for number in 0..20 {
        let position = open(&first, number).await;
        first.caught_up(&model(&first), position).await.unwrap();
        if postgres {
            second.caught_up(&model(&second), position).await.unwrap();
        }
    }
    let head = databases.log().await.head().await.unwrap();
    assert_eq!(shown(&first, head).await.len(), 20);
    first.shutdown().await;
    second.shutdown().await;
}

/// Opens an account, and says where the log has it.
async fn open(engine: &Engine, number: u32) -> Position {
    try_to_open(engine, number).await.unwrap()
}

async fn try_to_open(engine: &Engine, number: u32) -> Result<Position, yado_engine::Error> {
    let dispatch = Dispatch {
        tenant: TenantId::default(),
        command: Name::parse("Open").unwrap(),
        payload: serde_json::json!({ "id": format!("account-{number}"), "owner": "somebody" }),
        options: DispatchOptions::default(),
    };
    Ok(engine.dispatch(&engine.catalogue(), dispatch).await?.position)
}

/// Looks at the rows again and again, without waiting for a position, until there are so many.
async fn seen(engine: &Engine, count: u64) {
    let (model, session) = (model(engine), asking(engine, &TenantId::default()));
    let shown = async || session.count(&model.manifest.name, None).await.unwrap();
    eventually("there are as many rows", async || shown().await >= count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_projection_that_was_idle_do_not_gather() {
    let databases = Databases::new(false, 1).await;
    let settings = Settings { gather_ms: 3_600_000, ..patient() };
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    engine.deploy(component("bank")).await.unwrap();
    open(&engine, 0).await;
    seen(&engine, 1).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_nobody_waits_for_are_seen_before_long() {
    let databases = Databases::new(false, 1).await;
    let settings = Settings { gather_ms: 20, poll_ms: 3_600_000, ..patient() };
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    engine.deploy(component("bank")).await.unwrap();
    for number in 0..30 {
        open(&engine, number).await;
    }
    seen(&engine, 30).await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gathers_when_the_engine_stops_is_there_when_it_starts_again() {
    let databases = Databases::new(false, 1).await;
    let settings = || Settings { gather_ms: 3_600_000, ..patient() };
    let engine = start(databases.log().await, databases.reads(0).await, settings()).await;
    engine.deploy(component("bank")).await.unwrap();
    for number in 0..30 {
        open(&engine, number).await;
    }
    engine.shutdown().await;
    let next = start(databases.log().await, databases.reads(0).await, settings()).await;
    next.deploy(component("bank")).await.unwrap();
    assert_eq!(asking(&next, &TenantId::default()).count(&model(&next).manifest.name, None).await.unwrap(), 30);
    next.shutdown().await;
}
