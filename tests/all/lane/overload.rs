//! More commands than the server can hold, while the log hangs.

use tokio::task::JoinSet;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_over_a_log_that_hangs_is_refused_at_once_and_what_was_taken_in_is_answered() {
    const FLOOD: usize = 100_000;
    let settings = Settings { shards: 4, shard_queue: 64, command_ms: 600_000, ..patient() };
    // A shard holds as many as its queue does, and its queue as many again.
    let most = settings.shards * settings.shard_queue * 2;
    let rig = Rig::with("sqlite::memory:", settings).await;
    let (engine, catalogue) = (rig.engine.clone(), rig.engine.catalogue());
    let mut sent = JoinSet::new();
    for n in 0..FLOOD {
        let dispatch = Dispatch {
            tenant: TenantId::default(),
            // It needs nothing of the log but to be recorded.
            command: Name::parse("CreateCategory").unwrap(),
            payload: json!({ "name": "Pens" }),
            // A key makes no difference: nobody who is refused at the door asks the log for anything.
            options: DispatchOptions {
                idempotency_key: (n % 2 == 0).then(|| IdempotencyKey::parse(&n.to_string()).unwrap()),
                ..DispatchOptions::default()
            },
        };
        let (engine, catalogue) = (engine.clone(), catalogue.clone());
        sent.spawn(async move { engine.dispatch(&catalogue, dispatch).await });
    }
    let (mut refused, mut recorded) = (0, 0);
    while let Some(done) = sent.join_next().await {
        match done.unwrap() {
            Ok(_) => recorded += 1,
            Err(error @ Error::Unavailable { .. }) => {
                assert!(error.details().iter().any(|(name, _)| *name == "retryAfterMs"));
                refused += 1;
                // All but those that it may hold are refused while nothing moves. Only then does the log go on.
                if refused == FLOOD - most {
                    assert_eq!((recorded, rig.way.journey.asked.load(Ordering::Relaxed)), (0, 0));
                    rig.open(FLOOD);
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(recorded + refused, FLOOD);
    assert!(recorded > 0);
    assert_eq!(rig.way.head().await.unwrap(), Position::new(recorded as u64));
}
