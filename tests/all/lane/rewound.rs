//! A log that goes back: a backup was restored, or a standby took over that had lagged.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decided_on_a_history_that_is_no_more() {
    let rig = Rig::new("sqlite::memory:").await;
    let id = rig.category().await;
    rig.way.journey.fates.lock().await.push(Fate::Rewound);
    rig.open(100);
    let rename = |name: &str| rig.send("UpdateCategory", json!({ "id": id, "name": name }), None);
    // The first one meets it. The second would be recorded, the third is answered without the log.
    for name in ["a", "b", "Pens"] {
        let refused = rename(name).await.unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(refused.to_string().contains("start the server again"), "{refused}");
    }
    assert_eq!(rig.way.head().await.unwrap(), Position::new(1));
    assert_eq!(rig.way.journey.count.load(Ordering::SeqCst), 2);
    let health = rig.engine.health().await;
    assert!(!health.ready);
    assert!(health.checks.iter().any(|check| !check.ok && check.detail.contains("went back")), "{health:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_has_fewer_events_than_are_known_is_read_from_its_first_one() {
    let rig = Rig::new("sqlite::memory:").await;
    rig.open(100);
    rig.send("Open", json!({ "id": "a", "owner": "Ada" }), None).await.unwrap().unwrap();
    let deposit = || rig.send("Deposit", json!({ "id": "a", "amount": 1, "reference": "" }), None);
    for _ in 0..5 {
        deposit().await.unwrap().unwrap();
    }
    assert_eq!(rig.way.journey.read.load(Ordering::SeqCst), 0);
    rig.way.journey.fates.lock().await.push(Fate::Behind);
    assert_eq!(deposit().await.unwrap().unwrap().revision, Revision::new(7));
    assert_eq!(rig.way.journey.read.load(Ordering::SeqCst), 6);
}
