//! What a deployment leaves as it is: tables that other indexes are wanted for, and loops that code was to take over which
//! was refused. And how one ends that does not get on.

use std::sync::atomic::Ordering::SeqCst;

use yado_engine::{Error, Refusal};
use yado_store::testing::told;

use super::rebuild::{behave, behaves, saying, small, table};
use super::*;

/// What the projection of the plugin rogue does not stand.
const POISON: &str = "poison";

/// The indexes of a table that the host has made beside those of its key.
async fn indexes(databases: &Databases, table: &str) -> Vec<String> {
    let question = match databases.postgres {
        true => format!("select indexname::text from pg_indexes where tablename = '{table}' order by 1"),
        false => format!("select name from sqlite_schema where type = 'index' and tbl_name = '{table}' order by 1"),
    };
    let mut all = told(&databases.reads[0], &question).await;
    all.retain(|name| name.contains('.'));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_differs_in_indexes_only_keeps_its_tables_on_sqlite() {
    keeps_its_tables(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_differs_in_indexes_only_keeps_its_tables_on_postgresql() {
    keeps_its_tables(true).await;
}

async fn keeps_its_tables(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let log = databases.log().await;
    History::new(1).go_on(&*log, 100).await;
    let head = log.head().await.unwrap();
    let reads = databases.watched(0).await;
    let engine = start(databases.log().await, reads.clone(), small()).await;
    engine.deploy(component("bank")).await.unwrap();
    let rows = shown(&engine, head).await;
    let (before, commits) = (table(&engine), reads.commits.load(SeqCst));
    let few = indexes(&databases, &before).await;
    engine.deploy(component("bank-indexed")).await.unwrap();
    assert_eq!(table(&engine), before);
    eventually("the index is made", async || indexes(&databases, &before).await.len() == few.len() + 1).await;
    assert_eq!(shown(&engine, head).await, rows);
    assert_eq!(reads.commits.load(SeqCst), commits, "rows were written again");
    assert_eq!(databases.reads(0).await.tables().await.unwrap(), std::slice::from_ref(&before));
    engine.deploy(component("bank")).await.unwrap();
    eventually("what nobody wants any more is gone", async || indexes(&databases, &before).await == few).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_refused_gives_back_the_loops_that_it_has_taken_on_sqlite() {
    gives_back_its_loops(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_is_refused_gives_back_the_loops_that_it_has_taken_on_postgresql() {
    gives_back_its_loops(true).await;
}

/// Code comes back to tables that it has left, and fails at what has happened since. Its loop goes back to where it was, and
/// on with what it may do there: it puts aside what it can't show, and serves when the code comes back once more.
async fn gives_back_its_loops(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    // Whoever has been replaced is still there when it comes back.
    let settings = Settings { retire_ms: 3_600_000, poison_attempts: 2, projection_retry_ms: 1, ..patient() };
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    engine.deploy(component("rogue")).await.unwrap();
    let position = behaves(&engine).await;
    engine.caught_up(&saying(&engine), position).await.unwrap();
    let (old, key) = (saying(&engine).table.name.clone(), saying(&engine).projection.clone());
    // It stands still, or it would put aside at once what comes now.
    engine.pause("Saying").await.unwrap();
    engine.deploy(component("rogue-next")).await.unwrap();
    let next = saying(&engine).table.name.clone();
    assert_ne!(old, next);
    let poison =
        Dispatch { command: Name::parse("Say").unwrap(), payload: serde_json::json!({ "words": POISON }), ..behave() };
    let poison = engine.dispatch(&engine.catalogue(), poison).await.unwrap().position;
    let refused = engine.deploy(component("rogue")).await.unwrap_err();
    assert!(matches!(&refused, Refusal::History(reason) if reason.contains("I can't stand this")), "{refused}");
    assert_eq!(saying(&engine).table.name, next);
    let reads = databases.reads(0).await;
    eventually("the loop that was given back goes on", async || {
        let parked = reads.parked(Some(&key), 10).await.unwrap();
        parked.len() == 1 && parked[0].1.position == poison
    })
    .await;
    engine.deploy(component("rogue")).await.unwrap();
    assert_eq!(saying(&engine).table.name, old);
    engine.resume("Saying").await.unwrap();
    let position = behaves(&engine).await;
    engine.caught_up(&saying(&engine), position).await.unwrap();
    let count = asking(&engine, &TenantId::default()).count(&saying(&engine).manifest.name, None).await.unwrap();
    assert_eq!(count, 2);
    engine.shutdown().await;
}

/// Code that fills tables of its own, and whose first commit is held, beside code that serves.
struct HeldUp {
    engine: Engine,
    reads: Arc<Failing>,
    deploying: JoinHandle<Result<Deployment, Refusal>>,
    /// What the old code shows.
    position: Position,
}

/// How many sayings there are: too many for one commit.
const SAID: u64 = 30;

impl HeldUp {
    async fn new(databases: &Databases, settings: Settings) -> Self {
        let reads = databases.watched(0).await;
        let engine = start(databases.log().await, reads.clone(), settings).await;
        engine.deploy(component("bank")).await.unwrap();
        engine.deploy(component("rogue")).await.unwrap();
        let mut position = Position::ZERO;
        for _ in 0..SAID {
            position = behaves(&engine).await;
        }
        engine.caught_up(&saying(&engine), position).await.unwrap();
        reads.hold();
        let deploying = loop {
            let deploying = deploying(&engine, "rogue-next");
            let is_on = async || reads.under_way() > 0 || deploying.is_finished();
            eventually("the new code is at its first commit, or has taken too long to get there", is_on).await;
            if reads.under_way() > 0 {
                break deploying;
            }
        };
        Self { engine, reads, deploying, position }
    }

    /// All that has been said is shown.
    async fn shows_all(&self) {
        all_is_shown(&self.engine, self.position).await;
    }
}

/// All that has been said is shown.
async fn all_is_shown(engine: &Engine, position: Position) {
    let saying = saying(engine);
    engine.caught_up(&saying, position).await.unwrap();
    let said = asking(engine, &TenantId::default()).count(&saying.manifest.name, None).await.unwrap();
    assert_eq!(said, SAID);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_whose_tables_are_not_filled_is_refused_in_the_end_and_goes_on_where_it_was() {
    let databases = Databases::new(false, 1).await;
    let mut held_up = HeldUp::new(&databases, Settings { deploy_stalled_ms: 100, ..small() }).await;
    let before = saying(&held_up.engine).table.name.clone();
    held_up.reads.die();
    held_up.reads.let_go();
    let refused = (&mut held_up.deploying).await.unwrap().unwrap_err();
    let told = "projection Saying has not got on for 100 ms, at position";
    assert!(matches!(&refused, Refusal::Unavailable(reason) if reason.contains(told)), "{refused}");
    held_up.shows_all().await;
    // The commit that was under way went through.
    let tables = databases.reads(0).await.tables().await.unwrap();
    assert_eq!(tables.len(), 3, "{tables:?}");
    held_up.reads.revive();
    // It takes too long again where the machine does.
    let is_live = async || held_up.engine.deploy(component("rogue-next")).await.is_ok();
    eventually("the code goes live", is_live).await;
    let next = saying(&held_up.engine).table.name.clone();
    assert!(next != before && tables.contains(&next), "{next} is not another one of {tables:?}");
    held_up.shows_all().await;
    held_up.engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_can_be_given_up_and_the_next_one_takes_its_turn_on_sqlite() {
    can_be_given_up(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_can_be_given_up_and_the_next_one_takes_its_turn_on_postgresql() {
    can_be_given_up(true).await;
}

async fn can_be_given_up(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let mut held_up = HeldUp::new(&databases, small()).await;
    let (engine, before) = (held_up.engine.clone(), saying(&held_up.engine).table.name.clone());
    // What waits behind it can be given up as well. The first of the two is asked first.
    let (rebuilt, cancelled) = tokio::join!(engine.rebuild("Balance"), engine.cancel_rebuild("Balance"));
    assert!(cancelled.is_ok() && matches!(rebuilt, Err(Error::BadInput { .. })), "{cancelled:?}, {rebuilt:?}");
    let next = deploying(&engine, "counters");
    engine.cancel_rebuild("Saying").await.unwrap();
    held_up.reads.let_go();
    let refused = (&mut held_up.deploying).await.unwrap().unwrap_err();
    assert!(matches!(&refused, Refusal::GivenUp(projection) if projection.as_str() == "Saying"), "{refused}");
    next.await.unwrap().unwrap();
    held_up.shows_all().await;
    let mut tables = databases.reads(0).await.tables().await.unwrap();
    tables.retain(|name| name.starts_with(&before[..before.len() - 12]));
    assert_eq!(tables, [before], "what was half filled is still there");
    // There is nothing more to give up.
    assert!(matches!(engine.cancel_rebuild("Saying").await, Err(Error::BadInput { .. })));
    for unknown in ["Nobody", "no name"] {
        assert!(matches!(engine.cancel_rebuild(unknown).await, Err(Error::Unknown { .. })), "{unknown}");
    }
    engine.deploy(component("rogue-next")).await.unwrap();
    held_up.shows_all().await;
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_filled_before_code_was_given_up_is_gone_on_with() {
    let databases = Databases::new(false, 2).await;
    let mut position = Position::ZERO;
    // The second one's events are not in the tables of the first.
    for reads in [0, 1] {
        let engine = start(databases.log().await, databases.reads(reads).await, small()).await;
        engine.deploy(component("rogue")).await.unwrap();
        for _ in 0..SAID / 2 {
            position = behaves(&engine).await;
        }
        engine.caught_up(&saying(&engine), position).await.unwrap();
        engine.shutdown().await;
    }
    let filled = databases.reads(0).await.tables().await.unwrap();
    let reads = databases.watched(0).await;
    reads.hold();
    let engine = start(databases.log().await, reads.clone(), small()).await;
    let first = deploying(&engine, "rogue");
    eventually("it goes on where it was", async || reads.under_way() > 0).await;
    engine.cancel_rebuild("Saying").await.unwrap();
    reads.let_go();
    assert!(matches!(first.await.unwrap(), Err(Refusal::GivenUp(_))));
    assert_eq!(databases.reads(0).await.tables().await.unwrap(), filled);
    engine.deploy(component("rogue")).await.unwrap();
    all_is_shown(&engine, position).await;
    engine.shutdown().await;
}
