//! Read models that are newer than their log: it was restored from a backup, or a standby took over that had lagged. What
//! they show is of a history that is no more, and whoever went on from there would pass over what happens instead.

use serde_json::json;
use yado_store::Draft;
use yado_store::testing::execute;

use super::*;
use crate::support::{Client, Server};

/// Events that the read models have seen.
const SEEN: u64 = 300;

/// What has become of a log: so many events were kept, and so many have happened since, otherwise than before.
#[derive(Debug, Clone, Copy)]
struct Restored {
    kept: u64,
    since: u64,
}

/// It ends before the checkpoint, right there, and behind it; it has lost everything, and one event.
const RESTORED: [Restored; 6] = [
    Restored { kept: 200, since: 0 },
    Restored { kept: 200, since: 50 },
    Restored { kept: 200, since: SEEN - 200 },
    Restored { kept: 200, since: SEEN },
    Restored { kept: 0, since: 0 },
    Restored { kept: SEEN - 1, since: 2 },
];

/// Read models that have seen a log, and a log that was restored from it.
struct Scene {
    /// The first of its read databases is the one that has seen more.
    databases: Databases,
    head: Position,
}

impl Scene {
    async fn new(postgres: bool, Restored { kept, since }: Restored) -> Self {
        let mut databases = Databases::new(postgres, 3).await;
        let restored = databases.reads.pop().unwrap();
        let log = databases.log().await;
        let mut history = History::new(SEEN);
        history.go_on(&*log, kept).await;
        let mut since_then = history.otherwise(since + 1);
        history.go_on(&*log, SEEN - kept).await;
        let engine = start(databases.log().await, databases.reads(0).await, patient()).await;
        engine.deploy(component("bank")).await.unwrap();
        assert!(!shown(&engine, Position::new(SEEN)).await.is_empty());
        engine.shutdown().await;
        databases.log = restored;
        let backup = databases.log().await;
        copy(&*log, kept, &*backup).await;
        since_then.go_on(&*backup, since).await;
        Self { databases, head: Position::new(kept + since) }
    }

    /// The rows of the log that there is.
    async fn right(&self) -> Shown {
        expected(&self.databases, 1).await
    }
}

/// Copies the first events of a log, as a backup does.
async fn copy(log: &dyn EventStore, count: u64, to: &dyn EventStore) {
    let count = u32::try_from(count).unwrap();
    let events = if count == 0 { Vec::new() } else { log.read_log(Position::ZERO, count).await.unwrap() };
    let drafts = events.into_iter().map(|event| Draft {
        tenant: event.tenant,
        stream: event.stream,
        expected: yado_model::Revision::new(event.revision.get() - 1),
        events: vec![event.event],
        claims: Vec::new(),
        recorded_at: event.recorded_at,
        command: event.command,
        plugin: yado_store::PluginVersion(1),
        idempotency: None,
    });
    let batch: Vec<_> = drafts.map(|draft| draft.check().unwrap()).collect();
    to.append(&batch).await.unwrap();
}

/// What health says of the projection, if it has anything to say.
async fn projection_health(engine: &Engine) -> Option<(bool, String)> {
    let checks = engine.health().await.checks;
    let check = checks.into_iter().find(|check| check.name.starts_with("projection "))?;
    Some((check.ok, check.detail))
}

async fn is_filled_anew(engine: &Engine) -> bool {
    projection_health(engine).await.is_some_and(|(ok, detail)| !ok && detail.contains("filled anew"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_history_that_is_no_more_are_filled_anew_on_sqlite() {
    filled_anew(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_history_that_is_no_more_are_filled_anew_on_postgresql() {
    filled_anew(true).await;
}

async fn filled_anew(postgres: bool) {
    for restored in RESTORED {
        let scene = Scene::new(postgres, restored).await;
        let databases = &scene.databases;
        let right = scene.right().await;
        // The second start finds nothing to mend.
        for times in [1, 0] {
            let reads = databases.watched(0).await;
            let engine = start(databases.log().await, reads.clone(), patient()).await;
            engine.deploy(component("bank")).await.unwrap();
            assert_eq!(shown(&engine, scene.head).await, right, "{restored:?}");
            assert!(projection_health(&engine).await.unwrap().0);
            assert_eq!(reads.begun_anew(), times, "{restored:?}");
            engine.shutdown().await;
        }
        // What happens from now on is shown, too.
        let engine = start(databases.log().await, databases.reads(0).await, patient()).await;
        engine.deploy(component("bank")).await.unwrap();
        let mut position = scene.head;
        for number in 100..150 {
            position = open(&engine, number).await;
        }
        let rows = shown(&engine, position).await;
        engine.shutdown().await;
        assert_eq!(rows, scene.right().await, "{restored:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_shown_rows_that_are_being_filled_anew() {
    let scene = Scene::new(false, RESTORED[1]).await;
    let reads = scene.databases.watched(0).await;
    reads.hold();
    let engine = start(scene.databases.log().await, reads.clone(), patient()).await;
    let deploying = deploying(&engine, "bank");
    eventually("they are at their first commit", async || reads.under_way() > 0).await;
    assert!(engine.catalogue().model(&Name::parse("Balance").unwrap()).is_none());
    assert!(is_filled_anew(&engine).await);
    reads.let_go();
    deploying.await.unwrap().unwrap();
    assert!(projection_health(&engine).await.unwrap().0);
    assert_eq!(shown(&engine, scene.head).await, scene.right().await);
    engine.shutdown().await;
}

/// A plugin that is deployed for the first time goes live also where its read models have trouble. Those that are filled
/// anew are not to be read then.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_shown_rows_that_can_not_be_filled_anew_at_present() {
    let scene = Scene::new(false, RESTORED[1]).await;
    let settings = Settings { batch: 10, gathered_events: 10, ..patient() };
    let dying = Arc::new(Failing::dying(scene.databases.reads(0).await, 3, Fate::Lost));
    let engine = start(scene.databases.log().await, dying.clone(), settings).await;
    engine.deploy(component("bank")).await.unwrap();
    assert!(is_filled_anew(&engine).await);
    let model = model(&engine);
    let session = asking(&engine, &TenantId::default());
    let refused = session.count(&model.manifest.name, None).await.unwrap_err();
    assert!(refused.to_string().contains("filled anew"), "{refused}");
    let refused = session.rows(&model.manifest.name, &["account-1".into()], None).await.unwrap_err();
    assert!(refused.to_string().contains("filled anew"), "{refused}");
    engine.shutdown().await;
    // The next process goes on where that one was.
    let reads = scene.databases.watched(0).await;
    let next = start(scene.databases.log().await, reads.clone(), patient()).await;
    next.deploy(component("bank")).await.unwrap();
    assert_eq!(shown(&next, scene.head).await, scene.right().await);
    assert_eq!(reads.begun_anew(), 0);
    next.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_find_the_same_at_the_same_time_fill_rows_anew_together_on_sqlite() {
    together(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_find_the_same_at_the_same_time_fill_rows_anew_together_on_postgresql() {
    together(true).await;
}

async fn together(postgres: bool) {
    for restored in RESTORED {
        let scene = Scene::new(postgres, restored).await;
        let databases = &scene.databases;
        let settings = || Settings { batch: 15, gathered_events: 30, ..patient() };
        let (first, second) = two(databases, settings).await;
        let right = scene.right().await;
        assert_eq!(shown(&first, scene.head).await, right, "{restored:?}");
        assert_eq!(shown(&second, scene.head).await, right, "{restored:?}");
        first.shutdown().await;
        second.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_lives_through_it_writes_no_rows_any_more_on_sqlite() {
    lives_through(false, "update events set command_id = randomblob(16) where position > 100").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_lives_through_it_writes_no_rows_any_more_on_postgresql() {
    lives_through(true, "update events set command_id = gen_random_uuid() where position > 100").await;
}

/// The log has been exchanged beneath a process that reads it: by one that has grown again to where it was, so that nothing
/// but the events themselves tells that it is another one.
async fn lives_through(postgres: bool, exchange: &str) {
    let databases = Databases::new(postgres, 2).await;
    let (mut history, log) = (History::new(1), databases.log().await);
    history.go_on(&*log, SEEN).await;
    let reads = databases.watched(0).await;
    let engine = start(databases.log().await, reads.clone(), patient()).await;
    engine.deploy(component("bank")).await.unwrap();
    let before = shown(&engine, Position::new(SEEN)).await;
    execute(&databases.log, exchange).await;
    // By another process, which knows the log as it is.
    let log = databases.log().await;
    history.go_on(&*log, 50).await;
    eventually("the process knows that its history is no more", async || {
        let health = engine.health().await;
        !health.ready && health.checks.iter().any(|check| !check.ok && check.detail.contains("went back"))
    })
    .await;
    assert_eq!(shown(&engine, Position::new(SEEN)).await, before);
    // Nor does it take commands, which would be decided on what it remembers.
    let refused = try_to_open(&engine, 1_000).await.unwrap_err();
    assert!(refused.to_string().contains("start the server again"), "{refused}");
    engine.shutdown().await;
    assert_eq!(reads.begun_anew(), 0);

    let reads = databases.watched(0).await;
    let next = start(databases.log().await, reads.clone(), patient()).await;
    next.deploy(component("bank")).await.unwrap();
    let rows = shown(&next, log.head().await.unwrap()).await;
    next.shutdown().await;
    assert_eq!(reads.begun_anew(), 1);
    assert_eq!(rows, expected(&databases, 1).await);
}

/// All products, as JSON.
async fn products(client: &Client) -> serde_json::Value {
    client
        .ask("{ products(limit: 100, orderBy: [{ id: ASC }]) { id name price categoryId updatedAt } }", json!({}))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_log_was_restored_from_a_copy_of_its_file_shows_what_is_in_it() {
    let mut server = Server::start(&[("catalog", &component("catalog"))]).await;
    let log = server.data().join("events.db");
    let backup = server.data().join("backup");
    for number in 0..5 {
        server.client().product(&format!("kept {number}")).await;
    }
    let kept = products(&server.client()).await;
    assert!(server.stop());
    std::fs::copy(&log, &backup).unwrap();
    server.start_again().await;
    for number in 0..5 {
        server.client().product(&format!("lost {number}")).await;
    }
    assert_ne!(products(&server.client()).await, kept);
    assert!(server.stop());
    for beside in ["events.db-wal", "events.db-shm"] {
        // A server that ends in order leaves none.
        let _ = std::fs::remove_file(server.data().join(beside));
    }
    std::fs::rename(&backup, &log).unwrap();
    server.start_again().await;
    let log = server.whole_log().await;
    assert!(log.contains("a history that is no more"), "{log}");
    assert_eq!(products(&server.client()).await, kept);
    // It grows past where it was.
    for number in 0..12 {
        server.client().product(&format!("new {number}")).await;
    }
    let grown = products(&server.client()).await;
    assert_eq!(grown["products"].as_array().unwrap().len(), 5 + 12);
    assert!(server.stop());
    let anew = format!("sqlite:{}", server.data().join("reads-anew.db").display());
    server.start_again_with(&["--read-database-url", &anew]).await;
    assert_eq!(products(&server.client()).await, grown);
}
