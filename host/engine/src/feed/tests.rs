//! The feed with a lane before it and a real log beneath it.

use futures::future::join_all;
use uuid::Uuid;
use yado_model::{CommandId, CommandMeta, Digest, NewEvent, Revision, StreamId, TenantId, Timestamp};
use yado_store::limits::LARGEST_PAGE;
use yado_store::testing::{Postgres, execute};
use yado_store::{Append, Appended, Draft, Options, PluginRecord, PluginVersion, open_events};

use super::testing::Random;
use super::*;
use crate::events::Following;
use crate::figures::Handles;
use crate::lane::Lane;
use crate::vigil::Vigil;

/// A process that writes and reads, as the engine puts it together.
struct Node {
    store: Arc<dyn EventStore>,
    feed: Feed,
    lane: Lane,
    vigil: Vigil,
    plugin: PluginVersion,
    _stopped: watch::Sender<bool>,
}

impl Node {
    async fn new(url: &str, settings: Settings) -> Self {
        let store = open_events(url, &Options::default()).await.unwrap();
        let plugin = PluginRecord {
            name: "counters".into(),
            version: "1".into(),
            digest: Digest::of(b"code"),
            registered_at: Timestamp::now(),
        };
        let plugin = store.register_plugin(&plugin).await.unwrap();
        let (figures, vigil, stopped) = (Handles::register(), Vigil::new(), watch::Sender::new(false));
        let head = store.head().await.unwrap();
        let feed = Feed::new(store.clone(), head, &settings, figures.clone());
        let (committed, own) = watch::channel(head);
        follow(&feed, &settings, own, &stopped.subscribe(), &vigil);
        let lane = Lane::start(store.clone(), &settings, feed.clone(), committed, figures, stopped.subscribe(), &vigil);
        Self { store, feed, lane, vigil, plugin, _stopped: stopped }
    }

    fn append(&self, stream: &str, expected: u64, events: usize, bytes: usize) -> Append {
        let command_id = Uuid::now_v7();
        let payload = format!("\"{}\"", "x".repeat(bytes));
        let event = NewEvent { name: "Counted".into(), version: 1, payload, tags: Vec::new() };
        let draft = Draft {
            tenant: TenantId::default(),
            stream: StreamId::parse(stream).unwrap(),
            expected: Revision::new(expected),
            events: vec![event; events],
            claims: Vec::new(),
            recorded_at: Timestamp::now(),
            command: CommandMeta {
                command_id: CommandId(command_id),
                correlation_id: command_id,
                causation_id: None,
                actor: None,
            },
            plugin: self.plugin,
            idempotency: None,
        };
        draft.check().unwrap()
    }

    /// Appends to a stream of its own, again and again; a part of it loses.
    async fn write(&self, stream: &str, seed: u64) {
        let (mut random, mut revision) = (Random::new(seed), 0);
        for _ in 0..60 {
            let stale = random.below(10) == 0;
            let append = self.append(stream, revision + u64::from(stale), 1 + random.below(4), random.below(300));
            let outcome = self.lane.append(vec![append]).await.unwrap().pop();
            match outcome {
                Some(Appended::Recorded { revision: reached, .. }) if !stale => revision = reached.get(),
                Some(Appended::Conflict { .. }) if stale => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Appends past the lane, as another process does.
    async fn write_elsewhere(&self, stream: &str, seed: u64) {
        let (mut random, mut revision) = (Random::new(seed), 0);
        for _ in 0..20 {
            let append = self.append(stream, revision, 1 + random.below(3), random.below(300));
            revision += append.events.len() as u64;
            self.store.append(&[append]).await.unwrap();
            tokio::task::yield_now().await;
            if random.below(2) == 0 {
                self.feed.look().await.unwrap();
            }
        }
    }

    /// Follows the log until there has been nothing for as long as somebody writes.
    async fn read(&self, seed: u64, mut written: watch::Receiver<bool>) -> Vec<RecordedEvent> {
        let (mut random, mut seen) = (Random::new(seed), Vec::<RecordedEvent>::new());
        let mut head = self.feed.head();
        loop {
            let after = seen.last().map_or(Position::ZERO, |last| last.position);
            let limit = u32::try_from(1 + random.below(50)).unwrap();
            let page = self.feed.read(after, limit, random.below(5_000)).await.unwrap();
            assert!(page.len() <= limit as usize);
            seen.extend(page.iter().cloned());
            if !page.is_empty() {
                continue;
            }
            // The last word on whether everything is written comes before the last look at it.
            let done = *written.borrow_and_update();
            if done && self.feed.look().await.unwrap() <= after {
                return seen;
            }
            if !done {
                tokio::select! {
                    _ = head.wait_for(|head| *head > after) => {}
                    _ = written.changed() => {}
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_reader_sees_the_whole_log_in_order_and_once() {
    for seed in 0..6 {
        let settings = Settings { feed_events: 10 << seed, feed_bytes: 200_000, ..Settings::default() };
        let node = Arc::new(Node::new("sqlite::memory:", settings).await);
        let written = watch::Sender::new(false);
        let readers: Vec<_> = (0..4)
            .map(|number| {
                let (node, written) = (node.clone(), written.subscribe());
                tokio::spawn(async move { node.read(seed * 100 + number, written).await })
            })
            .collect();
        let own = (0..5).map(|number| {
            let node = node.clone();
            tokio::spawn(async move { node.write(&format!("Counter-{number}"), seed * 10 + number).await })
        });
        let elsewhere = {
            let node = node.clone();
            tokio::spawn(async move { node.write_elsewhere("Counter-elsewhere", seed).await })
        };
        for writer in own.collect::<Vec<_>>().into_iter().chain([elsewhere]) {
            writer.await.unwrap();
        }
        written.send_replace(true);
        let log = node.store.read_log(Position::ZERO, 10_000).await.unwrap();
        for seen in join_all(readers).await {
            let seen = seen.unwrap();
            assert!(seen == log, "seed {seed}: {} events were seen of {}", seen.len(), log.len());
        }
    }
}

/// Follows the log from a position on, and gives up waiting now and then, until everything is written.
async fn told(following: Following, after: u64, mut written: watch::Receiver<Option<Position>>) -> Vec<RecordedEvent> {
    let mut events = following.after(Some(Position::new(after)));
    let mut all = Vec::new();
    while *written.borrow_and_update() != Some(events.position()) {
        tokio::select! {
            page = events.next() => all.extend(page.unwrap().iter().cloned()),
            _ = written.changed() => {}
            () = tokio::task::yield_now() => {}
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_follower_is_told_what_comes_after_its_position_in_order_and_once() {
    for seed in 0..4 {
        let settings = Settings { feed_events: 4 << seed, feed_bytes: 200_000, ..Settings::default() };
        let node = Arc::new(Node::new("sqlite::memory:", settings).await);
        node.write("Counter-before", seed).await;
        let (following, written) = (Following::new(node.feed.clone()), watch::Sender::new(None));
        let from_now = following.after(None).position();
        let begin = [0, 1, 17, from_now.get()];
        let followers = begin.map(|after| tokio::spawn(told(following.clone(), after, written.subscribe())));
        let elsewhere = {
            let node = node.clone();
            tokio::spawn(async move { node.write_elsewhere("Counter-elsewhere", seed).await })
        };
        node.write("Counter-a", seed).await;
        elsewhere.await.unwrap();
        written.send_replace(Some(node.feed.look().await.unwrap()));
        let log = node.store.read_log(Position::ZERO, 10_000).await.unwrap();
        for (after, follower) in begin.into_iter().zip(followers) {
            let told = follower.await.unwrap();
            let expected = &log[usize::try_from(after).unwrap()..];
            assert!(told == expected, "seed {seed}: {} events were told of {}", told.len(), expected.len());
        }
    }
}

#[tokio::test]
async fn what_has_been_acknowledged_is_in_memory() {
    let node = Node::new("sqlite::memory:", Settings::default()).await;
    let appended = node.lane.append(vec![node.append("Counter-a", 0, 3, 10)]).await.unwrap();
    assert_eq!(appended, [Appended::Recorded { revision: Revision::new(3), position: Position::new(3) }]);
    assert_eq!(*node.feed.head().borrow(), Position::new(3));
    let page = node.feed.ring().read(Position::ZERO, 10, 1_000).unwrap();
    assert!(page.iter().eq(&node.store.read_log(Position::ZERO, 10).await.unwrap()));
}

#[tokio::test]
async fn what_another_process_has_recorded_is_read_once_for_all_who_follow_the_log() {
    let node = Node::new("sqlite::memory:", Settings::default()).await;
    node.lane.append(vec![node.append("Counter-a", 0, 1, 10)]).await.unwrap();
    let seen = Checkpoint::from(&node.store.read_log(Position::ZERO, 1).await.unwrap()[0]);
    node.store.append(&[node.append("Counter-b", 0, 3, 10)]).await.unwrap();
    node.feed.look().await.unwrap();
    let read = node.feed.read(seen, 10, 1_000).await.unwrap();
    assert_eq!(read.len(), 3);
    node.store.close().await;
    assert!(node.feed.read(seen, 10, 1_000).await.unwrap().iter().eq(read.iter()));
    assert_eq!(node.feed.read(Position::ZERO, 10, 1_000).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_reader_that_has_seen_everything_asks_nobody() {
    let node = Node::new("sqlite::memory:", Settings::default()).await;
    node.lane.append(vec![node.append("Counter-a", 0, 1, 10)]).await.unwrap();
    node.store.close().await;
    assert!(node.feed.read(Position::new(1), 10, 1_000).await.unwrap().is_empty());
    assert_eq!(node.feed.read(Position::ZERO, 10, 1_000).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_processes_hear_of_commits_and_nobody_of_its_own() {
    let url = Postgres::shared().database().await;
    // Nobody looks: what is heard has been announced.
    let settings = || Settings { poll_ms: 3_600_000, announce_ms: 0, ..Settings::default() };
    let (one, other) = (Node::new(&url, settings()).await, Node::new(&url, settings()).await);
    let mut heard = other.feed.head();
    let mut own = one.feed.head();
    for revision in 0..20 {
        one.lane.append(vec![one.append("Counter-a", revision, 1, 10)]).await.unwrap();
        heard.wait_for(|head| head.get() > revision).await.unwrap();
        let page = other.feed.read(Position::new(revision), 10, 1_000).await.unwrap();
        assert_eq!(page.last(), Some(Position::new(revision + 1)));
        // Its readers were woken by the commit, and not again by the news of it.
        assert!(own.has_changed().unwrap());
        own.mark_unchanged();
    }
    assert!(!own.has_changed().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_gone_back_is_noticed_and_nobody_asks_it_again_and_again() {
    let url = Postgres::shared().database().await;
    // Nobody looks but the test.
    let node = Node::new(&url, Settings { poll_ms: 3_600_000, feed_events: 0, ..Settings::default() }).await;
    node.lane.append(vec![node.append("Counter-a", 0, 3, 10)]).await.unwrap();
    execute(&url, "delete from events where position > 1").await;
    execute(&url, "update log_head set last = 1").await;
    let seen = Position::new(3);
    let rewound = Error::Rewound { seen };
    assert_eq!(node.feed.read(Position::new(1), 10, 1_000).await.unwrap_err(), rewound);
    assert_eq!(node.feed.look().await.unwrap_err(), rewound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_gone_back_and_has_grown_again_is_told_from_the_one_that_was_read() {
    let url = Postgres::shared().database().await;
    let settings = || Settings { poll_ms: 3_600_000, feed_events: 0, ..Settings::default() };
    let mut seen = Checkpoint::START;
    let mut nodes = Vec::new();
    for url in ["sqlite::memory:", &url] {
        let node = Node::new(url, settings()).await;
        // The second event fills a page by itself.
        for (revision, bytes) in [(0, 10), (1, LARGEST_PAGE), (2, 10), (3, 10)] {
            node.lane.append(vec![node.append("Counter-a", revision, 1, bytes)]).await.unwrap();
        }
        seen = Checkpoint::from(&node.store.read_log(Position::new(1), 1).await.unwrap()[0]);
        let page = node.feed.read(seen, 10, 1_000).await.unwrap();
        assert_eq!(page.iter().next().map(|event| event.position), Some(Position::new(3)));
        nodes.push(node);
    }
    let node = nodes.pop().unwrap();
    execute(&url, "update events set command_id = gen_random_uuid() where position > 1").await;
    let rewound = Error::Rewound { seen: Position::new(2) };
    assert_eq!(node.feed.read(seen, 10, 1_000).await.unwrap_err(), rewound);
    // Who does not say what was there is given what is.
    assert!(!node.feed.read(Position::new(2), 10, 1_000).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_has_gone_back_is_told_to_the_vigil_by_whoever_looks_now_and_then() {
    let url = Postgres::shared().database().await;
    let node = Node::new(&url, Settings { poll_ms: 1, ..Settings::default() }).await;
    node.lane.append(vec![node.append("Counter-a", 0, 3, 10)]).await.unwrap();
    execute(&url, "delete from events where position > 1").await;
    execute(&url, "update log_head set last = 1").await;
    while node.vigil.has_rewound().is_none() {
        tokio::task::yield_now().await;
    }
    // What has been decided on the history that is no more does not get into the one that there is.
    let rewound = Error::Rewound { seen: Position::new(3) };
    assert_eq!(node.lane.append(vec![node.append("Counter-b", 0, 1, 10)]).await.unwrap_err(), rewound);
    assert_eq!(node.store.head().await.unwrap(), Position::new(1));
}
