//! Snapshots, and the registry of builds.

use uuid::Uuid;
use yado_model::{CommandId, Digest, Revision, TenantId, Timestamp};

use super::fixtures::{stream, tenant};
use crate::limits::LONGEST_LIST;
use crate::{Error, EventStore, Forgotten, PluginRecord, Snapshot};

fn snapshot(revision: u64, encoding: &str, state: &[u8]) -> Snapshot {
    Snapshot {
        tenant: TenantId::default(),
        stream: stream("Counter-a"),
        revision: Revision::new(revision),
        command: CommandId(Uuid::from_u128(7)),
        encoding: encoding.into(),
        state: Some(state.to_vec()),
    }
}

async fn found(store: &dyn EventStore, encoding: &str) -> Option<Snapshot> {
    store.snapshot(&TenantId::default(), &stream("Counter-a"), encoding).await.unwrap()
}

pub async fn a_snapshot_is_kept_for_each_encoding(store: &dyn EventStore) {
    assert_eq!(found(store, "one").await, None);
    let (one, two) = (snapshot(5, "one", b"\0\x01\xff"), snapshot(3, "two", b""));
    store.save_snapshots(&[]).await.unwrap();
    store.save_snapshots(&[one.clone(), two.clone()]).await.unwrap();
    assert_eq!(found(store, "one").await, Some(one));
    assert_eq!(found(store, "two").await, Some(two));
    let elsewhere = store.snapshot(&tenant("acme"), &stream("Counter-a"), "one").await.unwrap();
    assert_eq!(elsewhere, None);
}

pub async fn an_older_snapshot_does_not_replace_a_newer_one(store: &dyn EventStore) {
    let newer = snapshot(9, "one", b"newer");
    store.save_snapshots(&[snapshot(5, "one", b"older")]).await.unwrap();
    store.save_snapshots(std::slice::from_ref(&newer)).await.unwrap();
    store.save_snapshots(&[snapshot(7, "one", b"late")]).await.unwrap();
    assert_eq!(found(store, "one").await, Some(newer));
    // Nor does it do so among those that are saved with it.
    let latest = snapshot(20, "one", b"latest");
    store.save_snapshots(&[snapshot(10, "one", b"early"), latest.clone(), snapshot(15, "one", b"late")]).await.unwrap();
    assert_eq!(found(store, "one").await, Some(latest));
}

pub async fn snapshots_that_nobody_reads_any_more_are_forgotten(store: &dyn EventStore) {
    let elsewhere = Snapshot { stream: stream("Counter-b"), ..snapshot(3, "old", b"old") };
    let (old, new) = (snapshot(5, "old", b"old"), snapshot(5, "new", b"new"));
    store.save_snapshots(&[elsewhere, old.clone(), new.clone()]).await.unwrap();
    let (used, now) = (["new".to_owned()], Timestamp::now());
    // Another process may be about to read them: they are seen for the first time.
    assert_eq!(store.forget_snapshots(&used, now.plus_ms(-60_000)).await.unwrap(), Forgotten::default());
    assert_eq!(found(store, "old").await, Some(old.clone()));
    let later = now.plus_ms(60_000);
    assert_eq!(store.forget_snapshots(&used, later).await.unwrap(), Forgotten { count: 2, more: true });
    assert_eq!(store.forget_snapshots(&used, later).await.unwrap(), Forgotten::default());
    assert_eq!((found(store, "old").await, found(store, "new").await), (None, Some(new)));
    // They are as good as any if somebody comes who saves them again.
    store.save_snapshots(std::slice::from_ref(&old)).await.unwrap();
    assert_eq!(store.forget_snapshots(&[], now.plus_ms(-60_000)).await.unwrap(), Forgotten::default());
    assert_eq!(found(store, "old").await, Some(old));
    let too_many = vec![String::new(); LONGEST_LIST + 1];
    assert!(matches!(store.forget_snapshots(&too_many, now).await, Err(Error::Invalid(_))));
}

pub async fn many_snapshots_are_forgotten_piece_by_piece(store: &dyn EventStore) {
    let of = |number: usize| Snapshot {
        stream: stream(&format!("Counter-{number}")),
        ..snapshot(5, if number.is_multiple_of(2) { "even" } else { "odd" }, b"state")
    };
    store.save_snapshots(&(0..LONGEST_LIST).map(of).collect::<Vec<_>>()).await.unwrap();
    let later = Timestamp::now().plus_ms(60_000);
    let used = ["odd".to_owned()];
    let first = store.forget_snapshots(&used, later).await.unwrap();
    assert!(first.more && first.count > 0, "{first:?}");
    let mut rest = 0;
    loop {
        let Forgotten { count, more } = store.forget_snapshots(&used, later).await.unwrap();
        rest += count;
        if !more {
            break;
        }
    }
    assert_eq!(first.count + rest, LONGEST_LIST as u64 / 2);
}

pub async fn a_snapshot_says_that_the_thing_is_gone(store: &dyn EventStore) {
    store.save_snapshots(&[snapshot(5, "one", b"there")]).await.unwrap();
    let gone = Snapshot { state: None, ..snapshot(6, "one", b"") };
    store.save_snapshots(std::slice::from_ref(&gone)).await.unwrap();
    assert_eq!(found(store, "one").await, Some(gone));
}

fn build(name: &str, code: &[u8]) -> PluginRecord {
    PluginRecord {
        name: name.into(),
        version: "1.2.3".into(),
        digest: Digest::of(code),
        registered_at: Timestamp::from_micros(1_700_000_000_123_456),
    }
}

pub async fn a_build_keeps_its_number(store: &dyn EventStore) {
    let first = store.register_plugin(&build("counters", b"one")).await.unwrap();
    let second = store.register_plugin(&build("counters", b"two")).await.unwrap();
    assert_ne!(first, second);
    let again = PluginRecord { registered_at: Timestamp::now(), ..build("counters", b"one") };
    assert_eq!(store.register_plugin(&again).await.unwrap(), first);
    assert_eq!(store.plugins(10).await.unwrap().len(), 2);
}

pub async fn builds_are_listed_latest_first(store: &dyn EventStore) {
    let mut expected = Vec::new();
    for code in [b"one".as_slice(), b"two", b"six"] {
        let record = build("counters", code);
        expected.insert(0, (store.register_plugin(&record).await.unwrap(), record));
    }
    assert_eq!(store.plugins(10).await.unwrap(), expected);
    assert_eq!(store.plugins(1).await.unwrap(), expected[..1]);
    assert!(store.plugins(u32::MAX).await.is_err());
}
