//! Projections that have something to do and do not get on.

use yado_engine::ProjectionState;

use super::*;

/// How the one projection stands.
fn state(engine: &Engine) -> ProjectionState {
    let projections = engine.projections();
    assert_eq!(projections.len(), 1, "{projections:?}");
    projections[0].state
}

async fn is_stalled(engine: &Engine) -> bool {
    let checks = engine.health().await.checks;
    let told = checks.iter().any(|check| !check.ok && check.detail.contains("does not get on"));
    told && state(engine) == ProjectionState::Stalled
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_whose_database_never_answers_is_noticed_until_it_gets_on() {
    let databases = Databases::new(false, 1).await;
    let (mut history, log) = (History::of_one(1), databases.log().await);
    let reads = databases.watched(0).await;
    let settings = Settings { stalled_ms: 100, ..patient() };
    let engine = start(log.clone(), reads.clone(), settings).await;
    engine.deploy(component("bank")).await.unwrap();
    history.go_on(&*log, 20).await;
    shown(&engine, log.head().await.unwrap()).await;
    reads.hold();
    history.go_on(&*log, 20).await;
    eventually("the watchdog barks", async || is_stalled(&engine).await).await;
    reads.let_go();
    shown(&engine, log.head().await.unwrap()).await;
    eventually("the watchdog is quiet", async || state(&engine) == ProjectionState::Live).await;
    let [status] = &engine.projections()[..] else { panic!("there is one projection") };
    assert_eq!((status.position, status.target, status.left_ms), (Position::new(40), Position::new(40), Some(0)));
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_never_comes_back_is_noticed_and_in_the_end_parked() {
    let databases = Databases::new(false, 1).await;
    let mut runtime = yado_runtime::Settings::default();
    // Longer than the watchdog takes, and not longer than a test may, which is over only when the guest is.
    runtime.limits.project_ms = 3_000;
    let settings = Settings { stalled_ms: 100, poison_attempts: 1, ..patient() };
    let parts = Parts {
        events: databases.log().await,
        reads: databases.reads(0).await,
        runtime: Runtime::new(runtime).unwrap(),
    };
    let engine = Engine::start(parts, settings).await.unwrap();
    engine.deploy(component("rogue")).await.unwrap();
    let dispatch = |command: &str| Dispatch {
        tenant: TenantId::default(),
        command: Name::parse(command).unwrap(),
        payload: serde_json::json!({}),
        options: DispatchOptions::default(),
    };
    let catalogue = engine.catalogue();
    let (mut provoked, mut noticed) = (0, false);
    // Where a machine has no time for those who look as long as the guest is at it, they look at another time.
    while !noticed {
        assert!(provoked < 10, "it is never noticed");
        engine.dispatch(&catalogue, dispatch("ProvokeSpell")).await.unwrap();
        provoked += 1;
        eventually("the watchdog barks, or the guest is given up", async || {
            noticed = is_stalled(&engine).await;
            noticed || engine.dead_letters(10).await.unwrap().len() == provoked
        })
        .await;
    }
    let last = engine.dispatch(&catalogue, dispatch("Behave")).await.unwrap().position;
    let saying = catalogue.model(&Name::parse("Saying").unwrap()).unwrap();
    engine.caught_up(saying, last).await.unwrap();
    assert_eq!(asking(&engine, &TenantId::default()).count(&saying.manifest.name, None).await.unwrap(), 1);
    let letters = engine.dead_letters(10).await.unwrap();
    assert_eq!(letters.len(), provoked, "{letters:?}");
    for letter in letters {
        assert!(letter.parked.error.contains("it ran past its deadline"), "{}", letter.parked.error);
    }
    engine.shutdown().await;
}
