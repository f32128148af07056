//! Projections that are told to stand still, and tables that are filled anew beside those that serve.

mod cancelled;
mod takeover;

use yado_engine::{ProjectionState, ProjectionStatus};
use yado_store::ProjectionState as Decided;

use super::*;
use crate::support::variant;

/// Settings under which everything goes down in small pieces, and what operators decide is looked at soon.
pub(super) fn small() -> Settings {
    Settings { batch: 10, gathered_events: 10, retire_ms: 200, ..patient() }
}

/// How all projections stand whose name is Balance: the one that serves, and the one that is filled.
fn stand(engine: &Engine, state: ProjectionState) -> Option<ProjectionStatus> {
    engine.projections().into_iter().find(|status| status.name == "Balance" && status.state == state)
}

/// The table that is read now.
pub(super) fn table(engine: &Engine) -> String {
    model(engine).table.name.clone()
}

/// Makes every row wrong, behind everybody's back.
async fn spoil(databases: &Databases, reads: usize, engine: &Engine) {
    let statement = format!("update {} set movements = -7", table(engine));
    yado_store::testing::execute(&databases.reads[reads], &statement).await;
}

/// Tables that are filled anew beside those that serve, and have come to their first commit. All of their commits are held.
struct Filling {
    engine: Engine,
    reads: Arc<Failing>,
    /// The table that serves.
    before: String,
}

impl Filling {
    /// Of what the log has by now.
    async fn new(databases: &Databases, settings: Settings) -> Self {
        let log = databases.log().await;
        let reads = databases.watched(0).await;
        let engine = start(log.clone(), reads.clone(), settings).await;
        engine.deploy(component("bank")).await.unwrap();
        shown(&engine, log.head().await.unwrap()).await;
        let before = table(&engine);
        reads.hold_all_but(&model(&engine).projection);
        engine.rebuild("Balance").await.unwrap();
        eventually("the new tables are at their first commit", async || reads.under_way() > 0).await;
        Self { engine, reads, before }
    }
}

/// Has the bank's projection stand still between two commits of those that are held, which stay so.
pub(super) async fn pause_in_mid_work(databases: &Databases, engine: &Engine, reads: &Failing) {
    let pausing = {
        let engine = engine.clone();
        tokio::spawn(async move { engine.pause("Balance").await })
    };
    eventually("the pause is noted", async || decided(databases).await.paused).await;
    // The loop hears of it a moment later, and until then it goes on.
    reads.step_until("the projection stands still, or goes on", || pausing.is_finished()).await;
    pausing.await.unwrap().unwrap();
}

/// What operators have decided about the bank's projection.
async fn decided(databases: &Databases) -> Decided {
    databases.reads(0).await.projection_state("bank", "Balance").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_stands_still_until_it_is_resumed_also_after_a_restart_on_sqlite() {
    stands_still(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_stands_still_until_it_is_resumed_also_after_a_restart_on_postgresql() {
    stands_still(true).await;
}

async fn stands_still(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::new(1), databases.log().await);
    history.go_on(&*log, 50).await;
    let engine = start(log.clone(), databases.reads(0).await, patient()).await;
    engine.deploy(component("bank")).await.unwrap();
    engine.pause("Balance").await.unwrap();
    engine.pause("Balance").await.unwrap();
    history.go_on(&*log, 50).await;
    let stands =
        |engine: &Engine| stand(engine, ProjectionState::Paused).is_some_and(|status| status.position.get() == 50);
    assert!(stands(&engine), "{:?}", engine.projections());
    let refused = engine.rebuild("Balance").await.unwrap_err().to_string();
    assert!(refused.contains("is paused: resume it first"), "{refused}");
    assert!(engine.pause("Nothing").await.is_err());
    engine.shutdown().await;
    // It does not keep the plugin from going live.
    let log = databases.log().await;
    let engine = start(log.clone(), databases.reads(0).await, patient()).await;
    engine.deploy(component("bank")).await.unwrap();
    eventually("it stands still", async || stands(&engine)).await;
    // Nor does other code make it go on.
    engine.deploy(variant(&component("bank"), 1)).await.unwrap();
    assert!(stands(&engine), "{:?}", engine.projections());
    engine.resume("Balance").await.unwrap();
    let rows = shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_process_pauses_another_one_does_not_go_on_with() {
    let databases = Databases::new(false, 1).await;
    let (mut history, log) = (History::new(1), databases.log().await);
    let first = start(databases.log().await, databases.reads(0).await, small()).await;
    let second = start(databases.log().await, databases.reads(0).await, small()).await;
    first.deploy(component("bank")).await.unwrap();
    second.deploy(component("bank")).await.unwrap();
    first.pause("Balance").await.unwrap();
    eventually("the other one stands still", async || stand(&second, ProjectionState::Paused).is_some()).await;
    history.go_on(&*log, 20).await;
    second.resume("Balance").await.unwrap();
    shown(&second, log.head().await.unwrap()).await;
    eventually("the first one goes on", async || stand(&first, ProjectionState::Live).is_some()).await;
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_filled_anew_while_the_old_ones_answer_on_sqlite() {
    filled_beside(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_filled_anew_while_the_old_ones_answer_on_postgresql() {
    filled_beside(true).await;
}

/// Somebody asks all the while, and sees all rows in every answer.
async fn filled_beside(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::of_one(3), databases.log().await);
    history.go_on(&*log, 300).await;
    // No answer that is under way when other tables take over takes that long.
    let settings = Settings { retire_ms: 3_600_000, ..small() };
    let Filling { engine, reads, before } = Filling::new(&databases, settings).await;
    let count = shown(&engine, log.head().await.unwrap()).await.len() as u64;
    spoil(&databases, 0, &engine).await;
    let answers = Arc::new(AtomicUsize::new(0));
    let asked = {
        let (engine, before, answers) = (engine.clone(), before.clone(), answers.clone());
        tokio::spawn(async move {
            let ask = async || {
                let name = model(&engine).manifest.name.clone();
                assert_eq!(asking(&engine, &TenantId::default()).count(&name, None).await.unwrap(), count);
                answers.fetch_add(1, Relaxed);
            };
            while table(&engine) == before {
                ask().await;
            }
            ask().await;
        })
    };
    eventually("somebody has answers", async || answers.load(Relaxed) > 10 || asked.is_finished()).await;
    reads.let_go();
    asked.await.unwrap();
    // What happens from now on is shown in the new ones.
    history.go_on(&*log, 50).await;
    let rows = shown(&engine, log.head().await.unwrap()).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
    // The next process goes on with the new ones.
    let engine = start(databases.log().await, databases.reads(0).await, small()).await;
    engine.deploy(component("bank")).await.unwrap();
    assert_ne!(table(&engine), before);
    assert_eq!(shown(&engine, log.head().await.unwrap()).await, rows);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_can_be_paused_and_outlives_the_process_on_sqlite() {
    outlives(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_can_be_paused_and_outlives_the_process_on_postgresql() {
    outlives(true).await;
}

/// It is paused in mid-work, its process ends, the next one finds it paused, and goes on where it was when it is told to.
async fn outlives(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let log = databases.log().await;
    History::new(4).go_on(&*log, 600).await;
    let head = log.head().await.unwrap();
    let Filling { engine, reads, before } = Filling::new(&databases, small()).await;
    spoil(&databases, 0, &engine).await;
    let refused = engine.rebuild("Balance").await.unwrap_err().to_string();
    assert!(refused.contains("is being rebuilt already"), "{refused}");
    pause_in_mid_work(&databases, &engine, &reads).await;
    reads.let_go();
    let part = stand(&engine, ProjectionState::Paused).unwrap();
    assert!(part.position > Position::ZERO && part.position < head, "{part:?}");
    assert!(stand(&engine, ProjectionState::Live).is_some());
    engine.shutdown().await;

    let engine = start(databases.log().await, databases.reads(0).await, small()).await;
    engine.deploy(component("bank")).await.unwrap();
    let paused = stand(&engine, ProjectionState::Paused);
    eventually("the rebuild stands where it was", async || {
        stand(&engine, ProjectionState::Paused).is_some_and(|status| status.position == part.position)
    })
    .await;
    assert_eq!(table(&engine), before, "{paused:?}");
    engine.resume("Balance").await.unwrap();
    eventually("the new table serves", async || table(&engine) != before).await;
    let rows = shown(&engine, head).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_whose_process_dies_at_any_write_is_gone_on_with_on_sqlite() {
    dies_while_rebuilding(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_whose_process_dies_at_any_write_is_gone_on_with_on_postgresql() {
    dies_while_rebuilding(true).await;
}

async fn dies_while_rebuilding(postgres: bool) {
    const COMMITS: usize = 4;
    let databases = Databases::new(postgres, 1 + 2 * COMMITS).await;
    let log = databases.log().await;
    History::new(8).go_on(&*log, 100).await;
    let head = log.head().await.unwrap();
    let right = expected(&databases, 0).await;
    let fates = (0..COMMITS).flat_map(|commit| [(commit, Fate::Lost), (commit, Fate::Unheard)]);
    for (number, (commit, fate)) in fates.enumerate() {
        let number = 1 + number;
        let engine = start(databases.log().await, databases.reads(number).await, small()).await;
        engine.deploy(component("bank")).await.unwrap();
        assert_eq!(shown(&engine, head).await, right);
        engine.shutdown().await;
        let dying = Arc::new(Failing::dying(databases.reads(number).await, commit, fate));
        let engine = start(databases.log().await, dying.clone(), small()).await;
        engine.deploy(component("bank")).await.unwrap();
        spoil(&databases, number, &engine).await;
        let before = table(&engine);
        // It may die before it comes to say that it has begun.
        let _ = engine.rebuild("Balance").await;
        // It is the machine's how many commits it takes.
        eventually("all is dark, or done", async || dying.is_dead() || table(&engine) != before).await;
        engine.shutdown().await;
        assert!(dying.is_dead() || commit > 0, "nothing is committed");
        let engine = start(databases.log().await, databases.reads(number).await, small()).await;
        engine.deploy(component("bank")).await.unwrap();
        eventually("the new table serves", async || table(&engine) != before).await;
        assert_eq!(shown(&engine, head).await, right, "commit {commit}, {fate:?}");
        engine.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_follows_a_rebuild_on_sqlite() {
    followed(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_follows_a_rebuild_on_postgresql() {
    followed(true).await;
}

async fn followed(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::new(5), databases.log().await);
    history.go_on(&*log, 100).await;
    let settings = || Settings { retire_ms: 2_000, ..small() };
    let first = start(databases.log().await, databases.reads(0).await, settings()).await;
    let second = start(databases.log().await, databases.reads(0).await, settings()).await;
    first.deploy(component("bank")).await.unwrap();
    second.deploy(component("bank")).await.unwrap();
    let before = table(&first);
    assert_eq!(table(&second), before);
    first.rebuild("Balance").await.unwrap();
    eventually("both read the new table", async || table(&first) != before && table(&second) == table(&first)).await;
    history.go_on(&*log, 50).await;
    let head = log.head().await.unwrap();
    let (rows, others) = tokio::join!(shown(&first, head), shown(&second, head));
    assert_eq!(rows, others);
    first.shutdown().await;
    second.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_goes_on_with_the_code_that_is_deployed_meanwhile_on_sqlite() {
    goes_on_with_other_code(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_goes_on_with_the_code_that_is_deployed_meanwhile_on_postgresql() {
    goes_on_with_other_code(true).await;
}

async fn goes_on_with_other_code(postgres: bool) {
    let databases = Databases::new(postgres, 2).await;
    let log = databases.log().await;
    History::new(6).go_on(&*log, 200).await;
    let head = log.head().await.unwrap();
    let reads = databases.watched(0).await;
    let engine = start(databases.log().await, reads.clone(), small()).await;
    engine.deploy(component("bank-wary")).await.unwrap();
    let before = table(&engine);
    shown(&engine, head).await;
    assert!(!engine.dead_letters(10).await.unwrap().is_empty());
    reads.hold();
    engine.rebuild("Balance").await.unwrap();
    let deploying = deploying(&engine, "bank");
    eventually("the other code is live", async || {
        engine
            .catalogue()
            .plugin("bank")
            .is_some_and(|bank| bank.digest() == yado_model::Digest::of(&component("bank")))
    })
    .await;
    reads.let_go();
    deploying.await.unwrap().unwrap();
    eventually("the new table serves", async || table(&engine) != before).await;
    eventually("no stream is parked", async || engine.dead_letters(1).await.unwrap().is_empty()).await;
    let rows = shown(&engine, head).await;
    eventually("the old table is gone", async || !reads.tables().await.unwrap().contains(&before)).await;
    engine.shutdown().await;
    assert_eq!(rows, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_with_other_tables_ends_a_rebuild_on_sqlite() {
    ends_a_rebuild(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_with_other_tables_ends_a_rebuild_on_postgresql() {
    ends_a_rebuild(true).await;
}

async fn ends_a_rebuild(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let reads = databases.watched(0).await;
    let engine = start(databases.log().await, reads.clone(), small()).await;
    engine.deploy(component("rogue")).await.unwrap();
    let position = behaves(&engine).await;
    engine.caught_up(&saying(&engine), position).await.unwrap();
    reads.hold();
    engine.rebuild("Saying").await.unwrap();
    let deploying = deploying(&engine, "rogue-next");
    eventually("the rebuild and the new code's own tables are at a commit", async || reads.under_way() == 2).await;
    reads.let_go();
    deploying.await.unwrap().unwrap();
    engine.caught_up(&saying(&engine), position).await.unwrap();
    eventually("one table is left", async || {
        databases.reads(0).await.tables().await.unwrap() == [saying(&engine).table.name.clone()]
    })
    .await;
    let state = databases.reads(0).await.projection_state("rogue", "Saying").await.unwrap();
    assert_eq!(state.pending, None);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projections_of_a_plugin_are_filled_side_by_side() {
    let databases = Databases::new(false, 2).await;
    let engine = start(databases.log().await, databases.reads(0).await, patient()).await;
    engine.deploy(component("catalog")).await.unwrap();
    let dispatch = |command: &str, payload: serde_json::Value| Dispatch {
        tenant: TenantId::default(),
        command: Name::parse(command).unwrap(),
        payload,
        options: DispatchOptions::default(),
    };
    let category = dispatch("CreateCategory", serde_json::json!({ "name": "Pens" }));
    let category = engine.dispatch(&engine.catalogue(), category).await.unwrap().stream.id().to_owned();
    let pen = serde_json::json!({ "name": "Pen", "price": "1.50", "categoryId": category });
    engine.dispatch(&engine.catalogue(), dispatch("CreateProduct", pen)).await.unwrap();
    engine.shutdown().await;
    let reads = databases.watched(1).await;
    reads.hold();
    let engine = start(databases.log().await, reads.clone(), patient()).await;
    let deploying = deploying(&engine, "catalog");
    eventually("both are at their first commit", async || reads.under_way() == 2).await;
    reads.let_go();
    deploying.await.unwrap().unwrap();
    engine.shutdown().await;
}

pub(super) fn behave() -> Dispatch {
    Dispatch {
        tenant: TenantId::default(),
        command: Name::parse("Behave").unwrap(),
        payload: serde_json::json!({}),
        options: DispatchOptions::default(),
    }
}

pub(super) async fn behaves(engine: &Engine) -> Position {
    engine.dispatch(&engine.catalogue(), behave()).await.unwrap().position
}

pub(super) fn saying(engine: &Engine) -> Arc<Model> {
    engine.catalogue().model(&Name::parse("Saying").unwrap()).unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn code_comes_back_to_tables_that_stand_still_on_sqlite() {
    comes_back(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_comes_back_to_tables_that_stand_still_on_postgresql() {
    comes_back(true).await;
}

async fn comes_back(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    // Whoever has been replaced is still there when it comes back.
    let settings = Settings { retire_ms: 3_600_000, ..patient() };
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    engine.deploy(component("rogue")).await.unwrap();
    let position = behaves(&engine).await;
    engine.caught_up(&saying(&engine), position).await.unwrap();
    let before = saying(&engine).table.name.clone();
    engine.pause("Saying").await.unwrap();
    engine.deploy(component("rogue-next")).await.unwrap();
    assert_ne!(saying(&engine).table.name, before);
    let position = behaves(&engine).await;
    engine.deploy(component("rogue")).await.unwrap();
    assert_eq!(saying(&engine).table.name, before);
    // It has been shown what came meanwhile, and stands still again.
    let paused = || {
        let all = engine.projections().into_iter();
        all.filter(|status| status.name == "Saying").all(|status| status.state == ProjectionState::Paused)
    };
    eventually("it stands still again", async || paused()).await;
    engine.resume("Saying").await.unwrap();
    engine.caught_up(&saying(&engine), position).await.unwrap();
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_lack_streams_do_not_take_the_place_of_tables_that_have_them() {
    let databases = Databases::new(false, 2).await;
    let log = databases.log().await;
    History::new(6).go_on(&*log, 200).await;
    let head = log.head().await.unwrap();
    let settings = Settings { poison_attempts: 2, projection_retry_ms: 1, ..small() };
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    engine.deploy(component("bank")).await.unwrap();
    let right = shown(&engine, head).await;
    // Code that fails at what has been shown long ago does not notice it before it is shown that again.
    engine.deploy(component("bank-wary")).await.unwrap();
    let before = table(&engine);
    engine.rebuild("Balance").await.unwrap();
    let held = async || {
        let standing = stand(&engine, ProjectionState::Standing);
        standing.and_then(|status| status.trouble).is_some_and(|trouble| trouble.contains("Deploy code that can"))
    };
    eventually("the status says why the new tables are held back", held).await;
    assert_eq!(table(&engine), before);
    assert!(stand(&engine, ProjectionState::Live).is_some_and(|live| live.trouble.is_none()));
    assert_eq!(shown(&engine, head).await, right);
    engine.deploy(component("bank")).await.unwrap();
    eventually("the new table serves", async || table(&engine) != before).await;
    assert_eq!(shown(&engine, head).await, right);
    engine.shutdown().await;
    assert_eq!(right, expected(&databases, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_another_process_has_given_up_ends_and_takes_no_orders_on_sqlite() {
    given_up_elsewhere(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_another_process_has_given_up_ends_and_takes_no_orders_on_postgresql() {
    given_up_elsewhere(true).await;
}

async fn given_up_elsewhere(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    History::new(7).go_on(&*databases.log().await, 600).await;
    let Filling { engine, reads, .. } = Filling::new(&databases, small()).await;
    // It gets no further, so that it can't find out by itself, when it is through, that nobody wants it any more.
    pause_in_mid_work(&databases, &engine, &reads).await;
    // Another process gives it up, and an operator there has the tables that serve stand still.
    let (others, state) = (databases.reads(0).await, decided(&databases).await);
    assert!(state.pending.is_some());
    let given_up = Decided { pending: None, ..state };
    assert!(others.set_projection_state("bank", "Balance", &state, &given_up).await.unwrap());
    eventually("the tables that serve stand still, and there are no others", async || {
        let all: Vec<_> = engine.projections().into_iter().filter(|status| status.name == "Balance").collect();
        all.len() == 1 && all[0].state == ProjectionState::Paused && *all[0].key == *model(&engine).projection
    })
    .await;
    engine.resume("Balance").await.unwrap();
    assert!(stand(&engine, ProjectionState::Live).is_some());
    reads.let_go();
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_follows_a_rebuild_while_it_waits_for_other_code_to_be_ready() {
    let databases = Databases::new(false, 2).await;
    let (mut history, log) = (History::new(5), databases.log().await);
    history.go_on(&*log, 100).await;
    // There is something that other code has to be shown before it goes live.
    let engine = start(databases.log().await, databases.reads(1).await, patient()).await;
    engine.deploy(component("rogue")).await.unwrap();
    behaves(&engine).await;
    engine.shutdown().await;
    let reads = databases.watched(0).await;
    let first = start(databases.log().await, reads.clone(), small()).await;
    let second = start(databases.log().await, databases.reads(0).await, small()).await;
    first.deploy(component("bank")).await.unwrap();
    second.deploy(component("bank")).await.unwrap();
    let before = table(&first);
    reads.hold_all_but("bank");
    let deploying = deploying(&first, "rogue");
    eventually("the other code's tables are at their first commit", async || reads.under_way() > 0).await;
    second.rebuild("Balance").await.unwrap();
    eventually("both read the new table", async || table(&second) != before && table(&first) == table(&second)).await;
    assert!(!deploying.is_finished());
    reads.let_go();
    deploying.await.unwrap().unwrap();
    assert_eq!(table(&first), table(&second));
    first.shutdown().await;
    second.shutdown().await;
}
