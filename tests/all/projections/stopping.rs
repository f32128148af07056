//! The end of an engine whose deployments have come to an end before it.

use yado_engine::{Catalogue, Surface};

use super::*;

/// A surface that breaks where it is to derive a schema.
struct Breaking;

impl Surface for Breaking {
    fn prepare(&self, _: &Arc<Catalogue>) -> Result<Box<dyn FnOnce() + Send>, String> {
        panic!("on purpose")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_deployments_broke_says_so_and_still_stops_in_order() {
    let databases = Databases::new(false, 1).await;
    // Nothing goes down by itself.
    let settings = || Settings { gather_ms: 3_600_000, ..patient() };
    let engine = start(databases.log().await, databases.reads(0).await, settings()).await;
    engine.deploy(component("bank")).await.unwrap();
    for number in 0..30 {
        open(&engine, number).await;
    }
    let refused = engine.add_surface(Arc::new(Breaking)).await.unwrap_err();
    assert!(refused.contains("start the server again"), "{refused}");
    let refused = engine.deploy(component("bank")).await.unwrap_err();
    assert!(refused.to_string().contains("start the server again"), "{refused}");
    eventually("the broken loop is noticed", async || {
        let health = engine.health().await;
        !health.ready && health.checks.iter().any(|check| !check.ok && check.detail.contains("deploys plugins broke"))
    })
    .await;
    // What has been deployed goes on, and nothing of it is lost at the end.
    open(&engine, 30).await;
    engine.shutdown().await;
    let next = start(databases.log().await, databases.reads(0).await, settings()).await;
    next.deploy(component("bank")).await.unwrap();
    assert_eq!(asking(&next, &TenantId::default()).count(&model(&next).manifest.name, None).await.unwrap(), 31);
    next.shutdown().await;
}
