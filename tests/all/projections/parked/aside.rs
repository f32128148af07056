//! What a caller is told who has changed what waits.

use yado_engine::{Error, Receipt};

use super::*;
use crate::projections::rebuild::{behave, saying};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_what_a_read_model_has_put_aside_is_told_so_on_sqlite() {
    is_told_so(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_what_a_read_model_has_put_aside_is_told_so_on_postgresql() {
    is_told_so(true).await;
}

async fn is_told_so(postgres: bool) {
    let databases = Databases::new(postgres, 1).await;
    let settings = Settings { poison_attempts: 1, ..patient() };
    let engine = start(databases.log().await, databases.reads(0).await, settings.clone()).await;
    engine.deploy(component("rogue")).await.unwrap();
    let run = async |command: &str| {
        let dispatch = Dispatch { command: Name::parse(command).unwrap(), ..behave() };
        engine.dispatch(&engine.catalogue(), dispatch).await.unwrap()
    };
    let shows = async |engine: &Engine, receipt: &Receipt| {
        let session = asking(engine, &TenantId::default());
        session.shows(&saying(engine).manifest.name, &receipt.stream, receipt.position).await
    };
    let (before, poison, after) = (run("Behave").await, run("ProvokePoison").await, run("Behave").await);
    let is_told = |told: yado_engine::Result<()>| {
        let told = told.unwrap_err();
        assert_eq!(told.code(), yado_model::Code::Lagging);
        assert!(matches!(&told, Error::Aside { from, .. } if *from == poison.position), "{told}");
    };
    is_told(shows(&engine, &poison).await);
    shows(&engine, &before).await.unwrap();
    shows(&engine, &after).await.unwrap();
    engine.shutdown().await;
    // Whoever starts again knows as much.
    let engine = start(databases.log().await, databases.reads(0).await, settings).await;
    engine.deploy(component("rogue")).await.unwrap();
    is_told(shows(&engine, &poison).await);
    // Code that can show it takes it up.
    engine.deploy(component("rogue-next")).await.unwrap();
    shows(&engine, &poison).await.unwrap();
    engine.shutdown().await;
}
